package bootmenu

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// MAC is a client's hardware address: chaddr cut to hlen, 1 to 16 bytes. It is
// comparable; the zero value means unknown.
type MAC struct {
	addr [16]byte
	len  uint8
}

// MACFromBytes is the address in b. It is the zero MAC if b is empty or longer
// than the 16 bytes that chaddr can hold.
func MACFromBytes(b []byte) (m MAC) {
	if len(b) > len(m.addr) {
		return MAC{}
	}
	m.len = uint8(copy(m.addr[:], b))
	return m
}

// Bytes are those of the address, none if it is unknown.
func (m MAC) Bytes() []byte { return m.addr[:m.len] }

// macText is how people write a MAC address.
var macText = regexp.MustCompile(`^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$`)

// ParseMAC reads six pairs of hexadecimal digits, parted by colons or dashes.
func ParseMAC(s string) (MAC, error) {
	b, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(s))
	if err != nil || !macText.MatchString(s) {
		return MAC{}, fmt.Errorf("%q is not a MAC address, want six pairs of hexadecimal digits such as 52:54:00:12:34:56", s)
	}
	return MACFromBytes(b), nil
}

// IsZero tells whether the address is unknown.
func (m MAC) IsZero() bool { return m.len == 0 }

// String is the address in lower-case hexadecimal pairs with colons, or empty.
func (m MAC) String() string {
	text := make([]byte, 0, 3*len(m.addr))
	for i := range m.addr[:m.len] {
		if i > 0 {
			text = append(text, ':')
		}
		text = hex.AppendEncode(text, m.addr[i:i+1])
	}
	return string(text)
}

// MarshalText writes what String says.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes: 1 to 16 pairs, or nothing.
func (m *MAC) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), ":", ""))
	if err != nil || MACFromBytes(b).String() != string(text) {
		return fmt.Errorf("%q is not a MAC address as it is written here", text)
	}
	*m = MACFromBytes(b)
	return nil
}

// ID is a machine identifier, the UUID of DHCP option 97 in the order in which
// people write it. The zero value means unknown.
type ID [16]byte

// IDFromWire reads the 16 bytes that follow the type byte of option 97. EFI and
// SMBIOS keep the first three fields little-endian (UEFI specification, appendix
// A), so they are turned round.
func IDFromWire(b [16]byte) ID {
	var id ID
	binary.BigEndian.PutUint32(id[0:], binary.LittleEndian.Uint32(b[0:]))
	binary.BigEndian.PutUint16(id[4:], binary.LittleEndian.Uint16(b[4:]))
	binary.BigEndian.PutUint16(id[6:], binary.LittleEndian.Uint16(b[6:]))
	copy(id[8:], b[8:])
	return id
}

// idTextLen is the length of an identifier as it is written.
const idTextLen = len("00000000-0000-0000-0000-000000000000")

// IsZero tells whether the identifier is unknown.
func (id ID) IsZero() bool { return id == ID{} }

// String is the identifier as 8-4-4-4-12 lower-case hexadecimal digits, or empty.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	text := hex.AppendEncode(make([]byte, 0, idTextLen), id[:4])
	for i := 4; i < 10; i += 2 {
		text = hex.AppendEncode(append(text, '-'), id[i:i+2])
	}
	return string(hex.AppendEncode(append(text, '-'), id[10:]))
}

// A Machine is what is known of one client at one moment. A zero field is
// unknown, except Arch, where that is [ArchUnknown].
type Machine struct {
	MAC         MAC
	ID          ID
	Serial      string // serial number, as its maker writes it; few firmwares tell it
	Arch        Arch
	VendorClass string     // option 60, as sent
	UserClass   []string   // option 77, each element
	IPXE        bool       // it is iPXE that asks, not the firmware below it
	Addr        netip.Addr // the client's own address, IPv4
	Interface   string     // our interface that it was heard on
}

// String names the machine in logs: its MAC, else its address.
func (m Machine) String() string {
	switch {
	case !m.MAC.IsZero():
		return m.MAC.String()
	case m.Addr.IsValid():
		return m.Addr.String()
	}
	return "unknown machine"
}
