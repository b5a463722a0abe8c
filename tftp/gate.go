package tftp

import (
	"net/netip"
	"sync"
	"unique"
)

// A gate counts the transfers of a server, reads and writes together, and keeps
// the limits.
type gate struct {
	maxTransfers int
	maxPerClient int

	mu      sync.Mutex // guards what follows
	running int
	clients map[netip.Addr]guest
}

// A guest is a client address that has transfers.
type guest struct {
	by      unique.Handle[arrival] // of its latest one
	running int32
}

func newGate(o *Options) *gate {
	return &gate{maxTransfers: o.MaxTransfers, maxPerClient: o.MaxPerClient, clients: make(map[netip.Addr]guest)}
}

// enter counts a transfer if the limits allow it. Otherwise it returns errBusy or
// errClientBusy.
func (g *gate) enter(client netip.Addr, by unique.Handle[arrival]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	running := g.clients[client].running
	switch {
	case int(running) >= g.maxPerClient:
		return errClientBusy
	case g.running >= g.maxTransfers:
		return errBusy
	}
	g.running++
	g.clients[client] = guest{by: by, running: running + 1}
	return nil
}

// leave takes back what enter counted, so that another one may enter.
func (g *gate) leave(client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	at := g.clients[client]
	if at.running--; at.running == 0 {
		delete(g.clients, client)
		return
	}
	g.clients[client] = at
}

// arrivalOf tells how the latest request of a client address came that has
// transfers.
func (g *gate) arrivalOf(client netip.Addr) (by unique.Handle[arrival], ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.clients[client]
	return at.by, ok
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// isBusy tells whether err is what a gate keeps transfers out with.
func isBusy(err error) bool { return err == errBusy || err == errClientBusy }

// whose is the client of which a transfer must end before another may enter that
// was kept out by err; the zero Addr means that any will do.
func whose(err error, client netip.Addr) netip.Addr {
	if err == errClientBusy {
		return client
	}
	return netip.Addr{}
}
