package load

import (
	"container/heap"
	"time"
)

// A timer is when a client must be looked at next, at the earliest. Every client
// has exactly one: a client that was heard of in the meantime has a later
// deadline of its own, and its timer is only moved when it comes up. So a packet
// costs nothing here.
type timer struct {
	due    time.Duration
	client int
}

// timers are a heap, the earliest first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push and Pop are for package heap.
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}

// moveFirst puts the earliest timer off.
func (t timers) moveFirst(due time.Duration) {
	t[0].due = due
	heap.Fix(&t, 0)
}

func (t *timers) dropFirst() { heap.Pop(t) }

// A delayed reply is on its way for the round trip that the job asks for.
type delayed struct {
	due    time.Duration
	client int
	reply  reply
	block  int64
}

// A queue holds delayed replies in the order they are due, which is the one they
// came in, as the delay is the same for all.
type queue struct {
	replies []delayed
	head    int
}

func (q *queue) push(d delayed) { q.replies = append(q.replies, d) }

// pop takes the first reply if it is due.
func (q *queue) pop(now time.Duration) (d delayed, ok bool) {
	if q.head == len(q.replies) || q.replies[q.head].due > now {
		return d, false
	}
	d = q.replies[q.head]
	if q.head++; q.head == len(q.replies) {
		q.replies, q.head = q.replies[:0], 0
	}
	return d, true
}

// next is when the first reply is due; ok is false if there is none.
func (q *queue) next() (due time.Duration, ok bool) {
	if q.head == len(q.replies) {
		return 0, false
	}
	return q.replies[q.head].due, true
}
