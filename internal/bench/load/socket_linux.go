package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets one system call receives or sends at most.
	batchSize = 64
	// stationBuffer is the receive buffer in bytes: no packet shall be lost here
	// but those that the job says.
	stationBuffer = 64 << 20
	// maxReply is room for an RRQ, the longest that a client sends.
	maxReply = 512
)

// firstAddress is the address of client 0, as a number; the others follow. All of
// 127.0.0.0/8 belongs to the loopback interface.
const firstAddress = 127<<24 | 1<<16

// A station is the socket of all clients. They are told apart by their address,
// and have the same port. With a socket for each, the generator would be busy with
// polling them, and the servers with waking it: so little of it is left that the
// servers are what is measured.
type station struct {
	fd       int
	received packets
	queued   packets // to be sent
	count    int     // of them
}

// packets is room for the packets of one recvmmsg or sendmmsg call, and for
// everything that the kernel wants to know or tells about them.
type packets struct {
	headers [batchSize]unix.Mmsghdr
	vectors [batchSize]unix.Iovec
	peers   [batchSize]endpoint
	control [batchSize]packetInfo
	buffers [batchSize][]byte
}

// A packetInfo is the control message IP_PKTINFO.
type packetInfo struct {
	header unix.Cmsghdr
	info   unix.Inet4Pktinfo
	_      [4]byte // CMSG_SPACE
}

// An endpoint is an IPv4 address and port as the kernel has it. Package net and
// the wrappers of package unix make one on the heap for each packet, which at
// some 200,000 packets a second is what would be measured.
type endpoint = unix.RawSockaddrInet4

func newEndpoint(a netip.AddrPort) endpoint {
	e := endpoint{Family: unix.AF_INET, Addr: a.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&e.Port)) // in network byte order
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	return e
}

// address is that of a client.
func address(client int) [4]byte {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], firstAddress+uint32(client))
	return a
}

// newStation opens the socket, for packets of up to size bytes.
func newStation(size int) (*station, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &station{fd: fd}
	s.received.prepare(size)
	s.queued.prepare(maxReply)
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{})
	}
	if err != nil {
		_ = unix.Close(fd) // it is gone in any case
		return nil, fmt.Errorf("socket: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, stationBuffer) != nil {
		// Without the privilege it is as large as the system lets it be.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stationBuffer)
	}
	return s, nil
}

func (s *station) close() error { return unix.Close(s.fd) }

// prepare makes room for packets of size bytes.
func (p *packets) prepare(size int) {
	for i := range batchSize {
		p.buffers[i] = make([]byte, size)
		p.vectors[i].Base = unsafe.SliceData(p.buffers[i])
		p.vectors[i].SetLen(size)
		c := &p.control[i]
		c.header = unix.Cmsghdr{Level: unix.IPPROTO_IP, Type: unix.IP_PKTINFO}
		c.header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		h := &p.headers[i].Hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&p.peers[i])), unix.SizeofSockaddrInet4
		h.Iov = &p.vectors[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(c))
		h.SetControllen(int(unsafe.Sizeof(*c)))
	}
}

// wait blocks until a packet is there or the time is over.
func (s *station) wait(d time.Duration) error {
	ts := unix.NsecToTimespec(max(d, 0).Nanoseconds())
	_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, &ts, nil)
	if err == unix.EINTR {
		return nil
	}
	return err
}

// receive takes what has arrived and returns the number of packets, 0 if there is
// none. packet tells of them until the next call.
func (s *station) receive() (int, error) {
	p := &s.received
	// It never blocks, so the scheduler is not told.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&p.headers[0])), batchSize, 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// packet is a packet that was received: for whom, what and from where. client is
// negative if it is for none.
func (s *station) packet(i int) (client int, b []byte, from *endpoint) {
	p := &s.received
	to := binary.BigEndian.Uint32(p.control[i].info.Addr[:])
	return int(to) - firstAddress, p.buffers[i][:p.headers[i].Len], &p.peers[i]
}

// send has a client send a packet with the next flush, or now if there is no more
// room.
func (s *station) send(client int, b []byte, to *endpoint) error {
	p, i := &s.queued, s.count
	p.vectors[i].SetLen(copy(p.buffers[i], b))
	p.peers[i] = *to
	p.control[i].info = unix.Inet4Pktinfo{Spec_dst: address(client)}
	if s.count++; s.count == batchSize {
		return s.flush()
	}
	return nil
}

// flush sends all that is queued. A full queue further on is a lost packet.
func (s *station) flush() error {
	batch := s.queued.headers[:s.count]
	s.count = 0
	for len(batch) > 0 {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&batch[0])), uintptr(len(batch)), 0, 0, 0)
		switch errno {
		case 0:
			batch = batch[n:]
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			batch = batch[1:]
		default:
			return errno
		}
	}
	return nil
}

// threadCPU is the processor time of the calling thread.
func threadCPU() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
