package tftp

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"
)

// A session carries out one transfer: it has the socket, the clock and the file
// that the state machine does not know. This is the plain portable shape, a
// goroutine and a socket for each.
type session struct {
	server  *plainLoop
	client  netip.AddrPort
	local   netip.AddrPort // address and port the RRQ went to
	by      unique.Handle[arrival]
	request Request
	digest  uint64 // of the RRQ's bytes
	began   time.Duration
	since   time.Time

	conn   transferConn
	buf    []byte      // one DATA packet
	wire   io.ReaderAt // the bytes to send: the file, or its netascii form
	event  Transfer    // for the report
	unsent error       // why the last packet could not be sent
	opened atomic.Pointer[openedFile]
	bytes  atomic.Int64 // acknowledged

	mu       sync.Mutex // guards what follows
	mail     mail
	wake     func()    // ends the wait that the session is in; nil before it runs
	transfer *transfer // nil until the file is open
}

// openedFile is what is known of a file once it is open.
type openedFile struct {
	label string
	size  int64
}

// mail is what others have to say to a session.
type mail struct {
	duplicates int  // RRQs to be answered with the first packet again
	replaced   bool // the client has begun anew
	cut        bool // the server shuts down
}

func newSession(s *plainLoop, r Request, t Transfer, by unique.Handle[arrival], digest uint64) *session {
	return &session{
		server: s, client: t.Client, local: t.Local, by: by,
		request: r, digest: digest, began: s.now(), since: time.Now(), event: t,
	}
}

func (x *session) progress() Progress {
	p := Progress{Client: x.client, File: x.request.Name, Size: -1, Bytes: x.bytes.Load(), Since: x.since}
	if o := x.opened.Load(); o != nil {
		p.Label, p.Size = o.label, o.size
	}
	return p
}

// post puts something into the mail and ends the session's wait.
func (x *session) post(change func(*mail)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(&x.mail)
	if x.wake != nil {
		x.wake()
	}
}

// yieldsTo decides about another RRQ from the port of x, and tells whether a
// session for it may begin.
func (x *session) yieldsTo(next *session, now time.Duration) bool {
	same := x.digest == next.digest
	x.mu.Lock()
	verdict := straggler // same RRQ while the file is being opened: the answer is on its way
	switch {
	case x.transfer != nil:
		verdict = x.transfer.repeated(same, now)
	case !same:
		verdict = replacement
	}
	x.mu.Unlock()
	switch verdict {
	case duplicate:
		x.post(func(m *mail) { m.duplicates++ })
	case replacement:
		x.post(func(m *mail) { m.replaced = true })
	case straggler:
	}
	return verdict == replacement
}

// run carries the transfer out and reports how it ended.
func (x *session) run(ctx context.Context, c *requestConn, d datagram) {
	end := x.serve(ctx, c, d)
	x.event.Result, x.event.Err = end.result, end.err
	if x.unsent != nil && end.err != nil {
		x.event.Err = fmt.Errorf("%w; sending failed: %w", end.err, x.unsent)
	}
	x.event.Duration = x.server.now() - x.began
	if t := x.transfer; t != nil {
		x.event.Blksize, x.event.Windowsize = t.terms.blksize, t.terms.windowsize
		x.event.Bytes, x.event.Resent = t.bytes(), t.resent
		if end.result == Delivered {
			x.event.Duration = t.progressAt - x.began // the dallying does not count
		}
	}
	x.server.leave(x)
	x.server.options.report(x.event)
}

// serve has its own end of the line, most often a socket and so its own TID, from
// the start: an ERROR about a name comes from there too, also when the port for
// requests is closed by then.
func (x *session) serve(ctx context.Context, c *requestConn, d datagram) output {
	conn, err := x.server.options.ports.open(c, d)
	if err != nil {
		return output{ended: true, result: Failed, err: fmt.Errorf("cannot open a socket for the transfer: %w", err)}
	}
	x.conn = conn
	defer func() { _ = conn.Close() }() // nothing is lost by a UDP socket that does not close
	file, wire, size, refusal := x.open(ctx)
	if file != nil {
		defer func() { _ = file.Close() }() // it was only read
	}
	if refusal.ended {
		x.perform(refusal)
		return refusal
	}
	x.wire = wire
	return x.loop(x.begin(file, size, d.mtu()))
}

// open finds the file and what of it goes on the wire: size bytes. If that is
// not to be, refusal tells why. file must be closed if it is not nil.
func (x *session) open(ctx context.Context) (file File, wire io.ReaderAt, size int64, refusal output) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.setWake(cancel)
	file, err := x.server.options.Opener.Open(ctx, OpenRequest{Client: x.client, Local: x.local, Name: x.request.Name})
	if err != nil {
		return nil, nil, 0, x.refusal(ctx, err)
	}
	size, wire = file.Size(), file
	if size < 0 {
		return file, nil, 0, x.refusal(ctx, fmt.Errorf("the file's size is %d", size))
	}
	x.event.Label, x.event.Tag = file.Label(), tagOf(file)
	if x.request.Mode == Netascii {
		translated, err := newNetasciiReader(ctx, file, size)
		if err != nil {
			return file, nil, 0, x.refusal(ctx, err)
		}
		size, wire = translated.wire, translated
	}
	x.event.Size = file.Size()
	x.opened.Store(&openedFile{label: file.Label(), size: file.Size()})
	return file, wire, size, output{}
}

// refusal tells how the transfer ends because its file was not opened.
func (x *session) refusal(ctx context.Context, err error) output {
	x.mu.Lock()
	replaced := x.mail.replaced
	x.mu.Unlock()
	if replaced {
		return output{ended: true, result: Failed, err: errReplaced}
	}
	return refusal(ctx, err)
}

// setWake says what ends the wait that the session is going into, and does so at
// once if there is mail.
func (x *session) setWake(wake func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wake = wake
	if x.mail != (mail{}) {
		wake()
	}
}

// begin settles the options and starts the state machine.
func (x *session) begin(file File, size int64, mtu int) output {
	t, first := newTransfer(x.server.options.terms(x.request, file.Limits(), size, fitting(mtu, x.client.Addr().Is6())), size, x.server.now())
	x.buf = make([]byte, headerLen+int(t.terms.blksize))
	conn := x.conn
	x.mu.Lock()
	x.transfer = &t
	x.wake = func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) } // long ago
	x.mu.Unlock()
	return first
}
