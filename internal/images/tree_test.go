package images

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                       ".",
		"/":                      ".",
		"a//b/./c/":              "a/b/c",
		"///a":                   "a",
		"ä/ö":                    "ä/ö",
		".netbootdx/a":           ".netbootdx/a",
		"a/.netbootd":            "a/.netbootd",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
	} {
		if got, err := Clean(name); got != want || err != nil {
			t.Errorf("Clean(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{
		"..", "a/..", "a/../b", "/../a", ".netbootd", "/.netbootd/", "./.netbootd/tmp", ".//.netbootd/x",
		`a\b`, "a\nb", "a\x00", "a\xff", strings.Repeat("x", 256), strings.Repeat("abcdefg/", 129) + "x",
	} {
		if got, err := Clean(name); !errors.Is(err, ErrName) {
			t.Errorf("Clean(%q) = %q, %v, want ErrName", name, got, err)
		}
	}
}

func TestListShowsWhatIsThereAndHidesTheStoresOwn(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"b/c/d": "1", "b/a": "22", "a\tb": "333"})
	mustPut(t, s, "a", "4444")
	for link, target := range map[string]string{"b/up": "../a", "dir": "b", "out": "/etc", "lost": "nothing"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	type row struct {
		Name, Link  string
		Dir, Broken bool
		Size        int64
		SHA256      Sum
	}
	rows := func(all []Info, err error) (got []row) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			got = append(got, row{i.Name, i.Link, i.Dir, i.Broken, i.Size, i.SHA256})
		}
		return got
	}
	top := []row{
		{Name: "a", Size: 4, SHA256: sumOf("4444")},
		{Name: "a\tb", Size: 3},
		{Name: "b", Dir: true},
		{Name: "dir", Link: "b", Dir: true},
		{Name: "lost", Link: "nothing", Broken: true},
		{Name: "out", Link: "/etc", Broken: true},
	}
	below := []row{
		{Name: "b/a", Size: 2},
		{Name: "b/c", Dir: true},
		{Name: "b/c/d", Size: 1},
		{Name: "b/up", Link: "../a", Size: 4},
	}
	if diff := cmp.Diff(top, rows(s.List(""))); diff != "" {
		t.Error(diff)
	}
	all := append(append(append([]row{}, top[:3]...), below...), top[3:]...)
	if diff := cmp.Diff(all, rows(s.ListAll(t.Context(), "/"))); diff != "" {
		t.Error(diff)
	}
	if _, err := s.List("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := s.List("a"); !errors.Is(err, ErrNotDirectory) {
		t.Error(err)
	}
	for name, want := range map[string]bool{"a": true, "b": true, "dir/a": true, "out": false, "lost": false, "x": false, "a/x": false, "out/passwd": false} {
		if got, err := s.Exists(name); got != want || err != nil {
			t.Errorf("Exists(%q) = %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := s.Stat("out"); !errors.Is(err, ErrLinkOutside) {
		t.Error(err)
	}
}

func TestHashOfEachAlgorithm(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, map[string]string{"f": "123456789"})
	for a, want := range map[Algorithm]string{
		CRC32:  "cbf43926",
		MD5:    "25f9e794323b453885f5181f1b624d0b",
		SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
		SHA512: "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
	} {
		if got, err := s.Hash(t.Context(), "f", a); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", a, got, err, want)
		}
	}
	if _, err := s.Hash(t.Context(), "f", "sha1"); err == nil || !strings.Contains(err.Error(), "sha512") {
		t.Errorf("an algorithm that there is not: %v", err)
	}
	if _, err := s.Hash(t.Context(), ".", MD5); !errors.Is(err, ErrName) {
		t.Error(err)
	}
}

func TestHashIsRememberedOfAFileThatIsOldEnough(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"old": "x", "young": "x"})
	f, err := s.Open("old")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	f.shared = true // as it is two seconds later
	future := time.Now().AddDate(1, 0, 0)
	if err := os.Chtimes(filepath.Join(dir, "young"), future, future); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if sum, err := s.sumOf(t.Context(), "old", f); sum != sumOf("x") || err != nil {
			t.Error(sum, err)
		}
	}
	if _, err := s.Hash(t.Context(), "young", SHA256); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]Sum{"old": sumOf("x"), "young": {}} {
		if i, err := s.Stat(name); err != nil || i.SHA256 != want {
			t.Errorf("%s: %s, %v, want %s", name, i.SHA256, err, want)
		}
	}
	s = reopen(t, s)
	if i, _ := s.Stat("old"); i.SHA256 != sumOf("x") {
		t.Error("the sum did not survive a restart")
	}
	write(t, filepath.Join(dir, "old"), "y")
	if i, _ := s.Stat("old"); !i.SHA256.IsZero() {
		t.Error("the sum outlived its file")
	}
}

func TestCopyIsAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"d/a": "text", "b": "old"})
	i, err := s.Copy(t.Context(), "d/a", Target{Name: "b", Origin: Origin{By: "me"}, SHA256: sumOf("text")})
	if err != nil || i.Name != "b" || i.SHA256 != sumOf("text") || i.Origin.By != "me" {
		t.Errorf("%+v, %v", i, err)
	}
	write(t, filepath.Join(dir, "d/a"), "edit") // in place, as cp does
	if got := content(s, "b"); got != "text" {
		t.Errorf("the copy changed with its source to %q", got)
	}
	if kept, _ := s.Versions("b"); len(kept) != 1 {
		t.Error("what the copy has replaced is not kept:", kept)
	}
	for name, c := range map[string]struct {
		from string
		to   Target
		want error
	}{
		"nothing":          {"x", Target{Name: "c"}, fs.ErrNotExist},
		"a directory":      {"d", Target{Name: "c"}, ErrIsDirectory},
		"to a directory":   {"b", Target{Name: "d"}, ErrIsDirectory},
		"to a taken name":  {"d/a", Target{Name: "b", If: Condition{Absent: true}}, ErrConflict},
		"of the wrong sum": {"d/a", Target{Name: "b", SHA256: sumOf("text")}, ErrSum},
	} {
		if _, err := s.Copy(t.Context(), c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestRenameMovesFactsAndKeepsWhatItReplaces(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"empty/.": "", "full/f": "x"})
	_ = os.Remove(filepath.Join(dir, "empty/."))
	origin := Origin{By: "ci"}
	for _, name := range []string{"a", "d/e/f"} {
		if _, err := s.Put(t.Context(), Target{Name: name, Origin: origin}, strings.NewReader("new "+name)); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, "b", "old b")
	rename := func(from, to string) Info {
		t.Helper()
		i, err := s.Rename(t.Context(), from, to, Condition{})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if i := rename("a", "b"); i.Origin != origin || i.SHA256 != sumOf("new a") {
		t.Errorf("the facts did not move: %+v", i)
	}
	if kept, _ := s.Versions("b"); len(kept) != 1 || kept[0].SHA256 != sumOf("old b") {
		t.Errorf("versions %+v", kept)
	}
	if i := rename("d", "deep/er/d"); !i.Dir {
		t.Errorf("%+v", i)
	}
	if i, err := s.Stat("deep/er/d/e/f"); err != nil || i.Origin != origin {
		t.Errorf("the facts did not move with the directory: %+v, %v", i, err)
	}
	for name, c := range map[string]struct {
		from, to string
		c        Condition
		want     error
	}{
		"nothing":                      {from: "x", to: "y", want: fs.ErrNotExist},
		"a directory into itself":      {from: "deep", to: "deep/x/y", want: ErrName},
		"a directory onto a full one":  {from: "deep", to: "full", want: ErrNotEmpty},
		"a directory onto a file":      {from: "deep", to: "b", want: ErrNotDirectory},
		"a file onto a directory":      {from: "b", to: "full", want: ErrIsDirectory},
		"a file onto one it shall not": {from: "b", to: "full/f", c: Condition{Absent: true}, want: ErrConflict},
	} {
		if _, err := s.Rename(t.Context(), c.from, c.to, c.c); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	rename("b", "b")
	want := map[string]string{"b": "new a", "deep/er/d/e/f": "new d/e/f", "full/f": "x"}
	if diff := cmp.Diff(want, served(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"d/e/f": "1", "d/g": "2", "h": "3"})
	if err := os.Symlink("h", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "d/e/f", "new")
	for name, c := range map[string]struct {
		remove func(string) error
		file   string
		want   error
	}{
		"nothing":                {s.Remove, "x", fs.ErrNotExist},
		"nothing, and all of it": {s.RemoveAll, "x", fs.ErrNotExist},
		"a full directory":       {s.Remove, "d", ErrNotEmpty},
		"the top":                {s.RemoveAll, "/", ErrName},
		"what is the store's":    {s.RemoveAll, ".netbootd", ErrName},
		"a name that climbs":     {s.RemoveAll, "d/..", ErrName},
	} {
		if err := c.remove(c.file); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := errors.Join(s.Remove("link"), s.RemoveAll("d")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"h": "3"}, served(t, s)); diff != "" {
		t.Error(diff)
	}
	if i, err := s.Rollback(t.Context(), "d/e/f", "", Condition{Absent: true}); err != nil || content(s, "d/e/f") != "1" {
		t.Errorf("what it replaced cannot be had back: %+v, %v", i, err)
	}
	if left := litter(t, s); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestMkdirAndSymlink(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, map[string]string{"f": "x"})
	if err := errors.Join(s.Mkdir("a/b/c"), s.Symlink("../../f", "a/b/link"), s.Symlink("b", "a/d")); err != nil {
		t.Fatal(err)
	}
	if got := content(s, "a/d/link"); got != "x" {
		t.Errorf("through the links: %q", got)
	}
	for name, c := range map[string]struct{ err, want error }{
		"a directory that is there":    {s.Mkdir("a/b"), fs.ErrExist},
		"a directory below a file":     {s.Mkdir("f/x"), ErrNotDirectory},
		"a name that a link has":       {s.Mkdir("a/d"), fs.ErrExist},
		"an absolute link":             {s.Symlink("/f", "g"), ErrLinkOutside},
		"a link that leaves":           {s.Symlink("../../f", "a/g"), ErrLinkOutside},
		"a link to the store's own":    {s.Symlink("../.netbootd/tmp", "a/g"), ErrName},
		"a link to nothing":            {s.Symlink("", "g"), ErrLinkOutside},
		"a link with a taken name":     {s.Symlink("a", "f"), fs.ErrExist},
		"a link that is the top's":     {s.Symlink("a", "."), ErrName},
		"a directory of the store's":   {s.Mkdir(".netbootd/x"), ErrName},
		"a directory that cannot be":   {s.Mkdir("a/../../x"), ErrName},
		"a directory with a tab in it": {s.Mkdir("a\tb"), ErrName},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "g")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a link that was refused was made")
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	if _, err := s.Put(t.Context(), Target{Name: "f", Origin: Origin{By: "first"}}, strings.NewReader("1")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "f", "2")
	write(t, filepath.Join(dir, "f"), "by hand")
	mustPut(t, s, "f", "3")
	sums := func() (got []string) {
		kept, err := s.Versions("f")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range kept {
			f, err := s.OpenVersion("f", r.ID)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, f.Size())
			_, _ = f.ReadAt(b, 0)
			_ = f.Close()
			got = append(got, string(b))
		}
		return got
	}
	if diff := cmp.Diff([]string{"by hand", "1"}, sums()); diff != "" {
		t.Fatal(diff)
	}
	kept, _ := s.Versions("f")
	i, err := s.Rollback(t.Context(), "f", kept[1].ID, Condition{SHA256: sumOf("3")})
	if err != nil || i.SHA256 != sumOf("1") || i.Origin.By != "first" || content(s, "f") != "1" {
		t.Errorf("%+v, %v", i, err)
	}
	if diff := cmp.Diff([]string{"3", "by hand"}, sums()); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Rollback(t.Context(), "f", "", Condition{}); err != nil || content(s, "f") != "3" {
		t.Errorf("%q, %v", content(s, "f"), err)
	}
	for name, c := range map[string]struct {
		id   string
		c    Condition
		want error
	}{
		"an id that is gone": {id: kept[1].ID, want: fs.ErrNotExist},
		"a path":             {id: "../../f", want: fs.ErrNotExist},
		"another file there": {c: Condition{SHA256: sumOf("1")}, want: ErrConflict},
	} {
		if _, err := s.Rollback(t.Context(), "f", c.id, c.c); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Rollback(t.Context(), "g", "", Condition{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := s.Prune("f", 1); err != nil || len(sums()) != 1 {
		t.Errorf("pruned to %v, %v", sums(), err)
	}
	s = reopen(t, s)
	if diff := cmp.Diff([]string{"1"}, sums()); diff != "" {
		t.Error(diff)
	}
}

func TestVersionsKeepTheirSizeLimit(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	s.opts.VersionsBytes = 10
	for _, put := range []struct{ name, text string }{
		{"a", "aaaa1"}, {"b", "bbbb1"}, {"c", "cccc1 too large"}, // first versions of them
		{"a", "aaaa2"}, {"b", "bbbb2"}, {"c", "c2"}, {"a", "aaaa3"},
	} {
		mustPut(t, s, put.name, put.text)
	}
	for name, want := range map[string][]Sum{"a": {sumOf("aaaa2")}, "b": {sumOf("bbbb1")}, "c": nil} {
		var got []Sum
		kept, err := s.Versions(name)
		for _, r := range kept {
			got = append(got, r.SHA256)
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestClockThatJumpsBackKeepsTheOrderOfVersions(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	for i, text := range []string{"1", "2", "3"} {
		mustPut(t, s, "f", text)
		when := time.Now().AddDate(-i, 0, 0)
		if err := os.Chtimes(filepath.Join(dir, "f"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := s.Versions("f")
	if err != nil || len(kept) != 2 || !kept[0].Modified.Before(kept[1].Modified) {
		t.Errorf("%+v, %v", kept, err)
	}
	if _, err := s.Rollback(t.Context(), "f", "", Condition{}); err != nil || content(s, "f") != "2" {
		t.Errorf("%q, %v", content(s, "f"), err)
	}
}
