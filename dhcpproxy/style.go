package dhcpproxy

import (
	"fmt"
	"strings"

	"netbootd/bootmenu"
)

// maxUnanswered is how many OFFERs of one attempt a machine may leave unanswered
// before it is offered another style.
const maxUnanswered = 3

// style is the form of reply for a machine, and why it is that one: what its
// profile says, else what a quirk says, else what it followed before or its kind
// follows as a rule. The last may be left for another.
func (r *Responder) style(m bootmenu.Machine, d bootmenu.Decision, past Past) (s bootmenu.Style, why string, tentative bool) {
	kind := kindStyle(m)
	switch {
	case d.Boot.Instead == bootmenu.InsteadDisk && !m.IPXE:
		return bootmenu.StyleMenu, "a menu with nothing but the disk in it tells the firmware to boot from there", false
	case m.IPXE && past.Picked != "":
		return kind, "its firmware drew the menu already", false
	case d.Boot.Offer != "" && d.Profile != "":
		return d.Boot.Offer, "profile " + d.Profile + " says so", false
	case d.Boot.Offer != "":
		return d.Boot.Offer, "a profile of the menu says so", false
	}
	for i, q := range r.Quirks {
		if q.Match.Matches(m) {
			return q.Offer, fmt.Sprintf("[[dhcp.quirk]] number %d says so", i+1), false
		}
	}
	if !hasAlternative(m) {
		return kind, "what " + kindName(m) + " follows", false
	}
	first, why := kind, "what "+kindName(m)+" follows as a rule"
	if past.Style != "" {
		first, why = past.Style, "what this machine followed the last time"
	}
	if past.Unanswered/maxUnanswered%2 == 0 {
		return first, why, true
	}
	return alternative(first), fmt.Sprintf("%d OFFERs in another style were left unanswered", maxUnanswered), true
}

// kindStyle is the form of reply that a client of this kind follows. UEFI gets no
// option 43, because there are ROMs that ignore a ProxyDHCP OFFER which tells
// them to skip discovery, while most of them visit port 4011.
func kindStyle(m bootmenu.Machine) bootmenu.Style {
	switch {
	case !strings.HasPrefix(m.VendorClass, classPXE):
		return bootmenu.StyleHeader
	case m.IPXE:
		return bootmenu.StyleSkip
	case m.Arch == bootmenu.ArchRPi:
		return bootmenu.StyleRPi
	case m.Arch.Firmware() == bootmenu.FirmwareUEFI:
		return bootmenu.StyleBare
	}
	return bootmenu.StyleSkip
}

// kindName is that kind, for people.
func kindName(m bootmenu.Machine) string {
	switch {
	case m.IPXE:
		return "iPXE"
	case !strings.HasPrefix(m.VendorClass, classPXE):
		return "a client that is no PXE client"
	}
	return m.Arch.String()
}

// hasAlternative tells whether firmware of this kind is known to differ in which
// style it follows.
func hasAlternative(m bootmenu.Machine) bool {
	fw := m.Arch.Firmware()
	return !m.IPXE && strings.HasPrefix(m.VendorClass, classPXE) && (fw == bootmenu.FirmwareBIOS || fw == bootmenu.FirmwareUEFI)
}

// alternative is the style to try with such firmware after the other.
func alternative(s bootmenu.Style) bootmenu.Style {
	if s == bootmenu.StyleBare {
		return bootmenu.StyleSkip
	}
	return bootmenu.StyleBare
}
