package boottree

import (
	"context"
	"fmt"
	"net/netip"

	"netbootd/bootmenu"
	"netbootd/internal/loaders"
)

// canLoad tells whether there is what starts a kernel, or Windows, on machines of
// that arch. U-Boot and the Raspberry Pi are loaders themselves.
func (t *Tree) canLoad(boot bootmenu.Boot, a bootmenu.Arch) bool {
	kind, fw := boot.LoaderOn(a), a.Firmware()
	if kind == bootmenu.LoaderNone {
		return fw == bootmenu.FirmwareUBoot || fw == bootmenu.FirmwareRPi || fw == bootmenu.FirmwareUEFI
	}
	return t.Loaders().Preferred()[bootmenu.LoaderFor{Arch: a, Kind: kind}] != ""
}

// withoutLoader is the finding that a machine needs a loader which is not there, or
// cannot be made.
func (t *Tree) withoutLoader(p *bootmenu.Profile, m bootmenu.Machine) []Finding {
	boot := p.BootFor(m)
	if boot.Kernel == "" && boot.Windows == "" || m.IPXE || m.Arch == bootmenu.ArchUnknown {
		return nil
	}
	kind := boot.LoaderOn(m.Arch)
	f := Finding{Profile: p.Name, Fault: FaultNoLoader, Arch: m.Arch, Hint: loaders.Hint(m.Arch, kind)}
	if !t.canLoad(boot, m.Arch) {
		f.Text = fmt.Sprintf("no %s for %s: its machines get no answer unless they run iPXE already", kind.Title(), m.Arch)
		return []Finding{f}
	}
	if err := t.tryLoader(bootmenu.LoaderFor{Arch: m.Arch, Kind: kind}); err != nil {
		f.Text = fmt.Sprintf("%s: %v", m.Arch, err)
		return []Finding{f}
	}
	return nil
}

// trial is an address that stands for ours (RFC 5737), to see whether a loader can
// be made.
var trial = netip.MustParseAddr("192.0.2.1")

// tryLoader makes a loader that is made, once for each version of what it is made
// from.
func (t *Tree) tryLoader(want bootmenu.LoaderFor) error {
	set := t.Loaders()
	l, ok := set.Find(set.Preferred()[want], want.Arch, false)
	if !ok || !l.Made || t.opts.Builder == nil {
		return nil
	}
	_, err := t.opts.Builder.Build(context.Background(), l, trial)
	return err
}
