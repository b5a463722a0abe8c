package images

import (
	"context"
	"time"
)

// A Replaced is a file that another one has replaced under its name.
type Replaced struct {
	ID       string    // unique in the store
	Info               // of the file while it had its name
	Replaced time.Time // when
}

// Versions are the files that are kept for a name, the one that was replaced last
// first. A name without versions, or without a file, has none. It does not touch
// the disk.
func (s *Store) Versions(name string) ([]Replaced, error) { return nil, errContract }

// OpenVersion opens a file that was replaced. Errors wrap fs.ErrNotExist.
func (s *Store) OpenVersion(name, id string) (*File, error) { return nil, errContract }

// Rollback gives the version its name back; the id "" means the one that was
// replaced last. The file that stands there becomes a version in its turn; if none
// does, because it was removed, that is no error. Errors as [Store.Put]; a version
// that is not there is fs.ErrNotExist.
func (s *Store) Rollback(ctx context.Context, name, id string, c Condition) (Info, error) {
	return Info{}, errContract
}

// Prune removes the versions of a name except the last ones.
func (s *Store) Prune(name string, keep int) error { return errContract }
