package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
)

// Explain implements control.Daemon, with the profiles that are started and the
// styles that are remembered.
func (d *Daemon) Explain(q control.ExplainRequest) (control.Explanation, error) {
	d.mu.Lock()
	var stopped []*bootmenu.Profile
	for _, p := range d.profiles {
		if p.Profile != nil && !p.started {
			stopped = append(stopped, p.Profile)
		}
	}
	d.mu.Unlock()
	e := explainer{d.opts.Settings, d.responder(), d.history.Past, d.tree.Catalog(), bootmenu.NewCatalog(stopped, d.tree.Loaders().Preferred(), bootmenu.Menu{})}
	return e.explain(q)
}

// Explain tells what a daemon that started now with these settings and this plan
// would do with a request.
func Explain(s Settings, p Plan, q control.ExplainRequest) (control.Explanation, error) {
	o, err := openOffline(s, p)
	if err != nil {
		return control.Explanation{}, err
	}
	defer o.Close()
	styles, err := openStyles(s.State, time.Now, nil) // nothing is written
	if err != nil {
		return control.Explanation{}, err
	}
	var selects dhcpproxy.Selector = assignedCatalog{o.catalog, o.assigned}
	if o.tree != nil {
		health := boottree.NewHealth(o.tree)
		health.Watch(o.which(true), o.set)
		selects = selector{o.tree, health}
	}
	history := &dhcpproxy.History{Styles: styles}
	x := explainer{s, newResponder(selects, s.DHCP), history.Past, o.catalog, bootmenu.NewCatalog(o.which(false), o.set.Preferred(), bootmenu.Menu{})}
	e, err := x.explain(q)
	if o.unread != nil {
		e.Notes = append(e.Notes, o.unreadNote())
	}
	for _, name := range slices.Sorted(maps.Keys(o.profiles)) {
		if one := o.profiles[name]; one.Profile == nil {
			e.Notes = append(e.Notes, fmt.Sprintf("profile %s is broken and left out: %s", name, strings.Join(one.problems, "; ")))
		}
	}
	return e, err
}

// An assignedCatalog decides by a catalog and by assignments.
type assignedCatalog struct {
	*bootmenu.Catalog
	assigned *assignments
}

// Select implements dhcpproxy.Selector.
func (c assignedCatalog) Select(m bootmenu.Machine) bootmenu.Decision {
	return c.SelectFor(m, c.assigned.of(m.MAC))
}

// An explainer lets a responder decide, and tells of it.
type explainer struct {
	settings  Settings
	responder *dhcpproxy.Responder
	recall    func(bootmenu.Machine) dhcpproxy.Past
	started   *bootmenu.Catalog // the profiles that are started
	stopped   *bootmenu.Catalog // those that are not
}

func (x explainer) explain(q control.ExplainRequest) (control.Explanation, error) {
	in, notes, err := x.ingress(q)
	if err != nil {
		return control.Explanation{}, err
	}
	v, reply, err := x.responder.AnswerPacket(q.Packet, in, x.recall)
	if err != nil {
		return control.Explanation{}, control.Invalid(err.Error())
	}
	if why := x.settings.Interfaces.Refuses(in.Interface); why != "" {
		v.Reply, v.Reason, v.Why = nil, dhcpproxy.ReasonOtherInterface, in.Interface.Name+": "+why
	}
	e := control.Explanation{
		Request: v.Type.String(),
		Port:    q.Port,
		Machine: control.Machine{
			MAC: v.Machine.MAC.String(), ID: v.Machine.ID.String(), Serial: v.Machine.Serial, Arch: v.Machine.Arch.String(),
			VendorClass: v.Machine.VendorClass, UserClass: v.Machine.UserClass, IPXE: v.Machine.IPXE, Interface: in.Interface.Name,
		},
		Profile: v.Decision.Profile, Assigned: string(v.Decision.Assigned),
		Title:  v.Decision.Title,
		Rule:   v.Why,
		Reason: string(v.Reason),
		Notes:  append(notes, x.notes(v)...),
	}
	if v.Decision.Why != "" {
		x.compare(v, &e)
	}
	if r := v.Reply; r != nil {
		e.Style, e.StyleWhy, e.File = string(r.Style), r.StyleWhy, r.File
		e.From, e.To = r.From.String(), r.To.String()
		for _, f := range dhcpproxy.Describe(reply) {
			if f.Value != "" {
				e.Reply = append(e.Reply, control.PacketField{Name: f.Name, Value: f.Value})
			}
		}
	}
	return e, nil
}

// compare tells by what the profile of a decision matches, and which others do.
func (x explainer) compare(v dhcpproxy.Verdict, e *control.Explanation) {
	for _, c := range x.started.Candidates(v.Machine) {
		switch {
		case c.Profile == e.Profile:
			e.Matched = c.By
		case c.Behind == "":
			e.Others = append(e.Others, control.Candidate{Profile: c.Profile, Matched: c.By, Why: "something else decided, or it would be taken"})
		default:
			e.Others = append(e.Others, control.Candidate{Profile: c.Profile, Matched: c.By, Why: c.Behind})
		}
	}
}

// notes are what a person should know besides.
func (x explainer) notes(v dhcpproxy.Verdict) (notes []string) {
	if !x.settings.DHCP.Enabled {
		notes = append(notes, "ProxyDHCP is switched off ([dhcp] enabled = false), so nothing is answered at all")
	}
	if v.Reason == bootmenu.ReasonNoProfile {
		if d := x.stopped.Select(v.Machine); d.Profile != "" {
			notes = append(notes, fmt.Sprintf("profile %s is for this machine and is not started; start it with: netbootd start %[1]s", d.Profile))
		}
	}
	if v.Reply != nil && v.Reply.Style == bootmenu.StyleHeader {
		notes = append(notes, needsLeaseServer)
	}
	return notes
}

// standIn is an address for documentation (RFC 5737). It stands for ours where the
// host has no interface to take one from.
var standIn = netip.MustParsePrefix("192.0.2.1/24")

// ingress is where a request came in, or would come in.
func (x explainer) ingress(q control.ExplainRequest) (in dhcpproxy.Ingress, notes []string, err error) {
	in.Port = q.Port
	if q.Port != dhcpproxy.PortDHCP && q.Port != dhcpproxy.PortBoot {
		return in, nil, control.Invalid(fmt.Sprintf("port %d, want %d or %d", q.Port, dhcpproxy.PortDHCP, dhcpproxy.PortBoot))
	}
	in.Source = netip.AddrPortFrom(netip.IPv4Unspecified(), dhcpproxy.PortClient)
	if q.Source != "" {
		if in.Source, err = netip.ParseAddrPort(q.Source); err != nil {
			return in, nil, control.Invalid("source: " + err.Error())
		}
	}
	all, err := dhcpproxy.HostInterfaces()
	if err != nil {
		return in, nil, err
	}
	served, _ := x.settings.Interfaces.Choose(all)
	named := func(i dhcpproxy.Interface) bool { return i.Name == q.Interface }
	switch i := slices.IndexFunc(all, named); {
	case q.Interface != "" && i >= 0:
		in.Interface = all[i]
	case q.Interface == "" && len(served) > 0:
		in.Interface = served[0]
	default:
		in.Interface = dhcpproxy.Interface{Name: q.Interface, Up: true, Addrs: []netip.Prefix{standIn}}
		notes = append(notes, fmt.Sprintf("this host has no such interface; %s stands for its address", standIn.Addr()))
	}
	return in, notes, nil
}
