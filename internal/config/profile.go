package config

import (
	"path"
	"strings"

	"netbootd/bootmenu"
)

// extension is what the names of profile files end in.
const extension = ".toml"

// A draft is a profile while its file is being read.
type draft struct {
	profile bootmenu.Profile
	match   bootmenu.Match
	matched bool             // there is a table [match]
	top     bootmenu.Overlay // the top-level keys
	ipxe    bootmenu.Overlay
	tftp    bootmenu.TFTPLimits
	archs   []*archDraft // in the order of the file
	listed  []listedArch // the values of arch in [match]
	texts   []*textDraft // in the order of the file
}

// An archDraft is one table [arch.NAME].
type archDraft struct {
	name    string // as written, a name or a number
	arch    bootmenu.Arch
	overlay bootmenu.Overlay
}

// A textDraft is one table [[file]], and where it stands.
type textDraft struct {
	bootmenu.Text
	offset     int // of the table
	nameAt     int // of the values; 0 if the key is absent
	templateAt int
}

// A listedArch is one value of arch in [match], and where it stands.
type listedArch struct {
	arch   bootmenu.Arch
	offset int
}

// ParseProfile reads the text of a profile. file is its name, for problems; the
// last element of it without .toml is the name of the profile. If there are
// problems the Profile is the zero value.
func ParseProfile(file string, src []byte) (bootmenu.Profile, Problems) {
	name := strings.TrimSuffix(path.Base(file), extension)
	dr := &draft{profile: bootmenu.Profile{Name: name, Title: name, Autostart: true}}
	d := newDocument(file, src)
	d.checkFileName(name)
	if d.isText() {
		root := d.parse()
		d.decode(profileSchema(dr), root)
		checkProfile(d, dr, root)
		d.verify()
	}
	if len(d.problems) > 0 {
		d.problems.sort()
		return bootmenu.Profile{}, d.problems
	}
	return dr.finish(), nil
}

// checkFileName checks the name that the file gives to its profile.
func (d *document) checkFileName(name string) {
	err := bootmenu.CheckName(name)
	if err == nil {
		return
	}
	d.filef("%v", err)
	if lower := strings.ToLower(name); bootmenu.CheckName(lower) == nil {
		d.hintf("rename the file to %s", lower+extension)
	}
}

// finish makes the profile of a draft that has been checked.
func (dr *draft) finish() bootmenu.Profile {
	p := dr.profile
	p.Boot = bootmenu.Boot{}.With(dr.top)
	p.Boot.TFTP = dr.tftp
	p.IPXE = dr.ipxe
	for _, a := range dr.archs {
		if p.Arch == nil {
			p.Arch = map[bootmenu.Arch]bootmenu.Overlay{}
		}
		p.Arch[a.arch] = a.overlay
	}
	for _, t := range dr.texts {
		p.Texts = append(p.Texts, t.Text)
	}
	if dr.matched {
		p.Match = &dr.match
	}
	return p
}
