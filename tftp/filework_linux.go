package tftp

import (
	"context"
	"fmt"
)

// open opens the file of a new flow and begins the transfer. It may block.
func (l *batchLoop) open(ctx context.Context, f *flow, r Request) {
	w := f.worker
	s, size, err := l.openSource(ctx, f, r)
	mtu := l.interfaces.mtu(f.ifindex)
	t := l.turns.Get().(*turn)
	defer l.turns.Put(t)
	w.mu.Lock()
	t.now = l.now()
	switch {
	case f.ended:
		if s != nil {
			t.idle = append(t.idle, s)
		}
	case err != nil:
		if s != nil {
			f.size, f.label = s.file.Size(), s.file.Label()
			t.idle = append(t.idle, s)
		}
		w.end(t, f, refusal(ctx, err))
	default:
		f.source, f.size, f.label = s, s.file.Size(), s.file.Label()
		var first output
		f.x, first = newTransfer(l.options.terms(r, s.file, size, fitting(mtu, f.client.Addr().Is6())), size, t.now)
		w.perform(t, f, first)
	}
	w.arm(t.now)
	w.mu.Unlock()
	t.finish(w)
}

// openSource opens the file that a flow is for: size bytes go on the wire. It
// returns what must be closed also with an error.
func (l *batchLoop) openSource(ctx context.Context, f *flow, r Request) (s *source, size int64, err error) {
	file, err := l.options.Opener.Open(ctx, OpenRequest{Client: f.client, Local: f.local, Name: r.Name})
	if err != nil {
		return nil, 0, err
	}
	s = &source{file: file, wire: file}
	s.users.Store(1)
	size = file.Size()
	if size < 0 {
		return s, 0, fmt.Errorf("the file's size is %d", size)
	}
	version := file.Version()
	if r.Mode == Netascii {
		translated, err := newNetasciiReader(ctx, file, size)
		if err != nil {
			return s, 0, err
		}
		s.wire, size, version = translated, translated.wire, nil
	}
	s.cached = l.cache.open(version, size)
	return s, size, nil
}

// close closes the file. It may block.
func (s *source) close(c *cache) {
	if s.cached != nil {
		c.close(s.cached)
	}
	_ = s.file.Close() // it was only read
}

// fill reads a chunk, and wakes the flows that wait for it. If it cannot be read
// the flow that asked for it ends; the others try for themselves.
func (l *batchLoop) fill(job fillJob) {
	k, waiting, err := l.cache.fill(job.source.cached, job.index, job.source.wire)
	t := l.turns.Get().(*turn)
	defer l.turns.Put(t)
	if err != nil && !job.ahead {
		w := job.flow.worker
		w.mu.Lock()
		t.now = l.now()
		if !job.flow.ended {
			w.end(t, job.flow, job.flow.x.stop(wireChanged, err))
		}
		w.mu.Unlock()
		t.finish(w)
	}
	for _, w := range l.workers {
		for _, f := range waiting {
			if f.worker == w {
				t.more = append(t.more, f)
			}
		}
		t.finish(w)
	}
	if k != nil {
		l.cache.unpin(k) // only now: they have found it
	}
	if job.source.release() {
		job.source.close(l.cache)
	}
}
