package dhcpproxy

import (
	"errors"
	"fmt"
	"net/netip"

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
	port uint16
	tap  *socket // packet socket, for reading only
	raw  *socket // raw IPv4 socket, for sending only
}

type tapEnd struct {
	*tapConn
	in      *inbox
	out     *outbox
	packets [batchSize][]byte // being sent, with their headers
}

func (c *tapConn) newEnd() packetEnd { return &tapEnd{tapConn: c, in: newInbox(), out: newOutbox()} }

// listenTap reads copies of the IPv4 UDP packets to a port, whatever interface
// they come in on.
func listenTap(port uint16) (*tapConn, error) {
	tap, err := openTap(port)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	raw, err := openRaw()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raw socket: %w", err), tap.Close())
	}
	return &tapConn{port, tap, raw}, nil
}

// openTap opens the packet socket. It is bound only after it has its filter: a
// socket without one would begin with other packets. Bound to no interface it is
// handed packets where IP is: a VLAN's on its device, a bridge's on the bridge.
func openTap(port uint16) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
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
	return newSocket(fd, "packet socket")
}

// openRaw opens the raw socket. IPPROTO_RAW takes packets with their headers, and
// receives nothing.
func openRaw() (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return newSocket(fd, "raw socket")
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

func (e *tapEnd) readPackets() ([]packet, error) {
	if err := e.tap.receive(e.in); err != nil {
		return nil, err
	}
	packets := e.in.packets[:0]
	for i := range e.in.used {
		if p, ok := parseDatagram(e.in.payload(i)); ok {
			p.ifindex = int(e.in.names[i].Ifindex)
			packets = append(packets, p)
		}
	}
	return packets, nil
}

func (e *tapEnd) writePackets(replies []outgoing) {
	for i := range replies {
		r := &replies[i]
		e.packets[i] = appendDatagram(e.packets[i][:0], r.data, netip.AddrPortFrom(r.from, e.port), r.to)
		e.out.set(i, e.packets[i], r)
	}
	e.raw.send(e.out, replies)
}

// Close ends reads that are waiting.
func (c *tapConn) Close() error { return errors.Join(c.tap.Close(), c.raw.Close()) }
