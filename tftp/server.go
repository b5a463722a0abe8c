package tftp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of [Options].
const (
	DefaultMaxTransfers = 1000
	DefaultMaxPerClient = 64 // whole racks sit behind one address (NAT)
)

// Options are what a [Server] is made from.
type Options struct {
	// Listen is the address and port for requests, as in "192.0.2.1:69". A port
	// alone, as in ":69", is one IPv4 socket and, where the host has IPv6, one
	// IPv6 socket (IPV6_V6ONLY) on the same port. Port 0 takes a free one.
	Listen string

	// Opener finds the files. It must be set.
	Opener Opener

	// Report, if set, is told of each transfer that ended, refused ones
	// included, exactly once. It may be called by many goroutines at once and
	// must not block.
	Report func(Transfer)

	// Limits bound what clients may negotiate. Zero fields leave the bounds of
	// the RFCs: 65464 and 65535. The block size never exceeds what fits the MTU of the
	// interface that the RRQ came in on: MTU - 32 for IPv4, - 52 for IPv6.
	Limits Limits

	// MaxTransfers is how many transfers may run at once; 0 means 1000.
	MaxTransfers int
	// MaxPerClient is how many transfers may run at once for one client
	// address; 0 means 64.
	MaxPerClient int

	// Node is copied into each Transfer.
	Node string
}

func (o *Options) validate() error {
	switch {
	case o.Opener == nil:
		return errors.New("tftp: no opener given")
	case o.MaxTransfers < 0 || o.MaxPerClient < 0:
		return fmt.Errorf("tftp: at most %d transfers and %d for a client make no sense, want 0 or more", o.MaxTransfers, o.MaxPerClient)
	case o.Limits.Blksize != 0 && (o.Limits.Blksize < MinBlksize || o.Limits.Blksize > MaxBlksize):
		return fmt.Errorf("tftp: blksize %d is out of range, want %d to %d", o.Limits.Blksize, MinBlksize, MaxBlksize)
	}
	return nil
}

// A Server serves files over TFTP. [Listen] makes one; it can be served and shut
// down once.
type Server struct {
	options Options
	conns   []*requestConn
	epoch   time.Time    // zero of the state machines' time
	seed    maphash.Seed // for telling requests apart

	retransmissions atomic.Int64
	running         sync.WaitGroup // request loops and sessions
	drained         func() <-chan struct{}

	mu        sync.Mutex // guards what follows
	closing   bool
	sessions  map[*session]struct{}       // all, replaced ones included
	current   map[netip.AddrPort]*session // by the client's end
	perClient map[netip.Addr]int          // sessions by client address
}

// Stats are numbers about a server at one moment.
type Stats struct {
	Active          int   // transfers now running
	Retransmissions int64 // DATA packets sent again since Listen
}

// Progress describes a transfer that is running.
type Progress struct {
	Client netip.AddrPort // the client's end
	File   string         // the name as requested
	Label  string         // File.Label; empty until the file is open
	Size   int64          // size of the file in bytes; -1 until the file is open
	Bytes  int64          // payload acknowledged by the client
	Since  time.Time      // when the RRQ came
}

// Listen binds the sockets for requests. They are bound when it returns. If that
// fails the error holds a *[ListenError].
func Listen(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.MaxTransfers == 0 {
		o.MaxTransfers = DefaultMaxTransfers
	}
	if o.MaxPerClient == 0 {
		o.MaxPerClient = DefaultMaxPerClient
	}
	conns, err := listenAll(o.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options:   o,
		conns:     conns,
		epoch:     time.Now(),
		seed:      maphash.MakeSeed(),
		sessions:  make(map[*session]struct{}),
		current:   make(map[netip.AddrPort]*session),
		perClient: make(map[netip.Addr]int),
	}
	s.drained = sync.OnceValue(func() <-chan struct{} {
		done := make(chan struct{})
		go func() {
			s.running.Wait()
			close(done)
		}()
		return done
	})
	return s, nil
}

// Addrs are the addresses that are really bound, IPv4 first.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, 0, len(s.conns))
	for _, c := range s.conns {
		addrs = append(addrs, c.addr)
	}
	return addrs
}

// Serve answers requests. It blocks until Shutdown has finished, and then
// returns nil. If ctx ends or a socket fails it cuts all transfers itself, and
// returns why when they are gone. The context passed to [Opener.Open] is made
// from ctx. Call it at most once.
func (s *Server) Serve(ctx context.Context) error {
	failures := make(chan error, len(s.conns))
	s.mu.Lock()
	if !s.closing {
		for _, c := range s.conns {
			s.running.Go(func() { failures <- s.readRequests(ctx, c) })
		}
	} else {
		failures <- nil
	}
	s.mu.Unlock()

	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-failures:
	}
	if err != nil {
		s.StopListening()
		s.cut()
	}
	<-s.drained()
	return err
}

// Shutdown ends the server. No request is taken from now on, and the port is
// free at once. Transfers that run go on; when ctx ends, the rest is cut, and
// each client is sent an ERROR. Shutdown returns when all goroutines are gone,
// and an error that wraps ctx's if transfers had to be cut. It may be called
// often, at once and before Serve.
func (s *Server) Shutdown(ctx context.Context) error {
	s.StopListening()
	select {
	case <-s.drained():
		return nil
	case <-ctx.Done():
	}
	cut := s.cut()
	<-s.drained()
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("%d transfers were cut: %w", cut, ctx.Err())
}

// StopListening takes no more requests; the port is free when it returns.
// Transfers that run go on until [Server.Shutdown] ends them.
func (s *Server) StopListening() {
	s.mu.Lock()
	closing := s.closing
	s.closing = true
	s.mu.Unlock()
	if closing {
		return
	}
	for _, c := range s.conns {
		// Closing a socket does not fail in a way that anyone could act upon.
		_ = c.close()
	}
}

// cut ends all sessions and tells how many there were.
func (s *Server) cut() int {
	all := s.snapshot()
	for _, one := range all {
		one.post(func(m *mail) { m.cut = true })
	}
	return len(all)
}

// Stats tells how busy the server is.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Active: len(s.sessions), Retransmissions: s.retransmissions.Load()}
}

// Transfers describes all running transfers, the oldest first.
func (s *Server) Transfers() []Progress {
	all := s.snapshot()
	list := make([]Progress, 0, len(all))
	for _, one := range all {
		list = append(list, one.progress())
	}
	slices.SortFunc(list, func(a, b Progress) int { return a.Since.Compare(b.Since) })
	return list
}

func (s *Server) snapshot() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.sessions))
	for one := range s.sessions {
		all = append(all, one)
	}
	return all
}

// now is the time as the state machines have it.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

func (s *Server) report(t Transfer) {
	if s.options.Report != nil {
		t.Node = s.options.Node
		t.Time = time.Now()
		s.options.Report(t)
	}
}
