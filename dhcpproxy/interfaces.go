package dhcpproxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
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

// A host is the host's interfaces at one moment.
type host struct {
	interfaces map[int]hostInterface // by index
	addrs      map[netip.Addr]bool   // of all interfaces
}

type hostInterface struct {
	Interface
	refused string // why it is not served; empty if it is
}

func newHost(all []Interface, policy Policy) *host {
	h := &host{interfaces: make(map[int]hostInterface), addrs: make(map[netip.Addr]bool)}
	for _, in := range all {
		h.interfaces[in.Index] = hostInterface{in, policy.Refuses(in)}
		for _, p := range in.Addrs {
			h.addrs[p.Addr()] = true
		}
	}
	return h
}

// receives tells whether the kernel would hand p to a socket of this host that is
// bound to every address.
func (h *host) receives(p packet) bool {
	if h.addrs[p.destination] || p.destination == limitedBroadcast {
		return true
	}
	for _, prefix := range h.interfaces[p.ifindex].Addrs {
		if p.destination == directedBroadcast(prefix) {
			return true
		}
	}
	return false
}

// ingress tells where a packet came in, or why that interface is not served.
func (h *host) ingress(port uint16, p packet) (in Ingress, why string) {
	ifi, ok := h.interfaces[p.ifindex]
	switch {
	case !ok:
		return in, fmt.Sprintf("interface %d is gone", p.ifindex)
	case ifi.refused != "":
		return in, ifi.Name + ": " + ifi.refused
	}
	return Ingress{
		Interface: ifi.Interface, Port: port,
		Source: p.source, Destination: p.destination, Ours: h.addrs[p.destination],
	}, ""
}

// limitedBroadcast reaches everybody on a link.
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// directedBroadcast is the last address of an IPv4 network. It is the zero Addr
// for one too small to have a broadcast address (RFC 3021).
func directedBroadcast(p netip.Prefix) netip.Addr {
	if p.Bits() > 30 {
		return netip.Addr{}
	}
	a := p.Addr().As4()
	last := binary.BigEndian.Uint32(a[:]) | ^uint32(0)>>p.Bits()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, last)))
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
	// Ours says that Destination is an address of this host, on whatever
	// interface: a relay may know us by another one than it reaches us on.
	Ours bool
}

// serverAddr is the address of ours that the client can reach: the one the
// packet was sent to, else the one in the client's subnet, else the interface's
// first that is not link-local. ok is false if there is none.
func (in Ingress) serverAddr(client netip.Addr) (addr netip.Addr, ok bool) {
	if in.Ours && !in.Destination.IsLoopback() {
		return in.Destination, true
	}
	best := 0
	for _, p := range in.Interface.Addrs {
		if r := in.rank(p, client); r > best {
			addr, best = p.Addr(), r
		}
	}
	return addr, best > 0
}

// rank orders the interface's addresses by how well the client reaches them: 0 is
// one that it cannot reach.
func (in Ingress) rank(p netip.Prefix, client netip.Addr) int {
	switch a := p.Addr(); {
	case a.IsLoopback() || a.IsUnspecified():
		return 0
	case a == in.Destination:
		return 4
	case p.Contains(client):
		return 3
	case !a.IsLinkLocalUnicast():
		return 2
	}
	return 1
}

// replyVia is the index of the interface that a reply must leave by, or 0 if that
// is for the routing table to say: what is on the client's link goes back there,
// and the way to what is behind a router need not be the way it came.
func (in Ingress) replyVia(to netip.Addr) int {
	if to == limitedBroadcast {
		return in.Interface.Index
	}
	for _, p := range in.Interface.Addrs {
		if p.Contains(to) {
			return in.Interface.Index
		}
	}
	return 0
}
