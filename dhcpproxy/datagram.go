package dhcpproxy

import (
	"encoding/binary"
	"net/netip"
)

// A packet socket hands out, and a raw socket takes, whole IPv4 packets. This
// file is their headers (RFC 791 section 3.1, RFC 768).
const (
	ipv4Header  = 20
	udpHeader   = 8
	protocolUDP = 17
	// firstTTL is what RFC 1700 recommends.
	firstTTL = 64
)

// Offsets in the header of an IPv4 packet, and of UDP in what follows it.
const (
	offsetTotalLength = 2
	offsetFragment    = 6 // flags and fragment offset
	offsetTTL         = 8
	offsetProtocol    = 9
	offsetSource      = 12
	offsetDestination = 16
	offsetUDPTo       = 2
	offsetUDPLength   = 4
	offsetUDPChecksum = 6
)

// fragmented has the bits that are set in a fragment: more follow, or the offset.
const fragmented = 0x3fff

// parseDatagram takes an IPv4 packet apart; ok is false if it is not one whole
// UDP datagram. Checksums are not looked at: for a packet from this host, or from
// a virtual machine on it, they are often left to hardware that is not there.
func parseDatagram(b []byte) (p packet, ok bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 || b[offsetProtocol] != protocolUDP ||
		binary.BigEndian.Uint16(b[offsetFragment:])&fragmented != 0 {
		return p, false
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[offsetTotalLength:]))
	if header < ipv4Header || total < header+udpHeader || total > len(b) {
		return p, false
	}
	udp := b[header:total] // Ethernet pads what is shorter than 46 bytes
	length := int(binary.BigEndian.Uint16(udp[offsetUDPLength:]))
	if length < udpHeader || length > len(udp) {
		return p, false
	}
	source := netip.AddrFrom4([4]byte(b[offsetSource:]))
	return packet{
		data:        udp[udpHeader:length],
		source:      netip.AddrPortFrom(source, binary.BigEndian.Uint16(udp)),
		destination: netip.AddrFrom4([4]byte(b[offsetDestination:])),
	}, true
}

// appendDatagram appends an IPv4 packet with one UDP datagram to b. Its length
// must fit in 16 bits. The header's checksum is left to the kernel.
func appendDatagram(b, payload []byte, from, to netip.AddrPort) []byte {
	start, length := len(b), udpHeader+len(payload)
	b = append(b, make([]byte, ipv4Header+udpHeader)...)
	b = append(b, payload...)
	ip := b[start:]
	ip[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(ip[offsetTotalLength:], uint16(len(ip)))
	ip[offsetTTL], ip[offsetProtocol] = firstTTL, protocolUDP
	source, destination := from.Addr().As4(), to.Addr().As4()
	copy(ip[offsetSource:], source[:])
	copy(ip[offsetDestination:], destination[:])

	udp := ip[ipv4Header:]
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[offsetUDPTo:], to.Port())
	binary.BigEndian.PutUint16(udp[offsetUDPLength:], uint16(length))
	// The pseudo header: both addresses, the protocol and the length.
	sum := sum16(ip[offsetSource:ipv4Header]) + protocolUDP + uint32(length) + sum16(udp)
	binary.BigEndian.PutUint16(udp[offsetUDPChecksum:], checksum(sum))
	return b
}

// sum16 adds the 16-bit words of b, of which there are fewer than 65,536.
func sum16(b []byte) (sum uint32) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// checksum is the one of UDP, for which 0 means that there is none.
func checksum(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff {
		return 0xffff
	}
	return ^uint16(sum)
}
