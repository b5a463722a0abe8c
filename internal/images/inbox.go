package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// partialPrefix begins the names of files that are not whole yet.
const partialPrefix = ".partial-"

// ErrFull means that a file would use up the space that an [Inbox] may take.
var ErrFull = errors.New("the quota of the directory is used up")

// InboxOptions are the parts of an [Inbox].
type InboxOptions struct {
	Dir       string // made if missing
	Overwrite bool   // whether a file of the same name is replaced
	Quota     int64  // bytes that all files in it may take together
}

// An Inbox is a directory that clients write whole files into. A file appears
// under its name when it is complete, and not before. It is safe for concurrent
// use; nobody else should write into the directory meanwhile, or the quota is
// reckoned wrongly until the next start.
type Inbox struct {
	root *os.Root
	opts InboxOptions

	mu   sync.Mutex // guards what follows
	used int64      // bytes in files, whole or not
	next int        // number of the next partial file
}

// OpenInbox opens the inbox, removes what an interrupted write left behind, and
// adds up what is there.
func OpenInbox(o InboxOptions) (*Inbox, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, err
	}
	in := &Inbox{root: root, opts: o}
	if err := in.takeStock(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return in, nil
}

// Close gives the directory back.
func (in *Inbox) Close() error { return in.root.Close() }

// takeStock adds up the files, and removes partial ones.
func (in *Inbox) takeStock() error {
	return fs.WalkDir(in.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasPrefix(name, partialPrefix) {
			return in.root.Remove(filepath.FromSlash(name))
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			in.used += info.Size()
		}
		return nil
	})
}

// Create begins a file of that name, a clean relative path with slashes; missing
// directories are made. size is how long it will be, or -1. Errors wrap
// fs.ErrExist, fs.ErrPermission or [ErrFull] where that is what they mean.
func (in *Inbox) Create(name string, size int64) (*Partial, error) {
	if strings.HasPrefix(path.Base(name), partialPrefix) {
		return nil, fmt.Errorf("%s: the name is kept for files that are not whole: %w", name, fs.ErrPermission)
	}
	if info, err := in.root.Lstat(filepath.FromSlash(name)); err == nil {
		switch {
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s: %w", name, ErrNotRegular)
		case !in.opts.Overwrite:
			return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if size > in.opts.Quota-in.used {
		return nil, fmt.Errorf("%s: %d bytes announced, %d are left: %w", name, size, in.opts.Quota-in.used, ErrFull)
	}
	in.next++
	partial := fmt.Sprintf("%s%d", partialPrefix, in.next)
	f, err := in.root.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &Partial{inbox: in, file: f, partial: partial, name: name}, nil
}

// take reserves n bytes of the quota; a negative n gives them back.
func (in *Inbox) take(n int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if n > in.opts.Quota-in.used {
		return ErrFull
	}
	in.used += n
	return nil
}

// A Partial is a file that is being written. It belongs to one goroutine.
type Partial struct {
	inbox   *Inbox
	file    *os.File
	partial string // its name until it is whole
	name    string // its name then
	size    int64
}

// Write appends. It returns [ErrFull] when the quota is used up.
func (p *Partial) Write(b []byte) (int, error) {
	if err := p.inbox.take(int64(len(b))); err != nil {
		return 0, err
	}
	p.size += int64(len(b))
	return p.file.Write(b)
}

// Commit syncs the file and gives it its name. After a crash there is the whole
// file or none. If it fails nothing of the file is left.
func (p *Partial) Commit() error {
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return errors.Join(err, p.remove())
	}
	if err := p.place(); err != nil {
		return errors.Join(err, p.remove())
	}
	return nil
}

// place moves the file to its name. Without leave to overwrite it is linked
// there, which fails if somebody else was first.
func (p *Partial) place() error {
	root, name := p.inbox.root, filepath.FromSlash(p.name)
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if !p.inbox.opts.Overwrite {
		return errors.Join(root.Link(p.partial, name), root.Remove(p.partial))
	}
	old, err := root.Lstat(name)
	if err := root.Rename(p.partial, name); err != nil {
		return err
	}
	if err == nil {
		return p.inbox.take(-old.Size())
	}
	return nil
}

// Abort throws away what was written.
func (p *Partial) Abort() error {
	return errors.Join(p.file.Close(), p.remove())
}

// remove takes the partial file away and gives its bytes back.
func (p *Partial) remove() error {
	err := p.inbox.root.Remove(p.partial)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.inbox.take(-p.size))
}
