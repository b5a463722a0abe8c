package daemon

import (
	"fmt"
	"maps"
	"slices"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
)

// ShowProfile implements control.Daemon.
func (d *Daemon) ShowProfile(name string) (control.ProfileView, error) {
	d.mu.Lock()
	p, ok := d.profiles[name]
	if !ok {
		defer d.mu.Unlock()
		return control.ProfileView{}, unknownProfile(name, d.profiles)
	}
	started := p.started
	d.mu.Unlock()
	return profileView(d.tree, name, p, started), nil
}

// unknownProfile says which profiles there are instead.
func unknownProfile(name string, profiles map[string]*profile) error {
	return control.NotFound(fmt.Sprintf("there is no profile %q, only %s", name, known(slices.Sorted(maps.Keys(profiles)))))
}

// profileView is a profile as it is understood, and its files as they are.
func profileView(tree *boottree.Tree, name string, p *profile, started bool) control.ProfileView {
	v := control.ProfileView{Profile: profileStatus(tree.Survey(), name, p, started)}
	if p.Profile == nil {
		return v
	}
	for _, t := range p.Texts {
		v.Generated = append(v.Generated, t.Name)
	}
	for _, b := range tree.Describe(p.Profile) {
		v.Boots = append(v.Boots, bootView(b))
	}
	return v
}

// bootView is what one kind of machine gets.
func bootView(b boottree.Boot) control.ProfileBoot {
	v := control.ProfileBoot{
		Arch: b.Machine.Arch.String(), IPXE: b.Machine.IPXE,
		File: b.Decision.File, Instead: string(b.Decision.Boot.Instead),
		Loader: string(b.Loader()), Root: b.Decision.Boot.Root, Cmdline: b.Decision.Boot.Cmdline, Generated: b.Writes(),
	}
	if b.Machine.Arch == bootmenu.ArchUnknown {
		v.Arch = "any"
	}
	if b.Decision.Silent() {
		v.Why = b.Decision.Why
	}
	for _, f := range b.Files {
		v.Files = append(v.Files, control.ProfileFile{Role: f.Role, Name: f.Name, Layer: string(f.Layer), Size: f.Size, Kind: f.Kind, Problem: f.Problem})
	}
	return v
}
