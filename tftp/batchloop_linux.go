package tftp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// maxWorkers bounds the number of workers: one core serves some gigabits.
const maxWorkers = 4

// A batchLoop serves all transfers from a few sockets. Packets are received and
// sent in batches, a window is one message that the kernel cuts into packets,
// and what is read of a file is kept for the next one who asks.
//
// Requests come in on one socket for each IP version, and go from there to the
// worker that the client's end is hashed to. Workers with a request socket each
// would need SO_REUSEPORT, and with it any other process of the same user could
// quietly take a share of the requests, a second netbootd among them; a request
// is small work compared with its transfer.
type batchLoop struct {
	options    Options
	requests   []*requestConn
	workers    []*worker
	files      pool
	cache      *cache
	interfaces *interfaces
	segments   bool         // the kernel can cut messages into segments
	epoch      time.Time    // zero of the state machines' time
	seed       maphash.Seed // for telling requests apart, and for the choice of a worker
	running    sync.WaitGroup
	turns      sync.Pool // of *turn, for goroutines that do file work

	done         chan struct{} // closed with the transfer sockets
	closeSockets func()        // once

	mu       sync.Mutex // guards what follows
	closing  bool
	alive    int                // flows that run, or whose last packets and reports are still to go out
	cutOpens context.CancelFunc // ends the contexts of Opener.Open
}

// listenBatch binds the sockets of a batchLoop.
func listenBatch(o Options) (loop, error) {
	requests, err := listenAll(o.Listen)
	if err != nil {
		return nil, err
	}
	l := &batchLoop{
		options:    o,
		requests:   requests,
		cache:      newCache(o.CacheBytes),
		interfaces: newInterfaces(),
		epoch:      time.Now(),
		seed:       maphash.MakeSeed(),
		done:       make(chan struct{}),
		cutOpens:   func() {},
	}
	l.files.running = &l.running
	l.turns.New = func() any { return newTurn(l) }
	l.closeSockets = sync.OnceFunc(func() {
		close(l.done)
		l.cancelOpens()
		for s := range l.sockets {
			s.close()
		}
	})
	if err := l.openWorkers(); err != nil {
		l.closeRequests()
		l.closeSockets()
		return nil, fmt.Errorf("cannot open a socket for transfers: %w", err)
	}
	return l, nil
}

func (l *batchLoop) openWorkers() error {
	for range min(runtime.GOMAXPROCS(0), maxWorkers) {
		w := &worker{
			loop: l, sockets: make(map[bool][]*socket),
			timer: time.NewTimer(time.Hour), flows: make(map[endpoint]*flow), tags: make(map[*flow]any),
		}
		w.timer.Stop()
		l.workers = append(l.workers, w)
	}
	for _, c := range l.requests {
		if l.options.SinglePort {
			s, err := newSocket(c.udp, c.addr.Addr())
			if err != nil {
				return err
			}
			l.share(s)
			continue
		}
		for _, w := range l.workers {
			for range socketsPerWorker {
				s, err := openSocket(c.addr.Addr(), l.options.ports)
				if err != nil {
					return err
				}
				w.sockets[s.v6] = append(w.sockets[s.v6], s)
				l.segments = s.canSegment()
			}
		}
	}
	return nil
}

// share gives all workers the same socket.
func (l *batchLoop) share(s *socket) {
	for _, w := range l.workers {
		w.sockets[s.v6] = append(w.sockets[s.v6], s)
	}
	l.segments = s.canSegment()
}

// shared is the socket that is also the one for requests, or nil.
func (l *batchLoop) shared(c *requestConn) *socket {
	if !l.options.SinglePort {
		return nil
	}
	return l.workers[0].sockets[c.addr.Addr().Is6()][0]
}

// sockets yields all transfer sockets.
func (l *batchLoop) sockets(yield func(*socket) bool) {
	for _, w := range l.workers {
		for _, sockets := range w.sockets {
			for _, s := range sockets {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func (l *batchLoop) addrs() []netip.AddrPort { return boundAddrs(l.requests) }

// start begins with the transfer sockets, so that the first request finds them
// being read.
func (l *batchLoop) start(ctx context.Context) <-chan error {
	stopped := make(chan error, len(l.requests)+len(l.workers)*2*socketsPerWorker)
	opens, cancel := context.WithCancel(ctx)
	l.mu.Lock() // until all goroutines are counted: wait comes after stopListening
	defer l.mu.Unlock()
	l.cutOpens = cancel
	if l.closing {
		cancel()
		stopped <- nil
		return stopped
	}
	for _, w := range l.workers {
		l.running.Go(w.keepTime)
		if l.options.SinglePort {
			continue // readRequests takes all
		}
		for _, sockets := range w.sockets {
			for _, s := range sockets {
				l.running.Go(func() {
					if err := w.read(s); !errors.Is(err, net.ErrClosed) {
						stopped <- fmt.Errorf("read from a socket for transfers: %w", err)
					}
				})
			}
		}
	}
	for _, c := range l.requests {
		l.running.Go(func() { stopped <- l.readRequests(ctx, opens, c, l.shared(c)) })
	}
	return stopped
}

func (l *batchLoop) stopListening() {
	l.mu.Lock()
	closing, empty := l.closing, l.alive == 0
	l.closing = true
	l.mu.Unlock()
	if closing {
		return
	}
	if !l.options.SinglePort {
		l.closeRequests()
	}
	if empty {
		l.closeSockets()
	}
}

func (l *batchLoop) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// begin counts a flow, unless the server takes no more.
func (l *batchLoop) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.alive++
	return true
}

// gone tells that n flows have done all they had to, and whether that was the
// last of a server that is closing.
func (l *batchLoop) gone(n int) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive -= n
	return l.closing && l.alive == 0
}

func (l *batchLoop) transfersEnded() { <-l.done }

func (l *batchLoop) closeRequests() {
	for _, c := range l.requests {
		// Closing a socket does not fail in a way that anyone could act upon.
		_ = c.close()
	}
}

func (l *batchLoop) cut() int {
	l.cancelOpens()
	n := 0
	t := newTurn(l)
	for _, w := range l.workers {
		w.mu.Lock()
		t.now = l.now()
		for _, f := range w.flows {
			o := output{fault: wireShutdown, ended: true, result: Failed, err: errShutdown}
			if f.file != nil {
				o = f.x.shutDown()
			}
			w.end(t, f, o)
			n++
		}
		w.mu.Unlock()
		t.finish(w)
	}
	return n
}

func (l *batchLoop) cancelOpens() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutOpens()
}

func (l *batchLoop) wait() { l.running.Wait() }

func (l *batchLoop) resent() (n int64) {
	for _, w := range l.workers {
		n += w.resent.Load()
	}
	return n
}

func (l *batchLoop) transfers() []Progress {
	var list []Progress
	for _, w := range l.workers {
		w.mu.Lock()
		for _, f := range w.flows {
			list = append(list, f.progress(l.epoch))
		}
		w.mu.Unlock()
	}
	return list
}

// now is the time as the state machines have it.
func (l *batchLoop) now() time.Duration { return time.Since(l.epoch) }
