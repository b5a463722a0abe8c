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

var (
	// ErrLinkOutside is a symbolic link that is absolute or leads out of the
	// store. It wraps fs.ErrPermission.
	ErrLinkOutside = fmt.Errorf("symbolic link that is absolute or leads out of the images directory: %w", fs.ErrPermission)
	// ErrNotRegular is a directory, device, socket or pipe. It wraps
	// fs.ErrPermission.
	ErrNotRegular = fmt.Errorf("not a regular file: %w", fs.ErrPermission)
	// ErrChanged is a file that was written to while it was open. One that was
	// replaced by rename keeps its old bytes and is no error.
	ErrChanged = errors.New("file changed while it was being read")
)

// A Store is the images directory, held open. It is safe for concurrent use.
type Store struct {
	root *os.Root
	dir  string
}

// Open opens the store in dir, which must exist.
func Open(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Store{root: root, dir: dir}, nil
}

// Create opens the store in dir and makes the directory if it is missing.
func Create(dir string) (*Store, error) {
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
	names, err := s.readNames(dir)
	if err != nil {
		return "", false
	}
	for _, n := range names {
		if strings.EqualFold(n, elem) {
			return n, true
		}
	}
	return "", false
}

// Names are those in a directory of the store, in byte order; the store itself is
// "". What cannot be read, and what is no directory, has none.
func (s *Store) Names(dir string) []string {
	if dir == privateDir || strings.HasPrefix(dir, privateDir+"/") {
		return nil
	}
	names, err := s.readNames(path.Join(".", dir))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(n string) bool { return path.Join(dir, n) == privateDir })
}

// readNames reads the names in a directory, in byte order. A pipe is not waited for.
func (s *Store) readNames(dir string) ([]string, error) {
	d, err := s.root.OpenFile(filepath.FromSlash(dir), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
