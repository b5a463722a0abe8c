package images

import (
	"io/fs"
	"syscall"
	"time"
)

// versionOf reads the version of a file that the kernel told about.
func versionOf(info fs.FileInfo) Version {
	v := Version{size: info.Size(), mtime: time.Duration(info.ModTime().UnixNano())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		v.dev, v.ino = uint64(st.Dev), st.Ino
		v.ctime = time.Duration(st.Ctim.Nano())
	}
	return v
}
