package dhcpproxy

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// receiveBuffer is asked of the kernel for each socket: a rack that is switched
// on at once must not lose DISCOVERs while one is being answered. In bytes.
const receiveBuffer = 4 << 20

// A packet is one datagram with what its headers and the kernel tell.
type packet struct {
	data        []byte // valid until the next read
	ifindex     int
	source      netip.AddrPort
	destination netip.Addr // from the IP header
}

// A packetConn reads and sends datagrams on one port, telling and choosing the
// interface. Close ends a read that is waiting.
type packetConn interface {
	readPacket(buf []byte) (packet, error)
	// writePacket sends from the address from, through the interface ifindex
	// whatever the routing table says about the destination.
	writePacket(data []byte, to netip.AddrPort, from netip.Addr, ifindex int) error
	Close() error
}

// A ListenError says which port could not be bound.
type ListenError struct {
	Addr netip.AddrPort
	Err  error // wraps the system's error number
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("cannot listen on %s/udp: %v", e.Addr, e.Err)
}

// Unwrap gives the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// udpConn is a packetConn on a plain UDP socket. It is bound without reuse
// flags: a shared port 67 would take unicast renewals away from another DHCP
// server on this host.
type udpConn struct {
	*ipv4.PacketConn
	addr netip.AddrPort
}

// listenUDP binds the port on every IPv4 address. Port 0 takes a free one.
func listenUDP(port uint16) (*udpConn, error) {
	want := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(want))
	if err != nil {
		return nil, &ListenError{Addr: want, Err: rootCause(err)}
	}
	// The kernel may grant less than was asked for; that is no reason to refuse.
	_ = c.SetReadBuffer(receiveBuffer)
	p := ipv4.NewPacketConn(c)
	if err := p.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("ask for the interface of packets on %s: %w", want, err)
	}
	return &udpConn{PacketConn: p, addr: c.LocalAddr().(*net.UDPAddr).AddrPort()}, nil
}

// rootCause takes the layers of package net off an error, which would repeat the
// address and name the system call.
func rootCause(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func (c *udpConn) readPacket(buf []byte) (packet, error) {
	n, cm, src, err := c.ReadFrom(buf)
	if err != nil {
		return packet{}, err
	}
	p := packet{data: buf[:n]}
	if a, ok := src.(*net.UDPAddr); ok {
		ap := a.AddrPort()
		p.source = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if cm != nil {
		p.ifindex = cm.IfIndex
		p.destination, _ = netip.AddrFromSlice(cm.Dst.To4())
	}
	return p, nil
}

func (c *udpConn) writePacket(data []byte, to netip.AddrPort, from netip.Addr, ifindex int) error {
	_, err := c.WriteTo(data, &ipv4.ControlMessage{IfIndex: ifindex, Src: from.AsSlice()}, net.UDPAddrFromAddrPort(to))
	return err
}
