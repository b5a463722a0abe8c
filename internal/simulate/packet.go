package simulate

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// maxMessageSize is what EDK2 and iPXE say they take (option 57).
const maxMessageSize = 1472

// RandomMAC is an address that belongs to no vendor: unicast and locally
// administered (IEEE 802, section 8.2).
func RandomMAC() bootmenu.MAC {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[0] = b[0]&^1 | 2
	return bootmenu.MACFromBytes(b[:])
}

// serial is the serial number of a Raspberry Pi: the tail of its MAC.
func (c player) serial() uint32 { return binary.BigEndian.Uint32(c.mac[2:]) }

// header is a message of the client without any option but its type.
func (c player) header(t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        1,
		ClientHWAddr:  c.mac,
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: net.IPv4zero,
		Options:       dhcpv4.OptionsFromList(dhcpv4.OptMessageType(t)),
	}
	_, _ = rand.Read(p.TransactionID[:]) // it never fails
	return p
}

// message makes a message of the client. The broadcast flag is always set, also
// for clients that leave it out, because the answer must reach a host that has
// another MAC than the machine played.
func (c player) message(t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	p := c.header(t)
	p.SetBroadcast()
	p.UpdateOption(dhcpv4.OptClassIdentifier(c.class))
	p.UpdateOption(generic(dhcpv4.OptionClientNetworkInterfaceIdentifier, c.undi...))
	p.UpdateOption(generic(dhcpv4.OptionClientSystemArchitectureType, binary.BigEndian.AppendUint16(nil, uint16(c.arch))...))
	for _, o := range c.family.options(c) {
		p.UpdateOption(o)
	}
	return p
}

// leaseRequest asks a lease server for what it offered, with the xid of that.
func (c player) leaseRequest(lease *Offer) *dhcpv4.DHCPv4 {
	p := c.message(dhcpv4.MessageTypeRequest)
	p.TransactionID = lease.xid
	p.UpdateOption(dhcpv4.OptServerIdentifier(lease.Server.AsSlice()))
	p.UpdateOption(dhcpv4.OptRequestedIPAddress(lease.Address.AsSlice()))
	return p
}

// release gives a lease back (RFC 2131 section 4.4.6).
func (c player) release(lease *Offer) *dhcpv4.DHCPv4 {
	p := c.header(dhcpv4.MessageTypeRelease)
	p.ClientIPAddr = lease.Address.AsSlice()
	p.UpdateOption(dhcpv4.OptServerIdentifier(lease.Server.AsSlice()))
	return p
}

// bootRequest asks a boot server, from an address, for the client's boot file or
// for an item of a menu. What EDK2 sends there has an xid of its own, no option 54
// and no broadcast flag, and others do no harm by doing the same.
func (c player) bootRequest(own netip.Addr, item *MenuItem) *dhcpv4.DHCPv4 {
	p := c.message(dhcpv4.MessageTypeRequest)
	p.SetUnicast()
	p.ClientIPAddr = own.AsSlice()
	if item != nil {
		p.UpdateOption(generic(dhcpv4.OptionVendorSpecificInformation, bootItemOption(item.Type)...))
	}
	return p
}

func generic(code dhcpv4.OptionCode, value ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(code, value)
}

// wants is option 55, what the client would like to be told.
func wants(codes ...byte) dhcpv4.Option {
	return generic(dhcpv4.OptionParameterRequestList, codes...)
}

// sizeLimit is option 57.
func sizeLimit() dhcpv4.Option { return dhcpv4.OptMaxMessageSize(maxMessageSize) }

// machineID is option 97 of a machine that has no UUID of its own: type 0, and
// its MAC in the node field.
func machineID(c player) dhcpv4.Option {
	id := append(make([]byte, 17-len(c.mac)), c.mac...)
	return generic(dhcpv4.OptionClientMachineIdentifier, id...)
}

// play gives a client a network card. Only Ethernet's are played.
func (c *Client) play(mac bootmenu.MAC) (player, error) {
	hw, err := net.ParseMAC(mac.String())
	if err != nil || len(hw) != 6 {
		return player{}, fmt.Errorf("MAC %q: want one of six bytes", mac)
	}
	return player{c, hw}, nil
}
