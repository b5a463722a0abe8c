package loaders

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

// pe is the beginning of an EFI program for a machine type.
func pe(machine uint16) []byte {
	b := make([]byte, 256)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return b
}

func TestScanKnowsLoadersByTheirContent(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	for name, b := range map[string][]byte{
		filepath.Join(first, "undionly.kpxe"):   []byte("\xea real mode code"),
		filepath.Join(first, "ipxe.pxe"):        []byte("\xea real mode code"),
		filepath.Join(first, "ipxe-arm64.efi"):  pe(0xaa64),
		filepath.Join(first, "snponly.efi"):     pe(0x8664),
		filepath.Join(first, "ipxe.iso"):        pe(0x8664),
		filepath.Join(second, "snponly.efi"):    pe(0x8664), // hidden by the first
		filepath.Join(second, "target.efi.bin"): pe(0x8664),
		filepath.Join(second, "ipxe-bad.efi"):   []byte("an error page"),
	} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Debian's ipxe.efi is an absolute link to another directory.
	if err := os.Symlink(filepath.Join(second, "target.efi.bin"), filepath.Join(first, "ipxe.efi")); err != nil {
		t.Fatal(err)
	}
	s := Scan([]string{first, filepath.Join(first, "missing"), second})
	var got []string
	for _, l := range s.All() {
		got = append(got, l.TreeName()+" "+strings.TrimPrefix(strings.TrimPrefix(l.Path, first), second))
	}
	want := []string{
		"loaders/x86-bios/ipxe/undionly.kpxe /undionly.kpxe",
		"loaders/x86-bios/ipxe/ipxe.pxe /ipxe.pxe",
		"loaders/x64-uefi/ipxe/snponly.efi /snponly.efi",
		"loaders/x64-uefi/ipxe/ipxe.efi /target.efi.bin",
		"loaders/arm64-uefi/ipxe/ipxe-arm64.efi /ipxe-arm64.efi",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("loaders (-want +got):\n", diff)
	}
	if len(s.Skipped) != 1 || !strings.Contains(s.Skipped[0].Why, "not an EFI program") {
		t.Errorf("skipped %v, want ipxe-bad.efi with its reason", s.Skipped)
	}
	wantPreferred := bootmenu.Loaders{
		{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderIPXE}:   "loaders/x86-bios/ipxe/undionly.kpxe",
		{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE}:   "loaders/x64-uefi/ipxe/snponly.efi",
		{Arch: bootmenu.ArchARM64UEFI, Kind: bootmenu.LoaderIPXE}: "loaders/arm64-uefi/ipxe/ipxe-arm64.efi",
	}
	if diff := cmp.Diff(wantPreferred, s.Preferred()); diff != "" {
		t.Error("preferred (-want +got):\n", diff)
	}
}

func TestFindTakesFullAndBareNames(t *testing.T) {
	t.Parallel()
	s := &Set{loaders: []Loader{
		{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE, Name: "ipxe.efi"},
		{Arch: bootmenu.ArchARM64UEFI, Kind: bootmenu.LoaderIPXE, Name: "ipxe.efi"},
		{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderIPXE, Name: "undionly.kpxe"},
	}}
	for _, c := range []struct {
		name string
		arch bootmenu.Arch
		fold bool
		want string
	}{
		{"loaders/arm64-uefi/ipxe/ipxe.efi", bootmenu.ArchX64UEFI, false, "loaders/arm64-uefi/ipxe/ipxe.efi"},
		{"ipxe.efi", bootmenu.ArchARM64UEFI, false, "loaders/arm64-uefi/ipxe/ipxe.efi"},
		{"ipxe.efi", bootmenu.ArchUnknown, false, ""}, // two of that name
		{"undionly.kpxe", bootmenu.ArchUnknown, false, "loaders/x86-bios/ipxe/undionly.kpxe"},
		{"undionly.kpxe", bootmenu.ArchX64UEFI, false, ""},
		{"UNDIONLY.KPXE", bootmenu.ArchUnknown, false, ""},
		{"UNDIONLY.KPXE", bootmenu.ArchUnknown, true, "loaders/x86-bios/ipxe/undionly.kpxe"},
		{"/etc/passwd", bootmenu.ArchUnknown, true, ""},
	} {
		l, ok := s.Find(c.name, c.arch, c.fold)
		if ok != (c.want != "") || ok && l.TreeName() != c.want {
			t.Errorf("Find(%q, %v, %v) = %v, %v, want %q", c.name, c.arch, c.fold, l, ok, c.want)
		}
	}
}
