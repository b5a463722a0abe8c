package load

import "math"

// direction is which way a packet goes.
type direction uint64

const (
	toServer direction = iota
	toClient
)

// A dice decides which packets are lost. It has no state: the same packet of the
// same client meets the same fate in every run.
type dice struct {
	seed      uint64
	threshold uint64 // a hash below it means loss
}

// newDice makes dice that lose one packet in 1/probability.
func newDice(seed uint64, probability float64) dice {
	switch {
	case probability <= 0:
		return dice{seed: seed}
	case probability >= 1:
		return dice{seed: seed, threshold: math.MaxUint64}
	}
	return dice{seed: seed, threshold: uint64(probability * math.MaxUint64)}
}

// loses tells whether packet number n of a client is lost on its way.
func (d dice) loses(client int, way direction, n uint64) bool {
	if d.threshold == 0 {
		return false
	}
	return mix(d.seed^mix(uint64(client)<<1|uint64(way))^mix(n<<32)) < d.threshold
}

// mix spreads the bits of x: the finalizer of SplitMix64 (Steele, Lea, Flood,
// 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
