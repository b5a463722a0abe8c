package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Rename moves a file, a link or a directory, and makes missing directories. A file
// that it replaces is kept as a version. Versions belong to names, and stay with
// them. Errors: as [Store.Put]; [ErrNotEmpty] and [ErrNotDirectory] for what a
// directory cannot replace; [ErrName] for one that would go into itself.
func (s *Store) Rename(ctx context.Context, from, to string, c Condition) (Info, error) {
	from, err := cleanFile(from)
	if err != nil {
		return Info{}, err
	}
	if to, err = cleanFile(to); err != nil {
		return Info{}, err
	}
	if strings.HasPrefix(to, from+"/") {
		return Info{}, fmt.Errorf("%s cannot move into itself, to %s: %w", from, to, ErrName)
	}
	if err := s.changeIf(ctx, to, c, func() error { return s.rename(ctx, from, to) }); err != nil {
		return Info{}, err
	}
	return s.inspect(to)
}

// rename moves what stands under a name. It holds s.change.
func (s *Store) rename(ctx context.Context, from, to string) error {
	info, err := s.root.Lstat(from)
	if err != nil {
		return explain(from, err)
	}
	if from == to {
		return nil
	}
	if err := s.outsidePrivate(from); err != nil {
		return err
	}
	if info.IsDir() {
		return s.renameDir(from, to)
	}
	f, _ := s.facts.of(from, versionOf(info))
	if err := s.settle(ctx, newcomer{at: from, home: from, fact: f}, to); err != nil {
		return err
	}
	s.facts.forget(from)
	s.prune(to, f.SHA256)
	return s.syncDir(path.Dir(from))
}

// renameDir moves a directory, to a free name or over an empty directory. It holds
// s.change.
func (s *Store) renameDir(from, to string) error {
	if err := s.makeDirs(path.Dir(to)); err != nil {
		return err
	}
	if err := s.outsidePrivate(to); err != nil {
		return err
	}
	old, err := s.root.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = s.moveNew(from, to)
	case err == nil && !old.IsDir():
		err = fmt.Errorf("%s: %w", to, ErrNotDirectory)
	case err == nil:
		err = explain(to, s.root.Rename(from, to))
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s: %w", to, ErrNotEmpty) // how some file systems say it
	}
	if err != nil {
		return err
	}
	s.facts.move(from, to)
	return errors.Join(s.syncDir(path.Dir(from)), s.syncDir(path.Dir(to)))
}
