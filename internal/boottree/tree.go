package boottree

import (
	"context"
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
	LayerFile      Layer = "file"
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
	// Builder makes the loaders that are made for this server; nil means that there
	// are none.
	Builder Builder
	// Opened is told of every file that a known machine opens, by the name that was
	// asked for; may be nil. It may block.
	Opened func(mac bootmenu.MAC, name string)
	// Assigned tells what a machine is assigned to; nil means that none is. It must
	// be quick.
	Assigned func(bootmenu.MAC) bootmenu.Assignments
}

// A Builder makes a loader that holds the address of the server which it is to ask.
// It is safe for concurrent use.
type Builder interface {
	// Build returns the path of the image. It blocks until that is made, or ctx ends.
	Build(ctx context.Context, l loaders.Loader, server netip.Addr) (path string, err error)
}

// A Request is one name that somebody asks for.
type Request struct {
	Client netip.Addr // who asks
	Server netip.Addr // our address that was asked
	Name   string     // as it was sent: any slashes, any case
}

// A Tree finds files for machines. It is safe for concurrent use.
type Tree struct {
	opts     Options
	plan     atomic.Pointer[plan]
	searched searched
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

// Select decides what m gets, by the catalog and the assignments in force.
func (t *Tree) Select(m bootmenu.Machine) bootmenu.Decision {
	if t.opts.Assigned == nil {
		return t.Catalog().Select(m)
	}
	return t.Catalog().SelectFor(m, t.opts.Assigned(m.MAC))
}

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

	Consumes bootmenu.AssignmentID // the once-assignment that is consumed when the file was delivered; zero: none
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
	server   netip.Addr // our address that it asked
	known    bool       // by MAC; strangers get no generated text
}

// Open finds the file that r asks for. Errors wrap fs.ErrNotExist or
// fs.ErrPermission where that is what they mean. It reads the disk, may ask the
// kernel and may make a loader, so it may block; ctx bounds the last.
func (t *Tree) Open(ctx context.Context, r Request) (*File, error) {
	clean, err := Clean(r.Name)
	if err != nil {
		return nil, err
	}
	v := t.visitor(r.Client)
	v.server = r.Server
	f, err := t.find(ctx, v, clean)
	if err != nil {
		return nil, err
	}
	f.MAC, f.Profile, f.TFTP = v.machine.MAC, v.decision.Profile, v.decision.Boot.TFTP
	if v.known && f.Layer != LayerLoaders {
		f.Consumes = v.decision.ConsumedBy(strings.TrimPrefix(f.Name, v.decision.Boot.Root+"/"), v.machine)
	}
	if v.known && t.opts.Opened != nil {
		t.opts.Opened(v.machine.MAC, clean)
	}
	return f, nil
}

// visitor tells who is at an address.
func (t *Tree) visitor(client netip.Addr) visitor {
	r, ok := t.opts.Links.at(client)
	if !ok && t.opts.Neighbour != nil {
		r.arch = bootmenu.ArchUnknown
		r.mac, ok = t.opts.Neighbour(client)
	}
	if !ok {
		return visitor{machine: bootmenu.Machine{Addr: client, Arch: bootmenu.ArchUnknown}}
	}
	return t.machine(r, client)
}

// machine is who lives at an address: what it was promised, else, for a machine that
// we never answered, what the profiles say of what is known of it.
func (t *Tree) machine(r resident, addr netip.Addr) visitor {
	if p, ok := t.opts.Links.promised(r.mac); ok {
		if addr.IsValid() {
			p.machine.Addr = addr // the one that it has by now
		}
		return visitor{machine: p.machine, decision: *p.decision, known: true}
	}
	m := bootmenu.Machine{MAC: r.mac, Addr: addr, Arch: r.arch, VendorClass: r.vendorClass}
	return visitor{machine: m, decision: t.Select(m), known: true}
}

// ProfileOf is the profile of the machine at an address, empty if it has none. It
// may ask the kernel, so it may block.
func (t *Tree) ProfileOf(client netip.Addr) string { return t.visitor(client).decision.Profile }

// notFound is the error for a name that nothing stands for.
func notFound(name string) error { return fmt.Errorf("%s: %w", name, fs.ErrNotExist) }

// find looks through the layers, exactly before without regard to case, and then for
// the other names that v may mean by this one.
func (t *Tree) find(ctx context.Context, v visitor, name string) (*File, error) {
	if isReserved(name) {
		return t.openReserved(v, name)
	}
	f, err := t.findHere(ctx, v, name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnwritten) {
		return f, err
	}
	if other, ok := t.otherName(v, name); ok {
		return t.find(ctx, v, other)
	}
	return nil, err
}

// findHere looks through the layers for this name alone.
func (t *Tree) findHere(ctx context.Context, v visitor, name string) (*File, error) {
	for _, fold := range []bool{false, true} {
		for _, l := range t.layers() {
			f, err := l.open(ctx, v, name, fold)
			if err == nil || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnwritten) {
				return f, err
			}
		}
	}
	return nil, notFound(name)
}

// A source is one layer.
type source struct {
	layer Layer
	open  func(ctx context.Context, v visitor, name string, fold bool) (*File, error)
}

// layers are the layers in their order.
func (t *Tree) layers() []source {
	return []source{
		{LayerRoot, t.openRoot},
		{LayerFile, t.openText},
		{LayerImages, t.openShared},
		{LayerGenerated, t.openGenerated},
		{LayerLoaders, t.openLoaders},
	}
}

func (t *Tree) openRoot(_ context.Context, v visitor, name string, fold bool) (*File, error) {
	root := v.decision.Boot.Root
	if root == "" {
		return nil, notFound(name)
	}
	return t.openStored(LayerRoot, path.Join(root, name), fold)
}

func (t *Tree) openShared(_ context.Context, _ visitor, name string, fold bool) (*File, error) {
	return t.openStored(LayerImages, name, fold)
}

func (t *Tree) openStored(l Layer, name string, fold bool) (*File, error) {
	f, err := t.openImage(name, fold)
	if err != nil {
		return nil, err
	}
	return &File{content: f, Name: f.name, Layer: l}, nil
}

func (t *Tree) openLoaders(ctx context.Context, v visitor, name string, fold bool) (*File, error) {
	l, ok := t.Loaders().Find(name, v.machine.Arch, fold)
	if !ok {
		return nil, notFound(name)
	}
	if l.Made {
		if t.opts.Builder == nil {
			return nil, notFound(name)
		}
		var err error
		if l.Path, err = t.opts.Builder.Build(ctx, l, v.server); err != nil {
			return nil, err
		}
	}
	return openLoader(l)
}

// otherName is the name that v means by one that stands for nothing: a Raspberry
// Pi's files stand once for all, whatever directory it has in front of their names,
// and U-Boot's "pxe boot" puts the directory of its boot file before the names in
// our text.
func (t *Tree) otherName(v visitor, name string) (other string, ok bool) {
	if prefix, rest, ok := bootmenu.WithoutRPiPrefix(name, v.machine); ok && len(t.namesIn(v, prefix)) == 0 {
		return rest, true
	}
	for _, f := range v.decision.Boot.Files() {
		if strings.HasSuffix(name, "/"+f) {
			return f, true
		}
	}
	return "", false
}

// namesIn are the names that stand in a directory of the layers above the generated
// texts.
func (t *Tree) namesIn(v visitor, dir string) []string {
	var names []string
	if root := v.decision.Boot.Root; root != "" {
		names = t.opts.Images.Names(path.Join(root, dir))
	}
	for _, text := range v.decision.Texts {
		if in, base := path.Split(text.Name); strings.TrimSuffix(in, "/") == dir {
			names = append(names, base)
		}
	}
	return append(names, t.opts.Images.Names(dir)...)
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
