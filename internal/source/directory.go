package source

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// A directory is one of this host. Unless links are followed nothing outside is
// read, whatever becomes of it meanwhile.
type directory struct {
	root   *os.Root
	follow bool
}

func (d *directory) Close() error { return d.root.Close() }

func (d *directory) items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		w := walk{ctx: ctx, tree: d, follow: d.follow, yield: yield}
		w.directory(".", nil)
	}
}

// full is the path of a name on this host.
func (d *directory) full(name string) string {
	return filepath.Join(d.root.Name(), filepath.FromSlash(name))
}

func (d *directory) open(name string) (*os.File, error) {
	if d.follow {
		return os.Open(d.full(name))
	}
	return d.root.Open(filepath.FromSlash(name))
}

func (d *directory) list(name string) ([]fs.FileInfo, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	infos, err := f.Readdir(-1)
	return infos, errors.Join(err, f.Close())
}

func (d *directory) stat(name string) (fs.FileInfo, error) { return os.Stat(d.full(name)) }

func (d *directory) real(name string) (string, error) { return filepath.EvalSymlinks(d.full(name)) }

// target refuses also what only leads outside by way of another link.
func (d *directory) target(name string) (string, error) {
	target, err := d.root.Readlink(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	target = filepath.ToSlash(target)
	if err := checkTarget(name, target); err != nil {
		return "", err
	}
	if _, err := d.root.Stat(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", outside(target)
	}
	return target, nil
}

func (d *directory) file(name string, info fs.FileInfo) Item {
	return regular(name, info, d.full(name), func() (*os.File, error) { return d.open(name) })
}
