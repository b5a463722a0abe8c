package daemon

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"netbootd/bootmenu"
)

// neighbour asks the kernel's neighbour table who is behind an address on a
// network of this host: a board that never asks us by DHCP is known by that.
func neighbour(addr netip.Addr) (bootmenu.MAC, bool) {
	if addr.IsLoopback() {
		return bootmenu.MAC{}, false // nobody has a MAC there
	}
	family := netlink.FAMILY_V4
	if addr.Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := netlink.NeighList(0, family)
	if err != nil {
		return bootmenu.MAC{}, false // without the table nobody is known by it
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == addr.WithZone("") && len(n.HardwareAddr) > 0 {
			return bootmenu.MACFromBytes(n.HardwareAddr), true
		}
	}
	return bootmenu.MAC{}, false
}
