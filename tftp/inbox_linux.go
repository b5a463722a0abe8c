package tftp

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets one system call receives or sends at most.
const batchSize = 64

// An inbox receives packets of a socket in batches.
type inbox struct {
	headers [batchSize]unix.Mmsghdr
	names   [batchSize]sockaddr
	vectors [batchSize]unix.Iovec
	data    [batchSize][]byte
	control [batchSize][packetInfoSize]byte

	raw  syscall.RawConn
	last int // packets of the last batch
}

// packetInfoSize is room for one control message about where a packet came in.
const packetInfoSize = 64

// newInbox makes room for packets of up to size bytes. Longer ones are cut.
func newInbox(raw syscall.RawConn, size int) *inbox {
	in := &inbox{raw: raw}
	for i := range in.headers {
		in.data[i] = make([]byte, size)
		in.vectors[i].Base = &in.data[i][0]
		in.vectors[i].SetLen(size)
		h := &in.headers[i].Hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&in.names[i])), uint32(unsafe.Sizeof(in.names[i]))
		h.Iov = &in.vectors[i]
		h.SetIovlen(1)
		h.Control = &in.control[i][0]
		h.SetControllen(packetInfoSize)
	}
	return in
}

// each calls take with the number of packets of each batch that comes, until the
// socket is closed or fails; it returns why.
//
// All of it happens within one call of the raw connection. That one forgets only
// when it begins that something has come, so it may wait as soon as a batch was
// not full: what has come since then ends the wait at once. Without that each
// wait would need another system call to find nothing.
func (in *inbox) each(take func(n int)) error {
	var errno syscall.Errno
	err := in.raw.Read(func(fd uintptr) bool {
		for {
			var n int
			if n, errno = in.receive(fd); errno != 0 {
				return errno != unix.EAGAIN
			}
			take(n)
			if n < batchSize {
				return false // the runtime's poller waits, and no thread does
			}
		}
	})
	if err == nil {
		err = errno
	}
	return err
}

// receive takes what is there. It never blocks, so the scheduler is not told: that
// would wake its watchdog thread for each packet of a lone client.
func (in *inbox) receive(fd uintptr) (int, syscall.Errno) {
	for i := range in.last { // the kernel has written the lengths it found
		in.headers[i].Hdr.Namelen = uint32(unsafe.Sizeof(in.names[i]))
		in.headers[i].Hdr.SetControllen(packetInfoSize)
	}
	in.last = 0
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		default:
			return 0, errno
		}
		in.last = int(n)
		return in.last, 0
	}
}

// packet is the one with that number, in the order of arrival.
func (in *inbox) packet(i int) (from endpoint, b []byte) {
	return readSockaddr(&in.names[i]), in.data[i][:in.headers[i].Len]
}

// info is the control message about a packet; ok is false if there is none. Only
// one kind is ever asked for.
func (in *inbox) info(i int) (m unix.SocketControlMessage, ok bool) {
	b := in.control[i][:in.headers[i].Hdr.Controllen]
	if len(b) < unix.SizeofCmsghdr {
		return m, false
	}
	m.Header = *(*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	if uint64(m.Header.Len) > uint64(len(b)) {
		return m, false
	}
	m.Data = b[unix.CmsgLen(0):m.Header.Len]
	return m, true
}
