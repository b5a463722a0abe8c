package images

import (
	"context"
	"io"
)

// A Condition is what must stand under a name for a change to be made. The zero
// value demands nothing.
type Condition struct {
	Absent bool `json:"absent,omitempty"` // nothing stands there
	SHA256 Sum  `json:"sha256,omitzero"`  // a file stands there that has this sum
}

// A Target is where content goes to.
type Target struct {
	Name   string    `json:"name"`            // missing directories are made
	Origin Origin    `json:"origin"`          // who sends it
	SHA256 Sum       `json:"sha256,omitzero"` // what the content must have; zero: anything
	If     Condition `json:"if"`
}

// Put stores what r has, up to its end. The file is whole before it has its name:
// readers, and a crash, meet the old content or the new. What it replaces is kept
// as a version, unless its content is the same: then the file stays, and only its
// origin is new. On an error nothing has changed.
//
// It writes to the disk and waits for it. It takes constant memory. It ends when
// ctx does, but cannot interrupt r.
//
// Errors: [ErrName], [ErrIsDirectory], [ErrNotDirectory], [ErrNotRegular] for a
// name that is a symbolic link, [ErrLinkOutside], [ErrConflict], [ErrSum],
// [ErrNoSpace], [ErrReadOnly], fs.ErrPermission, and those of r.
func (s *Store) Put(ctx context.Context, t Target, r io.Reader) (Info, error) {
	return Info{}, errContract
}
