//go:build !linux

package images

import (
	"io/fs"
	"time"
)

// versionOf knows size and time only, which is enough for the commands that read
// the store on other systems; the service runs on Linux.
func versionOf(info fs.FileInfo) Version {
	return Version{size: info.Size(), mtime: time.Duration(info.ModTime().UnixNano())}
}
