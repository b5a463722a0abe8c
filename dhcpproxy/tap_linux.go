package dhcpproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A tapConn is a packetConn for a port that another program holds. It reads
// copies of that port's packets with a packet socket, so that the other program
// loses none of them, and sends from the port with a raw socket. Both want
// CAP_NET_RAW.
//
// It hears what the input firewall would have dropped, and packets to other hosts
// that this one forwards: which are ours is for the caller to tell.
type tapConn struct {
	port  uint16
	tap   *os.File // packet socket, for reading only
	out   *os.File // raw IPv4 socket, for sending only
	raw   syscall.RawConn
	batch *batch
	buf   []byte // of the packet being sent
}

// listenTap reads copies of the IPv4 UDP packets to a port, whatever interface
// they come in on.
func listenTap(port uint16) (_ *tapConn, err error) {
	c := &tapConn{port: port}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	if c.tap, err = openTap(port); err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	raw, err := c.tap.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	c.batch = newBatch(raw)
	if c.out, err = openRaw(); err != nil {
		return nil, fmt.Errorf("raw socket: %w", err)
	}
	if c.raw, err = c.out.SyscallConn(); err != nil {
		return nil, fmt.Errorf("raw socket: %w", err)
	}
	return c, nil
}

// openTap opens the packet socket. It is bound only after it has its filter: a
// socket without one would begin with other packets. Bound to no interface it is
// handed packets where IP is: a VLAN's on its device, a bridge's on the bridge.
func openTap(port uint16) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	growReceiveBuffer(fd)
	filter, err := tapFilter(port)
	if err == nil {
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP)})
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "packet socket"), nil
}

// openRaw opens the raw socket. IPPROTO_RAW takes packets with their headers, and
// receives nothing.
func openRaw() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "raw socket"), nil
}

// tapFilter lets the packets to a port pass.
func tapFilter(port uint16) (*unix.SockFprog, error) {
	raw, err := bpf.Assemble(append(linkFilter(), portFilter(port)...))
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}, nil
}

var dropPacket = bpf.RetConstant{Val: 0}

// linkFilter drops what IP would not be handed either: frames to another host's
// hardware address, and those of a VLAN that this host has no device for.
func linkFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OTHERHOST, SkipTrue: 1},
		dropPacket,
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		dropPacket,
	}
}

// portFilter accepts the IPv4 packets that are one whole UDP datagram to a port.
func portFilter(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetProtocol, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: 1},
		dropPacket,
		bpf.LoadAbsolute{Off: offsetFragment, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: fragmented, SkipTrue: 1},
		dropPacket,
		bpf.LoadMemShift{Off: 0}, // the length of the header, with its options
		bpf.LoadIndirect{Off: offsetUDPTo, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 1},
		dropPacket,
		bpf.RetConstant{Val: maxPacket},
	}
}

func (c *tapConn) readPacket() (packet, error) {
	for {
		i, err := c.batch.read()
		if err != nil {
			return packet{}, err
		}
		if p, ok := parseDatagram(c.batch.payload(i)); ok {
			p.ifindex = int(c.batch.names[i].Ifindex)
			return p, nil
		}
	}
}

func (c *tapConn) writePacket(data []byte, to netip.AddrPort, from netip.Addr, ifindex int) error {
	c.buf = appendDatagram(c.buf[:0], data, netip.AddrPortFrom(from, c.port), to)
	oob, dst := leaving(from, ifindex), &unix.SockaddrInet4{Addr: to.Addr().As4()}
	var err error
	outer := c.raw.Write(func(fd uintptr) bool {
		_, err = unix.SendmsgN(int(fd), c.buf, oob, dst, unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
	return errors.Join(outer, err)
}

// Close ends a read that is waiting.
func (c *tapConn) Close() error {
	var errs []error
	for _, f := range []*os.File{c.tap, c.out} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
