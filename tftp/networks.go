package tftp

import (
	"net/netip"
	"slices"
)

// Networks are prefixes of IPv4 and IPv6 addresses.
type Networks []netip.Prefix

// Contains tells whether one of them has the address, whose zone does not count.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.WithZone("") // a prefix contains no address with a zone
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr) })
}
