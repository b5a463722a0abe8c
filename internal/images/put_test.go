package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sumOf is the sum of a text.
func sumOf(text string) Sum { return sha256.Sum256([]byte(text)) }

// reopen closes a store and opens it again, as a restart does.
func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Create(s.dir, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	return again
}

// mustPut stores a text.
func mustPut(t *testing.T, s *Store, name, text string) Info {
	t.Helper()
	i, err := s.Put(t.Context(), Target{Name: name}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// content is the text of a file in the store, or the error.
func content(s *Store, name string) string {
	f, err := s.Open(name)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// served is the tree without the store's own directory.
func served(t *testing.T, s *Store) map[string]string {
	t.Helper()
	files := tree(t, s.dir)
	maps.DeleteFunc(files, func(name, _ string) bool { return isPrivate(name) })
	return files
}

// litter is what lies in the directories that hold files which are not whole.
func litter(t *testing.T, s *Store) []string {
	t.Helper()
	var left []string
	for _, dir := range []string{tmpDir, uploadsDir} {
		entries, err := os.ReadDir(filepath.Join(s.dir, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, dir+"/"+e.Name())
		}
	}
	return left
}

func TestPutStoresAWholeFileWithItsFacts(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	origin := Origin{By: "ci", From: "198.18.0.7"}
	before := time.Now()
	got, err := s.Put(t.Context(), Target{Name: "/debian//linux", Origin: origin, SHA256: sumOf("kernel")}, strings.NewReader("kernel"))
	if err != nil {
		t.Fatal(err)
	}
	want := Info{Name: "debian/linux", Size: 6, SHA256: sumOf("kernel"), Origin: origin, Modified: got.Modified, Stored: got.Stored}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Stored.Before(before) || content(s, "debian/linux") != "kernel" {
		t.Errorf("stored at %v: %q", got.Stored, content(s, "debian/linux"))
	}
	s = reopen(t, s)
	again, err := s.Stat("debian/linux")
	if err != nil || !again.Stored.Equal(got.Stored) || again.SHA256 != got.SHA256 || again.Origin != origin {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestPutOfManyBuffersIsWhole(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	for _, size := range []int{0, 1, bufferBytes - 1, bufferBytes, bufferBytes + 1, 2*flushBytes + 7} {
		text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		i, err := s.Put(t.Context(), Target{Name: "f"}, iotest.HalfReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		if i.SHA256 != sumOf(text) || content(s, "f") != text {
			t.Errorf("%d bytes: stored with sha256 %s, %d bytes", size, i.SHA256, len(content(s, "f")))
		}
	}
}

func TestPutThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"f": "old", "d/g": "old"})
	if err := os.Symlink("f", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".netbootd/versions", filepath.Join(dir, "inside")); err != nil {
		t.Fatal(err)
	}
	cut := errors.New("connection cut")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := served(t, s)
	for name, c := range map[string]struct {
		ctx    context.Context
		target Target
		r      io.Reader
		want   error
	}{
		"the reader fails":                     {target: Target{Name: "f"}, r: io.MultiReader(strings.NewReader("ne"), iotest.ErrReader(cut)), want: cut},
		"a body that ends too early":           {target: Target{Name: "f"}, r: io.MultiReader(strings.NewReader("ne"), iotest.ErrReader(io.ErrUnexpectedEOF)), want: io.ErrUnexpectedEOF},
		"the context has ended":                {ctx: gone, target: Target{Name: "f"}, want: context.Canceled},
		"another sum was announced":            {target: Target{Name: "f", SHA256: sumOf("newer")}, want: ErrSum},
		"a file should be absent":              {target: Target{Name: "f", If: Condition{Absent: true}}, want: ErrConflict},
		"another file should be there":         {target: Target{Name: "f", If: Condition{SHA256: sumOf("older")}}, want: ErrConflict},
		"a file should be there and is not":    {target: Target{Name: "x", If: Condition{SHA256: sumOf("older")}}, want: ErrConflict},
		"a directory":                          {target: Target{Name: "d"}, want: ErrIsDirectory},
		"below a file":                         {target: Target{Name: "f/x"}, want: ErrNotDirectory},
		"a link":                               {target: Target{Name: "link"}, want: ErrNotRegular},
		"behind a link that leaves":            {target: Target{Name: "outside/x"}, want: ErrLinkOutside},
		"behind a link to what is the store's": {target: Target{Name: "inside/x"}, want: ErrName},
		"what is the store's":                  {target: Target{Name: ".netbootd/tmp/x"}, want: ErrName},
		"no name":                              {target: Target{Name: "/"}, want: ErrName},
		"a name that climbs":                   {target: Target{Name: "d/../../x"}, want: ErrName},
	} {
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		if c.r == nil {
			c.r = strings.NewReader("new")
		}
		_, err := s.Put(c.ctx, c.target, c.r)
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if diff := cmp.Diff(before, served(t, s)); diff != "" {
		t.Error(diff)
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestPutKeepsWhatItReplaces(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"f": "by hand"})
	for _, text := range []string{"1", "2", "3", "4"} {
		mustPut(t, s, "f", text)
	}
	check := func(s *Store) {
		t.Helper()
		kept, err := s.Versions("f")
		if err != nil || len(kept) != 3 {
			t.Fatalf("versions %+v, %v, want 3", kept, err)
		}
		for i, want := range []string{"3", "2", "1"} {
			f, err := s.OpenVersion("f", kept[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(io.NewSectionReader(f, 0, 9))
			if string(b) != want || err != nil || kept[i].SHA256 != sumOf(want) || kept[i].Name != "f" {
				t.Errorf("version %d: %q, %v, %+v, want %q", i, b, err, kept[i], want)
			}
			_ = f.Close()
		}
	}
	check(s)
	check(reopen(t, s))
	entries, err := os.ReadDir(filepath.Join(dir, versionsDir))
	if err != nil || len(entries) != 6 {
		t.Errorf("%d files for three versions, %v", len(entries), err)
	}
}

func TestPutOfTheSameContentKeepsTheFile(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	mustPut(t, s, "f", "same")
	before, err := s.present("f")
	if err != nil {
		t.Fatal(err)
	}
	i, err := s.Put(t.Context(), Target{Name: "f", Origin: Origin{By: "second"}}, strings.NewReader("same"))
	if err != nil || i.Origin.By != "second" {
		t.Errorf("%+v, %v", i, err)
	}
	if after, _ := s.present("f"); after != before {
		t.Error("the file was replaced by one with the same content")
	}
	if kept, _ := s.Versions("f"); len(kept) > 0 {
		t.Error("a version was kept of content that has not changed:", kept)
	}
}

func TestVersionsOfTheSameContentAreKeptOnce(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	for _, text := range []string{"a", "b", "a", "b", "c", "a"} {
		mustPut(t, s, "f", text)
	}
	var got []Sum
	kept, err := s.Versions("f")
	for _, r := range kept {
		got = append(got, r.SHA256)
	}
	if want := []Sum{sumOf("c"), sumOf("b")}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %v, %v, want c and b", got, err)
	}
}

func TestConditionsAreOfTheFileThatIsThere(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	put := func(text string, c Condition) error {
		_, err := s.Put(t.Context(), Target{Name: "f", If: c}, strings.NewReader(text))
		return err
	}
	if err := put("1", Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	if err := put("2", Condition{SHA256: sumOf("1")}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "f"), "by hand")
	if err := put("3", Condition{SHA256: sumOf("2")}); !errors.Is(err, ErrConflict) {
		t.Errorf("a file that was changed by hand: %v, want ErrConflict", err)
	}
	if err := put("3", Condition{SHA256: sumOf("by hand")}); err != nil {
		t.Error(err)
	}
}

func TestOneOfManyConditionalWritersWins(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	mustPut(t, s, "f", "first")
	const writers = 8
	errs := make(chan error, writers)
	for i := range writers {
		go func() {
			_, err := s.Put(t.Context(), Target{Name: "f", If: Condition{SHA256: sumOf("first")}}, strings.NewReader(strings.Repeat("x", i)))
			errs <- err
		}()
	}
	won := 0
	for range writers {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, ErrConflict):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won, want one", won)
	}
}

func TestReadersGetOneVersionEach(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	const readers, size = 50, 3 * bufferBytes
	whole := func(b byte) string { return strings.Repeat(string(b), size) }
	mustPut(t, s, "f", whole('a'))
	done := make(chan struct{})
	results := make(chan error, readers)
	for range readers {
		go func() { results <- readUntil(s, "f", done) }()
	}
	for b := byte('b'); b < 'n'; b++ {
		mustPut(t, s, "f", whole(b))
	}
	close(done)
	for range readers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// readUntil reads a file again and again, and fails if it is ever missing or mixed.
func readUntil(s *Store, name string, done <-chan struct{}) error {
	for {
		f, err := s.Open(name)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
		_ = f.Close()
		if err != nil {
			return err
		}
		if n := bytes.Count(b, b[:1]); n != 3*bufferBytes {
			return errors.New("a reader got a mix of two versions")
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}

func TestAFileChangedByHandIsNoticed(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	if _, err := s.Put(t.Context(), Target{Name: "f", Origin: Origin{By: "ci"}}, strings.NewReader("stored")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f")
	write(t, path, "edited")
	for _, when := range []time.Time{time.Now().AddDate(-30, 0, 0), time.Now().AddDate(30, 0, 0)} {
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		i, err := s.Stat("f")
		if err != nil || !i.SHA256.IsZero() || i.Origin != (Origin{}) || !i.Stored.IsZero() {
			t.Errorf("told of the file by hand what was true before: %+v, %v", i, err)
		}
		if sum, err := s.Hash(t.Context(), "f", SHA256); sum != sumOf("edited").String() || err != nil {
			t.Errorf("hashed to %s, %v", sum, err)
		}
	}
	s = reopen(t, s)
	if i, err := s.Stat("f"); err != nil || i.Origin != (Origin{}) {
		t.Errorf("after a restart: %+v, %v", i, err)
	}
}

func TestAStoreForReadingOnly(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"f": "x"})
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Put(t.Context(), Target{Name: "g"}, strings.NewReader("x")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Put: %v, want ErrReadOnly", err)
	}
	if i, err := r.Stat("f"); err != nil || i.Size != 1 {
		t.Errorf("Stat: %+v, %v", i, err)
	}
	if _, err := Create(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second store for writing: %v, want ErrInUse", err)
	}
	mustPut(t, s, "h", "x")
	if content(r, "h") != "x" {
		t.Error("what one store writes the other does not read")
	}
	if _, err := r.Stat("g"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
