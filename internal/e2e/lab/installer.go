//go:build linux

package lab

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// DebianInstaller is where the package debian-installer-12-netboot-amd64 keeps
// a real kernel (linux, 8 MB) and initrd (initrd.gz, 41 MB).
const DebianInstaller = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"

// CopyInstaller copies the linux and initrd.gz of an installer into dir, which it
// makes if need be.
func CopyInstaller(dir, installer string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"linux", "initrd.gz"} {
		if err := copyFile(filepath.Join(installer, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
