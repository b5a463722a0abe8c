package images

import (
	"errors"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// rename2 is renameat2(2) between two names below root. os.Root follows the links
// on the way to them, and the kernel follows none after that.
func rename2(root *os.Root, from, to string, flags uint) error {
	fromDir, err := root.Open(path.Dir(from))
	if err != nil {
		return err
	}
	defer func() { _ = fromDir.Close() }()
	toDir, err := root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer func() { _ = toDir.Close() }()
	err = unix.Renameat2(int(fromDir.Fd()), path.Base(from), int(toDir.Fd()), path.Base(to), flags)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// exchange swaps two files in one step, or returns errors.ErrUnsupported where the
// file system cannot, such as NFS.
func exchange(root *os.Root, a, b string) error {
	return rename2(root, a, b, unix.RENAME_EXCHANGE)
}

// renameNew renames a file to a name that must be free, or returns
// errors.ErrUnsupported.
func renameNew(root *os.Root, from, to string) error {
	return rename2(root, from, to, unix.RENAME_NOREPLACE)
}

// clone makes dst share the blocks of src, where the file system can.
func clone(dst, src *os.File) bool {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}

// startWriteback lets the disk begin with n bytes that were written at off, so that
// the sync at the end is short. It is only a hint.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// lock takes the file for this process, until unlock.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// unlock closes a file that lock was asked for. To close it would not be enough: a
// program that is just being started has it open too.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
