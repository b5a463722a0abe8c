package tftp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A simulation is one transfer between the state machine and a model of a
// client, in memory and in a time of its own. What happens to a packet is
// decided by its direction and its number in that direction, counted from 0.
type simulation struct {
	file   []byte
	terms  terms
	client clientModel
	fate   func(toServer bool, i int) fate

	server   transfer
	deadline time.Duration
	ended    *output
	now      time.Duration
	flying   []flight
	sent     [2]int // packets by direction
	dataSent int
}

// fate is what the network does to one packet. The zero value delivers it at once.
type fate struct {
	lost  bool
	twice bool
	delay time.Duration
}

type flight struct {
	at       time.Duration
	toServer bool
	rrq      bool
	packet   Packet
}

// clientModel reads by the rules of RFC 7440: an ACK for a whole window, for the
// last block, and for what is in turn when a block comes out of turn.
type clientModel struct {
	deaf     bool // never answers anything
	keepLast bool // never sends the last ACK
	queue    int  // of each window it takes only so many blocks, as U-Boot's driver does; 0 is all

	next     int64
	inWindow int
	data     []byte
	done     bool
	timer    time.Duration
	last     flight // what it sends again when the timer runs out
	retries  int
	failure  error
}

const clientRetry = time.Second

func (s *simulation) send(f flight) {
	direction := 0
	if f.toServer {
		direction = 1
	}
	var do fate
	if s.fate != nil {
		do = s.fate(f.toServer, s.sent[direction])
	}
	s.sent[direction]++
	if do.lost {
		return
	}
	f.at = s.now + do.delay
	s.flying = append(s.flying, f)
	if do.twice {
		s.flying = append(s.flying, f)
	}
}

// perform sends what the state machine wants sent.
func (s *simulation) perform(o output) {
	s.deadline = o.deadline
	if o.oack {
		s.send(flight{packet: *s.terms.oack})
	}
	size := int64(s.terms.blksize)
	for n := o.data.first; n < o.data.end; n++ {
		s.dataSent++
		data := s.file[(n-1)*size : min(n*size, int64(len(s.file)))]
		s.send(flight{packet: Packet{Op: OpDATA, Block: blockNumber(n), Data: data}})
	}
	if o.fault.code != 0 {
		s.send(flight{packet: Packet{Op: OpERROR, Code: o.fault.code, Text: o.fault.text}})
	}
	if o.ended {
		s.ended = &o
	}
}

// run plays the transfer to the server's end.
func (s *simulation) run() output {
	s.client.next = 1
	s.client.last = flight{toServer: true, rrq: true}
	s.client.timer = clientRetry
	var o output
	s.server, o = newTransfer(s.terms, int64(len(s.file)), 0)
	s.perform(o)
	for s.ended == nil {
		s.step()
	}
	return *s.ended
}

// step goes to the next moment at which anything happens.
func (s *simulation) step() {
	arrival := -1
	for i, f := range s.flying {
		if arrival < 0 || f.at < s.flying[arrival].at {
			arrival = i
		}
	}
	if arrival >= 0 && s.flying[arrival].at <= min(s.deadline, s.client.timer) || arrival >= 0 && s.flying[arrival].at <= s.now {
		f := s.flying[arrival]
		s.flying = slices.Delete(s.flying, arrival, arrival+1)
		s.now = max(s.now, f.at)
		s.deliver(f)
		return
	}
	if s.client.timer <= s.deadline {
		s.now = max(s.now, s.client.timer)
		s.clientTimer()
		return
	}
	s.now = max(s.now, s.deadline)
	s.perform(s.server.tick(s.now))
}

func (s *simulation) deliver(f flight) {
	switch {
	case !f.toServer:
		s.clientTake(f.packet)
	case !f.rrq:
		s.perform(s.server.packet(f.packet, s.now))
	default:
		switch s.server.repeated(true, s.now) {
		case duplicate:
			s.perform(s.server.resendFirst(s.now))
		case replacement:
			s.perform(s.server.replaced())
		case straggler:
		}
	}
}

func (s *simulation) clientSend(f flight) {
	s.client.last = f
	s.client.timer = s.now + clientRetry
	s.send(f)
}

func (s *simulation) clientTimer() {
	c := &s.client
	c.timer = s.now + clientRetry
	if c.retries++; c.retries > 40 || c.done || c.deaf {
		c.timer = 1 << 62
		return
	}
	s.send(c.last)
}

func (s *simulation) clientTake(p Packet) {
	c := &s.client
	if c.deaf {
		return
	}
	c.retries = 0
	ack := func() {
		c.inWindow = 0
		s.clientSend(flight{toServer: true, packet: Packet{Op: OpACK, Block: blockNumber(c.next - 1)}})
	}
	switch {
	case p.Op == OpERROR:
		c.failure = &RemoteError{p.Code, p.Text}
	case p.Op == OpOACK && c.next == 1:
		ack()
	case p.Op != OpDATA:
	case c.done || p.Block != blockNumber(c.next):
		if !c.done || !c.keepLast {
			ack()
		}
	case c.queue > 0 && c.inWindow == c.queue:
		// no room: the packet is lost without a trace, and the timer will tell
	default:
		c.data = append(c.data, p.Data...)
		c.next++
		c.inWindow++
		c.done = len(p.Data) < int(s.terms.blksize)
		if c.done && c.keepLast {
			return
		}
		if c.done || c.inWindow == int(s.terms.windowsize) {
			ack()
		}
	}
}

func simFile(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
}

// withOptions are the terms of a transfer that begins with an OACK.
func withOptions(blksize Blksize, windowsize Windowsize) terms {
	t := plain
	t.blksize, t.windowsize = blksize, windowsize
	t.oack = &Packet{Op: OpOACK, Options: []Option{{"blksize", fmt.Sprint(blksize)}, {"windowsize", fmt.Sprint(windowsize)}}}
	return t
}

// plain are the terms of a transfer without options.
var plain = terms{
	blksize: DefaultBlksize, windowsize: DefaultWindowsize,
	lifetimes: &lifetimes{maxIdle: DefaultMaxIdle, maxDuration: DefaultMaxDuration},
}

// wantDelivered runs s and fails the test unless the client has the exact bytes.
func wantDelivered(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *simulation) {
	t.Helper()
	end := s.run()
	unsure := !s.server.proven && s.server.askedAgain // all its ACKs were lost: no way to know
	if (end.result != Delivered || end.err != nil) && !unsure {
		t.Fatalf("got %s (%v) after %v with %d of %d bytes acknowledged, want delivered",
			end.result, end.err, s.now, s.server.bytes(), len(s.file))
	}
	if !bytes.Equal(s.client.data, s.file) {
		t.Fatalf("the client has %d bytes, not the file's %d", len(s.client.data), len(s.file))
	}
}
