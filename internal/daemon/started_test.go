package daemon

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

func TestStartedFileComparesBeforeItSets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newStartedFile(dir)
	empty, err := s.Load()
	if err != nil || empty.Rev != 0 || len(empty.Profiles) != 0 {
		t.Fatalf("no file yet: %+v, %v", empty, err)
	}
	if err := s.CompareAndSet(empty, Started{Profiles: map[string]bool{"a": true}}); err != nil {
		t.Fatal(err)
	}
	if err := s.CompareAndSet(empty, Started{Profiles: map[string]bool{"a": false}}); !errors.Is(err, ErrStale) {
		t.Errorf("a change of something old: %v, want ErrStale", err)
	}
	now, err := s.Load()
	if err != nil || now.Rev != 1 || !now.Profiles["a"] {
		t.Errorf("got %+v, %v", now, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestChangeStartedLosesNoChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	const n = 20
	s := newStartedFile(dir)
	for i := range n {
		wg.Go(func() {
			if _, err := changeStarted(s, time.Now(), func(s *Started) { s.turn(fmt.Sprint(i), true, time.Time{}) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	now, err := s.Load()
	if err != nil || len(now.Profiles) != n || now.Rev != n {
		t.Errorf("%d profiles at revision %d, %v, want %d", len(now.Profiles), now.Rev, err, n)
	}
}
