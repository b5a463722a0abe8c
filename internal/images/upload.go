package images

import (
	"context"
	"io"
	"time"
)

// An Upload is content that arrives in pieces, and survives a restart in between.
type Upload struct {
	ID       string
	Target   Target
	Size     int64 // what was announced, or -1
	Offset   int64 // bytes that are stored for certain; the next piece begins here
	Began    time.Time
	LastUsed time.Time // the last append
}

// NewUpload begins an upload of size bytes, or of any number if size is -1. Uploads
// that have expired are removed first. The target's condition is looked at now, and
// again at the commit. Errors as [Store.Put], and [ErrTooManyUploads].
func (s *Store) NewUpload(ctx context.Context, t Target, size int64) (Upload, error) {
	return Upload{}, errContract
}

// Upload tells how far an upload is, or fs.ErrNotExist. It does not touch the disk.
func (s *Store) Upload(id string) (Upload, error) { return Upload{}, errContract }

// Uploads are those that are open, the oldest first. It does not touch the disk.
func (s *Store) Uploads() []Upload { return nil }

// Append adds what r has, up to its end, at offset, which must be the upload's. What
// was read before an error is stored, and the Upload that is returned beside the
// error tells where to go on. It waits for the disk, and takes constant memory. It
// ends when ctx does, but cannot interrupt r.
//
// Errors: an [*OffsetError], [ErrBusy] while another append runs, [ErrSize] for more
// than was announced, fs.ErrNotExist, [ErrNoSpace], [ErrReadOnly], and those of r.
func (s *Store) Append(ctx context.Context, id string, offset int64, r io.Reader) (Upload, error) {
	return Upload{}, errContract
}

// Commit gives an upload that is complete its name, as [Store.Put] does. With
// [ErrSum] the upload is gone, as its bytes are wrong; after any other error it is
// still there. Errors as Put, and [ErrBusy], [ErrSize], fs.ErrNotExist.
func (s *Store) Commit(ctx context.Context, id string) (Info, error) { return Info{}, errContract }

// Abort throws an upload away. Errors: [ErrBusy], fs.ErrNotExist.
func (s *Store) Abort(id string) error { return errContract }
