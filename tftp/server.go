package tftp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Defaults of [Options].
const (
	DefaultMaxTransfers = 1000
	DefaultMaxPerClient = 64 // whole racks sit behind one address (NAT)
	DefaultCacheBytes   = 64 << 20

	// DefaultMaxIdle gives U-Boot, whose own timer is 5 s, several chances.
	DefaultMaxIdle = 20 * time.Second
	// DefaultMaxDuration is enough for 10 GB in blocks of 512 bytes, one at a time,
	// with a round trip of a millisecond. It is there to take places back from
	// clients that acknowledge a block now and then for ever.
	DefaultMaxDuration = 6 * time.Hour
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
	// must not block. It may ask the server for its Stats and Transfers, but must
	// not end it: StopListening and Shutdown wait for the goroutine it is called by.
	Report func(Transfer)

	// Allow are the networks whose clients are served; empty means all. Requests
	// from elsewhere are reported as Refused, and get no answer.
	Allow Networks

	// Limits bound what clients may negotiate. Zero fields leave the bounds of
	// the RFCs: 65464 and 65535. The block size never exceeds what fits the MTU of the
	// interface that the RRQ came in on: MTU - 32 for IPv4, - 52 for IPv6.
	Limits Limits

	// MaxTransfers is how many transfers may run at once, reads and writes together;
	// 0 means 1000.
	MaxTransfers int
	// MaxPerClient is how many transfers may run at once for one client
	// address; 0 means 64.
	MaxPerClient int

	// MaxIdle is how long a transfer lives without progress; 0 means 20 s. A client
	// that names a timeout gets five times that, if it is longer, once it has
	// answered: the address of its request may be forged.
	MaxIdle time.Duration
	// MaxDuration is how long a transfer lives in all; 0 means 6 hours.
	MaxDuration time.Duration

	// CacheBytes bounds the memory that keeps bytes of files between transfers,
	// in bytes; 0 means 64 MiB. Only files with a [File.Version] stay in it.
	CacheBytes int64

	// SinglePort answers transfers from the port that requests come in on, for
	// firewalls and address translation that let nothing else through. Clients
	// that reuse their port at once are not protected from their own late packets
	// then, and the port is free only when the last transfer has ended.
	SinglePort bool
	// Ports are those that transfers are answered from, unless SinglePort is set.
	Ports PortRange

	// Depot takes the files that clients write. Without one every WRQ is refused
	// with ERROR 2, "read-only".
	Depot Depot

	// Node is copied into each Transfer.
	Node string

	// These are never nil once the server listens.
	writes    *writes
	ports     *ports
	gate      *gate
	lifetimes *lifetimes
}

func (o *Options) validate() error {
	switch {
	case o.Opener == nil:
		return errors.New("tftp: no opener given")
	case o.CacheBytes < 0:
		return fmt.Errorf("tftp: a cache of %d bytes makes no sense, want 0 or more", o.CacheBytes)
	case o.MaxTransfers < 0 || o.MaxPerClient < 0:
		return fmt.Errorf("tftp: at most %d transfers and %d for a client make no sense, want 0 or more", o.MaxTransfers, o.MaxPerClient)
	case o.MaxIdle < 0 || o.MaxDuration < 0:
		return fmt.Errorf("tftp: transfers of at most %v, and %v without progress, make no sense, want 0 or more", o.MaxDuration, o.MaxIdle)
	}
	if err := errors.Join(o.Limits.validate(), o.Ports.validate()); err != nil {
		return fmt.Errorf("tftp: %w", err)
	}
	return nil
}

// setDefaults puts the defaults in the place of zeros.
func (o *Options) setDefaults() {
	o.MaxTransfers = cmp.Or(o.MaxTransfers, DefaultMaxTransfers)
	o.MaxPerClient = cmp.Or(o.MaxPerClient, DefaultMaxPerClient)
	o.MaxIdle = cmp.Or(o.MaxIdle, DefaultMaxIdle)
	o.MaxDuration = cmp.Or(o.MaxDuration, DefaultMaxDuration)
	o.CacheBytes = cmp.Or(o.CacheBytes, DefaultCacheBytes)
}

// A Server serves files over TFTP. [Listen] makes one; it can be served and shut
// down once.
type Server struct {
	loop    loop
	writes  *writes
	gate    *gate
	drained func() <-chan struct{}
}

// A loop moves packets between sockets and state machines. There are two: one
// for Linux that works in batches, and a plain one for all systems. Its methods
// may be called by many goroutines at once.
type loop interface {
	// addrs are the addresses bound for requests, IPv4 first.
	addrs() []netip.AddrPort
	// start begins to answer. What comes out of the channel is why requests are
	// no longer read: nil after stopListening. It is called at most once.
	start(ctx context.Context) <-chan error
	// stopListening takes no more requests. Transfers that run go on, and it frees
	// the port unless they need it.
	stopListening()
	// transfersEnded returns when requests are no longer taken and no transfer
	// runs.
	transfersEnded()
	// closeRequests frees the port in any case.
	closeRequests()
	// cut ends all transfers and tells how many there were.
	cut() int
	// wait returns when requests are no longer read, all transfers have ended
	// and all goroutines are gone.
	wait()
	// resent counts the DATA packets sent again.
	resent() int64
	// transfers are those that run, in any order.
	transfers() []Progress
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
	Bytes  int64          // payload acknowledged by the client, or written by it
	Since  time.Time      // when the request came
}

// Listen binds the sockets for requests. They are bound when it returns. If that
// fails the error holds a *[ListenError].
func Listen(o Options) (*Server, error) { return listenWith(o, listenLoop) }

func listenWith(o Options, listen func(Options) (loop, error)) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	o.lifetimes = &lifetimes{maxIdle: o.MaxIdle, maxDuration: o.MaxDuration}
	o.ports = newPorts(&o)
	o.gate = newGate(&o)
	o.writes = newWrites(&o)
	l, err := listen(o)
	if err != nil {
		return nil, err
	}
	return &Server{loop: l, writes: o.writes, gate: o.gate, drained: sync.OnceValue(func() <-chan struct{} {
		done := make(chan struct{})
		go func() {
			l.transfersEnded()
			o.writes.running.Wait()
			l.closeRequests()
			l.wait()
			close(done)
		}()
		return done
	})}, nil
}

// Addrs are the addresses that are really bound, IPv4 first.
func (s *Server) Addrs() []netip.AddrPort { return s.loop.addrs() }

// Serve answers requests. It blocks until Shutdown has finished, and then
// returns nil. If ctx ends or a socket fails it cuts all transfers itself, and
// returns why when they are gone. The context passed to [Opener.Open] is made
// from ctx. Call it at most once.
func (s *Server) Serve(ctx context.Context) error {
	stopped := s.loop.start(ctx)
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-stopped:
	}
	if err != nil {
		s.StopListening()
		s.cut()
	}
	<-s.drained()
	return err
}

// Shutdown ends the server. No request is taken from now on, and the port is free
// at once, or with the last transfer if it has a [Options.SinglePort]. Transfers
// that run go on; when ctx ends, the rest is cut, and each client is sent an ERROR.
// Shutdown returns when all goroutines are gone, and an error that wraps ctx's if
// transfers had to be cut. It may be called often, at once and before Serve.
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

// StopListening takes no more requests; the port is free when it returns, unless
// transfers are answered from it ([Options.SinglePort]).
// Transfers that run go on until [Server.Shutdown] ends them.
func (s *Server) StopListening() {
	s.writes.stopListening()
	s.loop.stopListening()
}

// cut ends all transfers and tells how many there were.
func (s *Server) cut() int { return s.loop.cut() + s.writes.cut() }

// Stats tells how busy the server is.
func (s *Server) Stats() Stats {
	return Stats{Active: s.gate.count(), Retransmissions: s.loop.resent()}
}

// Transfers describes all running transfers, the oldest first.
func (s *Server) Transfers() []Progress {
	list := append(s.loop.transfers(), s.writes.transfers()...)
	for i := range list {
		list[i].Client = named(list[i].Client)
	}
	slices.SortFunc(list, func(a, b Progress) int { return a.Since.Compare(b.Since) })
	return list
}

// report tells of a transfer that has ended.
func (o *Options) report(t Transfer) {
	if o.Report != nil {
		t.Node = o.Node
		t.Client, t.Local = named(t.Client), named(t.Local)
		t.Time = time.Now()
		o.Report(t)
	}
}
