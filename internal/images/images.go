// Package images is the store of boot files: a plain directory that people may
// copy into, confined so that no name and no link leads out of it.
package images

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// A Store is the images directory, held open. It is safe for concurrent use. All
// its methods but those that say otherwise read or write the disk, and may wait for
// it; none that reads waits for one that writes.
type Store struct {
	root     *os.Root
	dir      string
	opts     Options
	readOnly bool // opened with Open

	setup   sync.Mutex // guards what follows, until the store is ready for writing
	lock    *os.File   // held until it is unlocked; nil: not ready
	private []fs.FileInfo

	// change is held by whoever changes what names stand for, over the renames and
	// their syncs; over content only where keepCopy is needed.
	change sync.Mutex
	facts  facts

	mu       sync.Mutex // guards what follows
	versions map[string][]Replaced
	lastID   int // of a version
	uploads  map[string]*upload
}

// Open opens the store in dir, which must exist, for reading only: it neither
// knows nor changes what a netbootd that serves the directory has noted of it.
func Open(dir string) (*Store, error) {
	s, err := open(dir, Options{})
	if err != nil {
		return nil, err
	}
	s.readOnly = true
	return s, nil
}

// Create opens the store in dir for reading and writing, and makes the directory if
// it is missing. What a crash left behind is finished or removed. One process at a
// time may write: beside another one, as in a directory that cannot be written to,
// the store is good for reading, its other methods say why, and they work when that
// has passed; see [Store.Writable].
func Create(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil && !isPassing(err) {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// isPassing tells of errors that are no reason not to serve what is there.
func isPassing(err error) bool {
	return slices.ContainsFunc([]error{ErrReadOnly, ErrNoSpace, ErrInUse, fs.ErrPermission}, func(passing error) bool {
		return errors.Is(err, passing)
	})
}

// Writable is nil if the store can be written to, and else tells why not.
func (s *Store) Writable() error { return s.prepare() }

func open(dir string, o Options) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		root:     root,
		dir:      dir,
		opts:     o.withDefaults(),
		versions: make(map[string][]Replaced),
		uploads:  make(map[string]*upload),
	}
	s.facts = facts{store: s, known: make(map[string]fact)}
	return s, nil
}

// Close gives the directory back. Files that are open stay readable; nothing else
// may run or be called any more.
func (s *Store) Close() error {
	err := errors.Join(s.facts.close(), s.root.Close())
	if s.lock != nil {
		err = errors.Join(err, unlock(s.lock))
	}
	return err
}

// Dir is the directory's path, for people.
func (s *Store) Dir() string { return s.dir }

// Open opens the regular file of that name: a clean relative path with slashes,
// compared exactly. Errors wrap fs.ErrNotExist or fs.ErrPermission where that is
// what they mean.
func (s *Store) Open(name string) (*File, error) {
	if isPrivate(name) {
		return nil, explain(name, fs.ErrNotExist)
	}
	return s.openAt(filepath.FromSlash(name), name)
}

// openAt opens a file that people know by another name.
func (s *Store) openAt(path, name string) (*File, error) {
	// Without O_NONBLOCK the open of a pipe waits for its writer for ever.
	f, err := s.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		err = fs.ErrNotExist // whoever asks means a file, and there can be none
	}
	if err != nil {
		return nil, explain(name, err)
	}
	file, err := NewFile(f)
	if err != nil {
		_ = f.Close()
		return nil, explain(name, err)
	}
	return file, nil
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
	return dir, !isPrivate(dir)
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
