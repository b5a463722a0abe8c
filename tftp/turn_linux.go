package tftp

import "time"

// A turn is what one goroutine does with the flows of a worker: under the
// worker's lock it runs state machines and collects what they want done, and
// without it that is done. So a lock is never held while packets are sent,
// files are read or reports are made.
type turn struct {
	loop *batchLoop
	now  time.Duration
	out  *outbox

	more    []*flow       // have more to send, or their deadline has passed
	reading []fillJob     // chunks to be read
	idle    []*cachedFile // uses of files that have ended
	reports []Transfer    // of flows that have ended
}

// A fillJob is a chunk to be read for a flow. ahead tells that it is not needed
// yet.
type fillJob struct {
	flow  *flow
	file  *cachedFile
	index int64
	ahead bool
}

func newTurn(l *batchLoop) *turn { return &turn{loop: l, out: newOutbox(l.cache)} }

// finish does what was collected, and goes on with the flows of w that have more
// until none has.
func (t *turn) finish(w *worker) {
	for t.act(w); len(t.more) > 0; t.act(w) {
		list := t.more
		t.more = nil
		w.mu.Lock()
		t.now = t.loop.now()
		for len(list) > 0 && t.out.hasRoom() {
			w.resume(t, list[0])
			list = list[1:]
		}
		w.arm(t.now)
		w.mu.Unlock()
		t.more = append(t.more, list...)
	}
	t.out.flush() // unpins what was read ahead
}

// act does what was collected.
func (t *turn) act(w *worker) {
	l := t.loop
	t.out.flush()
	for _, job := range t.reading {
		if !t.readNow(w, job) {
			l.files.do(func() { l.fill(job) })
		}
	}
	for _, f := range t.idle {
		l.leave(f)
	}
	for _, r := range t.reports {
		l.options.report(r)
	}
	ended := len(t.reports)
	clear(t.reading)
	clear(t.idle)
	clear(t.reports)
	t.reading, t.idle, t.reports = t.reading[:0], t.idle[:0], t.reports[:0]
	if ended > 0 && l.gone(ended) {
		// Not here: a socket that is being read, which may be on this very
		// goroutine, waits for the end of that when it is closed.
		l.running.Go(l.closeSockets)
	}
}

// readNow reads a chunk at once if nothing has to be waited for: to hand it to
// another goroutine costs more than to copy it. The flows of w that wait for it
// go on in this turn.
func (t *turn) readNow(w *worker, job fillJob) bool {
	l := t.loop
	k, waiting, ok := l.cache.fillNow(job.file, job.index)
	if !ok {
		return false
	}
	t.out.pins = append(t.out.pins, k) // until they have found it
	var others []*flow
	for _, f := range waiting {
		if f.worker == w {
			t.more = append(t.more, f)
		} else {
			others = append(others, f)
		}
	}
	if len(others) > 0 && k.pin() {
		l.files.do(func() { l.wake(k, others) })
	}
	l.leave(job.file)
	return true
}
