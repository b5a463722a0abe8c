package bootmenu

import (
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// Format is a kind of text that a boot loader reads to learn what to start.
type Format string

// The formats.
const (
	FormatIPXE        Format = "ipxe"        // [IPXEScript]
	FormatGRUB        Format = "grub"        // [GRUBConfig]
	FormatPXELINUX    Format = "pxelinux"    // [PXELINUXConfig]
	FormatExtlinux    Format = "extlinux"    // [ExtlinuxConfig], also for U-Boot's "pxe get"
	FormatUBootScript Format = "uboot"       // [UBootScript]
	FormatRPiConfig   Format = "rpi-config"  // [RPiConfig]
	FormatRPiCmdline  Format = "rpi-cmdline" // [RPiCmdline]
)

// menuFormats are the formats that have menus, by what the names of the entries'
// texts end in.
var menuFormats = []struct {
	format Format
	suffix string
}{
	{FormatIPXE, ".ipxe"},
	{FormatGRUB, ".grub"},
	{FormatPXELINUX, ".pxelinux"},
}

// entryName is the name of the text that starts one entry of the menu.
func (f Format) entryName(profile string) string {
	for _, m := range menuFormats {
		if m.format == f {
			return menuPrefix + profile + m.suffix
		}
	}
	return ""
}

// MenuEntry is the profile that name asks for, and in which format, if it is the
// name of a menu entry's text.
func MenuEntry(name string) (profile string, f Format, ok bool) {
	name, ok = strings.CutPrefix(name, menuPrefix)
	if !ok {
		return "", "", false
	}
	for _, m := range menuFormats {
		if profile, ok := strings.CutSuffix(name, m.suffix); ok {
			return profile, m.format, true
		}
	}
	return "", "", false
}

// Names of files that loaders ask for, and of the directories they stand in.
const (
	pxelinuxDir  = "pxelinux.cfg"
	extlinuxDir  = "extlinux"
	extlinuxConf = "extlinux.conf"
	grubDir      = "grub" // that the images of GRUB which we make look in
	grubConf     = "grub.cfg"
	ubootScript  = "boot.scr.uimg" // as U-Boot's "dhcp" and "bootcmd_dhcp" name it
	ubootOld     = "boot.scr"
	rpiConfig    = "config.txt"
	rpiCmdline   = "cmdline.txt"
)

// A Probe is a name out of a series that a loader goes through until one of them
// exists, from the one for this very machine to the one for all.
type Probe struct {
	Format Format
	Dir    string // that the loader looks in; empty for the top of the tree
	Home   string // where the series stands as a rule; a loader that looks elsewhere gets what stands here
	Base   string // the name in Dir

	machine Machine
}

// ProbeFor tells whether a machine asks by that name for the text of its loader.
// Names that are meant for another machine are none.
func ProbeFor(name string, m Machine) (p Probe, ok bool) {
	dir, base := path.Split(name)
	p = Probe{Dir: strings.TrimSuffix(dir, "/"), Base: base, machine: m}
	switch {
	case path.Base(p.Dir) == pxelinuxDir:
		p.Format, p.Home = FormatPXELINUX, pxelinuxDir
		if fw := m.Arch.Firmware(); fw == FirmwareUBoot || m.Arch == ArchUnknown {
			p.Format = FormatExtlinux // a board that has not told, for a PC always asks by DHCP
		}
	case path.Base(p.Dir) == extlinuxDir:
		p.Format, p.Home = FormatExtlinux, extlinuxDir
	case strings.HasPrefix(base, grubConf):
		p.Format, p.Home = FormatGRUB, grubDir
	case p.Dir == "" && (base == ubootScript || base == ubootOld):
		p.Format = FormatUBootScript
	case p.Dir == "" && m.Arch == ArchRPi && base == rpiConfig:
		p.Format = FormatRPiConfig
	case p.Dir == "" && m.Arch == ArchRPi && base == rpiCmdline:
		p.Format = FormatRPiCmdline
	default:
		return Probe{}, false
	}
	return p, p.Has(base)
}

// Has tells whether the series of p has that name too.
func (p Probe) Has(base string) bool {
	switch p.Format {
	case FormatGRUB:
		if base == grubConf {
			return true
		}
		suffix, ok := strings.CutPrefix(base, grubConf+"-")
		return ok && p.machine.goesBy(suffix)
	case FormatUBootScript:
		return base == ubootScript || base == ubootOld
	case FormatRPiConfig, FormatRPiCmdline:
		return base == p.Base
	}
	if p.Home == extlinuxDir {
		return base == extlinuxConf
	}
	return base == "default" || strings.HasPrefix(base, "default-") || p.machine.goesBy(base)
}

// goesBy tells whether loaders derive that name from the machine: from its
// identifier, from its MAC address behind the hardware type of Ethernet, or from
// its IPv4 address in hexadecimal, cut off at any digit.
func (m Machine) goesBy(name string) bool {
	switch {
	case name == "":
		return false
	case !m.ID.IsZero() && (strings.EqualFold(name, m.ID.String()) || strings.EqualFold(name, m.ID.fromWire().String())):
		return true
	case !m.MAC.IsZero() && strings.EqualFold(name, "01-"+m.MAC.dashed()):
		return true
	}
	if !m.Addr.Is4() {
		return false
	}
	b := m.Addr.As4()
	return strings.HasPrefix(strings.ToUpper(hex.EncodeToString(b[:])), name)
}

// fromWire is the identifier with the bytes of its first three fields turned
// round: not every loader knows that they are little-endian.
func (id ID) fromWire() ID { return IDFromWire(id) }

// dashed is the address in lower-case hexadecimal pairs with dashes.
func (m MAC) dashed() string { return strings.ReplaceAll(m.String(), ":", "-") }

// IsLoaderText tells whether loaders read files of that name to learn what to
// start.
func IsLoaderText(name string) bool {
	if _, _, ok := MenuEntry(name); ok || name == ScriptName {
		return true
	}
	dir, base := path.Split(name)
	switch path.Base(dir) {
	case pxelinuxDir, extlinuxDir:
		return true
	}
	return strings.HasPrefix(base, grubConf) || base == ubootScript || base == ubootOld
}

// TextNames are the names of the texts of ours that tell a loader of that kind what to
// start on machines of that arch: of each series that it goes through the last one.
func TextNames(kind Loader, a Arch) []string {
	pxelinux, grub := path.Join(pxelinuxDir, "default"), path.Join(grubDir, grubConf)
	switch fw := a.Firmware(); {
	case fw == FirmwareUBoot:
		return []string{pxelinux, path.Join(extlinuxDir, extlinuxConf), ubootScript}
	case fw == FirmwareRPi:
		return []string{rpiConfig, rpiCmdline}
	}
	switch kind {
	case LoaderIPXE:
		return []string{ScriptName}
	case LoaderGRUB, LoaderShim:
		return []string{grub}
	case LoaderPXELINUX:
		return []string{pxelinux}
	}
	return nil
}

// WithoutRPiPrefix is a name without the directory that a Raspberry Pi puts in
// front of all its names: the last eight digits of its serial number, or its MAC
// address with dashes, in either case.
func WithoutRPiPrefix(name string, m Machine) (prefix, rest string, ok bool) {
	prefix, rest, ok = strings.Cut(name, "/")
	switch {
	case !ok:
		return "", "", false
	case !m.MAC.IsZero() && strings.EqualFold(prefix, m.MAC.dashed()):
		return prefix, rest, true
	}
	serial, err := hex.DecodeString(prefix)
	return prefix, rest, err == nil && len(serial) == 4
}

// A TextError says why a loader's text cannot be written.
type TextError struct {
	Loader string // who reads it, for people
	Why    string
}

// Error is one line.
func (e *TextError) Error() string { return e.Loader + " " + e.Why }

// checkName returns a [TextError] if a loader would not take a name as it is.
func checkName(loader, name, bad string) error {
	if i := strings.IndexAny(name, bad); i >= 0 {
		return &TextError{loader, fmt.Sprintf("cannot load %q, for it has %q in its name", name, name[i])}
	}
	return nil
}
