package tftp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A flow is one transfer as the batch loop keeps it: the state machine, the way
// to the client, and the file. It has no goroutine, socket or timer of its own.
// But where noted its worker's lock guards it. The order of the fields leaves no
// gaps.
type flow struct {
	route                // fixed once it is entered
	worker *worker       // fixed
	name   string        // as requested; fixed once the file is open
	began  time.Duration // when the RRQ came; fixed
	unsent atomic.Pointer[error]
	single atomic.Bool // send packets one by one; for any goroutine
	digest uint32      // of the RRQ's bytes; fixed

	passed   uint32 // chunks that have been sent
	ended    bool
	waiting  bool // for a chunk
	dallying bool // in the worker's list of those that may go

	file     *cachedFile // nil until it is open
	label    string
	x        transfer // once file is set
	pending  int64    // the first block to be sent as soon as there is room and data; up to x.next
	waitedAt time.Duration
	held     *chunk // first one of a block that lies in two, while the second is read

	tick  int64 // in the wheel; 0 if it is not in
	timer hook  // in the wheel
	dally hook  // in the worker's list of those that may go
}

// client is the client's end.
func (f *flow) client() netip.AddrPort { return f.to.addrPort() }

// conn is the socket that the RRQ came in by.
func (f *flow) conn() *requestConn { return f.by.Value().conn }

// local is the address and port that the RRQ was sent to.
func (f *flow) local() netip.AddrPort {
	by := f.by.Value()
	return netip.AddrPortFrom(by.to, by.conn.addr.Port())
}

// size is that of the file, -1 until it is open.
func (f *flow) size() int64 {
	if f.file == nil {
		return -1
	}
	return f.file.source.file.Size()
}

// hasPending tells whether blocks are to be sent.
func (f *flow) hasPending() bool { return f.pending < f.x.next }

// replaced is how a flow ends whose client has begun anew.
func (f *flow) replaced() output {
	if f.file == nil {
		return output{ended: true, result: Failed, err: errReplaced}
	}
	return f.x.replaced()
}

// segments is how many blocks go into one message.
func (f *flow) segments() int64 {
	if f.single.Load() {
		return 1
	}
	return max(1, min(maxSegments, maxMessage/(headerLen+int64(f.x.terms.blksize))))
}

// refusesSegments tells whether err means that a message was not cut into
// segments: by a device that computes no checksums (EIO), an older kernel, or
// because a link on the way is narrower than the block (EINVAL). It is
// remembered, and this flow sends packets one by one from now on. It may be
// called without the lock.
func (f *flow) refusesSegments(err error) bool {
	switch {
	case errors.Is(err, unix.EIO), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOPROTOOPT):
		f.worker.loop.interfaces.refuseSegments(f.by.Value().ifindex)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EMSGSIZE):
	default:
		return false
	}
	f.single.Store(true)
	return true
}

// event is the report of a flow that has ended at now.
func (f *flow) event(o output, now time.Duration) Transfer {
	t := Transfer{
		Client: f.client(), Local: f.local(), Direction: Read, File: f.name, Label: f.label, Tag: f.worker.tags[f], Size: f.size(),
		Duration: now - f.began, Blksize: DefaultBlksize, Windowsize: DefaultWindowsize,
		Result: o.result, Err: o.err,
	}
	if unsent := f.unsent.Load(); unsent != nil && o.err != nil {
		t.Err = fmt.Errorf("%w; sending failed: %w", o.err, sendError(*unsent))
	}
	if f.file == nil {
		return t
	}
	t.Blksize, t.Windowsize = f.x.terms.blksize, f.x.terms.windowsize
	t.Bytes, t.Resent = f.x.bytes(), f.x.resent
	if o.result == Delivered {
		t.Duration = f.x.progressAt - f.began // the dallying does not count
	}
	return t
}

// sendError gives a bare error of the system the name of the call.
func sendError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("sendmmsg: %w", errno)
	}
	return err
}

func (f *flow) progress(epoch time.Time) Progress {
	p := Progress{Client: f.client(), File: f.name, Label: f.label, Size: f.size(), Since: epoch.Add(f.began)}
	if f.file != nil {
		p.Bytes = f.x.bytes()
	}
	return p
}
