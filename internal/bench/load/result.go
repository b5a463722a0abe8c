package load

import (
	"math"
	"slices"
	"time"

	"netbootd/tftp"
)

// A Result is what became of a [Job].
type Result struct {
	Clients  int
	Failures map[string]int // clients that failed, by the reason
	Bytes    int64          // payload received in order and compared
	// Elapsed is from the first RRQ to the last client's end.
	Elapsed time.Duration
	// Times are those from a client's first RRQ to its last block, in ascending
	// order, of the clients that got the whole file.
	Times []time.Duration
	// Resent counts the packets that clients sent again after a silence.
	Resent int64
	// CPU is the processor time of the generator's thread.
	CPU time.Duration
	// Blksize and Windowsize are what the first client to finish was granted.
	Blksize    tftp.Blksize
	Windowsize tftp.Windowsize
}

// Failed is the number of clients that did not get the whole file.
func (r *Result) Failed() int { return r.Clients - len(r.Times) }

// Rate is the payload in bytes per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Bytes) / r.Elapsed.Seconds()
}

// Busy is the share of the time that the generator's thread was running.
func (r *Result) Busy() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return r.CPU.Seconds() / r.Elapsed.Seconds()
}

// Percentile is the time that the share q (0 to 1) of the clients that got the
// whole file did not exceed (nearest rank); 0 if there is none.
func (r *Result) Percentile(q float64) time.Duration {
	if len(r.Times) == 0 {
		return 0
	}
	rank := int(math.Ceil(q*float64(len(r.Times)))) - 1
	return r.Times[min(max(rank, 0), len(r.Times)-1)]
}

// add counts a client that ended.
func (r *Result) add(t *transfer, took time.Duration) {
	r.Bytes += t.bytes
	if t.failure != "" {
		r.Failures[t.failure]++
		return
	}
	if len(r.Times) == 0 {
		r.Blksize, r.Windowsize = tftp.Blksize(t.blksize), tftp.Windowsize(t.window)
	}
	r.Times = append(r.Times, took)
}

func (r *Result) finish() { slices.Sort(r.Times) }
