package bootmenu

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// A Profile says what the machines it matches boot. It is read-only once it is
// part of a [Catalog].
type Profile struct {
	Name      string           // the file's name without .toml, see [CheckName]
	Title     string           // for people; never empty, the name if none was given
	Priority  int              // decides between equally specific profiles, higher wins
	Autostart bool             // started with the service unless somebody stopped it
	Match     *Match           // nil: an entry of the menu that every machine is offered
	Boot      Boot             // the top-level keys, and [tftp]
	Arch      map[Arch]Overlay // [arch.X]
	IPXE      Overlay          // [ipxe]

	Group   string // heading that the menu lists it under; empty: none
	Order   int    // place in the menu, the lower the earlier; then by group, then by title
	Default bool   // what the menu boots after its timeout, instead of the disk

	Once     bool     // given only through a once-assignment: neither matched nor in the menu
	Consumed Consumed // what consumes a once-assignment to it

	Vars  map[string]string // [vars], for templates
	Texts []Text            // [[file]]
}

// Consumed is the event that consumes a once-assignment.
type Consumed string

// The events that may consume a once-assignment.
const (
	ConsumedDelivered Consumed = ""         // the kernel or the boot file was fully delivered
	ConsumedCallback  Consumed = "callback" // the machine, or somebody for it, says that it is done
)

// A Text is a file that a profile has written for each of its machines.
type Text struct {
	Name     string // in the boot tree
	Template string // Go's text/template syntax
}

// Instead is what a machine gets in place of something to load.
type Instead string

// What a machine may get instead.
const (
	InsteadNothing Instead = ""        // it loads something
	InsteadDisk    Instead = "disk"    // word to boot from its disk
	InsteadSilence Instead = "silence" // no answer
)

// Boot is what one machine is to load. At most one of BootFile, Kernel, Windows
// and Instead is set. Files are names in the boot tree, with slashes, never host
// paths.
type Boot struct {
	Root     string     // directory under images whose files hide others of the same name
	BootFile string     // handed to the firmware as it is
	Kernel   string     // started through a loader
	Windows  string     // directory with Windows PE and wimboot, started through iPXE
	Loader   Loader     // that starts the kernel; empty: see [Boot.LoaderOn]
	Initrd   []string   // loaded with the kernel, in this order
	FDT      string     // device tree that the kernel is given; empty: the firmware's own
	Cmdline  string     // the kernel's command line, a template until [Decision.For]
	Instead  Instead    // of loading anything
	Offer    Style      // form of the reply; empty: what the machine's kind follows
	TFTP     TFTPLimits // [tftp]: bounds for fetching all that
}

// TFTPLimits bound what a machine may negotiate when it fetches files by TFTP.
// They hold beside the server's; the zero value bounds nothing.
type TFTPLimits struct {
	MaxBlksize    uint16   // bytes, 8 to 65464; 0: no bound
	MaxWindowsize uint16   // blocks, at least 1; 0: no bound
	RefuseOptions []string // names of options in lower case that are not granted
}

// An Overlay is one table of a profile that replaces single keys; a field that
// is nil or empty is a key that is absent.
type Overlay struct {
	Root     *string
	BootFile *string
	Kernel   *string
	Windows  *string
	Loader   Loader
	Initrd   []string // empty but not nil: no initrd
	FDT      *string
	Cmdline  *string
	Instead  Instead
	Offer    Style
}

// Bootable tells whether a machine of that arch knows what to do. A Raspberry Pi
// needs no more than a directory: it asks for its files by names of its own.
func (b Boot) Bootable(a Arch) bool {
	return b.BootFile != "" || b.Kernel != "" || b.Instead != InsteadNothing || a == ArchRPi && b.Root != "" ||
		b.Windows != "" && startsWindows(a)
}

// startsWindows tells whether wimboot runs on that arch. Of an unknown one nobody
// can say that it does not.
func startsWindows(a Arch) bool { return a == ArchX86BIOS || a == ArchX64UEFI || a == ArchUnknown }

// LoaderOn is the kind of loader that starts the kernel on machines of that arch.
// U-Boot and the Raspberry Pi are loaders themselves, whatever the profile says.
func (b Boot) LoaderOn(a Arch) Loader {
	if fw := a.Firmware(); fw == FirmwareUBoot || fw == FirmwareRPi {
		return LoaderNone
	}
	return cmp.Or(b.Loader, LoaderIPXE)
}

// Files are the names that must exist in the tree for a boot to succeed.
func (b Boot) Files() []string {
	var names []string
	for _, n := range append([]string{b.BootFile, b.Kernel, b.FDT}, b.Initrd...) {
		if n != "" {
			names = append(names, n)
		}
	}
	if b.Windows != "" {
		names = append(names, path.Join(b.Windows, wimboot))
		for _, f := range windowsFiles {
			names = append(names, path.Join(b.Windows, f.path))
		}
	}
	return names
}

// With is b with the keys of o put in place of its own. Because a boot file, a
// kernel, Windows and what is got instead exclude each other, naming one takes
// away the others.
func (b Boot) With(o Overlay) Boot {
	if o.Instead != InsteadNothing {
		b = Boot{Root: b.Root, Offer: b.Offer, Instead: o.Instead}
	}
	if o.BootFile != nil {
		b = Boot{Root: b.Root, Offer: b.Offer, TFTP: b.TFTP, BootFile: *o.BootFile}
	}
	if o.Windows != nil {
		b = Boot{Root: b.Root, Offer: b.Offer, TFTP: b.TFTP, Windows: *o.Windows}
	}
	if o.Kernel != nil {
		b.Kernel = *o.Kernel
		b.BootFile, b.Windows, b.Instead = "", "", InsteadNothing
	}
	if o.Initrd != nil {
		b.Initrd = o.Initrd
	}
	if o.FDT != nil {
		b.FDT = *o.FDT
	}
	if o.Cmdline != nil {
		b.Cmdline = *o.Cmdline
	}
	if o.Root != nil {
		b.Root = *o.Root
	}
	b.Loader = cmp.Or(o.Loader, b.Loader)
	b.Offer = cmp.Or(o.Offer, b.Offer)
	return b
}

// BootFor is what the profile says for m: the top-level keys, then those of
// [arch.X], then, if iPXE asks, those of [ipxe].
func (p *Profile) BootFor(m Machine) Boot {
	b := p.Boot
	if o, ok := p.Arch[m.Arch]; ok {
		b = b.With(o)
	}
	if m.IPXE {
		b = b.With(p.IPXE)
	}
	return b
}

// profileName is what a profile may be called: it is a file name, a path element
// of the API and a metric label.
var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// CheckName returns an error that says what a profile may be called, or nil.
func CheckName(name string) error {
	if !profileName.MatchString(name) {
		return fmt.Errorf("profile name %q: want 1 to 63 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit", name)
	}
	return nil
}

// CheckPath returns an error unless name is a clean relative path in the boot
// tree: slashes only, no leading slash, no "..", no control bytes.
func CheckPath(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty name")
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("%q begins with a slash, want a name in the boot tree such as %q", name, strings.TrimLeft(name, "/"))
	case strings.ContainsAny(name, "\\"):
		return fmt.Errorf("%q has a backslash, want forward slashes", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%q has a control character", name)
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "" || elem == "." || elem == ".." {
			return fmt.Errorf("%q has the element %q, want a plain path below the images directory", name, elem)
		}
	}
	return nil
}

// CheckCmdline returns an error if a loader could not pass the kernel command
// line on as it is. iPXE ends a command at the words ||, && and ;, and at a word
// that begins with #.
func CheckCmdline(cmdline string) error {
	if strings.ContainsFunc(cmdline, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("a command line is one line without control characters")
	}
	for _, word := range strings.Fields(cmdline) {
		if word == "||" || word == "&&" || word == ";" || strings.HasPrefix(word, "#") {
			return fmt.Errorf("iPXE would end the command at the word %q", word)
		}
	}
	return nil
}
