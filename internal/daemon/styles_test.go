package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netbootd/bootmenu"
)

func TestStylesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Unix(1e9, 0)
	open := func() *stylesFile {
		t.Helper()
		s, err := openStyles(dir, func() time.Time { return now }, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	pc, guid := bootmenu.MACFromBytes([]byte{0x52, 0x54, 0, 0, 0, 1}), bootmenu.MACFromBytes(make([]byte, 16))
	s := open()
	if got := s.Style(pc, bootmenu.ArchX64UEFI); got != "" {
		t.Errorf("nothing was noted yet: %q", got)
	}
	s.Followed(pc, bootmenu.ArchX64UEFI, bootmenu.StyleSkip)
	s.Followed(guid, 4711, bootmenu.StyleBare)
	s.Followed(guid, 4711, bootmenu.StyleBare) // no news, no write
	s = open()
	if s.rev != 2 || s.Style(pc, bootmenu.ArchX64UEFI) != bootmenu.StyleSkip || s.Style(guid, 4711) != bootmenu.StyleBare || s.Style(pc, bootmenu.ArchX86BIOS) != "" {
		t.Errorf("revision %d, %+v", s.rev, s.machines)
	}

	now = now.Add(styleAge)
	s.Followed(pc, bootmenu.ArchX64UEFI, bootmenu.StyleSkip) // still so
	now = now.Add(time.Second)
	if s.Style(pc, bootmenu.ArchX64UEFI) != bootmenu.StyleSkip || s.Style(guid, 4711) != "" {
		t.Errorf("after %s: %+v", styleAge, s.machines)
	}
	s.Followed(pc, bootmenu.ArchX64UEFI, bootmenu.StyleBare)
	if s = open(); len(s.machines) != 1 || s.rev != 4 {
		t.Errorf("what is too old must go: revision %d, %+v", s.rev, s.machines)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestStylesThatCannotBeKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var failed error
	s, err := openStyles(dir, time.Now, func(err error) { failed = err })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	pc := bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, 1})
	s.Followed(pc, bootmenu.ArchX64UEFI, bootmenu.StyleSkip)
	if failed == nil || s.Style(pc, bootmenu.ArchX64UEFI) != bootmenu.StyleSkip {
		t.Errorf("told %v; for this process the memory stands", failed)
	}
}

func TestStylesOfAnUnknownFormatAreAReasonNotToStart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"format":99}`: "has format 99",
		`{`:             "styles.json: ",
		`{"format":1,"machines":[{"mac":"52-54"}]}`: "not a MAC address",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "styles.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := openStyles(dir, time.Now, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}
