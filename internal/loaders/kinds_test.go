package loaders

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
	"netbootd/internal/bootfile"
)

// put writes files below a new directory.
func put(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadersComeWithWhatTheyNeed(t *testing.T) {
	t.Parallel()
	x64, arm64 := string(pe(0x8664)), string(pe(0xaa64))
	dir := put(t, map[string]string{
		"bios/pxelinux.0":                        "code",
		"bios/lpxelinux.0":                       "code",
		"modules/ldlinux.c32":                    "module",
		"modules/menu.c32":                       "module",
		"shim/shimx64.efi.signed":                x64,
		"shim/shimaa64.efi.signed":               arm64, // has no GRUB
		"shim/mmx64.efi.signed":                  x64,
		"signed/grubnetx64.efi.signed":           x64,
		"signed/grubnetx64-installer.efi.signed": x64,
		"signed/grubx64.efi.signed":              x64, // cannot use the network
		"grub/x86_64-efi/kernel.img":             "kernel",
		"grub/i386-pc/boot.img":                  "no kernel",
		"grub/powerpc-ieee1275/kernel.img":       "for a machine that does not ask",
	})
	s := Scan([]string{dir + "/bios", dir + "/modules", dir + "/shim", dir + "/signed", dir + "/grub"})
	var got []string
	for _, l := range s.All() {
		got = append(got, l.TreeName()+" "+strings.TrimPrefix(l.Path, dir))
	}
	want := []string{
		"loaders/x86-bios/pxelinux/pxelinux.0 /bios/pxelinux.0",
		"loaders/x86-bios/pxelinux/lpxelinux.0 /bios/lpxelinux.0",
		"loaders/x64-uefi/grub/grub.efi /grub/x86_64-efi",
		"loaders/x64-uefi/shim/shimx64.efi /shim/shimx64.efi.signed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("loaders (-want +got):\n", diff)
	}
	for name, path := range map[string]string{
		"loaders/x86-bios/pxelinux/ldlinux.c32": "/modules/ldlinux.c32",
		"ldlinux.c32":                           "/modules/ldlinux.c32",
		"loaders/x64-uefi/shim/grubx64.efi":     "/signed/grubnetx64.efi.signed",
		"loaders/x64-uefi/shim/mmx64.efi":       "/shim/mmx64.efi.signed",
	} {
		if l, ok := s.Find(name, bootmenu.ArchUnknown, false); !ok || strings.TrimPrefix(l.Path, dir) != path {
			t.Errorf("%s is %q, %v, want %q", name, l.Path, ok, path)
		}
	}
	var skipped []string
	for _, k := range s.Skipped {
		skipped = append(skipped, strings.TrimPrefix(k.Path, dir)+" "+k.Why)
	}
	wantSkipped := []string{
		"/grub/i386-pc has no kernel.img, so it is no complete GRUB",
		"/shim/shimaa64.efi.signed has no grub beside it: install the Debian package grub-efi-amd64-signed (or -arm64-)",
	}
	if diff := cmp.Diff(wantSkipped, skipped); diff != "" {
		t.Error("skipped (-want +got):\n", diff)
	}
	for _, w := range s.Wanted() {
		if Hint(w.Arch, w.Kind) == "" || w == (bootmenu.LoaderFor{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderShim}) {
			t.Errorf("wanted: %v", w)
		}
	}
}

func TestEveryHintSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]bootmenu.LoaderFor{
		"apt-get install grub-common grub-efi-amd64-bin; or put the loader into a directory that loaders names":                            {Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderGRUB},
		"PXELINUX is for x86-bios; give x64-uefi another loader under [arch.x64-uefi]":                                                     {Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderPXELINUX},
		"no Debian package has iPXE for arm32-uefi; put one into a directory that loaders names, or give this arch a boot_file":            {Arch: bootmenu.ArchARM32UEFI, Kind: bootmenu.LoaderIPXE},
		"a Raspberry Pi starts a kernel by itself: put the files of its boot partition into a directory that root names":                   {Arch: bootmenu.ArchRPi, Kind: bootmenu.LoaderNone},
		"the Debian package ipxe has a loader for arm64-uefi from Debian 13 on; or put an iPXE for it into a directory that loaders names": {Arch: bootmenu.ArchARM64UEFI, Kind: bootmenu.LoaderIPXE},
	} {
		if got := Hint(f.Arch, f.Kind); got != want {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
}

var server = netip.MustParseAddr("198.18.0.2")

// TestGRUBIsMadeOnceForAnAddress has the host's own grub-mkimage make images.
func TestGRUBIsMadeOnceForAnAddress(t *testing.T) {
	t.Parallel()
	s := Scan([]string{"/usr/lib/grub"})
	l, ok := s.Find("loaders/x64-uefi/grub/grub.efi", bootmenu.ArchX64UEFI, false)
	if !ok {
		t.Fatalf("no GRUB for x64-uefi: %v (the Debian packages grub-common and grub-efi-amd64-bin have it)", s.Skipped)
	}
	dir := put(t, map[string]string{"grub-x64-uefi-198.18.0.2-0123456789abcdef.efi": "of an older GRUB"})
	b := NewBuilder(dir)
	paths := make([]string, 8)
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() {
			var err error
			if paths[i], err = b.Build(t.Context(), l, server); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	image, err := os.ReadFile(paths[0])
	if err != nil || !strings.Contains(string(image), "(tftp,198.18.0.2)/grub") {
		t.Fatalf("%d bytes without the address, %v", len(image), err)
	}
	f, err := os.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if arch, err := bootfile.MachineType(f); err != nil || arch != bootmenu.ArchX64UEFI {
		t.Errorf("made for %v, %v", arch, err)
	}
	before, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if p != paths[0] {
			t.Errorf("made as %s and %s", paths[0], p)
		}
	}
	if other, err := b.Build(t.Context(), l, netip.MustParseAddr("198.18.0.3")); err != nil || other == paths[0] {
		t.Errorf("for another address: %s, %v", other, err)
	}
	again, err := NewBuilder(dir).Build(t.Context(), l, server)
	after, statErr := os.Stat(again)
	if err != nil || statErr != nil || again != paths[0] || !os.SameFile(before, after) {
		t.Errorf("made once more: %s, %v, %v", again, err, statErr)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%d files are left, %v, want one for each address", len(entries), err)
	}
}

func TestGRUBThatCannotBeMadeLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := put(t, map[string]string{"x86_64-efi/kernel.img": "no kernel"})
	made := filepath.Join(t.TempDir(), "made")
	b := NewBuilder(made)
	l := Loader{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderGRUB, Name: "grub.efi", Path: filepath.Join(dir, "x86_64-efi"), Made: true}
	if _, err := b.Build(t.Context(), l, server); err == nil || !strings.HasPrefix(err.Error(), "GRUB cannot be made: grub-mkimage: exit status 1: ") {
		t.Errorf("without modules: %v", err)
	}
	if entries, err := os.ReadDir(made); err != nil || len(entries) != 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
	if _, err := b.Build(t.Context(), l, netip.IPv4Unspecified()); err == nil || err.Error() != "GRUB cannot be made: the address that it is to ask is unknown" {
		t.Errorf("without an address: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Build(ended, l, server); err == nil {
		t.Error("no error after the end")
	}
}
