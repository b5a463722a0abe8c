package dhcpproxy

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

const (
	// maxHeaderFile is the longest name that the header's file field holds with the
	// NUL that ends it (RFC 2131 section 2).
	maxHeaderFile = 127
	// minReply is the size of a BOOTP packet, which some clients want at least (RFC
	// 1542 section 2.1).
	minReply = 300
	// broadcastFlag is the bit of the flags that asks for a broadcast, in its byte.
	broadcastFlag = 0x80
)

// A Reply is a packet to send.
type Reply struct {
	Type      dhcpv4.MessageType // OFFER or ACK
	To        netip.AddrPort     // where to; see [Destination]
	From      netip.Addr         // the address of ours that it names and leaves from
	File      string             // the boot file in it; empty if it has none
	Option43  []byte             // nil: none
	Style     bootmenu.Style
	StyleWhy  string // why this style, for people
	Tentative bool   // nobody said which style: it is left for another if the machine does not follow it
	Item      bool   // it answers the pick of an item of a PXE menu
}

// Append appends the packet that answers req to b: boot file and server in the
// header, because shim and U-Boot read nothing else. The tests hold every byte to
// what the codec writes of the same fields.
func (r *Reply) Append(b []byte, req *Request) []byte {
	start := len(b)
	b = append(b, make([]byte, offsetOptions)...)
	h := b[start:]
	h[0] = byte(dhcpv4.OpcodeBootReply)
	h[offsetHtype], h[offsetHlen] = req.fixed[offsetHtype], req.fixed[offsetHlen]
	copy(h[offsetXid:], req.fixed[offsetXid:offsetSecs])
	copy(h[offsetFlags:], req.fixed[offsetFlags:offsetCiaddr])
	if r.Type == dhcpv4.MessageTypeOffer {
		h[offsetFlags] |= broadcastFlag // there is no yiaddr to send a unicast to
	} else {
		copy(h[offsetCiaddr:], req.fixed[offsetCiaddr:offsetYiaddr])
	}
	server := r.From.As4()
	copy(h[offsetSiaddr:], server[:])
	copy(h[offsetGiaddr:], req.fixed[offsetGiaddr:offsetChaddr])
	copy(h[offsetChaddr:], req.chaddr())
	if len(r.File) <= maxHeaderFile {
		copy(h[offsetFile:], r.File)
	}
	copy(h[offsetCookie:], magicCookie)
	b = append(r.appendOptions(b, req), dhcpv4.OptionEnd.Code())
	if size := len(b) - start; size < minReply {
		b = append(b, make([]byte, minReply-size)...)
	}
	return b
}

// appendOptions appends the options in the order of their codes, except for the
// relay's information, which comes last (RFC 3046 section 2.1). What a client or
// relay wants back is echoed: its machine identifier if that is a whole one, its
// client identifier, and that information.
func (r *Reply) appendOptions(b []byte, req *Request) []byte {
	server := r.From.As4()
	if r.Option43 != nil {
		b = appendOption(b, dhcpv4.OptionVendorSpecificInformation, r.Option43)
	}
	b = append(b, dhcpv4.OptionDHCPMessageType.Code(), 1, byte(r.Type))
	b = appendOption(b, dhcpv4.OptionServerIdentifier, server[:])
	if r.Style != bootmenu.StyleHeader {
		b = appendOption(b, dhcpv4.OptionClassIdentifier, []byte(classPXE))
	}
	if len(req.clientID) > 0 {
		b = appendOption(b, optionClientID, req.clientID)
	}
	if r.Style == bootmenu.StyleRPi {
		b = appendOption(b, dhcpv4.OptionTFTPServerName, []byte(r.From.String()))
	}
	if len(r.File) > maxHeaderFile {
		// The NUL is for ROMs that read option 67 as a C string.
		b = appendOption(b, dhcpv4.OptionBootfileName, append([]byte(r.File), 0))
	}
	if len(req.machineID) == sizeMachineID {
		b = appendOption(b, dhcpv4.OptionClientMachineIdentifier, req.machineID)
	}
	if len(req.relayInfo) > 0 {
		b = appendOption(b, dhcpv4.OptionRelayAgentInformation, req.relayInfo)
	}
	return b
}

// appendOption appends an option, split into several if it is longer than one
// holds (RFC 3396).
func appendOption(b []byte, code dhcpv4.OptionCode, value []byte) []byte {
	const most = 255
	for ; len(value) > most; value = value[most:] {
		b = append(append(b, code.Code(), most), value[:most]...)
	}
	return append(append(b, code.Code(), byte(len(value))), value...)
}
