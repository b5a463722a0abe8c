package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// discoverBatch is how many frames one system call sends or receives at most.
const discoverBatch = 64

// RunDiscover does a job and returns when every client has ended. In the result
// Times are those from a DISCOVER to its OFFER, and clients that got none have
// failed; no bytes are counted. It needs CAP_NET_RAW, and uses the network
// namespace of the calling thread.
func RunDiscover(ctx context.Context, job DiscoverJob) (_ *Result, err error) {
	if job.Clients < 1 || job.Clients > 1<<24 || job.InFlight < 1 {
		return nil, fmt.Errorf("%d clients, %d in flight: want at least 1, and at most 1<<24 clients", job.Clients, job.InFlight)
	}
	ifi, err := net.InterfaceByName(job.Device)
	if err != nil {
		return nil, err
	}
	w, err := openWire(ifi)
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s: %w", job.Device, err)
	}
	defer func() { err = errors.Join(err, unix.Close(w.fd)) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newCrowd(job)
	before, err := threadCPU()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := w.serve(ctx, c, start); err != nil {
		return nil, err
	}
	c.result.Elapsed = time.Since(start)
	after, err := threadCPU()
	c.result.CPU = after - before
	c.result.finish()
	return c.result, err
}

// A wire sends and receives Ethernet frames in batches.
type wire struct {
	fd      int
	frames  [discoverBatch][]byte // to send
	out, in [discoverBatch]unix.Mmsghdr
	vectors [2 * discoverBatch]unix.Iovec
	buffers [discoverBatch][2048]byte
}

func openWire(ifi *net.Interface) (*wire, error) {
	const ethIPv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8 // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, ethIPv4)
	if err != nil {
		return nil, err
	}
	w := &wire{fd: fd}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ethIPv4, Ifindex: ifi.Index}),
		// An OFFER that this side loses would be counted as the server's loss.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	for i := range discoverBatch {
		w.frames[i] = discoverFrame(ifi.HardwareAddr)
		setVector(&w.out[i], &w.vectors[i], w.frames[i])
		setVector(&w.in[i], &w.vectors[discoverBatch+i], w.buffers[i][:])
	}
	return w, nil
}

func setVector(m *unix.Mmsghdr, v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
	m.Hdr.Iov = v
	m.Hdr.SetIovlen(1)
}

// serve lets the clients begin as others end.
func (w *wire) serve(ctx context.Context, c *crowd, start time.Time) error {
	for {
		now := time.Since(start)
		if c.giveUp(now); c.isDone(now) || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := w.send(c, now); err != nil {
			return fmt.Errorf("send DISCOVERs: %w", err)
		}
		poll := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, 50); err != nil && err != unix.EINTR {
			return fmt.Errorf("poll: %w", err)
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.in[0])), discoverBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			return fmt.Errorf("receive OFFERs: %w", errno)
		}
		if errno != 0 {
			continue
		}
		now = time.Since(start)
		for i := range int(n) {
			if client, ok := offered(w.buffers[i][:w.in[i].Len]); ok {
				c.answered(client, now)
			}
		}
	}
}

// send sends the DISCOVERs of all that may begin.
func (w *wire) send(c *crowd, now time.Duration) error {
	for {
		n := 0
		for n < discoverBatch {
			client, ok := c.begin(now)
			if !ok {
				break
			}
			setClient(w.frames[n], client)
			n++
		}
		if n == 0 {
			return nil
		}
		for sent := 0; sent < n; {
			k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.out[sent])), uintptr(n-sent), 0, 0, 0)
			switch errno {
			case 0:
				sent += int(k)
			case unix.EINTR, unix.EAGAIN, unix.ENOBUFS:
			default:
				return errno
			}
		}
	}
}
