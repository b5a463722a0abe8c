// Package images is the store of boot files: a plain directory that people may
// copy into, confined so that no name and no link leads out of it.
package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// privateDir holds what belongs to the store itself. It is never served.
const privateDir = ".netbootd"

// A Store is the images directory, held open. It is safe for concurrent use.
type Store struct {
	root *os.Root
	dir  string
}

// Open opens the store in dir, which must exist, for reading only: it neither
// knows nor changes what a netbootd that serves the directory has noted of it.
func Open(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Store{root: root, dir: dir}, nil
}

// Create opens the store in dir for reading and writing, and makes the directory if
// it is missing. One process at a time may do that; others get [ErrInUse]. What a
// crash left behind is finished or removed. In a directory that cannot be written
// to, the store is good for reading, and its other methods say why.
func Create(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return Open(dir)
}

// Close gives the directory back. Files that are open stay readable.
func (s *Store) Close() error { return s.root.Close() }

// Dir is the directory's path, for people.
func (s *Store) Dir() string { return s.dir }

// Open opens the regular file of that name: a clean relative path with slashes,
// compared exactly. Errors wrap fs.ErrNotExist or fs.ErrPermission where that is
// what they mean.
func (s *Store) Open(name string) (*File, error) {
	if name == privateDir || strings.HasPrefix(name, privateDir+"/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	// Without O_NONBLOCK the open of a pipe waits for its writer for ever.
	f, err := s.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, plainError(name, err)
	}
	file, err := NewFile(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// plainError gives the errors of os.Root the meaning that callers ask for: os.Root
// has no exported error for a link that leaves it.
func plainError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return err
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case errors.Is(err, syscall.ELOOP), strings.Contains(err.Error(), "escapes"):
		return fmt.Errorf("%s: %w", name, ErrLinkOutside)
	}
	return err
}

// Fold is the name of a file that differs from name at most in case: the exact
// element where there is one, else the first in byte order. ok is false if there
// is none.
func (s *Store) Fold(name string) (actual string, ok bool) {
	dir := "."
	for elem := range strings.SplitSeq(name, "/") {
		found, ok := s.foldElement(dir, elem)
		if !ok {
			return "", false
		}
		dir = path.Join(dir, found)
	}
	return dir, dir != privateDir && !strings.HasPrefix(dir, privateDir+"/")
}

// foldElement finds one element of a path in its directory.
func (s *Store) foldElement(dir, elem string) (actual string, ok bool) {
	if _, err := s.root.Lstat(filepath.FromSlash(path.Join(dir, elem))); err == nil {
		return elem, true
	}
	d, err := s.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return "", false
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return "", false
	}
	slices.Sort(names)
	for _, n := range names {
		if strings.EqualFold(n, elem) {
			return n, true
		}
	}
	return "", false
}
