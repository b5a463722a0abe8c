package tftp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
)

// readRequests takes requests from one socket until it is closed. It never
// waits for anything but the next packets. opens ends with the last read transfer,
// which writes outlive. s is set where transfers are answered from the same port.
func (l *batchLoop) readRequests(ctx, opens context.Context, c *requestConn, s *socket) error {
	raw, err := c.udp.SyscallConn()
	if err != nil {
		return fmt.Errorf("read from %s/udp: %w", c.addr, err)
	}
	in, t := newInbox(raw, maxRequest), newTurn(l)
	err = in.each(func(n int) {
		first := 0 // of the packets since the last request
		for i := range n {
			if _, b := in.packet(i); !isRequest(b) {
				continue
			}
			l.deliver(t, s, in, first, i)
			first = i + 1
			// With a single port the socket outlives stopListening.
			if d, b := c.datagram(in, i); d.isAcceptable() && !l.isClosing() {
				l.request(ctx, opens, t, c, d, b)
			}
		}
		l.deliver(t, s, in, first, n)
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("read from %s/udp: %w", c.addr, err)
}

// datagram is a packet of in, and where it came from and went to.
func (c *requestConn) datagram(in *inbox, i int) (datagram, []byte) {
	from, b := in.packet(i)
	d := datagram{from: from.addrPort(), to: c.addr}
	if m, ok := in.info(i); ok {
		d.readPacketInfo(&m)
	}
	return d, b
}

// deliver hands packets of a batch, from first up to but not including end, to
// their transfers, if those are answered from the same port.
func (l *batchLoop) deliver(t *turn, s *socket, in *inbox, first, end int) {
	if s == nil || first == end {
		return
	}
	for _, w := range l.workers {
		w.mu.Lock()
		t.now = l.now()
		for i := first; i < end; i++ {
			if from, b := in.packet(i); l.workerOf(from) == w {
				w.take(t, s, from, b)
			}
		}
		w.arm(t.now)
		w.mu.Unlock()
		t.finish(w)
	}
}

// request starts a transfer for a RRQ or WRQ, or refuses it.
func (l *batchLoop) request(ctx, opens context.Context, t *turn, c *requestConn, d datagram, b []byte) {
	event, r, refused, err := l.options.judge(b, d)
	switch {
	case err == nil && r.Op == OpWRQ:
		refused, err = l.options.writes.request(ctx, r, event, c, d, b)
		if isBusy(err) && l.evict(t, whose(err, d.from.Addr())) {
			refused, err = l.options.writes.request(ctx, r, event, c, d, b)
		}
		if err == nil {
			l.leavePort(t, d)
		}
	case err == nil:
		f := l.newFlow(r, c, d, b)
		var entered bool
		if entered, err = l.admit(t, f); entered {
			l.files.do(func() { l.open(opens, f, r) })
		}
		refused = wireBusy
	}
	if err != nil {
		l.options.refuse(c, d, event, refused, err)
	}
}

// leavePort ends the read transfer of a client's port from which it writes now, if
// both are answered from one port: the packets that come are the write's.
func (l *batchLoop) leavePort(t *turn, d datagram) {
	if !l.options.SinglePort {
		return
	}
	client := endpointOf(d)
	w := l.workerOf(client)
	w.mu.Lock()
	t.now = l.now()
	if f := w.flows[client]; f != nil {
		w.end(t, f, f.replaced())
	}
	w.mu.Unlock()
	t.finish(w)
}

// newFlow makes the flow for a RRQ, and picks its worker: always the same for
// the same client's end.
func (l *batchLoop) newFlow(r Request, c *requestConn, d datagram, b []byte) *flow {
	f := &flow{name: r.Name, digest: uint32(maphash.Bytes(l.seed, b)), began: l.now()}
	f.to, f.by = endpointOf(d), d.arrival(c)
	f.single.Store(!l.segments || l.interfaces.refusesSegments(d.ifindex))
	f.worker = l.workerOf(f.to)
	return f
}

// workerOf is the worker that serves a client's end.
func (l *batchLoop) workerOf(client endpoint) *worker {
	return l.workers[maphash.Comparable(l.seed, client)%uint64(len(l.workers))]
}

// admit enters a flow if the limits allow it and no transfer that runs for the
// same port of the client has a better claim. Where too many run, one goes that
// has sent its last block, or has been written. The error is that of a limit;
// without one the transfer that runs sees to the request.
func (l *batchLoop) admit(t *turn, f *flow) (entered bool, err error) {
	w := f.worker
	entered, err = w.admit(t, f)
	t.finish(w)
	if err == nil {
		return entered, nil
	}
	if of := whose(err, f.to.host()); !l.evict(t, of) && !l.options.writes.evict(of) {
		return false, err
	}
	entered, err = w.admit(t, f)
	t.finish(w)
	return entered, err
}

func (w *worker) admit(t *turn, f *flow) (entered bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.now = w.loop.now()
	if old := w.flows[f.to]; old != nil && !w.yields(t, old, f) {
		return false, nil
	}
	gate, host := w.loop.options.gate, f.to.host()
	if err := gate.enter(host, f.by); err != nil {
		return false, err
	}
	if !w.loop.begin() {
		gate.leave(host)
		return false, nil
	}
	f.sock = w.socketFor(f.to, f.conn().addr.Addr().Is6())
	w.flows[f.to] = f
	return true, nil
}

// yields decides about another RRQ from the port of a transfer that runs, and
// tells whether the new one may begin. Then the old one has ended.
func (w *worker) yields(t *turn, old, f *flow) bool {
	same := old.digest == f.digest
	if old.file == nil {
		if same {
			return false // the answer is on its way
		}
		w.end(t, old, old.replaced())
		return true
	}
	switch old.x.repeated(same, t.now) {
	case duplicate:
		w.perform(t, old, old.x.resendFirst(t.now))
	case replacement:
		w.end(t, old, old.replaced())
		return true
	case straggler:
	}
	return false
}

// evict ends the transfer that has dallied longest, one of the address unless that
// is the zero Addr. It tells whether there was one.
func (l *batchLoop) evict(t *turn, of netip.Addr) bool {
	oldest, at := (*flow)(nil), (*worker)(nil)
	for _, w := range l.workers {
		w.mu.Lock()
		for one := w.dally.first; one != nil; one = one.dally.next {
			if of.IsValid() && one.to.host() != of || !one.x.delivered() {
				continue
			}
			if oldest == nil || one.x.progressAt < oldest.x.progressAt {
				oldest, at = one, w
			}
			break
		}
		w.mu.Unlock()
	}
	if oldest == nil {
		return false
	}
	at.mu.Lock()
	t.now = l.now()
	at.end(t, oldest, output{ended: true, result: Delivered})
	at.mu.Unlock()
	t.finish(at)
	return true
}
