package tftp

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A plainLoop has a goroutine and a socket for each transfer, and reads files
// when it needs them. It asks nothing special of the system.
type plainLoop struct {
	options Options
	conns   []*requestConn
	epoch   time.Time    // zero of the state machines' time
	seed    maphash.Seed // for telling requests apart

	retransmissions atomic.Int64
	reading         sync.WaitGroup // request loops
	running         sync.WaitGroup // sessions

	mu       sync.Mutex // guards what follows
	closing  bool
	sessions map[*session]struct{}       // all, replaced ones included
	current  map[netip.AddrPort]*session // by the client's end
}

// listenPlain binds the sockets of a plainLoop.
func listenPlain(o Options) (loop, error) {
	conns, err := listenAll(o.Listen)
	if err != nil {
		return nil, err
	}
	return &plainLoop{
		options:  o,
		conns:    conns,
		epoch:    time.Now(),
		seed:     maphash.MakeSeed(),
		sessions: make(map[*session]struct{}),
		current:  make(map[netip.AddrPort]*session),
	}, nil
}

func (s *plainLoop) addrs() []netip.AddrPort { return boundAddrs(s.conns) }

func (s *plainLoop) start(ctx context.Context) <-chan error {
	stopped := make(chan error, len(s.conns))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		stopped <- nil
		return stopped
	}
	for _, c := range s.conns {
		s.reading.Go(func() { stopped <- s.readRequests(ctx, c) })
	}
	return stopped
}

func (s *plainLoop) stopListening() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	if !s.options.SinglePort {
		s.closeRequests()
	}
}

func (s *plainLoop) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *plainLoop) closeRequests() {
	for _, c := range s.conns {
		// Closing a socket does not fail in a way that anyone could act upon.
		_ = c.close()
	}
}

func (s *plainLoop) cut() int {
	all := s.snapshot()
	for _, one := range all {
		one.post(func(m *mail) { m.cut = true })
	}
	return len(all)
}

func (s *plainLoop) transfersEnded() { s.running.Wait() }

func (s *plainLoop) wait() { s.reading.Wait() }

func (s *plainLoop) resent() int64 { return s.retransmissions.Load() }

func (s *plainLoop) transfers() []Progress {
	all := s.snapshot()
	list := make([]Progress, 0, len(all))
	for _, one := range all {
		list = append(list, one.progress())
	}
	return list
}

func (s *plainLoop) snapshot() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.sessions))
	for one := range s.sessions {
		all = append(all, one)
	}
	return all
}

// now is the time as the state machines have it.
func (s *plainLoop) now() time.Duration { return time.Since(s.epoch) }
