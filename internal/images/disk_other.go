//go:build !linux

package images

import (
	"errors"
	"os"
)

// The service runs on Linux; other systems only build this.

func exchange(*os.Root, string, string) error { return errors.ErrUnsupported }

func renameNew(*os.Root, string, string) error { return errors.ErrUnsupported }

func clone(_, _ *os.File) bool { return false }

func startWriteback(*os.File, int64, int64) {}

func lock(*os.File) error { return errors.ErrUnsupported }

func unlock(f *os.File) error { return f.Close() }
