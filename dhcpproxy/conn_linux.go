package dhcpproxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// udpConn is a packetConn on a plain UDP socket. It is bound without reuse
// flags: a shared port 67 would take unicast renewals away from another DHCP
// server on this host.
type udpConn struct {
	*net.UDPConn
	addr  netip.AddrPort
	batch *batch
}

// listenUDP binds the port on every IPv4 address. Port 0 takes a free one.
func listenUDP(port uint16) (*udpConn, error) {
	want := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(want))
	if err != nil {
		return nil, &ListenError{Addr: want, Err: rootCause(err)}
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error {
			growReceiveBuffer(fd)
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		})
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("ask for the interface of packets on %s: %w", want, err)
	}
	return &udpConn{UDPConn: c, addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), batch: newBatch(raw)}, nil
}

// control runs f on a socket's descriptor.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var err error
	if outer := raw.Control(func(fd uintptr) { err = f(int(fd)) }); outer != nil {
		return outer
	}
	return err
}

// growReceiveBuffer makes the receive buffer as large as the system lets us:
// beyond net.core.rmem_max it does with CAP_NET_ADMIN only. Less than was asked
// for is no reason to refuse.
func growReceiveBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

// rootCause takes the layers of package net off an error, which would repeat the
// address and name the system call.
func rootCause(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func (c *udpConn) readPacket() (packet, error) {
	i, err := c.batch.read()
	if err != nil {
		return packet{}, err
	}
	from := c.batch.inet4(i)
	p := packet{data: c.batch.payload(i), source: netip.AddrPortFrom(netip.AddrFrom4(from.Addr), networkOrder(from.Port))}
	if info := c.batch.pktinfo(i); info != nil {
		p.ifindex, p.destination = int(info.Ifindex), netip.AddrFrom4(info.Addr)
	}
	return p, nil
}

func (c *udpConn) writePacket(data []byte, to netip.AddrPort, from netip.Addr, ifindex int) error {
	_, _, err := c.WriteMsgUDPAddrPort(data, leaving(from, ifindex), to)
	if err != nil {
		return rootCause(err)
	}
	return nil
}

// leaving is the control message that chooses the source address of a packet, and
// the interface unless ifindex is 0.
func leaving(from netip.Addr, ifindex int) []byte {
	return unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(ifindex), Spec_dst: from.As4()})
}

// networkOrder turns a number of 16 bits between this machine's order of bytes
// and the network's.
func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
