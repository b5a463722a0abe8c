package tftp

import "sync"

// A gate counts transfers and keeps the limits.
type gate struct {
	maxTransfers int
	maxPerClient int

	mu      sync.Mutex         // guards what follows
	closing bool               // nothing new is let in
	running int                // transfers that have not ended
	alive   int                // those, and those whose last packets and reports are still to go out
	clients map[endpoint]guest // by host
}

// A guest is a client address that has transfers.
type guest struct {
	running int32
	via     uint32   // see route, of its latest transfer
	from    [16]byte // likewise
}

// A verdict is what a gate says to a new transfer.
type verdict int

const (
	mayEnter   verdict = iota
	closed             // the server takes no more
	full               // as many run as may
	clientFull         // as many run for this address as may
)

// enter counts a flow if the limits allow it.
func (g *gate) enter(f *flow) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	address := f.to.host()
	at := g.clients[address]
	switch {
	case g.closing:
		return closed
	case int(at.running) >= g.maxPerClient:
		return clientFull
	case g.running >= g.maxTransfers:
		return full
	}
	g.running++
	g.alive++
	g.clients[address] = guest{running: at.running + 1, from: f.from, via: f.via}
	return mayEnter
}

// leave takes back what enter counted, so that another one may enter. The flow
// still counts as alive.
func (g *gate) leave(f *flow) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	address := f.to.host()
	at := g.clients[address]
	if at.running--; at.running == 0 {
		delete(g.clients, address)
		return
	}
	g.clients[address] = at
}

// gone tells that n flows have done all they had to, and whether that was the
// last of a server that is closing.
func (g *gate) gone(n int) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive -= n
	return g.closing && g.alive == 0
}

// shut lets nothing in from now on, and tells whether nothing is in.
func (g *gate) shut() (empty bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = true
	return g.alive == 0
}

// routeTo is the way to another port of an address that has transfers, by the
// socket s; ok is false if it has none.
func (g *gate) routeTo(to endpoint, s *socket) (r route, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.clients[to.host()]
	return route{sock: s, to: to, from: at.from, via: at.via}, ok
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}
