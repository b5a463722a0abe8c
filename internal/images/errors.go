package images

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// The errors of the store. Besides these there are fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission. An error names the file as its caller did, never the host's path.
var (
	// ErrLinkOutside is a symbolic link that is absolute or leads out of the
	// store. It wraps fs.ErrPermission.
	ErrLinkOutside = fmt.Errorf("symbolic link that is absolute or leads out of the images directory: %w", fs.ErrPermission)
	// ErrNotRegular is a directory, device, socket or pipe that was to be read or
	// replaced, or a symbolic link that was to be replaced. It wraps
	// fs.ErrPermission.
	ErrNotRegular = fmt.Errorf("not a regular file: %w", fs.ErrPermission)
	// ErrIsDirectory is a directory where a file is needed. It wraps ErrNotRegular.
	ErrIsDirectory error = refusal{"is a directory", ErrNotRegular}
	// ErrNotDirectory is a file where a directory is needed, also on the way to a
	// name.
	ErrNotDirectory = errors.New("is not a directory")
	// ErrNotEmpty is a directory that still has files in it.
	ErrNotEmpty = errors.New("the directory is not empty")
	// ErrName is a name that no file of the store may have.
	ErrName = errors.New("not a name for a file")
	// ErrChanged is a file that was written to while it was open. One that was
	// replaced by rename keeps its old bytes and is no error.
	ErrChanged = errors.New("file changed while it was being read")
	// ErrNoSpace is a file system or a disk quota that is full.
	ErrNoSpace = errors.New("no space is left for it in the images directory")
	// ErrOtherFileSystem is a directory that something else is mounted on, so that
	// nothing can be moved into it or out of it.
	ErrOtherFileSystem = errors.New("lies on another file system than the images directory")
	// ErrReadOnly is a file system that is mounted for reading only, or a store
	// that was opened with [Open].
	ErrReadOnly = errors.New("the images directory can only be read")
	// ErrConflict is a [Condition] that does not hold.
	ErrConflict = errors.New("something else stands there by now")
	// ErrSum is content that has not the sha256 that it was announced with.
	ErrSum = errors.New("the sha256 is not the expected one")
	// ErrSize is content that is longer or shorter than it was announced.
	ErrSize = errors.New("the size is not the expected one")
	// ErrAlgorithm is a way to hash that is not known.
	ErrAlgorithm = errors.New("is no algorithm for a hash")
	// ErrBusy is an upload that somebody appends to or commits at this moment.
	ErrBusy = errors.New("the upload is in use by another request")
	// ErrTooManyUploads means that as many uploads are open as may be.
	ErrTooManyUploads = errors.New("too many uploads are open")
	// ErrInUse means that another process has the store open for writing.
	ErrInUse = errors.New("another netbootd uses this images directory")
)

// A refusal is an error that is a kind of another one, and says so better.
type refusal struct {
	text string
	kind error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.kind }

// An OffsetError is an append that does not begin where the stored bytes end.
type OffsetError struct {
	Offset int64 // where the next append must begin
	Asked  int64
}

// Error says where to go on.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("%d bytes are stored, so it goes on at offset %d and not at %d", e.Offset, e.Offset, e.Asked)
}

// A nameError is an error that has its meaning, of a file.
type nameError struct {
	name string
	err  error
}

func (e *nameError) Error() string { return e.name + ": " + e.err.Error() }
func (e *nameError) Unwrap() error { return e.err }

// explain gives an error of the file system the meaning that callers ask for, and
// the name that they know; of one that has both it changes the name.
func explain(name string, err error) error {
	if err == nil {
		return nil
	}
	if known := (*nameError)(nil); errors.As(err, &known) {
		return &nameError{name, known.err}
	}
	return &nameError{name, meaning(err)}
}

// meaning is the error of ours that an error of the file system stands for. os.Root
// has no exported error for a link that leaves it.
func meaning(err error) error {
	for _, m := range []struct{ is, means error }{
		{syscall.ENOSPC, ErrNoSpace},
		{syscall.EDQUOT, ErrNoSpace},
		{syscall.EROFS, ErrReadOnly},
		{syscall.EXDEV, ErrOtherFileSystem},
		{syscall.EISDIR, ErrIsDirectory},
		{syscall.ENOTDIR, ErrNotDirectory},
		{syscall.ENOTEMPTY, ErrNotEmpty},
		{syscall.ENAMETOOLONG, ErrName},
		{syscall.ELOOP, ErrLinkOutside},
		{ErrLinkOutside, ErrLinkOutside},
		{ErrIsDirectory, ErrIsDirectory},
		{ErrNotRegular, ErrNotRegular},
		{fs.ErrNotExist, fs.ErrNotExist},
		{fs.ErrExist, fs.ErrExist},
		{fs.ErrPermission, fs.ErrPermission},
	} {
		if errors.Is(err, m.is) {
			return m.means
		}
	}
	if strings.Contains(err.Error(), "escapes") {
		return ErrLinkOutside
	}
	return err
}
