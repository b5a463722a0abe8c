package images

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newInbox(t *testing.T, o InboxOptions) *Inbox {
	t.Helper()
	in, err := OpenInbox(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// put writes a whole file.
func put(in *Inbox, name, text string, announced int64) error {
	p, err := in.Create(name, announced)
	if err != nil {
		return err
	}
	if _, err := p.Write([]byte(text)); err != nil {
		return errors.Join(err, p.Abort())
	}
	return p.Commit()
}

// tree is the names of all files below a directory, with their text, or the target
// of a link.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if e.Type() == fs.ModeSymlink {
			files[strings.TrimPrefix(path, dir+"/")], err = os.Readlink(path)
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestInboxTakesWholeFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := newInbox(t, InboxOptions{Dir: dir, Quota: 100})
	p, err := in.Create("logs/board1/dmesg", 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got["logs/board1/dmesg"] != "" {
		t.Error("a file was seen before it was whole")
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); len(got) != 1 || got["logs/board1/dmesg"] != "hello" {
		t.Errorf("got %v", got)
	}
}

func TestInboxRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "outside")
	write(t, filepath.Join(dir, "old"), "0123456789")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	in := newInbox(t, InboxOptions{Dir: dir, Quota: 20})
	for name, c := range map[string]struct {
		file      string
		text      string
		announced int64
		want      error
	}{
		"a name that is taken":        {"old", "new", -1, fs.ErrExist},
		"more announced than is left": {"big", "x", 11, ErrFull},
		"more written than is left":   {"big", "01234567890", -1, ErrFull},
		"a link":                      {"link", "x", -1, fs.ErrPermission},
		"a directory":                 {"sub", "x", -1, fs.ErrPermission},
		"the name of a partial file":  {".partial-9", "x", -1, fs.ErrPermission},
	} {
		if err := put(in, c.file, c.text, c.announced); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := put(in, "../climb", "x", -1); err == nil {
		t.Error("a name that climbs was taken")
	}
	if b, _ := os.ReadFile(outside); string(b) != "outside" {
		t.Errorf("the file outside is %q", b)
	}
	if err := put(in, "fits", "0123456789", 10); err != nil {
		t.Errorf("all that was refused must not count: %v", err)
	}
	if got := tree(t, dir); len(got) != 3 || got["old"] != "0123456789" {
		t.Errorf("left behind: %v", got)
	}
}

func TestInboxOverwritesOnlyWithLeave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := newInbox(t, InboxOptions{Dir: dir, Quota: 10, Overwrite: true})
	for _, text := range []string{"12345", "abc", "defgh"} {
		if err := put(in, "f", text, -1); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree(t, dir); len(got) != 1 || got["f"] != "defgh" {
		t.Errorf("got %v", got)
	}
	if err := put(in, "g", "12345", -1); err != nil {
		t.Errorf("what was replaced must not count: %v", err)
	}
	if err := put(in, "h", "x", -1); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestInboxIsOfOneMindWhenTwoWriteTheSameName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := newInbox(t, InboxOptions{Dir: dir, Quota: 100})
	first, err1 := in.Create("f", -1)
	second, err2 := in.Create("f", -1)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	_, err1 = first.Write([]byte("first"))
	_, err2 = second.Write([]byte("second"))
	if err := errors.Join(err1, err2, second.Commit()); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the later one: %v, want fs.ErrExist", err)
	}
	if got := tree(t, dir); len(got) != 1 || got["f"] != "second" {
		t.Errorf("got %v", got)
	}
}

func TestInboxTidiesUpAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".partial-7"), "half of a file")
	write(t, filepath.Join(dir, "logs/whole"), "12345")
	in := newInbox(t, InboxOptions{Dir: dir, Quota: 10})
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("got %v, want the whole file alone", got)
	}
	if err := put(in, "f", "123456", -1); !errors.Is(err, ErrFull) {
		t.Errorf("what is there must count: %v", err)
	}
}
