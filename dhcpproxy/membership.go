package dhcpproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// discoveryGroup is where clients look for a boot server by multicast, on port
// 4011, unless they were told of another group (PXE 2.1 section 2.2).
var discoveryGroup = netip.AddrFrom4([4]byte{224, 0, 1, 2})

// A groupConn joins and leaves multicast groups.
type groupConn interface {
	join(group netip.Addr, ifindex int) error
	leave(group netip.Addr, ifindex int) error
}

// A membership keeps a socket in the discovery group on the interfaces that are
// served.
type membership struct {
	conn groupConn
	mu   sync.Mutex
	on   map[int]bool // interfaces that joining was tried on; guarded by mu
}

// follow joins on interfaces that are new and leaves on those that are served no
// more. The error tells of interfaces that could not be joined on, once for each.
func (m *membership) follow(h *host) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failed []error
	for index, in := range h.interfaces {
		if in.refused != "" || m.on[index] {
			continue
		}
		m.on[index] = true
		if err := m.conn.join(discoveryGroup, index); err != nil {
			failed = append(failed, fmt.Errorf("%s: join multicast group %s: %w", in.Name, discoveryGroup, err))
		}
	}
	for index := range m.on {
		if in, ok := h.interfaces[index]; !ok || in.refused != "" {
			delete(m.on, index)
			_ = m.conn.leave(discoveryGroup, index) // the interface may be gone, and the membership with it
		}
	}
	return errors.Join(failed...)
}
