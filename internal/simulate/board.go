package simulate

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// uboot is U-Boot's own network stack, built with SERVERIP_FROM_PROXYDHCP. It
// asks no boot server and reads of a proxy's OFFER the header alone.
var uboot = family{
	bootPort:  dhcpproxy.PortClient,
	discovers: seconds(1, 1, 2, 2, 2, 2),
	options: func(player) []dhcpv4.Option {
		return []dhcpv4.Option{dhcpv4.OptMaxMessageSize(576), wants(1, 3, 6, 12, 17)}
	},
	choose: chooseUBoot,
	tftp:   [][]tftp.Option{{{Name: "timeout", Value: "5"}, {Name: "tsize", Value: "0"}, {Name: "blksize", Value: "1468"}}},
	judge: func(c player, f *File) *Finding {
		if f.isPE {
			return judgeEFI(c, f) // bootefi
		}
		return nil // a script, a FIT, a kernel: the board's own scripts know
	},
}

// ubootWait is how long after the lease server's OFFER U-Boot waits for a
// proxy's (SERVERIP_FROM_PROXYDHCP_DELAY_MS, its default).
const ubootWait = 100 * time.Millisecond

// chooseUBoot takes the first lease, and the header of the last proxy's OFFER
// that came in time.
func chooseUBoot(c player, offers []*Offer) plan {
	p := plan{lease: firstOf(offers, (*Offer).leases)}
	if p.lease == nil {
		p.fault = noLease(offers)
		return p
	}
	var late *Offer
	for _, o := range offers {
		switch {
		case o.leases() || o.From.Port() != dhcpproxy.PortDHCP || !o.ethernet || !o.Siaddr.IsValid():
		case o.After > p.lease.After+ubootWait:
			late = o
		default:
			p.boot = o
		}
	}
	switch {
	case p.boot != nil && p.boot.HeaderFile == "":
		p.fault = finding(StepOffer, "the OFFER of %s has no boot file in its header, and U-Boot reads nothing else of a proxy's", p.boot.Sender())
	case p.boot != nil:
		p.target = targetOf(p.boot, p.boot.HeaderFile)
	case late != nil:
		p.fault = finding(StepOffer, "the OFFER of %s came %s after the lease server's, and U-Boot waits %s for it", late.Sender(), (late.After - p.lease.After).Round(time.Millisecond), ubootWait)
	default:
		p.fault = finding(StepOffer, "nobody says what to boot: no ProxyDHCP server answers %s", c.Name).
			hint(`netbootd answers U-Boot if a profile's [match] vendor_class names it ("U-Boot*")`)
	}
	return p
}

// rpi4 is the boot EEPROM of a Raspberry Pi 4 or 5. It names its files itself.
var rpi4 = family{
	bootPort:  dhcpproxy.PortClient,
	discovers: seconds(4, 4, 4, 4),
	options: func(c player) []dhcpv4.Option {
		id := append([]byte{0}, "RPi4"...)
		id = binary.LittleEndian.AppendUint32(id, 0xc03114) // revision code of a 4B with 4 GB
		id = append(id, c.mac[2:]...)
		id = binary.LittleEndian.AppendUint32(id, c.serial())
		return []dhcpv4.Option{generic(dhcpv4.OptionClientMachineIdentifier, id...), wants(1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135)}
	},
	choose: chooseRPi,
	tftp:   [][]tftp.Option{{{Name: "tsize", Value: "0"}, {Name: "blksize", Value: "1024"}}},
	judge:  func(player, *File) *Finding { return nil },
}

// menuRPi is what the first item of the PXE menu must have in its text.
const menuRPi = "Raspberry Pi Boot"

// fileRPi is the first file that a Pi 4 cannot do without. It looks below a
// directory named after its serial number first.
const fileRPi = "start4.elf"

// chooseRPi takes the first OFFER with the Pi's menu. The server's address is in
// option 66, else in siaddr.
func chooseRPi(c player, offers []*Offer) plan {
	p := plan{lease: firstOf(offers, (*Offer).leases)}
	if p.lease == nil {
		p.fault = noLease(offers)
		return p
	}
	p.boot = firstOf(offers, func(o *Offer) bool {
		return o.isPXE() && o.Discovery.hasMenu() && strings.Contains(o.Discovery.Menu[0].Text, menuRPi)
	})
	if p.boot == nil {
		p.fault = finding(StepOffer, "no OFFER has %q as the first item of a PXE menu (option 43), which is what a Raspberry Pi looks for", menuRPi)
		return p
	}
	p.target = targetOf(p.boot, fmt.Sprintf("%08x/%s", c.serial(), fileRPi))
	p.target.Names = append(p.target.Names, fileRPi)
	if server, err := netip.ParseAddr(p.boot.TFTPServer); err == nil {
		p.target.Server, p.target.named = server, fmt.Sprintf("option 66 in the OFFER of %s", p.boot.Sender())
	}
	if !p.target.Server.IsValid() {
		p.fault = finding(StepOffer, "the OFFER of %s names no TFTP server: option 66, siaddr and option 54 are missing", p.boot.Sender())
	}
	return p
}
