// Package tftptest has what tests need to play both sides of TFTP: files held in
// memory ([Files]), a whole client with options and windows ([Client]), and the
// end of a line that a test scripts packet by packet ([Peer]).
package tftptest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"netbootd/tftp"
)

// Files is a [tftp.Opener] for files in memory, by the name in the RRQ. Names
// that it does not have wrap [fs.ErrNotExist]. It must not change while it is
// in use.
type Files map[string][]byte

// Open returns the file of that name as a [File] without label and limits.
func (f Files) Open(_ context.Context, r tftp.OpenRequest) (tftp.File, error) {
	data, ok := f[r.Name]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", r.Name, fs.ErrNotExist)
	}
	return NewFile(data), nil
}

// An OpenFunc is a [tftp.Opener] made of one function.
type OpenFunc func(context.Context, tftp.OpenRequest) (tftp.File, error)

// Open calls the function.
func (f OpenFunc) Open(ctx context.Context, r tftp.OpenRequest) (tftp.File, error) { return f(ctx, r) }

// A File is a [tftp.File] in memory.
type File struct {
	io.ReaderAt
	Bytes    int64       // what Size returns
	Bounds   tftp.Limits // what Limits returns
	Name     string      // what Label returns
	Mark     any         // what Tag returns
	Identity any         // what Version returns
	OnClose  func()      // called by Close, unless it is nil
	OnDisk   bool        // ReadAtNow is always false
}

// NewFile makes a file without label and limits, whose version is the hash of
// its bytes.
func NewFile(data []byte) *File {
	return &File{ReaderAt: bytes.NewReader(data), Bytes: int64(len(data)), Identity: sha256.Sum256(data)}
}

// ReadAtNow implements [tftp.NowReader].
func (f *File) ReadAtNow(p []byte, off int64) bool {
	if f.OnDisk {
		return false
	}
	n, _ := f.ReadAt(p, off)
	return n == len(p)
}

// Size returns f.Bytes.
func (f *File) Size() int64 { return f.Bytes }

// Version returns f.Identity.
func (f *File) Version() any { return f.Identity }

// Limits returns f.Bounds.
func (f *File) Limits() tftp.Limits { return f.Bounds }

// Label returns f.Name.
func (f *File) Label() string { return f.Name }

// Tag returns f.Mark.
func (f *File) Tag() any { return f.Mark }

// Close calls f.OnClose.
func (f *File) Close() error {
	if f.OnClose != nil {
		f.OnClose()
	}
	return nil
}

// Bytes are n bytes without a pattern, the same at every call.
func Bytes(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{'t', 'f', 't', 'p'})
	_, _ = source.Read(b) // it never fails, by its documentation
	return b
}
