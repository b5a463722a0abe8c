package images

import (
	"context"
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
	Size     int64  // 0 of a directory
	Modified time.Time
	SHA256   Sum // zero until the file was hashed, and again when it has changed
	// Origin and Stored tell of the one who stored the file. They are zero if the
	// file was copied into the directory, or changed there, by hand.
	Origin Origin
	Stored time.Time
}

// Stat tells of a file or a directory; links are followed. It reads the disk, but
// no content: the sum is there if it is known.
func (s *Store) Stat(name string) (Info, error) { return Info{}, errContract }

// Exists tells whether there is a file or directory of that name. A link that leads
// nowhere, or out of the store, does not exist.
func (s *Store) Exists(name string) (bool, error) { return false, errContract }

// List tells of what is in a directory, sorted by name. Links that cannot be
// followed are told with the size 0. It reads the disk.
func (s *Store) List(name string) ([]Info, error) { return nil, errContract }

// ListAll is as List, with all directories below, each before what is in it. Links
// to directories are not followed. It ends when ctx does.
func (s *Store) ListAll(ctx context.Context, name string) ([]Info, error) {
	return nil, errContract
}
