package dhcpproxy

import (
	"bytes"
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
	ReasonBootItem       bootmenu.Reason = "boot_item"       // asks for an item of a PXE menu that it was not offered here
	ReasonNoAddress      bootmenu.Reason = "no_address"      // we have no address that the client could reach
	ReasonNoSource       bootmenu.Reason = "no_source"       // a request on 4011 that comes from nowhere
	ReasonOtherInterface bootmenu.Reason = "other_interface" // came in on an interface that is not served
	ReasonRateLimited    bootmenu.Reason = "rate_limited"    // one of too many requests
	ReasonPanic          bootmenu.Reason = "panic"           // a fault in the parser or in the decision
	ReasonLoop           bootmenu.Reason = "loop"            // the loader it was given asks for itself for ever
	ReasonSendFailed     bootmenu.Reason = "send_failed"     // the kernel did not take the reply
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
	Relays      []netip.Prefix   // relays whose packets are answered, by giaddr
	IPXEClasses []string         // user classes (option 77) that iPXE builds announce
	Quirks      []bootmenu.Quirk // the first that matches a machine counts
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

// Answer decides what req gets. It does no I/O. recall tells what is remembered
// of a machine; nil means nothing.
//
// The reply never sets yiaddr: no address is leased here. Silence is the answer
// to everything that is not plainly for a ProxyDHCP service.
func (r *Responder) Answer(req *Request, in Ingress, recall func(bootmenu.Machine) Past) Verdict {
	v := Verdict{Type: req.messageType, Machine: machineOf(req, in, r.IPXEClasses)}
	if reason, why := r.refuse(req, v.Machine.VendorClass, in); reason != "" {
		return v.silent(reason, why)
	}
	client := v.Machine.Addr
	if giaddr := req.relay(); giaddr.IsValid() {
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
	v.Reply = &Reply{Type: dhcpv4.MessageTypeAck, To: to, From: server}
	if v.Type == dhcpv4.MessageTypeDiscover {
		v.Reply.Type = dhcpv4.MessageTypeOffer
	}
	var past Past
	if recall != nil {
		past = recall(v.Machine)
	}
	if item, ok := req.bootItem(); ok {
		return v.serveItem(item, past)
	}
	return r.offer(v, past)
}

// AnswerPacket decides what a packet gets, as [Responder.Answer] does, and writes
// the reply. The error says why a packet is no request. A panic in there ends this
// one packet and not the program.
func (r *Responder) AnswerPacket(packet []byte, in Ingress, recall func(bootmenu.Machine) Past) (v Verdict, reply []byte, err error) {
	req := new(Request)
	defer func() {
		if fault := recover(); fault != nil {
			v.Type, v.Machine = req.messageType, req.sender(in)
			v, reply, err = v.silent(ReasonPanic, faultText(fault)), nil, nil
		}
	}()
	if err := req.parse(packet); err != nil {
		return Verdict{Type: req.messageType, Machine: req.sender(in)}, nil, err
	}
	if v = r.Answer(req, in, recall); v.Reply == nil {
		return v, nil, nil
	}
	return v, v.Reply.Append(nil, req), nil
}

// faultText tells of a panic.
func faultText(fault any) string {
	return fmt.Sprintf("a fault of netbootd, please report it: %v", fault)
}

// offer completes v for a machine that wants to know what to boot.
func (r *Responder) offer(v Verdict, past Past) Verdict {
	d := r.Selector.Select(v.Machine)
	if v.Machine.IPXE && past.Picked != "" {
		if chosen, ok := d.Choose(past.Picked, v.Machine); ok {
			d = chosen
			d.Menu, d.Look = nil, bootmenu.Menu{}
		}
	}
	v.Decision, v.Why = d, d.Why
	v.Reply.Style, v.Reply.StyleWhy, v.Reply.Tentative = r.style(v.Machine, d, past)
	if v.Reply.Tentative && v.Type != dhcpv4.MessageTypeDiscover {
		v.Reply.Style, v.Reply.StyleWhy = kindStyle(v.Machine), "what "+kindName(v.Machine)+" follows on port 4011"
	}
	switch v.Reply.Style {
	case bootmenu.StyleSkip:
		v.Reply.Option43 = bootmenu.SkipDiscovery()
	case bootmenu.StyleRPi:
		v.Reply.Option43 = bootmenu.RaspberryPi(bytes.HasPrefix(v.Machine.MAC.Bytes(), rpiMaskROM))
	case bootmenu.StyleMenu:
		return v.menu()
	}
	if d.Silent() {
		return v.silent(d.Reason, d.Why)
	}
	v.Reply.File = d.File
	return v.unlooped(past)
}

// soloSeconds is how long one can keep a machine from its own profile, in the menu
// that firmware draws.
const soloSeconds = 3

// menu completes v with a menu that the firmware draws. The first item is the one
// it takes by itself: in the menu of all profiles the default, which is the disk
// unless somebody named another, so that a machine that nobody watches is never
// installed over; else the machine's own profile, with the disk behind it.
func (v Verdict) menu() Verdict {
	disk := bootmenu.MenuItem{Type: bootmenu.ItemDisk, Text: bootmenu.MenuDiskText}
	var items []bootmenu.MenuItem
	first := 0 // of the menu of all profiles, with the disk in front
	for i, e := range v.Decision.Entries(v.Machine) {
		items = append(items, bootmenu.MenuItem{Type: bootmenu.FirstItem + bootmenu.ItemType(i), Text: e.Title})
		if e.Profile == v.Decision.Look.Default {
			first = i + 1
		}
	}
	seconds, prompt := uint8(soloSeconds), bootmenu.MenuPrompt
	switch {
	case v.Decision.Boot.Instead == bootmenu.InsteadDisk && !v.Decision.Silent():
		items, seconds, prompt = []bootmenu.MenuItem{disk}, 0, bootmenu.MenuDiskText
	case len(items) == 0:
		return v.silent(v.Decision.Reason, v.Decision.Why)
	case v.Decision.Profile != "":
		items = append(items, disk)
	default:
		items, seconds = append([]bootmenu.MenuItem{disk}, items...), v.Decision.Look.PXESeconds()
		bringForward(items, first)
		// No loader is needed to draw this menu.
		v.Decision.Reason, v.Why = "", "no profile is for this machine alone, so its firmware draws the menu"
	}
	var shown int
	v.Reply.Option43, shown = bootmenu.BootMenu(items, v.Reply.From, seconds, prompt)
	if shown < len(items) {
		v.Why += fmt.Sprintf("; the firmware's menu has room for %d of its %d items", shown, len(items))
	}
	return v
}

// bringForward puts item i in front of those before it.
func bringForward(items []bootmenu.MenuItem, i int) {
	item := items[i]
	copy(items[1:i+1], items[:i])
	items[0] = item
}

// serveItem completes v for a machine whose firmware asks for an item of a menu.
func (v Verdict) serveItem(item bootmenu.BootItem, past Past) Verdict {
	var entries []bootmenu.Decision
	if past.Menu != nil {
		entries = past.Menu.Entries(v.Machine)
	}
	i := int(item.Type) - int(bootmenu.FirstItem)
	switch {
	case item.WantsCredentials():
		return v.silent(ReasonBootItem, "asks for BIS credentials, which nobody has")
	case i < 0 || i >= len(entries):
		return v.silent(ReasonBootItem, fmt.Sprintf("asks for item %#x of a PXE boot menu, and none with it was offered here", int(item.Type)))
	}
	v.Decision, v.Why = entries[i], "picked in the firmware's menu"
	v.Reply.Style, v.Reply.StyleWhy, v.Reply.Item = bootmenu.StyleMenu, "it answers the firmware's menu", true
	v.Reply.File, v.Reply.Option43 = v.Decision.File, item.Option43()
	return v.unlooped(past)
}

// unlooped is v, or silence if the loader that it hands out only leads back to
// itself: an iPXE whose user class nobody listed looks like plain firmware, so it
// is handed iPXE again, which asks again, and so on.
func (v Verdict) unlooped(past Past) Verdict {
	if v.Decision.ChoseLoader() && past.Loader == v.Reply.File && past.Loads >= maxLoads {
		return v.silent(ReasonLoop, fmt.Sprintf("it fetched %s %d times and never read the script; if that iPXE has a user class of its own, name it in [dhcp] ipxe_user_classes", past.Loader, past.Loads))
	}
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
func (r *Responder) refuse(req *Request, class string, in Ingress) (bootmenu.Reason, string) {
	switch t := req.messageType; {
	case t != dhcpv4.MessageTypeDiscover && t != dhcpv4.MessageTypeRequest && t != dhcpv4.MessageTypeInform:
		return ReasonMalformed, "not a DISCOVER, REQUEST or INFORM"
	case strings.HasPrefix(class, classBarebox):
		return ReasonBarebox, "barebox would take the answer for its lease"
	case strings.HasPrefix(class, classHTTP):
		return ReasonHTTPClient, "UEFI HTTP Boot is not served; choose PXE in the firmware's boot menu"
	case !req.isPXE() && !(in.Port == PortDHCP && r.Selector.OptsIn(class)):
		return ReasonNotPXE, "not a PXE client"
	case in.Port == PortDHCP && t != dhcpv4.MessageTypeDiscover && !req.isDiscovery():
		return ReasonLeaseRequest, "the request is for the lease server"
	}
	if giaddr := req.relay(); giaddr.IsValid() && !slices.ContainsFunc(r.Relays, func(p netip.Prefix) bool { return p.Contains(giaddr) }) {
		return ReasonRelayRefused, fmt.Sprintf("relay %s is not in the list of relays", giaddr)
	}
	return "", ""
}

// Destination is where the reply to req goes. ok is false if there is nowhere to
// send it.
//
// On port 67 a relay gets it by unicast (RFC 2131 section 4.1), and everybody
// else by broadcast to port 68 whatever the request's source port, since the
// client has no address yet. On port 4011 it goes to the source address and
// port: EDK2 listens on 4011 there, and others on 68. So it does on port 67 to a
// client that looks for a boot server, which has an address.
func Destination(req *Request, in Ingress) (to netip.AddrPort, ok bool) {
	giaddr := req.relay()
	_, isItem := req.bootItem()
	switch {
	case in.Port == PortBoot, isItem && !giaddr.IsValid():
		src := in.Source.Addr()
		return in.Source, src.IsValid() && !src.IsUnspecified() && in.Source.Port() != 0
	case giaddr.IsValid():
		return netip.AddrPortFrom(giaddr, PortDHCP), true
	}
	return netip.AddrPortFrom(limitedBroadcast, PortClient), true
}
