package tftp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// transferBuffer is the receive buffer of a transfer socket in bytes, if the
// system grants it: ACKs of thousands of clients may come at once.
const transferBuffer = 4 << 20

// A socket carries the packets of many transfers: its port is the server's TID
// of all of them, which is told apart from others by the client's end (RFC 1350
// section 4 wants the pair to be unique).
//
// It is really two sockets on one port. The runtime's poller asks to be told when
// a socket can be written to, and the kernel does tell, after every packet that
// has left: each batch sent would wake a thread for nothing. So packets are sent
// by a twin that no poller knows of.
type socket struct {
	udp      *net.UDPConn    // nil for a port that requests come in on, which others close
	raw      syscall.RawConn // of the first socket
	twin     *os.File        // nil where the system allows none
	out      syscall.RawConn // of twin, else of the first socket
	v6       bool
	wildcard bool // bound to all addresses
}

// openSocket binds a socket for transfers.
func openSocket(local netip.Addr, p *ports) (*socket, error) {
	udp, err := p.listen(local)
	if err != nil {
		return nil, err
	}
	growReadBuffer(udp, transferBuffer)
	s, err := newSocket(udp, local)
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	s.udp = udp
	return s, nil
}

// newSocket makes the twin of a socket that is bound to the address.
func newSocket(first *net.UDPConn, local netip.Addr) (*socket, error) {
	raw, err := first.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{raw: raw, out: raw, v6: local.Is6(), wildcard: local.IsUnspecified()}
	if twin, err := s.openTwin(); err == nil {
		s.twin = twin
		if s.out, err = twin.SyscallConn(); err != nil {
			s.close()
			return nil, err
		}
	}
	// Best effort: the kernel caps it.
	_ = setOptions(s.out, socketOption{unix.SOL_SOCKET, unix.SO_SNDBUF, transferBuffer})
	return s, nil
}

// close closes both sockets. Nothing is lost by a UDP socket that does not close.
func (s *socket) close() {
	if s.udp != nil {
		_ = s.udp.Close()
	}
	if s.twin != nil {
		_ = s.twin.Close()
	}
}

// openTwin makes a blocking socket on the port of s. All that comes in goes to s,
// the first of the two: of sockets that share a port with SO_REUSEPORT a filter
// program picks the one, by its number.
func (s *socket) openTwin() (*os.File, error) {
	family, mtuLevel, mtuOption := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if s.v6 {
		family, mtuLevel, mtuOption = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	toFirst := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	failure := s.raw.Control(func(first uintptr) {
		address, e := unix.Getsockname(int(first))
		var mtu int
		if e == nil {
			mtu, e = unix.GetsockoptInt(int(first), mtuLevel, mtuOption)
		}
		if e == nil {
			e = unix.SetsockoptInt(fd, mtuLevel, mtuOption, mtu)
		}
		if e == nil && s.v6 {
			e = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		}
		for _, one := range []int{int(first), fd} {
			if e == nil {
				e = unix.SetsockoptInt(one, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
		}
		if e == nil {
			e = unix.Bind(fd, address)
		}
		if e == nil {
			e = unix.SetsockoptSockFprog(int(first), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
				&unix.SockFprog{Len: 1, Filter: &toFirst[0]})
		}
		err = e
	})
	if err = errors.Join(failure, err); err != nil {
		_ = unix.Close(fd) // it is gone in any case
		_ = setOptions(s.raw, socketOption{unix.SOL_SOCKET, unix.SO_REUSEPORT, 0})
		return nil, fmt.Errorf("a second socket on the port of a first: %w", err)
	}
	return os.NewFile(uintptr(fd), "udp"), nil
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
