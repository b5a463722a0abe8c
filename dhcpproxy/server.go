package dhcpproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// Links remembers what the TFTP side needs to know of a machine. Its methods are
// called before a reply is sent, because the client's first RRQ may follow the
// reply within a millisecond; they must be quick.
type Links interface {
	// Learn: m is at its address. Of the rest only MAC, arch and vendor class are
	// known, and the last two only if it told them.
	Learn(m bootmenu.Machine)
	// Decided: this is what m gets until it asks again.
	Decided(m bootmenu.Machine, d bootmenu.Decision)
}

// Options are the parts of a [Server].
type Options struct {
	Node      string
	Policy    Policy // which interfaces are served
	Responder *Responder
	Links     Links
	History   *History // of the machines' attempts; not nil
	Limits    Limits
	Report    func(Event) // called for every packet, from two goroutines; must not block
}

// A Server is the loop on ports 67 and 4011.
type Server struct {
	opts    Options
	conns   []*boundConn
	limiter *limiter
	host    atomic.Pointer[host]
}

// A boundConn is a socket and the role it plays.
type boundConn struct {
	packetConn
	role    uint16 // PortDHCP or PortBoot, whatever port is really bound
	bound   netip.AddrPort
	beside  bool // another program holds the port; see tapConn
	classes classNames
}

func newServer(o Options, conns ...*boundConn) *Server {
	return &Server{opts: o, conns: conns, limiter: newLimiter(o.Limits)}
}

// Listen binds ports 67 and 4011 on every IPv4 address. If another program holds
// port 67, its packets are read beside it (see [Server.Beside]): sharing the port
// would take the unicast ones from that program, which are the renewals of
// leases. A port that can be had in neither way is a [*ListenError].
func Listen(o Options) (*Server, error) {
	s := newServer(o)
	all, err := HostInterfaces()
	if err != nil {
		return nil, fmt.Errorf("list the host's interfaces: %w", err)
	}
	s.SetInterfaces(all)
	for _, listen := range []func() (*boundConn, error){listenDHCP, listenBoot} {
		c, err := listen()
		if err != nil {
			s.close()
			return nil, err
		}
		s.conns = append(s.conns, c)
	}
	return s, nil
}

// listenDHCP binds port 67, or reads it beside its holder.
func listenDHCP() (*boundConn, error) {
	c, err := listenUDP(PortDHCP)
	var taken *ListenError
	if errors.As(err, &taken) && errors.Is(err, syscall.EADDRINUSE) {
		tap, beside := listenTap(PortDHCP)
		if beside != nil {
			return nil, &ListenError{Addr: taken.Addr, Err: taken.Err, Beside: beside}
		}
		return &boundConn{packetConn: tap, role: PortDHCP, bound: taken.Addr, beside: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &boundConn{packetConn: c, role: PortDHCP, bound: c.addr}, nil
}

// listenBoot binds port 4011. Two boot servers on it would only be in each
// other's way: the client asks one host, and takes one answer.
func listenBoot() (*boundConn, error) {
	c, err := listenUDP(PortBoot)
	if err != nil {
		return nil, err
	}
	return &boundConn{packetConn: c, role: PortBoot, bound: c.addr}, nil
}

// SetInterfaces tells of the host's interfaces as they are now; it is to be called
// whenever they change. It may be called while Serve runs.
func (s *Server) SetInterfaces(all []Interface) { s.host.Store(newHost(all, s.opts.Policy)) }

// Beside tells whether another program holds port 67, and its packets are read
// beside it.
func (s *Server) Beside() bool {
	return slices.ContainsFunc(s.conns, func(c *boundConn) bool { return c.beside })
}

// Addrs are the addresses listened on, port 67 first.
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

// maxReadErrors is how many reads in a row may fail before a socket is given up.
// Some errors concern one packet only (an ICMP error that comes back, say); one
// that stays would keep a processor busy for ever.
const maxReadErrors = 16

// serveConn reads one socket until ctx ends or the socket is of no more use.
func (s *Server) serveConn(ctx context.Context, c *boundConn) error {
	failed := 0
	for {
		p, err := c.readPacket()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			if failed++; failed == maxReadErrors {
				return fmt.Errorf("read from port %d: %w", c.role, err)
			}
			continue
		case !c.beside || s.host.Load().receives(p):
			s.handle(c, p)
		}
		failed = 0
	}
}

// handle is the way of one packet: from a glance at it to the reply.
func (s *Server) handle(c *boundConn, p packet) {
	ev := Event{Node: s.opts.Node, Time: time.Now(), Port: c.role, Type: TypeOther}
	g, err := look(p.data)
	ev.Type, ev.Machine = typeOf(g.messageType), bootmenu.Machine{MAC: g.mac, Arch: bootmenu.ArchUnknown}
	if err != nil {
		s.report(ev, ReasonMalformed, err.Error())
		return
	}
	in, why := s.host.Load().ingress(c.role, p)
	if why != "" {
		s.report(ev, ReasonOtherInterface, why)
		return
	}
	ev.Machine.Interface = in.Interface.Name
	s.learn(c, g, p)
	if reason, why := s.skip(c, g, ev.Time); reason != "" {
		s.report(ev, reason, why)
		return
	}
	v, reply, err := s.opts.Responder.AnswerPacket(p.data, in, s.opts.History.Past)
	if err != nil {
		s.report(ev, ReasonMalformed, err.Error())
		return
	}
	ev.Machine, ev.Decision = v.Machine, v.Decision
	if v.Reply == nil {
		s.report(ev, v.Reason, v.Why)
		return
	}
	s.opts.Links.Decided(v.Machine, v.Decision)
	s.opts.History.replied(v, ev.Time)
	ev.Reply = v.Reply.summary()
	if err := c.writePacket(reply, v.Reply.To, v.Reply.From, in.replyVia(v.Reply.To.Addr())); err != nil {
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
// sends to port 4011 from an address of its own. Boards that we do not answer tell
// their arch there too.
func (s *Server) learn(c *boundConn, g glance, p packet) {
	var addr netip.Addr
	switch {
	case g.mac.IsZero():
		return
	case c.role == PortBoot && !p.source.Addr().IsUnspecified():
		addr = p.source.Addr()
	case c.role == PortDHCP && g.messageType == dhcpv4.MessageTypeRequest && g.requested.IsValid():
		addr = g.requested
	default:
		return
	}
	class := c.classes.name(g.vendorClass)
	s.opts.Links.Learn(bootmenu.Machine{MAC: g.mac, Addr: addr, Arch: archOf(g.archs, class), VendorClass: class})
}

// skip says why a packet needs no parser, or "": most traffic on port 67 is
// ordinary DHCP.
func (s *Server) skip(c *boundConn, g glance, now time.Time) (bootmenu.Reason, string) {
	switch {
	case !isNamed(g.vendorClass) && !s.opts.Responder.Selector.OptsIn(c.classes.name(g.vendorClass)):
		return ReasonNotPXE, "not a PXE client"
	case c.role == PortDHCP && g.messageType == dhcpv4.MessageTypeRequest && !g.bootItem:
		return ReasonLeaseRequest, "the request is for the lease server"
	}
	if why := s.limiter.refuses(g.mac, now); why != "" {
		return ReasonRateLimited, why
	}
	return "", ""
}

// classNames are vendor classes seen lately. A class that is among them becomes a
// string without taking memory.
type classNames map[string]string

// maxClassNames bounds them: clients choose their classes.
const maxClassNames = 256

func (n *classNames) name(class []byte) string {
	if s, ok := (*n)[string(class)]; ok {
		return s
	}
	if *n == nil || len(*n) >= maxClassNames {
		*n = make(classNames)
	}
	s := string(class)
	(*n)[s] = s
	return s
}
