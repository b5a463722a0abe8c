package dhcpproxy

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlSize is room for one control message with an interface and addresses.
const controlSize = 64

// An inbox receives packets by the handful: under load a system call for each
// would cost as much as the answer.
type inbox struct {
	headers [batchSize]unix.Mmsghdr
	names   [batchSize]unix.RawSockaddrLinklayer // an IPv4 address fits in too
	vectors [batchSize]unix.Iovec
	control [batchSize][controlSize]byte // aligned, as it follows the vectors
	data    [batchSize][maxPacket]byte

	used    int // packets of the last batch
	packets [batchSize]packet
}

func newInbox() *inbox {
	b := new(inbox)
	for i := range b.headers {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(maxPacket)
		h := &b.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.control[i][0]
		h.Namelen = uint32(unsafe.Sizeof(b.names[i]))
		h.SetControllen(controlSize)
	}
	return b
}

// receive takes what is there; the error is EAGAIN if nothing is. It never blocks,
// so the scheduler is not told.
func (b *inbox) receive(fd uintptr) error {
	for i := range b.used { // the kernel wrote the lengths it found
		b.headers[i].Hdr.Namelen = uint32(unsafe.Sizeof(b.names[i]))
		b.headers[i].Hdr.SetControllen(controlSize)
	}
	b.used = 0
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.used = int(n)
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// payload is the packet with that number.
func (b *inbox) payload(i int) []byte { return b.data[i][:b.headers[i].Len] }

// inet4 is the sender of a packet of an IPv4 socket.
func (b *inbox) inet4(i int) *unix.RawSockaddrInet4 {
	// The kernel wrote the smaller structure into the same memory.
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
}

// pktinfo is what the kernel tells of how a packet of an IPv4 socket arrived, or
// nil.
func (b *inbox) pktinfo(i int) *unix.Inet4Pktinfo {
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
