package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected files instead of comparing with them")

// TestBrokenFiles reads one small file for each mistake, and compares with the
// lines that a user is shown.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Errorf("only %d files found", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".toml"), func(t *testing.T) {
			t.Parallel()
			problems := parseAny(t, name, readFile(t, file))
			if len(problems) == 0 {
				t.Fatal("no problem found")
			}
			compareWithFile(t, strings.TrimSuffix(file, ".toml")+".txt", problems.String()+"\n")
		})
	}
}

// parseAny parses a service file or a profile, whichever its name begins with,
// and checks what must hold for the problems of any file.
func parseAny(t *testing.T, name string, src []byte) Problems {
	t.Helper()
	var problems Problems
	if strings.HasPrefix(name, "service") {
		var s Service
		s, problems = ParseService(name, "/etc/netbootd", src)
		if len(problems) > 0 && !cmp.Equal(s, Service{}) {
			t.Error("problems, but also settings")
		}
	} else {
		_, problems = ParseProfile(name, src)
	}
	lines := strings.Split(string(src), "\n")
	for _, p := range problems {
		if p.Line == 0 && p.Column == 0 {
			continue
		}
		// One more than the last character: the end of the line or file.
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
			t.Errorf("%s: the place is outside the file", p)
		}
		if strings.ContainsAny(p.Text+p.Hint, "\n\r") || p.Text == "" || strings.HasSuffix(p.Text, ".") {
			t.Errorf("%q %q: want one line without a full stop", p.Text, p.Hint)
		}
	}
	return problems
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// compareWithFile compares got with the content of a file, or writes the file if
// the test runs with -update.
func compareWithFile(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(readFile(t, name)), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}
