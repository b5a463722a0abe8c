package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"netbootd/bootmenu"
)

func names(profiles []bootmenu.Profile) []string {
	var out []string
	for _, p := range profiles {
		out = append(out, p.Name)
	}
	return out
}

func TestReadProfiles(t *testing.T) {
	t.Parallel()
	good := &fstest.MapFile{Data: []byte("kernel = \"linux\"\n")}
	fsys := fstest.MapFS{
		"b.toml":         good,
		"a.toml":         good,
		"10-x.toml":      good,
		"broken.toml":    {Data: []byte("kernal = \"linux\"\n")},
		"Case.toml":      good,
		"case.toml":      good,
		"Lonely.toml":    good,
		"pipe.toml":      {Mode: fs.ModeNamedPipe},
		"disk.toml":      {Data: make([]byte, maxFileBytes+1)},
		".hidden.toml":   {Data: []byte("?")},
		".#a.toml":       {Data: []byte("?")},
		"#a.toml":        {Data: []byte("?")},
		"a.toml~":        {Data: []byte("?")},
		"a.toml.bak":     {Data: []byte("?")},
		"README":         {Data: []byte("?")},
		"dir.toml/x":     {Data: []byte("?")},
		"sub/inner.toml": {Data: []byte("?")},
	}
	profiles, broken, err := ReadProfiles(fsys, "profiles.d")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(profiles), []string{"10-x", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("profiles %q, want %q", got, want)
	}
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		got.WriteString(name + " " + broken[name].String() + "\n")
	}
	const want = `Case profiles.d/Case.toml: profile names differ only in case: Case.toml, case.toml
hint: keep one of them, and write its name in lower case
Lonely profiles.d/Lonely.toml: profile name "Lonely": want 1 to 63 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit
hint: rename the file to lonely.toml
broken profiles.d/broken.toml:1:1: unknown key "kernal", did you mean "kernel"?
case profiles.d/case.toml: profile names differ only in case: Case.toml, case.toml
hint: keep one of them, and write its name in lower case
disk profiles.d/disk.toml: the file has 1048577 bytes, want at most 1048576
pipe profiles.d/pipe.toml: not a regular file
`
	if got.String() != want {
		t.Errorf("problems:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestReadProfilesOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real"), `kernel = "linux"`)
	link(t, "real", filepath.Join(dir, "linked.toml"))
	link(t, "nowhere", filepath.Join(dir, "dangling.toml"))
	profiles, broken, err := ReadProfiles(os.DirFS(dir), "d")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(profiles); !slices.Equal(got, []string{"linked"}) {
		t.Errorf("profiles %q", got)
	}
	const want = "d/dangling.toml: cannot read: no such file or directory"
	if got := broken["dangling"].String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadProfilesWithoutDirectory(t *testing.T) {
	t.Parallel()
	_, _, err := ReadProfiles(os.DirFS(filepath.Join(t.TempDir(), "none")), "profiles.d")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want one that wraps fs.ErrNotExist", err)
	}
	const want = "profiles.d: cannot read the directory: no such file or directory"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestReadService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "n.toml")
	write(t, file, `images = "boot"`)
	s, err := ReadService(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.File != file || s.Images != filepath.Join(dir, "boot") {
		t.Errorf("file %q, images %q", s.File, s.Images)
	}

	missing := filepath.Join(dir, "missing.toml")
	if _, err := ReadService(missing); !errors.Is(err, fs.ErrNotExist) || err.Error() != missing+": cannot read: no such file or directory" {
		t.Errorf("missing file: %v", err)
	}

	write(t, file, "image = 1")
	_, err = ReadService(file)
	if problems, ok := errors.AsType[Problems](err); !ok || len(problems) != 1 {
		t.Errorf("broken file: %v", err)
	}
}

func TestReadServiceWithoutAnyFile(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(DefaultPath); err == nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(DefaultPath + " exists on this host, and in CI nothing is skipped")
		}
		t.Skip(DefaultPath + " exists on this host")
	}
	s, err := ReadService("")
	if err != nil {
		t.Fatal(err)
	}
	compareServices(t, s, DefaultService())
}

// TestExamples loads every file below examples.
func TestExamples(t *testing.T) {
	t.Parallel()
	const dir = "../../examples/profiles.d"
	profiles, broken, err := ReadProfiles(os.DirFS(dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, problems := range broken {
		t.Error(problems)
	}
	if got, want := names(profiles), []string{"beaglebone", "board-extlinux", "debian-grub", "debian-installer", "debian-preseed", "diskless-workstation", "raspberry-pi"}; !slices.Equal(got, want) {
		t.Errorf("examples %q, want %q", got, want)
	}
	if _, err := ReadService("../../examples/netbootd.toml"); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}
