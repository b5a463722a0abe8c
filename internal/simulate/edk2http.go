package simulate

import (
	"net/netip"
	"strings"

	"netbootd/dhcpproxy"
)

// edk2HTTP is the HTTP Boot client of EDK2. It asks no boot server.
var edk2HTTP = family{
	bootPort:  dhcpproxy.PortClient,
	discovers: seconds(4, 8, 16, 32),
	options:   optionsEDK2,
	choose:    chooseHTTP,
	head:      true,
	judge:     judgeHTTP,
}

// chooseHTTP takes the first OFFER with option 60 "HTTPClient" and a URI: a lease
// server's before a proxy's, and one that names its host by address before one
// that needs DNS.
func chooseHTTP(c player, offers []*Offer) plan {
	p := plan{lease: firstOf(offers, (*Offer).leases)}
	if p.lease == nil {
		p.fault = noLease(offers)
		return p
	}
	p.boot = bestHTTP(p.lease, offers)
	if p.boot == nil {
		p.fault = whyNoHTTP(c, offers)
		return p
	}
	if p.boot.leases() {
		p.lease = p.boot
	}
	p.target = Target{URL: p.boot.File(), named: "the OFFER of " + p.boot.Sender().String()}
	if len(p.lease.DNS) == 0 && !hostIsAddr(p.boot) {
		p.fault = finding(StepOffer, "the boot URI %q of %s names its host, and %s offers no DNS server (option 6) to ask for it", p.boot.File(), p.boot.Sender(), p.lease.Sender()).
			hint("write the host as an address")
	}
	return p
}

// bestHTTP is the OFFER to follow, or nil.
func bestHTTP(lease *Offer, offers []*Offer) *Offer {
	usable := func(o *Offer) bool {
		_, ok := asURL(o.File(), "http", "https")
		return o.isHTTP() && ok
	}
	for _, is := range []func(*Offer) bool{
		func(o *Offer) bool { return o.leases() && hostIsAddr(o) },
		func(o *Offer) bool { return o.leases() && len(o.DNS) > 0 },
		hostIsAddr,
		func(*Offer) bool { return len(lease.DNS) > 0 },
		func(*Offer) bool { return true }, // it fails for want of a DNS server
	} {
		if o := firstOf(offers, func(o *Offer) bool { return usable(o) && is(o) }); o != nil {
			return o
		}
	}
	return nil
}

// hostIsAddr tells whether the boot URI names its host by address.
func hostIsAddr(o *Offer) bool {
	u, ok := asURL(o.File(), "http", "https")
	if !ok {
		return false
	}
	_, err := netip.ParseAddr(u.Hostname())
	return err == nil
}

// whyNoHTTP says what the OFFERs lack.
func whyNoHTTP(c player, offers []*Offer) *Finding {
	if o := firstOf(offers, (*Offer).isHTTP); o != nil {
		return finding(StepOffer, "the OFFER of %s is for HTTP Boot and has no boot URI: its boot file is %q", o.Sender(), o.File())
	}
	return finding(StepOffer, "nobody offers HTTP Boot: no OFFER has option 60 %q, and %s drops all others", classHTTP, c.Name).
		hint("choose PXE in the firmware's boot menu, or let a server offer a boot URI")
}

// judgeHTTP: UEFI HTTP Boot starts EFI programs and disk images.
func judgeHTTP(c player, f *File) *Finding {
	lower := strings.ToLower(f.Name)
	for _, image := range []string{".iso", ".img"} {
		if strings.HasSuffix(lower, image) {
			return nil
		}
	}
	switch f.mediaType {
	case "application/vnd.efi-iso", "application/vnd.efi-img":
		return nil
	}
	return judgeEFI(c, f)
}
