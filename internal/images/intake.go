package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

const (
	bufferBytes = 1 << 20
	buffers     = 4 // one is read into or written, one hashed, and some to be even
	// flushBytes is how much is written before the disk is asked to begin with it.
	flushBytes = 8 << 20
)

// An intake is a file of the store's own that content is appended to, and hashed on
// the way. It belongs to one goroutine.
type intake struct {
	name    string // for people
	file    *os.File
	hash    hash.Hash
	size    int64
	flushed int64 // up to where the disk was asked to write
}

// newIntake begins the file tmp, which is to become name.
func (s *Store) newIntake(tmp, name string) (*intake, error) {
	f, err := s.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, explain(name, err)
	}
	return &intake{name: name, file: f, hash: sha256.New()}, nil
}

// take appends what r has. Size and hash are those of what is in the file, also
// after an error.
func (in *intake) take(ctx context.Context, r io.Reader) error {
	written := make(chan []byte, buffers) // to be hashed
	free := make(chan []byte, buffers)
	for range buffers {
		free <- nil // made when it is needed, which for a small file is once
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		for b := range written {
			in.hash.Write(b)
			free <- b[:bufferBytes]
		}
	}()
	err := in.pump(ctx, r, free, written)
	close(written)
	<-hashed
	return err
}

// pump writes what r has to the file, and passes it on.
func (in *intake) pump(ctx context.Context, r io.Reader, free <-chan []byte, written chan<- []byte) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		b := <-free
		if b == nil {
			b = make([]byte, bufferBytes)
		}
		n, readErr := fill(r, b)
		n, err := in.file.Write(b[:n])
		in.size += int64(n)
		written <- b[:n]
		if err != nil {
			return explain(in.name, err)
		}
		if in.size-in.flushed >= flushBytes {
			startWriteback(in.file, in.flushed, in.size-in.flushed)
			in.flushed = in.size
		}
		if readErr == io.EOF { // alone is the end; a body that was cut wraps it or is io.ErrUnexpectedEOF
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("%s: %w", in.name, readErr)
		}
	}
}

// fill reads until b is full or r has an error, which unlike that of io.ReadFull is
// always r's own.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// sum is the hash of what is in the file.
func (in *intake) sum() Sum { return Sum(in.hash.Sum(nil)) }

// finish syncs the file and closes it.
func (in *intake) finish(err error) error {
	if err == nil {
		err = explain(in.name, in.file.Sync())
	}
	return errors.Join(err, in.file.Close())
}
