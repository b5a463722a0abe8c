package tftp

import (
	"context"
	"fmt"
)

// open opens the file of a new flow and begins the transfer. It may block.
func (l *batchLoop) open(ctx context.Context, f *flow, r Request) {
	var cached *cachedFile
	var limits Limits
	var label string
	var tag any
	file, err := l.options.Opener.Open(ctx, OpenRequest{Client: f.client(), Local: f.local(), Name: r.Name})
	if err == nil {
		label, tag, limits = file.Label(), tagOf(file), file.Limits()
		cached, err = l.enterFile(ctx, file, r)
	}
	w, mtu := f.worker, l.interfaces.mtu(f.by.Value().ifindex)
	t := l.turns.Get().(*turn)
	defer l.turns.Put(t)
	w.mu.Lock()
	t.now = l.now()
	f.label = label
	switch {
	case f.ended:
		if cached != nil {
			t.idle = append(t.idle, cached)
		}
	case err != nil:
		w.end(t, f, refusal(ctx, err))
	default:
		if tag != nil {
			w.tags[f] = tag
		}
		f.file, f.pending = cached, 1
		if cached.name == f.name {
			f.name = cached.name // the same text, once for all who ask for it
		}
		var first output
		f.x, first = newTransfer(l.options.terms(r, limits, cached.size, fitting(mtu, f.sock.v6)), cached.size, t.now)
		w.perform(t, f, first)
	}
	w.arm(t.now)
	w.mu.Unlock()
	t.finish(w)
}

// enterFile puts a file into the cache, which closes it from then on. It is closed
// if that fails.
func (l *batchLoop) enterFile(ctx context.Context, file File, r Request) (*cachedFile, error) {
	s, size, version := source{file: file, wire: file}, file.Size(), file.Version()
	s.now, _ = file.(NowReader)
	switch {
	case size < 0:
		_ = file.Close() // it was only read
		return nil, fmt.Errorf("the file's size is %d", size)
	case r.Mode == Netascii:
		translated, err := newNetasciiReader(ctx, file, size)
		if err != nil {
			_ = file.Close()
			return nil, err
		}
		s.wire, s.now, size, version = translated, nil, translated.wire, nil
	}
	cached, spare := l.cache.open(version, r.Name, size, s)
	if spare != nil {
		_ = spare.Close()
	}
	return cached, nil
}

// leave ends one use of a file. The last one has it closed, which may block, by
// another goroutine.
func (l *batchLoop) leave(f *cachedFile) {
	if last := l.cache.close(f); last != nil {
		l.files.do(func() { _ = last.Close() }) // it was only read
	}
}

// fill reads a chunk, and wakes the flows that wait for it. If it cannot be read
// the flow that asked for it ends; the others try for themselves.
func (l *batchLoop) fill(job fillJob) {
	k, waiting, err := l.cache.fill(job.file, job.index)
	if err != nil && !job.ahead {
		l.fail(job.flow, err)
	}
	l.wake(k, waiting)
	l.leave(job.file)
}

// fail ends a flow whose file cannot be read.
func (l *batchLoop) fail(f *flow, err error) {
	w, t := f.worker, l.turns.Get().(*turn)
	defer l.turns.Put(t)
	w.mu.Lock()
	t.now = l.now()
	if !f.ended {
		w.end(t, f, f.x.stop(wireChanged, err))
	}
	w.mu.Unlock()
	t.finish(w)
}

// wake goes on with flows that have waited for a chunk, and unpins it when they
// have found it; it is nil if it could not be read.
func (l *batchLoop) wake(k *chunk, waiting []*flow) {
	t := l.turns.Get().(*turn)
	defer l.turns.Put(t)
	for _, w := range l.workers {
		for _, f := range waiting {
			if f.worker == w {
				t.more = append(t.more, f)
			}
		}
		t.finish(w)
	}
	if k != nil {
		l.cache.unpin(k)
	}
}
