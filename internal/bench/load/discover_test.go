package load

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestDiscoverIsOneAndItsOfferIsKnown(t *testing.T) {
	t.Parallel()
	b := discoverOf(netip.MustParseAddr("198.18.1.1"))
	setClient(b, 0x010203)
	if got := net.HardwareAddr(b[dhcpChaddr : dhcpChaddr+6]).String(); got != "52:54:00:01:02:03" {
		t.Errorf("chaddr %s", got)
	}
	if b[dhcpHops] != 1 || net.IP(b[dhcpGiaddr:dhcpGiaddr+4]).String() != "198.18.1.1" {
		t.Errorf("hops %d, giaddr %v", b[dhcpHops], b[dhcpGiaddr:dhcpGiaddr+4])
	}
	if _, ok := offered(b); ok {
		t.Error("a DISCOVER is taken for an OFFER")
	}
	b[0] = 2 // its answer
	if client, ok := offered(b); !ok || client != 0x010203 {
		t.Errorf("an OFFER for %x, %t", client, ok)
	}
	b[dhcpYiaddr] = 198
	if _, ok := offered(b); ok {
		t.Error("a lease is taken for an OFFER of a ProxyDHCP server")
	}
}

func TestCrowdKeepsSoManyWaiting(t *testing.T) {
	t.Parallel()
	c := newCrowd(DiscoverJob{Clients: 5, InFlight: 2})
	begin := func(now time.Duration) (n int) {
		for _, ok := c.begin(now); ok; _, ok = c.begin(now) {
			n++
		}
		return n
	}
	if n := begin(0); n != 2 {
		t.Fatalf("%d begin, want 2", n)
	}
	c.answered(1, time.Millisecond)
	c.answered(1, 2*time.Millisecond) // twice
	c.answered(4, 2*time.Millisecond) // has not asked
	if n := begin(3 * time.Millisecond); n != 1 {
		t.Fatalf("%d begin after one OFFER, want 1", n)
	}
	c.giveUp(time.Second + 2*time.Millisecond) // client 0, which asked first
	c.answered(0, time.Second+3*time.Millisecond)
	if n := begin(time.Second + 3*time.Millisecond); n != 1 {
		t.Fatalf("%d begin after one was lost, want 1", n)
	}
	c.answered(2, time.Second+4*time.Millisecond)
	begin(time.Second + 4*time.Millisecond)
	c.answered(3, time.Second+5*time.Millisecond)
	if now := time.Second + 5*time.Millisecond; c.isDone(now) {
		t.Error("done while one is waiting")
	}
	c.answered(4, time.Second+6*time.Millisecond)
	if now := time.Second + 6*time.Millisecond; !c.isDone(now) {
		t.Error("not done although all have ended")
	}
	if r := c.result; len(r.Times) != 4 || r.Failed() != 1 || r.Failures["no OFFER"] != 1 || r.Times[0] != time.Millisecond {
		t.Errorf("result %+v", r)
	}
}
