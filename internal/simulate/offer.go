package simulate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Prefixes of the vendor class (option 60) that a boot server answers with.
const (
	classPXE  = "PXEClient"
	classHTTP = "HTTPClient"
)

// Offsets in the fixed part of a packet (RFC 2131 section 2).
const (
	offsetHtype   = 1
	offsetHlen    = 2
	offsetSname   = 44
	offsetFile    = 108
	offsetCookie  = 236
	offsetOptions = 240
)

// Options without a name in the codec: iPXE's encapsulation, and in it the
// priority of an OFFER and the wish that proxies be ignored.
const (
	optionIPXE    = dhcpv4.GenericOptionCode(175)
	ipxePriority  = 0x01
	ipxeNoProxies = 0xb0
)

// An Offer is an OFFER or ACK as firmware sees it. A zero field was not sent.
// The texts are as received: quote them.
type Offer struct {
	Use        Use            `json:"use,omitempty"`       // what the client takes from it
	After      time.Duration  `json:"after_ns"`            // since the DISCOVER or REQUEST
	From       netip.AddrPort `json:"from"`                // source of the packet
	Server     netip.Addr     `json:"server,omitzero"`     // option 54
	Address    netip.Addr     `json:"address,omitzero"`    // yiaddr: what is leased
	Siaddr     netip.Addr     `json:"siaddr,omitzero"`     // next server, in the header
	HeaderFile string         `json:"file,omitempty"`      // in the header
	OptionFile string         `json:"option_67,omitempty"` // boot file name
	TFTPServer string         `json:"option_66,omitempty"`
	Class      string         `json:"option_60,omitempty"`
	Discovery  *Discovery     `json:"option_43,omitempty"`
	DNS        []netip.Addr   `json:"option_6,omitempty"`

	message   dhcpv4.MessageType
	xid       dhcpv4.TransactionID
	chaddr    []byte
	ethernet  bool   // htype 1, hlen 6
	ended     bool   // the options have their end
	item      []byte // option 43, tag 71
	priority  byte   // iPXE's
	noProxies bool   // iPXE is to ignore ProxyDHCP
	raw       []byte
}

// errNotReply is a packet that is no DHCP reply.
var errNotReply = errors.New("not a DHCP reply")

// ParseOffer reads a DHCP reply. It accepts a missing end option, pads between
// options, and options that overflow into the header (option 52). A panic of the
// parser is contained and reported as an error.
func ParseOffer(packet []byte) (o Offer, err error) {
	defer func() {
		if p := recover(); p != nil {
			o, err = Offer{}, fmt.Errorf("%w: %v", errNotReply, p)
		}
	}()
	if len(packet) < offsetOptions || packet[0] != byte(dhcpv4.OpcodeBootReply) {
		return Offer{}, errNotReply
	}
	// A second end option is harmless.
	p, err := dhcpv4.FromBytes(append(bytes.Clone(packet), dhcpv4.OptionEnd.Code()))
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %v", errNotReply, err)
	}
	o = Offer{
		Siaddr:     addrOf(p.ServerIPAddr),
		Address:    addrOf(p.YourIPAddr),
		HeaderFile: p.BootFileName,
		message:    p.MessageType(),
		xid:        p.TransactionID,
		chaddr:     p.ClientHWAddr,
		ethernet:   packet[offsetHtype] == 1 && packet[offsetHlen] == 6,
		ended:      hasEnd(packet[offsetOptions:]),
		raw:        bytes.Clone(packet),
	}
	if err := o.unfold(packet, p.Options); err != nil {
		return Offer{}, fmt.Errorf("%w: overloaded header: %v", errNotReply, err)
	}
	o.readOptions(p.Options)
	return o, nil
}

// unfold adds the options that stand in the header's fields to those of the
// packet (RFC 2132 section 9.3). A field that holds options holds no name.
func (o *Offer) unfold(packet []byte, options dhcpv4.Options) error {
	overload := options.Get(dhcpv4.OptionOptionOverload)
	if len(overload) != 1 {
		return nil
	}
	fields := []struct {
		bit  byte
		from int
		to   int
	}{{1, offsetFile, offsetCookie}, {2, offsetSname, offsetFile}}
	for _, f := range fields {
		if overload[0]&f.bit == 0 {
			continue
		}
		if f.bit == 1 {
			o.HeaderFile = ""
		}
		more := make(dhcpv4.Options)
		if err := more.FromBytes(packet[f.from:f.to]); err != nil {
			return err
		}
		for code, value := range more {
			if _, have := options[code]; !have {
				options[code] = value
			}
		}
	}
	return nil
}

// readOptions reads the options that some firmware reads.
func (o *Offer) readOptions(options dhcpv4.Options) {
	text := func(code dhcpv4.OptionCode) string {
		// Some servers send the NUL that ends a C string, and what follows it.
		s, _, _ := strings.Cut(string(options.Get(code)), "\x00")
		return s
	}
	o.Server = addrOf(options.Get(dhcpv4.OptionServerIdentifier))
	o.OptionFile = text(dhcpv4.OptionBootfileName)
	o.TFTPServer = text(dhcpv4.OptionTFTPServerName)
	o.Class = string(options.Get(dhcpv4.OptionClassIdentifier))
	if o.isPXE() {
		o.Discovery, o.item = parseOption43(options.Get(dhcpv4.OptionVendorSpecificInformation))
	}
	for dns := options.Get(dhcpv4.OptionDomainNameServer); len(dns) >= 4; dns = dns[4:] {
		o.DNS = append(o.DNS, netip.AddrFrom4([4]byte(dns)))
	}
	encapsulated := make(dhcpv4.Options)
	// What cannot be read there concerns iPXE alone, and it goes on without.
	_ = encapsulated.FromBytes(append(bytes.Clone(options.Get(optionIPXE)), dhcpv4.OptionEnd.Code()))
	if v := encapsulated[ipxePriority]; len(v) == 1 {
		o.priority = v[0]
	}
	v := encapsulated[ipxeNoProxies]
	o.noProxies = len(v) == 1 && v[0] != 0
}

// hasEnd tells whether the options have their end.
func hasEnd(options []byte) bool {
	for len(options) > 0 {
		switch {
		case options[0] == dhcpv4.OptionEnd.Code():
			return true
		case options[0] == dhcpv4.OptionPad.Code():
			options = options[1:]
		case len(options) < 2 || len(options) < 2+int(options[1]):
			return false
		default:
			options = options[2+int(options[1]):]
		}
	}
	return false
}

// addrOf is an IPv4 address of the packet; 0.0.0.0 is none.
func addrOf(b []byte) netip.Addr {
	if len(b) != 4 || binary.BigEndian.Uint32(b) == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

// leases tells whether the OFFER is one of an address. One without is a
// ProxyDHCP server's.
func (o *Offer) leases() bool { return o.Address.IsValid() }

func (o *Offer) isPXE() bool { return strings.HasPrefix(o.Class, classPXE) }

func (o *Offer) isHTTP() bool { return strings.HasPrefix(o.Class, classHTTP) }

// File is the boot file: that of option 67 if there is one (RFC 2132 section
// 9.5), else the header's.
func (o *Offer) File() string {
	if o.OptionFile != "" {
		return o.OptionFile
	}
	return o.HeaderFile
}

// Sender is who the packet is from, as it says itself, else by its source.
func (o *Offer) Sender() netip.Addr {
	if o.Server.IsValid() {
		return o.Server
	}
	return o.From.Addr()
}

// fileServer is who has the boot file: siaddr, else the server itself.
func (o *Offer) fileServer() netip.Addr {
	if o.Siaddr.IsValid() {
		return o.Siaddr
	}
	return o.Server
}
