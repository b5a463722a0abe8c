package dhcpproxy

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

func TestLoopGuardForgetsInTime(t *testing.T) {
	t.Parallel()
	var g loopGuard
	mac, start := bootmenu.MACFromBytes(testMAC), time.Unix(1e9, 0)
	offer := func(loader string, n byte, after time.Duration) bool {
		return g.offered(mac, loader, dhcpv4.TransactionID{n}, start.Add(after))
	}
	for n := range byte(maxLoaderOffers) {
		if offer("a", n, 0) {
			t.Fatalf("offer %d is no loop yet", n)
		}
	}
	if !offer("a", 10, time.Minute) {
		t.Error("the offer after the last is a loop")
	}
	if !offer("a", 11, loopMemory) {
		t.Error("silence must last as long as the memory")
	}
	if offer("a", 12, loopMemory+time.Second) {
		t.Error("the machine must be answered again after that")
	}
	if offer("b", 13, loopMemory+time.Second) {
		t.Error("another loader is no loop")
	}
}

func TestLoopGuardIsBounded(t *testing.T) {
	t.Parallel()
	var g loopGuard
	now := time.Unix(1e9, 0)
	for i := range 2*maxGuarded + 5 {
		g.offered(bootmenu.MACFromBytes([]byte{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}), "a", dhcpv4.TransactionID{}, now)
	}
	if len(g.machines) > maxGuarded {
		t.Errorf("%d machines are remembered, at most %d should be", len(g.machines), maxGuarded)
	}
}
