package dhcpproxy

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets one system call receives at most.
const batchSize = 64

// controlSize is room for one control message with an interface and addresses.
const controlSize = 64

// A batch receives packets by the handful: under load a system call for each
// would cost as much as the answer.
type batch struct {
	headers [batchSize]unix.Mmsghdr
	names   [batchSize]unix.RawSockaddrLinklayer // an IPv4 address fits in too
	vectors [batchSize]unix.Iovec
	control [batchSize][controlSize]byte // aligned, as it follows the vectors
	data    [batchSize][maxPacket]byte

	raw   syscall.RawConn
	ready func(fd uintptr) bool // receive, made once
	errno syscall.Errno
	next  int // packet to hand out
	used  int // packets received
}

// newBatch receives from raw, whose socket must not block.
func newBatch(raw syscall.RawConn) *batch {
	b := &batch{raw: raw}
	b.ready = b.receive
	for i := range b.headers {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(maxPacket)
		h := &b.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.control[i][0]
	}
	return b
}

// read is the number of the next packet. It waits if there is none. What is told
// of a packet is true until the next read.
func (b *batch) read() (i int, err error) {
	if b.next == b.used {
		b.next, b.used = 0, 0
		if err := b.raw.Read(b.ready); err != nil {
			return 0, err
		}
		if b.errno != 0 {
			return 0, b.errno
		}
	}
	b.next++
	return b.next - 1, nil
}

// receive takes what is there. It is false if nothing is: then the runtime's
// poller waits, and no thread does.
func (b *batch) receive(fd uintptr) bool {
	for i := range b.headers { // the kernel writes the lengths it found
		b.headers[i].Hdr.Namelen = uint32(unsafe.Sizeof(b.names[i]))
		b.headers[i].Hdr.SetControllen(controlSize)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if b.errno = errno; errno == 0 {
			b.used = int(n)
		}
		return errno != unix.EAGAIN
	}
}

// payload is the packet with that number.
func (b *batch) payload(i int) []byte { return b.data[i][:b.headers[i].Len] }

// inet4 is the sender of a packet of an IPv4 socket.
func (b *batch) inet4(i int) *unix.RawSockaddrInet4 {
	// The kernel wrote the smaller structure into the same memory.
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
}

// pktinfo is what the kernel tells of how a packet of an IPv4 socket arrived, or
// nil.
func (b *batch) pktinfo(i int) *unix.Inet4Pktinfo {
	rest := b.control[i][:b.headers[i].Hdr.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		header, data, more, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			return nil
		}
		if header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo {
			return (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		}
		rest = more
	}
	return nil
}
