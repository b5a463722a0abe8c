package boottree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"netbootd/bootmenu"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

// Fault is the kind of a [Finding].
type Fault string

// The faults that a profile can have on this host, though its file is right.
const (
	FaultMissing   Fault = "missing"    // a file it names is not in the tree
	FaultForbidden Fault = "forbidden"  // there is something of that name that may not be served
	FaultMachine   Fault = "wrong_arch" // an EFI program for another machine type
	FaultNoLoader  Fault = "no_loader"  // none for an arch that needs one
)

// A Finding is one fault of a profile on this host.
type Finding struct {
	Profile string
	Fault   Fault
	Arch    bootmenu.Arch // ArchUnknown if it concerns every arch
	Name    string        // the file's name in the tree; empty for FaultNoLoader
	Text    string        // for people, one line
	Hint    string        // what to do about it; may be empty
}

// Verify looks for what p needs: every file it names, in a place that can be
// served and for the right machine type, and a loader for each arch that starts
// a kernel. It reads the disk.
func (t *Tree) Verify(p *bootmenu.Profile) []Finding {
	var found []Finding
	for _, arch := range archsOf(p) {
		for _, ipxe := range []bool{false, true} {
			m := bootmenu.Machine{Arch: arch, IPXE: ipxe}
			for _, f := range t.verifyBoot(p, m) {
				f.Profile = p.Name
				if !slices.ContainsFunc(found, func(o Finding) bool { return o.Text == f.Text }) {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// archsOf are the archs that p is worth checking for: those it matches, else
// those it has tables for and, unless there is nothing to boot without a table,
// any other.
func archsOf(p *bootmenu.Profile) []bootmenu.Arch {
	if p.Match != nil && len(p.Match.Arch) > 0 {
		return p.Match.Arch
	}
	archs := []bootmenu.Arch{bootmenu.ArchUnknown}
	for a := range p.Arch {
		archs = append(archs, a)
	}
	slices.Sort(archs[1:])
	return archs
}

// verifyBoot checks what p says for one kind of machine.
func (t *Tree) verifyBoot(p *bootmenu.Profile, m bootmenu.Machine) []Finding {
	boot := p.BootFor(m)
	if !boot.Bootable(m.Arch) {
		return nil
	}
	var found []Finding
	for _, name := range boot.Files() {
		f, err := t.find(context.Background(), visitor{machine: m, decision: bootmenu.Decision{Boot: boot}}, name)
		if err != nil {
			found = append(found, t.unservable(boot, name, err))
			continue
		}
		if name == boot.BootFile && !m.IPXE { // iPXE takes scripts and kernels too
			found = append(found, wrongMachine(f, m.Arch)...)
		}
		_ = f.Close() // it was only read
	}
	found = append(found, t.withoutLoader(p, m)...)
	return found
}

// unservable says why a file cannot be served.
func (t *Tree) unservable(boot bootmenu.Boot, name string, err error) Finding {
	f := Finding{Arch: bootmenu.ArchUnknown, Name: name, Fault: FaultForbidden}
	where := path.Join(t.opts.Images.Dir(), name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Fault = FaultMissing
		f.Text = fmt.Sprintf("%s is missing", name)
		f.Hint = "copy it to " + where
		if boot.Root != "" {
			f.Hint += " or to " + path.Join(t.opts.Images.Dir(), boot.Root, name)
		}
	case errors.Is(err, images.ErrLinkOutside):
		f.Text = fmt.Sprintf("%s is behind a symbolic link that is absolute or leads out of the images directory", name)
		f.Hint = "copy the file to " + where + ", or mount its directory there (mount --bind)"
	case errors.Is(err, images.ErrNotRegular):
		f.Text = fmt.Sprintf("%s is not a regular file", name)
	case errors.Is(err, fs.ErrPermission):
		f.Text = fmt.Sprintf("%s may not be read", name)
		f.Hint = "check the owner and mode of " + where
	default:
		f.Text = fmt.Sprintf("%s: %v", name, err)
	}
	return f
}

// wrongMachine tells of an EFI program that the firmware of arch cannot start.
// Files that are no EFI programs are not judged: U-Boot and iPXE take many kinds.
func wrongMachine(f *File, arch bootmenu.Arch) []Finding {
	is, err := loaders.MachineType(f)
	fw := arch.Firmware()
	bad := Finding{Fault: FaultMachine, Arch: arch, Name: f.Name}
	switch {
	case fw == bootmenu.FirmwareUEFI && errors.Is(err, loaders.ErrNotPE):
		bad.Text = fmt.Sprintf("%s is not an EFI program, and %s starts nothing else", f.Name, arch)
	case fw == bootmenu.FirmwareUEFI && err != nil:
		bad.Text = fmt.Sprintf("%s is an %v", f.Name, err)
	case err == nil && is != arch && (fw == bootmenu.FirmwareUEFI || fw == bootmenu.FirmwareBIOS):
		bad.Text = fmt.Sprintf("%s is an EFI program for %s, and the profile gives it to %s", f.Name, is, arch)
	default:
		return nil
	}
	bad.Hint = fmt.Sprintf("name a boot file for this arch under [arch.%s]", arch)
	return []Finding{bad}
}

// Bootable tells whether at least one machine that p is for could get as far as
// its first file: it is handed a boot file, or there is a loader for its arch.
func (t *Tree) Bootable(p *bootmenu.Profile) bool {
	preferred := t.Loaders().Preferred()
	return slices.ContainsFunc(archsOf(p), func(a bootmenu.Arch) bool {
		boot := p.BootFor(bootmenu.Machine{Arch: a})
		switch {
		case boot.BootFile != "":
			return true
		case boot.Kernel == "" && boot.Windows == "":
			return p.BootFor(bootmenu.Machine{Arch: a, IPXE: true}).Bootable(a)
		case a == bootmenu.ArchUnknown:
			return len(preferred) > 0
		}
		return t.canLoad(boot, a)
	})
}
