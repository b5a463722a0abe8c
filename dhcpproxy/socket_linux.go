package dhcpproxy

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A socket is one that blocks, and that the runtime's poller does not know. That
// one asks to be told when a socket can be written to, and the kernel does tell,
// after every packet that has left: each reply would wake a thread for nothing.
// So a thread of its own waits here, for packets alone.
type socket struct {
	file, closing *os.File // closing is an event that Close makes happen
	raw, event    syscall.RawConn
}

// newSocket takes over fd, whatever it returns.
func newSocket(fd int, name string) (*socket, error) {
	s := &socket{file: os.NewFile(uintptr(fd), name)}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	s.closing = os.NewFile(uintptr(event), "event")
	s.raw, err = s.file.SyscallConn()
	if err == nil {
		s.event, err = s.closing.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends a wait.
func (s *socket) Close() error {
	_, err := s.closing.Write([]byte{1, 0, 0, 0, 0, 0, 0, 1})
	return errors.Join(err, s.closing.Close(), s.file.Close())
}

// control runs f on the descriptor, which stays open meanwhile.
func (s *socket) control(f func(fd int) error) error {
	var err error
	if outer := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); outer != nil {
		return outer
	}
	return err
}

// receive waits for packets and takes those that are there, as many as in has
// room for. The error is net.ErrClosed after Close.
func (s *socket) receive(in *inbox) error {
	err := net.ErrClosed
	_ = s.event.Control(func(event uintptr) { // an error says that it is closed
		_ = s.raw.Control(func(fd uintptr) { // likewise
			err = in.receive(fd)
			for err == unix.EAGAIN {
				if err = await(fd, event); err == nil {
					err = in.receive(fd)
				}
			}
		})
	})
	return err
}

// await waits until fd has something to read, or a failure to tell. The error is
// net.ErrClosed once the event has happened.
func await(fd, event uintptr) error {
	both := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(event), Events: unix.POLLIN}}
	switch _, err := unix.Poll(both, -1); {
	case both[1].Revents != 0:
		return net.ErrClosed
	case err != nil && err != unix.EINTR:
		return err
	}
	return nil
}

// send sends what out holds. It waits for room.
func (s *socket) send(out *outbox, replies []outgoing) {
	if err := s.raw.Control(func(fd uintptr) { out.send(fd, replies) }); err != nil {
		for i := range replies {
			replies[i].err = err
		}
	}
}

// growReceiveBuffer makes the receive buffer as large as the system lets us:
// beyond net.core.rmem_max it does with CAP_NET_ADMIN only. Less than was asked
// for is no reason to refuse.
func growReceiveBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}
