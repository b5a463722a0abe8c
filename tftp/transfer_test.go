package tftp

import (
	"encoding/binary"
	"testing"
	"time"
)

// rrq begins a transfer at time 0 that the test then drives step by step.
func rrq(t terms, size int64) (*transfer, output) {
	x, o := newTransfer(t, size, 0)
	return &x, o
}

func ack(n BlockNumber) Packet { return Packet{Op: OpACK, Block: n} }

func wantBlocks(t *testing.T, o output, first, end int64) {
	t.Helper()
	if o.data != (blocks{first, end}) {
		t.Fatalf("got blocks %v, want %d up to %d", o.data, first, end)
	}
}

func wantNothing(t *testing.T, o output) {
	t.Helper()
	if o.oack || o.data.count() != 0 || o.fault.code != 0 || o.ended {
		t.Fatalf("got %+v, want nothing to be sent", o)
	}
}

func TestTransferSendsNoDataBeforeACK0(t *testing.T) {
	t.Parallel()
	x, o := rrq(withOptions(512, 16), 1<<20)
	if !o.oack || o.data.count() != 0 {
		t.Fatalf("got %+v, want the OACK alone", o)
	}
	wantNothing(t, x.packet(ack(1), 0))
	wantBlocks(t, x.packet(ack(0), 0), 1, 17)
}

func TestTransferGoesOnFromAcknowledgedBlock(t *testing.T) {
	t.Parallel()
	x, _ := rrq(withOptions(512, 64), 1<<20)
	wantBlocks(t, x.packet(ack(0), 0), 1, 65)
	wantBlocks(t, x.packet(ack(32), 0), 33, 97)
	wantNothing(t, x.packet(ack(32), 0))
	wantNothing(t, x.packet(ack(7), 0))
	wantNothing(t, x.packet(ack(97), 0))
	if x.resent != 32 {
		t.Errorf("sent %d blocks again, want 32", x.resent)
	}
}

func TestTransferSplitsLongWindows(t *testing.T) {
	t.Parallel()
	x, _ := rrq(withOptions(512, 150), 1<<20)
	wantBlocks(t, x.packet(ack(0), 0), 1, 65)
	o := x.packet(ack(0), 0) // a duplicate does not disturb it
	wantNothing(t, o)
	if o.deadline > 0 {
		t.Errorf("got deadline %v, want to be called at once", o.deadline)
	}
	wantBlocks(t, x.tick(0), 65, 129)
	wantBlocks(t, x.tick(0), 129, 151)
	wantNothing(t, x.tick(0))
}

func TestTransferObeysTimeoutOption(t *testing.T) {
	t.Parallel()
	asked := plain
	asked.seconds = 3
	x, o := rrq(asked, 5000)
	for i := range 2 {
		if want := time.Duration(i+1) * asked.timeout(); o.deadline != want {
			t.Fatalf("got deadline %v, want %v", o.deadline, want)
		}
		wantNothing(t, x.tick(o.deadline-1))
		o = x.tick(o.deadline)
		wantBlocks(t, o, 1, 2)
	}
	o = x.packet(ack(1), 7*time.Second)
	for i := range 3 {
		if want := time.Duration(i+1)*asked.timeout() + 7*time.Second; o.deadline != want {
			t.Fatalf("after the first ACK: got deadline %v, want %v", o.deadline, want)
		}
		o = x.tick(o.deadline)
		wantBlocks(t, o, 2, 3)
	}
}

func TestTransferIntervals(t *testing.T) {
	t.Parallel()
	x, o := rrq(plain, 1<<20)
	if o.deadline != firstInterval {
		t.Errorf("before the first ACK: got %v, want %v", o.deadline, firstInterval)
	}
	now := 200 * time.Millisecond
	o = x.packet(ack(1), now)
	if want := now + 600*time.Millisecond; o.deadline != want { // RTT + 4 * RTT/2, RFC 6298
		t.Errorf("after a round trip of %v: got %v, want %v", now, o.deadline, want)
	}
	for i := range 5 {
		now = o.deadline
		o = x.tick(now)
		if want := now + min(600*time.Millisecond<<(i+1), maxInterval); o.deadline != want {
			t.Errorf("resend %d: got %v, want %v", i+1, o.deadline, want)
		}
	}
}

func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	x, _ := rrq(withOptions(512, 1), 5000)
	if got := x.repeated(false, 0); got != replacement {
		t.Errorf("another RRQ before any ACK: got %d, want a replacement", got)
	}
	if got := x.repeated(true, 0); got != duplicate {
		t.Errorf("the same RRQ before any ACK: got %d, want a duplicate", got)
	}
	for range 10 {
		if o := x.resendFirst(0); !o.oack {
			t.Fatalf("got %+v, want the OACK", o)
		}
	}
	if x.firstSends != 1 {
		t.Errorf("answers to duplicates count as %d sends of our own, want 1", x.firstSends)
	}
	x.packet(ack(0), time.Second)
	if got := x.repeated(true, time.Second+stragglerTime-1); got != straggler {
		t.Errorf("the same RRQ on the heels of ACK 0: got %d, want a straggler", got)
	}
	if got := x.repeated(true, time.Second+stragglerTime); got != replacement {
		t.Errorf("the same RRQ after ACK 0: got %d, want a replacement", got)
	}
	wantNothing(t, x.resendFirst(time.Second))
	if o := x.replaced(); o.result != Failed || o.fault.code != 0 {
		t.Errorf("got %+v, want a silent failure", o)
	}
}

func TestClientError(t *testing.T) {
	t.Parallel()
	sized := withOptions(512, 1)
	sized.tsize = true
	for _, c := range []struct {
		name  string
		terms terms
		acks  []BlockNumber
		code  ErrorCode
		want  Result
	}{
		{name: "ERROR 8 after an OACK with tsize", terms: sized, code: ErrOptionRefused, want: Probe},
		{name: "ERROR 0 after ACK 0, before any data", terms: sized, acks: []BlockNumber{0}, code: ErrUndefined, want: Probe},
		{name: "ERROR 8 after an OACK without tsize", terms: withOptions(512, 1), code: ErrOptionRefused, want: Aborted},
		{name: "ERROR 4 after an OACK without tsize", terms: withOptions(512, 1), code: ErrIllegal, want: Failed},
		{name: "ERROR 0 later", terms: sized, acks: []BlockNumber{0, 1}, code: ErrUndefined, want: Aborted},
		{name: "ERROR 8 later", terms: sized, acks: []BlockNumber{0, 1}, code: ErrOptionRefused, want: Aborted},
		{name: "ERROR 3 later", terms: sized, acks: []BlockNumber{0, 1}, code: ErrDiskFull, want: Failed},
		{name: "ERROR 0 without options", terms: plain, code: ErrUndefined, want: Aborted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, _ := rrq(c.terms, 5000)
			for _, n := range c.acks {
				x.packet(ack(n), 0)
			}
			o := x.packet(Packet{Op: OpERROR, Code: c.code, Text: "no"}, 0)
			if !o.ended || o.result != c.want || o.fault.code != 0 || o.data.count() != 0 {
				t.Errorf("got %+v, want %s and no packet", o, c.want)
			}
			if (o.err == nil) != (c.want == Probe) {
				t.Errorf("got error %v", o.err)
			}
		})
	}
}

func TestSilenceAfterLastBlock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		play func(x *transfer) output
		want Result
	}{
		{name: "block 1 is the last", want: Delivered, play: func(x *transfer) output { return x.tick(DefaultMaxIdle) }},
		{name: "but the client asked again", want: Failed, play: func(x *transfer) output {
			x.resendFirst(time.Second)
			return x.tick(DefaultMaxIdle)
		}},
		{name: "shut down meanwhile", want: Delivered, play: func(x *transfer) output { return x.shutDown() }},
		{name: "replaced meanwhile", want: Delivered, play: func(x *transfer) output { return x.replaced() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, _ := rrq(plain, 100)
			if o := c.play(x); !o.ended || o.result != c.want || (o.fault.code == 0) != (c.want == Delivered) {
				t.Errorf("got %+v, want %s", o, c.want)
			}
		})
	}
}

func TestOverdueTransferEnds(t *testing.T) {
	t.Parallel()
	brief := plain
	brief.lifetimes = &lifetimes{maxIdle: DefaultMaxIdle, maxDuration: time.Minute}
	x, o := rrq(brief, 1<<20)
	now, n := time.Duration(0), BlockNumber(0)
	for ; now < brief.maxDuration; now += 10 * time.Second {
		n++
		if o = x.packet(ack(n), now); o.ended || o.deadline > brief.maxDuration {
			t.Fatalf("after %v: got %+v, want to go on", now, o)
		}
	}
	x.delayed(time.Second) // the limit stays where it is
	for name, o := range map[string]output{"an ACK": x.packet(ack(n+1), now), "no ACK": x.tick(now)} {
		if !o.ended || o.result != Failed || o.fault != wireOverdue || o.err == nil || o.err.Error() != "the transfer took longer than 1m0s" {
			t.Errorf("%s: got %+v, want the end", name, o)
		}
	}
	brief.lifetimes = &lifetimes{maxIdle: DefaultMaxIdle, maxDuration: time.Second}
	x, _ = rrq(brief, 100)
	if o = x.tick(time.Second); !o.ended || o.result != Delivered || o.fault.code != 0 {
		t.Errorf("after the last block: got %+v, want it delivered", o)
	}
}

func TestBlockNumberWraps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base   int64
		number BlockNumber
		want   int64
	}{
		{0, 0, 0},
		{0, 65535, 65535},
		{65535, 0, 65536},
		{65536, 65535, 131071},
		{1<<40 + 5, 4, 1<<40 + 65536 + 4},
	} {
		if got := c.number.after(c.base); got != c.want {
			t.Errorf("%d after %d: got %d, want %d", c.number, c.base, got, c.want)
		}
	}
}

// A transferProbe feeds a state machine with anything, and looks after each step
// at what must hold whatever comes.
type transferProbe struct {
	t          *testing.T
	x          transfer
	o          output
	now        time.Duration
	firstSends int // of the first packet, by the machine's own timer
}

// limit is how long a transfer may go on without progress.
func (p *transferProbe) limit() time.Duration {
	if p.x.proven {
		return p.x.terms.patience()
	}
	return p.x.terms.maxIdle
}

// step lets one thing happen. own tells that nothing came from the client.
func (p *transferProbe) step(own bool, f func(x *transfer) output) {
	before := p.x
	p.o = f(&p.x)
	x, o := &p.x, p.o
	sends := o.oack || o.data.count() > 0
	if own && sends && !before.proven {
		p.firstSends++
	}
	switch n := o.data.count(); {
	case p.firstSends > maxFirstSends:
		p.t.Fatalf("the first packet is sent %d times", p.firstSends)
	case x.acked > max(x.high, 0) || x.bytes() < before.bytes() || x.bytes() > x.size:
		p.t.Fatalf("acknowledged %d of %d sent, %d bytes after %d", x.acked, x.high, x.bytes(), before.bytes())
	case n < 0 || n > maxBurst || n > 0 && (o.data.first < 1 || o.data.end > x.last+1):
		p.t.Fatalf("blocks %v of %d", o.data, x.last)
	case n > 0 && (x.acked < 0 || o.data.end > x.acked+int64(x.terms.windowsize)+1):
		p.t.Fatalf("blocks %v with ACK %d and windows of %d", o.data, x.acked, x.terms.windowsize)
	case !x.proven && o.data.end > 2:
		p.t.Fatalf("blocks %v to an address that nothing has proven", o.data)
	case o.ended && (sends || o.result == ""):
		p.t.Fatalf("ended with %+v", o)
	case !o.ended && (o.deadline > x.progressAt+p.limit() || own && p.now >= before.progressAt+p.limit()):
		p.t.Fatalf("at %v: goes on until %v without progress since %v", p.now, o.deadline, x.progressAt)
	}
}

// stale tells that an ACK has nothing new to say; then nothing may be sent, or
// every packet doubles from there on.
func (p *transferProbe) stale(b BlockNumber) bool {
	if p.x.acked < 0 {
		return b != 0
	}
	n := b.after(p.x.acked)
	return n == p.x.acked || n > p.x.high
}

func (p *transferProbe) ack(b BlockNumber) {
	stale := p.stale(b)
	p.step(false, func(x *transfer) output { return x.packet(ack(b), p.now) })
	if stale && (p.o.oack || p.o.data.count() > 0) {
		p.t.Fatalf("ACK %d has nothing new to say and is answered with %+v", b, p.o)
	}
}

// request is another RRQ from the client's port.
func (p *transferProbe) request(same bool) {
	switch p.x.repeated(same, p.now) {
	case duplicate:
		p.step(false, func(x *transfer) output { return x.resendFirst(p.now) })
		if !p.o.oack && p.o.data != (blocks{1, 2}) {
			p.t.Fatalf("a repeated RRQ is answered with %+v", p.o)
		}
	case replacement:
		p.step(false, (*transfer).replaced)
		if p.o.fault != (wireError{}) {
			p.t.Fatalf("a client that has begun anew is sent %+v", p.o.fault)
		}
	case straggler:
	}
}

func (p *transferProbe) tick(now time.Duration) {
	p.now = max(p.now, now)
	p.step(true, func(x *transfer) output { return x.tick(p.now) })
}

// The state machine may be fed with any sequence of packets and times: it never
// sends beyond its window or the file, never more than three times to where
// nothing was proven, answers no ACK twice, and always ends in time. Three bytes
// are one step.
func FuzzTransfer(f *testing.F) {
	f.Add(uint16(512), uint16(4), uint8(0), uint32(5000), true, []byte{1, 0, 0, 1, 0, 4, 0, 0, 9, 2, 0, 8})
	f.Add(uint16(8), uint16(1), uint8(0), uint32(600_000), false, []byte{1, 0, 1, 1, 0, 2, 3, 0, 0, 4, 0, 0})
	f.Add(uint16(8), uint16(300), uint8(1), uint32(60_000), true, []byte{1, 0, 0, 1, 0, 0, 4, 0, 0, 4, 0, 0, 2, 0, 9, 6, 0, 0, 4, 0, 0})
	f.Add(uint16(512), uint16(1), uint8(255), uint32(100), false, []byte{3, 0, 0, 4, 0, 0, 4, 0, 0, 4, 0, 0, 4, 0, 0})
	f.Fuzz(func(t *testing.T, blksize, windowsize uint16, timeout uint8, size uint32, oack bool, script []byte) {
		agreed := plain
		if oack {
			agreed = withOptions(max(Blksize(blksize), MinBlksize), max(Windowsize(windowsize), 1))
			agreed.seconds = timeout
		}
		p := &transferProbe{t: t, firstSends: 1}
		p.x, p.o = newTransfer(agreed, int64(size), 0)
		for ; len(script) >= 3 && !p.o.ended; script = script[3:] {
			number := binary.BigEndian.Uint16(script[1:])
			switch script[0] % 8 {
			case 0:
				p.tick(p.now + time.Duration(number)*time.Millisecond)
			case 1:
				p.ack(BlockNumber(number))
			case 2: // within the window, or shortly before it
				p.ack(blockNumber(p.x.high - int64(number%64)))
			case 3:
				p.request(number%4 > 0)
			case 4:
				p.tick(p.o.deadline)
			case 5:
				p.step(false, func(x *transfer) output { return x.packet(Packet{Op: OpDATA, Block: BlockNumber(number)}, p.now) })
			case 6: // the last window once more
				p.ack(blockNumber(max(p.x.acked, 0)))
			case 7: // the server was busy for a while
				d := time.Duration(number) * time.Millisecond
				p.now += d
				p.x.delayed(d)
			}
		}
		// Left alone it comes to an end.
		for steps := 0; !p.o.ended; steps++ {
			if steps > 100_000 {
				t.Fatal("no end")
			}
			p.tick(p.o.deadline)
		}
	})
}

// An interval that is too short must not stay so: packets sent twice would make
// a busy client or server busier.
func TestTransferLearnsThatItWasTooFast(t *testing.T) {
	t.Parallel()
	s := &simulation{file: simFile(512 * 100), terms: withOptions(512, 1)}
	s.fate = func(toServer bool, i int) fate {
		if toServer && i > 10 { // the client has become slow
			return fate{delay: 2 * minInterval}
		}
		return fate{}
	}
	wantDelivered(t, s)
	if s.server.resent > 3 {
		t.Errorf("sent %d DATA packets again, want no more than it takes to learn", s.server.resent)
	}
}
