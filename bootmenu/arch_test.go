package bootmenu

import "testing"

func TestArchNamesAreReadBackAsTheSameArch(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for a := range Arch(len(archs)) {
		if _, ok := a.row(); !ok {
			continue
		}
		if seen[a.String()] {
			t.Errorf("two archs are called %s", a)
		}
		seen[a.String()] = true
		if got, err := ParseArch(a.String()); err != nil || got != a {
			t.Errorf("ParseArch(%q) = %v, %v, want %d", a, got, err, a)
		}
	}
	if len(ArchNames()) != len(seen) {
		t.Errorf("ArchNames has %d names, the table %d rows", len(ArchNames()), len(seen))
	}
}

// TestArchTableIsComplete holds the table to IANA's: every value up to 41 has a
// name, except 9, which means 7.
func TestArchTableIsComplete(t *testing.T) {
	t.Parallel()
	for v := range uint16(ArchRPi) + 1 {
		a := ArchFromWire(v)
		if _, ok := a.row(); !ok {
			t.Errorf("value %d has no row", v)
		}
	}
	if ArchFromWire(9) != ArchX64UEFI || ArchFromWire(7) != ArchX64UEFI {
		t.Error("7 and 9 must both be x64-uefi")
	}
}

func TestParseArchTakesNumbersAndAnyCase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Arch{"X64-UEFI": ArchX64UEFI, "9": ArchX64UEFI, "0": ArchX86BIOS, "300": 300} {
		if got, err := ParseArch(in); err != nil || got != want {
			t.Errorf("ParseArch(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x64", "65535", "65536", "-1", "unknown"} {
		if got, err := ParseArch(in); err == nil {
			t.Errorf("ParseArch(%q) = %v, want an error", in, got)
		}
	}
}

func TestArchLabelIsOfAClosedSet(t *testing.T) {
	t.Parallel()
	labels := make(map[string]bool)
	for v := range 1 << 16 {
		labels[ArchFromWire(uint16(v)).Label()] = true
	}
	if want := len(ArchNames()) + 2; len(labels) != want { // "other" and "unknown"
		t.Errorf("%d labels, want %d", len(labels), want)
	}
}
