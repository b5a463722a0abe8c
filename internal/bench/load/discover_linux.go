package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// discoverBatch is how many packets one system call sends or receives at most.
const discoverBatch = 64

// lookEvery is how long the generator sleeps when there is no OFFER. If it waited
// for one the kernel would have to wake it for each, on the server's account: the
// other end of a network card costs a server nothing.
const lookEvery = 50 * time.Microsecond

// relayBuffer is for OFFERs that arrive meanwhile, in bytes: what this side loses
// would be counted as the server's loss.
const relayBuffer = 16 << 20

// RunDiscover does a job and returns when every client has ended. In the result
// Times are those from a DISCOVER to its OFFER, and clients that got none have
// failed; no bytes are counted. It binds port 67, and uses the network namespace
// of the calling thread.
func RunDiscover(ctx context.Context, job DiscoverJob) (_ *Result, err error) {
	if job.Clients < 1 || job.Clients > 1<<24 || job.InFlight < 1 || !job.Server.Is4() || !job.Relay.Is4() {
		return nil, fmt.Errorf("job %+v: want 1 to 1<<24 clients, at least 1 in flight, and IPv4 addresses", job)
	}
	r, err := openRelay(job)
	if err != nil {
		return nil, fmt.Errorf("relay at %s: %w", job.Relay, err)
	}
	defer func() { err = errors.Join(err, unix.Close(r.fd)) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newCrowd(job)
	before, err := threadCPU()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := r.serve(ctx, c, start); err != nil {
		return nil, err
	}
	c.result.Elapsed = time.Since(start)
	after, err := threadCPU()
	c.result.CPU = after - before
	c.result.finish()
	return c.result, err
}

// A relay sends and receives DHCP packets in batches.
type relay struct {
	fd        int
	discovers [discoverBatch][]byte // to send
	out, in   [discoverBatch]unix.Mmsghdr
	vectors   [2 * discoverBatch]unix.Iovec
	buffers   [discoverBatch][2048]byte
}

func openRelay(job DiscoverJob) (*relay, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	r := &relay{fd: fd}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, relayBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, relayBuffer),
		unix.Bind(fd, &unix.SockaddrInet4{Port: dhcpServerPort, Addr: job.Relay.As4()}),
		unix.Connect(fd, &unix.SockaddrInet4{Port: dhcpServerPort, Addr: job.Server.As4()}))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	for i := range discoverBatch {
		r.discovers[i] = discoverOf(job.Relay)
		setVector(&r.out[i], &r.vectors[i], r.discovers[i])
		setVector(&r.in[i], &r.vectors[discoverBatch+i], r.buffers[i][:])
	}
	return r, nil
}

func setVector(m *unix.Mmsghdr, v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
	m.Hdr.Iov = v
	m.Hdr.SetIovlen(1)
}

// serve lets the clients begin as others end.
func (r *relay) serve(ctx context.Context, c *crowd, start time.Time) error {
	pause := unix.NsecToTimespec(lookEvery.Nanoseconds())
	for {
		now := time.Since(start)
		if c.giveUp(now); c.isDone(now) || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.send(c, now); err != nil {
			return fmt.Errorf("send DISCOVERs: %w", err)
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.in[0])), discoverBatch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR:
			_ = unix.Nanosleep(&pause, nil) // to be cut short does no harm
			continue
		default:
			return fmt.Errorf("receive OFFERs: %w", errno)
		}
		now = time.Since(start)
		for i := range int(n) {
			if client, ok := offered(r.buffers[i][:r.in[i].Len]); ok {
				c.answered(client, now)
			}
		}
	}
}

// send sends the DISCOVERs of all that may begin.
func (r *relay) send(c *crowd, now time.Duration) error {
	for {
		n := 0
		for n < discoverBatch {
			client, ok := c.begin(now)
			if !ok {
				break
			}
			setClient(r.discovers[n], client)
			n++
		}
		if n == 0 {
			return nil
		}
		if err := r.sendBatch(n); err != nil {
			return err
		}
	}
}

func (r *relay) sendBatch(n int) error {
	for sent := 0; sent < n; {
		k, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.out[sent])), uintptr(n-sent), 0, 0, 0)
		switch errno {
		case 0:
			sent += int(k)
		case unix.EINTR, unix.EAGAIN: // the buffer is large; there is room in a moment
		default:
			return errno
		}
	}
	return nil
}
