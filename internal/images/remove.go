package images

import (
	"path"
)

// Remove removes a file, a link or an empty directory, and keeps no version of it;
// the versions of its name stay. Errors: fs.ErrNotExist, [ErrNotEmpty],
// [ErrReadOnly], fs.ErrPermission.
func (s *Store) Remove(name string) error {
	return s.remove(name, s.root.Remove)
}

// RemoveAll is as Remove, with all that is in a directory, which vanishes in one
// step: nobody meets a half of it, and neither does a crash.
func (s *Store) RemoveAll(name string) error {
	tmp := tmpName()
	err := s.remove(name, func(name string) error { return s.root.Rename(name, tmp) })
	if err != nil {
		return err
	}
	return explain(name, s.root.RemoveAll(tmp))
}

// remove takes a name away.
func (s *Store) remove(name string, away func(name string) error) error {
	return s.changing(name, func(name string) error {
		if err := s.outsidePrivate(name); err != nil {
			return err
		}
		if err := away(name); err != nil {
			return explain(name, err)
		}
		s.facts.forget(name)
		return s.syncDir(path.Dir(name))
	})
}
