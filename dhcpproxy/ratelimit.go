package dhcpproxy

import (
	"fmt"
	"sync"
	"time"

	"netbootd/bootmenu"
)

// Limits are how many requests of PXE clients are looked at in a second. They
// bound what a machine that asks for ever, or a flood of invented ones, costs
// this host and, since OFFERs are broadcast, everybody else. Zero means no bound.
type Limits struct {
	PerMachine int // of one hardware address
	Total      int
}

// Limits that nobody meets who is not broken or a nuisance: firmware asks four
// times a minute, and no layer-2 network holds thousands of machines.
const (
	DefaultPerMachine = 10
	DefaultTotal      = 5000
)

// A bucket of tokens, as many as are refilled in a second, is known by the time
// since the limiter's first request at which it is full again. The zero value is
// full.
type bucket struct{ full time.Duration }

// take is the bucket without one token. ok is false if it has none.
func (b bucket) take(now time.Duration, perSecond int) (_ bucket, ok bool) {
	full := max(b.full, now) + time.Second/time.Duration(perSecond)
	if full-now > time.Second {
		return b, false
	}
	return bucket{full}, true
}

// maxBuckets bounds the machines that are counted at once, twice.
const maxBuckets = 65536

// A limiter enforces Limits. It is safe for concurrent use.
type limiter struct {
	limits Limits
	mu     sync.Mutex // guards what follows
	began  time.Time  // of the first request
	total  bucket
	// Buckets of machines that asked lately, and those before them. What was put
	// away for a second is full, so it may be forgotten.
	lately, before map[bootmenu.MAC]bucket
	turned         time.Duration // when lately was begun
}

func newLimiter(l Limits) *limiter {
	return &limiter{limits: l, lately: make(map[bootmenu.MAC]bucket), before: make(map[bootmenu.MAC]bucket)}
}

// refuses tells why a request is one too many, or "". A machine that is refused
// takes nothing from the others.
func (l *limiter) refuses(mac bootmenu.MAC, now time.Time) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began.IsZero() {
		l.began = now
	}
	since := now.Sub(l.began)
	if l.limits.PerMachine > 0 && !l.take(mac, since) {
		return fmt.Sprintf("more than %d requests a second from this machine ([dhcp] max_requests_per_machine)", l.limits.PerMachine)
	}
	if l.limits.Total == 0 {
		return ""
	}
	var ok bool
	if l.total, ok = l.total.take(since, l.limits.Total); !ok {
		return fmt.Sprintf("more than %d requests a second in all ([dhcp] max_requests)", l.limits.Total)
	}
	return ""
}

// take takes a token of a machine.
func (l *limiter) take(mac bootmenu.MAC, now time.Duration) bool {
	b, ok := l.lately[mac]
	if !ok {
		b = l.before[mac]
	}
	if b, ok = b.take(now, l.limits.PerMachine); !ok {
		return false
	}
	if now-l.turned > time.Second || len(l.lately) >= maxBuckets {
		l.lately, l.before, l.turned = l.before, l.lately, now
		clear(l.lately)
	}
	l.lately[mac] = b
	return true
}
