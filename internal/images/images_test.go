package images

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// newStore makes a store whose files are those of the map, and returns its
// directory too.
func newStore(t *testing.T, files map[string]string) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "images")
	s, err := Create(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return s, dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenTellsWhyNot(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"d/file": "x", ".netbootd/tmp/half": "x"})
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, "secret")
	for link, target := range map[string]string{
		"relative":        "d/file",
		"absolute-inside": filepath.Join(dir, "d/file"),
		"absolute":        outside,
		"climbing":        "../../" + filepath.Base(filepath.Dir(outside)) + "/secret",
		"loop":            "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"d/file":             nil,
		"relative":           nil,
		"absolute-inside":    ErrLinkOutside,
		"absolute":           ErrLinkOutside,
		"climbing":           ErrLinkOutside,
		"loop":               ErrLinkOutside,
		"pipe":               ErrNotRegular,
		"d":                  ErrNotRegular,
		"missing":            fs.ErrNotExist,
		"D/FILE":             fs.ErrNotExist,
		"d/file/below":       fs.ErrNotExist,
		"../images/d/file":   ErrLinkOutside,
		".netbootd/tmp/half": fs.ErrNotExist,
	} {
		f, err := s.Open(name)
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("Open(%q) = %v, want %v", name, err, want)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	if !errors.Is(ErrLinkOutside, fs.ErrPermission) || !errors.Is(ErrNotRegular, fs.ErrPermission) {
		t.Error("ErrLinkOutside and ErrNotRegular must wrap fs.ErrPermission")
	}
}

func TestFoldPrefersExactThenByteOrder(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, map[string]string{"Boot/BCD": "1", "boot/Fonts/x.ttf": "2", "B/f": "3", "b/F": "4", "b/f": "5", ".netbootd/x": "6"})
	for name, want := range map[string]string{
		"Boot/bcd":         "Boot/BCD",
		"boot/fonts/X.TTF": "boot/Fonts/x.ttf",
		"b/f":              "b/f",
		"B/F":              "B/f",
	} {
		if got, ok := s.Fold(name); !ok || got != want {
			t.Errorf("Fold(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"boot/none", "none/BCD", ".NETBOOTD/x", "boot/fonts/x.ttf/y"} {
		if got, ok := s.Fold(name); ok {
			t.Errorf("Fold(%q) = %q, want none", name, got)
		}
	}
}

func TestOpenFileKeepsItsBytes(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"renamed": "old bytes", "removed": "old bytes", "overwritten": "old bytes", "shortened": "old bytes"})
	open := make(map[string]*File)
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"renamed", "removed", "overwritten", "shortened"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
		f, err := s.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		open[name] = f
	}
	for name, f := range open { // what was just written is in memory, whatever the file system
		if buf := make([]byte, 9); runtime.GOOS == "linux" && (!f.ReadAtNow(buf, 0) || string(buf) != "old bytes") {
			t.Errorf("%s: read %q at once, want the old bytes", name, buf)
		}
		if f.ReadAtNow(make([]byte, 9), 1) {
			t.Errorf("%s: could be read at once beyond its end", name)
		}
	}
	write(t, filepath.Join(dir, "new"), "new bytes")
	for _, err := range []error{
		os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "renamed")),
		os.Remove(filepath.Join(dir, "removed")),
		os.WriteFile(filepath.Join(dir, "overwritten"), []byte("new bytes"), 0o644),
		os.Truncate(filepath.Join(dir, "shortened"), 3),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{"renamed": nil, "removed": nil, "overwritten": ErrChanged, "shortened": ErrChanged} {
		buf := make([]byte, 9)
		n, err := open[name].ReadAt(buf, 0)
		if want == nil && (string(buf[:n]) != "old bytes" || (err != nil && !errors.Is(err, io.EOF))) {
			t.Errorf("%s: read %q, %v, want the old bytes", name, buf[:n], err)
		}
		if want != nil && !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if want != nil && open[name].ReadAtNow(buf, 0) {
			t.Errorf("%s: could be read at once: %q", name, buf)
		}
	}
}

func TestVersionIsKeptBackWhileTheFileIsNew(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, map[string]string{"new": "x"})
	f, err := s.Open("new")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if v := f.Version(); v != nil {
		t.Errorf("Version of a file just written is %v, want nil", v)
	}
}
