package images

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// crashRuns is the variable that says how often [TestCrash] kills its helper.
const crashRuns = "NETBOOTD_CRASH_RUNS"

// workers is how many goroutines of the helper change the store at once, each below
// a directory of its own.
const workers = 3

func TestMain(m *testing.M) {
	if dir := os.Getenv("NETBOOTD_CRASH_DIR"); dir != "" {
		crashHelper(dir, os.Getenv("NETBOOTD_CRASH_SEED"))
		return
	}
	os.Exit(m.Run())
}

// TestCrash lets a process change a store until it is killed at a random moment, and
// looks at what it left: of each file the old content or the new, whole; all that was
// done is there; each version is what was replaced; uploads go on; no litter.
func TestCrash(t *testing.T) {
	t.Parallel()
	runs := 30
	if v := os.Getenv(crashRuns); v != "" {
		var err error
		if runs, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	dir, seed := t.TempDir(), rand.Uint64()
	before := make([]crashState, workers)
	for i := range before {
		before[i] = newCrashState()
	}
	cut := 0 // runs that were killed within an operation
	for run := range runs {
		logs := killHelper(t, dir, seed+uint64(run))
		after := observe(t, dir)
		for w := range workers {
			done := before[w].after(logs[w].done)
			want := []crashState{done}
			if p := logs[w].pending; p != nil {
				cut++
				want = append(want, done.after([]crashOp{*p}))
			}
			if !slices.ContainsFunc(want, func(s crashState) bool { return cmp.Equal(s, after[w]) }) {
				t.Fatalf("seed %d, run %d, worker %d, after %+v\nthen killed in %+v\n-want +got %s", seed, run, w,
					logs[w].done, logs[w].pending, cmp.Diff(want[len(want)-1], after[w]))
			}
		}
		before = after
	}
	if cut == 0 {
		t.Error("no operation was ever cut, so nothing was tested")
	}
	t.Logf("%d runs, %d operations cut", runs, cut)
}

// A crashOp is one change of the store.
type crashOp struct {
	Do   string
	Name string
	To   string
	Seed uint64 // of the content
	Size int    // of an append
}

// A crashLine is what the helper says before an operation, and after it.
type crashLine struct {
	Worker int
	Op     crashOp
	Done   bool
	Err    string
}

// A crashLog is what one worker has done.
type crashLog struct {
	done    []crashOp
	pending *crashOp
}

// killHelper runs the helper and kills it, and returns what it said it did.
func killHelper(t *testing.T, dir string, seed uint64) [workers]crashLog {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NETBOOTD_CRASH_DIR="+dir, fmt.Sprint("NETBOOTD_CRASH_SEED=", seed))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var logs [workers]crashLog
	last, delay := 1+r.IntN(80), time.Duration(r.IntN(3000))*time.Microsecond
	for lines, n := bufio.NewScanner(out), 1; lines.Scan(); n++ {
		if n == last {
			time.AfterFunc(delay, func() { _ = cmd.Process.Kill() }) // anywhere in the operations
		}
		var l crashLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			continue // the last line may be cut, as the process was
		}
		log := &logs[l.Worker]
		switch {
		case l.Err != "":
			t.Errorf("seed %d: %+v: %s", seed, l.Op, l.Err)
		case l.Done:
			log.done, log.pending = append(log.done, l.Op), nil
		default:
			log.pending = &l.Op
		}
	}
	_ = cmd.Wait() // killed
	return logs
}

// A crashState is what is below the directory of one worker.
type crashState struct {
	Files    map[string]Sum
	Versions map[string][]Sum // the last one first
	Upload   crashUpload
}

type crashUpload struct {
	Name   string // "": none
	Seed   uint64
	Offset int64
}

func newCrashState() crashState {
	return crashState{Files: make(map[string]Sum), Versions: make(map[string][]Sum)}
}

// after is the state when the operations were done.
func (s crashState) after(ops []crashOp) crashState {
	s.Files, s.Versions = maps.Clone(s.Files), maps.Clone(s.Versions)
	for _, op := range ops {
		s.apply(op)
	}
	return s
}

// apply does an operation as it is meant.
func (s *crashState) apply(op crashOp) {
	switch op.Do {
	case "put":
		s.replace(op.Name, sha256.Sum256(crashContent(op.Seed)))
	case "begin":
		s.Upload = crashUpload{Name: op.Name, Seed: op.Seed}
	case "append":
		s.Upload.Offset += int64(op.Size)
	case "commit":
		s.replace(s.Upload.Name, sha256.Sum256(crashContent(s.Upload.Seed)))
		s.Upload = crashUpload{}
	case "abort":
		s.Upload = crashUpload{}
	case "copy":
		s.replace(op.To, s.Files[op.Name])
	case "rename":
		sum := s.Files[op.Name]
		delete(s.Files, op.Name)
		s.replace(op.To, sum)
	case "move": // a directory
		for name, sum := range maps.Clone(s.Files) {
			if rest, ok := strings.CutPrefix(name, op.Name+"/"); ok {
				delete(s.Files, name)
				s.Files[op.To+"/"+rest] = sum
			}
		}
	case "rollback":
		sum := s.Versions[op.Name][0]
		s.setVersions(op.Name, s.Versions[op.Name][1:])
		s.replace(op.Name, sum)
	case "remove":
		delete(s.Files, op.Name)
	case "removeall":
		maps.DeleteFunc(s.Files, func(name string, _ Sum) bool { return strings.HasPrefix(name, op.Name+"/") })
	}
}

// replace gives a name another content.
func (s *crashState) replace(name string, sum Sum) {
	if old, ok := s.Files[name]; ok {
		kept := append([]Sum{old}, s.Versions[name]...)
		s.setVersions(name, kept[:min(len(kept), 3)])
	}
	s.Files[name] = sum
}

func (s *crashState) setVersions(name string, sums []Sum) {
	s.Versions[name] = sums
	if len(sums) == 0 {
		delete(s.Versions, name)
	}
}

// observe opens the store, as the next start does, and reads all that is there.
func observe(t *testing.T, dir string) []crashState {
	t.Helper()
	s, err := Create(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	states := make([]crashState, workers)
	for i := range states {
		states[i] = newCrashState()
	}
	of := func(name string) *crashState { return &states[name[0]-'0'] }
	all, err := s.ListAll(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Dir {
			continue
		}
		sum := sumOf(content(s, i.Name))
		if !i.SHA256.IsZero() && i.SHA256 != sum {
			t.Errorf("%s: the facts say %s, it is %s", i.Name, i.SHA256, sum)
		}
		of(i.Name).Files[i.Name] = sum
	}
	records := 0
	for _, name := range s.versionedNames() {
		kept, err := s.Versions(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range kept {
			sum := sumOfPath(t, filepath.Join(dir, r.path()))
			if !r.SHA256.IsZero() && r.SHA256 != sum {
				t.Errorf("version %s of %s: the record says %s, it is %s", r.ID, name, r.SHA256, sum)
			}
			of(name).Versions[name] = append(of(name).Versions[name], sum)
			records++
		}
	}
	for _, u := range s.Uploads() {
		seed, err := strconv.ParseUint(u.Target.Origin.From, 10, 64)
		if err != nil || of(u.Target.Name).Upload.Name != "" {
			t.Errorf("an upload that is not known: %+v", u)
		}
		of(u.Target.Name).Upload = crashUpload{Name: u.Target.Name, Seed: seed, Offset: u.Offset}
	}
	checkLitter(t, s, 2*len(s.Uploads()), 2*records)
	return states
}

// checkLitter counts the files of the store's own.
func checkLitter(t *testing.T, s *Store, uploads, versions int) {
	t.Helper()
	for dir, want := range map[string]int{tmpDir: 0, uploadsDir: uploads, versionsDir: versions} {
		names, err := s.names(dir)
		if err != nil || len(names) != want {
			t.Errorf("%s has %q, %v, want %d files", dir, names, err, want)
		}
	}
}

func sumOfPath(t *testing.T, path string) Sum {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// crashContent is content that no other seed has.
func crashContent(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	size := 8 + r.IntN(20_000)
	if r.IntN(8) == 0 {
		size += 2 * bufferBytes
	}
	b := make([]byte, size)
	for i := 0; i+8 <= size; i += 4096 {
		copy(b[i:], strconv.AppendUint(nil, r.Uint64(), 36))
	}
	copy(b, strconv.AppendUint(nil, seed, 36))
	return b
}
