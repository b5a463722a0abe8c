package daemon

import (
	"errors"
	"maps"
	"path/filepath"
	"time"

	"netbootd/bootmenu"
)

// Started is what somebody started or stopped by hand. It outlives the process
// and stands above autostart.
type Started struct {
	Rev      int64            // grows with each change
	Profiles map[string]bool  // for good: true is started, false is stopped
	Timed    map[string]Timed // for a time; stands above Profiles, which holds again afterwards
	TFTP     bool             // the TFTP service by itself
}

// A Timed is a profile that is started or stopped for a time.
type Timed struct {
	Up    bool      `json:"up"`
	Until time.Time `json:"until"`
}

// A StartedStore keeps it. Implementations are safe for concurrent use; one that
// is shared by several nodes is thinkable, hence the comparison.
type StartedStore interface {
	Load() (Started, error)
	// CompareAndSet replaces what is kept if its Rev is still old's, with next and
	// the next Rev, and returns [ErrStale] otherwise. It returns after the change is
	// on disk.
	CompareAndSet(old, next Started) error
}

// startedFormat is the version of the file's layout.
const startedFormat = 1

// startedFile keeps it in one small file that is replaced by rename.
type startedFile struct{ revisedFile }

type startedJSON struct {
	Format   int              `json:"format"`
	Rev      int64            `json:"rev"`
	Profiles map[string]bool  `json:"profiles"`
	Timed    map[string]Timed `json:"timed,omitempty"`
	TFTP     bool             `json:"tftp,omitempty"`
}

func newStartedFile(stateDir string) *startedFile {
	return &startedFile{revisedFile{path: filepath.Join(stateDir, "started.json"), format: startedFormat}}
}

// Load implements StartedStore. A file that is not there yet is an empty one.
func (s *startedFile) Load() (Started, error) {
	var j startedJSON
	if err := s.read(&j); err != nil {
		return Started{}, err
	}
	return Started{Rev: j.Rev, Profiles: j.Profiles, Timed: j.Timed, TFTP: j.TFTP}, nil
}

// CompareAndSet implements StartedStore.
func (s *startedFile) CompareAndSet(old, next Started) error {
	return s.replace(old.Rev, startedJSON{startedFormat, old.Rev + 1, next.Profiles, next.Timed, next.TFTP})
}

// changeStarted changes what is kept, and returns it as it is on disk then.
func changeStarted(store StartedStore, now time.Time, edit func(*Started)) (Started, error) {
	for {
		old, err := store.Load()
		if err != nil {
			return Started{}, err
		}
		next := old.at(now)
		edit(&next)
		if err = store.CompareAndSet(old, next); err == nil {
			next.Rev++
			return next, nil
		}
		if !errors.Is(err, ErrStale) {
			return Started{}, err
		}
	}
}

// at is a copy of s without the times that are over. Its maps are not nil.
func (s Started) at(now time.Time) Started {
	next := Started{Rev: s.Rev, Profiles: make(map[string]bool), Timed: make(map[string]Timed), TFTP: s.TFTP}
	maps.Copy(next.Profiles, s.Profiles)
	for name, t := range s.Timed {
		if now.Before(t.Until) {
			next.Timed[name] = t
		}
	}
	return next
}

// turn notes that a profile was started or stopped by hand: until that time, or
// for good if it is zero.
func (s *Started) turn(name string, up bool, until time.Time) {
	if !until.IsZero() {
		s.Timed[name] = Timed{up, until}
		return
	}
	delete(s.Timed, name)
	s.Profiles[name] = up
}

// forget drops what was done to a profile by hand.
func (s *Started) forget(name string) {
	delete(s.Timed, name)
	delete(s.Profiles, name)
}

// wants tells whether a profile is to be started: what was done by hand stands
// above autostart.
func (s Started) wants(p *bootmenu.Profile) bool {
	if t, ok := s.Timed[p.Name]; ok {
		return t.Up
	}
	if up, ok := s.Profiles[p.Name]; ok {
		return up
	}
	return p.Autostart
}

// next is when the first of the times is over; zero if there is none.
func (s Started) next() (next time.Time) {
	for _, t := range s.Timed {
		if next.IsZero() || t.Until.Before(next) {
			next = t.Until
		}
	}
	return next
}
