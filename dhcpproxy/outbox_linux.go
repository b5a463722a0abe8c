package dhcpproxy

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// leavingSize is room for the control message that chooses how a packet leaves.
const leavingSize = unix.SizeofCmsghdr + (unix.SizeofInet4Pktinfo+7)&^7

// An outbox sends packets by the handful.
type outbox struct {
	headers [batchSize]unix.Mmsghdr
	names   [batchSize]unix.RawSockaddrInet4
	vectors [batchSize]unix.Iovec
	control [batchSize][leavingSize]byte // aligned, as it follows the vectors
}

func newOutbox() *outbox {
	b := new(outbox)
	for i := range b.headers {
		h := &b.headers[i].Hdr
		b.names[i].Family = unix.AF_INET
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), unix.SizeofSockaddrInet4
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.control[i][0]
		h.SetControllen(leavingSize)
		c := (*unix.Cmsghdr)(unsafe.Pointer(&b.control[i][0]))
		c.Level, c.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		c.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	}
	return b
}

// set makes data the packet with that number.
func (b *outbox) set(i int, data []byte, r *outgoing) {
	b.vectors[i].Base = unsafe.SliceData(data)
	b.vectors[i].SetLen(len(data))
	b.names[i].Addr, b.names[i].Port = r.to.Addr().As4(), networkOrder(r.to.Port())
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&b.control[i][unix.CmsgLen(0)]))
	info.Ifindex, info.Spec_dst = int32(r.ifindex), r.from.As4()
}

// send sends the packets that were set for replies. One that the kernel does not
// take is passed over, and told so in its reply.
func (b *outbox) send(fd uintptr, replies []outgoing) {
	for sent := 0; sent < len(replies); {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.headers[sent])), uintptr(len(replies)-sent), 0, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		default:
			replies[sent].err = errno
			sent++
		}
	}
}
