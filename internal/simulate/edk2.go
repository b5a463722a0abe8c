package simulate

import (
	"fmt"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// edk2 is the PXE client of EDK2, which most UEFI firmware is built from.
var edk2 = family{
	bootPort:   dhcpproxy.PortBoot,
	siaddrOnly: true,
	discovers:  seconds(4, 8, 16, 32),
	asks:       seconds(1, 2, 3, 4),
	options:    optionsEDK2,
	choose:     chooseEDK2,
	settle:     settlePXE,
	tftp: [][]tftp.Option{
		{{Name: "tsize", Value: "0"}, {Name: "blksize", Value: "1468"}, {Name: "windowsize", Value: "4"}},
		{{Name: "blksize", Value: "1468"}, {Name: "windowsize", Value: "4"}},
	},
	judge: judgeEFI,
}

func optionsEDK2(c player) []dhcpv4.Option {
	return []dhcpv4.Option{sizeLimit(), machineID(c), wants(1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43,
		50, 51, 54, 58, 59, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135)}
}

// maxOffersEDK2 is how many OFFERs EDK2 keeps; later ones are not looked at.
const maxOffersEDK2 = 16

// A rank is the class that EDK2 puts an OFFER into. "PXE10" has discovery data in
// option 43 and is followed as it is; the server of a "BINL" one is asked again.
type rank int

const (
	rankNone rank = iota
	rankLeasePXE10
	rankProxyPXE10
	rankLeaseBINL
	rankProxyBINL
	rankLeaseOnly
)

// rankOf is the class of an OFFER.
func rankOf(o *Offer) rank {
	switch {
	case lacks(o) != "":
		return rankNone
	case o.isPXE() && o.Discovery != nil && o.leases():
		return rankLeasePXE10
	case o.isPXE() && o.Discovery != nil:
		return rankProxyPXE10
	case o.isPXE() && o.leases():
		return rankLeaseBINL
	case o.isPXE():
		return rankProxyBINL
	case o.leases():
		return rankLeaseOnly
	}
	return rankNone
}

// lacks names what EDK2's DHCP driver wants of an OFFER and does not find, or is
// "".
func lacks(o *Offer) string {
	switch {
	case !o.Server.IsValid():
		return "option 54 (server identifier)"
	case !o.ended:
		return "the end option"
	}
	return ""
}

// chooseEDK2 goes by rank first and by order of arrival second.
func chooseEDK2(c player, offers []*Offer) plan {
	byRank := make(map[rank][]*Offer)
	for _, o := range offers[:min(len(offers), maxOffersEDK2)] {
		byRank[rankOf(o)] = append(byRank[rankOf(o)], o)
	}
	leases := byRank[rankLeaseOnly]
	with := func(lease, boot *Offer) plan { return plan{lease: lease, boot: boot} }
	switch own, proxy, binl := byRank[rankLeasePXE10], byRank[rankProxyPXE10], byRank[rankProxyBINL]; {
	case len(own) > 0:
		return with(own[0], own[0]).followPXE10(c)
	case len(leases) > 0 && len(proxy) > 0:
		return with(leases[0], proxy[0]).followPXE10(c)
	case len(byRank[rankLeaseBINL]) > 0:
		o := byRank[rankLeaseBINL][0]
		return with(o, o).askEach(byRank[rankLeaseBINL][:1])
	case len(leases) > 0 && len(binl) > 0:
		return with(leases[0], binl[0]).askEach(binl)
	case len(leases) > 0:
		return plan{lease: withFile(leases)}.bootp(c, offers)
	}
	return plan{fault: noLeaseEDK2(offers, byRank)}
}

// withFile is the first OFFER that names a boot file, else the first.
func withFile(leases []*Offer) *Offer {
	if o := firstOf(leases, func(o *Offer) bool { return o.File() != "" }); o != nil {
		return o
	}
	return leases[0]
}

// noLeaseEDK2 says why there is nothing to choose from.
func noLeaseEDK2(offers []*Offer, byRank map[rank][]*Offer) *Finding {
	dropped := firstOf(byRank[rankNone], (*Offer).leases)
	if dropped == nil {
		return noLease(offers)
	}
	return finding(StepDiscover, "the OFFER of %s lacks %s, and EDK2 drops it", dropped.Sender(), lacks(dropped))
}

// followPXE10 takes the file of the OFFER, or its menu. With neither OVMF was seen
// to end with PXE-E21 (a dnsmasq that has a prompt and one service).
func (p plan) followPXE10(c player) plan {
	d := p.boot.Discovery
	switch {
	case d.hasMenu():
		p = p.follow(c, firstMethod, netip.Addr{})
	case p.boot.File() == "":
		p.fault = finding(StepOffer, "the OFFER of %s has option 43 and neither a boot file nor a menu, and EDK2 ends there", p.boot.Sender())
	default:
		p = p.take()
	}
	fetches := p.fault == nil && len(p.visits) == 0
	if fetches && d.skips() && len(d.Servers) > 0 && len(d.Servers[0].Addrs) > 0 {
		// It prefers the first boot server of the list to siaddr.
		p.target.Server = d.Servers[0].Addrs[0]
		p.target.named = fmt.Sprintf("the list of boot servers in the OFFER of %s", p.boot.Sender())
	}
	return p
}

// firstMethod asks for a menu item by the first method that is allowed, and by no
// other.
func firstMethod(o *Offer, item *MenuItem) []visit {
	methods := o.Discovery.methods(item.Type)
	if len(methods) == 0 {
		return nil
	}
	return visitsFor(o, item, methods[0])
}

// askEach asks the servers of these OFFERs in turn, at siaddr before option 54. If
// none answers OVMF was seen to end with PXE-E16 (a dnsmasq that leases, has one
// service, and is silent on 4011).
func (p plan) askEach(offers []*Offer) plan {
	for _, o := range offers {
		p.visits = append(p.visits, visitOf(o, o.fileServer()))
	}
	return p
}

// judgeEFI: UEFI starts EFI programs for its own machine type.
func judgeEFI(c player, f *File) *Finding {
	want := c.bootArch().String()
	switch {
	case !f.isPE:
		return finding(StepLoader, "%s is no EFI program, and %s starts nothing else", f.quoted(), c.Name).
			hint("give %s an EFI program, such as snponly.efi or grubx64.efi", want)
	case f.Machine != want:
		return finding(StepLoader, "%s is %s, and %s starts those for %s", f.quoted(), f.program(), c.Name, want).
			hint("give %s a boot file of its own", want)
	}
	return nil
}
