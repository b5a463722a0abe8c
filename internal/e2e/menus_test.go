//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

const (
	menuModule = "/usr/lib/syslinux/modules/bios/menu.c32"
	grubBIOS   = "/usr/lib/grub/i386-pc/pxechain.mod"
)

// diskRuns is what the disk of a PC shows when it is booted from.
var diskRuns = regexp.MustCompile(`^the disk runs`)

// A menuCase is one way to a menu.
type menuCase struct {
	firmware lab.Firmware
	loader   string // that draws it
	lists    bool   // PXELINUX has no module to draw it with
}

func (c menuCase) String() string {
	text := fmt.Sprintf("%s on %v", c.loader, c.firmware)
	if c.lists {
		text += " without its module"
	}
	return text
}

// newMenuServer has a menu of so many entries, each of which is a program that tells
// its number.
func (c menuCase) newMenuServer(t *testing.T, entries int, timeout string) (context.Context, *server) {
	t.Helper()
	skipWithout(t, lab.RequirePrograms())
	need(t, pxelinux, ldlinux, menuModule, grubBIOS)
	profiles := make(map[string]string)
	for i := range entries {
		profiles[fmt.Sprintf("e%d", i)] = fmt.Sprintf("title = \"Entry %d\"\norder = %[1]d\nboot_file = \"programs/%[1]d\"\n", i)
	}
	ctx, s := newBootServer(t, lab.Dnsmasq, profiles)
	dir := filepath.Join(s.images, "programs")
	makeDir(t, dir)
	for i := range entries {
		c.makeProgram(ctx, t, filepath.Join(dir, fmt.Sprint(i)), fmt.Sprintf("entry %d runs", i))
	}
	settings := s.settings("eth0")
	if c.lists {
		loaders := filepath.Join(s.dir, "loaders")
		makeDir(t, loaders)
		for _, file := range []string{pxelinux, ldlinux} {
			copyFile(t, file, filepath.Join(loaders, filepath.Base(file)))
		}
		settings = "loaders = [\"loaders\"]\n" + settings
	}
	writeFile(t, s.config, settings+fmt.Sprintf("[menu]\nloader = %q\ntimeout = %q\n", c.loader, timeout))
	s.start(ctx, t)
	return ctx, s
}

// makeProgram makes one that shows a text.
func (c menuCase) makeProgram(ctx context.Context, t *testing.T, file, text string) {
	t.Helper()
	var err error
	if c.firmware == lab.UEFI {
		err = lab.MakeEFIProgram(ctx, file, text)
	} else {
		err = os.WriteFile(file, lab.BIOSProgram(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEachLoaderStartsWhatIsPickedInItsMenu types at the console of a PC.
func TestEachLoaderStartsWhatIsPickedInItsMenu(t *testing.T) {
	walk := strings.Repeat(lab.KeyDown, 3) + "\r" // past the disk and two entries
	cases := []struct {
		menuCase
		shown *regexp.Regexp
		keys  string
	}{
		{menuCase{lab.UEFI, "grub", false}, regexp.MustCompile(`Entry 2`), walk},
		{menuCase{lab.BIOSPlainPXE, "grub", false}, regexp.MustCompile(`Entry 2`), walk},
		{menuCase{lab.BIOSPlainPXE, "pxelinux", false}, regexp.MustCompile(`Entry 2`), walk},
		{menuCase{lab.BIOSPlainPXE, "pxelinux", true}, regexp.MustCompile(`^boot:`), "profile-e2\r"},
	}
	for _, tc := range cases {
		t.Run(tc.String(), func(t *testing.T) {
			ctx, s := tc.newMenuServer(t, 4, "0s")
			pc := powerOn(t, s.net, lab.PC{Firmware: tc.firmware})
			if _, err := pc.Console.WaitFor(ctx, tc.shown); err != nil {
				t.Fatal(err)
			}
			if err := pc.Type(tc.keys); err != nil {
				t.Fatal(err)
			}
			if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(`^entry 2 runs`)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(`file delivered.* file=/?programs/2 profile=e2 `)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEachMenuBootsFromDiskByItself waits until the time to pick is over. iPXE on UEFI
// is left out: the firmware then goes through its other ways to boot from the network
// for minutes before it comes to the disk.
func TestEachMenuBootsFromDiskByItself(t *testing.T) {
	for _, c := range []menuCase{
		{lab.UEFI, "grub", false},
		{lab.BIOSPlainPXE, "grub", false},
		{lab.BIOSPlainPXE, "pxelinux", false},
		{lab.BIOSPlainPXE, "pxelinux", true},
		{lab.BIOSiPXE, "ipxe", false},
	} {
		t.Run(c.String(), func(t *testing.T) {
			ctx, s := c.newMenuServer(t, 2, "1s")
			disk, err := lab.MakeDisk(ctx, s.dir, c.firmware, "the disk runs")
			if err != nil {
				t.Fatal(err)
			}
			pc := powerOn(t, s.net, lab.PC{Firmware: c.firmware, Disk: disk})
			if _, err := pc.Console.WaitFor(ctx, diskRuns); err != nil {
				t.Fatal(err)
			}
			log := strings.Join(s.proc.Stderr.Lines(), "\n")
			if read := regexp.MustCompile(`file delivered.* file=\S*(grub\.cfg|pxelinux\.cfg|boot\.ipxe)`); !read.MatchString(log) {
				t.Error("netbootd delivered no menu")
			}
		})
	}
}

// TestMenuOfFortyOnTheConsole walks through a long menu with the keys of a terminal:
// to its end, past that of the screen, and up again. A BIOS holds 15 keys that nobody
// has read yet.
func TestMenuOfFortyOnTheConsole(t *testing.T) {
	// The keys fill the 16 bytes of the serial port, and no more: a sequence that has
	// to wait for room comes in two, and its first half cancels the menu.
	const entries, want = 40, 35
	ctx, s := menuCase{firmware: lab.BIOSiPXE, loader: "ipxe"}.newMenuServer(t, entries, "0s")
	pc := powerOn(t, s.net, lab.PC{Firmware: lab.BIOSiPXE})
	if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(`Entry 5`)); err != nil {
		t.Fatal(err)
	}
	if err := pc.Type(lab.KeyEnd + strings.Repeat(lab.KeyUp, entries-1-want) + "\r"); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.Console.WaitFor(ctx, regexp.MustCompile(fmt.Sprintf(`^entry %d runs`, want))); err != nil {
		t.Fatal(err)
	}
}
