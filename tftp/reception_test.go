package tftp

import (
	"bytes"
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
			tm.oack = []Option{{Name: "blksize", Value: "512"}}
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
