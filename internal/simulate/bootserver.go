package simulate

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
)

// askBootServers asks the boot servers of the plan in turn until one names a
// file. The fault is that of the first.
func (s *simulation) askBootServers(ctx context.Context) (fault *Finding, err error) {
	for _, v := range s.plan.visits {
		target, failed, err := s.ask(ctx, v)
		if err != nil {
			return nil, err
		}
		if failed == nil {
			s.target = target
			return nil, nil
		}
		if fault == nil {
			fault = failed
		}
	}
	return fault, nil
}

// ask asks one boot server.
func (s *simulation) ask(ctx context.Context, v visit) (Target, *Finding, error) {
	conn, err := s.listen(ctx, s.family.bootPort, v.to.Addr())
	if err != nil {
		return Target{}, nil, err
	}
	defer func() { _ = conn.Close() }()
	defer closeWith(ctx, conn)()
	s.asked = true
	x := &Exchange{To: v.to, Port: conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()}
	if v.item != nil {
		x.Item = v.item.Text
	}
	s.result.BootServer = x
	start := time.Now()
	ack, err := s.await(conn, v)
	if text, ok := silence(err, v.to.String()); ok {
		return Target{}, finding(StepBootServer, "%s, where %s sends %s", text, v.named(), s.Name).hint("%s", v.advice()), nil
	}
	if err != nil {
		return Target{}, nil, err
	}
	x.Answer, ack.After = ack, time.Since(start)
	target, fault := s.family.settle(s.player, v, ack)
	return target, fault, nil
}

// listen opens a socket on the client's address to talk with to. If the port is
// taken on this host it is any port: boot servers answer to the port that asks.
func (s *simulation) listen(ctx context.Context, port uint16, to netip.Addr) (*net.UDPConn, error) {
	device := s.deviceFor(to)
	conn, err := listenUDP(ctx, netip.AddrPortFrom(s.own, port), device)
	if errors.Is(err, syscall.EADDRINUSE) {
		return listenUDP(ctx, netip.AddrPortFrom(s.own, 0), device)
	}
	return conn, err
}

// deviceFor is the interface where the routing table would not choose it: for
// what goes to many, and for a server on this host, which serves that interface
// and not the loopback one. A socket that is bound to a device does not hear that
// a neighbour is missing, so others are not.
func (s *simulation) deviceFor(to netip.Addr) string {
	own := slices.ContainsFunc(s.opts.Interface.Addrs, func(p netip.Prefix) bool { return p.Addr() == to })
	if own || to == broadcast || to.IsMulticast() {
		return s.opts.Interface.Name
	}
	return ""
}

// await sends the question, again and again in the client's rhythm, until an
// answer or an ICMP error is there.
func (s *simulation) await(conn *net.UDPConn, v visit) (*Offer, error) {
	p := s.bootRequest(s.own, v.item)
	end := time.Now().Add(s.opts.Timeout)
	for _, pause := range s.family.asks {
		if !time.Now().Before(end) {
			break
		}
		if _, err := conn.WriteToUDPAddrPort(p.ToBytes(), v.to); err != nil {
			return nil, err
		}
		ack, err := s.answer(conn, p.TransactionID, earlier(time.Now().Add(pause), end))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return ack, err
		}
	}
	return nil, os.ErrDeadlineExceeded
}

// answer waits for a reply to that xid.
func (s *simulation) answer(conn *net.UDPConn, xid dhcpv4.TransactionID, until time.Time) (*Offer, error) {
	if err := conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	b := make([]byte, maxMessage)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return nil, err
		}
		o, err := ParseOffer(b[:n])
		if err == nil && o.xid == xid && bytes.Equal(o.chaddr, s.mac) {
			o.From = unmapped(from)
			return &o, nil
		}
	}
}

// introduce tells the file server who has this host's address, as it would know
// it from a machine that takes a lease: a server may have files for that machine
// alone. Firmware sends no such packet, so the answer is not judged.
func (s *simulation) introduce(ctx context.Context, server netip.Addr) error {
	if s.opts.Lease || s.asked || !server.Is4() {
		return nil
	}
	conn, err := s.listen(ctx, dhcpproxy.PortClient, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	p := s.bootRequest(s.own, nil)
	if _, err := conn.WriteToUDPAddrPort(p.ToBytes(), netip.AddrPortFrom(server, dhcpproxy.PortBoot)); err != nil {
		return nil // then the fetch will say so
	}
	// An answer means that the server has read it; most do not answer.
	_, _ = s.answer(conn, p.TransactionID, time.Now().Add(introduction))
	return nil
}

// introduction is how long an answer to introduce is waited for: the file is
// asked for after it.
const introduction = 300 * time.Millisecond
