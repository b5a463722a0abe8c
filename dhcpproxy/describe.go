package dhcpproxy

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// A Field is one field or option of a DHCP packet, for people.
type Field struct {
	Name  string // "siaddr", "60 vendor class"
	Value string // empty if there is nothing more to say
	Raw   []byte // as it stands in the packet
}

// header is the fixed part of a packet (RFC 2131 section 2).
var header = []struct {
	name string
	size int
	text func([]byte) string
}{
	{"op", 1, number}, {"htype", 1, number}, {"hlen", 1, number}, {"hops", 1, number},
	{"xid", 4, hexadecimal}, {"secs", 2, number}, {"flags", 2, flagsText},
	{"ciaddr", 4, addresses}, {"yiaddr", 4, addresses}, {"siaddr", 4, addresses}, {"giaddr", 4, addresses},
	{"chaddr", sizeChaddr, nil}, {"sname", offsetFile - offsetSname, cString}, {"file", offsetCookie - offsetFile, cString},
	{"cookie", offsetOptions - offsetCookie, none},
}

// optionTexts names the options that boot firmware and its servers use, and tells
// how to read them.
var optionTexts = map[byte]struct {
	name string
	text func([]byte) string
}{
	1: {"subnet mask", addresses}, 3: {"router", addresses}, 6: {"DNS server", addresses},
	12: {"host name", cString}, 43: {"vendor options", vendorText}, 50: {"requested address", addresses},
	51: {"lease time", number}, 52: {"overload", number}, 53: {"message type", messageText},
	54: {"server identifier", addresses}, 55: {"parameter request list", none}, 57: {"maximum message size", number},
	60: {"vendor class", cString}, 61: {"client identifier", hexadecimal}, 66: {"TFTP server name", cString},
	67: {"boot file name", cString}, 77: {"user class", cString}, 82: {"relay agent information", hexadecimal},
	93: {"arch", archText}, 94: {"network interface", dotted}, 97: {"machine identifier", machineText},
	175: {"iPXE encapsulation", none}, 209: {"configuration file", cString}, 210: {"path prefix", cString},
}

// Describe takes a packet apart, in the order of its bytes. Bytes that are no
// whole option are one field at the end.
func Describe(packet []byte) []Field {
	if len(packet) < offsetOptions {
		return []Field{{Name: "no DHCP packet", Raw: packet}}
	}
	var fields []Field
	rest := packet
	for _, h := range header {
		f := Field{Name: h.name, Raw: rest[:h.size]}
		if h.text != nil {
			f.Value = h.text(f.Raw)
		} else {
			f.Value = bootmenu.MACFromBytes(f.Raw[:min(packet[offsetHlen], sizeChaddr)]).String()
		}
		fields, rest = append(fields, f), rest[h.size:]
	}
	for len(rest) > 0 {
		size := 1
		if code := rest[0]; code != dhcpv4.OptionPad.Code() && code != dhcpv4.OptionEnd.Code() {
			if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
				return append(fields, Field{Name: "no option", Raw: rest})
			}
			size = 2 + int(rest[1])
		}
		fields, rest = append(fields, optionField(rest[:size])), rest[size:]
		if fields[len(fields)-1].Raw[0] == dhcpv4.OptionEnd.Code() {
			break
		}
	}
	if len(rest) > 0 {
		fields = append(fields, Field{Name: "padding", Value: fmt.Sprintf("%d bytes", len(rest)), Raw: rest})
	}
	return fields
}

// optionField describes one option.
func optionField(raw []byte) Field {
	switch {
	case raw[0] == dhcpv4.OptionPad.Code():
		return Field{Name: "pad", Raw: raw}
	case raw[0] == dhcpv4.OptionEnd.Code():
		return Field{Name: "end", Raw: raw}
	}
	o, ok := optionTexts[raw[0]]
	if !ok {
		return Field{Name: fmt.Sprintf("%d option", raw[0]), Value: hexadecimal(raw[2:]), Raw: raw}
	}
	return Field{Name: fmt.Sprintf("%d %s", raw[0], o.name), Value: o.text(raw[2:]), Raw: raw}
}

func none([]byte) string { return "" }

func hexadecimal(b []byte) string { return hex.EncodeToString(b) }

// number is a whole number of 1 to 8 bytes.
func number(b []byte) string {
	if len(b) == 0 || len(b) > 8 {
		return hexadecimal(b)
	}
	return fmt.Sprint(binary.BigEndian.Uint64(append(make([]byte, 8-len(b)), b...)))
}

func flagsText(b []byte) string {
	if b[0]&0x80 != 0 {
		return "broadcast"
	}
	return "0"
}

// cString is text up to the first NUL, in quotes.
func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

// addresses are IPv4 addresses in a row.
func addresses(b []byte) string {
	var texts []string
	for ; len(b) >= 4; b = b[4:] {
		texts = append(texts, netip.AddrFrom4([4]byte(b)).String())
	}
	return strings.Join(texts, " ")
}

func dotted(b []byte) string {
	var texts []string
	for _, n := range b {
		texts = append(texts, fmt.Sprint(n))
	}
	return strings.Join(texts, ".")
}

func messageText(b []byte) string {
	if len(b) != 1 {
		return hexadecimal(b)
	}
	return dhcpv4.MessageType(b[0]).String()
}

func archText(b []byte) string {
	var texts []string
	for ; len(b) >= 2; b = b[2:] {
		texts = append(texts, bootmenu.ArchFromWire(binary.BigEndian.Uint16(b)).String())
	}
	return strings.Join(texts, " ")
}

func machineText(b []byte) string {
	if len(b) != 17 {
		return hexadecimal(b)
	}
	return bootmenu.IDFromWire([16]byte(b[1:])).String()
}

func vendorText(b []byte) string { return strings.Join(bootmenu.DescribeOption43(b), "; ") }
