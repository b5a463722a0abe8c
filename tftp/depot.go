package tftp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// ErrFull is what a [Depot] returns when there is no room for a file: a quota is
// used up, or the disk. The client is told ERROR 3.
var ErrFull = errors.New("no room for the file")

// A Depot takes the files that clients write. Without one a server is read-only.
type Depot interface {
	// Create begins a file. size is what the client announced by tsize, in bytes,
	// or -1. It may block, and may be called by many goroutines at once.
	//
	// An error that wraps fs.ErrExist is told to the client as ERROR 6 (file
	// exists), [ErrFull] as ERROR 3 (disk full), and everything else as ERROR 2
	// (access violation).
	Create(ctx context.Context, r OpenRequest, size int64) (Deposit, error)
}

// A Deposit is one file that is being written. Exactly one of Commit and Abort is
// called, once; after Abort, or an error of Commit, nothing of the file is left.
type Deposit interface {
	// Write appends. Its errors mean what those of Create do.
	io.Writer
	// Commit puts the whole file in place before it returns.
	Commit() error
	// Abort throws away what was written.
	Abort() error
	// Label is copied into the [Transfer].
	Label() string
}

// depotFault is what a client is told about an error of a [Depot].
func depotFault(err error) wireError {
	switch {
	case errors.Is(err, fs.ErrExist):
		return wireExists
	case errors.Is(err, ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return wireFull
	}
	return wireAccess
}
