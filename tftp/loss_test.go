package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTransferEndsWithExactBytes(t *testing.T) {
	t.Parallel()
	lose := func(toServer bool, numbers ...int) func(bool, int) fate {
		return func(to bool, i int) fate {
			return fate{lost: to == toServer && slices.Contains(numbers, i)}
		}
	}
	for _, c := range []struct {
		name     string
		size     int
		terms    terms
		client   clientModel
		fate     func(toServer bool, i int) fate
		resent   int64         // DATA packets sent again
		duration time.Duration // until the server's end
	}{
		{name: "empty file", terms: plain},
		{name: "one byte", size: 1, terms: plain},
		{name: "a whole block is followed by an empty one", size: 512, terms: plain},
		{name: "OACK and windows", size: 100_000, terms: withOptions(1428, 16)},
		{name: "more blocks than numbers, in lockstep", size: 8*65536*2 + 3, terms: withOptions(8, 1)},
		{name: "more blocks than numbers, in windows", size: 8 * 65536 * 2, terms: withOptions(8, 64)},
		{name: "a window larger than a burst", size: 8 * 1000, terms: withOptions(8, 300)},
		{name: "the largest window", size: 8 * 100_000, terms: withOptions(8, 65535)},
		{name: "first DATA lost", size: 600, terms: plain, fate: lose(false, 0), resent: 1, duration: firstInterval},
		{name: "OACK lost", size: 600, terms: withOptions(512, 1), fate: lose(false, 0), duration: firstInterval},
		{name: "ACK 0 lost", size: 600, terms: withOptions(512, 1), fate: lose(true, 0), duration: firstInterval},
		{name: "an ACK lost", size: 5000, terms: plain, fate: lose(true, 3), resent: 1, duration: minInterval},
		{name: "a DATA packet lost", size: 5000, terms: plain, fate: lose(false, 3), resent: 1, duration: minInterval},
		{
			name: "a block inside a window lost: on from there at once",
			size: 5000, terms: withOptions(512, 4), fate: lose(false, 2), resent: 3,
		},
		{
			name: "the first block of a window lost",
			size: 5000, terms: withOptions(512, 4), fate: lose(false, 1), resent: 4, duration: minInterval,
		},
		{
			name: "every DATA packet comes twice", size: 50_000, terms: plain,
			fate: func(toServer bool, _ int) fate { return fate{twice: !toServer} },
		},
		{
			name: "every ACK comes twice: no packet doubles", size: 50_000, terms: plain,
			fate: func(toServer bool, _ int) fate { return fate{twice: toServer} },
		},
		{
			name: "the last ACK never comes: sent again, then delivered", size: 1000, terms: plain,
			client: clientModel{keepLast: true}, resent: 7, duration: dally,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &simulation{file: simFile(c.size), terms: c.terms, client: c.client, fate: c.fate}
			wantDelivered(t, s)
			if s.server.resent != c.resent {
				t.Errorf("sent %d DATA packets again, want %d", s.server.resent, c.resent)
			}
			if s.now != c.duration {
				t.Errorf("ended after %v, want %v", s.now, c.duration)
			}
		})
	}
}

// A driver that holds 32 packets, as there are in U-Boot, loses the tail of each
// window of 64. The rest must follow on the heels of its ACK, and the timer that brings
// that ACK about must not grow.
func TestTransferToClientWithShortQueue(t *testing.T) {
	t.Parallel()
	s := &simulation{
		file: simFile(512 * 64 * 20), terms: withOptions(512, 64), client: clientModel{queue: 32},
		fate: func(bool, int) fate { return fate{delay: time.Millisecond} },
	}
	wantDelivered(t, s)
	if limit := 40 * 3 * minInterval; s.now > limit {
		t.Errorf("40 half windows took %v, want less than %v", s.now, limit)
	}
}

func TestTransferSurvivesLossEachWay(t *testing.T) {
	t.Parallel()
	for percent, transfers := range map[int]int{1: 100, 5: 1000, 10: 100} {
		for _, windowsize := range []Windowsize{1, 4, 64} {
			t.Run(fmt.Sprintf("%d percent, windows of %d", percent, windowsize), func(t *testing.T) {
				t.Parallel()
				dice := rand.New(rand.NewPCG(uint64(percent), uint64(windowsize)))
				var longest time.Duration
				file := simFile(64 << 10)
				for range transfers {
					s := &simulation{
						file: file, terms: withOptions(1428, windowsize),
						fate: func(bool, int) fate {
							return fate{lost: dice.IntN(100) < percent, delay: time.Duration(dice.IntN(2e6))}
						},
					}
					wantDelivered(t, s)
					longest = max(longest, s.now)
				}
				t.Logf("longest of %d: %v", transfers, longest)
			})
		}
	}
}

// Whatever is lost, doubled, delayed and overtaken, the client has the exact
// bytes in the end. Six losses are fewer than the transmissions that fit into
// the time before the server gives up.
func TestTransferProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const packets = 80
		position := rapid.IntRange(0, packets)
		delays := rapid.IntRange(0, 10_000)
		fates := [2][packets + 1]fate{}
		for range rapid.IntRange(0, 6).Draw(t, "losses") {
			fates[rapid.IntRange(0, 1).Draw(t, "direction")][position.Draw(t, "lost")].lost = true
		}
		for range rapid.IntRange(0, 10).Draw(t, "doubles") {
			fates[rapid.IntRange(0, 1).Draw(t, "direction")][position.Draw(t, "twice")].twice = true
		}
		for range rapid.IntRange(0, 20).Draw(t, "delays") {
			delay := time.Duration(delays.Draw(t, "us")) * time.Microsecond
			fates[rapid.IntRange(0, 1).Draw(t, "direction")][position.Draw(t, "late")].delay = delay
		}
		s := &simulation{
			file: simFile(rapid.IntRange(0, 2000).Draw(t, "size")),
			fate: func(toServer bool, i int) fate {
				direction := 0
				if toServer {
					direction = 1
				}
				return fates[direction][min(i, packets)]
			},
		}
		fates[0][packets], fates[1][packets] = fate{}, fate{} // all that follow arrive
		blksize, windowsize := rapid.IntRange(8, 600), rapid.IntRange(1, 20)
		s.terms = withOptions(Blksize(blksize.Draw(t, "blksize")), Windowsize(windowsize.Draw(t, "windowsize")))
		if rapid.Bool().Draw(t, "without options") {
			s.terms = plain
		}
		wantDelivered(t, s)
	})
}

// FuzzTransferNetwork plays whole transfers through a network that does to each
// packet what a byte says. Whatever that is, the client never has a wrong byte,
// and has all of them once the server knows of its last ACK. Where no more than
// four packets are lost it has them in any case: so often the last block is sent
// again on a slow link before it counts as delivered; see transfer.endAt.
func FuzzTransferNetwork(f *testing.F) {
	f.Add(uint16(512), uint8(1), uint16(5000), false, []byte{0, 1, 2, 3, 255}, []byte{1, 2, 0, 7})
	f.Add(uint16(8), uint8(4), uint16(600), true, []byte{3, 1, 0, 0, 39, 0, 1}, []byte{1, 0, 0, 63, 2})
	f.Add(uint16(100), uint8(64), uint16(20_000), true, []byte{0, 0, 1, 0, 2, 91, 15, 3, 1, 1}, []byte{0, 1, 1})
	f.Fuzz(func(t *testing.T, blksize uint16, windowsize uint8, size uint16, oack bool, down, up []byte) {
		s := &simulation{file: simFile(int(size)), terms: plain}
		if oack {
			s.terms = withOptions(max(Blksize(blksize), MinBlksize), max(Windowsize(windowsize), 1))
		}
		losses := 0
		s.fate = func(toServer bool, i int) fate {
			script := down
			if toServer {
				script = up
			}
			if i >= len(script) {
				return fate{}
			}
			switch delay := time.Duration(script[i]>>2) * time.Millisecond; script[i] % 4 {
			case 1:
				losses++
				return fate{lost: true}
			case 2:
				return fate{twice: true, delay: delay}
			default:
				return fate{delay: delay}
			}
		}
		end := s.run()
		if !bytes.HasPrefix(s.file, s.client.data) {
			t.Fatalf("the client has %d bytes that are not the file's", len(s.client.data))
		}
		knows := end.result == Delivered && s.server.acked == s.server.last
		if (knows || s.client.done) && len(s.client.data) != len(s.file) {
			t.Fatalf("%s, and the client has %d of %d bytes", end.result, len(s.client.data), len(s.file))
		}
		unsure := !s.server.proven && s.server.askedAgain // all its ACKs were lost: no way to know
		if losses <= 4 && !unsure && (end.result != Delivered || !s.client.done) {
			t.Fatalf("%d packets were lost: got %s (%v) after %v with %d of %d bytes",
				losses, end.result, end.err, s.now, len(s.client.data), len(s.file))
		}
	})
}

func TestTransferGivesUp(t *testing.T) {
	t.Parallel()
	deafAfter := func(n int) func(bool, int) fate {
		return func(toServer bool, i int) fate { return fate{lost: toServer && i >= n} }
	}
	for _, c := range []struct {
		name    string
		terms   terms
		seconds uint8 // timeout
		client  clientModel
		fate    func(bool, int) fate
		packets int // sent by the server, the ERROR included
		err     error
		at      time.Duration
	}{
		{
			name: "a forged address gets three OACKs and no DATA", terms: withOptions(1428, 16),
			client: clientModel{deaf: true}, packets: 4, err: errNoAnswer, at: DefaultMaxIdle,
		},
		{
			name: "a forged address gets block 1 three times", terms: plain,
			client: clientModel{deaf: true}, packets: 4, err: errNoAnswer, at: DefaultMaxIdle,
		},
		{
			name: "a forged address keeps its place no longer by a long timeout", terms: withOptions(1428, 16), seconds: 255,
			client: clientModel{deaf: true}, packets: 2, err: errNoAnswer, at: DefaultMaxIdle,
		},
		{
			name: "five times a long timeout of the client", terms: plain, seconds: 10,
			fate: deafAfter(3), packets: 3 + 1 + 4 + 1, err: errSilent, at: 50 * time.Second,
		},
		{
			name: "silence in the middle", terms: plain,
			fate: deafAfter(3), packets: 3 + 1 + 10 + 1, err: errSilent, at: DefaultMaxIdle,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.terms.seconds = c.seconds
			s := &simulation{file: simFile(5000), terms: c.terms, client: c.client, fate: c.fate}
			end := s.run()
			if end.result != Failed || !errors.Is(end.err, c.err) || end.fault != wireTimedOut {
				t.Errorf("got %s, %v, ERROR %+v", end.result, end.err, end.fault)
			}
			if s.now != c.at {
				t.Errorf("gave up after %v, want %v", s.now, c.at)
			}
			if s.sent[0] != c.packets {
				t.Errorf("sent %d packets, want %d", s.sent[0], c.packets)
			}
		})
	}
}
