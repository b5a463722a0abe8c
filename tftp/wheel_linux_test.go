package tftp

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"
	"unique"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// Whatever is added and removed, a flow comes out at the first look after its
// time, or earlier if that is further ahead than the wheel reaches, and next
// tells when to look.
func TestWheelProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		now := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "start"))
		at, reach := make(map[*flow]time.Duration), make(map[*flow]time.Duration)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				f := new(flow)
				at[f] = now + time.Duration(rapid.Int64Range(0, 12e9).Draw(t, "in"))
				w.add(f, at[f], now)
				reach[f] = time.Duration(w.passed+wheelSlots-1) * wheelTick
			case 1:
				for f := range at {
					w.remove(f)
					delete(at, f)
					break
				}
			case 2:
				next, ok := w.next()
				if ok != (len(at) > 0) {
					t.Fatalf("next: got %t with %d in", ok, len(at))
				}
				now = max(now, next)
				due := w.advance(now, nil)
				if ok && len(due) == 0 {
					t.Fatal("nothing was due when next had told")
				}
				for _, f := range due {
					if at[f] > now && at[f] <= reach[f] {
						t.Fatalf("came %v too early", at[f]-now)
					}
					delete(at, f)
				}
				for f, time := range at {
					if time <= now-wheelTick {
						t.Fatalf("%p did not come at %v, now it is %v", f, time, now)
					}
				}
			}
			if w.count != len(at) {
				t.Fatalf("counts %d, want %d", w.count, len(at))
			}
		}
	})
}

func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	var q queue
	flows := make([]*flow, 5)
	for i := range flows {
		flows[i] = new(flow)
		q.push(flows[i])
	}
	for _, i := range []int{2, 0, 4, 2} { // the last one is out already
		q.remove(flows[i])
	}
	var got []*flow
	for f := q.first; f != nil; f = f.dally.next {
		got = append(got, f)
	}
	if !slices.Equal(got, []*flow{flows[1], flows[3]}) || q.last != flows[3] {
		t.Errorf("got %d flows in the wrong order", len(got))
	}
	q.remove(flows[1])
	q.remove(flows[3])
	if q.first != nil || q.last != nil {
		t.Error("the queue is not empty")
	}
}

func TestRefusedSegmentsAreRemembered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err             error
		refused, device bool
	}{
		{unix.EIO, true, true},
		{unix.EOPNOTSUPP, true, true},
		{unix.EINVAL, true, false},
		{unix.EMSGSIZE, true, false},
		{unix.ENETUNREACH, false, false},
		{os.ErrClosed, false, false},
	} {
		links := newInterfaces()
		f := &flow{worker: &worker{loop: &batchLoop{interfaces: links}}}
		f.by = unique.Make(arrival{ifindex: 7})
		if got := f.refusesSegments(c.err); got != c.refused || f.single.Load() != c.refused {
			t.Errorf("%v: got %t", c.err, got)
		}
		if got := links.refusesSegments(7); got != c.device || links.refusesSegments(8) {
			t.Errorf("%v: remembered of the interface: %t", c.err, got)
		}
	}
}

// Ten thousand open transfers are to take less than a kilobyte each, and the garbage
// collector lets twice of what is in use grow. 320 is a size of Go's allocator.
func TestFlowIsSmall(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(flow{}); got > 320 {
		t.Errorf("a flow takes %d bytes, want 320 at most", got)
	}
}

// Time that passes while a chunk is read is no silence of the client.
func TestDelayIsNotSilence(t *testing.T) {
	t.Parallel()
	x, _ := rrq(plain, 1<<20)
	o := x.packet(ack(1), 0)
	slow := time.Hour
	x.delayed(slow)
	wantNothing(t, x.tick(slow+o.deadline-1))
	wantBlocks(t, x.tick(slow+o.deadline), 2, 3)
	if o := x.tick(slow + DefaultMaxIdle); !o.ended || !errors.Is(o.err, errSilent) {
		t.Errorf("got %+v, want the end", o)
	}
}
