package boottree

import (
	"slices"

	"netbootd/bootmenu"
)

// A Boot is what a profile gives to one kind of machine, and its files as they are.
type Boot struct {
	Machine  bootmenu.Machine // arch and iPXE only; ArchUnknown is any arch that the profile does not name
	Decision bootmenu.Decision
	Files    []NamedFile
}

// A NamedFile is a file that a profile names.
type NamedFile struct {
	Role    string // "kernel"
	Name    string // as the profile has it
	Layer   Layer  // where it was found; empty if it was not
	Size    int64  // bytes
	Kind    string // what it is, in words
	Problem string // why it cannot be served, or started; empty if it can
}

// Describe tells what p gives to each kind of machine that it is for, whether it is
// started or not. It reads the disk.
func (t *Tree) Describe(p *bootmenu.Profile) []Boot {
	alone := *p
	alone.Match, alone.Once = &bootmenu.Match{All: true}, false // each machine below is one that it is for
	catalog := bootmenu.NewCatalog([]*bootmenu.Profile{&alone}, t.Loaders().Preferred(), bootmenu.Menu{})
	var boots []Boot
	for _, arch := range t.archsToDescribe(p) {
		for _, ipxe := range []bool{false, true} {
			m := bootmenu.Machine{Arch: arch, IPXE: ipxe}
			d := catalog.Select(m)
			if d.Profile == "" {
				continue
			}
			boots = append(boots, Boot{Machine: m, Decision: d, Files: t.namedFiles(p, m)})
		}
	}
	return boots
}

// archsToDescribe are the archs of p. Where a loader is chosen for an arch that p does
// not name, they are those that there is one for.
func (t *Tree) archsToDescribe(p *bootmenu.Profile) []bootmenu.Arch {
	archs := Archs(p)
	if archs[0] != bootmenu.ArchUnknown || p.Boot.Kernel == "" && p.Boot.Windows == "" {
		return archs
	}
	archs = slices.Clone(archs[1:])
	for chosen := range t.Loaders().Preferred() {
		archs = append(archs, chosen.Arch)
	}
	slices.Sort(archs)
	return slices.Compact(archs)
}

// namedFiles are the files of p for one kind of machine.
func (t *Tree) namedFiles(p *bootmenu.Profile, m bootmenu.Machine) []NamedFile {
	boot := p.BootFor(m)
	faults := t.faults(p, m, "", t.see)
	var files []NamedFile
	for _, name := range boot.Files() {
		f := NamedFile{Role: useOf(boot, name, m).Role.String(), Name: name}
		if i := slices.IndexFunc(faults, func(f Finding) bool { return f.Name == name }); i >= 0 {
			f.Problem = faults[i].Text
		}
		switch l, _ := t.see(boot.Root, name, m.Arch); {
		case isWritten(p, name):
			f.Layer, f.Kind = LayerFile, "written for each machine"
		case l.err == nil:
			f.Layer, f.Size, f.Kind = l.layer, l.size, l.info.String()
		}
		files = append(files, f)
	}
	return files
}

// Writes are the names of the texts that tell the machine's loader what to start.
func (b Boot) Writes() []string {
	switch {
	case b.Decision.Generated():
		return []string{bootmenu.ScriptName}
	case b.Loader() == "":
		return nil
	}
	return bootmenu.TextNames(b.Loader(), b.Machine.Arch)
}

// Loader is the kind of boot loader that starts the kernel, or Windows; empty if there
// is neither.
func (b Boot) Loader() bootmenu.Loader {
	boot := b.Decision.Boot
	switch {
	case boot.Kernel == "" && boot.Windows == "":
		return ""
	case b.Machine.IPXE:
		return bootmenu.LoaderIPXE
	}
	return boot.LoaderOn(b.Machine.Arch)
}
