package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"
)

// An Origin is who stored a file, and from where, in the words of the caller.
type Origin struct {
	By   string `json:"by,omitempty"`
	From string `json:"from,omitempty"`
}

// Info is what the store knows of a file or a directory.
type Info struct {
	Name     string
	Dir      bool
	Link     string // where a symbolic link points to; the rest tells of its target
	Broken   bool   // a link that leads nowhere, or out of the store
	Size     int64  // 0 of a directory
	Modified time.Time
	SHA256   Sum // zero until the file was hashed, and again when it has changed
	// Origin and Stored tell of the one who stored the file. They are zero if the
	// file was copied into the directory, or changed there, by hand.
	Origin Origin
	Stored time.Time
}

// Stat tells of a file or a directory; links are followed. It reads no content: the
// sum is there if it is known.
func (s *Store) Stat(name string) (Info, error) {
	name, err := Clean(name)
	if err != nil {
		return Info{}, err
	}
	i, err := s.inspect(name)
	if err == nil && i.Broken {
		_, err = s.root.Stat(name)
		return i, explain(name, err)
	}
	return i, err
}

// inspect is as Stat, for a name that is clean; a link that cannot be followed is no
// error, and a device, socket or pipe is [ErrNotRegular].
func (s *Store) inspect(name string) (Info, error) {
	info, err := s.root.Lstat(name)
	if err != nil {
		return Info{}, explain(name, err)
	}
	i := Info{Name: name, Modified: info.ModTime()}
	if info.Mode()&fs.ModeSymlink != 0 {
		if i.Link, err = s.root.Readlink(name); err != nil {
			return Info{}, explain(name, err)
		}
		info, err = s.root.Stat(name)
	}
	switch {
	case err != nil:
		i.Broken = true
		return i, nil
	case info.IsDir():
		i.Modified, i.Dir = info.ModTime(), true
		return i, nil
	case !info.Mode().IsRegular():
		return i, explain(name, ErrNotRegular)
	}
	i.Modified, i.Size = info.ModTime(), info.Size()
	if f, ok := s.facts.of(name, versionOf(info)); ok {
		i.SHA256, i.Origin, i.Stored = f.SHA256, f.Origin, f.Stored
	}
	return i, nil
}

// Exists tells whether there is a file or directory of that name. A link that leads
// nowhere, or out of the store, does not exist.
func (s *Store) Exists(name string) (bool, error) {
	_, err := s.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrLinkOutside) || errors.Is(err, ErrNotDirectory) {
		return false, nil
	}
	return err == nil, err
}

// List tells of what is in a directory, sorted by name; "." is the top. Devices,
// sockets and pipes are left out, as they are never served.
func (s *Store) List(name string) ([]Info, error) {
	name, err := Clean(name)
	if err != nil {
		return nil, err
	}
	names, err := s.names(name)
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, n := range names {
		if name == "." && n == privateDir {
			continue
		}
		i, err := s.inspect(path.Join(name, n))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotRegular) {
			continue // it was removed meanwhile, or is special
		}
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// ListAll is as List, with all directories below, each before what is in it. Links
// to directories are not followed. It ends when ctx does.
func (s *Store) ListAll(ctx context.Context, name string) ([]Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	level, err := s.List(name)
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, i := range level {
		all = append(all, i)
		if !i.Dir || i.Link != "" {
			continue
		}
		below, err := s.ListAll(ctx, i.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}
