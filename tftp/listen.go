package tftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"unique"
)

// A ListenError tells that a UDP port cannot be bound.
type ListenError struct {
	Addr netip.AddrPort // what was to be bound
	Err  error          // the system's error, as in errors.Is(err, syscall.EADDRINUSE)
}

// Error is in words for people, as in
// "cannot listen on 0.0.0.0:69/udp: address already in use".
func (e *ListenError) Error() string {
	return fmt.Sprintf("cannot listen on %s/udp: %v", e.Addr, e.Err)
}

// Unwrap returns the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// newListenError takes the names of calls and addresses off an error of package
// net, for the ListenError tells them itself.
func newListenError(addr netip.AddrPort, err error) *ListenError {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return &ListenError{Addr: addr, Err: err}
}

// wildcardTries is how often a port is looked for that is free for both IP
// versions, when any will do.
const wildcardTries = 16

// listenAll binds the request sockets for a listen address: one, or for a port
// on all addresses one for each IP version that the host has.
func listenAll(listen string) ([]*requestConn, error) {
	addr, both, err := parseListen(listen)
	if err != nil {
		return nil, err
	}
	if !both {
		c, err := listenRequests(addr)
		if err != nil {
			return nil, newListenError(addr, err)
		}
		return []*requestConn{c}, nil
	}
	for try := 1; ; try++ {
		conns, err := listenBoth(addr.Port())
		if err == nil || addr.Port() != 0 || try == wildcardTries || !isInUse(err) {
			return conns, err
		}
	}
}

// listenBoth binds the port for IPv4 and, where the host has it, for IPv6.
func listenBoth(port uint16) ([]*requestConn, error) {
	addr4 := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	conn4, err := listenRequests(addr4)
	if err != nil {
		return nil, newListenError(addr4, err)
	}
	addr6 := netip.AddrPortFrom(netip.IPv6Unspecified(), conn4.addr.Port())
	conn6, err := listenRequests(addr6)
	switch {
	case err == nil:
		return []*requestConn{conn4, conn6}, nil
	case isNoIPv6(err):
		return []*requestConn{conn4}, nil
	default:
		return nil, errors.Join(newListenError(addr6, err), conn4.close())
	}
}

// parseListen reads "host:port", where host is an IP address or empty. both
// tells that it is empty: all addresses of both IP versions.
func parseListen(listen string) (addr netip.AddrPort, both bool, err error) {
	if port, found := strings.CutPrefix(listen, ":"); found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return netip.AddrPort{}, false, fmt.Errorf("listen address %q: want a port from 0 to 65535 after the colon", listen)
		}
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), true, nil
	}
	addr, err = netip.ParseAddrPort(listen)
	if err != nil {
		return netip.AddrPort{}, false, fmt.Errorf("listen address %q: want an IP address and a port, as in 192.0.2.1:69, or a port alone, as in :69", listen)
	}
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), false, nil
}

// listenUDP binds one UDP socket. IPv6 ones take no IPv4 packets.
func listenUDP(addr netip.AddrPort, control func(network, address string, c syscall.RawConn) error) (*net.UDPConn, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // package net sets IPV6_V6ONLY then
	}
	config := net.ListenConfig{Control: control}
	c, err := config.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// boundAddr is the address a socket is really bound to.
func boundAddr(c *net.UDPConn) netip.AddrPort {
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// boundAddrs are the addresses of request sockets.
func boundAddrs(conns []*requestConn) []netip.AddrPort {
	addrs := make([]netip.AddrPort, 0, len(conns))
	for _, c := range conns {
		addrs = append(addrs, c.addr)
	}
	return addrs
}

// serverPort is where TFTP servers take requests (RFC 1350 section 4).
const serverPort = 69

// A datagram is where one packet on a request socket came from and went to.
type datagram struct {
	from    netip.AddrPort // unmapped
	to      netip.AddrPort // the address asked; unspecified if the system does not tell
	ifindex int            // the interface it came in on; 0 if the system does not tell
}

// An arrival is the server's end of a request. Few differ, so they are kept once
// for all transfers that came the same way.
type arrival struct {
	conn    *requestConn
	to      netip.Addr // the address asked; unspecified if the system does not tell
	ifindex int        // the interface it came in on; 0 if the system does not tell
}

// arrival is how d came in on c.
func (d datagram) arrival(c *requestConn) unique.Handle[arrival] {
	return unique.Make(arrival{conn: c, to: d.to.Addr(), ifindex: d.ifindex})
}

// isAcceptable sorts out what no honest client sends: answers to it would hit
// bystanders, or other TFTP servers. RRQs to a broadcast address are silently
// ignored by RFC 1123 section 4.2.3.5.
func (d datagram) isAcceptable() bool {
	from, to, port := d.from.Addr(), d.to.Addr(), d.from.Port()
	return port != 0 && port != serverPort && from.IsValid() && !from.IsUnspecified() && !isGroup(from) && !isGroup(to)
}

func isGroup(a netip.Addr) bool {
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mtu is that of the interface that the packet came in on, 0 if it is unknown.
func (d datagram) mtu() int {
	if d.ifindex == 0 {
		return 0
	}
	ifi, err := net.InterfaceByIndex(d.ifindex)
	if err != nil {
		return 0
	}
	return ifi.MTU
}

// named gives a link-local address the name of its interface, if it has one now.
func named(a netip.AddrPort) netip.AddrPort {
	index, err := strconv.Atoi(a.Addr().Zone())
	if err != nil {
		return a
	}
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return a
	}
	return netip.AddrPortFrom(a.Addr().WithZone(ifi.Name), a.Port())
}

// withZone gives a link-local address the zone that makes it usable.
func withZone(a netip.Addr, ifindex int) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() && ifindex != 0 {
		return a.WithZone(strconv.Itoa(ifindex))
	}
	return a
}
