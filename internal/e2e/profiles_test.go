//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// everywhereProfile boots the Debian installer on every machine of the lab, each
// arch through a loader of its own.
const everywhereProfile = `title = "Debian 12 installer"
kernel = "debian12/linux"
initrd = ["debian12/initrd.gz"]
cmdline = "console=ttyS0 ---"

[match]
mac = ["52:*"]

[arch.x86-bios]
loader = "pxelinux"

[arch.x64-uefi]
loader = "grub"

[arch.arm64-uboot]
kernel = "debian12/arm64/linux"
initrd = ["debian12/arm64/initrd.gz"]
cmdline = "console=ttyAMA0 ---"
`

// newEverywhereServer has the installer's files for PCs and boards.
func newEverywhereServer(t *testing.T, profile string) (context.Context, *server) {
	t.Helper()
	need(t, "grub-mkimage", "/usr/lib/grub/x86_64-efi/tftp.mod", grubBIOS, pxelinux, ldlinux)
	ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"debian": profile})
	board, err := copyARM64Installer()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{debianInstaller(t): "debian12", board: "debian12/arm64"} {
		s.link(t, filepath.Join(from, "linux"), to+"/linux")
		s.link(t, filepath.Join(from, "initrd.gz"), to+"/initrd.gz")
	}
	return ctx, s
}

// TestOneProfileBootsEveryMachine boots PCs through each loader from one and the
// same file: a PC that runs iPXE already is told by a script, whatever loader its
// firmware would have been given. One loader of the BIOS is named in the place of the
// other for the last case.
func TestOneProfileBootsEveryMachine(t *testing.T) {
	var (
		readsPXELINUX = regexp.MustCompile(`file delivered.* file=\S*pxelinux\.cfg/\S+ `)
		readsGRUB     = regexp.MustCompile(`file delivered.* file=\S*grub\.cfg\S* `)
		readsScript   = regexp.MustCompile(`file delivered.* file=netbootd/boot\.ipxe `)
	)
	cases := []struct {
		firmware lab.Firmware
		loader   string         // in the name of the case
		way      *regexp.Regexp // what netbootd logs of it
		profile  string
	}{
		{lab.BIOSPlainPXE, "PXELINUX", readsPXELINUX, everywhereProfile},
		{lab.BIOSiPXE, "iPXE", readsScript, everywhereProfile},
		{lab.UEFI, "GRUB", readsGRUB, everywhereProfile},
		{lab.UEFIiPXE, "iPXE", readsScript, everywhereProfile},
		{lab.BIOSPlainPXE, "GRUB", readsGRUB, strings.Replace(everywhereProfile, "pxelinux", "grub", 1)},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%v through %s", tc.firmware, tc.loader), func(t *testing.T) {
			ctx, s := newEverywhereServer(t, tc.profile)
			s.start(ctx, t)
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware})
			if _, err := pc.Console.WaitFor(ctx, kernelWithInitrd); err != nil {
				t.Fatal(err)
			}
			if log := strings.Join(s.proc.Stderr.Lines(), "\n"); !tc.way.MatchString(log) {
				t.Errorf("netbootd did not log %s", tc.way)
			}
		})
	}
}

// virtTree is the device tree of the virtual board among the images.
const virtTree = "debian12/arm64/virt.dtb"

// TestOneProfileBootsABoard boots the arm64 kernel of the same profile with the
// two commands that U-Boot has for it, once with a device tree of the profile's.
func TestOneProfileBootsABoard(t *testing.T) {
	t.Run("pxe get, with a device tree", func(t *testing.T) {
		ctx, s, board := newEverywhereBoard(t, everywhereProfile+fmt.Sprintf("fdt = %q\n", virtTree))
		// This board's environment has no place for one.
		uboot(ctx, t, board, "setenv fdt_addr_r 0x48000000; pxe get")
		boots(ctx, t, board, "pxe boot")
		if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(`file delivered.* file=/?`+virtTree)); err != nil {
			t.Error(err)
		}
	})
	t.Run("a boot script", func(t *testing.T) {
		ctx, s, board := newEverywhereBoard(t, everywhereProfile)
		uboot(ctx, t, board, "tftpboot ${scriptaddr} boot.scr.uimg")
		kernel := filepath.Join(s.images, "debian12/arm64/linux")
		if err := os.Rename(kernel, kernel+".gone"); err != nil {
			t.Fatal(err)
		}
		out := uboot(ctx, t, board, "source ${scriptaddr}")
		if !strings.Contains(out, "could not be started") || strings.Contains(out, "initrd") {
			t.Errorf("without its kernel the script goes on:\n%s", out)
		}
		if err := os.Rename(kernel+".gone", kernel); err != nil {
			t.Fatal(err)
		}
		boots(ctx, t, board, "source ${scriptaddr}")
	})
}

// newEverywhereBoard has a board at U-Boot's prompt and a netbootd with its files.
func newEverywhereBoard(t *testing.T, profile string) (context.Context, *server, *lab.Board) {
	t.Helper()
	skipWithout(t, lab.RequireBoards())
	ctx, s := newEverywhereServer(t, profile)
	if err := lab.WriteDeviceTree(ctx, filepath.Join(s.images, virtTree)); err != nil {
		t.Fatal(err)
	}
	s.start(ctx, t)
	board := powerOnBoard(ctx, t, s.net)
	// It takes no boot server from a proxy.
	uboot(ctx, t, board, "setenv autoload no; dhcp; setenv serverip "+lab.BootAddr.String())
	return ctx, s, board
}

// boots types a command after which Linux has to run.
func boots(ctx context.Context, t *testing.T, board *lab.Board, command string) {
	t.Helper()
	if err := board.Type(command + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := board.Console.WaitFor(ctx, kernelWithInitrd); err != nil {
		t.Fatal(err)
	}
}

// writtenProfile has files written for each of its machines.
const writtenProfile = `kernel = "linux"
[match]
mac = ["52:*"]
[vars]
host = "lab"
[[file]]
name = "preseed.cfg"
template = "{{ .Vars.host }} {{ .MAC }} {{ .IP }} {{ .Server }}\n"
`

// TestTextsAreRightForStockTools fetches what is written for a board as that board,
// which netbootd has heard of only by its REQUEST to the lease server.
func TestTextsAreRightForStockTools(t *testing.T) {
	need(t, "curl", "mkimage")
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"written": writtenProfile})
	s.start(ctx, t)
	wire, err := n.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	lease := request(t, dhcpv4.MessageTypeRequest,
		dhcpv4.OptClassIdentifier("U-Boot.armv8"), dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 22}),
		dhcpv4.OptServerIdentifier(lab.SiteAddr.AsSlice()), dhcpv4.OptRequestedIPAddress(lab.ClientAddr.AsSlice()))
	if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, lease.ToBytes()); err != nil {
		t.Fatal(err)
	}
	code, text := inClient(ctx, t, s, "curl", "--silent", "--show-error", tftpURL("preseed.cfg"))
	if want := fmt.Sprintf("lab %s %s %s\n", clientMAC, lab.ClientAddr, lab.BootAddr); code != 0 || string(text) != want {
		t.Errorf("preseed.cfg: exit code %d: %q, want %q", code, text, want)
	}
	script := filepath.Join(t.TempDir(), "boot.scr")
	if code, out := inClient(ctx, t, s, "curl", "--silent", "--show-error", "--output", script, tftpURL("boot.scr.uimg")); code != 0 {
		t.Fatalf("boot.scr.uimg: exit code %d: %s", code, out)
	}
	out, err := exec.CommandContext(ctx, "mkimage", "-l", script).CombinedOutput()
	for _, want := range []string{"Image Name:   netbootd written", "AArch64 Linux Script (uncompressed)"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("mkimage -l: %v, want %q in:\n%s", err, want, out)
		}
	}
}
