package images

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Mkdir makes a directory, and those above it. What is there already, be it a
// directory or a file, is fs.ErrExist.
func (s *Store) Mkdir(name string) error {
	return s.make(name, func(name string) error { return s.root.Mkdir(name, 0o755) })
}

// Symlink makes a link to target, which is relative to the directory of the link
// and stays in the store; it need not exist. What stands under the name already is
// fs.ErrExist. Errors: [ErrLinkOutside], and as [Store.Put].
func (s *Store) Symlink(target, name string) error {
	if err := checkTarget(target, name); err != nil {
		return err
	}
	return s.make(name, func(name string) error { return s.root.Symlink(target, name) })
}

// checkTarget looks where a link would lead, as far as the names tell it. What they
// do not tell is found out when the link is followed.
func checkTarget(target, name string) error {
	name, err := cleanFile(name)
	if err != nil {
		return err
	}
	leads := path.Join(path.Dir(name), target)
	if target == "" || path.IsAbs(target) || leads == ".." || strings.HasPrefix(leads, "../") {
		return fmt.Errorf("%s: link to %q: %w", name, target, ErrLinkOutside)
	}
	if _, err := Clean(leads); err != nil {
		return fmt.Errorf("%s: link to %q: %w", name, target, err)
	}
	return nil
}

// make makes something under a name that is free.
func (s *Store) make(name string, do func(name string) error) error {
	return s.changing(name, func(name string) error {
		if err := s.makeDirs(path.Dir(name)); err != nil {
			return err
		}
		if err := s.outsidePrivate(name); err != nil {
			return err
		}
		if err := do(name); err != nil {
			return explain(name, err)
		}
		return s.syncDir(path.Dir(name))
	})
}

// makeDirs makes a directory and those above it, if they are missing. It holds
// s.change.
func (s *Store) makeDirs(dir string) error {
	info, err := s.root.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", dir, ErrNotDirectory)
	case !errors.Is(err, fs.ErrNotExist):
		return explain(dir, err)
	}
	if err := s.makeDirs(path.Dir(dir)); err != nil {
		return err
	}
	if err := s.outsidePrivate(dir); err != nil {
		return err
	}
	if err := s.root.Mkdir(dir, 0o755); err != nil {
		return explain(dir, err)
	}
	return s.syncDir(path.Dir(dir))
}
