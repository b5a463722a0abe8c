package dhcpproxy

import (
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

const (
	// maxLoads is how often a machine may fetch the same loader without reading the
	// script that the loader is there for.
	maxLoads = 3
	// attemptAge is how long after its last OFFER or answer an attempt to boot is
	// over. A machine that was given up on is answered again after that.
	attemptAge = 5 * time.Minute
	// menuAge is how long a machine may show the menu that it was offered: once
	// somebody has pressed the key, firmware waits without end.
	menuAge = time.Hour
	// maxAttempts bounds the machines that are remembered at once.
	maxAttempts = 65536
)

// Past is what is remembered of a machine when it asks. The zero value is a
// machine that nobody has heard of.
type Past struct {
	Style      bootmenu.Style    // that it followed before; empty if that is unknown
	Unanswered int               // OFFERs of this attempt that it has not followed
	Menu       bootmenu.Decision // the menu that its firmware was last offered
	Picked     string            // the profile that was picked from it; iPXE comes back for it
	Loader     string            // the loader that it was last handed
	Loads      int               // how often it fetched that without reading its script
}

// Styles remembers across restarts which style a machine followed. A machine may
// have firmware of several archs. Implementations are safe for concurrent use.
type Styles interface {
	// Style is the remembered one, or empty. It must be quick.
	Style(bootmenu.MAC, bootmenu.Arch) bootmenu.Style
	// Followed notes that the machine fetched its file after an OFFER in that style.
	// It may block.
	Followed(bootmenu.MAC, bootmenu.Arch, bootmenu.Style)
}

// A History remembers the attempts of machines to boot. It is safe for concurrent
// use; the zero value is ready for it.
type History struct {
	Styles Styles // may be nil

	mu       sync.Mutex
	attempts map[bootmenu.MAC]attempt // guarded by mu
}

// An attempt is one machine's way from its first DISCOVER to its files.
type attempt struct {
	Past
	arch   bootmenu.Arch
	kind   bootmenu.Style // what its kind follows as a rule
	style  bootmenu.Style // of the last OFFER, if it was one that may be left for another; else empty
	file   string         // that it was last handed
	loaded bool           // it fetched the loader since it was last handed it
	last   time.Time
}

// Past is what is remembered of a machine.
func (h *History) Past(m bootmenu.Machine) Past { return h.past(m, time.Now()) }

// Fetched tells that mac opened a file of that name in the boot tree, and so
// followed what it was offered. It may block.
func (h *History) Fetched(mac bootmenu.MAC, name string) { h.fetched(mac, name, time.Now()) }

func (h *History) past(m bootmenu.Machine, now time.Time) Past {
	h.mu.Lock()
	p := h.of(m.MAC, now).Past
	h.mu.Unlock()
	if h.Styles != nil && hasAlternative(m) {
		p.Style = h.Styles.Style(m.MAC, m.Arch)
	}
	return p
}

// of is the attempt that a machine has under way, or a new one, in which it may
// still pick from the menu of the last. The caller holds h.mu.
func (h *History) of(mac bootmenu.MAC, now time.Time) attempt {
	a := h.attempts[mac]
	switch age := now.Sub(a.last); {
	case age <= attemptAge:
		return a
	case age <= menuAge:
		return attempt{Past: Past{Menu: a.Menu}}
	}
	return attempt{}
}

// replied notes what a machine was sent.
func (h *History) replied(v Verdict, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.of(v.Machine.MAC, now)
	a.last = now
	switch {
	case v.Type == dhcpv4.MessageTypeDiscover && v.Reply.Tentative:
		a.Unanswered++
		a.arch, a.kind, a.style = v.Machine.Arch, kindStyle(v.Machine), v.Reply.Style
	case v.Type == dhcpv4.MessageTypeDiscover:
		a.Unanswered, a.style = 0, ""
	default:
		a.Unanswered = 0 // it followed the OFFER as far as here
	}
	switch {
	case v.Reply.Item:
		a.Picked = v.Decision.Profile
	case v.Reply.Style == bootmenu.StyleMenu:
		a.Menu = v.Decision
	}
	if a.file = v.Reply.File; a.file != "" && v.Decision.ChoseLoader() {
		if a.Loader != a.file {
			a.Loader, a.Loads = a.file, 0
		}
		a.loaded = false
	}
	h.makeRoom(now)
	h.attempts[v.Machine.MAC] = a
}

func (h *History) fetched(mac bootmenu.MAC, name string, now time.Time) {
	h.mu.Lock()
	a := h.of(mac, now)
	switch {
	case a.last.IsZero() || name != a.file && !bootmenu.IsLoaderText(name):
		h.mu.Unlock()
		return
	case name != a.Loader:
		a.Loads, a.Picked = 0, "" // the loader does what it is for
	case !a.loaded:
		a.loaded = true
		a.Loads++
	}
	a.Unanswered = 0
	h.attempts[mac] = a
	h.mu.Unlock()
	if h.Styles == nil || a.style == "" {
		return
	}
	// What every machine of the kind does needs no memory.
	if a.style != a.kind || h.Styles.Style(mac, a.arch) != "" {
		h.Styles.Followed(mac, a.arch, a.style)
	}
}

// makeRoom drops what is over once the table is full, and everything if that is
// not enough: a flood of invented addresses must not use up memory.
func (h *History) makeRoom(now time.Time) {
	if h.attempts == nil {
		h.attempts = make(map[bootmenu.MAC]attempt)
	}
	if len(h.attempts) < maxAttempts {
		return
	}
	for mac, a := range h.attempts {
		if now.Sub(a.last) > attemptAge {
			delete(h.attempts, mac)
		}
	}
	if len(h.attempts) >= maxAttempts {
		clear(h.attempts)
	}
}
