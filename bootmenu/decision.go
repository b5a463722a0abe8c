package bootmenu

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Reason says why a machine gets no answer. Reasons are a closed set, because
// they are metric labels; packages that decide on packets add theirs.
type Reason string

// The reasons that follow from profiles and loaders alone.
const (
	ReasonNoProfile    Reason = "no_profile"     // no started profile is for this machine
	ReasonNoLoader     Reason = "no_loader"      // the profile needs a loader that is not there for this arch
	ReasonNoMenuLoader Reason = "no_menu_loader" // there is no loader for this arch that draws the menu
	ReasonLocalBoot    Reason = "local_boot"     // the profile says that it does not boot from the network
	ReasonFileMissing  Reason = "file_missing"   // a file that the profile names is not there, or may not be served
	ReasonWrongFile    Reason = "wrong_file"     // a file that the profile names is of a kind that the machine cannot start
)

// Names in the boot tree that the program writes itself. No file of the same
// name hides them: a hand-written script is chosen with [ipxe] boot_file.
const (
	ReservedDir = "netbootd"
	ScriptName  = ReservedDir + "/boot.ipxe"
	menuPrefix  = ReservedDir + "/menu/"
)

// A Decision is what one machine gets, and why. It is a plain value and stays
// true for the boot it was made for, whatever is reloaded meanwhile.
type Decision struct {
	File    string            // what to hand to the client now; empty for silence, and for word to boot from disk
	Profile string            // the profile's name; empty for the menu and for silence
	Title   string            // the profile's title
	Boot    Boot              // what the profile says for this machine
	Vars    map[string]string // of the profile, for its templates
	Texts   []Text            // that the profile has written for its machines
	Menu    []*Profile        // the entries in their order, if it is the menu or was chosen in it
	Look    Menu              // of that menu, with nothing left to default: its Default is an entry, or empty for the disk
	Reason  Reason            // why silence; empty otherwise
	Why     string            // which rule decided, for people

	Assigned   AssignmentKind // if an assignment decided
	Assignment AssignmentID   // which one
	targets    []string       // files whose delivery consumes it; see [Decision.ConsumedBy]
}

// IsSame tells whether d and o are surely the same: what they hold is equal, and of
// lists and maps it is the very same. It is quick, for it tells which of many
// machines can share one decision in memory.
func (d *Decision) IsSame(o *Decision) bool {
	a, b := &d.Boot, &o.Boot
	return d.File == o.File && d.Profile == o.Profile && d.Title == o.Title && d.Why == o.Why && d.Reason == o.Reason &&
		d.Assigned == o.Assigned && d.Assignment == o.Assignment && d.Look == o.Look &&
		isSameList(d.Texts, o.Texts) && isSameList(d.Menu, o.Menu) && isSameList(d.targets, o.targets) && isSameMap(d.Vars, o.Vars) &&
		a.Root == b.Root && a.BootFile == b.BootFile && a.Kernel == b.Kernel && a.Windows == b.Windows && a.Loader == b.Loader &&
		a.FDT == b.FDT && a.Cmdline == b.Cmdline && a.Instead == b.Instead && a.Offer == b.Offer && isSameList(a.Initrd, b.Initrd) &&
		a.TFTP.MaxBlksize == b.TFTP.MaxBlksize && a.TFTP.MaxWindowsize == b.TFTP.MaxWindowsize && isSameList(a.TFTP.RefuseOptions, b.TFTP.RefuseOptions)
}

func isSameList[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

func isSameMap(a, b map[string]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Silent tells whether the machine gets no answer.
func (d Decision) Silent() bool { return d.Reason != "" }

// Generated tells whether the client is handed the script that [IPXEScript]
// writes.
func (d Decision) Generated() bool { return d.File == ScriptName }

// HasText tells whether d is about something that a loader which the firmware did not
// get from us could be told: a kernel, the disk, or the menu. A machine that is handed
// a boot file as it is must not find in a text of ours to load it once more. That there
// was no loader to hand out does not count.
func (d Decision) HasText() bool {
	if d.Silent() && d.Reason != ReasonNoLoader && d.Reason != ReasonNoMenuLoader {
		return false
	}
	return d.Profile == "" && len(d.Menu) > 0 || d.Boot.Kernel != "" || d.Boot.Instead == InsteadDisk
}

// ChoseLoader tells whether the client is handed a loader that the program chose,
// which will come back for its text.
func (d Decision) ChoseLoader() bool {
	return d.File != "" && !d.Generated() && !slices.Contains([]string{d.Boot.BootFile, d.Boot.Kernel, rpiFirstFile, ubootScript}, d.File)
}

// decision is what p says for m, with nothing to hand out yet.
func (p *Profile) decision(m Machine, why string) Decision {
	return Decision{Profile: p.Name, Title: p.Title, Boot: p.BootFor(m), Vars: p.Vars, Texts: p.Texts, Why: why}
}

// boot is the decision for a machine that gets profile p.
func (c *Catalog) boot(p matched, m Machine) Decision {
	d := p.decision(m, p.why)
	switch {
	case d.Boot.Instead != InsteadNothing:
		return d.local(m)
	case d.Boot.BootFile != "":
		d.File = d.Boot.BootFile
	case d.Boot.Kernel == "" && d.Boot.Windows == "":
		d.File = rpiFirstFile // nothing else is bootable so
	default:
		d.File = c.firstFile(d.Boot, m)
	}
	if d.File == "" {
		d.Reason = ReasonNoLoader
		d.Why = fmt.Sprintf("%s; but there is no %s for %s to start what profile %s boots", p.why, d.Boot.LoaderOn(m.Arch).Title(), m.Arch, p.Name)
	}
	return d
}

// firstFile is what a machine is handed that starts a kernel, or Windows: the
// generated script if it runs iPXE already, else a loader; empty if there is none.
// Without a loader UEFI starts the kernel itself, and U-Boot a script of ours.
func (c *Catalog) firstFile(b Boot, m Machine) string {
	fw, kind := m.Arch.Firmware(), b.LoaderOn(m.Arch)
	switch {
	case m.IPXE:
		return ScriptName
	case kind != LoaderNone:
		return c.loaders[LoaderFor{m.Arch, kind}]
	case fw == FirmwareRPi:
		return rpiFirstFile
	case fw == FirmwareUBoot:
		return ubootScript
	case fw == FirmwareUEFI:
		return b.Kernel
	}
	return ""
}

// rpiFirstFile stands for all that a Raspberry Pi asks for: it goes by names of
// its own, whatever it is handed.
const rpiFirstFile = "bootcode.bin"

// local is d for a machine that does not boot from the network. PXE firmware is
// told so by a menu with nothing but the disk in it, iPXE by a script; to any
// other firmware silence says the same.
func (d Decision) local(m Machine) Decision {
	fw := m.Arch.Firmware()
	switch {
	case d.Boot.Instead == InsteadSilence:
		d.Reason = ReasonLocalBoot
		d.Why += fmt.Sprintf("; profile %s says that it gets no answer", d.Profile)
	case m.IPXE:
		d.File = ScriptName
	case fw != FirmwareBIOS && fw != FirmwareUEFI:
		d.Reason = ReasonLocalBoot
		d.Why += fmt.Sprintf("; it is to boot from disk, and silence is all that tells %s so", m.Arch)
	}
	return d
}

// showMenu is the decision for a machine that gets the menu.
func (c *Catalog) showMenu(items []*Profile, m Machine) Decision {
	d := Decision{Menu: items, Look: c.look.of(items), Why: "no profile is for this machine alone, so it gets the menu"}
	d.File = c.menuLoader(d.Look.Loader, m)
	if d.File == "" {
		d.Reason = ReasonNoMenuLoader
		d.Why = fmt.Sprintf("the menu is drawn by %s, and there is none for %s", d.Look.Loader.Title(), m.Arch)
	}
	for _, p := range items {
		d.Boot.Offer = cmp.Or(d.Boot.Offer, p.BootFor(m).Offer)
	}
	return d
}

// menuLoader is what draws the menu on a machine: the generated script if it runs
// iPXE already, else a loader of that kind; iPXE where there is none of that kind
// for the arch, as PXELINUX for UEFI; else empty.
func (c *Catalog) menuLoader(kind Loader, m Machine) string {
	if m.IPXE {
		return ScriptName
	}
	return cmp.Or(c.loaders[LoaderFor{m.Arch, kind}], c.loaders[LoaderFor{m.Arch, LoaderIPXE}])
}

// menuFor is the menu's entries that m could boot.
func (c *Catalog) menuFor(m Machine) []*Profile {
	m.IPXE = true // whatever the firmware picks from it, iPXE may have to load
	var items []*Profile
	for _, p := range c.menu {
		if b := p.BootFor(m); b.BootFile != "" || b.Kernel != "" || b.Windows != "" && startsWindows(m.Arch) {
			items = append(items, p)
		}
	}
	return items
}

// Choose is the decision for a machine that picked the entry of that name from
// the menu of d. ok is false if there is no such entry. m.IPXE tells whether iPXE
// drew the menu.
func (d Decision) Choose(profile string, m Machine) (chosen Decision, ok bool) {
	for _, p := range d.Menu {
		if p.Name == profile {
			chosen = p.decision(m, "chosen in the menu")
			chosen.File, chosen.Menu, chosen.Look = ScriptName, d.Menu, d.Look
			return chosen, true
		}
	}
	return Decision{}, false
}

// Entries are what the firmware of m can be offered in a menu that it draws
// itself, in the order of the menu: the profiles of d's menu, or the one profile
// that d is about. An entry that needs a loader which is not there is left out.
// None leads back to the menu.
func (d Decision) Entries(m Machine) []Decision {
	switch {
	case d.Profile != "" && d.File != "":
		return []Decision{d}
	case d.Profile != "":
		return nil
	}
	var entries []Decision
	for _, p := range d.Menu {
		e, _ := d.Choose(p.Name, m)
		e.Menu, e.Look = nil, Menu{}
		if !m.IPXE {
			e.File = cmp.Or(e.Boot.BootFile, d.File)
		}
		entries = append(entries, e)
	}
	return slices.DeleteFunc(entries, func(e Decision) bool { return e.File == "" })
}
