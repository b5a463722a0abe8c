package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"netbootd/dhcpproxy"
)

// An interfaceWatch follows the host's interfaces, and says which are served.
type interfaceWatch struct {
	policy dhcpproxy.Policy
	logger *slog.Logger
	news   *linkNews
	served map[string]string // addresses of the interfaces that were told to be served, by name; nil before the first
}

// watchInterfaces says which interfaces are served, and which are not and why.
func (d *Daemon) watchInterfaces() (*interfaceWatch, error) {
	// Subscribed before the first look, so that no change falls between.
	news, err := openLinkNews()
	if err != nil {
		return nil, fmt.Errorf("follow the host's interfaces: %w", err)
	}
	w := &interfaceWatch{policy: d.opts.Settings.Interfaces, logger: d.opts.Logger, news: news}
	w.look(func([]dhcpproxy.Interface) {})
	return w, nil
}

// follow hands on the host's interfaces whenever the kernel says that a link or
// an address has changed, until ctx ends.
func (w *interfaceWatch) follow(ctx context.Context, changed func([]dhcpproxy.Interface)) error {
	context.AfterFunc(ctx, w.close) // ends a wait
	for {
		err := w.news.wait()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("follow the host's interfaces: %w", err)
		}
		w.look(changed)
	}
}

// setInterfaces hands the host's interfaces to the loop.
func (d *Daemon) setInterfaces(all []dhcpproxy.Interface) {
	if err := d.dhcp.SetInterfaces(all); err != nil {
		d.opts.Logger.Warn("boot servers are looked for by multicast in vain", "why", err.Error())
	}
}

func (w *interfaceWatch) close() { w.news.close() }

func (w *interfaceWatch) look(changed func([]dhcpproxy.Interface)) {
	all, err := dhcpproxy.HostInterfaces()
	if err != nil {
		w.logger.Warn("cannot list the host's interfaces", "why", err.Error())
		return
	}
	changed(all)
	w.tell(all)
}

// tell says what is new: at first everything, later which interfaces are served
// under which addresses, and which no longer are.
func (w *interfaceWatch) tell(all []dhcpproxy.Interface) {
	served, refused := w.policy.Choose(all)
	now := make(map[string]string)
	for _, in := range served {
		now[in.Name] = fmt.Sprint(in.Addrs)
		if w.served[in.Name] != now[in.Name] {
			w.logger.Info("serving interface", "interface", in.Name, "addresses", prefixTexts(in.Addrs))
		}
	}
	why := make(map[string]string)
	for _, r := range refused {
		why[r.Name] = r.Why
		if w.served == nil && isExpected(w.policy, r) {
			w.logger.Info("not serving interface", "interface", r.Name, "why", r.Why)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.served)) {
		if now[name] == "" {
			w.logger.Info("not serving interface any more", "interface", name, "why", cmp.Or(why[name], "gone"))
		}
	}
	if len(w.served) > 0 && len(now) == 0 {
		w.logger.Warn("no interface is served: no machine is answered", "hint", "bring one up and give it an IPv4 address")
	}
	w.served = now
}

// isExpected tells whether anybody may expect an interface to be served: where
// some were named, nobody expects the others.
func isExpected(p dhcpproxy.Policy, r dhcpproxy.Refusal) bool {
	return len(p.Names) == 0 || slices.Contains(p.Names, r.Name)
}

func (d *Daemon) interfaces() (served []dhcpproxy.Interface, refused []dhcpproxy.Refusal, err error) {
	all, err := dhcpproxy.HostInterfaces()
	served, refused = d.opts.Settings.Interfaces.Choose(all)
	return served, refused, err
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
	for _, r := range refused {
		if isExpected(d.opts.Settings.Interfaces, r) {
			why = append(why, r.Name+" is "+r.Why)
		}
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
