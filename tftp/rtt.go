package tftp

import (
	"math"
	"time"
)

// The bounds of the adaptive retransmission interval. RFC 6298 wants at least a
// second, for TCP's sake; here one lost packet stops everything, and the links
// are mostly local.
const (
	minInterval = 30 * time.Millisecond
	maxInterval = 5 * time.Second
	// firstInterval is in force until a round trip has been measured. RFC 6298
	// section 2 has 1 s, then 2 s, which every client whose first exchange is hit
	// would lose: one in ten where 5 % of the packets are lost each way. iPXE begins
	// with the same 250 ms. How often an address is sent to that has proven nothing
	// is bounded by number, see maxFirstSends; after that the client must ask again.
	firstInterval = 250 * time.Millisecond
)

// An estimator turns measured round trips into the interval after which a packet
// counts as lost (Jacobson's algorithm, RFC 6298). By Karn's rule a packet that
// was sent twice is never measured. The zero value has measured nothing.
//
// Karn keeps the interval doubled until something could be measured again: where
// it is too short because the server or the client is busy, it must grow until an
// answer comes within it, or every packet is sent twice and makes them busier.
// But where the end of every window is lost (see transfer.advance) nothing can
// ever be measured, and the interval would grow to its cap. So each ACK from
// inside a window takes one doubling back.
type estimator struct {
	smoothed  micros // 0: nothing measured
	variation micros
	doubled   uint8 // number of doublings in force
}

// micros is a duration in microseconds, in half the memory; it reaches for half an
// hour.
type micros int32

// measured takes in one round trip.
func (e *estimator) measured(roundTrip time.Duration) {
	e.doubled = 0
	rtt := micros(min(max(roundTrip.Microseconds(), 1), math.MaxInt32)) // 0 would mean "nothing measured"
	if e.smoothed == 0 {
		e.smoothed, e.variation = rtt, rtt/2
		return
	}
	e.variation += (max(e.smoothed-rtt, rtt-e.smoothed) - e.variation) / 4
	e.smoothed += (rtt - e.smoothed) / 8
}

// tailLost notes that the client has acknowledged something new, but not the end
// of a window.
func (e *estimator) tailLost() {
	if e.doubled > 0 {
		e.doubled--
	}
}

// expired notes that the interval went by without an answer.
func (e *estimator) expired() {
	if e.interval() < maxInterval {
		e.doubled++
	}
}

// interval is the time to wait for an answer now.
func (e *estimator) interval() time.Duration { return min(e.base()<<e.doubled, maxInterval) }

// base is the interval before any doubling.
func (e *estimator) base() time.Duration {
	if e.smoothed == 0 {
		return firstInterval
	}
	interval := time.Duration(e.smoothed) + 4*time.Duration(e.variation)
	return min(max(interval*time.Microsecond, minInterval), maxInterval)
}
