package daemon

import (
	"context"
	"net/netip"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
)

// Which implements control.Daemon.
func (d *Daemon) Which(ctx context.Context, name, mac string) (control.Which, error) {
	var m bootmenu.MAC
	if mac != "" {
		var err error
		if m, err = bootmenu.ParseMAC(mac); err != nil {
			return control.Which{}, control.Invalid(err.Error())
		}
	}
	found, err := d.tree.Which(ctx, m, boottree.Request{Server: d.someAddress(), Name: name})
	if err != nil {
		return control.Which{}, control.Invalid(err.Error())
	}
	w := control.Which{Name: found.Name, MAC: m.String(), Profile: found.Profile, Layer: string(found.Winner), Why: found.Why}
	for _, p := range found.Places {
		w.Layers = append(w.Layers, control.Place{Layer: string(p.Layer), Name: p.Name, Size: p.Size, Why: p.Why})
	}
	return w, nil
}

// someAddress is the address of ours that a machine would most likely ask.
func (d *Daemon) someAddress() netip.Addr {
	served, _, err := d.interfaces()
	if err != nil || len(served) == 0 || len(served[0].Addrs) == 0 {
		return standIn.Addr()
	}
	return served[0].Addrs[0].Addr()
}
