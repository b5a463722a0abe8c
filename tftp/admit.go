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
		case !isRequest(buf[:n]):
			s.options.ports.deliver(d.from, buf[:n])
		case !s.isClosing(): // with a single port the socket outlives stopListening
			s.request(ctx, c, d, buf[:n])
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
	one := newSession(s, r, t, d.arrival(c), maphash.Bytes(s.seed, b))
	entered, err := s.admit(one)
	switch {
	case entered:
		go func() {
			defer s.running.Done()
			one.run(ctx, c, d)
		}()
	case err != nil:
		s.options.refuse(c, d, t, wireBusy, err)
	}
}

// admit enters a session if the limits allow it and no transfer that is running
// for the same port of the client has a better claim. The error is that of a limit
// that is reached; without one the transfer that runs sees to the request.
func (s *plainLoop) admit(one *session) (entered bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false, nil
	}
	old := s.current[one.client]
	if old != nil && !old.yieldsTo(one, s.now()) {
		return false, nil
	}
	switch err := s.enter(one); {
	case err != nil && old != nil:
		// The place of the old transfer is about to be free: the client's next try
		// finds it.
		return false, nil
	case err != nil:
		return false, err
	}
	s.running.Add(1) // here, for nobody waits for it before closing is set
	s.sessions[one] = struct{}{}
	s.current[one.client] = one
	return true, nil
}

// enter takes a place, in the last resort that of a write that has all it wanted.
func (s *plainLoop) enter(one *session) error {
	client := one.client.Addr()
	err := s.options.gate.enter(client, one.by)
	if err != nil && s.options.writes.evict(whose(err, client)) {
		err = s.options.gate.enter(client, one.by)
	}
	return err
}

// leave takes back what admit did.
func (s *plainLoop) leave(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, one)
	if s.current[one.client] == one {
		delete(s.current, one.client)
	}
	s.options.gate.leave(one.client.Addr())
}
