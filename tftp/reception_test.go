package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A writeSim plays a client that writes a file to a reception, with a network
// that loses and doubles packets by their number. Time is a counter.
type writeSim struct {
	t       rapid.TB
	x       reception
	data    []byte
	stored  []byte
	lose    func(n int) bool // of all packets, both ways, counted from 0
	double  func(n int) bool
	packets int
	now     time.Duration
	due     time.Duration // the reception's deadline
	acked   int64         // as the client knows it; -1 before the first answer
	sentAt  time.Duration
	end     intake
	acks    int // answers of the reception
	commits int
}

// run plays until the reception has ended or the client is done and gone.
func (s *writeSim) run(t terms) {
	var o intake
	s.x, o = newReception(t, 0)
	s.acked = -1
	s.perform(o, nil)
	for rounds := 0; !s.end.ended; rounds++ {
		if rounds > 200_000 {
			s.t.Fatalf("no end: have %d, client knows of %d", s.x.have, s.acked)
		}
		// The client's timer is one second; ours is the deadline.
		client := s.sentAt + time.Second
		if s.acked >= s.blocks() {
			client = s.due + 1 // it has gone
		}
		if s.now = max(s.now, min(client, s.due)); s.now >= client {
			s.sendWindow()
			continue
		}
		s.perform(s.x.tick(s.now), nil)
	}
}

// blocks is the number of the last block.
func (s *writeSim) blocks() int64 { return int64(len(s.data))/int64(s.x.terms.blksize) + 1 }

// sendWindow is the client sending what follows the last block acknowledged.
func (s *writeSim) sendWindow() {
	s.sentAt = s.now
	if s.acked < 0 {
		return // it would send the WRQ again; that is not the reception's affair
	}
	for n := s.acked + 1; n <= min(s.acked+int64(s.x.terms.windowsize), s.blocks()); n++ {
		begin := (n - 1) * int64(s.x.terms.blksize)
		p := Packet{Op: OpDATA, Block: blockNumber(n), Data: s.data[begin:min(begin+int64(s.x.terms.blksize), int64(len(s.data)))]}
		for range s.copies() {
			if s.end.ended {
				return
			}
			s.perform(s.x.packet(p, s.now), p.Data)
		}
	}
}

// copies is how often the next packet arrives.
func (s *writeSim) copies() int {
	n := s.packets
	s.packets++
	switch {
	case s.lose != nil && s.lose(n):
		return 0
	case s.double != nil && s.double(n):
		return 2
	}
	return 1
}

// perform does what the reception wants.
func (s *writeSim) perform(o intake, data []byte) {
	if o.store {
		s.stored = append(s.stored, data...)
	}
	if o.commit {
		s.commits++
	}
	s.due = o.deadline
	if o.ended {
		s.end = o
		return
	}
	if !o.oack && !o.ack {
		return
	}
	s.acks++
	for range s.copies() {
		if n := o.block.after(max(s.acked, 0)); o.oack {
			s.acked = max(s.acked, 0)
		} else if s.acked < 0 || n > s.acked && n <= s.acked+int64(s.x.terms.windowsize) {
			s.acked = max(n, 0)
		} else if n != s.acked {
			continue
		}
		s.sentAt = s.now - time.Second // it goes on at once
	}
}

// pattern is content whose every block differs.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 131 >> 3)
	}
	return b
}

func TestReceptionStoresEveryByteOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513, 5000, 512 * 70_000} {
		for _, w := range []Windowsize{1, 4, 16} {
			s := &writeSim{t: t, data: pattern(size)}
			tm := plain
			tm.windowsize = w
			s.run(tm)
			if !bytes.Equal(s.stored, s.data) || s.end.result != Delivered || s.commits != 1 {
				t.Errorf("%d bytes, windowsize %d: stored %d, %v, %d commits", size, w, len(s.stored), s.end.result, s.commits)
			}
			if w > 1 && int64(s.acks) > s.blocks()/int64(w)+2 {
				t.Errorf("%d bytes, windowsize %d: %d ACKs for %d blocks", size, w, s.acks, s.blocks())
			}
		}
	}
}

func TestReceptionOutlivesAnyPatternOfLoss(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lost := rapid.SliceOfNDistinct(rapid.IntRange(1, 60), 0, 6, rapid.ID[int]).Draw(t, "lost")
		doubled := rapid.SliceOfNDistinct(rapid.IntRange(1, 60), 0, 6, rapid.ID[int]).Draw(t, "doubled")
		in := func(list []int) func(int) bool {
			return func(n int) bool {
				for _, x := range list {
					if x == n {
						return true
					}
				}
				return false
			}
		}
		s := &writeSim{t: t, data: pattern(rapid.IntRange(0, 20_000).Draw(t, "size")), lose: in(lost), double: in(doubled)}
		tm := plain
		tm.windowsize = Windowsize(rapid.IntRange(1, 20).Draw(t, "windowsize"))
		if rapid.Bool().Draw(t, "options") {
			tm.oack = &Packet{Op: OpOACK, Options: []Option{{Name: "blksize", Value: "512"}}}
		}
		s.run(tm)
		if !bytes.Equal(s.stored, s.data) || s.end.result != Delivered || s.commits != 1 {
			t.Fatalf("stored %d of %d bytes, %v (%v), %d commits", len(s.stored), len(s.data), s.end.result, s.end.err, s.commits)
		}
	})
}

func TestReceptionJudgesEndings(t *testing.T) {
	t.Parallel()
	data := Packet{Op: OpDATA, Block: 1, Data: make([]byte, 512)}
	last := Packet{Op: OpDATA, Block: 2, Data: []byte("end")}
	for name, c := range map[string]struct {
		do   func(x *reception) intake
		want Result
	}{
		"a client that never sends": {func(x *reception) intake { return x.tick(DefaultMaxIdle) }, Failed},
		"a client that falls silent": {func(x *reception) intake {
			x.packet(data, 0)
			return x.tick(DefaultMaxIdle)
		}, Failed},
		"silence after the last block": {func(x *reception) intake {
			x.packet(data, 0)
			x.packet(last, 0)
			return x.tick(dally)
		}, Delivered},
		"a client that goes on for too long": {func(x *reception) intake { return x.packet(data, DefaultMaxDuration) }, Failed},
		"too long only after the last block": {func(x *reception) intake {
			x.packet(data, 0)
			x.packet(last, DefaultMaxDuration-1)
			return x.tick(DefaultMaxDuration)
		}, Delivered},
		"ERROR 0 in the middle": {func(x *reception) intake {
			x.packet(data, 0)
			return x.packet(Packet{Op: OpERROR}, 0)
		}, Aborted},
		"ERROR 3 in the middle": {func(x *reception) intake { return x.packet(Packet{Op: OpERROR, Code: ErrDiskFull}, 0) }, Failed},
		"ERROR after the last block": {func(x *reception) intake {
			x.packet(data, 0)
			x.packet(last, 0)
			return x.packet(Packet{Op: OpERROR}, 0)
		}, Delivered},
	} {
		x, _ := newReception(plain, 0)
		if o := c.do(&x); !o.ended || o.result != c.want {
			t.Errorf("%s: %+v, want %s", name, o, c.want)
		}
	}
}

func TestReceptionComplainsOnceOfAGap(t *testing.T) {
	t.Parallel()
	x, first := newReception(withOptions(8, 8), 0)
	if !first.oack || first.ack {
		t.Errorf("the first answer is %+v, want the OACK", first)
	}
	block := func(n BlockNumber) intake {
		return x.packet(Packet{Op: OpDATA, Block: n, Data: make([]byte, 8)}, 0)
	}
	if o := block(1); !o.store || o.ack {
		t.Errorf("block 1: %+v", o)
	}
	if o := block(3); o.store || !o.ack || o.block != 1 {
		t.Errorf("block 3 instead of 2: %+v, want an ACK of 1", o)
	}
	for n := BlockNumber(4); n <= 8; n++ {
		if o := block(n); o.store || o.ack {
			t.Errorf("block %d: %+v, want silence", n, o)
		}
	}
	if o := block(2); !o.store {
		t.Errorf("block 2: %+v", o)
	}
	if o := x.packet(Packet{Op: OpDATA, Block: 3, Data: make([]byte, 9)}, 0); o.store || o.ack {
		t.Errorf("a block longer than agreed: %+v, want silence", o)
	}
}

func TestReceptionSendsNoMoreThanThreeFirstAnswers(t *testing.T) {
	t.Parallel()
	x, o := newReception(plain, 0)
	sends := 1
	for now := time.Duration(0); !o.ended; now = o.deadline {
		if o = x.tick(now); o.ack {
			sends++
		}
	}
	if sends != maxFirstSends || o.result != Failed {
		t.Errorf("%d sends, %v, want %d and a failure", sends, o.result, maxFirstSends)
	}
}

// A forged address keeps its place no longer by a long timeout.
func TestReceptionThatNothingHasProvenEnds(t *testing.T) {
	t.Parallel()
	asked := plain
	asked.seconds = 255
	x, o := newReception(asked, 0)
	if o.deadline != DefaultMaxIdle {
		t.Errorf("got deadline %v, want %v", o.deadline, DefaultMaxIdle)
	}
	if o = x.tick(DefaultMaxIdle); !o.ended || !errors.Is(o.err, errNoAnswer) {
		t.Errorf("got %+v, want the end", o)
	}
	x, _ = newReception(asked, 0)
	x.packet(Packet{Op: OpDATA, Block: 1, Data: make([]byte, 512)}, 0)
	if got, want := x.endAt(), 5*asked.timeout(); got != want {
		t.Errorf("after the first DATA: ends at %v, want %v", got, want)
	}
}

// A receptionProbe feeds a reception with anything, and looks after each step at
// what must hold whatever comes.
type receptionProbe struct {
	t          *testing.T
	x          reception
	o          intake
	now        time.Duration
	file       []byte
	last       int64 // block of the file
	stored     []byte
	commits    int
	firstSends int  // of the first answer, by the machine's own timer
	complained bool // of a gap behind the last block in order
}

// block is DATA as an honest client sends it.
func (p *receptionProbe) block(n int64) Packet {
	size := int64(p.x.terms.blksize)
	return Packet{Op: OpDATA, Block: blockNumber(n), Data: p.file[(n-1)*size : min(n*size, int64(len(p.file)))]}
}

// data delivers a block of the file, if there is one of that number.
func (p *receptionProbe) data(n int64) {
	if n < 1 || n > p.last || p.o.ended {
		return
	}
	next := p.x.have+1 == n
	b := p.block(n)
	p.step(b.Data, func(x *reception) intake { return x.packet(b, p.now) })
	switch {
	case p.o.store && !next:
		p.t.Fatalf("block %d is stored after %d", n, p.x.have)
	case next:
		p.complained = false
	case n > p.x.have && p.o.ack && p.complained:
		p.t.Fatalf("block %d: the gap behind %d is complained of twice", n, p.x.have)
	case n > p.x.have && p.o.ack:
		p.complained = true
	}
}

func (p *receptionProbe) tick(now time.Duration) {
	p.now = max(p.now, now)
	late := p.now >= p.x.endAt()
	p.step(nil, func(x *reception) intake { return x.tick(p.now) })
	if p.o.ended != late {
		p.t.Fatalf("at %v: ended is %t, want it to end at %v", p.now, p.o.ended, p.x.endAt())
	}
	if p.o.ack || p.o.oack {
		p.complained = false
		if !p.x.started {
			p.firstSends++
		}
	}
}

// step lets one thing happen. data is what the packet holds, if it is DATA.
func (p *receptionProbe) step(data []byte, f func(x *reception) intake) {
	p.o = f(&p.x)
	x, o := &p.x, p.o
	if o.store {
		p.stored = append(p.stored, data...)
	}
	if o.commit {
		p.commits++
	}
	limit := x.terms.maxIdle
	if x.started {
		limit = x.terms.patience()
	}
	switch {
	case !bytes.HasPrefix(p.file, p.stored) || x.bytes != int64(len(p.stored)):
		p.t.Fatalf("%d bytes are stored, %d counted, or they are wrong", len(p.stored), x.bytes)
	case x.complete != (p.commits == 1) || p.commits > 1 || x.complete && len(p.stored) != len(p.file):
		p.t.Fatalf("%d commits with %d of %d bytes", p.commits, len(p.stored), len(p.file))
	case o.oack && (x.have > 0 || x.terms.oack == nil) || o.ack && o.block != blockNumber(x.have):
		p.t.Fatalf("answered %+v with %d blocks", o, x.have)
	case p.firstSends > maxFirstSends:
		p.t.Fatalf("the first answer is sent %d times", p.firstSends)
	case o.ended && (o.result == Delivered) != x.complete:
		p.t.Fatalf("ended as %s with %d of %d bytes", o.result, len(p.stored), len(p.file))
	case !o.ended && o.deadline > x.progressAt+limit:
		p.t.Fatalf("goes on until %v without progress since %v", o.deadline, x.progressAt)
	}
}

// A reception may be fed with any sequence of packets and times: what it stores
// is the file from its beginning, in order and once, it says Delivered of the
// whole file only, complains of a gap once, and always ends in time. Three bytes
// are one step.
func FuzzReception(f *testing.F) {
	f.Add(uint16(512), uint16(4), uint8(0), uint16(5000), true, []byte{1, 0, 1, 1, 0, 2, 0, 0, 9, 6, 0, 4, 6, 0, 9, 4, 0, 0})
	f.Add(uint16(8), uint16(1), uint8(1), uint16(60), false, []byte{6, 0, 20, 2, 0, 0, 4, 0, 0, 4, 0, 0})
	f.Add(uint16(8), uint16(300), uint8(0), uint16(60_000), true, []byte{7, 0, 0, 1, 0, 3, 1, 0, 4, 6, 1, 200, 3, 0, 9, 5, 0, 0})
	f.Fuzz(func(t *testing.T, blksize, windowsize uint16, timeout uint8, size uint16, oack bool, script []byte) {
		agreed := plain
		if oack {
			agreed = withOptions(max(Blksize(blksize), MinBlksize), max(Windowsize(windowsize), 1))
			agreed.seconds = timeout
		}
		p := &receptionProbe{t: t, file: simFile(int(size)), last: int64(size)/int64(agreed.blksize) + 1, firstSends: 1}
		p.x, p.o = newReception(agreed, 0)
		for ; len(script) >= 3 && !p.o.ended; script = script[3:] {
			number := int64(binary.BigEndian.Uint16(script[1:]))
			switch script[0] % 8 {
			case 0:
				p.tick(p.now + time.Duration(number)*time.Millisecond)
			case 1: // in turn, or some were lost before it
				p.data(p.x.have + number%8)
			case 2: // late
				p.data(p.x.have - number%8)
			case 3: // any
				p.data(number)
			case 4:
				p.tick(p.o.deadline)
			case 5:
				junk := Packet{Op: OpDATA, Block: blockNumber(p.x.have + 1), Data: make([]byte, int(agreed.blksize)+1)}
				if number%2 == 0 {
					junk = Packet{Op: OpACK, Block: BlockNumber(number)}
				}
				p.step(nil, func(x *reception) intake { return x.packet(junk, p.now) })
			case 6: // many in turn
				for range number % 512 {
					p.data(p.x.have + 1)
				}
			case 7: // the WRQ once more
				if !p.x.started {
					p.step(nil, func(x *reception) intake { return x.answer(p.now) })
				}
			}
		}
		// Left alone it comes to an end.
		for steps := 0; !p.o.ended; steps++ {
			if steps > 1000 {
				t.Fatal("no end")
			}
			p.tick(p.o.deadline)
		}
	})
}
