package tftp

import (
	"context"
	"io"
	"net/netip"
)

// An Opener finds the file for a name that a client asked for.
type Opener interface {
	// Open returns the file that r.Name means for r.Client. It may block (disk,
	// neighbour table), is never called on the loop that reads packets, and may
	// be called by many goroutines at once. The server closes the file when the
	// transfer has ended.
	//
	// An error that wraps fs.ErrNotExist is told to the client as ERROR 1 (file
	// not found), one that wraps fs.ErrPermission as ERROR 2 (access violation).
	// Anything else is ERROR 2 as well: U-Boot would start over for ever on code 0.
	Open(ctx context.Context, r OpenRequest) (File, error)
}

// An OpenRequest is one name that one client asked for.
type OpenRequest struct {
	Client netip.AddrPort // the client's end, its address unmapped
	Local  netip.AddrPort // the address and port that the RRQ was sent to
	Name   string         // as in the RRQ: any slashes, any case, any bytes but NUL
}

// A File is one file, held open while a transfer lasts. ReadAt and Size must
// keep telling of the same bytes until Close, or ReadAt must fail.
type File interface {
	io.ReaderAt
	io.Closer

	// Size is the number of bytes in the file.
	Size() int64

	// Version is comparable with == and fit for the key of a map, and equal for
	// two files only if their bytes are equal. nil means that the file is not to
	// be shared between transfers.
	Version() any

	// Limits are what this file may be sent with; zero fields leave the
	// server's limits in force.
	Limits() Limits

	// Label is copied into the [Transfer] as it is. The daemon puts the
	// profile's name there.
	Label() string
}

// A Tagger is a [File] with something for whoever is told of its transfer's end. It
// is copied into the [Transfer] as it is.
type Tagger interface{ Tag() any }

// tagOf is the tag of a file, nil if it has none.
func tagOf(f File) any {
	if t, ok := f.(Tagger); ok {
		return t.Tag()
	}
	return nil
}

// A NowReader is a [File] of which bytes can be had without waiting. A server that
// finds them in memory sends them at once, where a ReadAt is left to another
// goroutine.
type NowReader interface {
	// ReadAtNow fills p with the bytes from off on, and is as true to the file's
	// version as ReadAt is. It never waits for a disk or another machine: it is
	// false where it would have to, and on any error, which ReadAt will tell of.
	ReadAtNow(p []byte, off int64) bool
}

// Limits bound what a client may negotiate.
type Limits struct {
	Blksize    Blksize    // the largest block size granted; 0 means no limit of its own
	Windowsize Windowsize // the largest window granted; 0 means no limit of its own

	// RefuseOptions are left out of the OACK as if they were unknown, for clients
	// that ask for what they cannot do. Each is one of [OptionNames].
	RefuseOptions []string
}
