package daemon

import (
	"cmp"
	"maps"
	"slices"

	"netbootd/dhcpproxy"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
)

// Status implements control.Daemon. It looks at the files of each profile, so
// that what it says of them is true now.
func (d *Daemon) Status() control.Status {
	d.mu.Lock()
	s := control.Status{
		Version:    d.opts.Build.Version,
		Node:       d.opts.Node,
		Since:      d.since,
		Config:     d.opts.Config,
		Images:     d.images.Dir(),
		LastReload: d.reload,
		Unwatched:  d.unwatched,
	}
	profiles := maps.Clone(d.profiles)
	started := make(map[string]bool)
	for name, p := range profiles {
		started[name] = p.started
	}
	d.mu.Unlock()
	survey := d.tree.Survey()
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		s.Profiles = append(s.Profiles, d.profileSurveyed(survey, name, profiles[name], started[name]))
	}
	s.Answers, s.Assignments = d.answers(), d.allAssignments()
	s.Listeners = d.listenerStatus()
	s.Interfaces = d.interfaceStatus()
	for _, l := range d.tree.Loaders().All() {
		s.Loaders = append(s.Loaders, control.Loader{Arch: l.Arch.String(), Kind: string(l.Kind), Name: l.TreeName(), Path: l.Path})
	}
	for _, t := range d.listener.transfers() {
		s.Transfers = append(s.Transfers, control.Transfer{
			Client: t.Client.String(), File: t.File, Profile: t.Label, Size: t.Size, Bytes: t.Bytes, Since: t.Since,
		})
	}
	return s
}

// needsLeaseServer is what to know of clients that are no PXE clients.
const needsLeaseServer = "most builds of U-Boot, and other clients that are no PXE clients, listen to the lease server only: name this host and the boot file there, or set serverip by hand"

// profileStatus is how one profile stands now.
func (d *Daemon) profileStatus(name string, p *profile, started bool) control.Profile {
	return d.profileSurveyed(d.tree.Survey(), name, p, started)
}

// profileSurveyed is how one profile stands, with its files as a survey sees them.
func (d *Daemon) profileSurveyed(survey *boottree.Survey, name string, p *profile, started bool) control.Profile {
	s := profileStatus(survey, name, p, started)
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Until = p.until
	return s
}

// profileStatus is how one profile stands. Without a survey its files are not looked at.
func profileStatus(survey *boottree.Survey, name string, p *profile, started bool) control.Profile {
	s := control.Profile{Name: name, State: control.Stopped, Problems: slices.Clone(p.problems)}
	if started {
		s.State = control.Started
	}
	if p.Profile == nil {
		s.State = control.Broken
		return s
	}
	s.Title = p.Title
	if p.Match != nil {
		s.Match = p.Match.String()
		if p.Match.OptsIn() {
			s.Notes = append(s.Notes, needsLeaseServer)
		}
	}
	if survey == nil {
		return s
	}
	for _, f := range survey.Verify(p.Profile) {
		if f.Warning {
			s.Notes = append(s.Notes, f.Text)
			continue
		}
		s.Degraded = true
		s.Problems = append(s.Problems, f.Text)
	}
	return s
}

// listenerStatus is what is bound now.
func (d *Daemon) listenerStatus() []control.Listener {
	var list []control.Listener
	if d.dhcp != nil {
		for _, a := range d.dhcp.Addrs() {
			l := control.Listener{Service: "proxydhcp", Network: "udp", Address: a.String()}
			if d.beside != "" && a.Port() == dhcpproxy.PortDHCP {
				l.Network, l.Beside = "packet", d.beside
			}
			list = append(list, l)
		}
	}
	for _, a := range d.listener.addrs() {
		list = append(list, control.Listener{Service: "tftp", Network: "udp", Address: a.String()})
	}
	if d.web != nil {
		list = append(list, control.Listener{Service: "metrics", Network: "tcp", Address: d.web.Addr().String()})
	}
	if d.remote != nil {
		list = append(list, control.Listener{Service: "control", Network: "tcp", Address: d.remote.Addr().String(), Fingerprint: d.pin})
	}
	return append(list, control.Listener{Service: "control", Network: "unix", Address: d.opts.Settings.Control.Socket})
}

// interfaceStatus is the host's interfaces, served ones first.
func (d *Daemon) interfaceStatus() []control.Interface {
	served, refused, err := d.interfaces()
	if err != nil {
		return nil // the kernel did not tell; there is nothing to show
	}
	var list []control.Interface
	for _, in := range served {
		list = append(list, control.Interface{Name: in.Name, Addresses: prefixTexts(in.Addrs), Served: true})
	}
	slices.SortFunc(refused, func(a, b dhcpproxy.Refusal) int { return cmp.Compare(a.Name, b.Name) })
	for _, r := range refused {
		list = append(list, control.Interface{Name: r.Name, Why: r.Why})
	}
	return list
}
