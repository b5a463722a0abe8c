package boottree

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"netbootd/bootmenu"
	"netbootd/internal/loaders"
)

// A Health knows what is wrong with the files of profiles, and asks no disk when a
// machine is to be answered: [Health.Watch] and [Health.Refresh] look at the files
// beforehand. It is safe for concurrent use.
type Health struct {
	tree    *Tree
	looking sync.Mutex // one look at the disk at a time
	state   atomic.Pointer[healthState]
}

// healthState is what was seen the last time.
type healthState struct {
	subjects map[string]*subject // by the profile's name
	set      *loaders.Set
	loaders  map[string]look // by the path on the host
	files    map[place]look  // that the profiles name, each looked at once
}

// A subject is one profile. It is read-only but for the verdicts, which follow from
// the rest of the state.
type subject struct {
	profile  *bootmenu.Profile
	verdicts *sync.Map // machineKind to verdict
}

// A place is a name in the tree, for machines with one root.
type place struct{ root, name string }

// A machineKind is all of a machine that matters for whether it can start a file.
type machineKind struct {
	arch   bootmenu.Arch
	ipxe   bool
	drawer bootmenu.Loader // that draws the menu which the file is started from; empty: what is started is no entry, or iPXE's
}

// A verdict is why a machine cannot boot a profile; the zero value: it can.
type verdict struct {
	reason bootmenu.Reason
	why    string
}

// NewHealth makes one that knows no profile.
func NewHealth(t *Tree) *Health {
	h := &Health{tree: t}
	h.state.Store(&healthState{set: &loaders.Set{}})
	return h
}

// Watch replaces the profiles and the loaders that are looked at, and looks at them.
// It reads the disk.
func (h *Health) Watch(profiles []*bootmenu.Profile, set *loaders.Set) {
	h.looking.Lock()
	defer h.looking.Unlock()
	h.look(profiles, set)
}

// Refresh looks at everything again, and returns the profiles of which there is
// something new to tell, by name. It reads the disk, of files that are as they were
// no more than their age.
func (h *Health) Refresh() (changed []*bootmenu.Profile) {
	h.looking.Lock()
	defer h.looking.Unlock()
	state := h.state.Load()
	var profiles []*bootmenu.Profile
	for _, s := range state.subjects {
		profiles = append(profiles, s.profile)
	}
	return h.look(profiles, state.set)
}

// look makes the next state. A profile that nothing has happened to keeps its verdicts.
func (h *Health) look(profiles []*bootmenu.Profile, set *loaders.Set) (changed []*bootmenu.Profile) {
	before := h.state.Load()
	next := &healthState{subjects: make(map[string]*subject), set: set, loaders: make(map[string]look), files: make(map[place]look)}
	for _, l := range set.All() {
		if l.Made { // when it is asked for, and then it is there
			continue
		}
		next.loaders[l.Path] = seeLoader(l, before.loaders[l.Path])
	}
	loadersSame := set == before.set && maps.EqualFunc(next.loaders, before.loaders, look.same)
	for _, p := range profiles {
		filesSame := true
		for _, at := range places(p) {
			if _, ok := next.files[at]; !ok {
				next.files[at] = h.tree.seeImage(at.root, at.name, before.files[at])
			}
			filesSame = filesSame && next.files[at].same(before.files[at])
		}
		s := before.subjects[p.Name]
		if !loadersSame || !filesSame || s == nil || s.profile != p {
			s = &subject{profile: p, verdicts: &sync.Map{}}
			changed = append(changed, p)
		}
		next.subjects[p.Name] = s
	}
	h.state.Store(next)
	slices.SortFunc(changed, func(a, b *bootmenu.Profile) int { return cmp.Compare(a.Name, b.Name) })
	return changed
}

// places are the names that p may hand out, and its roots, which are looked up in
// the shared images.
func places(p *bootmenu.Profile) []place {
	archs := append(slices.Collect(maps.Keys(p.Arch)), bootmenu.ArchUnknown)
	var all []place
	for _, arch := range archs {
		for _, ipxe := range []bool{false, true} {
			boot := p.BootFor(bootmenu.Machine{Arch: arch, IPXE: ipxe})
			if boot.Root != "" {
				all = append(all, place{"", boot.Root})
			}
			for _, name := range boot.Files() {
				all = append(all, place{boot.Root, name})
			}
		}
	}
	return all
}

// Check is d, or silence if m cannot start what it would be given. Entries of a menu
// that it cannot start are left out; with none left the answer is silence too. It
// does not block.
func (h *Health) Check(d bootmenu.Decision, m bootmenu.Machine) bootmenu.Decision {
	if d.Silent() && len(d.Menu) == 0 {
		return d
	}
	state := h.state.Load()
	if v := h.loaderVerdict(state, d, m); v.reason != "" {
		return silenced(d, v)
	}
	if d.Profile != "" {
		kinds := []machineKind{{arch: m.Arch, ipxe: m.IPXE}}
		if d.ChoseLoader() && d.Boot.LoaderOn(m.Arch) == bootmenu.LoaderIPXE {
			kinds = append(kinds, machineKind{arch: m.Arch, ipxe: true})
		}
		if v := h.verdict(state, d.Profile, kinds); v.reason != "" {
			return silenced(d, v)
		}
		return d
	}
	return h.checkMenu(state, d, m)
}

// startedBy are the kinds of machine that an entry of the menu of d must be right for.
// Firmware may draw the menu itself or be given iPXE for it, so it must be for both;
// another loader does not let anybody else draw it.
func (h *Health) startedBy(d bootmenu.Decision, m bootmenu.Machine) []machineKind {
	drawer := d.Look.Loader
	if drawer != bootmenu.LoaderIPXE && d.File != "" && d.File == h.tree.Loaders().Preferred()[bootmenu.LoaderFor{Arch: m.Arch, Kind: drawer}] {
		return []machineKind{{arch: m.Arch, drawer: drawer}}
	}
	return []machineKind{{arch: m.Arch, ipxe: m.IPXE}, {arch: m.Arch, ipxe: true}}
}

// checkMenu is d without the entries that m cannot start.
func (h *Health) checkMenu(state *healthState, d bootmenu.Decision, m bootmenu.Machine) bootmenu.Decision {
	var left []*bootmenu.Profile
	var out []string
	var first verdict
	kinds := h.startedBy(d, m)
	for _, p := range d.Menu {
		v := h.verdict(state, p.Name, kinds)
		if v.reason == "" {
			left = append(left, p)
			continue
		}
		first.reason = cmp.Or(first.reason, v.reason)
		out = append(out, v.why)
	}
	switch {
	case len(out) == 0:
		return d
	case len(left) == 0:
		first.why = "no entry of the menu can be started: " + strings.Join(out, "; ")
		return silenced(d, first)
	}
	d.Menu = left
	if !slices.ContainsFunc(left, func(p *bootmenu.Profile) bool { return p.Name == d.Look.Default }) {
		d.Look.Default = "" // the disk
	}
	d.Why += "; left out: " + strings.Join(out, "; ")
	return d
}

// silenced is d as silence: nothing in it can be handed out. It still tells why it was
// to be that.
func silenced(d bootmenu.Decision, v verdict) bootmenu.Decision {
	d.Reason, d.Why = v.reason, d.Why+"; but "+v.why
	d.File, d.Menu = "", nil
	return d
}

// loaderVerdict tells whether the loader that d hands out is still there.
func (h *Health) loaderVerdict(state *healthState, d bootmenu.Decision, m bootmenu.Machine) verdict {
	if !d.ChoseLoader() {
		return verdict{}
	}
	loader, ok := findLoader(state.set, d.File, m.Arch)
	if !ok {
		return verdict{}
	}
	if l := state.loaders[loader.Path]; l.err != nil {
		return verdict{bootmenu.ReasonFileMissing, fmt.Sprintf("the boot loader %s cannot be read any more: %v", loader.Path, l.err)}
	}
	return verdict{}
}

// verdict is that of a profile for a machine that is of each of those kinds in turn:
// the first that it is not right for tells.
func (h *Health) verdict(state *healthState, name string, kinds []machineKind) (v verdict) {
	s := state.subjects[name]
	for i := 0; s != nil && i < len(kinds) && v.reason == ""; i++ {
		v = h.verdictFor(state, s, kinds[i])
	}
	return v
}

// verdictFor is that of a profile for one kind of machine.
func (h *Health) verdictFor(state *healthState, s *subject, kind machineKind) verdict {
	if v, ok := s.verdicts.Load(kind); ok {
		return v.(verdict)
	}
	lookup := func(root, name string, arch bootmenu.Arch) (look, bool) {
		l, known := state.files[place{root, name}]
		if !errors.Is(l.err, fs.ErrNotExist) {
			return l, known
		}
		if loader, ok := findLoader(state.set, name, arch); ok {
			l, known = state.loaders[loader.Path]
		}
		return l, known
	}
	var v verdict
	faults := Faults(h.tree.faults(s.profile, bootmenu.Machine{Arch: kind.arch, IPXE: kind.ipxe}, kind.drawer, lookup))
	if len(faults) > 0 {
		v = verdict{faults[0].Fault.reason(), fmt.Sprintf("profile %s: %s", s.profile.Name, Summary(faults))}
	}
	if kind.arch.Label() == kind.arch.String() { // clients may send any of 65536 values
		s.verdicts.Store(kind, v)
	}
	return v
}

// reason is why a machine gets no answer that would meet the fault.
func (f Fault) reason() bootmenu.Reason {
	if f == FaultWrongFile {
		return bootmenu.ReasonWrongFile
	}
	return bootmenu.ReasonFileMissing
}
