package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// requestBuffer is the receive buffer of a request socket in bytes, if the
// system grants it: a rack that is switched on asks all at once, and an RRQ lost
// costs its client a second.
const requestBuffer = 4 << 20

// A requestConn is a socket for requests that tells which address and interface
// each packet came in on.
type requestConn struct {
	udp  *net.UDPConn
	addr netip.AddrPort // as bound
	oob  []byte         // for read
}

// listenRequests binds a request socket. The packet information is switched on
// before the bind, so that no packet comes without.
func listenRequests(addr netip.AddrPort) (*requestConn, error) {
	info := socketOption{unix.IPPROTO_IP, unix.IP_PKTINFO, 1}
	if addr.Addr().Is6() {
		info = socketOption{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1}
	}
	udp, err := listenUDP(addr, func(_, _ string, c syscall.RawConn) error { return setOptions(c, info, allowFragments(addr)) })
	if err != nil {
		return nil, err
	}
	growReadBuffer(udp, requestBuffer)
	size := unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	return &requestConn{udp: udp, addr: boundAddr(udp), oob: make([]byte, size)}, nil
}

func (c *requestConn) close() error { return c.udp.Close() }

// read blocks until the next packet. Only one goroutine may call it.
func (c *requestConn) read(b []byte) (int, datagram, error) {
	n, oobn, _, from, err := c.udp.ReadMsgUDPAddrPort(b, c.oob)
	if err != nil {
		return 0, datagram{}, err
	}
	d := datagram{from: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), to: c.addr}
	messages, err := unix.ParseSocketControlMessage(c.oob[:oobn])
	if err != nil {
		return n, d, nil // served as from a system that tells nothing
	}
	for i := range messages {
		d.readPacketInfo(&messages[i])
	}
	return n, d, nil
}

// readPacketInfo takes the address asked and the interface out of one control
// message. Where the header's destination is not an address of this host, the
// packet went to a broadcast address (ip(7), IP_PKTINFO); it is noted as such
// and [datagram.isAcceptable] drops it.
func (d *datagram) readPacketInfo(m *unix.SocketControlMessage) {
	var to netip.Addr
	switch {
	case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
		d.ifindex = int(binary.NativeEndian.Uint32(m.Data))
		asked := netip.AddrFrom4([4]byte(m.Data[8:12]))
		to = netip.AddrFrom4([4]byte(m.Data[4:8])) // ipi_spec_dst, the local address
		if asked != to {
			to = netip.AddrFrom4([4]byte{255, 255, 255, 255})
		}
	case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
		d.ifindex = int(binary.NativeEndian.Uint32(m.Data[16:]))
		to = withZone(netip.AddrFrom16([16]byte(m.Data[:16])), d.ifindex)
	default:
		return
	}
	d.to = netip.AddrPortFrom(to, d.to.Port())
}

// reply sends a packet back to where d came from, from the address it went to.
func (c *requestConn) reply(b []byte, d datagram) error {
	var oob []byte
	if to := d.to.Addr(); to.Is4() {
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: to.As4()})
	} else {
		oob = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: to.As16()})
	}
	_, _, err := c.udp.WriteMsgUDPAddrPort(b, oob, d.from)
	return err
}

// isPassing tells whether reading may go on after err.
func isPassing(error) bool { return false }

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// isNoIPv6 tells whether a bind failed because the host has no IPv6.
func isNoIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// listenTransfer binds a socket for transfers. Port 0 takes a free one.
func listenTransfer(local netip.AddrPort) (*net.UDPConn, error) {
	return listenUDP(local, func(_, _ string, c syscall.RawConn) error { return setOptions(c, allowFragments(local)) })
}

// allowFragments has IPv4 packets go out without the Don't Fragment bit: blocks
// fit the first link, and where a later one is narrower they still arrive.
func allowFragments(local netip.AddrPort) socketOption {
	if !local.Addr().Is4() {
		return socketOption{}
	}
	return socketOption{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT}
}

// A socketOption is a number to be set with setsockopt(2). The zero value sets
// nothing.
type socketOption struct{ level, name, value int }

func setOptions(c syscall.RawConn, options ...socketOption) error {
	var failures []error
	err := c.Control(func(fd uintptr) {
		for _, o := range options {
			if o != (socketOption{}) {
				failures = append(failures, os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), o.level, o.name, o.value)))
			}
		}
	})
	return errors.Join(append(failures, err)...)
}
