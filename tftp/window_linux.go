package tftp

// pump collects the blocks that are pending, as far as the outbox has room and
// their chunks are there. If nothing of f is on its way and a chunk is missing, f
// waits for it. While something is, it does not: whoever brings the chunk would
// overtake this turn, and a client takes packets out of order for loss.
func (w *worker) pump(t *turn, f *flow) {
	for f.hasPending() && t.out.hasRoom() {
		if w.window(t, f) {
			continue
		}
		if t.out.holds(f) || !w.mustWait(t, f) {
			return
		}
		f.waiting, f.waitedAt = true, t.now
		return
	}
}

// window collects one message, as many pending blocks as go into one and are
// there, and tells whether there were any.
func (w *worker) window(t *turn, f *flow) bool {
	var k *chunk
	first, begin := len(t.out.vectors), f.pending
	end := min(f.x.next, begin+f.segments())
	for ok := true; ok && f.pending < end; {
		k, ok = w.block(t, f, k)
	}
	n := f.pending - begin
	if n == 0 {
		return false
	}
	m := message{route: f.route, flow: f, first: first, end: len(t.out.vectors)}
	if n > 1 {
		m.segment = headerLen + uint16(f.x.terms.blksize)
	}
	t.out.messages = append(t.out.messages, m)
	if f.unsent.Load() != nil {
		f.unsent.Store(nil)
	}
	w.readAhead(t, f)
	return true
}

// block collects the first pending block, if it is there. k is the chunk of the
// block before it, nil if there is none; the one of this block's end is returned.
func (w *worker) block(t *turn, f *flow, k *chunk) (*chunk, bool) {
	n := f.pending
	begin, end := f.extent(n)
	if begin == end { // the empty last block
		t.out.head(n)
		f.pending++
		return k, true
	}
	head := w.chunk(t, f, k, begin/chunkSize)
	if head == nil {
		return nil, false
	}
	tail := head
	if last := (end - 1) / chunkSize; last != head.index {
		if tail = w.chunk(t, f, head, last); tail == nil {
			return nil, false
		}
	}
	t.out.head(n)
	base := head.index * chunkSize
	t.out.piece(head.data[begin-base : min(end-base, chunkSize)])
	if tail != head {
		t.out.piece(tail.data[:end-tail.index*chunkSize])
	}
	f.pending++
	return tail, true
}

// extent is where block n begins and ends in what goes on the wire.
func (f *flow) extent(n int64) (begin, end int64) {
	begin = (n - 1) * int64(f.x.terms.blksize)
	return begin, min(begin+int64(f.x.terms.blksize), f.x.size)
}

// chunk finds a chunk: k itself or one in the cache, nil if there is none. It is
// pinned until the outbox has been flushed.
func (w *worker) chunk(t *turn, f *flow, k *chunk, index int64) *chunk {
	if k != nil && k.index == index {
		return k
	}
	if k = f.file.pin(index); k != nil {
		t.out.pins = append(t.out.pins, k)
	}
	return k
}

// mustWait asks for the chunk that the first pending block lacks, and tells
// whether it is still missing. The other chunk of a block that lies in two is
// held meanwhile, or two clients with a small cache could take turns for ever.
func (w *worker) mustWait(t *turn, f *flow) bool {
	begin, end := f.extent(f.pending)
	w.letGo(f)
	for index := begin / chunkSize; index*chunkSize < end; index++ {
		if k := f.file.pin(index); k != nil {
			w.letGo(f)
			f.held = k
			continue
		}
		switch w.loop.cache.await(f.file, index, f) {
		case read:
			w.fetch(t, f, index, false)
			return true
		case queued:
			return true
		case retry:
		}
	}
	return false
}

// letGo unpins the chunk that f holds.
func (w *worker) letGo(f *flow) {
	if f.held != nil {
		w.loop.cache.unpin(f.held)
		f.held = nil
	}
}

// readAhead has the next chunk read while the second half of this one is sent,
// and lets the last one go.
func (w *worker) readAhead(t *turn, f *flow) {
	at := (f.pending - 1) * int64(f.x.terms.blksize)
	next := at/chunkSize + 1
	cached := f.file
	for ; int64(f.passed) < at/chunkSize; f.passed++ {
		w.loop.cache.passed(cached, int64(f.passed))
	}
	if at%chunkSize < chunkSize/2 || next >= int64(len(cached.chunks)) || cached.chunks[next].Load() != nil {
		return
	}
	if w.loop.cache.await(cached, next, nil) == read {
		w.fetch(t, f, next, true)
	}
}

// fetch has a chunk read when the turn acts.
func (w *worker) fetch(t *turn, f *flow, index int64, ahead bool) {
	w.loop.cache.enter(f.file)
	t.reading = append(t.reading, fillJob{flow: f, file: f.file, index: index, ahead: ahead})
}
