package tftp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"
)

// writes is the part of a server that takes files from clients. Boards write logs
// and crash images, a few at a time and none of them in a hurry, so each has a
// goroutine of its own on every system, and a socket unless there is a single port.
type writes struct {
	options *Options
	epoch   time.Time // zero of the state machines' time
	seed    maphash.Seed
	running sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closing bool
	current map[netip.AddrPort]*writing // by the client's end
}

func newWrites(o *Options) *writes {
	return &writes{options: o, epoch: time.Now(), seed: maphash.MakeSeed(), current: make(map[netip.AddrPort]*writing)}
}

// A writing carries out one write transfer.
type writing struct {
	writes  *writes
	request Request
	digest  uint64 // of the WRQ's bytes
	event   Transfer
	began   time.Time
	bytes   atomic.Int64
	begun   atomic.Bool // DATA has come
	stored  atomic.Bool // the file is in place: it only stays for a last ACK that was lost

	cancel context.CancelCauseFunc // ends it; the cause says why
	conn   transferConn
	again  atomic.Bool // the WRQ came once more: repeat the first answer

	deposit Deposit
	settled bool // the deposit was committed, or that was tried
	x       reception
	sink    io.Writer // the deposit, or what translates netascii into it
	plain   *netasciiWriter
}

// request takes a WRQ of the bytes b. If it is refused, the fault and the reason
// are returned; a transfer that began reports itself.
func (w *writes) request(ctx context.Context, r Request, t Transfer, c *requestConn, d datagram, b []byte) (wireError, error) {
	if w.options.Depot == nil {
		return wireReadOnly, errReadOnly
	}
	one := &writing{writes: w, request: r, digest: maphash.Bytes(w.seed, b), event: t, began: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.current[t.Client]
	switch {
	case w.closing:
		return wireError{}, nil
	case old != nil && old.digest == one.digest && !old.begun.Load():
		old.repeat()
		return wireError{}, nil
	case old != nil:
		old.cancel(errReplaced) // its place is the new one's
	default:
		if err := w.enter(t.Client.Addr(), d.arrival(c)); err != nil {
			return wireBusy, err
		}
	}
	ctx, one.cancel = context.WithCancelCause(ctx)
	w.current[t.Client] = one
	w.running.Go(func() { one.run(ctx, c, d) })
	return wireError{}, nil
}

// enter takes a place, in the last resort that of a transfer that has all it
// wanted. The caller holds w.mu.
func (w *writes) enter(client netip.Addr, by unique.Handle[arrival]) error {
	err := w.options.gate.enter(client, by)
	if err != nil && w.drop(whose(err, client)) {
		err = w.options.gate.enter(client, by)
	}
	return err
}

// evict ends a transfer whose file is in place, one of addr unless that is the zero
// Addr, and tells whether there was one.
func (w *writes) evict(addr netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drop(addr)
}

// drop is evict where the caller holds w.mu.
func (w *writes) drop(addr netip.Addr) bool {
	for client, one := range w.current {
		if one.stored.Load() && (!addr.IsValid() || client.Addr() == addr) {
			one.cancel(errReplaced)
			w.leave(one)
			return true
		}
	}
	return false
}

// leave gives the place of a transfer free, unless that was done or another one has
// it. The caller holds w.mu.
func (w *writes) leave(one *writing) {
	if client := one.event.Client; w.current[client] == one {
		delete(w.current, client)
		w.options.gate.leave(client.Addr())
	}
}

// stopListening takes no more requests.
func (w *writes) stopListening() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
}

// cut ends all transfers and tells how many there were.
func (w *writes) cut() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.current {
		one.cancel(errShutdown)
	}
	return len(w.current)
}

// transfers are those that run.
func (w *writes) transfers() []Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Progress
	for _, one := range w.current {
		list = append(list, Progress{Client: one.event.Client, File: one.request.Name, Size: -1, Bytes: one.bytes.Load(), Since: one.began})
	}
	return list
}

// repeat makes the transfer send its first answer again.
func (x *writing) repeat() {
	x.again.Store(true)
	if x.conn != nil {
		_ = x.conn.SetReadDeadline(time.Unix(1, 0)) // long ago: ends the wait
	}
}

func (x *writing) now() time.Duration { return time.Since(x.writes.epoch) }

// run carries the transfer out and reports how it ended.
func (x *writing) run(ctx context.Context, c *requestConn, d datagram) {
	defer x.cancel(nil)
	end := x.serve(ctx, c, d)
	x.event.Result, x.event.Err = end.result, end.err
	x.event.Bytes, x.event.Duration = x.x.bytes, time.Since(x.began)
	if x.x.complete {
		x.event.Size = x.x.bytes
		x.event.Duration = x.x.progressAt - x.began.Sub(x.writes.epoch) // the dallying does not count
	}
	w := x.writes
	w.mu.Lock()
	w.leave(x)
	w.mu.Unlock()
	w.options.report(x.event)
}

// serve opens the socket and the deposit, and sees the transfer to its end.
func (x *writing) serve(ctx context.Context, c *requestConn, d datagram) intake {
	conn, err := x.writes.options.ports.open(c, d)
	if err != nil {
		return intake{ended: true, result: Failed, err: fmt.Errorf("cannot open a socket for the transfer: %w", err)}
	}
	defer func() { _ = conn.Close() }() // nothing is lost by a UDP socket that does not close
	x.writes.mu.Lock()
	x.conn = conn
	x.writes.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()

	announced := announcedSize(x.request.Options)
	where := OpenRequest{Client: x.event.Client, Local: x.event.Local, Name: x.request.Name}
	if x.deposit, err = x.writes.options.Depot.Create(ctx, where, announced); err != nil {
		o := intake{fault: depotFault(err), ended: true, result: Refused, err: err}
		x.send(o)
		return o
	}
	x.event.Label = x.deposit.Label()
	x.sink = x.deposit
	if x.request.Mode == Netascii {
		x.plain = &netasciiWriter{to: x.deposit}
		x.sink = x.plain
	}
	t := negotiate(x.request.Options, x.writes.options.offer(x.writes.options.ports.fits(fitting(d.mtu(), x.event.Client.Addr().Is6())), Limits{}, announced))
	x.event.Blksize, x.event.Windowsize = t.blksize, t.windowsize
	var first intake
	x.x, first = newReception(t, x.now())
	end := x.loop(ctx, first, make([]byte, headerLen+int(t.blksize)+1))
	if !x.settled {
		end.err = errors.Join(end.err, x.deposit.Abort())
	}
	return end
}

// announcedSize is what the client says of the file by tsize, or -1.
func announcedSize(options []Option) int64 {
	for _, o := range options {
		if n, ok := parseNumber(o.Value); ok && strings.EqualFold(o.Name, "tsize") {
			return n
		}
	}
	return -1
}

// loop does what the state machine wants until the transfer has ended.
func (x *writing) loop(ctx context.Context, o intake, buf []byte) intake {
	for {
		if o.commit {
			if err := x.commit(); err != nil {
				o = x.refused(err)
			}
		}
		x.send(o)
		if o.ended {
			return o
		}
		o = x.await(ctx, buf, o.deadline)
	}
}

// commit puts the file in place.
func (x *writing) commit() error {
	if x.plain != nil {
		if err := x.plain.flush(); err != nil {
			return err
		}
	}
	x.settled = true
	err := x.deposit.Commit()
	x.stored.Store(err == nil)
	return err
}

// refused ends the transfer because the depot does not take more.
func (x *writing) refused(err error) intake {
	x.x.complete = false
	o := x.x.stop(depotFault(err), err)
	o.result = Refused
	return o
}

// send sends what o names. What cannot be sent counts as lost.
func (x *writing) send(o intake) {
	var b []byte
	switch {
	case o.fault.code != 0:
		b = o.fault.packet()
	case o.oack:
		b = x.x.terms.oack.Append(nil)
	case o.ack:
		b = Packet{Op: OpACK, Block: o.block}.Append(nil)
	default:
		return
	}
	_, _ = x.conn.WriteToUDPAddrPort(b, x.event.Client)
}

// await waits for a packet, for the deadline or for the end of ctx, and tells the
// state machine. Data is stored before it is acknowledged.
func (x *writing) await(ctx context.Context, buf []byte, deadline time.Duration) intake {
	if err := x.conn.SetReadDeadline(x.writes.epoch.Add(deadline)); err != nil {
		return x.x.stop(wireError{}, err)
	}
	switch {
	case ctx.Err() != nil:
		return x.cancelled(ctx)
	case x.again.Swap(false):
		return x.x.answer(x.now())
	}
	n, from, err := x.conn.ReadFromUDPAddrPort(buf)
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), err != nil && isPassing(err):
		return x.x.tick(x.now())
	case err != nil:
		return x.x.stop(wireError{}, fmt.Errorf("read from the transfer's socket: %w", err))
	case !isSameEnd(from, x.event.Client):
		answerStranger(x.conn, buf[:n], from, x.event.Client)
		return x.x.tick(x.now())
	}
	p, err := ParsePacket(buf[:n])
	if err != nil {
		return x.x.tick(x.now()) // as if lost
	}
	o := x.x.packet(p, x.now())
	if o.store {
		x.begun.Store(true)
		if _, err := x.sink.Write(p.Data); err != nil {
			return x.refused(err)
		}
		x.bytes.Store(x.x.bytes)
	}
	return o
}

// cancelled ends the transfer for the reason that ctx gives. A client that has
// begun anew hears nothing: it would take an ERROR for one of the new transfer.
func (x *writing) cancelled(ctx context.Context) intake {
	cause := context.Cause(ctx)
	switch {
	case x.x.complete:
		return intake{ended: true, result: Delivered}
	case errors.Is(cause, errReplaced):
		return x.x.stop(wireError{}, cause)
	}
	return x.x.stop(wireShutdown, errShutdown)
}
