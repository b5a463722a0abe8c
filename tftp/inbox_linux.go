package tftp

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets one system call receives or sends at most.
const batchSize = 64

// An inbox receives packets of a transfer socket in batches.
type inbox struct {
	headers [batchSize]unix.Mmsghdr
	names   [batchSize]sockaddr
	vectors [batchSize]unix.Iovec
	data    [batchSize][ackBuffer]byte

	raw   syscall.RawConn
	ready func(fd uintptr) bool // receive, made once
	used  int                   // packets of the last batch
	errno syscall.Errno
}

func newInbox(s *socket) *inbox {
	in := &inbox{raw: s.raw, used: batchSize}
	in.ready = in.receive
	for i := range in.headers {
		in.vectors[i].Base = &in.data[i][0]
		in.vectors[i].SetLen(ackBuffer)
		h := &in.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Iov = &in.vectors[i]
		h.SetIovlen(1)
	}
	return in
}

// read waits for packets and tells how many have come.
func (in *inbox) read() (int, error) {
	if err := in.raw.Read(in.ready); err != nil {
		return 0, err
	}
	if in.errno != 0 {
		return 0, in.errno
	}
	return in.used, nil
}

// receive takes what is there. It is false if nothing is: then the runtime's
// poller waits, and no thread does.
func (in *inbox) receive(fd uintptr) bool {
	for i := range in.used { // the kernel has written the lengths it found
		in.headers[i].Hdr.Namelen = uint32(unsafe.Sizeof(in.names[i]))
	}
	in.used = 0
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if in.errno = errno; errno == 0 {
			in.used = int(n)
		}
		return errno != unix.EAGAIN
	}
}

// packet is the one with that number, in the order of arrival. Longer ones than
// any that a client has reason to send are cut.
func (in *inbox) packet(i int) (from endpoint, b []byte) {
	return readSockaddr(&in.names[i]), in.data[i][:in.headers[i].Len]
}
