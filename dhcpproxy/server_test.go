package dhcpproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"netbootd/bootmenu"
)

// A memoryConn is a packetConn, and its end, that reads from a channel and keeps what is sent.
type memoryConn struct {
	in     chan packet
	fails  chan error // a read that fails
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	sent    []outgoing
	refuses error // what writePackets notes
}

func newMemoryConn() *memoryConn {
	return &memoryConn{in: make(chan packet), fails: make(chan error), closed: make(chan struct{})}
}

func (c *memoryConn) newEnd() packetEnd { return c }

func (c *memoryConn) readPackets() ([]packet, error) {
	select {
	case p := <-c.in:
		return []packet{p}, nil
	case err := <-c.fails:
		return nil, err
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c *memoryConn) writePackets(replies []outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range replies {
		if replies[i].err = c.refuses; c.refuses == nil {
			sent := replies[i]
			sent.data = slices.Clone(sent.data)
			c.sent = append(c.sent, sent)
		}
	}
}

func (c *memoryConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// memoryLinks keeps what the loop tells of addresses and decisions.
type memoryLinks struct {
	mu      sync.Mutex
	addrs   map[netip.Addr]bootmenu.Machine
	decided map[bootmenu.MAC]string // file
}

func (l *memoryLinks) Learn(m bootmenu.Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs[m.Addr] = m
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

// report hands events on one by one.
func (b *bench) report(events []Event) {
	for _, e := range events {
		b.events <- e
	}
}

// newBench serves eth1 until the test ends; change may alter the options.
func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{
		dhcp: newMemoryConn(), boot: newMemoryConn(), events: make(chan Event),
		links: &memoryLinks{addrs: make(map[netip.Addr]bootmenu.Machine), decided: make(map[bootmenu.MAC]string)},
	}
	o := Options{Node: "n1", Policy: Policy{Names: []string{"eth1"}}, Responder: testResponder(t), Links: b.links, History: &History{}, Report: b.report}
	if change != nil {
		change(&o)
	}
	b.Server = newServer(o, &boundConn{packetConn: b.dhcp, role: PortDHCP}, &boundConn{packetConn: b.boot, role: PortBoot})
	_ = b.SetInterfaces([]Interface{testIface, {Name: "eth2", Index: 8, Up: true, Addrs: testIface.Addrs}})
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
	b := newBench(t, nil)
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
	if b.links.decided[m] != snponly || b.links.addrs[netip.MustParseAddr("198.18.0.50")].MAC != m {
		t.Errorf("links: %v, %v", b.links.decided, b.links.addrs)
	}
}

func TestServerIsSilentAndSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
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
	if b.links.addrs[netip.MustParseAddr("198.18.0.77")].MAC != bootmenu.MACFromBytes(testMAC) {
		t.Error("the address of a lease REQUEST was not learnt")
	}
}

// A board that takes no boot server from a proxy is not answered, but what it
// tells its lease server of itself is known when it comes for its files.
func TestServerLearnsTheArchOfABoardThatItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	class := opt(60, []byte("U-Boot.armv8")...)
	e := b.send(b.dhcp, broadcast(request{messageType: reqst, options: join(opt(50, 198, 18, 0, 78), class, opt(93, 0, 22))}))
	_ = b.stop()
	want := bootmenu.Machine{MAC: bootmenu.MACFromBytes(testMAC), Addr: netip.MustParseAddr("198.18.0.78"), Arch: bootmenu.ArchARM64UBoot, VendorClass: "U-Boot.armv8"}
	if got := b.links.addrs[want.Addr]; e.Reason != ReasonLeaseRequest || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, learnt %+v, want %+v", e.Reason, got, want)
	}
}

// A Raspberry Pi says that it is a BIOS also where it is not answered.
func TestServerLearnsThatABoardIsARaspberryPi(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.send(b.dhcp, broadcast(request{messageType: reqst, mac: rpiMAC, options: join(opt(50, 198, 18, 0, 79), pxe, opt(93, 0, 0))}))
	_ = b.stop()
	if got := b.links.addrs[netip.MustParseAddr("198.18.0.79")].Arch; got != bootmenu.ArchRPi {
		t.Errorf("learnt %s", got)
	}
}

func TestServerTellsWhenTheKernelRefusesAReply(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.dhcp.refuses = errors.New("network is unreachable")
	e := b.send(b.dhcp, broadcast(request{messageType: discover, options: join(pxe, archX64)}))
	if e.Reason != ReasonSendFailed || e.Why != "network is unreachable" {
		t.Errorf("event %+v", e)
	}
}

func TestServerBreaksALoaderThatLoadsItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
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
	b := newBench(t, nil)
	_ = b.dhcp.Close()
	<-b.boot.closed // Serve closes the other one
	if err := b.stop(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want that the socket is closed", err)
	}
}

func TestServeEndsWhenASocketFailsForEver(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for range maxReadErrors - 1 {
		b.dhcp.fails <- syscall.ECONNREFUSED
	}
	if e := b.send(b.dhcp, broadcast(request{messageType: discover})); e.Reason != ReasonNotPXE {
		t.Errorf("after single errors: %+v", e)
	}
	for range maxReadErrors {
		b.dhcp.fails <- syscall.ENOMEM
	}
	<-b.boot.closed // Serve closes the other one
	if err := b.stop(); !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "port 67") {
		t.Errorf("Serve: %v, want what failed, and where", err)
	}
}

func TestServerFollowsTheInterfaces(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	p := broadcast(request{messageType: discover, options: join(pxe, archX64)})
	for _, step := range []struct {
		name   string
		now    []Interface
		server string // "" for silence
	}{
		{"as at the start", []Interface{testIface}, "198.18.0.2"},
		{"another address", []Interface{{Name: "eth1", Index: 7, Up: true, Addrs: prefixes("198.18.4.2/24")}}, "198.18.4.2"},
		{"down", []Interface{{Name: "eth1", Index: 7, Addrs: prefixes("198.18.4.2/24")}}, ""},
		{"gone", nil, ""},
		{"back, and another one by the index", []Interface{{Name: "eth5", Index: 7, Up: true, Addrs: prefixes("198.18.4.2/24")}}, ""},
		{"back", []Interface{testIface}, "198.18.0.2"},
	} {
		_ = b.SetInterfaces(step.now)
		e := b.send(b.dhcp, p)
		if got := e.Reply.Server; e.Answered() != (step.server != "") || e.Answered() && got.String() != step.server {
			t.Errorf("%s: %s, %v; want %q", step.name, e.Reason, got, step.server)
		}
	}
}

func TestServerLimitsWhatOneMachineCosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Limits = Limits{PerMachine: 2} })
	p := broadcast(request{messageType: discover, options: join(pxe, archX64)})
	other := broadcast(request{messageType: discover, options: join(pxe, archX64)})
	other.data[offsetChaddr+5]++
	var limited Event
	for limited.Reason == "" { // ends at the third, unless each takes half a second
		limited = b.send(b.dhcp, p)
	}
	if limited.Reason != ReasonRateLimited || !strings.Contains(limited.Why, "2 requests") {
		t.Errorf("event %+v", limited)
	}
	if e := b.send(b.dhcp, other); !e.Answered() {
		t.Errorf("another machine: %s", e.Reason)
	}
	foreign := broadcast(request{messageType: discover})
	if e := b.send(b.dhcp, foreign); e.Reason != ReasonNotPXE {
		t.Errorf("what is not looked at is not limited: %s", e.Reason)
	}
}

// A panickingSelector has a fault.
type panickingSelector struct{ Selector }

func (panickingSelector) Select(bootmenu.Machine) bootmenu.Decision { panic("index out of range") }

func TestServerOutlivesAPanic(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Responder.Selector = panickingSelector{o.Responder.Selector} })
	for range 2 {
		e := b.send(b.dhcp, broadcast(request{messageType: discover, options: join(pxe, archX64)}))
		if e.Reason != ReasonPanic || !strings.Contains(e.Why, "index out of range") || e.Machine.MAC.IsZero() || e.Machine.Interface != "eth1" {
			t.Errorf("event %+v", e)
		}
	}
	if len(b.links.decided) != 0 {
		t.Error("a decision was noted")
	}
}

func TestAnswerPacketOutlivesAPanic(t *testing.T) {
	t.Parallel()
	r := testResponder(t)
	r.Selector = panickingSelector{r.Selector}
	v, reply, err := r.AnswerPacket(request{messageType: discover, options: join(pxe, archX64)}.bytes(), on67(), nil)
	if err != nil || reply != nil || v.Reply != nil || v.Reason != ReasonPanic || !strings.Contains(v.Why, "index out of range") ||
		v.Type != discover || v.Machine.MAC.IsZero() || v.Machine.Interface != "eth1" {
		t.Errorf("%+v, % x, %v", v, reply, err)
	}
}

// A batchEnd is a packetConn and its ends: each read gives a batch, and the
// kernel refuses what is for MAC addresses that end in 0xff.
type batchEnd struct {
	packetConn
	in   chan []packet
	sent [][]outgoing
}

func (e *batchEnd) newEnd() packetEnd { return e }

func (e *batchEnd) readPackets() ([]packet, error) {
	packets, ok := <-e.in
	if !ok {
		return nil, net.ErrClosed
	}
	return packets, nil
}

func (e *batchEnd) writePackets(replies []outgoing) {
	for i := range replies {
		if replies[i].data[offsetChaddr+5] == 0xff {
			replies[i].err = errors.New("refused")
		}
	}
	e.sent = append(e.sent, slices.Clone(replies))
}

// discoverOf is a DISCOVER of a machine whose MAC address ends in n.
func discoverOf(n byte) packet {
	p := broadcast(request{messageType: discover, options: join(pxe, archX64)})
	p.data[offsetChaddr+5] = n
	return p
}

func TestPacketsReadTogetherAreAnsweredTogether(t *testing.T) {
	t.Parallel()
	var events []Event
	s := quietServer(t)
	s.opts.Report = func(list []Event) { events = slices.Clone(list) }
	e := &batchEnd{}
	l := s.newLoop(&boundConn{packetConn: e, role: PortDHCP})
	batch := []packet{discoverOf(1), broadcast(request{messageType: discover}), discoverOf(0xff), discoverOf(2)}
	for range 2 { // the second time with the memory of the first
		e.sent = nil
		l.handle(batch)
		if len(e.sent) != 1 || len(e.sent[0]) != 3 {
			t.Fatalf("sent %v, want three replies at once", e.sent)
		}
		for i, want := range []bootmenu.Reason{"", ReasonNotPXE, ReasonSendFailed, ""} {
			if got := events[i]; got.Reason != want || got.Machine.MAC != bootmenu.MACFromBytes(batch[i].data[offsetChaddr:][:6]) || (got.Reply.Type != "") != (want == "") {
				t.Errorf("event %d is %+v, want reason %q", i, got, want)
			}
		}
		if last := e.sent[0][2].data; last[offsetChaddr+5] != 2 {
			t.Errorf("the last reply is for the machine %x", last[offsetChaddr:][:6])
		}
	}
}

// TestASecondLoopHelps has the first loop at work on as much as is read at once:
// what comes then must not wait for it.
func TestASecondLoopHelps(t *testing.T) {
	t.Parallel()
	full := slices.Repeat([]packet{broadcast(request{messageType: discover})}, batchSize)
	reported, goOn := make(chan int), make(chan bool)
	s := quietServer(t)
	s.opts.Report = func(list []Event) {
		reported <- len(list)
		<-goOn
	}
	e := &batchEnd{in: make(chan []packet)}
	c := &boundConn{packetConn: e, role: PortDHCP}
	served := make(chan error)
	for range loopsPerConn {
		go func() { served <- s.newLoop(c).serve(t.Context()) }()
	}
	e.in <- full
	if n := <-reported; n != batchSize {
		t.Errorf("%d events, want %d", n, batchSize)
	}
	e.in <- full[:1]
	if n := <-reported; n != 1 { // while the first report has not returned
		t.Errorf("%d events, want 1", n)
	}
	goOn <- true
	goOn <- true
	close(e.in)
	for range loopsPerConn {
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestBesideAnotherServerOnlyWhatIsForThisHostCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.conns[0].beside = true // before anything is sent
	pass := broadcast(request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(pxe, archX64)})
	pass.destination = netip.MustParseAddr("198.18.77.1") // this host is a router, and forwards it
	b.dhcp.in <- pass
	pass.destination = netip.MustParseAddr("198.18.9.2")
	if e := b.send(b.dhcp, pass); !e.Answered() || e.Reply.Server.String() != "198.18.9.2" {
		t.Errorf("the first event is %+v, want the OFFER for the packet to this host", e)
	}
}

// discards is Links without memory.
type discards struct{}

func (discards) Learn(bootmenu.Machine)                      {}
func (discards) Decided(bootmenu.Machine, bootmenu.Decision) {}

// quietServer reports to nobody.
func quietServer(t testing.TB) *Server {
	s := newServer(Options{Policy: Policy{Names: []string{"eth1"}}, Responder: testResponder(t), Links: discards{}, History: &History{}, Report: func([]Event) {}})
	_ = s.SetInterfaces([]Interface{testIface})
	return s
}

// Profiles that opt a vendor class in compare patterns, which may take memory.
func TestOrdinaryChatterTakesNoMemory(t *testing.T) {
	s := quietServer(t)
	s.opts.Responder.Selector = bootmenu.NewCatalog(nil, nil, bootmenu.Menu{})
	l := s.newLoop(&boundConn{packetConn: newMemoryConn(), role: PortDHCP})
	for name, r := range map[string]request{
		"a DISCOVER":                    {messageType: discover},
		"a DISCOVER with another class": {messageType: discover, options: class("dhcpcd-9.4.1:Linux-6.1.0")},
		"a lease REQUEST":               {messageType: reqst, options: join(pxe, opt(50, 198, 18, 0, 77))},
	} {
		p := []packet{broadcast(r)}
		l.handle(p) // so that the class is known
		if n := testing.AllocsPerRun(100, func() { l.handle(p) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
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
		if v := r.Answer(req, on67(), nil); len(v.Reply.Append(nil, req)) == 0 {
			b.Fatal("empty reply")
		}
	}
}

// BenchmarkHandle is a DISCOVER on its way through the loop, without sockets.
func BenchmarkHandle(b *testing.B) {
	for name, options := range map[string][]byte{"PXE": join(pxe, archX64, machineID), "ForeignDHCP": class("MSFT 5.0")} {
		b.Run(name, func(b *testing.B) {
			s := quietServer(b)
			l := s.newLoop(&boundConn{packetConn: sink{}, role: PortDHCP})
			p := []packet{broadcast(request{messageType: discover, options: options})}
			b.ReportAllocs()
			for b.Loop() {
				l.handle(p)
			}
		})
	}
}

// A sink is a packetConn that takes everything, and its end.
type sink struct{ packetEnd }

func (s sink) newEnd() packetEnd { return s }

func (sink) Close() error { return nil }

func (sink) writePackets([]outgoing) {}
