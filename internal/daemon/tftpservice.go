package daemon

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netbootd/internal/control"
	"netbootd/tftp"
)

// TFTP implements control.TFTPService.
func (d *Daemon) TFTP(client netip.Addr) control.TFTP {
	t := control.TFTP{Holders: d.listener.heldBy()}
	addrs := d.listener.addrs()
	if len(addrs) == 0 {
		return t
	}
	t.Running, t.Port = true, addrs[0].Port()
	for _, a := range addrs {
		t.Addresses = append(t.Addresses, a.String())
	}
	if host := d.tftpHost(addrs, client); host.IsValid() {
		t.Host = host.String()
	}
	return t
}

// tftpHost is the address that a client would use, the zero Addr if there is none:
// the one that is bound, if it was named; else that of the interface that the
// client is on, or of the route to it; for nobody in particular, the first that is
// served.
func (d *Daemon) tftpHost(bound []netip.AddrPort, client netip.Addr) netip.Addr {
	if a := bound[0].Addr(); !a.IsUnspecified() {
		return a
	}
	served, _, err := d.interfaces()
	if err != nil {
		return netip.Addr{} // the kernel did not tell
	}
	for _, in := range served {
		for _, p := range in.Addrs {
			if !client.IsValid() || p.Contains(client) {
				return p.Addr()
			}
		}
	}
	if !client.IsValid() {
		return netip.Addr{}
	}
	return routeSource(client)
}

// routeSource is the address of ours that packets to an address leave from, the
// zero Addr if there is no way there. Nothing is sent.
func routeSource(to netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 69)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = c.Close() }() // nothing was sent
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// StartTFTP implements control.TFTPService.
func (d *Daemon) StartTFTP(ctx context.Context) (control.TFTP, error) {
	d.ops.Lock()
	defer d.ops.Unlock()
	was, held := len(d.listener.addrs()) > 0, slices.Contains(d.listener.heldBy(), holderManual)
	if err := d.listener.hold(ctx, holderManual); err != nil {
		return control.TFTP{}, control.Conflict(explain(err).Error())
	}
	if _, err := changeStarted(d.started, time.Now(), func(s *Started) { s.TFTP = true }); err != nil {
		if !held {
			d.drainLater(d.listener.letGo(holderManual))
		}
		return control.TFTP{}, err
	}
	t := d.TFTP(netip.Addr{})
	t.Already = was
	return t, nil
}

// StopTFTP implements control.TFTPService.
func (d *Daemon) StopTFTP(ctx context.Context, how control.TFTPStopRequest) (control.TFTP, error) {
	within := d.opts.Settings.TFTP.Drain
	if how.Drain != nil {
		within = max(0, time.Duration(*how.Drain))
	}
	server, err := d.stopTFTP(how.Force)
	if err != nil {
		return control.TFTP{}, err
	}
	err = d.listener.drained(context.WithoutCancel(ctx), server, within) // also if nobody waits for it any more
	return d.TFTP(netip.Addr{}), err
}

// stopTFTP takes back the start by hand, and by force stops the profiles that hold
// the listener too. It returns the server whose transfers are still to end.
func (d *Daemon) stopTFTP(force bool) (drain *tftp.Server, err error) {
	d.ops.Lock()
	defer d.ops.Unlock()
	if len(d.listener.addrs()) == 0 {
		return nil, control.NotRunning("the TFTP service is not running")
	}
	profiles, stay := d.otherHolders(force)
	if len(stay) > 0 {
		return nil, control.Conflict("the TFTP service is needed by " + strings.Join(stay, ", "))
	}
	kept, err := changeStarted(d.started, time.Now(), func(s *Started) {
		s.TFTP = false
		for _, p := range profiles {
			s.turn(p.Name, false, time.Time{})
		}
	})
	if err != nil {
		return nil, err
	}
	drain = d.listener.letGo(holderManual)
	for _, p := range profiles {
		if server := d.putInForce(kept, p, false); server != nil {
			drain = server
		}
	}
	return drain, nil
}

// otherHolders are those that hold the listener besides the start by hand: the
// profiles that are to be stopped by force, and those that stay.
func (d *Daemon) otherHolders(force bool) (profiles []*profile, stay []string) {
	stay = slices.DeleteFunc(d.listener.heldBy(), func(h string) bool { return h == holderManual })
	if !force {
		return nil, stay
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, p := range d.profiles {
		if i := slices.Index(stay, profileHolder(name)); i >= 0 && p.started {
			profiles, stay = append(profiles, p), slices.Delete(stay, i, i+1)
		}
	}
	return profiles, stay
}
