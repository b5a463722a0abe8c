//go:build linux

package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

// Loaders of Debian's packages.
const (
	pxelinux = "/usr/lib/PXELINUX/pxelinux.0"
	ldlinux  = "/usr/lib/syslinux/modules/bios/ldlinux.c32"
)

// TestPXELINUXReadsItsConfiguration has PXELINUX ask for its module and for its
// configuration. Somebody wrote the last of all the names it tries by hand, so none
// of those before it is written from the profile.
func TestPXELINUXReadsItsConfiguration(t *testing.T) {
	need(t, pxelinux, ldlinux)
	ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"pc": "kernel = \"linux\"\nloader = \"pxelinux\"\n[match]\nmac = [\"52:54:00:*\"]\narch = [\"x86-bios\"]\n"})
	s.link(t, filepath.Join(debianInstaller(t), "linux"), "linux")
	makeDir(t, filepath.Join(s.images, "pxelinux.cfg"))
	writeFile(t, filepath.Join(s.images, "pxelinux.cfg", "default"), "SERIAL 0\nSAY pxelinux has read this\nPROMPT 1\n")
	s.start(ctx, t)
	pc := powerOn(t, s.net, lab.PC{Firmware: lab.BIOSPlainPXE})
	for _, name := range []string{"ldlinux.c32", "pxelinux.cfg/default"} {
		delivered := regexp.MustCompile(fmt.Sprintf(`file delivered.* file=loaders/x86-bios/pxelinux/%s .*blksize=1408 `, regexp.QuoteMeta(name)))
		if _, err := s.proc.Stderr.WaitFor(ctx, delivered); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(`pxelinux has read this`)); err != nil {
		t.Fatal(err)
	}
	warning := regexp.MustCompile(`level=WARN msg="a hand-written file stands in for what is generated" profile=pc why="pxelinux\.cfg/default was written by hand, `)
	if _, err := s.proc.Stderr.WaitFor(ctx, warning); err != nil {
		t.Error(err)
	}
	for _, command := range []string{"check", "status"} {
		if out, _ := s.command(ctx, command).CombinedOutput(); !strings.Contains(string(out), "pxelinux.cfg/default was written by hand") {
			t.Errorf("netbootd %s does not warn of it:\n%s", command, out)
		}
	}
}

// TestGRUBReadsItsConfiguration has a GRUB load a file. Its image holds the server's
// address: without, GRUB asks the siaddr of the site's DHCP server.
func TestGRUBReadsItsConfiguration(t *testing.T) {
	need(t, "grub-mkimage", "/usr/lib/grub/x86_64-efi/tftp.mod")
	ctx, s := newBootServer(t, lab.Dnsmasq, map[string]string{"board": "boot_file = \"grub/core.efi\"\n[match]\nmac = [\"52:54:00:*\"]\n"})
	makeDir(t, filepath.Join(s.images, "grub"))
	mkimage := exec.CommandContext(ctx, "grub-mkimage", "--format", "x86_64-efi", "--prefix", fmt.Sprintf("(tftp,%s)/grub", lab.BootAddr),
		"--output", filepath.Join(s.images, "grub", "core.efi"), "efinet", "tftp", "normal", "echo")
	if out, err := mkimage.CombinedOutput(); err != nil {
		t.Fatalf("grub-mkimage: %v\n%s", err, out)
	}
	writeFile(t, filepath.Join(s.images, "grub", "grub.cfg"), "echo grub has read this\n")
	s.start(ctx, t)
	pc := powerOn(t, s.net, lab.PC{Firmware: lab.UEFI})
	delivered := regexp.MustCompile(`file delivered.* file=\S*grub/grub\.cfg .*blksize=1024 `)
	if _, err := s.proc.Stderr.WaitFor(ctx, delivered); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(`grub has read this`)); err != nil {
		t.Fatal(err)
	}
}
