package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// A newcomer is a file, whole and synced, that is to get a name.
type newcomer struct {
	at   string // where it is
	home string // where it belongs if it does not get the name; "": nowhere
	fact fact   // of it; the print is taken when it has its name
}

// place gives a newcomer its name, if the condition holds. What it replaces is kept
// as a version.
func (s *Store) place(ctx context.Context, n newcomer, name string, c Condition) error {
	return s.changeIf(ctx, name, c, func() error {
		if err := s.settle(ctx, n, name); err != nil {
			return err
		}
		s.prune(name, n.fact.SHA256)
		return nil
	})
}

// changeIf runs do while nobody else changes what names stand for, if the condition
// holds then. A file that must be hashed for that is hashed before.
func (s *Store) changeIf(ctx context.Context, name string, c Condition, do func() error) error {
	if err := s.prepare(); err != nil {
		return explain(name, err)
	}
	for {
		seen, err := s.holds(ctx, name, c)
		if err != nil {
			return err
		}
		if done, err := s.changeUnless(name, c, seen, do); done {
			return err
		}
	}
}

// changing runs do with the name as the store uses it, and with s.change held.
func (s *Store) changing(name string, do func(name string) error) error {
	name, err := cleanFile(name)
	if err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return explain(name, err)
	}
	s.change.Lock()
	defer s.change.Unlock()
	return do(name)
}

// changeUnless runs do unless the file has changed since the condition was looked at.
func (s *Store) changeUnless(name string, c Condition, seen Version, do func() error) (done bool, err error) {
	s.change.Lock()
	defer s.change.Unlock()
	if c != (Condition{}) {
		now, err := s.present(name)
		if err != nil {
			return true, err
		}
		if now != seen {
			return false, nil
		}
	}
	return true, do()
}

// present is the version of what stands under a name, or the zero one.
func (s *Store) present(name string) (Version, error) {
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Version{}, nil
	}
	if err != nil {
		return Version{}, explain(name, err)
	}
	return versionOf(info), nil
}

// holds looks whether a condition holds, and for which version of the file.
func (s *Store) holds(ctx context.Context, name string, c Condition) (Version, error) {
	if c == (Condition{}) {
		return Version{}, nil
	}
	v, err := s.present(name)
	switch {
	case err != nil:
		return v, err
	case v == Version{} && c.SHA256.IsZero():
		return v, nil
	case v == Version{}:
		return v, fmt.Errorf("%s: no file is there, and one with sha256 %s is expected: %w", name, c.SHA256, ErrConflict)
	case c.Absent:
		return v, fmt.Errorf("%s: is there already: %w", name, ErrConflict)
	}
	f, err := s.Open(name)
	if err != nil {
		return v, err
	}
	defer func() { _ = f.Close() }()
	sum, err := s.sumOf(ctx, name, f)
	if err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	if sum != c.SHA256 {
		return v, fmt.Errorf("%s: has sha256 %s, and %s is expected: %w", name, sum, c.SHA256, ErrConflict)
	}
	return f.version, nil
}

// replaceable is the file that stands under a name and may be replaced, or nil.
func (s *Store) replaceable(name string) (fs.FileInfo, error) {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, explain(name, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: %w", name, ErrIsDirectory)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%s: a symbolic link is not replaced, remove it first: %w", name, ErrNotRegular)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", name, ErrNotRegular)
	}
	return info, nil
}

// settle gives a newcomer its name. It holds s.change.
func (s *Store) settle(ctx context.Context, n newcomer, name string) error {
	if err := s.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	if err := s.outsidePrivate(name); err != nil {
		return err
	}
	old, err := s.replaceable(name)
	if err != nil {
		return err
	}
	if old != nil && s.isSame(name, old, n.fact.SHA256) {
		err = explain(name, s.root.Remove(n.at))
	} else {
		err = s.supplant(ctx, n, name, old)
	}
	if err != nil {
		return err
	}
	s.noteFact(name, n.fact)
	return nil
}

// supplant moves a newcomer to its name. It holds s.change.
func (s *Store) supplant(ctx context.Context, n newcomer, name string, old fs.FileInfo) error {
	if old != nil && s.opts.KeepVersions > 0 && old.Size() <= s.opts.VersionsBytes {
		err := s.keep(ctx, n, name, old)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		old = nil // somebody has removed it by hand meanwhile
	}
	if old != nil {
		return errors.Join(explain(name, s.root.Rename(n.at, name)), s.syncDir(path.Dir(name)))
	}
	return s.moveNew(n.at, name)
}

// moveNew renames to a name that is free. It holds s.change.
func (s *Store) moveNew(from, to string) error {
	err := renameNew(s.root, from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		err = s.root.Rename(from, to)
	}
	if err != nil {
		return explain(to, err)
	}
	return s.syncDir(path.Dir(to))
}

// isSame tells whether a file is known to have that sum.
func (s *Store) isSame(name string, old fs.FileInfo, sum Sum) bool {
	f, known := s.facts.of(name, versionOf(old))
	return known && !sum.IsZero() && f.SHA256 == sum
}

// noteFact notes what is known of the file that has got a name.
func (s *Store) noteFact(name string, f fact) {
	info, err := s.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		s.facts.forget(name)
		return
	}
	f.Print = versionOf(info).print()
	s.facts.note(name, f)
}
