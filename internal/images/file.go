package images

import (
	"fmt"
	"os"
	"time"
)

// recent is how long after its last change a file may change again within the
// same tick of the file system's clock, so that its version would not show it.
const recent = 2 * time.Second

// A Version identifies the bytes of a file: two files of equal Version are the
// same file, unchanged. Writes through a shared memory map, and two writes within
// one tick of the kernel's clock, do not show in it.
type Version struct {
	dev, ino     uint64
	size         int64
	mtime, ctime time.Duration // since 1970
}

// A File is one file of the store, open for reading. It keeps serving the bytes
// it was opened with, or fails: a replacement by rename leaves it whole, a write
// in place makes it fail with [ErrChanged].
type File struct {
	f       *os.File
	version Version
	shared  bool // old enough for Version to be trusted
}

// NewFile takes over f, if it is a regular file: closing the File closes f. On an
// error f is still the caller's.
func NewFile(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, ErrIsDirectory
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	v := versionOf(info)
	age := time.Duration(time.Now().UnixNano()) - max(v.ctime, v.mtime)
	return &File{f: f, version: v, shared: age > recent}, nil
}

// Size is the file's length in bytes when it was opened.
func (f *File) Size() int64 { return f.version.size }

// Version identifies the file's bytes. It is nil for a file that was changed so
// lately that another change might not show.
func (f *File) Version() any {
	if !f.shared {
		return nil
	}
	return f.version
}

// Tag is a short text that differs for files of other bytes, like an entity tag of
// HTTP. What [Version] says of its limits holds here too.
func (f *File) Tag() string {
	v := f.version
	return fmt.Sprintf("%x-%x-%x-%x", v.dev, v.ino, v.size, int64(v.mtime))
}

// ReadAt reads the bytes that the file had when it was opened, or returns
// [ErrChanged].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if changed := f.check(); changed != nil {
		return 0, changed
	}
	return n, err
}

// ReadAtNow fills p as ReadAt does, but only with what the kernel has in memory.
// It does not wait for a disk or another machine, and is false where it would
// have to, and on any error, which ReadAt will tell of.
func (f *File) ReadAtNow(p []byte, off int64) bool {
	return readNow(f.f, p, off) && f.check() == nil
}

// check tells whether the file still has the bytes that it was opened with.
func (f *File) check() error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	// A rename over the file, or its removal, changes ctime and the link count
	// of the old inode and nothing of its bytes.
	now := versionOf(info)
	now.ctime = f.version.ctime
	if now != f.version {
		return ErrChanged
	}
	return nil
}

// Close gives the file back.
func (f *File) Close() error { return f.f.Close() }
