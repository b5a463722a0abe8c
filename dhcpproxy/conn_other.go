//go:build !linux

package dhcpproxy

import (
	"errors"
	"net/netip"
)

// A udpConn stands for the socket of Linux, where alone the loop runs.
type udpConn struct {
	packetConn
	addr netip.AddrPort
}

func listenUDP(port uint16) (*udpConn, error) {
	return nil, &ListenError{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Err: errors.ErrUnsupported}
}

func (*udpConn) join(netip.Addr, int) error { return errors.ErrUnsupported }

func (*udpConn) leave(netip.Addr, int) error { return errors.ErrUnsupported }

func listenTap(uint16) (packetConn, error) { return nil, errors.ErrUnsupported }
