package tftp

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// transferBuffer is the receive buffer of a transfer socket in bytes, if the
// system grants it: ACKs of thousands of clients may come at once.
const transferBuffer = 4 << 20

// A socket carries the packets of many transfers: its port is the server's TID
// of all of them, which is told apart from others by the client's end (RFC 1350
// section 4 wants the pair to be unique).
type socket struct {
	udp      *net.UDPConn
	raw      syscall.RawConn
	v6       bool
	wildcard bool // bound to all addresses
}

// openSocket binds a transfer socket on a free port of the address.
func openSocket(local netip.Addr) (*socket, error) {
	udp, err := listenTransfer(local)
	if err != nil {
		return nil, err
	}
	growReadBuffer(udp, transferBuffer)
	_ = udp.SetWriteBuffer(transferBuffer) // best effort: the kernel caps it
	raw, err := udp.SyscallConn()
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	return &socket{udp: udp, raw: raw, v6: local.Is6(), wildcard: local.IsUnspecified()}, nil
}

// growReadBuffer makes the receive buffer as large as the system lets us: beyond
// net.core.rmem_max it does with CAP_NET_ADMIN only.
func growReadBuffer(udp *net.UDPConn, size int) {
	if raw, err := udp.SyscallConn(); err == nil {
		forced := false
		_ = raw.Control(func(fd uintptr) {
			forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) == nil
		})
		if forced {
			return
		}
	}
	_ = udp.SetReadBuffer(size)
}

// canSegment tells whether the kernel knows UDP_SEGMENT (Linux 4.18). The device
// that a packet leaves by may still refuse.
func (s *socket) canSegment() bool {
	known := false
	_ = s.raw.Control(func(fd uintptr) {
		_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		known = err == nil
	})
	return known
}
