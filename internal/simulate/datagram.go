package simulate

import (
	"encoding/binary"
	"net/netip"

	"netbootd/dhcpproxy"
)

// Sizes of headers in bytes, and the number of UDP (RFC 791, RFC 768).
const (
	ipv4Header  = 20
	udpHeader   = 8
	protocolUDP = 17
)

// broadcastDatagram is an IPv4 datagram from 0.0.0.0:68 to everybody's port 67.
// The UDP checksum is left out, as U-Boot does.
func broadcastDatagram(payload []byte) []byte {
	b := make([]byte, ipv4Header+udpHeader, ipv4Header+udpHeader+len(payload))
	b[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(b[2:], uint16(ipv4Header+udpHeader+len(payload)))
	b[8], b[9] = 64, protocolUDP
	copy(b[16:], broadcast.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
	binary.BigEndian.PutUint16(b[20:], dhcpproxy.PortClient)
	binary.BigEndian.PutUint16(b[22:], dhcpproxy.PortDHCP)
	binary.BigEndian.PutUint16(b[24:], uint16(udpHeader+len(payload)))
	return append(b, payload...)
}

// checksum is the Internet checksum of a header of even length (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// parseDatagram takes an IPv4 datagram apart; ok is false if it is not a whole
// UDP datagram. Checksums are not looked at: what a host sends to itself, or over
// a virtual link, has none yet.
func parseDatagram(b []byte) (m message, ok bool) {
	if len(b) < ipv4Header || b[9] != protocolUDP {
		return m, false
	}
	size, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if size < ipv4Header || total < size+udpHeader || total > len(b) {
		return m, false
	}
	source := netip.AddrFrom4([4]byte(b[12:16]))
	m.from = netip.AddrPortFrom(source, binary.BigEndian.Uint16(b[size:]))
	m.data = b[size+udpHeader : total]
	return m, true
}
