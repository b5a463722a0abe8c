//go:build linux

package main

import "slices"

// A value is the median of what the rounds gave; ok is false if no round gave
// anything.
type value struct {
	x  float64
	ok bool
}

// of is what a single measurement says; ok is false if it says nothing.
func (k metric) of(m measurement) (x float64, ok bool) {
	switch {
	case k == failed && m.Clients > 0:
		return float64(m.Failed()), true
	case m.why != "":
		return 0, false
	case k == memory:
		// If the server had given up many of them it holds nothing for those.
		return float64(m.memory) / float64(max(m.open, 1)), m.open > 0 && len(m.Times)*10 >= m.open*9
	case k == offers || k == offerCPU:
		return m.perOffer(k)
	case k == p99:
		return m.Percentile(0.99).Seconds(), len(m.Times) > 0 && m.open == 0
	case m.Bytes == 0 || m.open > 0:
		return 0, false
	case k == rate:
		return m.Rate(), true
	case k == cpu:
		return m.cpu.Seconds() / float64(m.Bytes), true
	case k == peak:
		return float64(m.peak), m.peak > 0
	}
	return 0, false
}

// median is the middle of a list, or the mean of the two in the middle.
func median(list []float64) value {
	if len(list) == 0 {
		return value{}
	}
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return value{(list[(n-1)/2] + list[n/2]) / 2, true}
}

// median is a server's median over the rounds.
func (r *report) median(k metric, server string) value {
	var list []float64
	for _, m := range r.rounds[server] {
		if x, ok := k.of(m); ok {
			list = append(list, x)
		}
	}
	return median(list)
}

// ratio is the median over the rounds of a's value divided by b's. Both were
// measured within the same minute, so the ratio is steadier than either.
func (r *report) ratio(k metric, a, b string) value {
	var list []float64
	for i := range min(len(r.rounds[a]), len(r.rounds[b])) {
		x, okA := k.of(r.rounds[a][i])
		y, okB := k.of(r.rounds[b][i])
		if okA && okB && y > 0 {
			list = append(list, x/y)
		}
	}
	return median(list)
}

// best is the peer with the best median; empty if there is none. Peers that
// served every client come before those that did not.
func (r *report) best(k metric) string {
	var name string
	var least struct{ failed, x float64 }
	for _, one := range r.peers {
		v, f := r.median(k, one), r.median(failed, one)
		if !v.ok {
			continue
		}
		if k.isRate() {
			v.x = -v.x
		}
		f.x = min(f.x, 1)
		if name == "" || f.x < least.failed || f.x == least.failed && v.x < least.x {
			name, least.failed, least.x = one, f.x, v.x
		}
	}
	return name
}

// A verdict is how netbootd did at a bar.
type verdict struct {
	bar
	other string // whom it was compared with; empty if with nobody
	value value  // netbootd's
	than  value  // the other's
	ratio value  // what the limit is about
}

// judge compares netbootd with a bar.
func (r *report) judge(b bar) verdict {
	v := verdict{bar: b, other: b.against, value: r.median(b.metric, netbootd)}
	if b.against == nobody {
		v.ratio = v.value
		return v
	}
	if b.against == bestPeer {
		// Its processor time counts, not the least one: a slow server may well
		// be thrifty.
		by := b.metric
		if by == cpu {
			by = rate
		}
		v.other = r.best(by)
	}
	v.than = r.median(b.metric, v.other)
	v.ratio = r.ratio(b.metric, netbootd, v.other)
	return v
}

// isMet tells whether netbootd is as good as the bar asks.
func (v verdict) isMet() bool {
	if !v.ratio.ok {
		return false
	}
	if v.metric.isRate() {
		return v.ratio.x >= v.limit
	}
	return v.ratio.x <= v.limit
}
