package dhcpproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// maxPacket is the largest DHCP packet that is read, in bytes: more than any
// Ethernet frame without jumbo support carries.
const maxPacket = 2048

// Links remembers what the TFTP side needs to know of a machine. Its methods are
// called before a reply is sent, because the client's first RRQ may follow the
// reply within a millisecond; they must be quick.
type Links interface {
	// Learn: addr belongs to mac.
	Learn(mac bootmenu.MAC, addr netip.Addr)
	// Decided: this is what m gets until it asks again.
	Decided(m bootmenu.Machine, d bootmenu.Decision)
}

// Options are the parts of a [Server].
type Options struct {
	Node      string
	Policy    Policy // which interfaces are served
	Responder *Responder
	Links     Links
	History   *History
	Report    func(Event) // called for every packet, from two goroutines; must not block
}

// A Server is the loop on ports 67 and 4011.
type Server struct {
	opts  Options
	conns []boundConn
	host  *hostTable
}

// A boundConn is a socket and the role it plays.
type boundConn struct {
	packetConn
	role  uint16 // PortDHCP or PortBoot, whatever port is really bound
	bound netip.AddrPort
}

// Listen binds ports 67 and 4011 on every IPv4 address. A port that cannot be
// bound is a [*ListenError].
func Listen(o Options) (*Server, error) {
	s := &Server{opts: o, host: newHostTable(HostInterfaces)}
	for _, port := range []uint16{PortDHCP, PortBoot} {
		c, err := listenUDP(port)
		if err != nil {
			s.close()
			return nil, err
		}
		s.conns = append(s.conns, boundConn{packetConn: c, role: port, bound: c.addr})
	}
	return s, nil
}

// Addrs are the addresses really bound, port 67 first.
func (s *Server) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, c := range s.conns {
		addrs = append(addrs, c.bound)
	}
	return addrs
}

// Serve answers until ctx ends, and then closes the sockets. It returns nil
// after that, or the error that made a socket unusable.
func (s *Server) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range s.conns {
		g.Go(func() error { return s.serveConn(ctx, c) })
	}
	g.Go(func() error {
		<-ctx.Done()
		s.close()
		return nil
	})
	return g.Wait()
}

func (s *Server) close() {
	for _, c := range s.conns {
		_ = c.Close() // a socket that is closed already is what is wanted
	}
}

// serveConn reads one socket. A read error that is not the end of the socket
// concerns one packet only (an ICMP error that comes back, say), so reading goes
// on.
func (s *Server) serveConn(ctx context.Context, c boundConn) error {
	buf := make([]byte, maxPacket)
	for {
		p, err := c.readPacket(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err == nil:
			s.handle(c, p)
		}
	}
}

// handle is the way of one packet: from a glance at it to the reply.
func (s *Server) handle(c boundConn, p packet) {
	ev := Event{Node: s.opts.Node, Time: time.Now(), Port: c.role, Type: TypeOther}
	g, err := look(p.data)
	ev.Type, ev.Machine = typeOf(g.messageType), bootmenu.Machine{MAC: g.mac, Arch: bootmenu.ArchUnknown}
	if err != nil {
		s.report(ev, ReasonMalformed, err.Error())
		return
	}
	in, why := s.ingress(c.role, p, ev.Time)
	if why != "" {
		s.report(ev, ReasonOtherInterface, why)
		return
	}
	ev.Machine.Interface = in.Interface.Name
	s.learn(c.role, g, p)
	if reason, why := s.skip(c.role, g); reason != "" {
		s.report(ev, reason, why)
		return
	}
	req, err := Parse(p.data)
	if err != nil {
		s.report(ev, ReasonMalformed, err.Error())
		return
	}
	v := s.opts.Responder.Answer(req, in, s.opts.History.Past)
	ev.Machine, ev.Decision = v.Machine, v.Decision
	if v.Reply == nil {
		s.report(ev, v.Reason, v.Why)
		return
	}
	s.opts.Links.Decided(v.Machine, v.Decision)
	s.opts.History.replied(v, ev.Time)
	ev.Reply = v.Reply.summary()
	if err := c.writePacket(v.Reply.Packet.ToBytes(), v.Reply.To, v.Reply.From, in.Interface.Index); err != nil {
		ev.Reply.Type = ""
		s.report(ev, ReasonSendFailed, err.Error())
		return
	}
	s.report(ev, "", v.Why)
}

// report hands the event on with how it ended.
func (s *Server) report(ev Event, reason bootmenu.Reason, why string) {
	ev.Reason, ev.Why = reason, why
	s.opts.Report(ev)
}

// learn takes the address of a machine from the packets in which it names it:
// its broadcast REQUEST to the lease server (option 50), and anything that it
// sends to port 4011 from an address of its own.
func (s *Server) learn(role uint16, g glance, p packet) {
	switch {
	case g.mac.IsZero():
	case role == PortBoot && !p.source.Addr().IsUnspecified():
		s.opts.Links.Learn(g.mac, p.source.Addr())
	case role == PortDHCP && g.messageType == dhcpv4.MessageTypeRequest && g.requested.IsValid():
		s.opts.Links.Learn(g.mac, g.requested)
	}
}

// skip says why a packet needs no parser, or "": most traffic on port 67 is
// ordinary DHCP.
func (s *Server) skip(role uint16, g glance) (bootmenu.Reason, string) {
	switch {
	case !isNamed(g.vendorClass) && !s.opts.Responder.Selector.OptsIn(string(g.vendorClass)):
		return ReasonNotPXE, "not a PXE client"
	case role == PortDHCP && g.messageType == dhcpv4.MessageTypeRequest && !g.bootItem:
		return ReasonLeaseRequest, "the request is for the lease server"
	}
	return "", ""
}

// ingress tells where a packet came in, or why that interface is not served.
func (s *Server) ingress(role uint16, p packet, now time.Time) (in Ingress, why string) {
	ifi, ok := s.host.interfaceOf(p.ifindex, now)
	if !ok {
		return in, fmt.Sprintf("interface %d is gone", p.ifindex)
	}
	if why := s.opts.Policy.Refuses(ifi); why != "" {
		return in, ifi.Name + ": " + why
	}
	return Ingress{Interface: ifi, Port: role, Source: p.source, Destination: p.destination}, ""
}
