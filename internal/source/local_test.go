package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeTree makes a directory with files in it. A content that begins with -> is
// the target of a link.
func makeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(target, full)
		} else {
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var treeWithLinks = map[string]string{
	"boot/linux":      "kernel",
	"boot/initrd.gz":  "ramdisk",
	"linux":           "->boot/linux",
	"boot/up":         "->../linux",
	"nowhere":         "->missing",
	"sub/outside":     "->../../outside",
	"absolute":        "->/etc/hostname",
	"sub/top":         "->..",
	"sub/by-way-of":   "->top/../escape", // top leads to the tree, so .. leads out of it
	"sub/deep/x.conf": "",
}

func TestDirectoryKeepsLinksThatStayInside(t *testing.T) {
	t.Parallel()
	items, refused := list(t, open(t, makeTree(t, treeWithLinks), Options{}))
	got := make(map[string]string)
	for name, it := range items {
		got[name] = it.Link
	}
	want := map[string]string{
		"boot/linux": "", "boot/initrd.gz": "", "linux": "boot/linux", "boot/up": "../linux", "nowhere": "missing", "sub/top": "..", "sub/deep/x.conf": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantBytes(t, items["boot/linux"], 0, []byte("kernel"))
	wantBytes(t, items["boot/linux"], 3, []byte("kernel"))
	wantBytes(t, items["sub/deep/x.conf"], 0, nil)
	if diff := cmp.Diff([]string{"absolute", "sub/by-way-of", "sub/outside"}, slices.Sorted(maps.Keys(refused))); diff != "" {
		t.Error(diff)
	}
	err := refused["absolute"]
	if err == nil || !strings.HasSuffix(err.Error(), "absolute: a link to /etc/hostname, which is outside or an absolute path") || !strings.Contains(hintOf(err), "--follow") {
		t.Errorf("got %v, hint %q", err, hintOf(err))
	}
	if _, err := items["linux"].Open(t.Context(), 0); err == nil {
		t.Error("a link was opened")
	}
}

func TestDirectoryFollowsLinksWhenAsked(t *testing.T) {
	t.Parallel()
	out := makeTree(t, map[string]string{"d/file": "far"})
	dir := makeTree(t, map[string]string{"linux": "kernel", "link": "->linux", "far": "->" + out, "loop": "->.", "nowhere": "->missing"})
	items, refused := list(t, open(t, dir, Options{FollowLinks: true}))
	if diff := cmp.Diff([]string{"far/d/file", "link", "linux"}, slices.Sorted(maps.Keys(items))); diff != "" {
		t.Error(diff)
	}
	wantBytes(t, items["far/d/file"], 0, []byte("far"))
	wantBytes(t, items["link"], 0, []byte("kernel"))
	if err := refused["loop"]; err == nil || !strings.HasSuffix(err.Error(), "loop: a link to a directory that it lies in") {
		t.Error(err)
	}
	if err := refused["nowhere"]; !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestSpecialFilesAreRefusedByName(t *testing.T) {
	t.Parallel()
	dir := makeTree(t, map[string]string{"linux": "kernel"})
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	items, refused := list(t, open(t, dir, Options{}))
	if len(items) != 1 || refused["s"] == nil || !strings.HasSuffix(refused["s"].Error(), "s: neither a file nor a directory") {
		t.Errorf("got %v, refused %v", items, refused)
	}
}

func TestPipeIsReadAsItComes(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("kernel"); err != nil {
		t.Fatal(err)
	}
	it := single(t, open(t, fmt.Sprintf("/proc/self/fd/%d", r.Fd()), Options{}))
	if it.Size != -1 {
		t.Errorf("got %+v", it)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := it.Open(t.Context(), 1); err == nil {
		t.Error("it was opened in the middle")
	}
	wantBytes(t, it, 0, []byte("kernel"))
}

func TestEmptyDirectoryIsAnError(t *testing.T) {
	t.Parallel()
	_, refused := list(t, open(t, t.TempDir(), Options{}))
	if err := refused[""]; err == nil || !strings.HasSuffix(err.Error(), ": there is no file in it") {
		t.Error(err)
	}
}

func TestDirectoryIsConfinedAfterTheListing(t *testing.T) {
	t.Parallel()
	dir := makeTree(t, map[string]string{"d/linux": "kernel"})
	out := makeTree(t, map[string]string{"linux": "secret"})
	items, _ := list(t, open(t, dir, Options{}))
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "d")), os.Symlink(out, filepath.Join(dir, "d"))); err != nil {
		t.Fatal(err)
	}
	if r, err := items["d/linux"].Open(t.Context(), 0); err == nil {
		b, _ := io.ReadAll(r)
		t.Errorf("it was led outside, to %q", b)
	}
}

func TestLocalFileThatChangesIsNotMixed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	it := single(t, open(t, file, Options{}))
	r, err := it.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(file, 50_000); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, ErrChanged) {
		t.Errorf("got %d bytes and %v, want ErrChanged", n, err)
	}
	if err := readError(t, it); !errors.Is(err, ErrChanged) {
		t.Errorf("opened again: got %v, want ErrChanged", err)
	}
}

func TestLocalReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	it := single(t, open(t, filepath.Join(makeTree(t, map[string]string{"f": "x"}), "f"), Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := it.Open(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestMissingFileHints(t *testing.T) {
	t.Parallel()
	ref, err := Parse("host:/srv/linux")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), ref, Options{})
	if !errors.Is(err, os.ErrNotExist) || err.Error() != "host:/srv/linux: no such file or directory" || !strings.Contains(hintOf(err), "sftp://host/path") {
		t.Errorf("got %v, hint %q", err, hintOf(err))
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	it := single(t, open(t, "-", Options{Stdin: strings.NewReader("kernel")}))
	if it.Name != "" || it.Size != -1 {
		t.Errorf("got %+v", it)
	}
	if _, err := it.Open(t.Context(), 1); err == nil {
		t.Error("it was opened in the middle")
	}
	wantBytes(t, it, 0, []byte("kernel"))
	if _, err := it.Open(t.Context(), 0); err == nil {
		t.Error("it was opened twice")
	}
}
