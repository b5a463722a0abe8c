package dhcpproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// A memoryConn is a packetConn that reads from a channel and keeps what is sent.
type memoryConn struct {
	in     chan packet
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	sent    []sentPacket
	refuses error // what writePacket returns
}

type sentPacket struct {
	data    []byte
	to      netip.AddrPort
	from    netip.Addr
	ifindex int
}

func newMemoryConn() *memoryConn {
	return &memoryConn{in: make(chan packet), closed: make(chan struct{})}
}

func (c *memoryConn) readPacket(buf []byte) (packet, error) {
	select {
	case p := <-c.in:
		p.data = buf[:copy(buf, p.data)]
		return p, nil
	case <-c.closed:
		return packet{}, net.ErrClosed
	}
}

func (c *memoryConn) writePacket(data []byte, to netip.AddrPort, from netip.Addr, ifindex int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses != nil {
		return c.refuses
	}
	c.sent = append(c.sent, sentPacket{data, to, from, ifindex})
	return nil
}

func (c *memoryConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// memoryLinks keeps what the loop tells of addresses and decisions.
type memoryLinks struct {
	mu      sync.Mutex
	addrs   map[netip.Addr]bootmenu.MAC
	decided map[bootmenu.MAC]string // file
}

func (l *memoryLinks) Learn(mac bootmenu.MAC, addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs[addr] = mac
}

func (l *memoryLinks) Decided(m bootmenu.Machine, d bootmenu.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decided[m.MAC] = d.File
}

// A bench is a Server on memory conns. send gives it a packet and returns the
// event that came of it.
type bench struct {
	*Server
	dhcp, boot *memoryConn
	links      *memoryLinks
	events     chan Event
	stop       func() error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		dhcp: newMemoryConn(), boot: newMemoryConn(), events: make(chan Event),
		links: &memoryLinks{addrs: make(map[netip.Addr]bootmenu.MAC), decided: make(map[bootmenu.MAC]string)},
	}
	b.Server = &Server{
		opts: Options{Node: "n1", Policy: Policy{Names: []string{"eth1"}}, Responder: testResponder(t), Links: b.links, History: &History{}, Report: func(e Event) { b.events <- e }},
		conns: []boundConn{
			{packetConn: b.dhcp, role: PortDHCP},
			{packetConn: b.boot, role: PortBoot},
		},
		host: newHostTable(func() ([]Interface, error) {
			return []Interface{testIface, {Name: "eth2", Index: 8, Up: true, Addrs: testIface.Addrs}}, nil
		}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx) }()
	b.stop = sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() { _ = b.stop() })
	return b
}

func (b *bench) send(c *memoryConn, p packet) Event {
	c.in <- p
	return <-b.events
}

// broadcast is a packet as it comes in on port 67.
func broadcast(r request) packet {
	return packet{data: r.bytes(), ifindex: testIface.Index, source: netip.MustParseAddrPort("0.0.0.0:68"), destination: netip.MustParseAddr("255.255.255.255")}
}

func TestServerAnswersAndTellsOfIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.send(b.dhcp, broadcast(request{messageType: discover, options: join(pxe, archX64)}))
	if !e.Answered() || e.Node != "n1" || e.Port != 67 || e.Type != TypeDiscover || e.Time.IsZero() ||
		e.Reply.Type != "offer" || e.Reply.File != snponly || e.Reply.To.String() != "255.255.255.255:68" || e.Machine.Interface != "eth1" {
		t.Errorf("event %+v", e)
	}
	p := packet{data: request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64)}.bytes(), ifindex: testIface.Index, source: netip.MustParseAddrPort("198.18.0.50:4011"), destination: netip.MustParseAddr("198.18.9.2")}
	e = b.send(b.boot, p)
	if !e.Answered() || e.Reply.Type != "ack" || e.Port != 4011 || e.Reply.Server.String() != "198.18.9.2" {
		t.Errorf("event %+v", e)
	}
	if err := b.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if len(b.dhcp.sent) != 1 || len(b.boot.sent) != 1 {
		t.Fatalf("sent %d and %d packets, want one each", len(b.dhcp.sent), len(b.boot.sent))
	}
	offer := b.dhcp.sent[0]
	if offer.to.String() != "255.255.255.255:68" || offer.from.String() != "198.18.0.2" || offer.ifindex != testIface.Index {
		t.Errorf("OFFER sent to %v from %v on %d", offer.to, offer.from, offer.ifindex)
	}
	if ack := b.boot.sent[0]; ack.to.String() != "198.18.0.50:4011" || ack.from.String() != "198.18.9.2" {
		t.Errorf("ACK sent to %v from %v", ack.to, ack.from)
	}
	m := bootmenu.MACFromBytes(testMAC)
	if b.links.decided[m] != snponly || b.links.addrs[netip.MustParseAddr("198.18.0.50")] != m {
		t.Errorf("links: %v, %v", b.links.decided, b.links.addrs)
	}
}

func TestServerIsSilentAndSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	elsewhere := broadcast(request{messageType: discover, options: join(pxe, archX64)})
	elsewhere.ifindex = 8
	gone := elsewhere
	gone.ifindex = 99
	for _, c := range []struct {
		p      packet
		reason bootmenu.Reason
		kind   MessageType
	}{
		{packet{data: []byte("nonsense"), ifindex: testIface.Index}, ReasonMalformed, TypeOther},
		{broadcast(request{messageType: discover}), ReasonNotPXE, TypeDiscover},
		{broadcast(request{messageType: reqst, options: join(pxe, opt(50, 198, 18, 0, 77))}), ReasonLeaseRequest, TypeRequest},
		{broadcast(request{messageType: inform, options: pxe}), ReasonLeaseRequest, TypeInform},
		{elsewhere, ReasonOtherInterface, TypeDiscover},
		{gone, ReasonOtherInterface, TypeDiscover},
	} {
		e := b.send(b.dhcp, c.p)
		if e.Reason != c.reason || e.Type != c.kind || e.Why == "" {
			t.Errorf("got %s %s (%s), want %s %s", e.Type, e.Reason, e.Why, c.kind, c.reason)
		}
	}
	_ = b.stop()
	if len(b.dhcp.sent) != 0 {
		t.Errorf("%d packets were sent", len(b.dhcp.sent))
	}
	if b.links.addrs[netip.MustParseAddr("198.18.0.77")] != bootmenu.MACFromBytes(testMAC) {
		t.Error("the address of a lease REQUEST was not learnt")
	}
}

func TestServerTellsWhenTheKernelRefusesAReply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dhcp.refuses = errors.New("network is unreachable")
	e := b.send(b.dhcp, broadcast(request{messageType: discover, options: join(pxe, archX64)}))
	if e.Reason != ReasonSendFailed || e.Why != "network is unreachable" {
		t.Errorf("event %+v", e)
	}
}

func TestServerBreaksALoaderThatLoadsItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	attempt := func(xid byte, options []byte) Event {
		p := broadcast(request{messageType: discover, options: options})
		p.data[4] = xid
		return b.send(b.dhcp, p)
	}
	plain := join(pxe, archX64)
	for xid := range byte(3) {
		for range 2 { // each DISCOVER is sent twice
			if e := attempt(xid, plain); !e.Answered() {
				t.Fatalf("attempt %d: %s", xid, e.Reason)
			}
		}
		b.opts.History.Fetched(bootmenu.MACFromBytes(testMAC), snponly)
	}
	if e := attempt(3, plain); e.Reason != ReasonLoop {
		t.Fatalf("fourth attempt: reason %q, want loop", e.Reason)
	}
	if e := attempt(4, join(plain, userIPXE)); !e.Answered() {
		t.Errorf("iPXE itself must be answered: %s", e.Reason)
	}
	b.opts.History.Fetched(bootmenu.MACFromBytes(testMAC), bootmenu.ScriptName)
	if e := attempt(5, plain); !e.Answered() {
		t.Errorf("after the script was read: %s", e.Reason)
	}
}

func TestServeEndsWhenASocketIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_ = b.dhcp.Close()
	<-b.boot.closed // Serve closes the other one
	if err := b.stop(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want that the socket is closed", err)
	}
}

// BenchmarkAnswer is one DISCOVER of a PXE client: parse, decide, write.
func BenchmarkAnswer(b *testing.B) {
	r := testResponder(b)
	raw := request{messageType: discover, options: join(pxe, archX64, machineID)}.bytes()
	b.ReportAllocs()
	for b.Loop() {
		req, err := Parse(raw)
		if err != nil {
			b.Fatal(err)
		}
		if v := r.Answer(req, on67(), nil); len(v.Reply.Packet.ToBytes()) == 0 {
			b.Fatal("empty reply")
		}
	}
}

// BenchmarkLook is one packet of somebody else's DHCP.
func BenchmarkLook(b *testing.B) {
	raw := request{messageType: byte(dhcpv4.MessageTypeDiscover), options: class("MSFT 5.0")}.bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := look(raw); err != nil {
			b.Fatal(err)
		}
	}
}
