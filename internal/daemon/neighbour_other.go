//go:build !linux

package daemon

import (
	"net/netip"

	"netbootd/bootmenu"
)

// neighbour knows nobody: [Run] is for Linux, the other systems only build it.
func neighbour(netip.Addr) (bootmenu.MAC, bool) { return bootmenu.MAC{}, false }
