//go:build linux

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Datagram is one UDP datagram over IPv4 as seen on the wire.
type Datagram struct {
	SrcMAC, DstMAC net.HardwareAddr
	Src, Dst       netip.AddrPort
	Payload        []byte
}

// A RawUDP reads every UDP datagram that comes to a place's interface, for
// whomever, and sends datagrams from addresses that the place does not have.
// That is how firmware without an address talks.
type RawUDP struct {
	file *os.File
	mac  net.HardwareAddr
}

// OpenRawUDP starts to capture at a place, on eth0. What arrives from now on is
// kept by the kernel until Next takes it.
func (n *Network) OpenRawUDP(at Place) (*RawUDP, error) { return n.OpenRawUDPOn(at, "eth0") }

// OpenRawUDPOn is OpenRawUDP on another interface.
func (n *Network) OpenRawUDPOn(at Place, dev string) (*RawUDP, error) {
	var r RawUDP
	err := n.Do(at, func() error {
		ifi, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		r.mac = ifi.HardwareAddr
		r.file, err = openPacketSocket(ifi.Index)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture at %s, %s: %w", at, dev, err)
	}
	return &r, nil
}

func openPacketSocket(ifindex int) (*os.File, error) {
	const ethIPv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8 // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, ethIPv4)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ethIPv4, Ifindex: ifindex})
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "packet socket"), nil
}

// Close ends the capture.
func (r *RawUDP) Close() error { return r.file.Close() }

// MAC is the hardware address of the interface.
func (r *RawUDP) MAC() net.HardwareAddr { return r.mac }

// Next blocks until the next datagram of another host arrives.
func (r *RawUDP) Next(ctx context.Context) (Datagram, error) {
	if err := r.file.SetReadDeadline(time.Time{}); err != nil {
		return Datagram{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	frame := make([]byte, 65536)
	for {
		n, err := r.file.Read(frame)
		if ctx.Err() != nil {
			return Datagram{}, ctx.Err()
		}
		if err != nil {
			return Datagram{}, err
		}
		if d, ok := parseFrame(frame[:n]); ok {
			return d, nil
		}
	}
}

const (
	ethHeader  = 14
	ipv4Header = 20
	udpHeader  = 8
)

// parseFrame takes an Ethernet frame apart; ok is false if it is not one whole
// UDP datagram over IPv4. Checksums are not looked at: on a veth link the
// kernel leaves them for hardware that is not there.
func parseFrame(b []byte) (d Datagram, ok bool) {
	if len(b) < ethHeader+ipv4Header || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_IP {
		return d, false
	}
	d.DstMAC, d.SrcMAC = append(net.HardwareAddr(nil), b[0:6]...), append(net.HardwareAddr(nil), b[6:12]...)
	ip := b[ethHeader:]
	size, total := int(ip[0]&0x0f)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[9] != unix.IPPROTO_UDP || size < ipv4Header || total < size+udpHeader || total > len(ip) {
		return d, false
	}
	udp := ip[size:total]
	src, dst := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	d.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp[0:]))
	d.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	d.Payload = append([]byte(nil), udp[udpHeader:]...)
	return d, true
}

// Broadcast sends a payload from 0.0.0.0 and the given port to everyone on the
// wire, as a client without an address does.
func (r *RawUDP) Broadcast(srcPort, dstPort uint16, payload []byte) error {
	b := binary.BigEndian.AppendUint16(r.broadcastHeader(), unix.ETH_P_IP)
	_, err := r.file.Write(appendDatagram(b, srcPort, dstPort, payload))
	return err
}

// BroadcastTagged is Broadcast in a VLAN (IEEE 802.1Q).
func (r *RawUDP) BroadcastTagged(vlan, srcPort, dstPort uint16, payload []byte) error {
	b := binary.BigEndian.AppendUint16(r.broadcastHeader(), unix.ETH_P_8021Q)
	b = binary.BigEndian.AppendUint16(b, vlan)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	_, err := r.file.Write(appendDatagram(b, srcPort, dstPort, payload))
	return err
}

// broadcastHeader is an Ethernet header up to its type.
func (r *RawUDP) broadcastHeader() []byte {
	return append([]byte("\xff\xff\xff\xff\xff\xff"), r.mac...)
}

// appendDatagram appends a datagram from 0.0.0.0 to everyone.
func appendDatagram(b []byte, srcPort, dstPort uint16, payload []byte) []byte {
	ip := make([]byte, ipv4Header)
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Header+udpHeader+len(payload)))
	ip[8], ip[9] = 64, unix.IPPROTO_UDP
	copy(ip[16:], "\xff\xff\xff\xff")
	binary.BigEndian.PutUint16(ip[10:], ipChecksum(ip))

	udp := make([]byte, udpHeader) // checksum 0: none, as U-Boot sends it
	binary.BigEndian.PutUint16(udp[0:], srcPort)
	binary.BigEndian.PutUint16(udp[2:], dstPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeader+len(payload)))

	return append(append(append(b, ip...), udp...), payload...)
}

// ipChecksum is the Internet checksum (RFC 1071) of a header of even length.
func ipChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
