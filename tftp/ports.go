package tftp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A PortRange is a range of UDP ports, both ends included. The zero value leaves
// the choice to the system.
type PortRange struct{ First, Last uint16 }

// MinPortRange is how many ports a [PortRange] must have: on Linux all reads
// together need up to eight, and each write needs one; elsewhere each read does too.
const MinPortRange = 16

// Count is how many ports there are.
func (r PortRange) Count() int { return int(r.Last) - int(r.First) + 1 }

func (r PortRange) validate() error {
	if r == (PortRange{}) || r.First > 0 && r.Count() >= MinPortRange {
		return nil
	}
	return fmt.Errorf("ports %d to %d: want at least %d ports above 0", r.First, r.Last, MinPortRange)
}

// A transferConn is one transfer's end of the line.
type transferConn interface {
	ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

// ports are what transfers are answered from: any free ones, those of a range, or
// the one that requests come in on.
type ports struct {
	single bool
	within PortRange
	next   atomic.Uint32 // in the range

	mu    sync.Mutex // guards lines
	lines map[netip.AddrPort]*line
}

func newPorts(o *Options) *ports {
	return &ports{single: o.SinglePort, within: o.Ports, lines: make(map[netip.AddrPort]*line)}
}

// listen binds a socket for transfers.
func (p *ports) listen(local netip.Addr) (*net.UDPConn, error) {
	if p.within == (PortRange{}) {
		return listenTransfer(netip.AddrPortFrom(local, 0))
	}
	count := uint32(p.within.Count())
	for range count {
		port := p.within.First + uint16((p.next.Add(1)-1)%count)
		conn, err := listenTransfer(netip.AddrPortFrom(local, port))
		if err == nil || !isInUse(err) {
			return conn, err
		}
	}
	return nil, fmt.Errorf("no port from %d to %d is free", p.within.First, p.within.Last)
}

// open gives the transfer that d asks for an end of its own.
func (p *ports) open(c *requestConn, d datagram) (transferConn, error) {
	if !p.single {
		return p.listen(d.to.Addr())
	}
	x := &line{ports: p, conn: c, request: d, news: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[d.from] = x
	return x, nil
}

// fits is the largest block that a client may send.
func (p *ports) fits(b Blksize) Blksize {
	if p.single {
		// What is read of a packet there, and a byte more that shows a longer one.
		return min(b, maxRequest-headerLen-1)
	}
	return b
}

// deliver hands a packet that came in on the port for requests to the transfer of
// its sender, and tells whether there is one.
func (p *ports) deliver(from netip.AddrPort, b []byte) bool {
	p.mu.Lock()
	x := p.lines[from]
	p.mu.Unlock()
	if x == nil {
		return false
	}
	x.deliver(b)
	return true
}

// lineLength is how many packets wait in a line at most: a window of the default
// limit. More are lost, as in a socket's queue.
const lineLength = 64

// A line is a client's share of the port for requests. It stands for a socket of
// its own where transfers are answered from that port.
type line struct {
	ports   *ports
	conn    *requestConn
	request datagram

	news chan struct{} // a packet has come, or the deadline has changed; never blocks

	mu       sync.Mutex // guards what follows
	packets  [][]byte
	deadline time.Time
}

func (x *line) deliver(b []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.packets) < lineLength {
		x.packets = append(x.packets, append([]byte(nil), b...))
		x.tell()
	}
}

func (x *line) tell() {
	select {
	case x.news <- struct{}{}:
	default:
	}
}

// ReadFromUDPAddrPort waits for a packet until the deadline, as a socket does. One
// goroutine at a time may call it.
func (x *line) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		x.mu.Lock()
		deadline := x.deadline
		if len(x.packets) > 0 {
			n := copy(b, x.packets[0])
			x.packets = x.packets[1:]
			x.mu.Unlock()
			return n, x.request.from, nil
		}
		x.mu.Unlock()
		left := time.Until(deadline)
		if left <= 0 {
			return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		select {
		case <-x.news:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// WriteToUDPAddrPort sends to the client, whoever is named: nobody else has a part
// in the line.
func (x *line) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	if err := x.conn.reply(b, x.request); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetReadDeadline ends a wait that goes on beyond t.
func (x *line) SetReadDeadline(t time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deadline = t
	x.tell()
	return nil
}

// Close leaves the line.
func (x *line) Close() error {
	x.ports.mu.Lock()
	defer x.ports.mu.Unlock()
	if x.ports.lines[x.request.from] == x {
		delete(x.ports.lines, x.request.from)
	}
	return nil
}
