package boottree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"netbootd/bootmenu"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

// Layer is a part of the tree, as the package comment lists them.
type Layer string

// The layers, in the order in which they are looked through.
const (
	LayerRoot      Layer = "root"
	LayerImages    Layer = "images"
	LayerGenerated Layer = "generated"
	LayerLoaders   Layer = "loaders"
)

// Options are the parts of a [Tree].
type Options struct {
	Images *images.Store
	Links  *Links
	// Neighbour asks the kernel's neighbour table who is behind an address that
	// no DHCP packet linked. It may block; nil means nobody is known.
	Neighbour func(netip.Addr) (bootmenu.MAC, bool)
	// Opened is told of every file that a known machine opens, by the name that was
	// asked for; may be nil. It may block.
	Opened func(mac bootmenu.MAC, name string)
}

// A Tree finds files for machines. It is safe for concurrent use.
type Tree struct {
	opts Options
	plan atomic.Pointer[plan]
}

// A plan is what a reload replaces in one step.
type plan struct {
	catalog *bootmenu.Catalog
	loaders *loaders.Set
}

// New makes a tree with no profile and no loader.
func New(o Options) *Tree {
	t := &Tree{opts: o}
	t.SetPlan(bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), &loaders.Set{})
	return t
}

// SetPlan replaces profiles and loaders. Files that are open, and machines whose
// boot is under way, are not touched.
func (t *Tree) SetPlan(c *bootmenu.Catalog, l *loaders.Set) { t.plan.Store(&plan{c, l}) }

// Catalog is the one in force.
func (t *Tree) Catalog() *bootmenu.Catalog { return t.plan.Load().catalog }

// Loaders are those in force.
func (t *Tree) Loaders() *loaders.Set { return t.plan.Load().loaders }

// A File is one file of the tree, open. Its bytes stay what they were when it
// was opened, or reading fails.
type File struct {
	content
	Name    string              // its name in its layer: cleaned, in the case it has there
	Layer   Layer               // where it was found
	MAC     bootmenu.MAC        // the machine that asked, zero if it is unknown
	Profile string              // that machine's profile, empty if it has none
	TFTP    bootmenu.TFTPLimits // of that profile
}

// content is what a file is read through.
type content interface {
	io.ReaderAt
	io.Closer
	Size() int64
	Version() any
}

// ReadAtNow is as [images.File.ReadAtNow]; it is false for text that is generated.
func (f *File) ReadAtNow(p []byte, off int64) bool {
	stored, ok := f.content.(interface{ ReadAtNow([]byte, int64) bool })
	return ok && stored.ReadAtNow(p, off)
}

// A visitor is who asks.
type visitor struct {
	machine  bootmenu.Machine
	decision bootmenu.Decision
	known    bool // by MAC; strangers get no generated text
}

// Open finds name for the client at that address. Errors wrap fs.ErrNotExist or
// fs.ErrPermission where that is what they mean. It reads the disk and may ask
// the kernel, so it may block.
func (t *Tree) Open(client netip.Addr, name string) (*File, error) {
	clean, err := Clean(name)
	if err != nil {
		return nil, err
	}
	v := t.visitor(client)
	f, err := t.find(v, clean)
	if err != nil {
		return nil, err
	}
	f.MAC, f.Profile, f.TFTP = v.machine.MAC, v.decision.Profile, v.decision.Boot.TFTP
	if v.known && t.opts.Opened != nil {
		t.opts.Opened(v.machine.MAC, clean)
	}
	return f, nil
}

// visitor tells who is at an address: what it was promised, else, for a machine
// that we never answered, what the profiles say of what is known of it.
func (t *Tree) visitor(client netip.Addr) visitor {
	r, ok := t.opts.Links.at(client)
	if !ok && t.opts.Neighbour != nil {
		r.arch = bootmenu.ArchUnknown
		r.mac, ok = t.opts.Neighbour(client)
	}
	if !ok {
		return visitor{machine: bootmenu.Machine{Addr: client, Arch: bootmenu.ArchUnknown}}
	}
	if p, ok := t.opts.Links.promised(r.mac); ok {
		return visitor{machine: p.machine, decision: p.decision, known: true}
	}
	m := bootmenu.Machine{MAC: r.mac, Addr: client, Arch: r.arch, VendorClass: r.vendorClass}
	return visitor{machine: m, decision: t.Catalog().Select(m), known: true}
}

// ProfileOf is the profile of the machine at an address, empty if it has none. It
// may ask the kernel, so it may block.
func (t *Tree) ProfileOf(client netip.Addr) string { return t.visitor(client).decision.Profile }

// find looks through the layers.
func (t *Tree) find(v visitor, name string) (*File, error) {
	if f, reserved, err := t.generate(v, name); reserved {
		return f, err
	}
	for _, fold := range []bool{false, true} {
		f, err := t.findIn(v, name, fold)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// findIn looks through the layers once, exactly or without regard to case.
func (t *Tree) findIn(v visitor, name string, fold bool) (*File, error) {
	if root := v.decision.Boot.Root; root != "" {
		f, err := t.openImage(path.Join(root, name), fold)
		if err == nil {
			return &File{content: f, Name: f.name, Layer: LayerRoot}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	f, err := t.openImage(name, fold)
	if err == nil {
		return &File{content: f, Name: f.name, Layer: LayerImages}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if l, ok := t.Loaders().Find(name, v.machine.Arch, fold); ok {
		return openLoader(l)
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// namedImage is a file of the store with the name it was found by.
type namedImage struct {
	*images.File
	name string
}

func (t *Tree) openImage(name string, fold bool) (namedImage, error) {
	if fold {
		actual, ok := t.opts.Images.Fold(name)
		if !ok {
			return namedImage{}, fs.ErrNotExist
		}
		name = actual
	}
	f, err := t.opts.Images.Open(name)
	return namedImage{f, name}, err
}

// generate writes the text that a reserved name stands for. reserved tells
// whether name is one; then no other layer is asked.
func (t *Tree) generate(v visitor, name string) (f *File, reserved bool, err error) {
	entry, isEntry := bootmenu.MenuEntry(name)
	if name != bootmenu.ScriptName && !isEntry {
		return nil, strings.HasPrefix(name, path.Dir(bootmenu.ScriptName)+"/"), fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	d := v.decision
	switch {
	case isEntry:
		var ok bool
		if d, ok = v.decision.Choose(entry, v.machine); !ok {
			return nil, true, fmt.Errorf("%s: no such entry in the menu of this machine: %w", name, fs.ErrNotExist)
		}
		t.opts.Links.Decided(v.machine, d) // its files come from this profile now
	case len(d.Menu) > 0:
		d.Profile = "" // back to the menu
	}
	if !v.known || d.Silent() {
		return nil, true, fmt.Errorf("%s: no profile is for this machine: %w", name, fs.ErrNotExist)
	}
	text := bootmenu.IPXEScript(d, v.machine)
	return &File{content: generated{bytes.NewReader(text)}, Name: name, Layer: LayerGenerated}, true, nil
}

// generated is a text in memory.
type generated struct{ *bytes.Reader }

// Version is nil: the text was written for one machine.
func (generated) Version() any { return nil }

// Close does nothing.
func (generated) Close() error { return nil }

// openLoader opens a file that the scan listed.
func openLoader(l loaders.Loader) (*File, error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return nil, err
	}
	c, err := images.NewFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{content: c, Name: l.TreeName(), Layer: LayerLoaders}, nil
}
