package tftp

import (
	"errors"
	"time"
)

const (
	// dally is how long a transfer stays after its last block was sent, to send
	// it again if the client does not acknowledge it (RFC 1350 section 6).
	dally = 5 * time.Second
	// maxFirstSends bounds how often the first packet is sent by our own timer,
	// the first time included, while nothing proves that the RRQ came from the
	// address it names.
	maxFirstSends = 3
	// stragglerTime is how long after the first ACK the same RRQ is taken for a
	// duplicate that was overtaken by that ACK: requests come in on another
	// socket than ACKs.
	stragglerTime = 100 * time.Millisecond
	// maxBurst is the most blocks one output names. It keeps a loop that serves a
	// window of 65535 responsive, and is also the number of segments that one
	// UDP_SEGMENT message may have.
	maxBurst = 64
)

var (
	errNoAnswer = errors.New("the client does not answer")
	errSilent   = errors.New("the client fell silent")
	errReplaced = errors.New("replaced by a new request from the same port")
	errShutdown = errors.New("the server shut down")
)

// A transfer is the state machine of one read transfer, from its first packet to
// the last ACK. Time is a value that the caller passes in: the duration since
// any moment it likes, never going back. Every method returns what to do next.
// Block numbers are absolute, counted from 1.
//
// It is a plain value of fixed size, and small, for there may be tens of thousands.
// It is not safe for concurrent use.
type transfer struct {
	terms terms
	size  int64 // payload bytes of the whole transfer
	last  int64 // the number of the last block, which is shorter than the others

	acked int64 // last block acknowledged; -1 while the OACK is not
	next  int64 // block to send next
	high  int64 // highest block ever sent

	provenAt   time.Duration // when an ACK came first
	progressAt time.Duration // start, or the last ACK that told something new
	resendAt   time.Duration // when the client's silence means loss
	overdueAt  time.Duration // when it ends, whatever its progress

	timed   int64         // blocks from here to high were sent once, and last
	timedAt time.Duration // when they were sent
	resent  int64         // DATA packets sent more than once

	rtt        estimator
	proven     bool  // an ACK came: the RRQ was not forged
	askedAgain bool  // the same RRQ came once more before any ACK
	firstSends uint8 // of the first packet, by our own timer
}

// blocks is a range of absolute block numbers, from first up to but not
// including end.
type blocks struct{ first, end int64 }

func (b blocks) count() int64 { return b.end - b.first }

// An output is what the state machine wants done. The packets go out in the
// order of the fields.
type output struct {
	oack     bool          // send the OACK
	data     blocks        // send these blocks, maxBurst at most
	resent   int64         // how many of them were sent before
	fault    wireError     // send this ERROR, unless it is zero
	deadline time.Duration // call tick at this time, or at once if it has passed

	ended  bool // nothing more to come: close
	result Result
	err    error
}

// newTransfer begins a transfer of size bytes at the time now.
func newTransfer(t terms, size int64, now time.Duration) (transfer, output) {
	x := transfer{
		terms:      t,
		size:       size,
		last:       size/int64(t.blksize) + 1,
		next:       1,
		firstSends: 1,
		progressAt: now,
		overdueAt:  now + t.maxDuration,
	}
	if t.oack != nil {
		x.acked = -1
	}
	return x, x.sendFirst(now)
}

// packet takes in a packet from the client.
func (x *transfer) packet(p Packet, now time.Duration) output {
	switch {
	case p.Op == OpERROR:
		result, err := x.classify(p)
		return output{ended: true, result: result, err: err}
	case now >= x.overdueAt:
		return x.giveUp(now) // a client whose ACKs leave no time for tick is bounded too
	case p.Op == OpACK:
		return x.ack(p.Block, now)
	default:
		// Nothing else has a place in a read transfer. Answering could begin a
		// quarrel with a broken client that lasts for ever.
		return x.wait()
	}
}

// tick takes in that it is now. It may come too early or too often.
func (x *transfer) tick(now time.Duration) output {
	switch {
	case now >= x.endAt():
		return x.giveUp(now)
	case x.hasMore():
		return x.fill(now)
	case now < x.resendAt || !x.mayResend():
		return x.wait()
	case !x.proven:
		x.firstSends++
		return x.sendFirst(now)
	}
	x.rtt.expired()
	x.next = x.acked + 1
	return x.fill(now)
}

// stop ends the transfer for a reason of ours and tells the client.
func (x *transfer) stop(fault wireError, err error) output {
	return output{fault: fault, ended: true, result: Failed, err: err}
}

// bytes is the payload that the client has acknowledged.
func (x *transfer) bytes() int64 {
	return min(max(x.acked, 0)*int64(x.terms.blksize), x.size)
}

// ack takes in an ACK. One for an older block, or for the same again, is never
// answered: otherwise every packet doubles from there on (RFC 1123 section
// 4.2.3.1, Sorcerer's Apprentice).
func (x *transfer) ack(b BlockNumber, now time.Duration) output {
	if x.acked < 0 {
		if b != 0 {
			return x.wait()
		}
		if x.firstSends == 1 && !x.askedAgain {
			x.rtt.measured(now - x.progressAt)
		}
		return x.advance(0, now)
	}
	n := b.after(x.acked)
	if n == x.acked || n > x.high {
		return x.wait()
	}
	if n >= x.timed {
		x.rtt.measured(now - x.timedAt)
	}
	return x.advance(n, now)
}

// advance goes on after block n, which the client has just acknowledged. If n is
// inside the window then what was sent after it is lost, and the next window
// begins right behind it at once (RFC 7440 section 4): a driver that holds 32
// packets, as there are in U-Boot, drops the rest of every window of 64.
func (x *transfer) advance(n int64, now time.Duration) output {
	if !x.proven {
		x.proven, x.provenAt = true, now
		x.terms.oack = nil // it is never sent again
	}
	x.acked, x.progressAt = n, now
	if n < x.high {
		x.rtt.tailLost()
	}
	if n == x.last {
		return output{ended: true, result: Delivered}
	}
	x.next = n + 1
	return x.fill(now)
}

// fill sends what the window still has room for, a burst at most.
func (x *transfer) fill(now time.Duration) output {
	b := blocks{first: x.next, end: min(x.windowEnd(), x.next+maxBurst)}
	resent := max(0, min(x.high+1, b.end)-b.first)
	x.resent += resent
	x.timed, x.timedAt = max(b.first, x.high+1), now
	x.next, x.high = b.end, max(x.high, b.end-1)
	x.resendAt = now + x.interval()
	o := x.wait()
	o.data, o.resent = b, resent
	return o
}

// windowEnd is the first block that may not be sent yet.
func (x *transfer) windowEnd() int64 {
	return min(x.acked+int64(x.terms.windowsize), x.last) + 1
}

// hasMore tells whether the rest of a window that is longer than a burst waits to
// be sent.
func (x *transfer) hasMore() bool { return x.proven && x.next < x.windowEnd() }

// sendFirst sends the first packet: the OACK, or without one block 1 alone. No
// more than that goes to an address that nothing has proven.
func (x *transfer) sendFirst(now time.Duration) output {
	if x.acked < 0 {
		x.resendAt = now + x.interval()
		o := x.wait()
		o.oack = true
		return o
	}
	x.next = 1
	return x.fill(now)
}

// interval is how long to wait for an ACK: the client's own number of seconds if
// it was echoed (RFC 2349), firstInterval before the first ACK, else as measured.
func (x *transfer) interval() time.Duration {
	switch {
	case x.terms.timeout() > 0:
		return x.terms.timeout()
	case !x.proven:
		return firstInterval
	default:
		return x.rtt.interval()
	}
}

func (x *transfer) mayResend() bool { return x.proven || x.firstSends < maxFirstSends }

// lastSent tells whether all blocks have been sent, so that only the end of the
// ACKs is missing.
func (x *transfer) lastSent() bool { return x.acked >= 0 && x.next > x.last }

// endAt is when the transfer ends without another ACK, at the latest when it is
// overdue. An address that nothing has proven gets no patience of its choice.
func (x *transfer) endAt() time.Duration {
	stay := x.terms.maxIdle
	if x.proven {
		stay = x.terms.patience()
	}
	if x.delivered() {
		stay = min(stay, x.dallyTime())
	}
	return min(x.progressAt+stay, x.overdueAt)
}

// dallyTime is how long the transfer stays after its last block was sent: long
// enough to send it four times more, at doubling intervals. An address that
// nothing has proven gets no more than maxFirstSends anyway. It does not count for
// a client that asked again before any ACK: that one is there, and misses the
// block.
func (x *transfer) dallyTime() time.Duration {
	stay := max(dally, 3*x.terms.timeout())
	if x.proven && x.terms.timeout() == 0 {
		stay = max(stay, (1+2+4+8+1)*x.rtt.base())
	}
	return stay
}

// wait is the output that does nothing but name the next deadline.
func (x *transfer) wait() output {
	d := x.endAt()
	switch {
	case x.hasMore():
		d = 0 // more to send: come back as soon as other packets had their turn
	case x.mayResend():
		d = min(d, x.resendAt)
	}
	return output{deadline: d}
}
