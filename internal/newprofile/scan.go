package newprofile

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"netbootd/internal/bootfile"
)

// An Image is a file that lies in the boot tree.
type Image struct {
	Name string // in the tree
	Info bootfile.Info
}

// maxImages bounds how many files are looked at.
const maxImages = 5000

// Scan looks at the files in a directory of the images and below it, in the order of
// their names. Links are passed over: what they lead to in there is found anyway.
func Scan(images fs.FS, dir string) ([]Image, error) {
	var found []Image
	err := fs.WalkDir(images, dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && e.Name() != ".":
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		case len(found) == maxImages:
			return fmt.Errorf("%s holds more than %d files; name the directory of one system in it", dir, maxImages)
		}
		info, err := identify(images, name)
		found = append(found, Image{name, info})
		return err
	})
	return found, err
}

// identify tells what one file is.
func identify(images fs.FS, name string) (bootfile.Info, error) {
	f, err := images.Open(name)
	if err != nil {
		return bootfile.Info{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	r, ok := f.(io.ReaderAt)
	if !ok {
		return bootfile.Info{}, fmt.Errorf("%s: cannot be read from the middle", name)
	}
	return bootfile.Identify(r)
}
