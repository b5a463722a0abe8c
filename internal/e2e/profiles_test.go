//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
func newEverywhereServer(t *testing.T) (context.Context, *server) {
	t.Helper()
	need(t, "grub-mkimage", "/usr/lib/grub/x86_64-efi/tftp.mod", pxelinux, ldlinux)
	ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"debian": everywhereProfile})
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
// firmware would have been given.
func TestOneProfileBootsEveryMachine(t *testing.T) {
	cases := []struct {
		firmware lab.Firmware
		loader   string         // in the name of the case
		way      *regexp.Regexp // what netbootd logs of it
	}{
		{lab.BIOSPlainPXE, "PXELINUX", regexp.MustCompile(`file delivered.* file=\S*pxelinux\.cfg/\S+ `)},
		{lab.BIOSiPXE, "iPXE", regexp.MustCompile(`file delivered.* file=netbootd/boot\.ipxe `)},
		{lab.UEFI, "GRUB", regexp.MustCompile(`file delivered.* file=\S*grub\.cfg\S* `)},
		{lab.UEFIiPXE, "iPXE", regexp.MustCompile(`file delivered.* file=netbootd/boot\.ipxe `)},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%v through %s", tc.firmware, tc.loader), func(t *testing.T) {
			ctx, s := newEverywhereServer(t)
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

// TestOneProfileBootsABoard boots the arm64 kernel of the same profile with the
// two commands that U-Boot has for it.
func TestOneProfileBootsABoard(t *testing.T) {
	for name, commands := range map[string][]string{
		"pxe get":       {"pxe get", "pxe boot"},
		"a boot script": {"tftpboot ${scriptaddr} boot.scr.uimg", "source ${scriptaddr}"},
	} {
		t.Run(name, func(t *testing.T) {
			skipWithout(t, lab.RequireBoards())
			ctx, s := newEverywhereServer(t)
			s.start(ctx, t)
			board := powerOnBoard(ctx, t, s.net)
			// It takes no boot server from a proxy.
			uboot(ctx, t, board, "setenv autoload no; dhcp; setenv serverip "+lab.BootAddr.String())
			uboot(ctx, t, board, commands[0])
			if err := board.Type(commands[1] + "\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := board.Console.WaitFor(ctx, kernelWithInitrd); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// manyProfiles are the entries of a menu, of which the one at place want starts the
// Debian installer and the others a file that is no kernel.
func manyProfiles(n, want int) map[string]string {
	profiles := make(map[string]string)
	for i := range n {
		kernel := "debian12/initrd.gz"
		if i == want {
			kernel = "debian12/linux"
		}
		profiles[fmt.Sprintf("entry-%02d", i)] = fmt.Sprintf("title = \"Entry %02d\"\nkernel = %q\ninitrd = [\"debian12/initrd.gz\"]\ncmdline = \"console=ttyS0 ---\"\n", i, kernel)
	}
	return profiles
}

// TestMenuOfFortyOnTheConsole walks through a long menu with the keys of a terminal:
// to its end, past that of the screen, and up again. A BIOS holds 15 keys that nobody
// has read yet.
func TestMenuOfFortyOnTheConsole(t *testing.T) {
	const entries, want = 40, 33
	ctx, s := newBootServer(t, lab.Dnsmasq, manyProfiles(entries, want))
	dir := debianInstaller(t)
	for _, name := range []string{"linux", "initrd.gz"} {
		s.link(t, filepath.Join(dir, name), "debian12/"+name)
	}
	s.start(ctx, t)
	pc := powerOn(t, s.net, lab.PC{Firmware: lab.BIOSiPXE})
	if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(`Entry 05`)); err != nil {
		t.Fatal(err)
	}
	if err := pc.Type(lab.KeyEnd + strings.Repeat(lab.KeyUp, entries-1-want) + "\r"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(fmt.Sprintf(`file delivered.* file=netbootd/menu/entry-%02d\.ipxe `, want))); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.Console.WaitFor(ctx, kernelWithInitrd); err != nil {
		t.Fatal(err)
	}
}
