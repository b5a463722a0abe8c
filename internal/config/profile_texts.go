package config

import (
	"strings"

	"netbootd/bootmenu"
)

// texts reports tables [[file]] that lack something, have a name twice, or hold a
// template that cannot be written.
func (c profileCheck) texts() {
	named := map[string]bool{}
	p := c.finish()
	for _, t := range c.draft.texts {
		switch {
		case t.nameAt == 0:
			c.problemf(t.offset, "[[file]] has no name")
		case t.Name != "" && named[t.Name]:
			c.problemf(t.nameAt, "name: there is a [[file]] %s already", quote(t.Name))
		}
		named[t.Name] = true
		if t.templateAt == 0 {
			c.problemf(t.offset, "[[file]] has no template")
		} else if err := bootmenu.CheckTemplate(&p, t.Template); err != nil && t.Template != "" {
			c.problemf(t.templateAt, "template: %v", err)
		}
	}
}

// cmdlines reports command lines that are templates and cannot be written.
func (c profileCheck) cmdlines() {
	p := c.finish()
	for _, s := range c.sections() {
		e, ok := s.table.byName["cmdline"]
		if !ok || e.value.kind != kindText || !strings.Contains(e.value.text, "{{") {
			continue
		}
		if err := bootmenu.CheckCmdlineTemplate(&p, e.value.text); err != nil {
			c.problemf(e.value.offset, "cmdline: %v", err)
		}
	}
}

// loaders reports what the loaders of the machines that the file speaks of cannot be
// told. It says so once, and not where a mistake was found already.
func (c profileCheck) loaders() {
	if len(c.problems) > 0 {
		return
	}
	p := c.finish()
	told := map[string]bool{}
	check := func(a bootmenu.Arch, offset int) {
		if err := bootmenu.CheckTexts(&p, a); err != nil && !told[err.Error()] {
			told[err.Error()] = true
			c.problemf(offset, "%v", err)
		}
	}
	for _, l := range c.listed {
		check(l.arch, l.offset)
	}
	for _, a := range c.archs {
		check(a.arch, c.archEntry(a).offset)
	}
	if e, ok := c.root.byName["loader"]; ok && len(c.listed) == 0 {
		check(bootmenu.ArchUnknown, e.offset)
	}
}
