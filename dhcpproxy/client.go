package dhcpproxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// A Client is a machine that looks for something to boot, as it would tell of
// itself.
type Client struct {
	MAC         bootmenu.MAC
	Arch        bootmenu.Arch
	VendorClass string     // option 60; empty: what firmware of the arch sends
	UserClass   string     // option 77; empty: none
	Relay       netip.Addr // that its packets come through; zero: none
}

// Discover is the DISCOVER that the client broadcasts.
func (c Client) Discover() []byte {
	mac := c.MAC.Bytes()
	p := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        1, // Ethernet
		ClientHWAddr:  net.HardwareAddr(mac),
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: net.IPv4zero,
		Options:       make(dhcpv4.Options),
	}
	if c.Relay.Is4() {
		p.GatewayIPAddr = c.Relay.AsSlice()
	}
	p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
	class := c.VendorClass
	if class == "" {
		class = vendorClassOf(c.Arch)
	}
	p.UpdateOption(dhcpv4.OptClassIdentifier(class))
	if c.Arch != bootmenu.ArchUnknown {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, binary.BigEndian.AppendUint16(nil, uint16(c.Arch))))
	}
	if c.UserClass != "" {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte(c.UserClass)))
	}
	return p.ToBytes()
}

// vendorClassOf is the vendor class that firmware of an arch sends.
func vendorClassOf(a bootmenu.Arch) string {
	switch a.Firmware() {
	case bootmenu.FirmwareUBoot:
		return "U-Boot"
	case bootmenu.FirmwareHTTP:
		return fmt.Sprintf("%s:Arch:%05d:UNDI:003000", classHTTP, uint16(a))
	}
	return fmt.Sprintf("%s:Arch:%05d:UNDI:003000", classPXE, uint16(a))
}

// SentBy tells whether a packet is a request of mac.
func SentBy(packet []byte, mac bootmenu.MAC) bool {
	req, err := Parse(packet)
	return err == nil && req.mac == mac
}
