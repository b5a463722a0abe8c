package dhcpproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// Ports of the protocol: DHCP servers, DHCP clients, and the boot service that
// PXE clients visit after they have an address (PXE 2.1 section 2).
const (
	PortDHCP   = 67
	PortClient = 68
	PortBoot   = 4011
)

// Offsets and sizes in the fixed part of a packet (RFC 2131 section 2), and the
// cookie that opens its options (RFC 2132 section 2).
const (
	offsetHlen    = 2
	offsetChaddr  = 28
	sizeChaddr    = 16
	offsetSname   = 44
	offsetFile    = 108
	offsetCookie  = 236
	offsetOptions = 240
)

var magicCookie = []byte{99, 130, 83, 99}

// Prefixes of the vendor class (option 60) that say which boot protocol a client
// speaks. barebox speaks none, and is named so that its silence has a reason.
const (
	classPXE     = "PXEClient"
	classHTTP    = "HTTPClient"
	classBarebox = "barebox"
)

// isNamed tells whether a vendor class begins with one of these: then the parser
// reads the packet, and the decision says what becomes of it.
func isNamed(vendorClass []byte) bool {
	for _, prefix := range []string{classPXE, classHTTP, classBarebox} {
		if bytes.HasPrefix(vendorClass, []byte(prefix)) {
			return true
		}
	}
	return false
}

// optionEtherboot is the encapsulation that iPXE sends its features in.
const optionEtherboot = dhcpv4.GenericOptionCode(175)

// errMalformed is a packet that cannot be a DHCP request.
var errMalformed = errors.New("malformed packet")

// A glance is what the loop reads of a packet before it spends a parser on it:
// most of what arrives on port 67 is other people's DHCP.
type glance struct {
	mac         bootmenu.MAC
	messageType dhcpv4.MessageType // option 53, 0 if absent
	requested   netip.Addr         // option 50, zero if absent
	vendorClass []byte             // option 60; in the packet, unless it was split
	archs       []byte             // option 93; in the packet
	bootItem    bool               // option 43 asks for a boot item
}

// look reads a request's fixed part and the options that decide whether it
// concerns us. It accepts pads anywhere and a missing end.
func look(packet []byte) (g glance, err error) {
	switch {
	case len(packet) < offsetOptions:
		return g, fmt.Errorf("%w: %d bytes, want at least %d", errMalformed, len(packet), offsetOptions)
	case packet[0] != byte(dhcpv4.OpcodeBootRequest):
		return g, fmt.Errorf("%w: op %d is not a request", errMalformed, packet[0])
	case !bytes.Equal(packet[offsetCookie:offsetOptions], magicCookie):
		return g, fmt.Errorf("%w: no DHCP cookie", errMalformed)
	case packet[offsetHlen] == 0 || packet[offsetHlen] > sizeChaddr:
		return g, fmt.Errorf("%w: hlen %d, want 1 to 16", errMalformed, packet[offsetHlen])
	}
	g.mac = bootmenu.MACFromBytes(packet[offsetChaddr : offsetChaddr+int(packet[offsetHlen])])
	err = eachOption(packet, g.option)
	return g, err
}

// Bits of option 52: which fields of the header hold options too (RFC 2132
// section 9.3).
const (
	overloadFile  = 1 << 0
	overloadSname = 1 << 1
)

// eachOption calls do for each option of a packet that is long enough: those at
// its end first, then those in the fields file and sname if the packet says that
// there are some (RFC 3396 section 5).
func eachOption(packet []byte, do func(code byte, value []byte)) error {
	var overload byte
	err := optionsIn(packet[offsetOptions:], func(code byte, value []byte) {
		if code == dhcpv4.OptionOptionOverload.Code() && len(value) == 1 {
			overload = value[0]
		}
		do(code, value)
	})
	if err == nil && overload&overloadFile != 0 {
		err = optionsIn(packet[offsetFile:offsetCookie], do)
	}
	if err == nil && overload&overloadSname != 0 {
		err = optionsIn(packet[offsetSname:offsetFile], do)
	}
	return err
}

// optionsIn calls do for each option up to the end option or the end of field.
func optionsIn(field []byte, do func(code byte, value []byte)) error {
	for len(field) > 0 && field[0] != dhcpv4.OptionEnd.Code() {
		if field[0] == dhcpv4.OptionPad.Code() {
			field = field[1:]
			continue
		}
		if len(field) < 2 || len(field) < 2+int(field[1]) {
			return fmt.Errorf("%w: option %d runs over the end", errMalformed, field[0])
		}
		do(field[0], field[2:2+int(field[1])])
		field = field[2+int(field[1]):]
	}
	return nil
}

// option notes one option, if it is one of the few that matter here.
func (g *glance) option(code byte, value []byte) {
	switch code {
	case dhcpv4.OptionDHCPMessageType.Code():
		if len(value) == 1 {
			g.messageType = dhcpv4.MessageType(value[0])
		}
	case dhcpv4.OptionRequestedIPAddress.Code():
		if len(value) == 4 {
			g.requested = netip.AddrFrom4([4]byte(value))
		}
	case dhcpv4.OptionClassIdentifier.Code():
		if g.vendorClass == nil {
			g.vendorClass = slices.Clip(value)
		} else {
			g.vendorClass = append(g.vendorClass, value...)
		}
	case dhcpv4.OptionClientSystemArchitectureType.Code():
		g.archs = value
	case dhcpv4.OptionVendorSpecificInformation.Code():
		_, g.bootItem = bootmenu.ParseBootItem(value)
	}
}

// Parse reads a DHCP request. It accepts what firmware sends: pads between
// options, options split over several (RFC 3396), options in the fields file and
// sname, a missing end option. [Responder.AnswerPacket] survives a panic of the
// parser.
func Parse(packet []byte) (*dhcpv4.DHCPv4, error) {
	if _, err := look(packet); err != nil {
		return nil, err
	}
	// The parser knows nothing of option 52, and wants an end option.
	plain := append(make([]byte, 0, len(packet)+1), packet[:offsetOptions]...)
	err := eachOption(packet, func(code byte, value []byte) {
		plain = append(append(plain, code, byte(len(value))), value...)
	})
	if err != nil {
		return nil, err
	}
	req, err := dhcpv4.FromBytes(append(plain, dhcpv4.OptionEnd.Code()))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errMalformed, err)
	}
	return req, nil
}

// machineOf is what a request tells of its sender.
func machineOf(req *dhcpv4.DHCPv4, in Ingress, ipxeClasses []string) bootmenu.Machine {
	m := bootmenu.Machine{
		MAC:         bootmenu.MACFromBytes(req.ClientHWAddr),
		Arch:        archOf(req.GetOneOption(dhcpv4.OptionClientSystemArchitectureType), req.ClassIdentifier()),
		VendorClass: req.ClassIdentifier(),
		UserClass:   req.UserClass(),
		Interface:   in.Interface.Name,
		IPXE:        isIPXE(req, ipxeClasses),
	}
	if id := req.GetOneOption(dhcpv4.OptionClientMachineIdentifier); len(id) == 17 && id[0] == 0 {
		m.ID = bootmenu.IDFromWire([16]byte(id[1:]))
	}
	if m.Arch == bootmenu.ArchX86BIOS && !m.IPXE && isRPi(req) {
		m.Arch = bootmenu.ArchRPi
	}
	m.Serial = serialOf(req, m.Arch)
	if a, ok := netip.AddrFromSlice(req.ClientIPAddr.To4()); ok && !a.IsUnspecified() && req.MessageType() != dhcpv4.MessageTypeDiscover {
		m.Addr = a // a DISCOVER's ciaddr means nothing
	}
	return m
}

// rpiMaskROM is how the MAC addresses of the models up to 3 begin, whose boot ROM
// is part of the chip.
var rpiMaskROM = []byte{0xb8, 0x27, 0xeb}

// rpiOUIs are what the MAC addresses of Raspberry Pis begin with.
var rpiOUIs = [][]byte{
	rpiMaskROM,
	{0xdc, 0xa6, 0x32}, {0xe4, 0x5f, 0x01}, {0xd8, 0x3a, 0xdd}, {0x28, 0xcd, 0xc1}, {0x2c, 0xcf, 0x67}, {0x88, 0xa2, 0x9e},
}

// isRPi tells whether a client that says it is a BIOS is the boot ROM of a
// Raspberry Pi: by its MAC address, or by its machine identifier, which from
// model 4 on begins with "RPi" and the model.
func isRPi(req *dhcpv4.DHCPv4) bool {
	if bytes.HasPrefix(req.GetOneOption(dhcpv4.OptionClientMachineIdentifier), []byte("\x00RPi")) {
		return true
	}
	return slices.ContainsFunc(rpiOUIs, func(oui []byte) bool { return bytes.HasPrefix(req.ClientHWAddr, oui) })
}

// serialOf is the serial number of a Raspberry Pi, as its directory of boot files
// is called: eight hexadecimal digits. From model 4 on the machine identifier is
// "RPi" and the model, the revision code, the end of the MAC address and the serial
// number, each a word of four bytes, little-endian; before, and by a setting of the
// EEPROM, it is the serial number four times. The mask ROM of older models has the
// same sixteen bytes on all of them. No other firmware tells one: the UUID of a PC
// is not its serial number.
func serialOf(req *dhcpv4.DHCPv4, arch bootmenu.Arch) string {
	id := req.GetOneOption(dhcpv4.OptionClientMachineIdentifier)
	if len(id) != 17 || id[0] != 0 {
		return ""
	}
	serial := id[13:]
	named := bytes.HasPrefix(id[1:], []byte("RPi"))
	fourTimes := arch == bootmenu.ArchRPi && !bytes.HasPrefix(req.ClientHWAddr, rpiMaskROM) && bytes.Equal(id[1:], bytes.Repeat(serial, 4))
	if !named && !fourTimes {
		return ""
	}
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(serial))
}

// archOf is the first value of option 93, raw, that has a name, else the first value,
// else the digits in the vendor class ("PXEClient:Arch:00007:..."), else, for a
// PXE client that told nothing, BIOS: ROMs older than the option exist.
func archOf(raw []byte, class string) bootmenu.Arch {
	var first = bootmenu.ArchUnknown
	if len(raw)%2 == 1 {
		raw = nil // not a list of 16-bit values
	}
	for ; len(raw) >= 2; raw = raw[2:] {
		a := bootmenu.ArchFromWire(binary.BigEndian.Uint16(raw))
		if a.Firmware() != bootmenu.FirmwareOther {
			return a
		}
		if first == bootmenu.ArchUnknown {
			first = a
		}
	}
	if first != bootmenu.ArchUnknown {
		return first
	}
	if _, digits, ok := strings.Cut(class, ":Arch:"); ok {
		digits, _, _ = strings.Cut(digits, ":")
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return bootmenu.ArchFromWire(uint16(n))
		}
	}
	if strings.HasPrefix(class, classPXE) {
		return bootmenu.ArchX86BIOS
	}
	return bootmenu.ArchUnknown
}

// isIPXE tells whether iPXE asks and not the firmware below it. A user class is
// believed whatever it says: only a client without one is judged by the
// encapsulation that iPXE alone sends.
func isIPXE(req *dhcpv4.DHCPv4, classes []string) bool {
	if !req.Options.Has(dhcpv4.OptionUserClassInformation) {
		return req.Options.Has(optionEtherboot)
	}
	for _, sent := range req.UserClass() {
		for _, class := range classes {
			if sent == class {
				return true
			}
		}
	}
	return false
}
