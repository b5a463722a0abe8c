package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// ackBuffer is room for what a client sends during a read transfer: ACKs, and
// ERRORs with a text that is cut here.
const ackBuffer = 600

// loop does what the state machine wants until the transfer has ended.
func (x *session) loop(o output) output {
	b := make([]byte, ackBuffer)
	for {
		o = x.perform(o)
		if o.ended {
			return o
		}
		o = x.await(b, o.deadline)
	}
}

// perform sends what o names. It returns o, or what comes in its place if the
// file cannot be read.
func (x *session) perform(o output) output {
	if o.oack {
		x.write(x.transfer.terms.oack.Append(nil))
	}
	for n := o.data.first; n < o.data.end; n++ {
		b, err := x.block(n)
		if err != nil {
			o = x.transfer.stop(wireChanged, err)
			break
		}
		x.write(b)
	}
	if o.fault.code != 0 {
		x.write(o.fault.packet())
	}
	return o
}

// block makes the DATA packet of one block.
func (x *session) block(n int64) ([]byte, error) {
	begin := (n - 1) * int64(x.transfer.terms.blksize)
	size := min(int64(x.transfer.terms.blksize), x.transfer.size-begin)
	b := appendHeader(x.buf[:0], OpDATA, uint16(blockNumber(n)))[:headerLen+size]
	if size == 0 {
		return b, nil
	}
	if err := readFull(x.wire, b[headerLen:], begin); err != nil {
		return nil, fmt.Errorf("block %d: %w", n, err)
	}
	return b, nil
}

// write sends one packet to the client. What cannot be sent counts as lost, for
// it may be a full queue or a link that is down for a moment; the reason is kept
// in case nothing better is known when the transfer fails.
func (x *session) write(b []byte) {
	_, x.unsent = x.conn.WriteToUDPAddrPort(b, x.client)
}

// pollTime is how long a session with more to send looks for packets in between:
// package net does not read at all once the deadline has passed.
const pollTime = 50 * time.Microsecond

// await waits for a packet, for mail or for the deadline, and tells the state
// machine.
func (x *session) await(b []byte, deadline time.Duration) output {
	deadline = max(deadline, x.server.now()+pollTime)
	if err := x.conn.SetReadDeadline(x.server.epoch.Add(deadline)); err != nil {
		return x.transfer.stop(wireError{}, err)
	}
	// Mail that comes after this look finds the deadline set, and moves it.
	if o, ok := x.readMail(); ok {
		return o
	}
	n, from, err := x.conn.ReadFromUDPAddrPort(b)
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), err != nil && isPassing(err):
		return x.step((*transfer).tick)
	case err != nil:
		return x.transfer.stop(wireError{}, fmt.Errorf("read from the transfer's socket: %w", err))
	case !isSameEnd(from, x.client):
		answerStranger(x.conn, b[:n], from, x.client)
		return x.step((*transfer).tick)
	}
	p, err := ParsePacket(b[:n])
	if err != nil {
		return x.step((*transfer).tick) // as if lost
	}
	return x.step(func(t *transfer, now time.Duration) output { return t.packet(p, now) })
}

// readMail takes one letter; ok is false if there is none.
func (x *session) readMail() (o output, ok bool) {
	x.mu.Lock()
	m := x.mail
	x.mail.duplicates = max(0, m.duplicates-1)
	x.mu.Unlock()
	switch {
	case m.cut:
		return x.transfer.shutDown(), true
	case m.replaced:
		return x.transfer.replaced(), true
	case m.duplicates > 0:
		return x.step((*transfer).resendFirst), true
	default:
		return output{}, false
	}
}

// isSameEnd tells whether a packet that came in on a transfer's socket is its
// client's. The zone of a link-local address has a name or a number, depending on
// who read it.
func isSameEnd(from, client netip.AddrPort) bool {
	return from.Port() == client.Port() && from.Addr().WithZone("") == client.Addr().WithZone("")
}

// answerStranger tells another port of the client's address that it has no part
// in this transfer (RFC 1350 section 4). Other addresses are ignored, for they
// may be forged, and so are ERRORs, or two servers could go on for ever.
func answerStranger(conn transferConn, b []byte, from, client netip.AddrPort) {
	if from.Addr().WithZone("") != client.Addr().WithZone("") || from.Port() == 0 || len(b) < headerLen {
		return
	}
	if Opcode(binary.BigEndian.Uint16(b)) == OpERROR {
		return
	}
	// Lost or not, the transfer itself goes on.
	_, _ = conn.WriteToUDPAddrPort(wireUnknownTID.packet(), from)
}

// step runs the state machine and counts what it did.
func (x *session) step(f func(*transfer, time.Duration) output) output {
	x.mu.Lock()
	o := f(x.transfer, x.server.now())
	x.mu.Unlock()
	x.bytes.Store(x.transfer.bytes())
	x.server.retransmissions.Add(o.resent)
	return o
}
