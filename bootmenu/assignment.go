package bootmenu

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The reasons why a machine with an assignment gets no answer. It gets nothing
// else in its place: whoever assigned it did not mean the menu, nor another
// machine's installer.
const (
	ReasonAssignedGone    Reason = "assigned_gone"    // its profile is not there any more
	ReasonAssignedStopped Reason = "assigned_stopped" // its profile is not started
	ReasonAssignedUnfit   Reason = "assigned_unfit"   // its profile has nothing for this arch, or may not be pinned
)

// DoneName is the name in the boot tree that a machine reads to say that it is
// done with the profile it was assigned to once.
const DoneName = ReservedDir + "/done"

// An AssignmentID tells an assignment from every other one, also of the same
// machine to the same profile. Zero is none.
type AssignmentID int64

// An Assignment says that one machine gets a certain profile, whatever machines
// that profile matches.
type Assignment struct {
	ID      AssignmentID
	Profile string // its name
}

// Assignments are those that stand for one machine. The zero value is none.
type Assignments struct {
	Once   Assignment // until an event of its boot consumes it; stands above Pinned
	Pinned Assignment // until somebody takes it back
	Done   Assignment // was once, and was consumed lately: the disk is next, rather than the menu
}

// AssignmentKind is the kind of assignment that decided.
type AssignmentKind string

// The kinds of assignments.
const (
	AssignedNot    AssignmentKind = ""
	AssignedOnce   AssignmentKind = "once"
	AssignedPinned AssignmentKind = "pinned"
	AssignedDone   AssignmentKind = "done" // once, and consumed
)

// SelectFor decides what m gets: the profile that it is assigned to once, the one
// that it is pinned to, else what [Catalog.Select] says. If that would be the
// menu, or nothing, a machine whose once-assignment was consumed is told to boot
// from disk.
func (c *Catalog) SelectFor(m Machine, a Assignments) Decision {
	switch {
	case a.Once.ID != 0:
		return c.assigned(m, AssignedOnce, a.Once)
	case a.Pinned.ID != 0:
		return c.assigned(m, AssignedPinned, a.Pinned)
	}
	d := c.Select(m)
	if a.Done.ID == 0 || d.Profile != "" {
		return d
	}
	disk := Decision{
		Boot: Boot{Instead: InsteadDisk}, Assigned: AssignedDone, Assignment: a.Done.ID,
		Why: fmt.Sprintf("its once-assignment to profile %s is consumed, and no other profile is for it: it boots from disk", a.Done.Profile),
	}
	return disk.local(m)
}

// assigned is the decision for a machine that somebody assigned to a profile.
func (c *Catalog) assigned(m Machine, kind AssignmentKind, a Assignment) Decision {
	words := fmt.Sprintf("assigned to profile %s (%s)", a.Profile, kind)
	silent := func(reason Reason, why string) Decision {
		return Decision{Assigned: kind, Assignment: a.ID, Reason: reason, Why: words + ", which " + why}
	}
	p := c.named[a.Profile]
	switch {
	case p == nil && c.stopped[a.Profile]:
		return silent(ReasonAssignedStopped, "is not started")
	case p == nil:
		return silent(ReasonAssignedGone, "does not exist any more")
	case p.Once && kind != AssignedOnce:
		return silent(ReasonAssignedUnfit, "says once = true")
	case !p.BootFor(m).Bootable(m.Arch):
		return silent(ReasonAssignedUnfit, fmt.Sprintf("has nothing for %s", m.Arch))
	}
	d := c.boot(matched{p, words}, m)
	d.Assigned, d.Assignment = kind, a.ID
	if kind == AssignedOnce {
		d.targets = p.targets(m)
	}
	return d
}

// targets are the files of which one is the last that a boot of m needs us to
// start: its kernel, or the boot file that does without. If the profile says
// something else for iPXE, the boot file of a PC is only the iPXE that comes back
// for it. The archs of a machine that never asked by DHCP are all that there are.
func (p *Profile) targets(m Machine) []string {
	if p.Consumed == ConsumedCallback {
		return nil
	}
	archs := []Arch{m.Arch}
	if m.Arch == ArchUnknown {
		for a := range p.Arch {
			archs = append(archs, a)
		}
	}
	var names []string
	for _, a := range archs {
		m.Arch = a
		own := p.BootFor(m)
		inIPXE := own
		if fw := a.Firmware(); fw == FirmwareBIOS || fw == FirmwareUEFI {
			m.IPXE = true
			inIPXE = p.BootFor(m)
		}
		names = append(names, inIPXE.last())
		if own.BootFile == "" || own.BootFile == inIPXE.BootFile {
			names = append(names, own.last())
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

// last is the file of b that needs nothing more of ours to start; empty if it has
// none.
func (b Boot) last() string {
	if b.Windows != "" {
		return path.Join(b.Windows, windowsImage)
	}
	return cmp.Or(b.Kernel, b.BootFile)
}

const (
	// windowsImage is the base name of what Windows PE runs from.
	windowsImage = "boot.wim"
	// rpiKernels are the kernels that a Raspberry Pi asks for by itself, by model.
	rpiKernels = "kernel*.img"
)

// ConsumedBy is the once-assignment that is consumed when the file of that name,
// a clean one of the boot tree, was delivered to m. It is zero if that file
// consumes none.
func (d Decision) ConsumedBy(name string, m Machine) AssignmentID {
	if d.Assigned == AssignedOnce && (name == DoneName || d.isTarget(name, m)) {
		return d.Assignment
	}
	return 0
}

// isTarget goes without regard to case, as names are looked up.
func (d Decision) isTarget(name string, m Machine) bool {
	name = strings.ToLower(name)
	isRPi, base := m.Arch == ArchRPi, path.Base(name)
	if isRPi && len(d.targets) == 0 && d.Boot.Root != "" {
		ok, _ := path.Match(rpiKernels, base) // the pattern is a good one
		return ok
	}
	return slices.ContainsFunc(d.targets, func(t string) bool {
		t = strings.ToLower(t)
		switch {
		case isRPi: // it puts its serial number or MAC address in front
			return name == t || strings.HasSuffix(name, "/"+t)
		case path.Base(t) == windowsImage: // in whichever directory of the tree
			return base == windowsImage && strings.HasPrefix(name, path.Dir(t)+"/")
		}
		return name == t
	})
}

// DoneText is what a machine reads that says it is done.
func DoneText(d Decision) []byte {
	if d.Assigned != AssignedOnce {
		return []byte("netbootd: nothing is assigned to this machine once\n")
	}
	return fmt.Appendf(nil, "netbootd: noted, this machine is done with profile %s\n", d.Profile)
}
