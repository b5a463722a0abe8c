package boottree

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"netbootd/bootmenu"
)

const (
	// linkAge is how long an address is believed to belong to a machine.
	linkAge = 24 * time.Hour
	// decisionAge is how long a machine gets the files of the decision that its
	// boot began with.
	decisionAge = time.Hour
	// maxLinks bounds the addresses, and the machines, that are remembered.
	maxLinks = 65536
)

// Links remembers which machine is behind an address, and what each machine was
// last promised. It is safe for concurrent use; no method blocks. The zero value
// is ready for use.
type Links struct {
	mu       sync.Mutex
	addrs    recent[netip.Addr, resident]
	machines recent[bootmenu.MAC, promise]
	last     *bootmenu.Decision // that was noted; most of a crowd get the same one
}

// A promise is what one machine was told to boot.
type promise struct {
	machine  bootmenu.Machine
	decision *bootmenu.Decision // never changed
}

// A resident is who is at an address.
type resident struct {
	mac         bootmenu.MAC
	arch        bootmenu.Arch
	vendorClass string
}

func residentOf(m bootmenu.Machine) resident { return resident{m.MAC, m.Arch, m.VendorClass} }

// Learn notes that m is at its address; the newest word wins.
func (l *Links) Learn(m bootmenu.Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs.put(m.Addr, residentOf(m), time.Now())
}

// Decided notes what m was told to boot. If the machine's address is known it is
// linked too.
func (l *Links) Decided(m bootmenu.Machine, d bootmenu.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.last == nil || !l.last.IsSame(&d) {
		own := d
		l.last = &own
	}
	l.machines.put(m.MAC, promise{m, l.last}, now)
	if m.Addr.IsValid() {
		l.addrs.put(m.Addr, residentOf(m), now)
	}
}

// MAC is that of the machine behind addr.
func (l *Links) MAC(addr netip.Addr) (mac bootmenu.MAC, ok bool) {
	r, ok := l.at(addr)
	return r.mac, ok
}

// at is who is behind addr.
func (l *Links) at(addr netip.Addr) (r resident, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addrs.get(addr, time.Now().Add(-linkAge))
}

// promised is what mac was last told to boot, if its boot is still under way.
func (l *Links) promised(mac bootmenu.MAC) (p promise, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.machines.get(mac, time.Now().Add(-decisionAge))
}

// recent is a map that keeps the maxLinks entries written last.
type recent[K comparable, V any] struct {
	elems map[K]*list.Element
	order list.List // of *entry[K, V], the oldest first
}

type entry[K comparable, V any] struct {
	key   K
	value V
	at    time.Time
}

func (r *recent[K, V]) put(key K, value V, now time.Time) {
	if r.elems == nil {
		r.elems = make(map[K]*list.Element)
	}
	if e, ok := r.elems[key]; ok {
		*e.Value.(*entry[K, V]) = entry[K, V]{key, value, now}
		r.order.MoveToBack(e)
		return
	}
	r.elems[key] = r.order.PushBack(&entry[K, V]{key, value, now})
	if r.order.Len() > maxLinks {
		oldest := r.order.Remove(r.order.Front()).(*entry[K, V])
		delete(r.elems, oldest.key)
	}
}

// get is the value that was written after since.
func (r *recent[K, V]) get(key K, since time.Time) (value V, ok bool) {
	e, ok := r.elems[key]
	if !ok {
		return value, false
	}
	if en := e.Value.(*entry[K, V]); en.at.After(since) {
		return en.value, true
	}
	return value, false
}
