package simulate

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// pxeROM is the ROM of a network card in a BIOS PC, as PXE 2.1 describes it and
// Intel's and Broadcom's were built.
var pxeROM = family{
	bootPort:  dhcpproxy.PortClient,
	discovers: seconds(4, 8, 16, 32),
	asks:      seconds(1, 2, 3, 4),
	options: func(c player) []dhcpv4.Option {
		return []dhcpv4.Option{machineID(c), wants(1, 2, 3, 5, 6, 11, 12, 13, 15, 16, 17, 18, 43, 54, 60, 67, 128, 129, 130, 131, 132, 133, 134, 135)}
	},
	choose: choosePXE,
	settle: settlePXE,
	// It asks for the size alone and aborts, then reads (field reports).
	tftp:  [][]tftp.Option{{{Name: "tsize", Value: "0"}}, {{Name: "blksize", Value: "1456"}}},
	judge: judgeNBP,
}

// choosePXE takes the first OFFER that is a PXE server's; that of a lease server
// goes before a proxy's.
func choosePXE(c player, offers []*Offer) plan {
	p := plan{lease: firstOf(offers, (*Offer).leases)}
	if own := firstOf(offers, func(o *Offer) bool { return o.leases() && o.isPXE() }); own != nil {
		p.lease, p.boot = own, own
	} else {
		p.boot = firstOf(offers, (*Offer).isPXE)
	}
	switch {
	case p.lease == nil:
		p.fault = noLease(offers)
	case p.boot == nil:
		return p.bootp(c, offers)
	default:
		return p.follow(c, c.discoverAll, p.boot.Sender())
	}
	return p
}

// discoverAll asks for a menu item by every method that is allowed, in turn.
func (c player) discoverAll(o *Offer, item *MenuItem) (visits []visit) {
	for _, method := range o.Discovery.methods(item.Type) {
		visits = append(visits, visitsFor(o, item, method)...)
	}
	return visits
}

// visitsFor asks each of these for a menu item.
func visitsFor(o *Offer, item *MenuItem, targets []netip.AddrPort) (visits []visit) {
	for _, to := range targets {
		visits = append(visits, visit{to: to, offer: o, item: item, only: o.Discovery.accepted(item.Type)})
	}
	return visits
}

// bootp goes by the lease server's own OFFER, which is no PXE server's: it boots
// what that names all the same.
func (p plan) bootp(c player, offers []*Offer) plan {
	if p.lease.File() == "" {
		p.fault = nothingOffered(c, p.lease, offers)
		return p
	}
	p.boot = p.lease
	return p.take()
}

// follow goes by the OFFER of a PXE server: its file, its menu, or else it asks
// that server on port 4011.
func (p plan) follow(c player, discover func(*Offer, *MenuItem) []visit, server netip.Addr) plan {
	d := p.boot.Discovery
	switch {
	case d.skips() && p.boot.File() != "":
		return p.take()
	case d.hasMenu() && d.Menu[0].Type == 0:
		p.fault = finding(StepOffer, "the PXE menu of %s begins with %q, which is the local disk", p.boot.Sender(), d.Menu[0].Text).
			hint("the first item is taken when nobody chooses")
	case d.hasMenu():
		p.visits = discover(p.boot, &d.Menu[0])
		if len(p.visits) == 0 {
			p.fault = finding(StepOffer, "the PXE menu of %s has no boot server for its first item %q, and forbids to look for one", p.boot.Sender(), d.Menu[0].Text)
		}
	case !server.IsValid():
		p.fault = finding(StepOffer, "the OFFER of %s says neither what to boot nor, in siaddr or option 54, whom to ask", p.boot.Sender())
	default:
		p.visits = []visit{visitOf(p.boot, server)}
	}
	return p
}

// take fetches what the OFFER names.
func (p plan) take() plan {
	p.target = targetOf(p.boot, p.boot.File())
	if !p.target.Server.IsValid() {
		p.fault = finding(StepOffer, "the OFFER of %s names the boot file %q and no server to fetch it from: siaddr and option 54 are missing", p.boot.Sender(), p.boot.File())
	}
	return p
}

// settlePXE reads a boot server's ACK.
func settlePXE(c player, v visit, ack *Offer) (Target, *Finding) {
	if fault := checkAnswer(c, v, ack); fault != nil {
		return Target{}, fault
	}
	switch {
	case ack.File() == "":
		return Target{}, finding(StepBootServer, "the boot server %s answers without the name of a boot file", v.to)
	case !ack.fileServer().IsValid():
		return Target{}, finding(StepBootServer, "the boot server %s names the boot file %q and no server to fetch it from: siaddr and option 54 are missing", v.to, ack.File())
	}
	return targetOf(ack, ack.File()), nil
}

// checkAnswer says why a client does not take an answer for a boot server's.
func checkAnswer(c player, v visit, ack *Offer) *Finding {
	switch {
	case ack.message != dhcpv4.MessageTypeAck:
		return finding(StepBootServer, "the boot server %s answers with %s, and %s waits for an ACK", v.to, kindOf(ack), c.Name)
	case c.family.strictPort && ack.From.Port() != dhcpproxy.PortBoot:
		return finding(StepBootServer, "the boot server %s answers from port %d, and %s takes its answer from port %d only", v.to, ack.From.Port(), c.Name, dhcpproxy.PortBoot)
	case v.item != nil && !bytes.HasPrefix(ack.item, bootItemOption(v.item.Type)[2:4]):
		return finding(StepBootServer, "the boot server %s does not repeat the menu item %q in its answer", v.to, v.item.Text)
	case len(v.only) > 0 && c.family.siaddrOnly && !slices.Contains(v.only, ack.Siaddr):
		return finding(StepBootServer, "%s answers with a siaddr that is not in the list of boot servers of %s", ack.Sender(), v.offer.Sender())
	case len(v.only) > 0 && !c.family.siaddrOnly && !slices.Contains(v.only, ack.Sender()):
		return finding(StepBootServer, "%s answers, which is not in the list of boot servers of %s", ack.Sender(), v.offer.Sender())
	}
	return nil
}

// noLease is the fault of a wire on which nobody leases.
func noLease(offers []*Offer) *Finding {
	if len(offers) == 0 {
		return finding(StepDiscover, "nobody answers the DISCOVER").
			hint("the DHCP server must be in this segment, or be named with --relay; it may be silent to strangers and to relays")
	}
	return finding(StepDiscover, "no DHCP server offers an address; only %s answers, which leases none", offers[0].Sender()).
		hint("a ProxyDHCP server stands beside a DHCP server: start that, or look why it does not answer")
}

// nothingOffered is the fault of a wire on which a lease is all that the client
// listens to.
func nothingOffered(c player, lease *Offer, offers []*Offer) *Finding {
	for _, o := range offers {
		if why := unheard(o); why != "" {
			return finding(StepOffer, "the OFFER of %s %s, so %s does not listen to it, and nobody else says what to boot", o.Sender(), why, c.Name)
		}
	}
	return finding(StepOffer, "nobody says what to boot: %s offers an address and no boot file, and no ProxyDHCP server answers %s", lease.Sender(), c.Name).
		hint("if netbootd serves this segment, its log says why it is silent")
}

// unheard says why PXE clients do not listen to a ProxyDHCP server's OFFER, or "".
func unheard(o *Offer) string {
	switch {
	case o.leases():
		return ""
	case !o.isPXE():
		return fmt.Sprintf("has no option 60 %q", classPXE)
	case lacks(o) != "":
		return "lacks " + lacks(o)
	}
	return ""
}

// judgeNBP: a BIOS jumps to the first byte of what it loaded.
func judgeNBP(c player, f *File) *Finding {
	switch {
	case f.isKernel():
		return finding(StepLoader, "%s is a Linux kernel, and %s loads a boot loader", f.quoted(), c.Name).
			hint("give it iPXE (undionly.kpxe) or pxelinux.0, which load kernels")
	case f.isPE:
		return finding(StepLoader, "%s is %s, and %s loads programs for the BIOS", f.quoted(), f.program(), c.Name).
			hint("give x86-bios a boot file of its own, such as undionly.kpxe")
	}
	return nil
}

// program names an EFI program.
func (f *File) program() string {
	if f.Machine == "" {
		return "an EFI program for an unknown machine type"
	}
	return fmt.Sprintf("an EFI program for %s", f.Machine)
}
