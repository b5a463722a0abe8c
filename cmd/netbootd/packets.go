package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"netbootd/dhcpproxy"
)

// A recorded packet is one DHCP request from a file.
type recordedPacket struct {
	payload []byte // of UDP
	port    uint16 // that it was sent to
	source  string // address and port; empty if it is not known
}

// errPcapng is the other format of captures.
var errPcapng = errors.New("is a capture in the newer format (pcapng)")

// readPackets takes the requests to DHCP servers out of a file: a capture, or one
// packet as hexadecimal digits with comments.
//
// The classic format of captures is a header of 24 bytes and one of 16 before each
// packet, and has not changed since 1998: reading it takes less than a library
// would bring along.
func readPackets(file []byte) ([]recordedPacket, error) {
	switch {
	case bytes.HasPrefix(file, []byte{0x0a, 0x0d, 0x0d, 0x0a}):
		return nil, errPcapng
	case isPcap(file, binary.LittleEndian):
		return readPcap(file, binary.LittleEndian)
	case isPcap(file, binary.BigEndian):
		return readPcap(file, binary.BigEndian)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(file)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	packet, err := hex.DecodeString(digits.String())
	if err != nil {
		return nil, fmt.Errorf("neither a capture (pcap) nor hexadecimal digits: %w", err)
	}
	return []recordedPacket{{payload: packet, port: dhcpproxy.PortDHCP}}, nil
}

// Sizes of the headers of a capture, and the marks that it begins with: for times
// in microseconds and in nanoseconds.
const (
	pcapFileHeader   = 24
	pcapPacketHeader = 16
	pcapMicro        = 0xa1b2c3d4
	pcapNano         = 0xa1b23c4d
)

func isPcap(file []byte, order binary.ByteOrder) bool {
	if len(file) < pcapFileHeader {
		return false
	}
	mark := order.Uint32(file)
	return mark == pcapMicro || mark == pcapNano
}

// readPcap reads the requests in a capture. A last packet that is cut off is
// passed over: the capture was ended while it was written.
func readPcap(file []byte, order binary.ByteOrder) (packets []recordedPacket, err error) {
	link := order.Uint32(file[20:]) & 0xffff
	network, ok := linkHeaders[link]
	if !ok {
		return nil, fmt.Errorf("a capture of link type %d, want one of Ethernet, of any (Linux cooked) or of plain IP", link)
	}
	for rest := file[pcapFileHeader:]; len(rest) >= pcapPacketHeader; {
		size := order.Uint32(rest[8:])
		rest = rest[pcapPacketHeader:]
		if uint64(size) > uint64(len(rest)) {
			break
		}
		if p, ok := dhcpRequest(network(rest[:size])); ok {
			packets = append(packets, p)
		}
		rest = rest[size:]
	}
	return packets, nil
}

const (
	etherTypeIPv4 = 0x0800
	etherTypeVLAN = 0x8100
)

// linkHeaders give the IPv4 packet in a frame, or nil, for each link type.
var linkHeaders = map[uint32]func([]byte) []byte{
	1:   func(frame []byte) []byte { return afterEtherType(frame, 12, 14) }, // Ethernet
	113: func(frame []byte) []byte { return afterEtherType(frame, 14, 16) }, // Linux cooked
	276: func(frame []byte) []byte { return afterEtherType(frame, 0, 20) },  // Linux cooked, version 2
	101: func(frame []byte) []byte { return frame },                         // plain IP
}

// afterEtherType is what follows a link header whose type stands at an offset, and
// the VLAN tags behind it, if it is IPv4.
func afterEtherType(frame []byte, offset, size int) []byte {
	if len(frame) < size {
		return nil
	}
	kind, rest := binary.BigEndian.Uint16(frame[offset:]), frame[size:]
	for kind == etherTypeVLAN && len(rest) >= 4 {
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	if kind != etherTypeIPv4 {
		return nil
	}
	return rest
}

// dhcpRequest is the request that an IPv4 packet carries, if it is one to a DHCP
// server or a PXE boot server.
func dhcpRequest(ip []byte) (p recordedPacket, ok bool) {
	const (
		minIP, udpHeader = 20, 8
		protocolUDP      = 17
		fragmentOffset   = 0x1fff
		bootRequest      = 1
	)
	if len(ip) < minIP || ip[0]>>4 != 4 || ip[9] != protocolUDP || binary.BigEndian.Uint16(ip[6:])&fragmentOffset != 0 {
		return p, false
	}
	header := int(ip[0]&0xf) * 4
	if header < minIP || len(ip) < header+udpHeader+1 {
		return p, false
	}
	udp := ip[header:]
	end := min(int(binary.BigEndian.Uint16(udp[4:])), len(udp)) // frames may be padded
	p.port = binary.BigEndian.Uint16(udp[2:])
	if p.port != dhcpproxy.PortDHCP && p.port != dhcpproxy.PortBoot || end <= udpHeader || udp[udpHeader] != bootRequest {
		return p, false
	}
	p.payload = udp[udpHeader:end]
	p.source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:])), binary.BigEndian.Uint16(udp)).String()
	return p, true
}
