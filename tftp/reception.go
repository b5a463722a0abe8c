package tftp

import "time"

// firstAckInterval is how long DATA is awaited before the last ACK is sent again
// for the first time. A client resends by its own timer, and two that resend get
// into each other's way.
const firstAckInterval = time.Second

// A reception is the state machine of one write transfer, from its first packet
// to the last ACK: the client sends DATA, we acknowledge. Like [transfer] it is a
// plain value: time goes in as a duration, and what to do comes out. It has no
// socket, no clock and no goroutine, and writes no file.
type reception struct {
	terms terms

	have        int64 // last block received in order, counted from 1
	bytes       int64 // payload received in order
	inWindow    int64 // blocks received since the last ACK
	complaintAt int64 // block after which a gap was last complained about; -1 for none

	started  bool // a DATA came: the WRQ was not forged
	complete bool // the last block is stored

	tries      int           // of the last ACK, by our own timer
	progressAt time.Duration // start, or the last block in order
	resendAt   time.Duration // when the client's silence means that our ACK was lost
	overdueAt  time.Duration // when it ends, whatever its progress
}

// An intake is what a [reception] wants done, in the order of the fields.
type intake struct {
	store    bool          // store the data of the packet that was taken in
	commit   bool          // it was the last: put the file in place before it is acknowledged
	oack     bool          // send the OACK
	ack      bool          // send an ACK
	block    BlockNumber   // that the ACK names
	fault    wireError     // send this ERROR, unless it is zero
	deadline time.Duration // call tick at this time

	ended  bool // nothing more to come: close
	result Result
	err    error
}

// newReception begins a write transfer at the time now: the OACK, or without
// options an ACK of block 0, tells the client to send (RFC 1350 section 4).
func newReception(t terms, now time.Duration) (reception, intake) {
	x := reception{terms: t, complaintAt: -1, progressAt: now, overdueAt: now + t.maxDuration}
	return x, x.answer(now)
}

// packet takes in a packet from the client.
func (x *reception) packet(p Packet, now time.Duration) intake {
	switch {
	case p.Op == OpERROR:
		return x.classify(p)
	case now >= x.overdueAt:
		return x.giveUp(now)
	case p.Op != OpDATA || len(p.Data) > int(x.terms.blksize):
		// Nothing else has a place here; see [transfer.packet].
		return x.wait()
	}
	x.started = true
	n := p.Block.after(x.have)
	switch {
	case n == x.have+1 && !x.complete:
		return x.take(p, now)
	case n == x.have:
		// The client has not seen our ACK of this block and sends it again.
		return x.answer(now)
	case n > x.have && n <= x.have+int64(x.terms.windowsize):
		return x.complain(now)
	default:
		return x.wait() // older: on its way for long, and acknowledged since
	}
}

// take goes on by the block that was awaited. An ACK is due at the end of each
// window and after the last block (RFC 7440 section 4).
func (x *reception) take(p Packet, now time.Duration) intake {
	x.have++
	x.bytes += int64(len(p.Data))
	x.inWindow++
	x.complaintAt, x.tries = -1, 0
	x.progressAt, x.resendAt = now, now+x.interval()
	x.complete = len(p.Data) < int(x.terms.blksize)
	o := x.wait()
	if x.complete || x.inWindow >= int64(x.terms.windowsize) {
		o = x.answer(now)
	}
	o.store, o.commit = true, x.complete
	return o
}

// complain acknowledges the last block in order once, when a later one shows that
// some were lost: the client goes on from there (RFC 7440 section 4). The rest of
// the same window is met with silence, or each of its packets would start a
// window of its own.
func (x *reception) complain(now time.Duration) intake {
	if x.complaintAt == x.have {
		return x.wait()
	}
	o := x.answer(now)
	x.complaintAt = x.have
	return o
}

// tick takes in that it is now. It may come too early or too often.
func (x *reception) tick(now time.Duration) intake {
	switch {
	case now >= x.endAt():
		return x.giveUp(now)
	case now < x.resendAt || x.complete || !x.started && x.tries >= maxFirstSends-1:
		return x.wait()
	}
	x.tries++
	x.complaintAt = -1
	return x.answer(now)
}

// giveUp ends a transfer whose client does not send any more, or that is overdue.
func (x *reception) giveUp(now time.Duration) intake {
	switch {
	case x.complete:
		return intake{ended: true, result: Delivered}
	case now >= x.overdueAt:
		return x.stop(wireOverdue, x.terms.errOverdue())
	case !x.started:
		return x.stop(wireTimedOut, errNoAnswer)
	default:
		return x.stop(wireTimedOut, errSilent)
	}
}

// stop ends the transfer for a reason of ours and tells the client.
func (x *reception) stop(fault wireError, err error) intake {
	return intake{fault: fault, ended: true, result: Failed, err: err}
}

// answer acknowledges what has come in order. The first answer is the OACK, if
// there is one.
func (x *reception) answer(now time.Duration) intake {
	x.inWindow = 0
	x.resendAt = now + x.interval()
	o := x.wait()
	if x.have == 0 && x.terms.oack != nil {
		o.oack = true
		return o
	}
	o.ack, o.block = true, blockNumber(x.have)
	return o
}

// interval is how long to wait for DATA before the last ACK is sent again: the
// client's own number of seconds if it was echoed, else 1 s and doubling. The
// client has a timer too, and does most of the work.
func (x *reception) interval() time.Duration {
	if x.terms.timeout() > 0 {
		return x.terms.timeout()
	}
	return min(firstAckInterval<<x.tries, maxInterval)
}

// endAt is when the transfer ends without another packet, and at the latest when
// it is overdue. After the last block it stays to acknowledge that once more,
// should the ACK be lost.
func (x *reception) endAt() time.Duration {
	stay := x.terms.maxIdle // for an address that nothing has proven
	switch {
	case x.complete:
		stay = max(dally, 2*x.terms.timeout())
	case x.started:
		stay = x.terms.patience()
	}
	return min(x.progressAt+stay, x.overdueAt)
}

// wait is the intake that does nothing but name the next deadline.
func (x *reception) wait() intake {
	d := x.endAt()
	if !x.complete && (x.started || x.tries < maxFirstSends-1) {
		d = min(d, x.resendAt)
	}
	return intake{deadline: d}
}

// classify tells what an ERROR of the client means. A client that has sent its
// last block may close with one.
func (x *reception) classify(p Packet) intake {
	err := &RemoteError{Code: p.Code, Text: p.Text}
	switch {
	case x.complete:
		return intake{ended: true, result: Delivered}
	case p.Code == ErrUndefined || p.Code == ErrOptionRefused:
		return intake{ended: true, result: Aborted, err: err}
	}
	return intake{ended: true, result: Failed, err: err}
}
