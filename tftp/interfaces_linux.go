package tftp

import (
	"net"
	"sync"
	"time"
)

// interfaceAge is how long what was learnt of an interface is believed.
const interfaceAge = time.Second

// interfaces remembers what is known of network interfaces, by index.
type interfaces struct {
	mu     sync.Mutex // guards what follows
	mtus   map[int]knownMTU
	single map[int]bool // those that do not cut messages into segments
}

type knownMTU struct {
	mtu int // 0 if it is unknown
	at  time.Time
}

func newInterfaces() *interfaces {
	return &interfaces{mtus: make(map[int]knownMTU), single: make(map[int]bool)}
}

// mtu is that of an interface, 0 if it is unknown. Asking the system takes
// several system calls, which a rack that is switched on would cost a thousand
// times.
func (n *interfaces) mtu(index int) int {
	if index == 0 {
		return 0
	}
	now := time.Now()
	n.mu.Lock()
	known, ok := n.mtus[index]
	n.mu.Unlock()
	if ok && now.Sub(known.at) < interfaceAge {
		return known.mtu
	}
	known = knownMTU{at: now}
	if i, err := net.InterfaceByIndex(index); err == nil {
		known.mtu = i.MTU
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mtus[index] = known
	return known.mtu
}

// refuseSegments notes that messages which leave by this interface cannot be cut
// into segments.
func (n *interfaces) refuseSegments(index int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.single[index] = true
}

func (n *interfaces) refusesSegments(index int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.single[index]
}
