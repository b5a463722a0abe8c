package dhcpproxy

import (
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

const (
	// maxLoaderOffers is how often a machine is offered the same loader without
	// reading the script that the loader is there for.
	maxLoaderOffers = 3
	// loopMemory is how long an offer counts. A machine that was given up on is
	// answered again after that.
	loopMemory = 5 * time.Minute
	// maxGuarded bounds the machines that are counted at once.
	maxGuarded = 65536
)

// A loopGuard finds machines that load the same loader for ever. An iPXE whose
// user class nobody listed looks like plain firmware, so it is handed iPXE
// again, which asks again, and so on.
type loopGuard struct {
	mu       sync.Mutex
	machines map[bootmenu.MAC]loaderOffers // guarded by mu
}

// loaderOffers counts the attempts of one machine.
type loaderOffers struct {
	loader string
	xid    dhcpv4.TransactionID // of the last attempt; a resent DISCOVER is no new one
	count  int
	last   time.Time
}

// offered notes that mac is about to be offered loader, and tells whether that
// is once too often.
func (g *loopGuard) offered(mac bootmenu.MAC, loader string, xid dhcpv4.TransactionID, now time.Time) (loops bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o, known := g.machines[mac]
	if !known || o.loader != loader || now.Sub(o.last) > loopMemory {
		o = loaderOffers{loader: loader}
	}
	if o.count > 0 && o.xid == xid {
		return false
	}
	if o.count >= maxLoaderOffers {
		return true // o.last stays, so the silence ends
	}
	o.count, o.xid, o.last = o.count+1, xid, now
	g.makeRoom(now)
	g.machines[mac] = o
	return false
}

// scriptRead forgets what was counted of mac: its loader does what it is for.
func (g *loopGuard) scriptRead(mac bootmenu.MAC) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.machines, mac)
}

// makeRoom drops what no longer counts once the table is full, and everything if
// that is not enough: a flood of invented addresses must not use up memory.
func (g *loopGuard) makeRoom(now time.Time) {
	if g.machines == nil {
		g.machines = make(map[bootmenu.MAC]loaderOffers)
	}
	if len(g.machines) < maxGuarded {
		return
	}
	for mac, o := range g.machines {
		if now.Sub(o.last) > loopMemory {
			delete(g.machines, mac)
		}
	}
	if len(g.machines) >= maxGuarded {
		clear(g.machines)
	}
}
