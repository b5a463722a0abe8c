package tftp

// pump collects the blocks that are pending, as far as the outbox has room and
// their chunks are there.
func (w *worker) pump(t *turn, f *flow) {
	for f.pending.count() > 0 && !f.waiting && t.out.hasRoom() {
		w.window(t, f)
	}
}

// window collects one message: as many pending blocks as go into one. If a chunk
// is missing it is asked for, and f waits.
func (w *worker) window(t *turn, f *flow) {
	var k *chunk
	first, begin := len(t.out.vectors), f.pending.first
	end := min(f.pending.end, begin+f.segments())
	for f.pending.first < end && !f.waiting {
		k = w.block(t, f, k)
	}
	if f.pending.first == begin {
		return
	}
	m := message{route: f.route, flow: f, first: first, end: len(t.out.vectors)}
	if f.pending.first-begin > 1 {
		m.segment = headerLen + uint16(f.x.terms.blksize)
	}
	t.out.messages = append(t.out.messages, m)
	if f.unsent.Load() != nil {
		f.unsent.Store(nil)
	}
	w.readAhead(t, f)
}

// block collects the first pending block. k is the chunk of the block before it,
// nil if there is none; the one of this block's end is returned.
func (w *worker) block(t *turn, f *flow, k *chunk) *chunk {
	n := f.pending.first
	at := (n - 1) * int64(f.x.terms.blksize)
	end := min(at+int64(f.x.terms.blksize), f.x.size)
	if at >= end { // the empty last block
		t.out.head(n)
		f.pending.first++
		return k
	}
	k = w.chunk(t, f, k, at/chunkSize)
	if k == nil {
		return nil
	}
	next := k
	if last := (end - 1) / chunkSize; last != k.index {
		if next = w.chunk(t, f, k, last); next == nil {
			k.pin() // it is pinned already: this cannot fail
			f.held = k
			return nil
		}
	}
	t.out.head(n)
	begin := k.index * chunkSize
	t.out.piece(k.data[at-begin : min(end-begin, chunkSize)])
	if next != k {
		t.out.piece(next.data[:end-next.index*chunkSize])
	}
	f.pending.first++
	return next
}

// chunk finds a chunk: k itself, the one that f holds, or one in the cache. It
// is pinned until the outbox has been flushed. nil is returned if it must be
// read first; then f waits.
func (w *worker) chunk(t *turn, f *flow, k *chunk, index int64) *chunk {
	if k != nil && k.index == index {
		return k
	}
	if k = f.held; k != nil {
		f.held = nil
		t.out.pins = append(t.out.pins, k)
		if k.index == index {
			return k
		}
	}
	for {
		if k = f.source.cached.pin(index); k != nil {
			t.out.pins = append(t.out.pins, k)
			return k
		}
		switch w.loop.cache.await(f.source.cached, index, f) {
		case retry:
			continue
		case read:
			w.fetch(t, f, index, false)
		case queued:
		}
		f.waiting, f.waitedAt = true, t.now
		return nil
	}
}

// readAhead has the next chunk read while the second half of this one is sent.
func (w *worker) readAhead(t *turn, f *flow) {
	at := (f.pending.first - 1) * int64(f.x.terms.blksize)
	next := at/chunkSize + 1
	cached := f.source.cached
	if at%chunkSize < chunkSize/2 || next >= int64(len(cached.chunks)) || cached.chunks[next].Load() != nil {
		return
	}
	if w.loop.cache.await(cached, next, nil) == read {
		w.fetch(t, f, next, true)
	}
}

// fetch has a chunk read when the turn acts.
func (w *worker) fetch(t *turn, f *flow, index int64, ahead bool) {
	f.source.users.Add(1)
	t.reading = append(t.reading, fillJob{flow: f, source: f.source, index: index, ahead: ahead})
}
