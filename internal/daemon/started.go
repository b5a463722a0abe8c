package daemon

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"sync"
)

// ErrStale means that somebody else changed what was to be changed.
var ErrStale = errors.New("changed meanwhile")

// Started is what somebody started or stopped by hand. It outlives the process
// and stands above autostart.
type Started struct {
	Rev      int64           // grows with each change
	Profiles map[string]bool // true: started, false: stopped
}

// A StartedStore keeps it. Implementations are safe for concurrent use; one that
// is shared by several nodes is thinkable, hence the comparison.
type StartedStore interface {
	Load() (Started, error)
	// CompareAndSet replaces what is kept if its Rev is still old's, with the
	// next Rev, and returns [ErrStale] otherwise. It returns after the change is
	// on disk.
	CompareAndSet(old Started, profiles map[string]bool) error
}

// startedFormat is the version of the file's layout.
const startedFormat = 1

// startedFile keeps it in one small file that is replaced by rename.
type startedFile struct {
	path string
	mu   sync.Mutex // one change at a time
}

type startedJSON struct {
	Format   int             `json:"format"`
	Rev      int64           `json:"rev"`
	Profiles map[string]bool `json:"profiles"`
}

func newStartedFile(stateDir string) *startedFile {
	return &startedFile{path: filepath.Join(stateDir, "started.json")}
}

// Load implements StartedStore. A file that is not there yet is an empty one.
func (s *startedFile) Load() (Started, error) {
	var j startedJSON
	if err := readState(s.path, startedFormat, &j); err != nil {
		return Started{}, err
	}
	return Started{Rev: j.Rev, Profiles: j.Profiles}, nil
}

// CompareAndSet implements StartedStore.
func (s *startedFile) CompareAndSet(old Started, profiles map[string]bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.Load()
	if err != nil {
		return err
	}
	if now.Rev != old.Rev {
		return ErrStale
	}
	b, err := json.Marshal(startedJSON{Format: startedFormat, Rev: old.Rev + 1, Profiles: profiles})
	if err != nil {
		return err
	}
	return replaceFile(s.path, append(b, '\n'))
}

// setStarted notes that a profile was started or stopped by hand.
func setStarted(store StartedStore, name string, up bool) error {
	for {
		now, err := store.Load()
		if err != nil {
			return err
		}
		next := maps.Clone(now.Profiles)
		if next == nil {
			next = make(map[string]bool)
		}
		next[name] = up
		if err := store.CompareAndSet(now, next); !errors.Is(err, ErrStale) {
			return err
		}
	}
}
