//go:build !linux

package simulate

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"netbootd/dhcpproxy"
)

// errLinux is what the rest of a simulation meets elsewhere.
var errLinux = errors.New("only Linux is supported")

// openSegment cannot: [Run] is for Linux, the other systems only build it.
func openSegment(context.Context, dhcpproxy.Interface, netip.Addr) (wire, error) {
	return nil, &SetupError{What: "cannot open a packet socket", Hint: "simulate on a Linux host in the segment of the machine", Err: errLinux}
}

// listenUDP cannot either.
func listenUDP(context.Context, netip.AddrPort, string) (*net.UDPConn, error) { return nil, errLinux }

func addAddress(int, netip.Addr) error    { return errLinux }
func deleteAddress(int, netip.Addr) error { return errLinux }
