package simulate

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// ipxe is iPXE, in a ROM or started by something else.
var ipxe = family{
	bootPort:   dhcpproxy.PortClient,
	strictPort: true,
	discovers:  seconds(2, 2, 4, 8), // after two seconds it waits for no proxy
	asks:       seconds(1, 2, 4),
	options: func(c player) []dhcpv4.Option {
		return []dhcpv4.Option{
			sizeLimit(), machineID(c),
			generic(dhcpv4.OptionUserClassInformation, []byte("iPXE")...), // plain, no length byte
			wants(1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203),
			generic(optionIPXE, featuresOf(c)...),
			generic(dhcpv4.OptionClientIdentifier, append([]byte{1}, c.mac...)...),
		}
	},
	choose: chooseIPXE,
	settle: settleIPXE,
	tftp:   [][]tftp.Option{{{Name: "blksize", Value: "1432"}, {Name: "tsize", Value: "0"}}},
	judge:  judgeIPXE,
}

// featuresOf is option 175 as iPXE of 2019 sends it: a virtio card on PCI, the
// version, and what the build can do.
func featuresOf(c player) []byte {
	head := []byte{0xb1, 5, 1, 0x1a, 0xf4, 0x10, 0, 0xeb, 3, 1, 0, 0}
	if c.arch != bootmenu.ArchX86BIOS {
		return append(head, features(0x17, 0x24, 0x13, 0x11, 0x27, 0x29, 0x15, 0x12)...)
	}
	head = append(head, features(0x17, 0x22, 0x13, 0x11, 0x27, 0x19, 0x29)...)
	head = append(head, 0x10, 1, 2) // the PXE extensions are of version 2
	return append(head, features(0x21, 0x15, 0x18, 0x12)...)
}

// features are sub-options that say that a feature is there, in version 1.
func features(codes ...byte) (b []byte) {
	for _, code := range codes {
		b = append(b, code, 1, 1)
	}
	return b
}

// chooseIPXE goes on as soon as it has an address and a PXE server's OFFER, or
// after two seconds without the latter; until then a later OFFER replaces an
// earlier one of no higher priority.
func chooseIPXE(c player, offers []*Offer) plan {
	var p plan
	for _, o := range offers {
		if p.lease != nil && (p.lease.noProxies || p.boot != nil) {
			break
		}
		if o.leases() && (p.lease == nil || o.priority >= p.lease.priority) {
			p.lease = o
		}
		if o.isPXE() && o.Server.IsValid() && (p.boot == nil || o.priority >= p.boot.priority) {
			p.boot = o
		}
	}
	if p.lease == nil {
		return plan{fault: noLease(offers)}
	}
	return p.followIPXE(c, offers).resolveURL()
}

// followIPXE goes by the PXE server's OFFER if there is one. A menu counts only if
// option 60 is PXEClient and nothing more.
func (p plan) followIPXE(c player, offers []*Offer) plan {
	switch {
	case p.lease.noProxies && p.lease.File() == "":
		p.fault = finding(StepOffer, "%s tells iPXE to ignore ProxyDHCP (option 175, 0xb0) and names no boot file itself", p.lease.Sender())
		return p
	case p.boot == nil || p.lease.noProxies:
		return p.bootp(c, offers)
	case p.boot.Class == classPXE && p.boot.Discovery.hasMenu():
		return p.follow(c, c.discoverAll, p.boot.Server)
	case p.boot.Siaddr.IsValid() && p.boot.File() != "":
		return p.take()
	}
	p.visits = []visit{visitOf(p.boot, p.boot.Server)}
	return p
}

// resolveURL takes a boot file that is a URL for one.
func (p plan) resolveURL() plan {
	if p.fault == nil && len(p.visits) == 0 {
		p.target = p.target.resolveURL()
	}
	return p
}

// resolveURL is the target that iPXE makes of a name: an absolute URL is one, and
// anything else is a name on the server. A leading slash is the URL's, not the
// name's.
func (t Target) resolveURL() Target {
	name := t.Names[0]
	if _, ok := asURL(name, "http", "https"); ok {
		return Target{URL: name, named: t.named}
	}
	if u, ok := asURL(name, "tftp"); ok {
		if server, err := netip.ParseAddr(u.Hostname()); err == nil {
			t.Server, name = server, u.Path
		}
	}
	t.Names = []string{strings.TrimPrefix(name, "/")}
	return t
}

// settleIPXE reads a boot server's ACK, which must be of the server whose OFFER
// it was.
func settleIPXE(c player, v visit, ack *Offer) (Target, *Finding) {
	if v.item == nil && ack.Server.IsValid() && ack.Server != v.offer.Server {
		return Target{}, finding(StepBootServer, "the boot server %s calls itself %s in option 54 and %s in its OFFER, and iPXE drops that", v.to, ack.Server, v.offer.Server)
	}
	t, fault := settlePXE(c, v, ack)
	if fault != nil {
		return t, fault
	}
	return t.resolveURL(), nil
}

// judgeIPXE: iPXE runs its scripts, and programs for what it runs on.
func judgeIPXE(c player, f *File) *Finding {
	switch {
	case bytes.HasPrefix(f.head, []byte("#!ipxe")):
		return nil
	case c.arch != bootmenu.ArchX86BIOS:
		return judgeEFI(c, f)
	case f.isKernel():
		return nil
	}
	return judgeNBP(c, f)
}
