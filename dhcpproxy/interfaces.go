package dhcpproxy

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"time"
)

// An Interface is one of the host's network interfaces at one moment.
type Interface struct {
	Name     string
	Index    int
	MTU      int            // bytes
	Addrs    []netip.Prefix // its IPv4 addresses, the primary one first
	Up       bool
	Loopback bool
}

// HostInterfaces reads the host's interfaces.
func HostInterfaces() ([]Interface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []Interface
	for i := range list {
		in, err := fromNet(&list[i])
		if err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, nil
}

// tableAge is how long the host's interfaces are believed to be as they were:
// they come, go and change address while the service runs, and reading them for
// each packet would cost more than answering it.
const tableAge = time.Second

// A hostTable is the host's interfaces by index, at most tableAge old. It is safe
// for concurrent use.
type hostTable struct {
	read    func() ([]Interface, error)
	mu      sync.Mutex        // guards what follows
	at      time.Time         // when byIndex was read
	byIndex map[int]Interface // as it was then
}

func newHostTable(read func() ([]Interface, error)) *hostTable { return &hostTable{read: read} }

// interfaceOf is the interface of that index. An index that is not in the table,
// or a table that is too old, makes it be read anew; if that fails the old one
// stands.
func (t *hostTable) interfaceOf(index int, now time.Time) (Interface, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in, ok := t.byIndex[index]
	if ok && now.Sub(t.at) < tableAge {
		return in, true
	}
	all, err := t.read()
	if err != nil {
		return in, ok
	}
	t.at, t.byIndex = now, make(map[int]Interface)
	for _, in := range all {
		t.byIndex[in.Index] = in
	}
	in, ok = t.byIndex[index]
	return in, ok
}

// fromNet turns the standard library's view of an interface into ours.
func fromNet(ifi *net.Interface) (Interface, error) {
	in := Interface{
		Name:     ifi.Name,
		Index:    ifi.Index,
		MTU:      ifi.MTU,
		Up:       ifi.Flags&net.FlagUp != 0,
		Loopback: ifi.Flags&net.FlagLoopback != 0,
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return in, fmt.Errorf("addresses of %s: %w", ifi.Name, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			in.Addrs = append(in.Addrs, p)
		}
	}
	return in, nil
}

// containerBridge is how container and virtual machine managers name the bridges
// that they run a DHCP server of their own on.
var containerBridge = regexp.MustCompile(`^(docker0|br-[0-9a-f]{12}|podman.*|cni.*|virbr.*|lxcbr.*|lxdbr.*|incusbr.*)$`)

// A Policy says which interfaces are served.
type Policy struct {
	Names []string // exactly these; empty: every usable one that is not a container bridge
}

// Refuses says why an interface is not served, or "".
func (p Policy) Refuses(in Interface) string {
	switch {
	case len(p.Names) > 0 && !slices.Contains(p.Names, in.Name):
		return "not in the list of interfaces"
	case !in.Up:
		return "down"
	case len(in.Addrs) == 0:
		return "without an IPv4 address"
	case len(p.Names) > 0:
		return ""
	case in.Loopback:
		return "loopback"
	case containerBridge.MatchString(in.Name):
		return "a bridge of containers or virtual machines"
	}
	return ""
}

// A Refusal is an interface that is not served, and why.
type Refusal struct{ Name, Why string }

// Choose parts the host's interfaces into those that are served and those that
// are not. A name of the policy that the host does not have is "missing".
func (p Policy) Choose(all []Interface) (served []Interface, refused []Refusal) {
	for _, in := range all {
		if why := p.Refuses(in); why != "" {
			refused = append(refused, Refusal{in.Name, why})
			continue
		}
		served = append(served, in)
	}
	for _, name := range p.Names {
		if !slices.ContainsFunc(all, func(in Interface) bool { return in.Name == name }) {
			refused = append(refused, Refusal{name, "missing"})
		}
	}
	return served, refused
}

// An Ingress is where and how a packet reached us.
type Ingress struct {
	Interface   Interface
	Port        uint16         // of ours: PortDHCP or PortBoot
	Source      netip.AddrPort // from the packet's headers
	Destination netip.Addr     // from the packet's IP header; may be a broadcast address
}

// serverAddr is the address of ours that the client can reach: the one the
// packet was sent to, else the one in the client's subnet, else the interface's
// first that is not link-local. ok is false if there is none.
func (in Ingress) serverAddr(client netip.Addr) (addr netip.Addr, ok bool) {
	var usable []netip.Prefix
	for _, p := range in.Interface.Addrs {
		if p.Addr() == in.Destination {
			return p.Addr(), true
		}
		if !p.Addr().IsLoopback() && !p.Addr().IsUnspecified() {
			usable = append(usable, p)
		}
	}
	for _, p := range usable {
		if p.Contains(client) {
			return p.Addr(), true
		}
	}
	for _, p := range usable {
		if !p.Addr().IsLinkLocalUnicast() {
			return p.Addr(), true
		}
	}
	if len(usable) > 0 {
		return usable[0].Addr(), true
	}
	return netip.Addr{}, false
}
