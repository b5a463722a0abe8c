package images

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// readNow fills p with what the page cache has of f (preadv2(2), RWF_NOWAIT).
func readNow(f *os.File, p []byte, off int64) (ok bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	_ = conn.Control(func(fd uintptr) { // that fails where f is closed, and then ok is false
		n, err := unix.Preadv2(int(fd), [][]byte{p}, off, unix.RWF_NOWAIT)
		if errors.Is(err, unix.EOPNOTSUPP) && isInMemory(int(fd)) {
			n, err = unix.Pread(int(fd), p, off)
		}
		ok = err == nil && n == len(p)
	})
	return ok
}

// isInMemory tells whether a file lies in a file system that has no disk of its
// own, and does not know RWF_NOWAIT. What of it is swapped out must be waited for.
func isInMemory(fd int) bool {
	var s unix.Statfs_t
	return unix.Fstatfs(fd, &s) == nil && (uint32(s.Type) == unix.TMPFS_MAGIC || uint32(s.Type) == unix.RAMFS_MAGIC)
}
