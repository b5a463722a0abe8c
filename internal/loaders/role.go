package loaders

import (
	"slices"
	"strings"

	"netbootd/bootmenu"
)

// A role is what a file of a name is, as far as the name tells.
type role struct {
	kind    bootmenu.Loader
	name    string // that it is asked for by
	bios    bool   // it has no header to know it by, so its name is all there is
	sibling bool
}

// biosNames are the iPXE NBPs for BIOS. A BIOS NBP has no header to know it by, so
// only these names are taken.
var biosNames = []string{"undionly.kpxe", "ipxe.pxe"}

// roleOf is the role of a file of that name; ok is false if it has none.
func roleOf(name string) (r role, ok bool) {
	plain := strings.TrimSuffix(name, ".signed") // as distributions name what firmware trusts
	efi := strings.HasSuffix(plain, ".efi")
	begins := func(prefix string) bool { return strings.HasPrefix(plain, prefix) }
	switch {
	case slices.Contains(biosNames, name):
		return role{kind: bootmenu.LoaderIPXE, name: name, bios: true}, true
	case name == "pxelinux.0", name == "lpxelinux.0":
		return role{kind: bootmenu.LoaderPXELINUX, name: name, bios: true}, true
	case strings.HasSuffix(name, ".c32"):
		return role{kind: bootmenu.LoaderPXELINUX, name: name, bios: true, sibling: true}, true
	case efi && (begins("snponly") || begins("ipxe")):
		return role{kind: bootmenu.LoaderIPXE, name: plain}, true
	case efi && begins("shim"):
		return role{kind: bootmenu.LoaderShim, name: plain}, true
	case efi && begins("grubnet") && !strings.Contains(plain, "-"):
		// shim asks for grubx64.efi or grubaa64.efi; this one can use the network.
		return role{kind: bootmenu.LoaderShim, name: "grub" + strings.TrimPrefix(plain, "grubnet"), sibling: true}, true
	case efi && begins("mm"):
		return role{kind: bootmenu.LoaderShim, name: plain, sibling: true}, true
	}
	return role{}, false
}
