package simulate

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
)

// A relay is the wire of a client behind a relay agent, which this host plays: it
// passes messages on to the servers, names itself in giaddr, and gets the answers
// at its own port 67 (RFC 1542 section 4).
type relay struct {
	conn    *net.UDPConn
	own     netip.Addr
	servers []netip.Addr
}

func openRelay(ctx context.Context, own netip.Addr, servers []netip.Addr) (wire, error) {
	conn, err := listenUDP(ctx, netip.AddrPortFrom(own, dhcpproxy.PortDHCP), "")
	if err != nil {
		return nil, &SetupError{
			What: fmt.Sprintf("cannot play a relay at %s:%d", own, dhcpproxy.PortDHCP),
			Hint: "a DHCP server or relay on this host has that port: simulate from another host; or run this as root",
			Err:  rootCause(err),
		}
	}
	return &relay{conn, own, servers}, nil
}

// send passes p on to every server. One that cannot be reached is as good as one
// that does not answer.
func (r *relay) send(p *dhcpv4.DHCPv4) error {
	p.GatewayIPAddr = r.own.AsSlice()
	p.HopCount = 1
	for _, s := range r.servers {
		_, _ = r.conn.WriteToUDPAddrPort(p.ToBytes(), netip.AddrPortFrom(s, dhcpproxy.PortDHCP))
	}
	return nil
}

func (r *relay) receive(until time.Time) (message, error) {
	if err := r.conn.SetReadDeadline(until); err != nil {
		return message{}, err
	}
	b := make([]byte, maxMessage)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(b)
		switch {
		case err == nil:
			return message{b[:n], unmapped(from)}, nil
		case isUnreachable(err):
			continue // of one of the servers
		}
		return message{}, err
	}
}

func (r *relay) Close() error { return r.conn.Close() }

// unmapped is a source address as IPv4.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
