package tftp

import "time"

// giveUp ends a transfer whose client does not answer any more, or that is
// overdue.
func (x *transfer) giveUp(now time.Duration) output {
	switch {
	case x.delivered():
		return output{ended: true, result: Delivered}
	case now >= x.overdueAt:
		return x.stop(wireOverdue, x.terms.errOverdue())
	case !x.proven:
		return x.stop(wireTimedOut, errNoAnswer)
	default:
		return x.stop(wireTimedOut, errSilent)
	}
}

// delivered tells how to judge a client that has fallen silent. Many never send
// the last ACK, or send it once and it is lost, so a last block that was sent
// counts as received. It does not if the client showed that it had not seen it,
// by asking for the file again.
func (x *transfer) delivered() bool {
	return x.lastSent() && (x.proven || !x.askedAgain)
}

// classify tells what an ERROR of the client means.
func (x *transfer) classify(p Packet) (Result, error) {
	err := &RemoteError{Code: p.Code, Text: p.Text}
	switch {
	case x.terms.tsize && x.acked < 1:
		// Nothing but the size was wanted: EDK2 sends ERROR 8, others 0 or 3.
		return Probe, nil
	case p.Code == ErrUndefined || p.Code == ErrOptionRefused:
		return Aborted, err
	default:
		return Failed, err
	}
}

// A repetition is what another RRQ from the port of a running transfer means.
type repetition int

const (
	// straggler: the same RRQ, overtaken by the client's first ACK. Ignore it.
	straggler repetition = iota
	// duplicate: the client has not seen our first packet. Send it again.
	duplicate
	// replacement: the client has begun anew. End the old transfer.
	replacement
)

// repeated judges another RRQ from the client's port. same tells that it is byte
// for byte the one that began this transfer.
func (x *transfer) repeated(same bool, now time.Duration) repetition {
	switch {
	case same && !x.proven:
		return duplicate
	case same && now-x.provenAt < stragglerTime:
		return straggler
	default:
		return replacement
	}
}

// resendFirst answers a duplicate of the RRQ, one for one. It does not count
// among our own sends.
func (x *transfer) resendFirst(now time.Duration) output {
	if x.proven {
		return x.wait() // an ACK came in between
	}
	x.askedAgain = true
	return x.sendFirst(now)
}

// replaced ends the transfer because its client has begun another one. The
// client hears nothing: it would take an ERROR for one of the new transfer.
func (x *transfer) replaced() output {
	if x.delivered() {
		return output{ended: true, result: Delivered}
	}
	return output{ended: true, result: Failed, err: errReplaced}
}

// shutDown ends the transfer because the server does. A client that only kept
// its last ACK back hears nothing.
func (x *transfer) shutDown() output {
	if x.delivered() {
		return output{ended: true, result: Delivered}
	}
	return x.stop(wireShutdown, errShutdown)
}

// delayed moves the clocks on by d, the time for which this server was not able
// to send what the state machine wanted sent. It is no silence of the client.
func (x *transfer) delayed(d time.Duration) {
	x.progressAt += d
	x.resendAt += d
	x.timedAt += d
}
