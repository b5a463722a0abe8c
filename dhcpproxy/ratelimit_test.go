package dhcpproxy

import (
	"strings"
	"testing"
	"time"

	"netbootd/bootmenu"
)

func TestLimiterRefillsItsBuckets(t *testing.T) {
	t.Parallel()
	l := newLimiter(Limits{PerMachine: 3})
	mac, start := bootmenu.MACFromBytes(testMAC), time.Unix(1e9, 0)
	ask := func(after time.Duration) bool { return l.refuses(mac, start.Add(after)) == "" }
	for n := range 3 {
		if !ask(0) {
			t.Fatalf("request %d of 3 is refused", n+1)
		}
	}
	if ask(0) {
		t.Error("the fourth at once is granted")
	}
	if ask(300 * time.Millisecond) {
		t.Error("a token comes back in less than a third of a second")
	}
	if !ask(340*time.Millisecond) || ask(340*time.Millisecond) {
		t.Error("after a third of a second there must be one token")
	}
	for n := range 3 {
		if !ask(time.Hour) {
			t.Errorf("after an hour request %d of 3 is refused", n+1)
		}
	}
	if ask(time.Hour) {
		t.Error("after an hour there must be three tokens and no more")
	}
}

func TestLimiterCountsTheWhole(t *testing.T) {
	t.Parallel()
	l := newLimiter(Limits{PerMachine: 2, Total: 100})
	now, granted := time.Unix(1e9, 0), 0
	var why string
	for n := range byte(200) {
		if refused := l.refuses(bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, n}), now); refused == "" {
			granted++
		} else {
			why = refused
		}
	}
	if granted != 100 || !strings.Contains(why, "100 requests") {
		t.Errorf("%d granted, then %q", granted, why)
	}
	if newLimiter(Limits{}).refuses(bootmenu.MAC{}, now) != "" {
		t.Error("no limits must refuse nothing")
	}
}

func TestOneMachineTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	l := newLimiter(Limits{PerMachine: 2, Total: 5})
	now := time.Unix(1e9, 0)
	for range 1000 {
		l.refuses(bootmenu.MACFromBytes([]byte{2, 1}), now)
	}
	for n := range byte(3) {
		if why := l.refuses(bootmenu.MACFromBytes([]byte{2, 2, n}), now); why != "" {
			t.Errorf("machine %d: %s", n, why)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(Limits{PerMachine: 1})
	now := time.Unix(1e9, 0)
	for i := range 3*maxBuckets + 5 {
		l.refuses(bootmenu.MACFromBytes([]byte{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if n := len(l.lately) + len(l.before); n > 2*maxBuckets {
		t.Errorf("%d machines are remembered, want at most %d", n, 2*maxBuckets)
	}
}
