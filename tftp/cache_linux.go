package tftp

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// chunkSize is how many bytes of a file are read and kept together. Larger chunks
// cost more where many files are read at once, smaller ones more system calls.
const chunkSize = 128 << 10

// A cache keeps chunks of files in memory, a bounded number of bytes in all.
// Looking a chunk up takes no lock. Chunks that are being sent are pinned, and
// leave only when they are no longer: where nothing else can leave, the bound is
// exceeded until another chunk is read.
type cache struct {
	limit   int64
	buffers sync.Pool // of *[chunkSize]byte

	mu    sync.Mutex // guards what follows, and the marked fields of cachedFile
	files map[any]*cachedFile
	kept  []*chunk // what may leave
	hand  int      // where in kept the search for it goes on
	bytes int64    // of all chunks in kept
}

// A cachedFile is a file's place in a cache, shared by all transfers of the same
// version. They share the open file too: thousands of machines that boot the same
// kernel need one descriptor.
type cachedFile struct {
	version any    // nil: of one transfer only
	name    string // that it was first asked for by
	size    int64
	chunks  []atomic.Pointer[chunk]
	source  source // stays the same while there are users

	users    int               // transfers, and those who read chunks; guarded by cache.mu
	resident int               // chunks that are there; guarded by cache.mu
	fills    map[int64][]*flow // who waits for chunks being read; guarded by cache.mu
}

// A source is an open file, and what of it goes on the wire.
type source struct {
	file File
	wire io.ReaderAt // the file, or its netascii form
	now  NowReader   // nil: wire may have to wait
}

// A chunk is a piece of a file. Its data stays as it is while it is pinned.
type chunk struct {
	file  *cachedFile
	index int64
	data  []byte
	refs  atomic.Int32 // pins, and one for being in the cache; at 0 it is gone
	used  atomic.Bool  // since the search for what may leave came by
	slot  int          // its place in cache.kept; guarded by cache.mu
}

func newCache(limit int64) *cache {
	return &cache{
		limit:   limit,
		buffers: sync.Pool{New: func() any { return new([chunkSize]byte) }},
		files:   make(map[any]*cachedFile),
	}
}

// open gives a file its place that was asked for by name and has size bytes on the
// wire. Each open needs a close. spare must be closed if it is set: a file of the
// same version is open already.
func (c *cache) open(version any, name string, size int64, s source) (f *cachedFile, spare File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f = c.files[version]; version == nil || f == nil || f.size != size {
		f = &cachedFile{
			version: version, name: name, size: size,
			chunks: make([]atomic.Pointer[chunk], (size+chunkSize-1)/chunkSize),
			fills:  make(map[int64][]*flow),
		}
		if version != nil {
			c.files[version] = f
		}
	}
	if f.users++; f.users > 1 {
		return f, s.file
	}
	f.source = s
	return f, nil
}

// enter counts one more user of a file that is open.
func (c *cache) enter(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.users++
}

// close ends one use. The last one gets the file, to close it. The chunks of a
// file with a version stay.
func (c *cache) close(f *cachedFile) (last File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	if f.version == nil || c.files[f.version] != f { // nobody will find it again
		c.removeAll(f)
	}
	c.forget(f)
	last, f.source = f.source.file, source{}
	return last
}

// drop takes a file that has changed out of the cache: the next open begins with
// nothing.
func (c *cache) drop(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeAll(f)
	if c.files[f.version] == f {
		delete(c.files, f.version)
	}
}

// passed tells that a user of f has sent a chunk and all before it. It does not
// stay if nobody else reads a file of that size: reading one large file would
// otherwise empty the cache, and use ever new memory where little would stay in
// the processor's.
func (c *cache) passed(f *cachedFile, i int64) {
	if f.size <= c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := f.chunks[i].Load(); k != nil && f.users == 1 {
		c.remove(k)
		c.unpin(k)
	}
}

// forget takes a file off the index that nobody uses and of which nothing is left.
func (c *cache) forget(f *cachedFile) {
	if f.users == 0 && f.resident == 0 && c.files[f.version] == f {
		delete(c.files, f.version)
	}
}

// pin returns a chunk that must be unpinned, or nil if it is not there.
func (f *cachedFile) pin(i int64) *chunk {
	k := f.chunks[i].Load()
	if k == nil || !k.pin() {
		return nil
	}
	if !k.used.Load() { // most often it is: a store would cost the other cores
		k.used.Store(true)
	}
	return k
}

func (k *chunk) pin() bool {
	for {
		n := k.refs.Load()
		if n == 0 {
			return false
		}
		if k.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *cache) unpin(k *chunk) {
	if k.refs.Add(-1) == 0 {
		c.recycle(k)
	}
}

func (c *cache) recycle(k *chunk) {
	if len(k.data) == chunkSize {
		c.buffers.Put((*[chunkSize]byte)(k.data))
	}
}

// want tells what to do about a chunk that pin did not find.
type want int

const (
	retry  want = iota // it has come in the meantime
	queued             // somebody reads it; who is told
	read               // call fill; who is told
)

// await queues who for a chunk. Without who it only asks whether somebody should
// read it ahead.
func (c *cache) await(f *cachedFile, i int64, who *flow) want {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.chunks[i].Load() != nil {
		return retry
	}
	waiting, filling := f.fills[i]
	if who != nil {
		waiting = append(waiting, who)
	}
	f.fills[i] = waiting
	if filling {
		return queued
	}
	return read
}

// fill reads a chunk, and returns it pinned with those who wait for it. If the
// file cannot be read all of its chunks leave the cache; those who wait find out by
// themselves, each with a read of its own.
func (c *cache) fill(f *cachedFile, i int64) (*chunk, []*flow, error) {
	k := c.blank(f, i)
	if err := readFull(f.source.wire, k.data, i*chunkSize); err != nil {
		c.recycle(k)
		c.drop(f)
		return nil, c.filled(f, i, nil), err
	}
	return k, c.filled(f, i, k), nil
}

// fillNow is fill where nothing has to be waited for. Otherwise, and where the
// file cannot be read, ok is false and nothing has happened.
func (c *cache) fillNow(f *cachedFile, i int64) (k *chunk, waiting []*flow, ok bool) {
	if f.source.now == nil {
		return nil, nil, false
	}
	k = c.blank(f, i)
	if !f.source.now.ReadAtNow(k.data, i*chunkSize) {
		c.recycle(k)
		return nil, nil, false
	}
	return k, c.filled(f, i, k), true
}

// blank is room for a chunk.
func (c *cache) blank(f *cachedFile, i int64) *chunk {
	k := &chunk{file: f, index: i}
	if length := min(chunkSize, f.size-i*chunkSize); length < chunkSize {
		k.data = make([]byte, length)
	} else {
		k.data = c.buffers.Get().(*[chunkSize]byte)[:]
	}
	return k
}

// filled puts a chunk that has been read in its place, pinned, and returns those
// who wait for it. k is nil if it could not be read.
func (c *cache) filled(f *cachedFile, i int64, k *chunk) []*flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := f.fills[i]
	delete(f.fills, i)
	if k != nil {
		k.refs.Store(1)
		c.makeRoom(int64(len(k.data)))
		c.keep(k)
	}
	return waiting
}

func (c *cache) keep(k *chunk) {
	k.refs.Add(1)
	k.used.Store(true)
	k.file.chunks[k.index].Store(k)
	k.file.resident++
	k.slot = len(c.kept)
	c.kept = append(c.kept, k)
	c.bytes += int64(len(k.data))
}

// makeRoom lets chunks leave that have not been used since it came by last, until
// size bytes fit in (the CLOCK algorithm). Two rounds are enough to try each.
func (c *cache) makeRoom(size int64) {
	for tries := 2 * len(c.kept); tries > 0 && len(c.kept) > 0 && c.bytes+size > c.limit; tries-- {
		c.hand %= len(c.kept)
		k := c.kept[c.hand]
		switch {
		case k.used.Swap(false), !k.refs.CompareAndSwap(1, 0): // used or pinned
			c.hand++
		default:
			c.remove(k)
			c.recycle(k)
			c.forget(k.file)
		}
	}
}

func (c *cache) removeAll(f *cachedFile) {
	for i := 0; f.resident > 0; i++ {
		if k := f.chunks[i].Load(); k != nil {
			c.remove(k)
			c.unpin(k)
		}
	}
}

// remove takes a chunk out of the tables.
func (c *cache) remove(k *chunk) {
	k.file.chunks[k.index].Store(nil)
	k.file.resident--
	c.bytes -= int64(len(k.data))
	last := len(c.kept) - 1
	c.kept[k.slot] = c.kept[last]
	c.kept[k.slot].slot = k.slot
	c.kept = slices.Delete(c.kept, last, last+1)
}
