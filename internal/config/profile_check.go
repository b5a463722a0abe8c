package config

import (
	"cmp"
	"slices"
	"strings"

	"netbootd/bootmenu"
)

// A profileCheck looks at what the keys of a profile mean together.
type profileCheck struct {
	*document
	*draft
	root *node
}

// checkProfile reports what is wrong with the profile as a whole.
func checkProfile(d *document, dr *draft, root *node) {
	c := profileCheck{d, dr, root}
	for _, s := range c.sections() {
		c.exclusive(s)
		c.kernelless(s)
	}
	if e, ok := root.byName["match"]; ok && e.value.kind == kindTable {
		dr.matched = true
		c.matchTable(e)
	}
	c.menuEntry()
	c.bootable()
	c.texts()
	c.cmdlines()
	c.loaders()
}

// A section is one of the tables that say what to boot.
type section struct {
	where    string // " in [ipxe]"; empty for the top
	table    *node
	overlay  bootmenu.Overlay
	outcomes []bootmenu.Boot // all that machines boot which the section has a part in
}

// sections are the tables of the file that say what to boot, the top first.
func (c profileCheck) sections() []section {
	plain := bootmenu.Boot{}.With(c.top)
	top := section{"", c.root, c.top, []bootmenu.Boot{plain, plain.With(c.ipxe)}}
	ipxe := section{" in [ipxe]", nil, c.ipxe, []bootmenu.Boot{plain.With(c.ipxe)}}
	var archs []section
	for _, a := range c.archs {
		own := plain.With(a.overlay)
		s := section{" in [arch." + a.name + "]", c.archEntry(a).value, a.overlay, []bootmenu.Boot{own, own.With(c.ipxe)}}
		archs = append(archs, s)
		top.outcomes = append(top.outcomes, s.outcomes...)
		ipxe.outcomes = append(ipxe.outcomes, s.outcomes[1])
	}
	all := append([]section{top}, archs...)
	if e, ok := c.root.byName["ipxe"]; ok && e.value.kind == kindTable {
		ipxe.table = e.value
		all = append(all, ipxe)
	}
	return all
}

func (c profileCheck) archEntry(a *archDraft) *entry {
	return c.root.byName["arch"].value.byName[a.name]
}

// exclusive reports two of the keys in one table that exclude each other, at the
// later of them.
func (c profileCheck) exclusive(s section) {
	var present []*entry
	for _, name := range []string{"boot", "boot_file", "kernel", "windows"} {
		if e, ok := s.table.byName[name]; ok {
			present = append(present, e)
		}
	}
	if len(present) < 2 {
		return
	}
	var names []string
	for _, e := range present {
		names = append(names, e.name)
	}
	later := slices.MaxFunc(present, func(a, b *entry) int { return cmp.Compare(a.offset, b.offset) })
	c.problemf(later.offset, "%s exclude each other%s, keep one", strings.Join(names, " and "), s.where)
}

// menuEntry reports a profile of the menu that has nothing to be picked, and keys
// of the menu in one that is no entry of it.
func (c profileCheck) menuEntry() {
	if e, ok := c.root.byName["boot"]; ok && !c.matched && !c.profile.Once {
		c.problemf(e.offset, "boot needs [match], for without it the profile is an entry of the menu")
	}
	beside := ""
	switch {
	case c.profile.Once:
		beside = "once = true"
	case c.matched:
		beside = "[match]"
	default:
		return
	}
	for _, name := range []string{"group", "order", "default"} {
		if e, ok := c.root.byName[name]; ok {
			c.problemf(e.offset, "%s has no effect beside %s, for the profile is no entry of the menu then", name, beside)
		}
	}
	if e, ok := c.root.byName["match"]; ok && c.profile.Once {
		c.problemf(e.offset, "[match] has no effect beside once = true, for only machines that are assigned to the profile get it")
	}
}

// kernelless reports keys that mean something only for a kernel, where there is
// none.
func (c profileCheck) kernelless(s section) {
	if c.broken || slices.ContainsFunc(s.outcomes, func(b bootmenu.Boot) bool { return b.Kernel != "" }) {
		return
	}
	for _, name := range []string{"initrd", "fdt", "cmdline", "loader"} {
		if e, ok := s.table.byName[name]; ok {
			c.problemf(e.offset, "%s%s is never used, for there is no kernel", name, s.where)
		}
	}
}

// matchTable checks the keys of [match] against each other.
func (c profileCheck) matchTable(match *entry) {
	all := match.value.byName["all"]
	if len(match.value.entries) == 0 || !c.match.All && all != nil && len(match.value.entries) == 1 {
		c.problemf(match.offset, "[match] has no condition")
		c.hintf("leave the table out for an entry of the menu, or write all = true for every machine")
	}
	if !c.match.All {
		return
	}
	for _, e := range match.value.entries {
		if e != all {
			c.problemf(e.offset, "%s has no effect beside all = true, keep one of the two", e.name)
		}
	}
}

// bootable reports what would get nothing to boot.
func (c profileCheck) bootable() {
	if c.broken {
		return
	}
	p := c.finish()
	bootable := func(a bootmenu.Arch) bool {
		return p.BootFor(bootmenu.Machine{Arch: a}).Bootable(a) || p.BootFor(bootmenu.Machine{Arch: a, IPXE: true}).Bootable(a)
	}
	if !bootable(bootmenu.ArchUnknown) &&
		!slices.ContainsFunc(c.archs, func(a *archDraft) bool { return bootable(a.arch) }) &&
		!slices.ContainsFunc(c.listed, func(l listedArch) bool { return bootable(l.arch) }) {
		c.problemf(0, "nothing to boot, want kernel or boot_file")
		if p.Boot.Root != "" {
			c.hintf(`for a Raspberry Pi root is enough, with arch = ["rpi"] in [match]`)
		}
		return
	}
	for _, l := range c.listed {
		if !bootable(l.arch) {
			c.problemf(l.offset, "nothing to boot for %s, want kernel or boot_file at the top, in [arch.%[1]s] or in [ipxe]", l.arch)
		}
	}
	for _, a := range c.archs {
		c.archTableUsed(a, bootable(a.arch))
	}
}

// archTableUsed reports a table [arch.NAME] that cannot have an effect.
func (c profileCheck) archTableUsed(a *archDraft, bootable bool) {
	listed := slices.ContainsFunc(c.listed, func(l listedArch) bool { return l.arch == a.arch })
	offset := c.archEntry(a).offset
	switch {
	case len(c.listed) == 0 && !bootable:
		c.problemf(offset, "nothing to boot for %s, want kernel or boot_file in [arch.%s]", a.arch, a.name)
	case c.allListed() && !listed:
		c.problemf(offset, "[arch.%s] is never used, for arch in [match] has only %s", a.name, c.listedNames())
	}
}

// allListed reports whether [match] has archs, and all of them are understood.
func (c profileCheck) allListed() bool {
	match, ok := c.root.byName["match"]
	if !ok || len(c.listed) == 0 {
		return false
	}
	return len(c.listed) == len(match.value.byName["arch"].value.items)
}

func (c profileCheck) listedNames() string {
	var names []string
	for _, l := range c.listed {
		names = append(names, l.arch.String())
	}
	return strings.Join(names, ", ")
}
