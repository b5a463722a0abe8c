package images

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEachStepOfAReplacementIsFinishedOrTakenBack lays out what a crash after each
// step of versionRecord leaves, for each kind of newcomer.
func TestEachStepOfAReplacementIsFinishedOrTakenBack(t *testing.T) {
	t.Parallel()
	const version, temp = versionsDir + "/7", tmpDir + "/X"
	for name, c := range map[string]struct {
		at, home string // of the newcomer
		lost     bool   // whether a newcomer without its name goes away
	}{
		"a put":      {at: tmpDir + "/put", lost: true},
		"a rename":   {at: "from", home: "from"},
		"a rollback": {at: versionsDir + "/3", home: versionsDir + "/3"},
		"a commit":   {at: uploadsDir + "/U", home: uploadsDir + "/U"},
	} {
		for step := 1; step <= 4; step++ {
			s, dir := newStore(t, map[string]string{"f": "old"})
			write(t, filepath.Join(dir, c.at), "new")
			in, err := s.root.Lstat(c.at)
			if err != nil {
				t.Fatal(err)
			}
			steps := []func() error{
				func() error {
					return s.writeRecord(version+recordSuffix, versionRecord{Format: stateFormat, Name: "f", Size: 3, Temp: temp, Incoming: versionOf(in).ino, Home: c.home})
				},
				func() error { return os.Rename(filepath.Join(dir, c.at), filepath.Join(dir, temp)) },
				func() error { return exchange(s.root, temp, "f") },
				func() error { return os.Rename(filepath.Join(dir, temp), filepath.Join(dir, version)) },
			}
			if err := s.writeRecord(versionsDir+"/3"+recordSuffix, versionRecord{Format: stateFormat, Name: "f", Size: 3, Temp: tmpDir + "/gone"}); err != nil {
				t.Fatal(err)
			}
			if err := s.writeRecord(uploadsDir+"/U"+recordSuffix, uploadRecord{Format: stateFormat, Upload: Upload{ID: "U", Began: in.ModTime(), LastUsed: in.ModTime()}}); err != nil {
				t.Fatal(err)
			}
			for _, do := range steps[:step] {
				if err := do(); err != nil {
					t.Fatal(err)
				}
			}
			s = reopen(t, s)
			want := map[string]string{"f": "old", c.home: "new"}
			if step >= 3 {
				want = map[string]string{"f": "new", version: "old"}
			} else if c.lost {
				want = map[string]string{"f": "old"}
			}
			got := make(map[string]string)
			for file, text := range tree(t, dir) {
				if filepath.Ext(file) != recordSuffix && file != factsName && file != lockName {
					got[file] = text
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, crash after step %d: %s", name, step, diff)
			}
			kept, err := s.Versions("f")
			if whole := step >= 3 || c.home == versionsDir+"/3"; whole != (len(kept) == 1) || err != nil {
				t.Errorf("%s, crash after step %d: versions %+v, %v", name, step, kept, err)
			}
		}
	}
}
