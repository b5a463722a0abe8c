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
	Style      bootmenu.Style     // that it followed before; empty if that is unknown
	Unanswered int                // OFFERs of this attempt that it has not followed
	Menu       *bootmenu.Decision // the menu that its firmware was last offered; nil: none
	Picked     string             // the profile that was picked from it; iPXE comes back for it
	Loader     string             // the loader that it was last handed
	Loads      int                // how often it fetched that without reading its script
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
	attempts map[bootmenu.MAC]*attempt // guarded by mu
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
	var p Past
	h.mu.Lock()
	if a := h.attempts[m.MAC]; a != nil {
		a.age(now)
		p = a.Past
	}
	h.mu.Unlock()
	if h.Styles != nil && hasAlternative(m) {
		p.Style = h.Styles.Style(m.MAC, m.Arch)
	}
	return p
}

// age makes an attempt that is over a new one, in which the machine may still pick
// from the menu of the last.
func (a *attempt) age(now time.Time) {
	switch age := now.Sub(a.last); {
	case age <= attemptAge:
	case age <= menuAge:
		*a = attempt{Past: Past{Menu: a.Menu}, last: a.last}
	default:
		*a = attempt{last: a.last}
	}
}

// replied notes what a machine was sent.
func (h *History) replied(v Verdict, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.attempts[v.Machine.MAC]
	if a == nil {
		a = new(attempt)
		h.makeRoom(now)
		h.attempts[v.Machine.MAC] = a
	}
	a.age(now)
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
		menu := v.Decision
		a.Menu = &menu
	}
	if a.file = v.Reply.File; a.file != "" && v.Decision.ChoseLoader() {
		if a.Loader != a.file {
			a.Loader, a.Loads = a.file, 0
		}
		a.loaded = false
	}
}

func (h *History) fetched(mac bootmenu.MAC, name string, now time.Time) {
	a, ok := h.follow(mac, name, now)
	if !ok || h.Styles == nil || a.style == "" {
		return
	}
	// What every machine of the kind does needs no memory.
	if a.style != a.kind || h.Styles.Style(mac, a.arch) != "" {
		h.Styles.Followed(mac, a.arch, a.style)
	}
}

// follow notes that a machine opened a file. ok is false if that has nothing to do
// with what it was offered.
func (h *History) follow(mac bootmenu.MAC, name string, now time.Time) (_ attempt, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.attempts[mac]
	if a == nil || now.Sub(a.last) > attemptAge {
		return attempt{}, false
	}
	switch {
	case name != a.file && !bootmenu.IsLoaderText(name):
		return attempt{}, false
	case name != a.Loader:
		a.Loads, a.Picked = 0, "" // the loader does what it is for
	case !a.loaded:
		a.loaded = true
		a.Loads++
	}
	a.Unanswered = 0
	return *a, true
}

// makeRoom drops what is over once the table is full, and everything if that is
// not enough: a flood of invented addresses must not use up memory.
func (h *History) makeRoom(now time.Time) {
	if h.attempts == nil {
		h.attempts = make(map[bootmenu.MAC]*attempt)
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
