package load

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestPatternIsTheSameInAFileAndByOffset(t *testing.T) {
	t.Parallel()
	p := NewPattern()
	var file bytes.Buffer
	const size = 2*patternPeriod + 12345
	if err := p.WriteFile(&file, size); err != nil {
		t.Fatal(err)
	}
	if file.Len() != size {
		t.Fatalf("got %d bytes, want %d", file.Len(), size)
	}
	for _, offset := range []int64{0, 1428, patternPeriod - 1, patternPeriod, 2 * patternPeriod} {
		block := file.Bytes()[offset:min(offset+maxBlock, size)]
		if !p.Matches(block, offset) {
			t.Errorf("offset %d: the block does not match", offset)
		}
		if p.Matches(block, offset+1428) {
			t.Errorf("offset %d: the block matches one block later", offset)
		}
	}
	if !p.Matches(nil, 7) {
		t.Error("no bytes do not match")
	}
	if p.Matches(make([]byte, 1<<20), 0) {
		t.Error("more than a block matches")
	}
}

func TestBlocksWithEqualNumbersDiffer(t *testing.T) {
	t.Parallel()
	p := NewPattern()
	for _, blksize := range []int64{8, 512, 1428, 65464} {
		if p.Matches(p.At(0, int(blksize)), 65536*blksize) {
			t.Errorf("blksize %d: block 1 and block 65537 are equal", blksize)
		}
	}
}

func TestLossIsByPacket(t *testing.T) {
	t.Parallel()
	const packets = 200_000
	for _, share := range []float64{0, 0.01, 0.05, 1} {
		d, other := newDice(1, share), newDice(2, share)
		lost, differ := 0, 0
		for n := range uint64(packets) {
			if d.loses(7, toClient, n) {
				lost++
			}
			if d.loses(7, toClient, n) != newDice(1, share).loses(7, toClient, n) {
				t.Fatalf("packet %d is lost once and once not", n)
			}
			if d.loses(7, toClient, n) != other.loses(7, toClient, n) {
				differ++
			}
		}
		if got := float64(lost) / packets; got < share*0.9 || got > share*1.1 {
			t.Errorf("got a share of %v lost, want %v", got, share)
		}
		if isPartial := share > 0 && share < 1; isPartial != (differ > 0) {
			t.Errorf("share %v: another seed changes the fate of %d packets", share, differ)
		}
	}
}

func TestLossDiffersByClientAndDirection(t *testing.T) {
	t.Parallel()
	d := newDice(1, 0.5)
	fates := func(client int, way direction) []bool {
		var list []bool
		for n := range uint64(64) {
			list = append(list, d.loses(client, way, n))
		}
		return list
	}
	base := fates(0, toServer)
	if slices.Equal(base, fates(0, toClient)) || slices.Equal(base, fates(1, toServer)) {
		t.Error("the same packets are lost")
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var r Result
	if got := r.Percentile(0.5); got != 0 {
		t.Errorf("without clients: got %v, want 0", got)
	}
	for i := 1; i <= 200; i++ {
		r.Times = append(r.Times, time.Duration(i))
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {0.5, 100}, {0.99, 198}, {1, 200}} {
		if got := r.Percentile(c.q); got != c.want {
			t.Errorf("q %v: got %d, want %d", c.q, got, c.want)
		}
	}
}

func TestTimersComeUpInOrder(t *testing.T) {
	t.Parallel()
	list := timers{{1, 0}, {2, 1}, {3, 2}}
	list.moveFirst(5)
	list.moveFirst(4)
	var got []int
	for len(list) > 0 {
		got = append(got, list[0].client)
		list.dropFirst()
	}
	if want := []int{2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("got clients %v, want %v", got, want)
	}
}

func TestQueueKeepsReplies(t *testing.T) {
	t.Parallel()
	var q queue
	if _, ok := q.next(); ok {
		t.Error("an empty queue has a next reply")
	}
	q.push(delayed{due: 5, client: 1})
	q.push(delayed{due: 7, client: 2})
	if _, ok := q.pop(4); ok {
		t.Error("a reply left before its time")
	}
	if d, ok := q.pop(6); !ok || d.client != 1 {
		t.Errorf("got %+v, %t, want client 1", d, ok)
	}
	if due, ok := q.next(); !ok || due != 7 {
		t.Errorf("got %v, %t, want 7", due, ok)
	}
}
