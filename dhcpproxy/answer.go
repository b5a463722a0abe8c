package dhcpproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// Why a request gets no answer, besides the reasons of bootmenu. They are metric
// labels.
const (
	ReasonMalformed      bootmenu.Reason = "malformed"       // not a DHCP request
	ReasonNotPXE         bootmenu.Reason = "not_pxe"         // some other DHCP client
	ReasonLeaseRequest   bootmenu.Reason = "lease_request"   // between the client and the lease server
	ReasonRelayRefused   bootmenu.Reason = "relay_refused"   // through a relay that is not allowed
	ReasonHTTPClient     bootmenu.Reason = "http_client"     // UEFI HTTP Boot, which is not served
	ReasonBarebox        bootmenu.Reason = "barebox"         // would take any answer for its lease
	ReasonBootItem       bootmenu.Reason = "boot_item"       // asks for an item of a PXE menu that is not ours
	ReasonNoAddress      bootmenu.Reason = "no_address"      // we have no address that the client could reach
	ReasonNoSource       bootmenu.Reason = "no_source"       // a request on 4011 that comes from nowhere
	ReasonOtherInterface bootmenu.Reason = "other_interface" // came in on an interface that is not served
	ReasonRateLimited    bootmenu.Reason = "rate_limited"    // one of too many requests
	ReasonPanic          bootmenu.Reason = "panic"           // a fault in the parser or in the decision
	ReasonLoop           bootmenu.Reason = "loop"            // the loader it was given asks for itself for ever
	ReasonSendFailed     bootmenu.Reason = "send_failed"     // the kernel did not take the reply
)

// Style is the form of a reply. It is a metric label.
type Style string

// The styles in use.
const (
	StyleBare   Style = "bare"   // no option 43: the client comes to port 4011 (UEFI)
	StyleSkip   Style = "skip"   // option 43 says: take this file, ask no more (BIOS, iPXE)
	StyleHeader Style = "header" // siaddr and file only, no vendor class (opted-in classes)
)

// A Selector knows what a machine gets.
type Selector interface {
	// Select must be quick and safe for concurrent use.
	Select(bootmenu.Machine) bootmenu.Decision
	// OptsIn tells whether a client of this vendor class, which is neither
	// PXEClient nor HTTPClient, is to be answered.
	OptsIn(vendorClass string) bool
}

// A Responder decides about single requests. It has no state.
type Responder struct {
	Selector    Selector
	Relays      []netip.Prefix // relays whose packets are answered, by giaddr
	IPXEClasses []string       // user classes (option 77) that iPXE builds announce
}

// A Verdict is what one request gets: a reply, or silence with its reason.
type Verdict struct {
	Type     dhcpv4.MessageType
	Machine  bootmenu.Machine
	Decision bootmenu.Decision
	Reply    *Reply          // nil: silence
	Reason   bootmenu.Reason // why silence; empty with a reply
	Why      string          // the reason, or the rule that decided, for people
}

// A Reply is a packet to send.
type Reply struct {
	Packet *dhcpv4.DHCPv4
	To     netip.AddrPort // where to; see [Destination]
	From   netip.Addr     // the address of ours that it names and leaves from
	Style  Style
}

// Answer decides what req gets. It does no I/O.
//
// The reply never sets yiaddr: no address is leased here. Silence is the answer
// to everything that is not plainly for a ProxyDHCP service.
func (r *Responder) Answer(req *dhcpv4.DHCPv4, in Ingress) Verdict {
	v := Verdict{Type: req.MessageType(), Machine: machineOf(req, in, r.IPXEClasses)}
	if reason, why := r.refuse(req, in); reason != "" {
		return v.silent(reason, why)
	}
	client := v.Machine.Addr
	if giaddr := relayOf(req); giaddr.IsValid() {
		client = giaddr
	}
	server, ok := in.serverAddr(client)
	if !ok {
		return v.silent(ReasonNoAddress, fmt.Sprintf("%s has no IPv4 address that the client could reach", in.Interface.Name))
	}
	to, ok := Destination(req, in)
	if !ok {
		return v.silent(ReasonNoSource, "the request has no source address to answer to")
	}
	v.Decision = r.Selector.Select(v.Machine)
	if v.Decision.Silent() {
		return v.silent(v.Decision.Reason, v.Decision.Why)
	}
	v.Why = v.Decision.Why
	style := styleFor(v.Machine)
	v.Reply = &Reply{Packet: compose(req, server, v.Decision.File, style), To: to, From: server, Style: style}
	return v
}

// silent is v without a reply.
func (v Verdict) silent(reason bootmenu.Reason, why string) Verdict {
	v.Reply, v.Reason, v.Why = nil, reason, why
	return v
}

// refuse says why a request is not ours to answer, whatever the profiles say, or
// "". The order of the questions is the order of the reasons' weight: what is not
// a PXE client is told apart first.
func (r *Responder) refuse(req *dhcpv4.DHCPv4, in Ingress) (bootmenu.Reason, string) {
	class := req.ClassIdentifier()
	switch t := req.MessageType(); {
	case t != dhcpv4.MessageTypeDiscover && t != dhcpv4.MessageTypeRequest && t != dhcpv4.MessageTypeInform:
		return ReasonMalformed, "not a DISCOVER, REQUEST or INFORM"
	case strings.HasPrefix(class, classBarebox):
		return ReasonBarebox, "barebox would take the answer for its lease"
	case strings.HasPrefix(class, classHTTP):
		return ReasonHTTPClient, "UEFI HTTP Boot is not served; choose PXE in the firmware's boot menu"
	case !strings.HasPrefix(class, classPXE) && !(in.Port == PortDHCP && r.Selector.OptsIn(class)):
		return ReasonNotPXE, "not a PXE client"
	case bootmenu.HasBootItem(req.GetOneOption(dhcpv4.OptionVendorSpecificInformation)):
		return ReasonBootItem, "asks for an item of a PXE boot menu, and none was offered here"
	case in.Port == PortDHCP && t != dhcpv4.MessageTypeDiscover:
		return ReasonLeaseRequest, "the request is for the lease server"
	}
	if giaddr := relayOf(req); giaddr.IsValid() && !slices.ContainsFunc(r.Relays, func(p netip.Prefix) bool { return p.Contains(giaddr) }) {
		return ReasonRelayRefused, fmt.Sprintf("relay %s is not in the list of relays", giaddr)
	}
	return "", ""
}

// styleFor is the form of reply that a client of this kind follows. UEFI gets no
// option 43, because there are ROMs that ignore a ProxyDHCP OFFER which tells
// them to skip discovery, while all of them visit port 4011.
func styleFor(m bootmenu.Machine) Style {
	switch {
	case !strings.HasPrefix(m.VendorClass, classPXE):
		return StyleHeader
	case m.IPXE || m.Arch.Firmware() != bootmenu.FirmwareUEFI:
		return StyleSkip
	}
	return StyleBare
}

// relayOf is the relay that a packet came through, or the zero Addr.
func relayOf(req *dhcpv4.DHCPv4) netip.Addr {
	a, ok := netip.AddrFromSlice(req.GatewayIPAddr.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// Destination is where the reply to req goes. ok is false if there is nowhere to
// send it.
//
// On port 67 a relay gets it by unicast (RFC 2131 section 4.1), and everybody
// else by broadcast to port 68 whatever the request's source port, since the
// client has no address yet. On port 4011 it goes to the source address and
// port: EDK2 listens on 4011 there, and others on 68.
func Destination(req *dhcpv4.DHCPv4, in Ingress) (to netip.AddrPort, ok bool) {
	if in.Port == PortBoot {
		src := in.Source.Addr()
		return in.Source, src.IsValid() && !src.IsUnspecified() && in.Source.Port() != 0
	}
	if giaddr := relayOf(req); giaddr.IsValid() {
		return netip.AddrPortFrom(giaddr, PortDHCP), true
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), PortClient), true
}
