package dhcpproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
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
	// Report is told of packets that were handled together, from several goroutines.
	// It must not block, and not keep the slice.
	Report func([]Event)
}

// A Server is the loop on ports 67 and 4011.
type Server struct {
	opts      Options
	conns     []*boundConn
	limiter   *limiter
	discovery *membership // nil without sockets
	host      atomic.Pointer[host]
}

// A boundConn is a socket and the role it plays.
type boundConn struct {
	packetConn
	role   uint16 // PortDHCP or PortBoot, whatever port is really bound
	bound  netip.AddrPort
	beside bool // another program holds the port; see tapConn

	reading  sync.Mutex // held to read, and to handle less than a full batch
	failures int        // reads in a row that failed; guarded by reading
}

// loopsPerConn is how many goroutines serve one socket. The second one only helps
// while more waits than the first reads at once; see [loop.next].
const loopsPerConn = 2

// A loop is one goroutine that serves a socket.
type loop struct {
	*Server
	conn    *boundConn
	end     packetEnd
	classes classNames

	// What follows is of the packets in hand. Its memory is used again.
	now     time.Time
	recall  func(bootmenu.Machine) Past // what the history says now
	request Request
	events  []Event
	replies [batchSize]outgoing
	replyOf [batchSize]int // the number of the event that a reply is part of
	sending int            // how many replies there are
}

func newServer(o Options, conns ...*boundConn) *Server {
	s := &Server{opts: o, conns: conns, limiter: newLimiter(o.Limits)}
	s.host.Store(newHost(nil, o.Policy))
	return s
}

func (s *Server) newLoop(c *boundConn) *loop {
	l := &loop{Server: s, conn: c, end: c.newEnd()}
	l.recall = func(m bootmenu.Machine) Past { return s.opts.History.past(m, l.now) }
	return l
}

// Listen binds ports 67 and 4011 on every IPv4 address. If another program holds
// port 67, its packets are read beside it (see [Server.Beside]): sharing the port
// would take the unicast ones from that program, which are the renewals of
// leases. A port that can be had in neither way is a [*ListenError].
//
// Until [Server.SetInterfaces] is called no interface is served.
func Listen(o Options) (*Server, error) {
	dhcp, err := listenDHCP()
	if err != nil {
		return nil, err
	}
	// Two boot servers on port 4011 would only be in each other's way: the client
	// asks one host, and takes one answer.
	boot, err := listenUDP(PortBoot)
	if err != nil {
		return nil, errors.Join(err, dhcp.Close())
	}
	s := newServer(o, dhcp, &boundConn{packetConn: boot, role: PortBoot, bound: boot.addr})
	s.discovery = &membership{conn: boot, on: make(map[int]bool)}
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

// SetInterfaces tells of the host's interfaces as they are now; it is to be called
// whenever they change. It may be called while Serve runs. The error tells of
// interfaces on which clients are not heard that look for a boot server by
// multicast, once for each; everything else works.
func (s *Server) SetInterfaces(all []Interface) error {
	h := newHost(all, s.opts.Policy)
	s.host.Store(h)
	if s.discovery == nil {
		return nil
	}
	return s.discovery.follow(h)
}

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
		for range loopsPerConn {
			g.Go(func() error { return s.newLoop(c).serve(ctx) })
		}
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

// serve reads the socket until ctx ends or the socket is of no more use.
func (l *loop) serve(ctx context.Context) error {
	for {
		switch err := l.next(); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// next reads packets and handles them. Only one loop reads at a time, and it lets
// the next one read while it handles what it has read if that was as much as can
// be: as long as fewer packets wait, all are handled in their order, and no second
// thread is woken for nothing. The error is one that makes the socket useless.
func (l *loop) next() error {
	c := l.conn
	c.reading.Lock()
	packets, err := l.end.readPackets()
	if err != nil {
		defer c.reading.Unlock()
		return c.failed(err)
	}
	c.failures = 0
	if len(packets) == batchSize {
		c.reading.Unlock()
	} else {
		defer c.reading.Unlock()
	}
	l.handle(packets)
	return nil
}

// failed notes a read that failed, and gives the error if there were too many in a
// row. The caller holds c.reading.
func (c *boundConn) failed(err error) error {
	c.failures++
	switch {
	case errors.Is(err, net.ErrClosed):
		return err
	case c.failures >= maxReadErrors:
		return fmt.Errorf("read from port %d: %w", c.role, err)
	}
	return nil
}

// handle is the way of packets that were read together: each is decided about,
// then the replies leave, and then it is told what became of all.
func (l *loop) handle(packets []packet) {
	h := l.host.Load()
	l.now, l.events, l.sending = time.Now(), l.events[:0], 0
	for _, p := range packets {
		if !l.conn.beside || h.receives(p) {
			l.events = append(l.events, Event{Node: l.opts.Node, Time: l.now, Port: l.conn.role, Type: TypeOther})
			l.decide(h, p, &l.events[len(l.events)-1])
		}
	}
	l.send()
	l.opts.Report(l.events)
}

// decide notes in ev what becomes of a packet, and puts a reply to the others. A
// panic in there ends this one packet and not the service.
func (l *loop) decide(h *host, p packet, ev *Event) {
	defer func() {
		if fault := recover(); fault != nil {
			ev.Reason, ev.Why = ReasonPanic, faultText(fault)
		}
	}()
	req := &l.request
	err := req.parse(p.data)
	ev.Type, ev.Machine.MAC, ev.Machine.Arch = typeOf(req.messageType), req.mac, bootmenu.ArchUnknown
	if err != nil {
		ev.Reason, ev.Why = ReasonMalformed, err.Error()
		return
	}
	in, why := h.ingress(l.conn.role, p)
	if why != "" {
		ev.Reason, ev.Why = ReasonOtherInterface, why
		return
	}
	ev.Machine.Interface = in.Interface.Name
	l.learn(req, p)
	if ev.Reason, ev.Why = l.skip(req); ev.Reason != "" {
		return
	}
	v := l.opts.Responder.Answer(req, in, l.recall)
	ev.Machine, ev.Decision, ev.Reason, ev.Why = v.Machine, v.Decision, v.Reason, v.Why
	if v.Reply == nil {
		return
	}
	l.opts.Links.Decided(v.Machine, v.Decision)
	l.opts.History.replied(v, l.now)
	l.reply(v.Reply, req, in)
	ev.Reply = v.Reply.summary()
}

// reply puts a reply to those that leave together. It is part of the latest event.
func (l *loop) reply(r *Reply, req *Request, in Ingress) {
	slot := &l.replies[l.sending]
	*slot = outgoing{data: r.Append(slot.data[:0], req), to: r.To, from: r.From, ifindex: in.replyVia(r.To.Addr())}
	l.replyOf[l.sending] = len(l.events) - 1
	l.sending++
}

// send sends the replies, and notes which did not leave.
func (l *loop) send() {
	if l.sending == 0 {
		return
	}
	replies := l.replies[:l.sending]
	l.end.writePackets(replies)
	for i := range replies {
		if err := replies[i].err; err != nil {
			ev := &l.events[l.replyOf[i]]
			ev.Reply.Type, ev.Reason, ev.Why = "", ReasonSendFailed, err.Error()
		}
	}
}

// learn takes the address of a machine from the packets in which it names it:
// its broadcast REQUEST to the lease server (option 50), and anything that it
// sends to port 4011 from an address of its own. Boards that we do not answer tell
// their arch there too.
func (l *loop) learn(req *Request, p packet) {
	var addr netip.Addr
	switch {
	case req.mac.IsZero():
		return
	case l.conn.role == PortBoot && !p.source.Addr().IsUnspecified():
		addr = p.source.Addr()
	case l.conn.role == PortDHCP && req.messageType == dhcpv4.MessageTypeRequest && req.requested.IsValid():
		addr = req.requested
	default:
		return
	}
	class := l.classes.name(req.vendorClass)
	l.opts.Links.Learn(bootmenu.Machine{MAC: req.mac, Addr: addr, Arch: orRPi(req, archOf(req.archs, class)), VendorClass: class})
}

// skip says why a packet needs no decision, or "": most traffic on port 67 is
// ordinary DHCP.
func (l *loop) skip(req *Request) (bootmenu.Reason, string) {
	if !isNamed(req.vendorClass) && !l.opts.Responder.Selector.OptsIn(l.classes.name(req.vendorClass)) {
		return ReasonNotPXE, "not a PXE client"
	}
	if l.conn.role == PortDHCP && req.messageType == dhcpv4.MessageTypeRequest {
		if _, isItem := req.bootItem(); !isItem {
			return ReasonLeaseRequest, "the request is for the lease server"
		}
	}
	if why := l.limiter.refuses(req.mac, l.now); why != "" {
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
