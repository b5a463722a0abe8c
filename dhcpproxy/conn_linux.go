package dhcpproxy

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// udpConn is a packetConn on a plain UDP socket. It is bound without reuse
// flags: a shared port 67 would take unicast renewals away from another DHCP
// server on this host.
type udpConn struct {
	*socket
	addr netip.AddrPort
}

type udpEnd struct {
	*socket
	in  *inbox
	out *outbox
}

func (c *udpConn) newEnd() packetEnd { return &udpEnd{c.socket, newInbox(), newOutbox()} }

// listenUDP binds the port on every IPv4 address. Port 0 takes a free one.
func listenUDP(port uint16) (*udpConn, error) {
	want := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	fd, err := openUDP(port)
	if err != nil {
		return nil, &ListenError{Addr: want, Err: err}
	}
	s, err := newSocket(fd, want.String())
	if err != nil {
		return nil, err
	}
	c := &udpConn{s, want}
	err = s.control(func(fd int) error {
		bound, err := unix.Getsockname(fd)
		if a, ok := bound.(*unix.SockaddrInet4); ok {
			c.addr = netip.AddrPortFrom(want.Addr(), uint16(a.Port))
		}
		return os.NewSyscallError("getsockname", err)
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return c, nil
}

// openUDP opens the socket. It is bound last: what came before the kernel was
// asked for the interface of packets would be without it.
func openUDP(port uint16) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	growReceiveBuffer(fd)
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)})
	}
	if err != nil {
		_ = unix.Close(fd) // it is gone in any case
		return 0, err
	}
	return fd, nil
}

func (e *udpEnd) readPackets() ([]packet, error) {
	if err := e.receive(e.in); err != nil {
		return nil, err
	}
	packets := e.in.packets[:e.in.used]
	for i := range packets {
		from := e.in.inet4(i)
		packets[i] = packet{data: e.in.payload(i), source: netip.AddrPortFrom(netip.AddrFrom4(from.Addr), networkOrder(from.Port))}
		if info := e.in.pktinfo(i); info != nil {
			packets[i].ifindex, packets[i].destination = int(info.Ifindex), netip.AddrFrom4(info.Addr)
		}
	}
	return packets, nil
}

func (e *udpEnd) writePackets(replies []outgoing) {
	for i := range replies {
		e.out.set(i, replies[i].data, &replies[i])
	}
	e.send(e.out, replies)
}

// join has packets to a multicast group that come in on an interface delivered.
func (c *udpConn) join(group netip.Addr, ifindex int) error {
	return c.membership(unix.IP_ADD_MEMBERSHIP, group, ifindex)
}

// leave ends that.
func (c *udpConn) leave(group netip.Addr, ifindex int) error {
	return c.membership(unix.IP_DROP_MEMBERSHIP, group, ifindex)
}

func (c *udpConn) membership(change int, group netip.Addr, ifindex int) error {
	return c.control(func(fd int) error {
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, change, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(ifindex)})
	})
}

// networkOrder turns a number of 16 bits between this machine's order of bytes
// and the network's.
func networkOrder(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
