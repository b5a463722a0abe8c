package tftp

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// reuseTime is for how long a client's port that has had a transfer is answered
// from another port: U-Boot takes its ports from so small a range that an ACK of
// the last transfer may still be on the way.
const reuseTime = 10 * time.Second

// socketsPerWorker is how many transfer sockets a worker has for each IP
// version, so that there is another port to answer from.
const socketsPerWorker = 2

// A worker keeps a share of the flows. Whoever has something for one of them, a
// goroutine that reads a socket, the timekeeper or one that has read a file,
// takes the lock, runs the state machine, and sends what it wants after letting
// the lock go (see turn). That costs fewer system calls and changes of threads
// than a goroutine that waits for all of these at once, and keeps several cores
// busy.
type worker struct {
	loop    *batchLoop
	sockets map[bool][]*socket // by "is IPv6"; fixed
	timer   *time.Timer        // for the timekeeper

	resent atomic.Int64

	mu          sync.Mutex // guards what follows
	flows       map[endpoint]*flow
	tags        map[*flow]any // that a [Tagger] gave; few transfers have one
	wheel       wheel
	armed       time.Duration      // when timer goes off; 0 if it does not
	dally       queue              // flows that have sent their last block, the oldest first
	ended       map[endpoint]trace // of transfers that have ended
	endedBefore map[endpoint]trace // the same of an earlier time
	rotated     time.Duration      // when ended last became endedBefore
}

// A trace is what is remembered of the last transfers of a client's port.
type trace struct {
	sock      *socket // the last one was answered from
	delivered bool    // one of them was
}

// A queue is a list of flows in order of arrival, linked by their dally hooks.
type queue struct{ first, last *flow }

func (q *queue) push(f *flow) {
	f.dallying = true
	f.dally = hook{previous: q.last}
	if q.last != nil {
		q.last.dally.next = f
	} else {
		q.first = f
	}
	q.last = f
}

func (q *queue) remove(f *flow) {
	if !f.dallying {
		return
	}
	if f.dally.previous != nil {
		f.dally.previous.dally.next = f.dally.next
	} else {
		q.first = f.dally.next
	}
	if f.dally.next != nil {
		f.dally.next.dally.previous = f.dally.previous
	} else {
		q.last = f.dally.previous
	}
	f.dallying, f.dally = false, hook{}
}

// read serves one socket until it is closed.
func (w *worker) read(s *socket) error {
	in, t := newInbox(s.raw, ackBuffer), newTurn(w.loop)
	return in.each(func(n int) {
		w.mu.Lock()
		t.now = w.loop.now()
		for i := range n {
			from, b := in.packet(i)
			w.take(t, s, from, b)
		}
		w.arm(t.now)
		w.mu.Unlock()
		t.finish(w)
	})
}

// keepTime runs the state machines whose deadline has passed.
func (w *worker) keepTime() {
	t := newTurn(w.loop)
	for {
		select {
		case <-w.loop.done:
			return
		case <-w.timer.C:
		}
		w.mu.Lock()
		t.now = w.loop.now()
		w.armed = 0
		w.rotate(t.now)
		for _, f := range w.wheel.advance(t.now, nil) {
			if f.waiting {
				continue // for our own disk: that is no silence of the client
			}
			if deadline := f.x.wait().deadline; deadline > t.now {
				w.wheel.add(f, deadline, t.now)
			} else {
				t.more = append(t.more, f)
			}
		}
		w.arm(t.now)
		w.mu.Unlock()
		t.finish(w)
	}
}

// arm sets the timer for the next thing to do.
func (w *worker) arm(now time.Duration) {
	at, ok := w.wheel.next()
	if len(w.ended)+len(w.endedBefore) > 0 {
		if end := w.rotated + reuseTime; !ok || end < at {
			at, ok = end, true
		}
	}
	if ok && (w.armed == 0 || at < w.armed) {
		w.armed = at
		w.timer.Reset(max(0, at-now))
	}
}

// take gives a packet to its flow.
func (w *worker) take(t *turn, s *socket, from endpoint, b []byte) {
	f := w.flows[from]
	switch {
	case f == nil && w.loop.options.SinglePort:
		// The port is the one for requests, where no ERROR goes out.
		w.loop.options.ports.deliver(from.addrPort(), b)
		return
	case f == nil:
		w.stranger(t, s, from, b)
		return
	case f.sock != s || f.file == nil:
		return // for an earlier transfer of the same port
	}
	p, err := ParsePacket(b)
	if err != nil {
		return // as if lost
	}
	w.perform(t, f, f.x.packet(p, t.now))
}

// stranger tells another port of a client's address that it has no part in the
// transfer (RFC 1350 section 4). Other addresses are ignored, for they may be
// forged, and so are ERRORs, or two servers could go on for ever.
func (w *worker) stranger(t *turn, s *socket, from endpoint, b []byte) {
	if from.port == 0 || len(b) < headerLen || Opcode(binary.BigEndian.Uint16(b)) == OpERROR {
		return
	}
	if w.trace(from).delivered {
		// A late ACK, of this transfer or of one before it. Its client may have
		// asked for the next file from the same port, and would take an ERROR for
		// the answer.
		return
	}
	if by, ok := w.loop.options.gate.arrivalOf(from.host()); ok {
		t.out.add(route{sock: s, to: from, by: by}, nil, wireUnknownTID.packet())
	}
}

// socketFor picks the port to answer a client from.
func (w *worker) socketFor(to endpoint, v6 bool) *socket {
	last := w.trace(to).sock
	for _, s := range w.sockets[v6] {
		if s != last {
			return s
		}
	}
	return last
}

// trace is what is left of the last transfers of a client's port, if anything.
func (w *worker) trace(of endpoint) trace {
	if last, ok := w.ended[of]; ok {
		return last
	}
	return w.endedBefore[of]
}

// rotate forgets clients' ports whose transfer ended long ago.
func (w *worker) rotate(now time.Duration) {
	switch age := now - w.rotated; {
	case age < reuseTime:
		return
	case age < 2*reuseTime:
		w.endedBefore = w.ended
	default:
		w.endedBefore = nil
	}
	w.ended, w.rotated = nil, now
}

// perform does what a state machine wants.
func (w *worker) perform(t *turn, f *flow, o output) {
	if o.resent > 0 {
		w.resent.Add(o.resent)
	}
	if o.oack {
		t.out.add(f.route, f, f.x.terms.oack.Append(nil))
	}
	if o.data.count() > 0 {
		f.pending, f.waiting = o.data.first, false
	}
	if o.ended {
		w.end(t, f, o)
		return
	}
	w.settle(t, f)
}

// resume goes on with a flow: it has more to send, its chunk has come, or its
// deadline has passed.
func (w *worker) resume(t *turn, f *flow) {
	if f.ended || f.file == nil {
		return
	}
	if f.waiting {
		f.waiting = false
		f.x.delayed(t.now - f.waitedAt)
	}
	if !f.hasPending() && f.x.wait().deadline <= t.now {
		w.perform(t, f, f.x.tick(t.now))
		return
	}
	w.settle(t, f)
}

// settle sends what is pending, and sees to it that f is called again.
func (w *worker) settle(t *turn, f *flow) {
	w.pump(t, f)
	if f.waiting {
		return
	}
	w.letGo(f)
	deadline := f.x.wait().deadline
	if f.hasPending() || deadline <= t.now {
		t.more = append(t.more, f)
		return
	}
	switch {
	case f.tick == 0:
		w.wheel.add(f, deadline, t.now)
	case deadline < time.Duration(f.tick-1)*wheelTick:
		// Later ones need no change: when the old time comes it is looked up
		// again, which is rarer than ACKs are.
		w.wheel.remove(f)
		w.wheel.add(f, deadline, t.now)
	}
	if !f.dallying && f.x.delivered() {
		w.dally.push(f)
	}
}

// end takes a flow out. Its last packet and its report go out with the turn.
func (w *worker) end(t *turn, f *flow, o output) {
	if f.ended {
		return
	}
	f.ended = true
	if o.fault.code != 0 {
		t.out.add(f.route, f, o.fault.packet())
	}
	t.reports = append(t.reports, f.event(o, t.now))
	delete(w.tags, f)
	w.wheel.remove(f)
	w.dally.remove(f)
	w.letGo(f)
	if w.flows[f.to] == f {
		delete(w.flows, f.to)
	}
	w.rotate(t.now)
	if w.ended == nil {
		w.ended = make(map[endpoint]trace)
	}
	w.ended[f.to] = trace{sock: f.sock, delivered: o.result == Delivered || w.trace(f.to).delivered}
	w.loop.options.gate.leave(f.to.host())
	if f.file != nil {
		t.idle = append(t.idle, f.file)
	}
}
