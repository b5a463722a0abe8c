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
	offsetHtype   = 1
	offsetHlen    = 2
	offsetXid     = 4
	offsetSecs    = 8
	offsetFlags   = 10
	offsetCiaddr  = 12
	offsetYiaddr  = 16
	offsetSiaddr  = 20
	offsetGiaddr  = 24
	offsetChaddr  = 28
	sizeChaddr    = 16
	offsetSname   = 44
	offsetFile    = 108
	offsetCookie  = 236
	offsetOptions = 240
)

// sizeMachineID is the size of option 97: its type, and a UUID.
const sizeMachineID = 17

var magicCookie = []byte{99, 130, 83, 99}

// Prefixes of the vendor class (option 60) that say which boot protocol a client
// speaks. barebox speaks none, and is named so that its silence has a reason.
const (
	classPXE     = "PXEClient"
	classHTTP    = "HTTPClient"
	classBarebox = "barebox"
)

// isNamed tells whether a vendor class begins with one of these: then the decision
// says what becomes of the packet.
func isNamed(vendorClass []byte) bool {
	for _, prefix := range []string{classPXE, classHTTP, classBarebox} {
		if bytes.HasPrefix(vendorClass, []byte(prefix)) {
			return true
		}
	}
	return false
}

// Options without a name in the codec: the client identifier, which is echoed if
// present (RFC 6842 section 3), and the encapsulation that iPXE sends its features
// in.
const (
	optionClientID  = dhcpv4.GenericOptionCode(61)
	optionEtherboot = dhcpv4.GenericOptionCode(175)
)

// errMalformed is a packet that cannot be a DHCP request.
var errMalformed = errors.New("malformed packet")

// A Request is what matters of a DHCP request: to tell it from other people's
// DHCP, to decide about it, and to answer it. Options lie in the packet, unless one
// was split over several; nil means absent.
//
// It is read by hand because most of what arrives on port 67 is other people's,
// and because a map of all options for each packet was half of an answer's time.
// The tests hold it to what the codec reads.
type Request struct {
	fixed       []byte             // the fixed part
	messageType dhcpv4.MessageType // option 53, 0 if absent
	mac         bootmenu.MAC
	requested   netip.Addr // option 50, zero if absent
	vendorClass []byte     // option 60
	userClass   []byte     // option 77
	archs       []byte     // option 93
	machineID   []byte     // option 97
	clientID    []byte     // option 61
	vendor      []byte     // option 43
	relayInfo   []byte     // option 82
	etherboot   bool       // option 175 is there
}

// Parse reads a DHCP request. It accepts what firmware sends: pads between
// options, options split over several (RFC 3396), options in the fields file and
// sname, a missing end option. With an error, what could be read is there.
func Parse(packet []byte) (*Request, error) {
	r := new(Request)
	return r, r.parse(packet)
}

func (r *Request) parse(packet []byte) error {
	*r = Request{}
	switch {
	case len(packet) < offsetOptions:
		return fmt.Errorf("%w: %d bytes, want at least %d", errMalformed, len(packet), offsetOptions)
	case packet[0] != byte(dhcpv4.OpcodeBootRequest):
		return fmt.Errorf("%w: op %d is not a request", errMalformed, packet[0])
	case !bytes.Equal(packet[offsetCookie:offsetOptions], magicCookie):
		return fmt.Errorf("%w: no DHCP cookie", errMalformed)
	case packet[offsetHlen] == 0 || packet[offsetHlen] > sizeChaddr:
		return fmt.Errorf("%w: hlen %d, want 1 to 16", errMalformed, packet[offsetHlen])
	}
	r.fixed = packet[:offsetOptions]
	r.mac = bootmenu.MACFromBytes(r.chaddr())
	return eachOption(packet, r.option)
}

// chaddr is the client's hardware address.
func (r *Request) chaddr() []byte { return r.fixed[offsetChaddr:][:r.fixed[offsetHlen]] }

// ciaddr is the address that the client says it has; 0.0.0.0 means none.
func (r *Request) ciaddr() netip.Addr { return netip.AddrFrom4([4]byte(r.fixed[offsetCiaddr:])) }

// relay is the relay that the packet came through, or the zero Addr.
func (r *Request) relay() netip.Addr {
	if a := netip.AddrFrom4([4]byte(r.fixed[offsetGiaddr:])); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// bootItem is the item of a PXE menu that a client asks for after it has an
// address (PXE 2.1 section 2.3, boot server discovery).
func (r *Request) bootItem() (bootmenu.BootItem, bool) {
	if r.vendor == nil || r.messageType == dhcpv4.MessageTypeDiscover {
		return bootmenu.BootItem{}, false
	}
	return bootmenu.ParseBootItem(r.vendor)
}

// isDiscovery tells whether a packet on port 67 looks for a boot server: then it
// is not for the lease server.
func (r *Request) isDiscovery() bool {
	_, ok := r.bootItem()
	return ok && r.isPXE() && !r.ciaddr().IsUnspecified()
}

func (r *Request) isPXE() bool { return bytes.HasPrefix(r.vendorClass, []byte(classPXE)) }

// userClasses are the elements of option 77: a list (RFC 3004), or plain text.
func (r *Request) userClasses() []string {
	var list dhcpv4.Strings
	switch {
	case len(r.userClass) == 0:
		return nil
	case list.FromBytes(r.userClass) != nil:
		return []string{string(r.userClass)}
	}
	return list
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

// option notes one option, if it is one of those that matter here.
func (r *Request) option(code byte, value []byte) {
	switch code {
	case dhcpv4.OptionDHCPMessageType.Code():
		if len(value) == 1 {
			r.messageType = dhcpv4.MessageType(value[0])
		}
	case dhcpv4.OptionRequestedIPAddress.Code():
		if len(value) == 4 {
			r.requested = netip.AddrFrom4([4]byte(value))
		}
	case dhcpv4.OptionVendorSpecificInformation.Code():
		extend(&r.vendor, value)
	case dhcpv4.OptionClassIdentifier.Code():
		extend(&r.vendorClass, value)
	case optionClientID.Code():
		extend(&r.clientID, value)
	case dhcpv4.OptionUserClassInformation.Code():
		extend(&r.userClass, value)
	case dhcpv4.OptionRelayAgentInformation.Code():
		extend(&r.relayInfo, value)
	case dhcpv4.OptionClientSystemArchitectureType.Code():
		extend(&r.archs, value)
	case dhcpv4.OptionClientMachineIdentifier.Code():
		extend(&r.machineID, value)
	case optionEtherboot.Code():
		r.etherboot = true
	}
}

// extend adds a part of an option to those that came before it (RFC 3396).
func extend(option *[]byte, part []byte) {
	if *option == nil {
		*option = slices.Clip(part) // an append must not write into the packet
		return
	}
	*option = append(*option, part...)
}

// machineOf is what a request tells of its sender.
func machineOf(req *Request, in Ingress, ipxeClasses []string) bootmenu.Machine {
	m := bootmenu.Machine{
		MAC:         req.mac,
		Arch:        archOf(req.archs, string(req.vendorClass)),
		VendorClass: string(req.vendorClass),
		UserClass:   req.userClasses(),
		Interface:   in.Interface.Name,
	}
	m.IPXE = isIPXE(req, m.UserClass, ipxeClasses)
	if id := req.machineID; len(id) == sizeMachineID && id[0] == 0 {
		m.ID = bootmenu.IDFromWire([16]byte(id[1:]))
	}
	if !m.IPXE {
		m.Arch = orRPi(req, m.Arch)
	}
	m.Serial = serialOf(req, m.Arch)
	if a := req.ciaddr(); !a.IsUnspecified() && req.messageType != dhcpv4.MessageTypeDiscover {
		m.Addr = a // a DISCOVER's ciaddr means nothing
	}
	return m
}

// sender is the machine, of which no more than its MAC is known.
func (r *Request) sender(in Ingress) bootmenu.Machine {
	return bootmenu.Machine{MAC: r.mac, Arch: bootmenu.ArchUnknown, Interface: in.Interface.Name}
}

// rpiMaskROM is how the MAC addresses of the models up to 3 begin, whose boot ROM
// is part of the chip.
var rpiMaskROM = []byte{0xb8, 0x27, 0xeb}

// rpiOUIs are what the MAC addresses of Raspberry Pis begin with.
var rpiOUIs = [][]byte{
	rpiMaskROM,
	{0xdc, 0xa6, 0x32}, {0xe4, 0x5f, 0x01}, {0xd8, 0x3a, 0xdd}, {0x28, 0xcd, 0xc1}, {0x2c, 0xcf, 0x67}, {0x88, 0xa2, 0x9e},
}

// orRPi is the arch that a client says it has, but for a Raspberry Pi, which says
// that it is a BIOS.
func orRPi(req *Request, a bootmenu.Arch) bootmenu.Arch {
	if a == bootmenu.ArchX86BIOS && isRPi(req) {
		return bootmenu.ArchRPi
	}
	return a
}

// isRPi tells whether a client that says it is a BIOS is the boot ROM of a
// Raspberry Pi: by its MAC address, or by its machine identifier, which from
// model 4 on begins with "RPi" and the model.
func isRPi(req *Request) bool {
	if bytes.HasPrefix(req.machineID, []byte("\x00RPi")) {
		return true
	}
	return slices.ContainsFunc(rpiOUIs, func(oui []byte) bool { return bytes.HasPrefix(req.chaddr(), oui) })
}

// serialOf is the serial number of a Raspberry Pi, as its directory of boot files
// is called: eight hexadecimal digits. From model 4 on the machine identifier is
// "RPi" and the model, the revision code, the end of the MAC address and the serial
// number, each a word of four bytes, little-endian; before, and by a setting of the
// EEPROM, it is the serial number four times. The mask ROM of older models has the
// same sixteen bytes on all of them. No other firmware tells one: the UUID of a PC
// is not its serial number.
func serialOf(req *Request, arch bootmenu.Arch) string {
	id := req.machineID
	if len(id) != sizeMachineID || id[0] != 0 {
		return ""
	}
	serial := id[13:]
	named := bytes.HasPrefix(id[1:], []byte("RPi"))
	fourTimes := arch == bootmenu.ArchRPi && !bytes.HasPrefix(req.chaddr(), rpiMaskROM) && bytes.Equal(id[1:], bytes.Repeat(serial, 4))
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
func isIPXE(req *Request, sent, classes []string) bool {
	if req.userClass == nil {
		return req.etherboot
	}
	return slices.ContainsFunc(sent, func(class string) bool { return slices.Contains(classes, class) })
}
