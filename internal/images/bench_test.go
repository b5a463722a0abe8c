package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// benchBytes is large enough that buffers and the start of a process do not count.
const benchBytes = 1 << 30

// BenchmarkStore compares storing a large file with what one does without a store:
// "cp", "sync" of that file and "sha256sum", in the same run on the same disk. The
// ratio is the store's rate by that of cp; "heap-MB" is what the store has taken.
func BenchmarkStore(b *testing.B) {
	dir := b.TempDir()
	source := filepath.Join(dir, "source")
	if out, err := exec.Command("dd", "if=/dev/urandom", "of="+source, "bs=1M", "count=1024").CombinedOutput(); err != nil {
		b.Fatalf("%v %s", err, out)
	}
	s, err := Create(filepath.Join(dir, "images"), Options{KeepVersions: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, way := range []struct {
		name  string
		store func(r *os.File) error
	}{
		{"Put", func(r *os.File) error { return second(s.Put(b.Context(), Target{Name: "f"}, r)) }},
		{"Upload", func(r *os.File) error { return uploadWhole(b, s, r) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			var ours, theirs time.Duration
			for range b.N {
				theirs += took(b, func() error {
					return exec.Command("sh", "-c", `cp "$1" "$2" && sync "$2" && sha256sum "$2"`, "sh", source, filepath.Join(dir, "copy")).Run()
				})
				remove(b, filepath.Join(dir, "copy"))
				r, err := os.Open(source)
				if err != nil {
					b.Fatal(err)
				}
				ours += took(b, func() error { return way.store(r) })
				_ = r.Close()
				if err := s.Remove("f"); err != nil {
					b.Fatal(err)
				}
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
			b.ReportMetric(float64(m.HeapSys)/(1<<20), "heap-MB")
		})
	}
}

// uploadWhole stores a file as a client does that is never cut.
func uploadWhole(b *testing.B, s *Store, r *os.File) error {
	u, err := s.NewUpload(b.Context(), Target{Name: "f"}, benchBytes)
	if err != nil {
		return err
	}
	if _, err := s.Append(b.Context(), u.ID, 0, r); err != nil {
		return err
	}
	_, err = s.Commit(b.Context(), u.ID)
	return err
}

func took(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func remove(b *testing.B, path string) {
	b.Helper()
	if err := os.Remove(path); err != nil {
		b.Fatal(err)
	}
}
