package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"netbootd/dhcpproxy"
)

// tellInterfaces says which interfaces are served, and which are not and why.
func (d *Daemon) tellInterfaces() {
	served, refused, err := d.interfaces()
	if err != nil {
		d.opts.Logger.Warn("cannot list the host's interfaces", "why", err.Error())
	}
	for _, in := range served {
		d.opts.Logger.Info("serving interface", "interface", in.Name, "addresses", prefixTexts(in.Addrs))
	}
	for _, r := range d.news(refused) {
		d.opts.Logger.Info("not serving interface", "interface", r.Name, "why", r.Why)
	}
}

func (d *Daemon) interfaces() (served []dhcpproxy.Interface, refused []dhcpproxy.Refusal, err error) {
	all, err := dhcpproxy.HostInterfaces()
	served, refused = d.opts.Settings.Interfaces.Choose(all)
	return served, refused, err
}

// news leaves out the interfaces that nobody expects to be served, because
// others were named.
func (d *Daemon) news(refused []dhcpproxy.Refusal) []dhcpproxy.Refusal {
	names := d.opts.Settings.Interfaces.Names
	return slices.DeleteFunc(slices.Clone(refused), func(r dhcpproxy.Refusal) bool {
		return len(names) > 0 && !slices.Contains(names, r.Name)
	})
}

// requireInterface is an error if there is no interface to serve at all.
func (d *Daemon) requireInterface() error {
	served, refused, err := d.interfaces()
	if err != nil {
		return err
	}
	if len(served) > 0 {
		return nil
	}
	var why []string
	for _, r := range d.news(refused) {
		why = append(why, r.Name+" is "+r.Why)
	}
	hint := "bring one up and give it an IPv4 address (ip link set NAME up; ip address add ADDRESS/24 dev NAME)"
	if len(d.opts.Settings.Interfaces.Names) > 0 {
		hint += ", or name another with interfaces in netbootd.toml"
	}
	return &StartError{fmt.Errorf("no interface to serve: %s", strings.Join(why, ", ")), hint}
}

func addrTexts(addrs []netip.AddrPort) []string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return texts
}

func prefixTexts(prefixes []netip.Prefix) []string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return texts
}
