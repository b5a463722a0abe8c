package bootmenu

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Catalog is the set of started profiles and the loaders at hand. It is
// read-only and safe for concurrent use.
type Catalog struct {
	matched []matched  // with [match]
	menu    []*Profile // without
	index   *index
	classes []Pattern // vendor classes that profiles name
	named   map[string]*Profile
	stopped map[string]bool // names of those that are not started
	loaders Loaders
	look    Menu
	menus   sync.Map // Decision by menuKind: what menuOnce has worked out
}

// matched is a profile with [match], and that match in words: writing them took a
// third of a decision.
type matched struct {
	*Profile
	why string
}

// NewCatalog makes a catalog of the profiles that are started. Their order does
// not matter. stopped are the names of those that are not: only who is assigned to
// one is told of it.
func NewCatalog(started []*Profile, loaders Loaders, look Menu, stopped ...string) *Catalog {
	c := &Catalog{named: make(map[string]*Profile), stopped: make(map[string]bool), loaders: maps.Clone(loaders), look: look}
	for _, name := range stopped {
		c.stopped[name] = true
	}
	for _, p := range slices.SortedFunc(slices.Values(started), func(a, b *Profile) int { return strings.Compare(a.Name, b.Name) }) {
		c.named[p.Name] = p
		switch {
		case p.Once: // given only to those that are assigned to it
		case p.Match == nil:
			c.menu = append(c.menu, p)
		default:
			c.matched = append(c.matched, matched{p, "matched " + p.Match.String()})
			c.classes = append(c.classes, p.Match.VendorClass...)
		}
	}
	slices.SortFunc(c.menu, menuOrder)
	c.index = newIndex(c.matched)
	return c
}

// Select decides what m gets: the profile that matches it most narrowly, else
// the menu of all profiles without [match], else silence.
func (c *Catalog) Select(m Machine) Decision {
	if p, ok := c.index.find(m); ok {
		return c.boot(p, m)
	}
	if d := c.menuOnce(m); len(d.Menu) > 0 {
		return d
	}
	return Decision{Reason: ReasonNoProfile, Why: fmt.Sprintf("none of %d started profiles is for this machine", len(c.matched)+len(c.menu))}
}

// A Candidate is a profile that matches a machine.
type Candidate struct {
	Profile string
	By      string // what matches, in words: "mac 52:54:00:*, arch x64-uefi"
	Behind  string // why it is not taken, in words; empty for the one that is
}

// Candidates are all profiles that match m, in the order in which [Catalog.Select]
// prefers them. It is for people, and not made for the speed of packets.
func (c *Catalog) Candidates(m Machine) []Candidate {
	t := tellOf(m)
	var found []candidate
	for _, p := range c.matched {
		if spec, ok := p.Match.match(t); ok {
			found = append(found, candidate{p, spec})
		}
	}
	slices.SortFunc(found, narrower)
	taken := slices.IndexFunc(found, func(f candidate) bool { return f.profile.BootFor(m).Bootable(m.Arch) })
	var list []Candidate
	for i, f := range found {
		entry := Candidate{Profile: f.profile.Name, By: f.profile.Match.matchedBy(t)}
		switch {
		case !f.profile.BootFor(m).Bootable(m.Arch):
			entry.Behind = fmt.Sprintf("has nothing for %s", m.Arch)
		case i != taken:
			entry.Behind = f.behind(found[taken])
		}
		list = append(list, entry)
	}
	return list
}

// OptsIn tells whether a started profile names the vendor class of a client
// that is neither PXEClient nor HTTPClient, and so asks to answer it.
func (c *Catalog) OptsIn(vendorClass string) bool {
	return slices.ContainsFunc(c.classes, func(p Pattern) bool { return p.Matches(vendorClass) })
}

// Summary says in one line who would be answered with what.
func (c *Catalog) Summary() string {
	var parts []string
	for _, p := range c.matched {
		parts = append(parts, fmt.Sprintf("%s gets %s", p.Match, p.Name))
	}
	switch {
	case len(c.menu) > 0:
		parts = append(parts, fmt.Sprintf("every other PXE client gets a menu of %d", len(c.menu))+c.roomText())
	case len(c.matched) > 0:
		parts = append(parts, "nobody else is answered")
	case len(c.named) > 0:
		return "only machines that are assigned to a profile are answered"
	default:
		return "no profile is started: nobody is answered"
	}
	return strings.Join(parts, "; ")
}
