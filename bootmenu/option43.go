package bootmenu

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// Tags of PXE's vendor options, which DHCP option 43 encapsulates (PXE 2.1
// section 2, table 2-1).
const (
	TagDiscoveryControl = 6
	TagMulticast        = 7
	TagBootServers      = 8
	TagBootMenu         = 9
	TagMenuPrompt       = 10
	TagBootItem         = 71
	tagEnd              = 255
)

// Bits of the discovery control.
const (
	NoBroadcastDiscovery = 1 << 0
	NoMulticastDiscovery = 1 << 1
	OnlyListedServers    = 1 << 2
	// SkipToFile: take the boot file that this packet names, without prompt, menu or
	// boot server discovery.
	SkipToFile = 1 << 3
)

// SkipDiscovery is the content of option 43 that tells BIOS ROMs and iPXE to
// take the boot file of this OFFER as it is. The prompt of zero seconds is there
// for ROMs that go by the prompt before they go by the control bits. The end tag
// is needed: some ROMs read on into whatever follows.
func SkipDiscovery() []byte {
	return []byte{TagDiscoveryControl, 1, SkipToFile, TagMenuPrompt, 4, 0, 'P', 'X', 'E', tagEnd}
}

// RaspberryPi is the content of option 43 that a Raspberry Pi's boot ROM waits
// for; it ignores an OFFER without the words "Raspberry Pi Boot". The mask ROM of
// the models before 4 wants them to be 20 characters long.
func RaspberryPi(maskROM bool) []byte {
	text := "Raspberry Pi Boot"
	if maskROM {
		text += "   "
	}
	b := []byte{TagDiscoveryControl, 1, NoBroadcastDiscovery | NoMulticastDiscovery, TagMenuPrompt, 4, 0, 'P', 'X', 'E'}
	b = append(b, TagBootMenu, byte(3+len(text)), 0, 0, byte(len(text)))
	return append(append(b, text...), tagEnd)
}

// ItemType is the type of a boot server, which an item of a PXE menu stands for.
type ItemType uint16

const (
	// ItemDisk is the item with which the firmware boots locally, without a word
	// to anybody (PXE 2.1 section 2, boot server type 0).
	ItemDisk ItemType = 0
	// FirstItem is the first type that vendors may give out.
	FirstItem ItemType = 0x8000
)

// A MenuItem is one line of a PXE boot menu.
type MenuItem struct {
	Type ItemType
	Text string
}

// Texts of the menus that firmware draws.
const (
	MenuDiskText = "Boot from disk"
	MenuPrompt   = "Press F8 for the network boot menu"
)

const (
	maxOption   = 255 // what one DHCP option holds; firmware reads no second part
	maxItemText = 40  // characters of an item's line
)

// BootMenu is the content of option 43 that has the firmware draw a menu and ask
// server for the item that was picked. After timeout seconds without a key the
// first item is taken. shown is how many of the items there was room for.
//
// Clients are told to ask by unicast: EDK2 tries only one method, and a broadcast
// would reach port 67 of the lease server too.
func BootMenu(items []MenuItem, server netip.Addr, timeout uint8, prompt string) (option43 []byte, shown int) {
	var servers, lines []byte
	fixed := []byte{TagDiscoveryControl, 1, NoBroadcastDiscovery | NoMulticastDiscovery}
	fixed = append(fixed, TagMenuPrompt, byte(1+len(prompt)), timeout)
	fixed = append(fixed, prompt...)
	for _, item := range items {
		line := binary.BigEndian.AppendUint16(nil, uint16(item.Type))
		text := menuText(item.Text)
		line = append(append(line, byte(len(text))), text...)
		var entry []byte
		if item.Type != ItemDisk {
			entry = binary.BigEndian.AppendUint16(nil, uint16(item.Type))
			entry = append(append(entry, 1), server.AsSlice()...)
		}
		const heads = 2 + 2 + 1 // of the two lists, and the end
		if len(fixed)+len(servers)+len(entry)+len(lines)+len(line)+heads > maxOption {
			break
		}
		servers, lines, shown = append(servers, entry...), append(lines, line...), shown+1
	}
	if len(servers) > 0 {
		fixed = append(append(fixed, TagBootServers, byte(len(servers))), servers...)
	}
	fixed = append(append(fixed, TagBootMenu, byte(len(lines))), lines...)
	return append(fixed, tagEnd), shown
}

// menuText is what of a text firmware can draw on one line: printable ASCII, and
// not too long.
func menuText(s string) string {
	text := make([]byte, 0, maxItemText)
	for _, r := range s {
		if r < ' ' || r > '~' {
			r = '?'
		}
		if len(text) < maxItemText {
			text = append(text, byte(r))
		}
	}
	return string(text)
}

// A BootItem is what a client asks a boot server for: an item of the menu that
// was picked.
type BootItem struct {
	Type  ItemType
	Layer uint16 // of that item; bit 15 asks for BIS credentials
}

// WantsCredentials tells whether not the item but its BIS credentials are asked
// for (PXE 2.1 section 2.3).
func (i BootItem) WantsCredentials() bool { return i.Layer&0x8000 != 0 }

// Option43 is the content of option 43 that names the item again in the answer:
// iPXE drops an answer of another type.
func (i BootItem) Option43() []byte {
	b := binary.BigEndian.AppendUint16([]byte{TagBootItem, 4}, uint16(i.Type))
	return append(binary.BigEndian.AppendUint16(b, i.Layer), tagEnd)
}

// ParseBootItem finds the item that a request's option 43 asks for (tag 71).
// Padding and a missing end are accepted; a truncated tag ends the search.
func ParseBootItem(option43 []byte) (item BootItem, ok bool) {
	for tag, value := range Option43Tags(option43) {
		if tag == TagBootItem && len(value) == 4 {
			return BootItem{Type: ItemType(binary.BigEndian.Uint16(value)), Layer: binary.BigEndian.Uint16(value[2:])}, true
		}
	}
	return BootItem{}, false
}

// Option43Tags are the tags of option 43 up to the end tag, without padding. What
// is no whole tag comes last, as tag 0.
func Option43Tags(option43 []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for rest := option43; len(rest) > 0 && rest[0] != tagEnd; {
			tag, value := rest[0], rest
			switch {
			case tag == 0:
				rest = rest[1:]
				continue
			case len(rest) < 2 || len(rest) < 2+int(rest[1]):
				tag, rest = 0, nil
			default:
				value, rest = rest[2:2+int(rest[1])], rest[2+int(rest[1]):]
			}
			if !yield(tag, value) {
				return
			}
		}
	}
}

// DescribeOption43 tells what is in option 43, for people: a line for each tag.
func DescribeOption43(option43 []byte) (lines []string) {
	for tag, value := range Option43Tags(option43) {
		lines = append(lines, describeTag(tag, value))
	}
	return lines
}

func describeTag(tag byte, value []byte) string {
	switch {
	case tag == 0:
		return fmt.Sprintf("no tag: % x", value)
	case tag == TagDiscoveryControl && len(value) == 1:
		return "discovery control " + controlText(value[0])
	case tag == TagMenuPrompt && len(value) > 0:
		return fmt.Sprintf("prompt %q for %d s", value[1:], value[0])
	case tag == TagBootServers:
		return fmt.Sprintf("boot servers % x", value)
	case tag == TagBootMenu:
		return "menu" + menuLines(value)
	case tag == TagBootItem && len(value) == 4:
		return fmt.Sprintf("item %#x, layer %#x", binary.BigEndian.Uint16(value), binary.BigEndian.Uint16(value[2:]))
	}
	return fmt.Sprintf("tag %d: % x", tag, value)
}

func controlText(bits byte) string {
	var words []string
	for i, word := range []string{"no broadcast", "no multicast", "listed servers only", "take the file, skip the rest"} {
		if bits&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return fmt.Sprintf("%d (%s)", bits, strings.Join(words, ", "))
}

// menuLines are the items of a menu: type and text.
func menuLines(value []byte) string {
	var sb strings.Builder
	items, rest := ParseMenuItems(value)
	for _, item := range items {
		fmt.Fprintf(&sb, " [%#x %q]", uint16(item.Type), item.Text)
	}
	if len(rest) > 0 {
		fmt.Fprintf(&sb, " no item: % x", rest)
	}
	return sb.String()
}

// ParseMenuItems reads the items of a boot menu (tag 9). What is no whole item is
// the rest.
func ParseMenuItems(value []byte) (items []MenuItem, rest []byte) {
	for rest = value; len(rest) >= 3 && len(rest) >= 3+int(rest[2]); {
		end := 3 + int(rest[2])
		items = append(items, MenuItem{Type: ItemType(binary.BigEndian.Uint16(rest)), Text: string(rest[3:end])})
		rest = rest[end:]
	}
	return items, rest
}
