package tftp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
)

// readRequests takes requests from one socket until it is closed. It never
// waits for anything but the next packet.
func (s *plainLoop) readRequests(ctx context.Context, c *requestConn) error {
	buf := make([]byte, maxRequest)
	for {
		n, d, err := c.read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil && isPassing(err):
		case err != nil:
			return fmt.Errorf("read from %s/udp: %w", c.addr, err)
		case !d.isAcceptable():
		case isRequest(buf[:n]):
			s.request(ctx, c, d, buf[:n])
		default:
			s.options.ports.deliver(d.from, buf[:n])
		}
	}
}

// request starts a transfer for a RRQ or WRQ, or refuses it.
func (s *plainLoop) request(ctx context.Context, c *requestConn, d datagram, b []byte) {
	t, r, refused, err := s.options.judge(b, d)
	if err == nil && r.Op == OpWRQ {
		if refused, err = s.options.writes.request(ctx, r, t, c, d, b); err == nil {
			return
		}
	}
	if err != nil {
		s.options.refuse(c, d, t, refused, err)
		return
	}
	one := newSession(s, r, t, maphash.Bytes(s.seed, b))
	switch s.admit(one) {
	case admitted:
		go func() {
			defer s.running.Done()
			one.run(ctx, c, d)
		}()
	case busy:
		s.options.refuse(c, d, t, wireBusy, errBusy)
	case settled:
	}
}

// An admission is what becomes of a RRQ.
type admission int

const (
	admitted admission = iota // run it
	busy                      // refuse it: a limit is reached
	settled                   // nothing to do: the transfer that runs sees to it
)

// admit enters a session if the limits allow it and no transfer that is running
// for the same port of the client has a better claim.
func (s *plainLoop) admit(one *session) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return settled
	}
	old := s.current[one.client]
	if old != nil && !old.yieldsTo(one, s.now()) {
		return settled
	}
	address := one.client.Addr()
	if len(s.sessions) >= s.options.MaxTransfers || s.perClient[address] >= s.options.MaxPerClient {
		if old != nil {
			// The place of the old transfer is about to be free: the client's
			// next try finds it.
			return settled
		}
		return busy
	}
	s.running.Add(1) // here, for nobody waits for it before closing is set
	s.sessions[one] = struct{}{}
	s.current[one.client] = one
	s.perClient[address]++
	return admitted
}

// leave takes back what admit did.
func (s *plainLoop) leave(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one)
	if s.current[one.client] == one {
		delete(s.current, one.client)
	}
	address := one.client.Addr()
	if s.perClient[address]--; s.perClient[address] == 0 {
		delete(s.perClient, address)
	}
}
