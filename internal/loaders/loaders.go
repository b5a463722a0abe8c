// Package loaders finds the boot loaders that the host's packages installed, and
// tells which machine each is for from the file itself. It guesses nothing: a
// file whose machine type cannot be read, or is not the one its place promises,
// is left out and named.
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
// loaders/ARCH/ipxe/NAME.
const treeDir = "loaders"

// DefaultDirs are the directories in which distributions install iPXE.
func DefaultDirs() []string {
	return []string{"/usr/lib/ipxe", "/usr/share/ipxe", "/usr/share/ipxe/arm64-efi"}
}

// A Loader is one iPXE on the host.
type Loader struct {
	Arch bootmenu.Arch
	Name string // base name, as it is asked for
	Path string // on the host, all links resolved
	Size int64  // bytes
}

// TreeName is the loader's name in the boot tree.
func (l Loader) TreeName() string {
	return path.Join(treeDir, l.Arch.String(), "ipxe", l.Name)
}

// biosNames are the NBPs for BIOS in order of preference: the one that drives any
// card through the ROM's UNDI, then the one with drivers of its own. A BIOS NBP
// has no header to know it by, so only these names are taken.
var biosNames = []string{"undionly.kpxe", "ipxe.pxe"}

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
			if isLoaderName(e.Name()) {
				s.add(dir, e.Name())
			}
		}
	}
	slices.SortStableFunc(s.loaders, func(a, b Loader) int {
		return cmp.Or(cmp.Compare(a.Arch, b.Arch), cmp.Compare(rank(a.Name), rank(b.Name)))
	})
	return s
}

// isLoaderName tells whether a file of that name may be an iPXE.
func isLoaderName(name string) bool {
	if slices.Contains(biosNames, name) {
		return true
	}
	return strings.HasSuffix(name, ".efi") && (strings.HasPrefix(name, "snponly") || strings.HasPrefix(name, "ipxe"))
}

// rank orders the loaders of one arch: the one that uses the firmware's own
// driver first, because it works with every card that got this far.
func rank(name string) int {
	switch {
	case name == biosNames[0], strings.HasPrefix(name, "snponly"):
		return 0
	}
	return 1
}

// add examines one file and keeps it if it is a loader.
func (s *Set) add(dir, name string) {
	full := filepath.Join(dir, name)
	l, err := examine(full, name)
	if err != nil {
		s.Skipped = append(s.Skipped, Skip{full, err.Error()})
		return
	}
	for _, have := range s.loaders {
		if have.Arch == l.Arch && have.Name == l.Name {
			return
		}
	}
	s.loaders = append(s.loaders, l)
}

// examine reads what a file is.
func examine(full, name string) (Loader, error) {
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
	case errors.Is(err, bootfile.ErrNotEFI) && slices.Contains(biosNames, name):
		arch = bootmenu.ArchX86BIOS
	case err != nil:
		return Loader{}, err
	case slices.Contains(biosNames, name):
		return Loader{}, fmt.Errorf("is an EFI program for %s under the name of a BIOS loader", arch)
	}
	return Loader{Arch: arch, Name: name, Path: resolved, Size: info.Size()}, nil
}

// All are the loaders, ordered by arch, the preferred one of each arch first.
func (s *Set) All() []Loader { return slices.Clone(s.loaders) }

// Preferred gives for each arch the name in the boot tree of the loader to hand
// out.
func (s *Set) Preferred() bootmenu.Loaders {
	names := make(bootmenu.Loaders)
	for _, l := range slices.Backward(s.loaders) {
		names[bootmenu.LoaderFor{Arch: l.Arch, Kind: bootmenu.LoaderIPXE}] = l.TreeName()
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

// Hint says how to get a loader for an arch, for people.
func Hint(arch bootmenu.Arch) string {
	switch arch {
	case bootmenu.ArchX86BIOS, bootmenu.ArchX64UEFI:
		return "install the Debian package ipxe (apt-get install ipxe), or name its directory in loaders"
	case bootmenu.ArchARM64UEFI:
		return "the Debian package ipxe has a loader for arm64-uefi from Debian 13 on; or put an iPXE for it into a directory that loaders names"
	case bootmenu.ArchRPi:
		return "a Raspberry Pi starts a kernel by itself: put the files of its boot partition into a directory that root names, and leave kernel out"
	}
	return fmt.Sprintf("no Debian package has iPXE for %s; put one into a directory that loaders names, or give this arch a boot_file", arch)
}
