package load

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// newSocket makes a UDP socket that never blocks. The first packet sent gives it
// a port.
func newSocket() (fd int, err error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// send sends one packet. It never blocks, so the scheduler is not told.
func send(fd int, b []byte, to *endpoint) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		0, uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4)
	if errno != 0 {
		return errno
	}
	return nil
}

// A mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// A receiver has room for the packets of one recvmmsg call.
type receiver struct {
	messages []mmsghdr
	vectors  []unix.Iovec
	from     []endpoint
	buffers  [][]byte
}

// newReceiver makes room for n packets of size bytes.
func newReceiver(n, size int) *receiver {
	r := &receiver{
		messages: make([]mmsghdr, n),
		vectors:  make([]unix.Iovec, n),
		from:     make([]endpoint, n),
		buffers:  make([][]byte, n),
	}
	for i := range n {
		r.buffers[i] = make([]byte, size)
		r.vectors[i].Base = unsafe.SliceData(r.buffers[i])
		r.vectors[i].SetLen(size)
		h := &r.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&r.from[i]))
		h.Iov = &r.vectors[i]
		h.SetIovlen(1)
	}
	return r
}

// receive takes what has arrived at a socket and returns the number of packets,
// 0 if there is none. packet tells of them until the next call.
func (r *receiver) receive(fd int) (int, error) {
	if len(r.messages) == 1 {
		return r.receiveOne(fd)
	}
	for i := range r.messages {
		r.messages[i].header.Namelen = unix.SizeofSockaddrInet4
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(r.messages))), uintptr(len(r.messages)), unix.MSG_DONTWAIT, 0, 0)
	return received(int(n), errno)
}

// receiveOne is receive for a single packet, with less work for the kernel.
func (r *receiver) receiveOne(fd int) (int, error) {
	size := uint32(unix.SizeofSockaddrInet4)
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(r.vectors[0].Base)), uintptr(r.vectors[0].Len), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&r.from[0])), uintptr(unsafe.Pointer(&size)))
	r.messages[0].length = uint32(n)
	return received(1, errno)
}

func received(n int, errno unix.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

func (r *receiver) packet(i int) ([]byte, *endpoint) {
	return r.buffers[i][:r.messages[i].length], &r.from[i]
}

// A poller is an epoll instance. Its events carry the number of a client.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

func (p *poller) add(fd, client int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(client)})
}

// wait blocks until a socket is readable or the time is over. precise costs one
// more system call and heeds fractions of a millisecond.
func (p *poller) wait(d time.Duration, precise bool) ([]unix.EpollEvent, error) {
	ms := int((max(d, 0) + time.Millisecond - 1) / time.Millisecond)
	if precise && ms > 0 {
		ts := unix.NsecToTimespec(d.Nanoseconds())
		if _, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &ts, nil); err != nil && err != unix.EINTR {
			return nil, err
		}
		ms = 0
	}
	n, err := unix.EpollWait(p.fd, p.events, ms)
	if err == unix.EINTR {
		return nil, nil
	}
	return p.events[:max(n, 0)], err
}

func (p *poller) close() error { return unix.Close(p.fd) }

// threadCPU is the processor time of the calling thread.
func threadCPU() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
