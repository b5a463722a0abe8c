package tftp

import (
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments is the most segments of one message (UDP_MAX_SEGMENTS; newer
	// kernels take more).
	maxSegments = 64
	// maxMessage is the most bytes of one message, all segments together: what
	// the length field of an IPv4 header leaves.
	maxMessage = 65535 - 20 - 8
	// maxVectors is how many pieces an outbox collects before it is full. A
	// message has at most 64 headers and 64 blocks, of which one in a hundred
	// lies in two chunks.
	maxVectors = 1024
)

// An outbox collects packets and sends them in batches. Data is not copied: it
// lies in chunks that are pinned until they have been sent.
type outbox struct {
	cache    *cache
	messages []message
	vectors  []unix.Iovec
	heads    []byte   // of DATA packets
	pins     []*chunk // of the data

	headers [batchSize]unix.Mmsghdr
	names   [batchSize]sockaddr
	control [batchSize][64]byte

	ready func(fd uintptr) bool // transmit, made once
	batch []unix.Mmsghdr        // for transmit
	sent  int
	errno syscall.Errno
}

// A message is one packet, or several of the same size to the same client.
type message struct {
	route
	flow       *flow  // nil if it belongs to no transfer
	first, end int    // its pieces in outbox.vectors
	segment    uint16 // bytes of each packet but the last; 0 if there is only one
}

func newOutbox(c *cache) *outbox {
	o := &outbox{cache: c}
	o.ready = o.transmit
	return o
}

// hasRoom tells whether another window may be collected. More is never lost, but
// would keep others waiting.
func (o *outbox) hasRoom() bool {
	return len(o.messages) < batchSize && len(o.vectors) < maxVectors
}

// holds tells whether a packet of f has not been sent yet.
func (o *outbox) holds(f *flow) bool {
	return slices.ContainsFunc(o.messages, func(m message) bool { return m.flow == f })
}

// add collects a packet that is no DATA.
func (o *outbox) add(r route, f *flow, b []byte) {
	first := len(o.vectors)
	o.piece(b)
	o.messages = append(o.messages, message{route: r, flow: f, first: first, end: len(o.vectors)})
}

// head begins a DATA packet.
func (o *outbox) head(n int64) {
	begin := len(o.heads)
	o.heads = appendHeader(o.heads, OpDATA, uint16(blockNumber(n)))
	o.piece(o.heads[begin:])
}

func (o *outbox) piece(b []byte) {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	o.vectors = append(o.vectors, v)
}

// flush sends everything.
func (o *outbox) flush() {
	for begin := 0; begin < len(o.messages); {
		end := begin + 1
		for end < len(o.messages) && end-begin < batchSize && o.messages[end].sock == o.messages[begin].sock {
			end++
		}
		o.send(o.messages[begin:end])
		begin = end
	}
	for _, k := range o.pins {
		o.cache.unpin(k)
	}
	clear(o.messages)
	clear(o.vectors)
	clear(o.pins)
	o.messages, o.vectors, o.heads, o.pins = o.messages[:0], o.vectors[:0], o.heads[:0], o.pins[:0]
}

// send sends messages that leave by the same socket.
func (o *outbox) send(messages []message) {
	for i := range messages {
		m := &messages[i]
		o.pack(i, m, o.vectors[m.first:m.end], m.segment)
	}
	for begin := 0; begin < len(messages); {
		n, err := o.write(messages[begin].sock, o.headers[begin:len(messages)])
		begin += n
		if err == nil {
			continue
		}
		m := &messages[begin]
		begin++
		if m.segment > 0 && m.flow.refusesSegments(err) {
			o.sendSingly(m)
			// sendSingly has used the headers.
			o.send(messages[begin:])
			return
		}
		m.failed(err)
	}
}

// failed notes why a packet could not be sent. It counts as lost, for it may be
// a full queue or a link that is down for a moment; the reason is kept in case
// nothing better is known when the transfer fails.
func (m *message) failed(err error) {
	if m.flow != nil {
		m.flow.unsent.Store(&err)
	}
}

// sendSingly sends the segments of m one by one.
func (o *outbox) sendSingly(m *message) {
	vectors, segment := o.vectors[m.first:m.end], int(m.segment)
	for begin := 0; begin < len(vectors); {
		end, size := begin, 0
		for end < len(vectors) && size < segment {
			size += int(vectors[end].Len)
			end++
		}
		o.pack(0, m, vectors[begin:end], 0)
		if _, err := o.write(m.sock, o.headers[:1]); err != nil {
			m.failed(err)
		}
		begin = end
	}
}

// pack prepares header i for the kernel.
func (o *outbox) pack(i int, m *message, vectors []unix.Iovec, segment uint16) {
	h := &o.headers[i].Hdr
	h.Name = (*byte)(unsafe.Pointer(&o.names[i]))
	h.Namelen = writeSockaddr(&o.names[i], &m.to, m.sock.v6)
	h.Iov = &vectors[0]
	h.SetIovlen(len(vectors))
	h.Control = nil
	n := m.control(o.control[i][:], segment)
	if n > 0 {
		h.Control = &o.control[i][0]
	}
	h.SetControllen(n)
}

// write sends a batch. If an error is returned it is that of the message after
// the n that were sent.
func (o *outbox) write(s *socket, batch []unix.Mmsghdr) (n int, err error) {
	o.batch, o.sent, o.errno = batch, 0, 0
	if err := s.out.Write(o.ready); err != nil {
		return 0, err
	}
	if o.errno != 0 {
		return 0, o.errno
	}
	return o.sent, nil
}

// transmit sends what the socket's buffer takes. While that is nothing it blocks,
// or is false where the socket must not block: then the runtime's poller waits.
// The scheduler is told only where it blocks, see [inbox.receive].
func (o *outbox) transmit(fd uintptr) bool {
	call, flags := unix.RawSyscall6, uintptr(unix.MSG_DONTWAIT)
	for {
		n, _, errno := call(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.batch[0])), uintptr(len(o.batch)), flags, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN && flags != 0:
			call, flags = unix.Syscall6, 0
			continue
		case errno == 0:
			o.sent = int(n)
		}
		o.errno = errno
		return errno != unix.EAGAIN
	}
}
