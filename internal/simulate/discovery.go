package simulate

import (
	"encoding/binary"
	"net/netip"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
)

// A Discovery is what option 43 of a PXE server says. It is only there if the
// option has one of the tags 6 to 10: firmware goes by these.
type Discovery struct {
	Control   byte         `json:"control"` // bits of tag 6
	Multicast netip.Addr   `json:"multicast,omitzero"`
	Servers   []BootServer `json:"servers,omitempty"`   // tag 8
	Menu      []MenuItem   `json:"menu,omitempty"`      // tag 9; the first is the default
	Prompt    string       `json:"prompt,omitempty"`    // text of tag 10
	TimesOut  bool         `json:"times_out,omitempty"` // after the prompt the first item is taken, without a key
}

// A BootServer is a type of boot server and where it is.
type BootServer struct {
	Type  uint16       `json:"type"`
	Addrs []netip.Addr `json:"addrs"`
}

// A MenuItem is one line of a PXE boot menu. Type 0 is the local disk.
type MenuItem struct {
	Type uint16 `json:"type"`
	Text string `json:"text"`
}

// skips tells whether the boot file is to be taken as it is.
func (d *Discovery) skips() bool { return d != nil && d.Control&bootmenu.SkipToFile != 0 }

// hasMenu tells whether there is a menu to choose from.
func (d *Discovery) hasMenu() bool { return d != nil && len(d.Menu) > 0 }

// parseOption43 reads the tags; a truncated one ends the reading. item is the
// content of tag 71, which a boot server repeats in its ACK.
func parseOption43(b []byte) (d *Discovery, item []byte) {
	var found Discovery
	valid := false
	for tag, value := range bootmenu.Option43Tags(b) {
		if tag == bootmenu.TagBootItem {
			item = value
			continue
		}
		valid = found.take(tag, value) || valid
	}
	if !valid {
		return nil, item
	}
	return &found, item
}

// take notes one tag; it tells whether that is one that firmware goes by.
func (d *Discovery) take(tag byte, value []byte) bool {
	switch tag {
	case bootmenu.TagDiscoveryControl:
		if len(value) == 1 {
			d.Control = value[0]
		}
	case bootmenu.TagMulticast:
		d.Multicast, _ = netip.AddrFromSlice(value)
	case bootmenu.TagBootServers:
		d.Servers = parseBootServers(value)
	case bootmenu.TagBootMenu:
		d.Menu = parseMenu(value)
	case bootmenu.TagMenuPrompt:
		if len(value) > 0 {
			d.TimesOut, d.Prompt = value[0] != 255, string(value[1:])
		}
	default:
		return false
	}
	return true
}

func parseBootServers(b []byte) (servers []BootServer) {
	for len(b) >= 3 {
		s := BootServer{Type: binary.BigEndian.Uint16(b)}
		count := int(b[2])
		b = b[3:]
		for ; count > 0 && len(b) >= 4; count-- {
			s.Addrs = append(s.Addrs, netip.AddrFrom4([4]byte(b)))
			b = b[4:]
		}
		servers = append(servers, s)
	}
	return servers
}

func parseMenu(b []byte) (items []MenuItem) {
	read, _ := bootmenu.ParseMenuItems(b)
	for _, i := range read {
		items = append(items, MenuItem{Type: uint16(i.Type), Text: i.Text})
	}
	return items
}

// bootItemOption is the content of option 43 that asks for a menu item: its first
// file, which is layer 0.
func bootItemOption(itemType uint16) []byte {
	return bootmenu.BootItem{Type: bootmenu.ItemType(itemType)}.Option43()
}

// methods are where a boot server of that type may be asked, by multicast, by
// broadcast and from the list, in this order (PXE 2.1 section 2.2.2).
func (d *Discovery) methods(itemType uint16) (methods [][]netip.AddrPort) {
	if d.Control&bootmenu.NoMulticastDiscovery == 0 && d.Multicast.IsMulticast() {
		methods = append(methods, []netip.AddrPort{netip.AddrPortFrom(d.Multicast, dhcpproxy.PortBoot)})
	}
	if d.Control&bootmenu.NoBroadcastDiscovery == 0 {
		methods = append(methods, []netip.AddrPort{netip.AddrPortFrom(broadcast, dhcpproxy.PortDHCP)})
	}
	var listed []netip.AddrPort
	for _, a := range d.listed(itemType) {
		listed = append(listed, netip.AddrPortFrom(a, dhcpproxy.PortBoot))
	}
	if len(listed) > 0 {
		methods = append(methods, listed)
	}
	return methods
}

// accepted are the only servers that may answer for that type; none means that
// anybody may.
func (d *Discovery) accepted(itemType uint16) []netip.Addr {
	if d.Control&bootmenu.OnlyListedServers == 0 {
		return nil
	}
	return d.listed(itemType)
}

// listed are the boot servers of that type.
func (d *Discovery) listed(itemType uint16) (addrs []netip.Addr) {
	for _, s := range d.Servers {
		if s.Type == itemType {
			addrs = append(addrs, s.Addrs...)
		}
	}
	return addrs
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
