package bootmenu

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Catalog is the set of started profiles and the loaders at hand. It is
// read-only and safe for concurrent use.
type Catalog struct {
	matched []matched  // with [match]
	menu    []*Profile // without
	named   map[string]*Profile
	stopped map[string]bool // names of those that are not started
	loaders Loaders
	look    Menu
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
		}
	}
	return c
}

// Select decides what m gets: the profile that matches it most narrowly, else
// the menu of all profiles without [match], else silence.
func (c *Catalog) Select(m Machine) Decision {
	var found []candidate
	for _, p := range c.matched {
		if spec, ok := p.Match.match(m); ok && p.BootFor(m).Bootable(m.Arch) {
			found = append(found, candidate{p, spec})
		}
	}
	if len(found) > 0 {
		return c.boot(slices.MinFunc(found, narrower).profile, m)
	}
	if items := c.menuFor(m); len(items) > 0 {
		return c.showMenu(items, m)
	}
	return Decision{Reason: ReasonNoProfile, Why: fmt.Sprintf("none of %d started profiles is for this machine", len(c.matched)+len(c.menu))}
}

// OptsIn tells whether a started profile names the vendor class of a client
// that is neither PXEClient nor HTTPClient, and so asks to answer it.
func (c *Catalog) OptsIn(vendorClass string) bool {
	return slices.ContainsFunc(c.matched, func(p matched) bool {
		return slices.ContainsFunc(p.Match.VendorClass, func(v Pattern) bool { return v.Matches(vendorClass) })
	})
}

// Summary says in one line who would be answered with what.
func (c *Catalog) Summary() string {
	var parts []string
	for _, p := range c.matched {
		parts = append(parts, fmt.Sprintf("%s gets %s", p.Match, p.Name))
	}
	switch {
	case len(c.menu) > 0:
		parts = append(parts, fmt.Sprintf("every other PXE client gets a menu of %d", len(c.menu)))
	case len(c.matched) > 0:
		parts = append(parts, "nobody else is answered")
	case len(c.named) > 0:
		return "only machines that are assigned to a profile are answered"
	default:
		return "no profile is started: nobody is answered"
	}
	return strings.Join(parts, "; ")
}
