//go:build !linux

package tftp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// The numbers of Windows' socket errors, which package syscall has no names for
// on every system.
const (
	wsaMessageSize      = syscall.Errno(10040)
	wsaAddressInUse     = syscall.Errno(10048)
	wsaFamilyNotAllowed = syscall.Errno(10047)
	wsaAddressUnknown   = syscall.Errno(10049)
	wsaConnectionReset  = syscall.Errno(10054)
)

// A requestConn is a socket for requests that tells which address and interface
// each packet came in on, as far as the system does.
type requestConn struct {
	udp  *net.UDPConn
	addr netip.AddrPort // as bound
	v4   *ipv4.PacketConn
	v6   *ipv6.PacketConn // set if v4 is not
}

func listenRequests(addr netip.AddrPort) (*requestConn, error) {
	udp, err := listenUDP(addr, nil)
	if err != nil {
		return nil, err
	}
	c := &requestConn{udp: udp, addr: boundAddr(udp)}
	// Windows has no control messages in package net. Without them the system
	// picks the address of a reply, and the MTU is taken to be Ethernet's.
	if addr.Addr().Is4() {
		c.v4 = ipv4.NewPacketConn(udp)
		_ = c.v4.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	} else {
		c.v6 = ipv6.NewPacketConn(udp)
		_ = c.v6.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	return c, nil
}

func (c *requestConn) close() error { return c.udp.Close() }

// read blocks until the next packet. Only one goroutine may call it.
func (c *requestConn) read(b []byte) (int, datagram, error) {
	d := datagram{to: c.addr}
	var n int
	var from net.Addr
	var to net.IP
	var err error
	if c.v4 != nil {
		var cm *ipv4.ControlMessage
		if n, cm, from, err = c.v4.ReadFrom(b); cm != nil {
			to, d.ifindex = cm.Dst, cm.IfIndex
		}
	} else {
		var cm *ipv6.ControlMessage
		if n, cm, from, err = c.v6.ReadFrom(b); cm != nil {
			to, d.ifindex = cm.Dst, cm.IfIndex
		}
	}
	if err != nil {
		return 0, datagram{}, err
	}
	if u, ok := from.(*net.UDPAddr); ok {
		d.from = netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port())
	}
	if a, ok := netip.AddrFromSlice(to); ok {
		d.to = netip.AddrPortFrom(withZone(a.Unmap(), d.ifindex), c.addr.Port())
	}
	return n, d, nil
}

// reply sends a packet back to where d came from, from the address it went to
// where the system allows it to be chosen.
func (c *requestConn) reply(b []byte, d datagram) error {
	_, err := c.udp.WriteToUDPAddrPort(b, d.from)
	return err
}

// isPassing tells whether reading may go on after err: Windows reports what
// became of earlier replies, and packets that are too long.
func isPassing(err error) bool {
	return errors.Is(err, wsaConnectionReset) || errors.Is(err, wsaMessageSize)
}

func isInUse(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaAddressInUse)
}

// isNoIPv6 tells whether a bind failed because the host has no IPv6.
func isNoIPv6(err error) bool {
	for _, e := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, wsaFamilyNotAllowed, wsaAddressUnknown} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// listenTransfer binds a socket for transfers. Port 0 takes a free one.
func listenTransfer(local netip.AddrPort) (*net.UDPConn, error) {
	return listenUDP(local, nil)
}
