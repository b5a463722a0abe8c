package simulate

import (
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addressLife is how long the kernel keeps the leased address if this program is
// killed and cannot take it away.
const addressLife = 10 * time.Minute

// addAddress gives the interface a leased address.
func addAddress(ifindex int, addr netip.Addr) error {
	link, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, leased(addr))
}

// deleteAddress takes it away.
func deleteAddress(ifindex int, addr netip.Addr) error {
	link, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return err
	}
	return netlink.AddrDel(link, leased(addr))
}

// leased is an address that is alone in its subnet and deprecated: nothing but a
// socket that is bound to it uses it.
func leased(addr netip.Addr) *netlink.Addr {
	return &netlink.Addr{
		IPNet:    &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)},
		ValidLft: int(addressLife.Seconds()),
		Flags:    unix.IFA_F_NOPREFIXROUTE,
	}
}
