package tftp

import (
	"math/bits"
	"time"
)

const (
	// wheelTick is how exact timers are. They are at least 50 ms long.
	wheelTick = 5 * time.Millisecond
	// wheelSlots times wheelTick is how far the wheel looks ahead. What is later
	// comes by more than once.
	wheelSlots = 1024
)

// A wheel is the timers of a worker: lists of flows by the tick at which to look
// at them. Adding and taking out cost the same however many there are.
type wheel struct {
	slots    [wheelSlots]flowList
	occupied [wheelSlots / 64]uint64 // one bit for each slot
	count    int
	passed   int64 // the last tick that was looked at
}

// A flowList is a list of flows that are linked through one of their two hooks.
type flowList struct{ first *flow }

// A hook is a flow's place in a list.
type hook struct{ next, previous *flow }

// add puts f in, to be looked at when at has come.
func (w *wheel) add(f *flow, at, now time.Duration) {
	if w.count == 0 {
		w.passed = int64(now / wheelTick)
	}
	tick := int64((at + wheelTick - 1) / wheelTick)
	f.tick = min(max(tick, w.passed+1), w.passed+wheelSlots-1)
	slot := f.tick % wheelSlots
	head := &w.slots[slot].first
	f.timer = hook{next: *head}
	if *head != nil {
		(*head).timer.previous = f
	}
	*head = f
	w.occupied[slot/64] |= 1 << (slot % 64)
	w.count++
}

// remove takes f out if it is in.
func (w *wheel) remove(f *flow) {
	if f.tick == 0 {
		return
	}
	slot := f.tick % wheelSlots
	if f.timer.next != nil {
		f.timer.next.timer.previous = f.timer.previous
	}
	if f.timer.previous != nil {
		f.timer.previous.timer.next = f.timer.next
	} else if w.slots[slot].first = f.timer.next; f.timer.next == nil {
		w.occupied[slot/64] &^= 1 << (slot % 64)
	}
	f.tick, f.timer = 0, hook{}
	w.count--
}

// advance takes out all flows whose time has come, and appends them to due.
func (w *wheel) advance(now time.Duration, due []*flow) []*flow {
	target := int64(now / wheelTick)
	for tick := w.passed + 1; tick <= min(target, w.passed+wheelSlots); tick++ {
		slot := tick % wheelSlots
		for f := w.slots[slot].first; f != nil; f = w.slots[slot].first {
			w.remove(f)
			due = append(due, f)
		}
	}
	w.passed = max(w.passed, target)
	return due
}

// next is when advance has something to do; ok is false if never.
func (w *wheel) next() (at time.Duration, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	for tick := w.passed + 1; ; {
		slot := tick % wheelSlots
		if word := w.occupied[slot/64] >> (slot % 64); word != 0 {
			return time.Duration(tick+int64(bits.TrailingZeros64(word))) * wheelTick, true
		}
		tick += 64 - slot%64
	}
}
