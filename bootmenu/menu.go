package bootmenu

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// menuOrder puts the entries of the menu in order.
func menuOrder(a, b *Profile) int {
	return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Title, b.Title), cmp.Compare(a.Name, b.Name))
}

// A menuKind is all that the menu of a machine depends on.
type menuKind struct {
	arch Arch
	ipxe bool
}

// menuOnce is the decision for a machine that gets the menu, if it has entries for
// it. It is worked out once for each arch of the table, and each time for others:
// any client may claim any of 65,536.
func (c *Catalog) menuOnce(m Machine) (d Decision) {
	kind := menuKind{m.Arch, m.IPXE}
	if known, ok := c.menus.Load(kind); ok {
		return known.(Decision)
	}
	if items := c.menuFor(m); len(items) > 0 {
		d = c.showMenu(items, m)
	}
	if _, ok := m.Arch.row(); ok {
		c.menus.Store(kind, d)
	}
	return d
}

// of is m for a menu of these items, with nothing left to default: Title and
// Loader are set, Timeout is not zero, and Default is one of the items or empty.
// A default that is not among the items is the disk, so that a machine never boots
// what nobody meant it to.
func (m Menu) of(items []*Profile) Menu {
	if m.Default == "" {
		if i := slices.IndexFunc(items, func(p *Profile) bool { return p.Default }); i >= 0 {
			m.Default = items[i].Name
		}
	} else if !slices.ContainsFunc(items, func(p *Profile) bool { return p.Name == m.Default }) {
		m.Default = ""
	}
	m.Title = cmp.Or(m.Title, DefaultMenuTitle)
	m.Timeout = cmp.Or(m.Timeout, DefaultMenuTimeout)
	m.Loader = cmp.Or(m.Loader, LoaderIPXE)
	return m
}

// roomText says, if a profile has the firmware draw the menu, how much of it there
// is room for. It is empty if all of it fits.
func (c *Catalog) roomText() string {
	items := []MenuItem{{ItemDisk, MenuDiskText}}
	drawn := false
	for _, p := range c.menu {
		items = append(items, MenuItem{FirstItem, p.Title})
		drawn = drawn || p.Boot.Offer == StyleMenu
		for _, o := range p.Arch {
			drawn = drawn || o.Offer == StyleMenu
		}
	}
	_, shown := BootMenu(items, netip.IPv4Unspecified(), 0, MenuPrompt)
	if !drawn || shown == len(items) {
		return ""
	}
	return fmt.Sprintf(", of which there is room for %d where the firmware draws it", shown-1)
}

// PXESeconds is the timeout as firmware counts it in a menu of its own (PXE 2.1
// section 2, tag 10): in seconds up to 254, which a longer one is too; 255 is none.
func (m Menu) PXESeconds() uint8 {
	const longest, none = 254, 255
	if m.Timeout < 0 {
		return none
	}
	return uint8(min(longest, (m.Timeout+time.Second-1)/time.Second))
}

// CheckDefault returns an error that says why m.Default is no entry of a menu of
// these profiles, started or not; nil if it is one, or empty.
func (m Menu) CheckDefault(profiles []*Profile) error {
	if m.Default == "" {
		return nil
	}
	i := slices.IndexFunc(profiles, func(p *Profile) bool { return p.Name == m.Default })
	switch {
	case i < 0:
		return fmt.Errorf("default of the menu: there is no profile %q", m.Default)
	case profiles[i].Once:
		return fmt.Errorf("default of the menu: profile %q says once = true, so it is not in the menu", m.Default)
	case profiles[i].Match != nil:
		return fmt.Errorf("default of the menu: profile %q has [match], so it is not in the menu", m.Default)
	}
	return nil
}
