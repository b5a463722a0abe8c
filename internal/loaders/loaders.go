// Package loaders finds the boot loaders that the host's packages installed, and
// tells which machine each is for from the file itself. It guesses nothing: a
// file whose machine type cannot be read, or is not the one its place promises,
// is left out and named. GRUB, which must be told its server's address, it makes
// from the modules of the packages.
package loaders

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"netbootd/bootmenu"
	"netbootd/internal/bootfile"
)

// treeDir is the directory of the boot tree that the loaders appear in, as
// loaders/ARCH/KIND/NAME.
const treeDir = "loaders"

// DefaultDirs are the directories in which distributions install boot loaders, and
// what those need beside them.
func DefaultDirs() []string {
	return []string{
		"/usr/lib/ipxe", "/usr/share/ipxe", "/usr/share/ipxe/arm64-efi",
		"/usr/lib/PXELINUX", "/usr/lib/syslinux/modules/bios", "/usr/lib/syslinux/bios", "/usr/share/syslinux",
		"/usr/lib/shim", "/usr/lib/grub/x86_64-efi-signed", "/usr/lib/grub/arm64-efi-signed",
		"/usr/lib/grub",
	}
}

// A Loader is a boot loader on the host, or a file that one needs beside it.
type Loader struct {
	Arch    bootmenu.Arch
	Kind    bootmenu.Loader
	Name    string // base name, as it is asked for
	Path    string // on the host, all links resolved; the directory of its modules if it is made
	Size    int64  // bytes; 0 if it is made
	Made    bool   // by a [Builder], once it is asked for
	Sibling bool   // only loaded by the loader of its kind, never handed out
}

// TreeName is the loader's name in the boot tree.
func (l Loader) TreeName() string {
	return path.Join(treeDir, l.Arch.String(), string(l.Kind), l.Name)
}

// A Set is the loaders that one scan found. It is read-only and safe for
// concurrent use. The zero Set is empty.
type Set struct {
	loaders []Loader // the preferred one of each arch first
	Skipped []Skip   // files that looked like loaders and are none
}

// A Skip is a file that was left out, and why.
type Skip struct{ Path, Why string }

// Scan looks for loaders in the directories. Earlier directories win; missing
// ones are passed over.
func Scan(dirs []string) *Set {
	s := &Set{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.Skipped = append(s.Skipped, Skip{dir, err.Error()})
			}
			continue
		}
		for _, e := range entries {
			if role, ok := roleOf(e.Name()); ok {
				s.add(dir, e.Name(), role)
			} else if platform, ok := grubPlatforms[e.Name()]; ok {
				s.addGRUB(filepath.Join(dir, e.Name()), platform)
			}
		}
	}
	slices.SortStableFunc(s.loaders, func(a, b Loader) int {
		return cmp.Or(cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Kind, b.Kind), cmp.Compare(rank(a), rank(b)))
	})
	s.dropIncomplete()
	return s
}

// rank orders the loaders of one arch and kind. iPXE that uses the firmware's own
// driver is first, because it works with every card that got this far. So is the
// PXELINUX that uses the PXE stack of the firmware: lpxelinux.0 drives the card
// through UNDI by itself, and hung there under the iPXE of Debian 12 in QEMU.
func rank(l Loader) int {
	switch {
	case l.Sibling:
		return 2
	case l.Name == "undionly.kpxe", strings.HasPrefix(l.Name, "snponly"), l.Name == "pxelinux.0":
		return 0
	}
	return 1
}

// needs are files without which a loader of a kind starts nothing.
var needs = []struct {
	kind bootmenu.Loader
	name string // beginning of the sibling's name
	hint string
}{
	{bootmenu.LoaderPXELINUX, "ldlinux.c32", "install the Debian package syslinux-common"},
	{bootmenu.LoaderShim, "grub", "install the Debian package grub-efi-amd64-signed (or -arm64-)"},
}

// dropIncomplete leaves out loaders whose needs were not found. Their siblings stay:
// a loader among the images may ask for them.
func (s *Set) dropIncomplete() {
	all := slices.Clone(s.loaders)
	s.loaders = slices.DeleteFunc(s.loaders, func(l Loader) bool {
		for _, n := range needs {
			met := func(o Loader) bool {
				return o.Kind == l.Kind && o.Arch == l.Arch && o.Sibling && strings.HasPrefix(o.Name, n.name)
			}
			if l.Kind == n.kind && !l.Sibling && !slices.ContainsFunc(all, met) {
				s.Skipped = append(s.Skipped, Skip{l.Path, fmt.Sprintf("has no %s beside it: %s", n.name, n.hint)})
				return true
			}
		}
		return false
	})
}

// add examines one file and keeps it if it is a loader.
func (s *Set) add(dir, name string, r role) {
	full := filepath.Join(dir, name)
	l, err := examine(full, r)
	if err != nil {
		s.Skipped = append(s.Skipped, Skip{full, err.Error()})
		return
	}
	s.keep(l)
}

// keep adds a loader unless an earlier one has its name.
func (s *Set) keep(l Loader) {
	if !slices.ContainsFunc(s.loaders, func(have Loader) bool { return have.TreeName() == l.TreeName() }) {
		s.loaders = append(s.loaders, l)
	}
}

// examine reads what a file is.
func examine(full string, r role) (Loader, error) {
	resolved, err := filepath.EvalSymlinks(full)
	if err != nil {
		return Loader{}, err
	}
	f, err := os.Open(resolved)
	if err != nil {
		return Loader{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Loader{}, err
	}
	arch, err := bootfile.MachineType(f)
	switch {
	case r.bios && err == nil:
		return Loader{}, fmt.Errorf("is an EFI program for %s under the name of a BIOS loader", arch)
	case r.bios && errors.Is(err, bootfile.ErrNotEFI):
		arch = bootmenu.ArchX86BIOS
	case err != nil:
		return Loader{}, err
	}
	return Loader{Arch: arch, Kind: r.kind, Name: r.name, Path: resolved, Size: info.Size(), Sibling: r.sibling}, nil
}

// All are the loaders that can be handed out, ordered by arch and kind, the preferred
// one of each first.
func (s *Set) All() []Loader {
	return slices.DeleteFunc(slices.Clone(s.loaders), func(l Loader) bool { return l.Sibling })
}

// Preferred gives for each arch and kind the name in the boot tree of the loader to
// hand out.
func (s *Set) Preferred() bootmenu.Loaders {
	names := make(bootmenu.Loaders)
	for _, l := range slices.Backward(s.All()) {
		names[bootmenu.LoaderFor{Arch: l.Arch, Kind: l.Kind}] = l.TreeName()
	}
	return names
}

// Find is the loader that a name in the boot tree means for a machine of that
// arch: its full name, or its bare name, which for an unknown arch must be the
// only one of that name. fold compares without regard to case.
func (s *Set) Find(name string, arch bootmenu.Arch, fold bool) (Loader, bool) {
	equal := func(a, b string) bool { return a == b || fold && strings.EqualFold(a, b) }
	var bare []Loader
	for _, l := range s.loaders {
		switch {
		case equal(name, l.TreeName()):
			return l, true
		case equal(name, l.Name) && (arch == l.Arch || arch == bootmenu.ArchUnknown):
			bare = append(bare, l)
		}
	}
	if len(bare) == 1 {
		return bare[0], true
	}
	return Loader{}, false
}
