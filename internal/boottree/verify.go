package boottree

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"netbootd/bootmenu"
	"netbootd/internal/bootfile"
	"netbootd/internal/images"
)

// Fault is the kind of a [Finding].
type Fault string

// The faults that a profile can have on this host, though its file is right.
const (
	FaultMissing   Fault = "missing"    // a file it names is not in the tree
	FaultForbidden Fault = "forbidden"  // there is something of that name that may not be served
	FaultWrongFile Fault = "wrong_file" // a file that the machine it is for cannot start
	FaultNoLoader  Fault = "no_loader"  // none for an arch that needs one
	FaultTurnedOff Fault = "turned_off" // texts that are not generated, for any machine; always a warning
)

// A Finding is one fault of a profile on this host.
type Finding struct {
	Profile string
	Fault   Fault
	Warning bool          // it may be right all the same; machines are answered
	Arch    bootmenu.Arch // ArchUnknown if it concerns every arch
	Name    string        // the file's name in the tree; empty for FaultNoLoader
	Text    string        // for people, one line
	Hint    string        // what to do about it; may be empty
}

// repeats tells whether o says the same, or the same of a file for another part of
// the boot.
func (f Finding) repeats(o Finding) bool {
	return f.Text == o.Text || f.Name != "" && f.Name == o.Name && f.Fault == o.Fault && f.Arch == o.Arch
}

// Faults are the findings that are no warnings.
func Faults(found []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Warning })
}

// Summary is findings in one line.
func Summary(found []Finding) string {
	var texts []string
	for _, f := range found {
		texts = append(texts, f.Text)
	}
	return strings.Join(texts, "; ")
}

// A Survey looks at the files of profiles, at each file and directory once: what it
// tells is as old as the survey. It belongs to one goroutine.
type Survey struct {
	*Tree
	files map[sight]look
	names map[string][]string // by the directory that they are in
}

// A sight is what a file is asked for by.
type sight struct {
	place
	arch bootmenu.Arch
}

// Survey begins one.
func (t *Tree) Survey() *Survey {
	return &Survey{Tree: t, files: make(map[sight]look), names: make(map[string][]string)}
}

// see is a lookup, as [Tree.see].
func (s *Survey) see(root, name string, arch bootmenu.Arch) (look, bool) {
	at := sight{place{root, name}, arch}
	if l, ok := s.files[at]; ok {
		return l, true
	}
	l, known := s.Tree.see(root, name, arch)
	if known {
		s.files[at] = l
	}
	return l, known
}

// namesIn are the names of what is in a directory of the shared images.
func (s *Survey) namesIn(dir string) []string {
	names, ok := s.names[dir]
	if !ok {
		names = s.opts.Images.Names(dir)
		s.names[dir] = names
	}
	return names
}

// Verify is [Survey.Verify] for one profile.
func (t *Tree) Verify(p *bootmenu.Profile) []Finding { return t.Survey().Verify(p) }

// Verify looks for what p needs: every file it names, in a place that can be
// served and of a kind that the machine can start, and a loader for each arch that
// starts a kernel. For a file that is missing it looks for one that may have been
// meant. It reads the disk.
func (s *Survey) Verify(p *bootmenu.Profile) []Finding {
	var found []Finding
	for _, arch := range Archs(p) {
		for _, ipxe := range []bool{false, true} {
			m := bootmenu.Machine{Arch: arch, IPXE: ipxe}
			for _, f := range slices.Concat(s.faults(p, m, "", s.see), s.withoutLoader(p, m), s.turnedOff(p, m)) {
				if !slices.ContainsFunc(found, f.repeats) {
					found = append(found, f)
				}
			}
		}
	}
	for i, f := range found {
		if f.Fault != FaultMissing {
			continue
		}
		if meant := s.nearest(p.BootFor(bootmenu.Machine{Arch: f.Arch}).Root, f.Name); meant != "" {
			found[i].Text += fmt.Sprintf(", did you mean %q?", meant)
		}
	}
	return found
}

// Archs are the archs that p is worth checking for: those it matches, else those it
// has tables for and, unless there is nothing to boot without a table, any other,
// which is ArchUnknown.
func Archs(p *bootmenu.Profile) []bootmenu.Arch {
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

// turnedOff tells of the hand-written files among the shared images because of which
// no machine of that kind gets the text of p: a distribution's tree, unpacked at the
// top, brings some.
func (s *Survey) turnedOff(p *bootmenu.Profile, m bootmenu.Machine) []Finding {
	boot := p.BootFor(m)
	if boot.Kernel == "" || m.IPXE {
		return nil
	}
	var found []Finding
	for _, name := range bootmenu.TextNames(boot.LoaderOn(m.Arch), m.Arch) {
		probe, ok := bootmenu.ProbeFor(name, bootmenu.Machine{Arch: m.Arch}) // one that only the names for all are meant for
		if !ok {
			continue
		}
		above := s.namesIn(probe.Dir)
		if i := slices.IndexFunc(above, probe.Has); i >= 0 {
			byHand := path.Join(probe.Dir, above[i])
			found = append(found, Finding{
				Profile: p.Name, Fault: FaultTurnedOff, Warning: true, Arch: bootmenu.ArchUnknown, Name: byHand,
				Text: byHand + " was written by hand, so its machines read that and not what is generated",
				Hint: "if that is not meant, move it away: unpack the netboot tree of a distribution into a directory of its own",
			})
		}
	}
	return found
}

// faults are those of the files that p names for one kind of machine, by what look
// tells. If a loader draws the menu that p is an entry of, it starts the kernel,
// whatever p says.
func (t *Tree) faults(p *bootmenu.Profile, m bootmenu.Machine, drawer bootmenu.Loader, look lookup) []Finding {
	boot := p.BootFor(m)
	boot.Loader = cmp.Or(drawer, boot.Loader)
	if !boot.Bootable(m.Arch) {
		return nil
	}
	var found []Finding
	add := func(f Finding) {
		f.Profile = p.Name
		found = append(found, f)
	}
	if f, ok := t.rootFault(boot, m.Arch, look); ok {
		add(f)
	}
	for _, name := range boot.Files() {
		l, known := look(boot.Root, name, m.Arch)
		switch {
		case !known || isWritten(p, name):
		case l.err != nil:
			add(t.unservable(boot, name, l.err))
		default:
			if c := bootfile.Judge(l.info, useOf(boot, name, m)); c != nil {
				add(Finding{Fault: FaultWrongFile, Warning: c.Warning, Arch: m.Arch, Name: name, Text: name + " " + c.Text, Hint: c.Hint})
			}
		}
	}
	return found
}

// isWritten tells whether that file is written for each machine of p.
func isWritten(p *bootmenu.Profile, name string) bool {
	return isReserved(name) || slices.ContainsFunc(p.Texts, func(t bootmenu.Text) bool { return t.Name == name })
}

// rootFault is that of the directory that boot has names looked up in. A Raspberry Pi
// has nothing else.
func (t *Tree) rootFault(boot bootmenu.Boot, arch bootmenu.Arch, look lookup) (Finding, bool) {
	if boot.Root == "" {
		return Finding{}, false
	}
	l, known := look("", boot.Root, arch)
	if !known || errors.Is(l.err, images.ErrNotRegular) {
		return Finding{}, false
	}
	return Finding{
		Fault: FaultMissing, Warning: arch != bootmenu.ArchRPi || len(boot.Files()) > 0, Arch: bootmenu.ArchUnknown, Name: boot.Root,
		Text: fmt.Sprintf("root: directory %s is missing", boot.Root),
		Hint: "make the directory " + path.Join(t.opts.Images.Dir(), boot.Root) + ", and put the machine's files there",
	}, true
}

// useOf is what becomes of a file of boot on m.
func useOf(boot bootmenu.Boot, name string, m bootmenu.Machine) bootfile.Use {
	u := bootfile.Use{Role: bootfile.RoleOther, Arch: m.Arch, IPXE: m.IPXE, Loader: boot.LoaderOn(m.Arch)}
	switch {
	case name == boot.BootFile:
		u.Role = bootfile.RoleBootFile
	case name == boot.Kernel:
		u.Role = bootfile.RoleKernel
	case name == boot.FDT:
		u.Role = bootfile.RoleDeviceTree
	case slices.Contains(boot.Initrd, name):
		u.Role = bootfile.RoleInitrd
	}
	return u
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

// Bootable tells whether at least one machine that p is for could get as far as
// its first file: it is handed a boot file, or there is a loader for its arch.
func (t *Tree) Bootable(p *bootmenu.Profile) bool {
	preferred := t.Loaders().Preferred()
	return slices.ContainsFunc(Archs(p), func(a bootmenu.Arch) bool {
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
