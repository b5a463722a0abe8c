package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A tree is a directory with all below it, on this host or another. Names are
// relative to it, "." is the directory itself.
type tree interface {
	list(name string) ([]fs.FileInfo, error) // of a directory; links are not followed
	stat(name string) (fs.FileInfo, error)   // of what a link leads to
	target(name string) (string, error)      // of a link; an error if that is outside
	real(name string) (string, error)        // the path without links
	file(name string, info fs.FileInfo) Item // the item of a regular file
}

// A walk goes through a tree in the order of names, and yields what is in it.
type walk struct {
	ctx    context.Context // of the listing
	tree   tree
	follow bool
	yield  func(Item, error) bool
}

// directory walks one directory, which lies in those above, given by their real
// paths. It tells whether the walk goes on.
func (w *walk) directory(name string, above []string) bool {
	if w.follow {
		real, err := w.tree.real(name)
		if err != nil {
			return w.refuse(name, err)
		}
		if slices.Contains(above, real) {
			return w.refuse(name, errors.New("a link to a directory that it lies in"))
		}
		above = append(slices.Clone(above), real)
	}
	entries, err := w.tree.list(name)
	if err != nil {
		return w.refuse(name, err)
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if w.ctx.Err() != nil {
			w.yield(Item{}, context.Cause(w.ctx))
			return false
		}
		if !w.entry(path.Join(name, e.Name()), e, above) {
			return false
		}
	}
	return true
}

// entry walks one entry of a directory.
func (w *walk) entry(name string, info fs.FileInfo, above []string) bool {
	if info.Mode().Type() == fs.ModeSymlink {
		if !w.follow {
			return w.link(name, info)
		}
		var err error
		if info, err = w.tree.stat(name); err != nil {
			return w.refuse(name, err)
		}
	}
	switch {
	case info.IsDir():
		return w.directory(name, above)
	case info.Mode().IsRegular():
		return w.yield(w.tree.file(name, info), nil)
	}
	return w.refuse(name, errors.New("neither a file nor a directory"))
}

func (w *walk) link(name string, info fs.FileInfo) bool {
	target, err := w.tree.target(name)
	if err != nil {
		return w.refuse(name, err)
	}
	return w.yield(Item{Name: name, Size: -1, ModTime: info.ModTime(), Link: target}, nil)
}

// refuse yields an error about one name; about the tree itself it ends the walk.
func (w *walk) refuse(name string, err error) bool {
	if name == "." {
		w.yield(Item{}, withoutPath(err))
		return false
	}
	return w.yield(Item{Name: name, Size: -1}, fmt.Errorf("%s: %w", name, withoutPath(err)))
}

// checkTarget refuses a link that leads out of the tree.
func checkTarget(name, target string) error {
	to := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
		return outside(target)
	}
	return nil
}

func outside(target string) error {
	return &Error{
		Err:  fmt.Errorf("a link to %s, which is outside or an absolute path", target),
		Hint: "links inside are kept if they are relative; with --follow what links lead to is uploaded in their place",
	}
}
