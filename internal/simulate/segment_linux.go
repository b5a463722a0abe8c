package simulate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netbootd/dhcpproxy"
)

// A segment is the wire of a client in the segment of an interface. It sends from
// 0.0.0.0 and reads what goes to port 68, whomever it is for, with a packet
// socket: no port of this host is taken.
type segment struct {
	packets *os.File
	local   *net.UDPConn // to servers on this host, which do not hear a packet socket
	own     netip.Addr
	index   int
}

// openSegment needs CAP_NET_RAW.
func openSegment(ctx context.Context, in dhcpproxy.Interface, own netip.Addr) (wire, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, &SetupError{
			What: "cannot open a packet socket",
			Hint: "run this as root, or with CAP_NET_RAW",
			Err:  err,
		}
	}
	packets := os.NewFile(uintptr(fd), "packet socket")
	// ETH_P_ALL and not ETH_P_IP: what a server on this host sends is seen too. The
	// filter is there before the first packet is.
	err = errors.Join(filterReplies(fd), unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: in.Index}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket on %s: %w", in.Name, err), packets.Close())
	}
	local, err := listenUDP(ctx, netip.AddrPortFrom(own, 0), in.Name)
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return &segment{packets, local, own, in.Index}, nil
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// filterReplies lets through UDP datagrams to port 68, of fragmented ones the
// first part. Those with a VLAN tag are of other segments.
func filterReplies(fd int) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 9},
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 7},
		bpf.LoadAbsolute{Off: 9, Size: 1}, // protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 6, Size: 2}, // fragment offset
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 3},
		bpf.LoadMemShift{Off: 0},          // length of the IP header
		bpf.LoadIndirect{Off: 2, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: dhcpproxy.PortClient, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: maxMessage},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, p := range program {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// send broadcasts, and hands a copy to the server on this host if there is one:
// that is sent to its own address and does not leave the host.
func (s *segment) send(p *dhcpv4.DHCPv4) error {
	payload := p.ToBytes()
	datagram := broadcastDatagram(payload)
	everybody := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: s.index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	raw, err := s.packets.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), datagram, 0, everybody)
		return sent != unix.EAGAIN
	})
	if err := errors.Join(err, sent); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	// Mostly there is no server here, and the kernel may say so.
	_, _ = s.local.WriteToUDPAddrPort(payload, netip.AddrPortFrom(s.own, dhcpproxy.PortDHCP))
	return nil
}

func (s *segment) receive(until time.Time) (message, error) {
	if err := s.packets.SetReadDeadline(until); err != nil {
		return message{}, err
	}
	b := make([]byte, maxMessage)
	for {
		n, err := s.packets.Read(b)
		if err != nil {
			return message{}, err
		}
		if m, ok := parseDatagram(b[:n]); ok {
			return m, nil
		}
	}
}

func (s *segment) Close() error { return errors.Join(s.packets.Close(), s.local.Close()) }

// listenUDP opens a socket that hears of ICMP errors: they say at once what
// silence would say in the end. With a device it sends and receives there only.
func listenUDP(ctx context.Context, local netip.AddrPort, device string) (*net.UDPConn, error) {
	var failed error
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
			if device != "" {
				failed = errors.Join(failed, unix.BindToDevice(int(fd), device))
			}
		})
		return errors.Join(err, failed)
	}}
	c, err := config.ListenPacket(ctx, "udp4", local.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}
