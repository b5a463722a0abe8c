//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/internal/e2e/lab"
)

// debianProfile boots the Debian installer on every virtual PC.
const debianProfile = `title = "Debian 12 installer"
kernel = "debian12/linux"
initrd = ["debian12/initrd.gz"]
cmdline = "console=ttyS0 ---"
[match]
mac = ["52:54:00:*"]
arch = ["x86-bios", "x64-uefi"]
`

// kernelWithInitrd is what Linux prints when it has unpacked its initrd and
// starts the first program in it.
var kernelWithInitrd = regexp.MustCompile(`Run /init as init process`)

func TestRealFirmwareBootsLinux(t *testing.T) {
	cases := []struct {
		firmware lab.Firmware
		way      *regexp.Regexp // what the console shows on the intended way
	}{
		{lab.BIOSiPXE, regexp.MustCompile(`PXE\S* starting execution|iPXE initialising devices`)},
		{lab.BIOSPlainPXE, regexp.MustCompile(`using undionly on`)},
		{lab.UEFI, regexp.MustCompile(`NBP filename is \S*snponly\.efi`)},
	}
	for _, tc := range cases {
		for _, site := range []lab.SiteServer{lab.Dnsmasq, lab.Udhcpd} {
			t.Run(fmt.Sprintf("%v boots beside %s", tc.firmware, site), func(t *testing.T) {
				ctx, s := newBootServer(t, site, map[string]string{"debian": debianProfile})
				dir := debianInstaller(t)
				s.link(t, filepath.Join(dir, "linux"), "debian12/linux")
				s.link(t, filepath.Join(dir, "initrd.gz"), "debian12/initrd.gz")
				s.start(ctx, t)
				pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware})
				for _, want := range []*regexp.Regexp{tc.way, kernelWithInitrd} {
					if _, err := pc.Console.WaitFor(ctx, want); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestPlainBootFileReachesOneMachine(t *testing.T) {
	cases := []struct {
		name     string
		firmware lab.Firmware
		file     string
		want     *regexp.Regexp
	}{
		{"BIOS with an iPXE ROM runs a script", lab.BIOSiPXE, "boards/hello.ipxe", regexp.MustCompile(`^the plain boot file runs`)},
		{"UEFI loads a program", lab.UEFI, "boards/hello.efi", regexp.MustCompile(`NBP file downloaded successfully`)},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			const mac = "52:54:00:00:00:07"
			profile := fmt.Sprintf("boot_file = %q\n[match]\nmac = [%q]\n", tc.file, mac)
			ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"board": profile})
			boards := filepath.Join(s.images, "boards")
			makeDir(t, boards)
			writeFile(t, filepath.Join(boards, "hello.ipxe"), "#!ipxe\necho the plain boot file runs\nshell\n")
			copyFile(t, "/usr/lib/ipxe/snponly.efi", filepath.Join(boards, "hello.efi"))
			s.start(ctx, t)
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware, MAC: mac})
			if _, err := pc.Console.WaitFor(ctx, tc.want); err != nil {
				t.Fatal(err)
			}
			if console := strings.Join(pc.Console.Lines(), "\n"); !strings.Contains(console, tc.file) {
				t.Errorf("the console does not name %s:\n%s", tc.file, console)
			}
			if tc.firmware == lab.UEFI {
				checkProbeThenRead(ctx, t, s, tc.file)
			}
		})
	}
}

// checkProbeThenRead looks at what EDK2 has done by TFTP: it asks for the size,
// ends that transfer with ERROR 8, and reads the file in windows of 4. The first
// is a probe and no failure.
func checkProbeThenRead(ctx context.Context, t *testing.T, s *server, file string) {
	t.Helper()
	delivered := regexp.MustCompile(`file delivered.* file=` + regexp.QuoteMeta(file) + ` .*blksize=1468 windowsize=4 `)
	if _, err := s.proc.Stderr.WaitFor(ctx, delivered); err != nil {
		t.Fatal(err)
	}
	page, err := s.net.Get(ctx, lab.BootPlace, metricsURL)
	if err != nil {
		t.Fatal(err)
	}
	results := make(map[string]string)
	for _, m := range regexp.MustCompile(`netbootd_tftp_transfers_total\{.*result="(\w+)"\} ([1-9]\d*)`).FindAllStringSubmatch(string(page), -1) {
		results[m[1]] = m[2]
	}
	if diff := cmp.Diff(map[string]string{"probe": "1", "delivered": "1"}, results); diff != "" {
		t.Error("transfers by result (-want +got):\n", diff)
	}
}

// newBootServer makes a network with a site's DHCP server and a netbootd that
// is not started yet.
func newBootServer(t *testing.T, site lab.SiteServer, profiles map[string]string) (context.Context, *server) {
	t.Helper()
	needPCs(t)
	need(t, "busybox")
	ctx, n := newNetwork(t)
	if _, err := n.StartSite(ctx, site, nil); err != nil {
		t.Fatal(err)
	}
	return ctx, newServer(t, n, profiles)
}

func powerOn(t *testing.T, n *lab.Network, pc lab.PC) *lab.Machine {
	t.Helper()
	m, err := n.PowerOn(pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.PowerOff()
		if t.Failed() {
			t.Log(m.Process.Output())
		}
	})
	return m
}

// copyInstaller copies the installer's kernel and initrd once into the lab's
// own file system, where all cases can link to them.
var copyInstaller = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "debian12-")
	if err != nil {
		return "", err
	}
	return dir, lab.CopyInstaller(dir, lab.DebianInstaller)
})

// arm64Installer is the same for boards, in the package that is only unpacked.
const arm64Installer = "../../build/pkg/debian-installer-12-netboot-arm64/usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64"

var copyARM64Installer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "debian12-arm64-")
	if err != nil {
		return "", err
	}
	return dir, lab.CopyInstaller(dir, arm64Installer)
})

func debianInstaller(t *testing.T) string {
	t.Helper()
	dir, err := copyInstaller()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func makeDir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, string(content))
}
