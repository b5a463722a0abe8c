package images

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"time"
)

// A Replaced is a file that another one has replaced under its name.
type Replaced struct {
	ID       string    // unique in the store
	Info               // of the file while it had its name
	Replaced time.Time // when
}

// path is where the bytes are.
func (r Replaced) path() string { return versionsDir + "/" + r.ID }

// Versions are the files that are kept for a name, the one that was replaced last
// first. They are of the name, not of a file: a name may have some while no file has
// it. It does not touch the disk.
func (s *Store) Versions(name string) ([]Replaced, error) {
	name, err := cleanFile(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := slices.Clone(s.versions[name])
	slices.Reverse(kept)
	return kept, nil
}

// version finds one; the id "" is the one that was replaced last.
func (s *Store) version(name, id string) (Replaced, error) {
	kept, err := s.Versions(name)
	if err != nil {
		return Replaced{}, err
	}
	i := slices.IndexFunc(kept, func(r Replaced) bool { return id == "" || r.ID == id })
	if i < 0 && id == "" {
		return Replaced{}, fmt.Errorf("%s: no version is kept: %w", name, fs.ErrNotExist)
	}
	if i < 0 {
		return Replaced{}, fmt.Errorf("%s: version %q: %w", name, id, fs.ErrNotExist)
	}
	return kept[i], nil
}

// OpenVersion opens a file that was replaced. Errors wrap fs.ErrNotExist.
func (s *Store) OpenVersion(name, id string) (*File, error) {
	r, err := s.version(name, id)
	if err != nil {
		return nil, err
	}
	return s.openAt(r.path(), r.Name)
}

// Rollback gives a version its name back; the id "" means the one that was replaced
// last. It does so as [Store.Put]: the file that stands there becomes a version in
// its turn. If none does, because it was removed, that is no error. Errors are those
// of Put; a version that is not there is fs.ErrNotExist.
func (s *Store) Rollback(ctx context.Context, name, id string, c Condition) (Info, error) {
	name, err := cleanFile(name)
	if err != nil {
		return Info{}, err
	}
	err = s.changeIf(ctx, name, c, func() error {
		r, err := s.version(name, id)
		if err != nil {
			return err
		}
		return s.restore(ctx, r)
	})
	if err != nil {
		return Info{}, err
	}
	return s.Stat(name)
}

// restore gives a version its name back. It holds s.change.
func (s *Store) restore(ctx context.Context, r Replaced) error {
	info, err := s.root.Lstat(r.path())
	if err != nil {
		return explain(r.Name, err)
	}
	f := fact{SHA256: r.SHA256, Origin: r.Origin, Stored: r.Stored}
	if info.Size() != r.Size || !info.ModTime().Equal(r.Modified) {
		f = fact{} // somebody had it open, and has written to it since
	}
	if err := s.settle(ctx, newcomer{at: r.path(), home: r.path(), fact: f}, r.Name); err != nil {
		return err
	}
	err = s.dropVersion(r)
	s.prune(r.Name, f.SHA256)
	return err
}

// Prune removes the versions of a name, except those that were replaced last.
func (s *Store) Prune(name string, keep int) error {
	return s.changing(name, func(name string) error {
		kept, err := s.Versions(name)
		if err != nil {
			return err
		}
		for _, r := range kept[min(max(keep, 0), len(kept)):] {
			if err := s.dropVersion(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// versionedNames are the names that have versions.
func (s *Store) versionedNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.versions))
}

// prune keeps the versions within their limits, after a name has got a file of that
// sum. One that cannot be removed is tried again with the next. It holds s.change.
func (s *Store) prune(name string, current Sum) {
	for _, r := range s.superfluous(name, current) {
		_ = s.dropVersion(r) // the change that it comes after is made
	}
}

// superfluous are the versions of a name whose content is there a second time, those
// that are too many for the name, and then the oldest that are too much for all.
func (s *Store) superfluous(name string, current Sum) (drop []Replaced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[Sum]bool{current: true}
	count := 0
	for _, r := range slices.Backward(s.versions[name]) {
		twice := seen[r.SHA256] && !r.SHA256.IsZero()
		if twice || count == s.opts.KeepVersions {
			drop = append(drop, r)
			continue
		}
		seen[r.SHA256] = true
		count++
	}
	var stay []Replaced
	var total int64
	for _, kept := range s.versions {
		for _, r := range kept {
			if !slices.Contains(drop, r) {
				stay = append(stay, r)
				total += r.Size
			}
		}
	}
	slices.SortFunc(stay, func(a, b Replaced) int { return a.number() - b.number() })
	for _, r := range stay {
		if total <= s.opts.VersionsBytes {
			break
		}
		drop = append(drop, r)
		total -= r.Size
	}
	return drop
}

// dropVersion removes a version, whose bytes may have gone already. It holds
// s.change.
func (s *Store) dropVersion(r Replaced) error {
	if err := s.discard(r.path()); err != nil {
		return err
	}
	if err := s.discard(r.path() + recordSuffix); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[r.Name] = slices.DeleteFunc(s.versions[r.Name], func(o Replaced) bool { return o.ID == r.ID })
	if len(s.versions[r.Name]) == 0 {
		delete(s.versions, r.Name)
	}
	return nil
}

// number is the id as a number. They count up, whatever the clock does.
func (r Replaced) number() int {
	n, _ := strconv.Atoi(r.ID) // the store has made it, or looked at it
	return n
}
