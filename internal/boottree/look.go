package boottree

import (
	"errors"
	"io/fs"
	"path"

	"netbootd/bootmenu"
	"netbootd/internal/bootfile"
	"netbootd/internal/loaders"
)

// A look is what was seen of one file. err says why it cannot be served.
type look struct {
	name    string // in its layer, in the case that it has there
	layer   Layer
	size    int64 // bytes
	info    bootfile.Info
	err     error
	version any // of the bytes that info was read from; nil if they may change unseen
}

// same tells whether o says the same of a file as l, though its bytes may differ.
func (l look) same(o look) bool {
	return l.name == o.name && l.info == o.info && (l.err == nil) == (o.err == nil) && (l.err == nil || l.err.Error() == o.err.Error())
}

// A lookup tells of the file that a name means for a machine of an arch whose boot
// has that root. known is false where there is nothing to tell.
type lookup func(root, name string, arch bootmenu.Arch) (l look, known bool)

// see reads the disk to tell of a file. It is a lookup.
func (t *Tree) see(root, name string, arch bootmenu.Arch) (look, bool) {
	l := t.seeImage(root, name, look{})
	if !errors.Is(l.err, fs.ErrNotExist) {
		return l, true
	}
	if loader, ok := findLoader(t.Loaders(), name, arch); ok {
		return seeLoader(loader, look{}), !loader.Made
	}
	return l, true
}

// findLoader is the loader that a name means, if no image has it.
func findLoader(set *loaders.Set, name string, arch bootmenu.Arch) (loaders.Loader, bool) {
	if l, ok := set.Find(name, arch, false); ok {
		return l, true
	}
	return set.Find(name, arch, true)
}

// seeImage looks at a file below root, else in the shared images, as a machine would
// be served it. A file that is as it was before is not read again.
func (t *Tree) seeImage(root, name string, before look) look {
	for _, fold := range []bool{false, true} {
		for _, dir := range []string{root, ""} {
			layer, full := LayerRoot, path.Join(dir, name)
			if dir == "" {
				layer = LayerImages
			}
			f, err := t.openImage(full, fold)
			if err == nil {
				return seen(&File{content: f, Name: f.name, Layer: layer}, before)
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return look{err: err}
			}
		}
	}
	return look{err: fs.ErrNotExist}
}

// seeLoader looks at a loader of the host.
func seeLoader(l loaders.Loader, before look) look {
	f, err := openLoader(l)
	if err != nil {
		return look{err: err}
	}
	return seen(f, before)
}

// seen tells what f is, and closes it.
func seen(f *File, before look) look {
	defer func() { _ = f.Close() }() // it was only read
	l := look{name: f.Name, layer: f.Layer, size: f.Size(), version: f.Version()}
	if l.version != nil && l.version == before.version && before.err == nil {
		l.info = before.info
		return l
	}
	l.info, l.err = bootfile.Identify(f)
	return l
}
