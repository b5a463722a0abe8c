package tftp

import (
	"encoding/binary"
	"net/netip"
	"unique"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An endpoint is a client's address and port. It is smaller than netip.AddrPort
// and needs no lookup of a zone's name, and has no padding, which makes it a fast
// key of a map.
type endpoint struct {
	addr  [16]byte // IPv4 as v4-mapped
	scope uint32   // the interface of a link-local address, else 0
	port  uint32
}

// endpointOf is the sender of d.
func endpointOf(d datagram) endpoint {
	e := endpoint{addr: d.from.Addr().As16(), port: uint32(d.from.Port())}
	if a := d.from.Addr(); a.Is6() && a.IsLinkLocalUnicast() {
		e.scope = uint32(d.ifindex)
	}
	return e
}

// addrPort is the endpoint with the zone that a link-local address needs.
func (e *endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(e.host(), uint16(e.port))
}

// host is the address with the zone that a link-local one needs.
func (e *endpoint) host() netip.Addr { return withZone(e.ip(), int(e.scope)) }

// ip is the address without a zone.
func (e *endpoint) ip() netip.Addr { return netip.AddrFrom16(e.addr).Unmap() }

// sockaddr is room for either kind of address; the larger one has all fields.
type sockaddr = unix.RawSockaddrInet6

// readSockaddr takes an endpoint out of what the kernel wrote.
func readSockaddr(s *sockaddr) endpoint {
	if s.Family == unix.AF_INET {
		// The kernel wrote the smaller structure into the same memory.
		s4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(s))
		return endpoint{addr: netip.AddrFrom4(s4.Addr).As16(), port: uint32(swap(s4.Port))}
	}
	return endpoint{addr: s.Addr, scope: s.Scope_id, port: uint32(swap(s.Port))}
}

// writeSockaddr writes e for the kernel and returns the length.
func writeSockaddr(s *sockaddr, e *endpoint, v6 bool) uint32 {
	if v6 {
		*s = sockaddr{Family: unix.AF_INET6, Port: swap(uint16(e.port)), Addr: e.addr, Scope_id: e.scope}
		return unix.SizeofSockaddrInet6
	}
	s4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(s)) // the smaller one fits in
	*s4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(uint16(e.port)), Addr: [4]byte(e.addr[12:])}
	return unix.SizeofSockaddrInet4
}

// swap turns a port between this machine's order of bytes and the network's.
func swap(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// A route is how packets get to a client.
type route struct {
	sock *socket
	to   endpoint
	by   unique.Handle[arrival] // packets leave from the address that was asked
}

// control writes the control messages that pick the source address and cut the
// packet into segments, and returns their length. segment 0 does not cut.
func (r *route) control(b []byte, segment uint16) int {
	n := 0
	if r.sock.wildcard {
		n = r.source(b)
	}
	if segment > 0 {
		var data []byte
		n, data = controlMessage(b, n, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, segment)
	}
	return n
}

// source writes the control message that picks the source address, unless the
// system is to choose.
func (r *route) source(b []byte) int {
	switch by := r.by.Value(); {
	case by.to.IsUnspecified():
		return 0
	case r.sock.v6:
		n, data := controlMessage(b, 0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		from := by.to.As16()
		clear(data[copy(data, from[:]):])
		if by.to.IsLinkLocalUnicast() {
			binary.NativeEndian.PutUint32(data[16:], uint32(by.ifindex)) // the one to leave by
		}
		return n
	default:
		n, data := controlMessage(b, 0, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		from := by.to.As4()
		clear(data[:4])         // interface: by the routing table
		copy(data[4:], from[:]) // ipi_spec_dst, the source
		clear(data[8:])
		return n
	}
}

// controlMessage begins a control message at b[at:]. It returns where the next
// one begins and the place for this one's data.
func controlMessage(b []byte, at int, level, kind int32, size int) (next int, data []byte) {
	header := unix.Cmsghdr{Level: level, Type: kind}
	header.SetLen(unix.CmsgLen(size))
	copy(b[at:], unsafe.Slice((*byte)(unsafe.Pointer(&header)), unix.SizeofCmsghdr))
	begin := at + unix.CmsgLen(0)
	return at + unix.CmsgSpace(size), b[begin : begin+size]
}
