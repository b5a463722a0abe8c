package dhcpproxy

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// maxHeaderFile is the longest name that the header's file field holds with the
// NUL that ends it (RFC 2131 section 2).
const maxHeaderFile = 127

// optionClientID is echoed if present (RFC 6842 section 3).
const optionClientID = dhcpv4.GenericOptionCode(61)

// compose writes the OFFER or ACK for req: boot file and server in the header,
// because shim and U-Boot read nothing else.
func compose(req *dhcpv4.DHCPv4, server netip.Addr, file string, style bootmenu.Style, option43 []byte) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        req.HWType,
		TransactionID: req.TransactionID,
		Flags:         req.Flags,
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  server.AsSlice(),
		GatewayIPAddr: req.GatewayIPAddr,
		ClientHWAddr:  req.ClientHWAddr,
		BootFileName:  file,
		Options:       make(dhcpv4.Options),
	}
	if len(file) > maxHeaderFile {
		// The NUL is for ROMs that read option 67 as a C string.
		p.BootFileName = ""
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionBootfileName, append([]byte(file), 0)))
	}
	if req.MessageType() == dhcpv4.MessageTypeDiscover {
		p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
		p.SetBroadcast() // there is no yiaddr to send a unicast to
	} else {
		p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck))
		p.ClientIPAddr = req.ClientIPAddr
	}
	p.UpdateOption(dhcpv4.OptServerIdentifier(server.AsSlice()))
	echo(p, req)
	if style != bootmenu.StyleHeader {
		p.UpdateOption(dhcpv4.OptClassIdentifier(classPXE))
	}
	if option43 != nil {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, option43))
	}
	if style == bootmenu.StyleRPi {
		p.UpdateOption(dhcpv4.OptTFTPServerName(server.String()))
	}
	return p
}

// echo copies the options that a client or relay wants back unchanged: its
// machine identifier if that is a whole one, its client identifier, and the
// relay's information, which the codec writes last (RFC 3046 section 2.1).
func echo(p, req *dhcpv4.DHCPv4) {
	if id := req.GetOneOption(dhcpv4.OptionClientMachineIdentifier); len(id) == 17 {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, id))
	}
	for _, code := range []dhcpv4.OptionCode{optionClientID, dhcpv4.OptionRelayAgentInformation} {
		if v := req.GetOneOption(code); v != nil {
			p.UpdateOption(dhcpv4.OptGeneric(code, v))
		}
	}
}
