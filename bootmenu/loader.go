package bootmenu

import "time"

// Loader is a kind of boot loader: what starts a kernel, and draws the menu.
type Loader string

// The kinds of boot loaders.
const (
	LoaderIPXE     Loader = "ipxe"     // the default
	LoaderGRUB     Loader = "grub"     // an image that asks this server, reads grub.cfg
	LoaderPXELINUX Loader = "pxelinux" // BIOS only, reads pxelinux.cfg
	LoaderShim     Loader = "shim"     // signed, starts the signed GRUB beside it
	LoaderNone     Loader = "none"     // the firmware loads kernels itself, or reads what we write for it
)

// Title is the loader's name for people.
func (l Loader) Title() string {
	switch l {
	case LoaderIPXE:
		return "iPXE"
	case LoaderGRUB:
		return "GRUB"
	case LoaderPXELINUX:
		return "PXELINUX"
	case LoaderShim:
		return "shim with its GRUB"
	}
	return "loader"
}

// Loaders gives for an arch and a kind the name in the boot tree of the loader to
// hand out.
type Loaders map[LoaderFor]string

// A LoaderFor is a kind of loader for one arch.
type LoaderFor struct {
	Arch Arch
	Kind Loader
}

// A Menu is how the menu of all profiles without [match] looks. The zero value is
// one that iPXE draws, and that boots from disk after ten seconds.
type Menu struct {
	Title   string        // empty: a title of ours
	Default string        // profile that is booted after Timeout; empty: the disk, unless a profile says that it is the default
	Timeout time.Duration // zero: [DefaultMenuTimeout]; negative: none, it waits for ever
	Loader  Loader        // that draws it; empty: iPXE
}

// What a menu has that nobody gave another look.
const (
	DefaultMenuTitle   = "Boot from the network"
	DefaultMenuTimeout = 10 * time.Second // how long it waits for somebody
)
