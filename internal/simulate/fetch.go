package simulate

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"netbootd/tftp"
)

// portTFTP is where RRQs go (RFC 1350).
const portTFTP = 69

// fetch gets the boot file.
func (s *simulation) fetch(ctx context.Context) (*Finding, error) {
	if err := s.introduce(ctx, s.target.host()); err != nil {
		return nil, err
	}
	if s.target.URL != "" {
		return s.fetchHTTP(ctx)
	}
	var gone *tftp.RemoteError
	for _, name := range s.target.Names {
		fault, err := s.fetchTFTP(ctx, name)
		if !errors.As(err, &gone) {
			return fault, err
		}
	}
	return s.missing(gone), nil
}

// missing is the fault of a server that has none of the names.
func (s *simulation) missing(e *tftp.RemoteError) *Finding {
	const advice = "is the name spelt as on the server, and is it below the directory that it serves?"
	if len(s.target.Names) > 1 {
		return finding(StepFetch, "%s has none of the files that %s asks for, %q (ERROR 1 %q)", s.target.Server, s.Name, s.target.Names, e.Text).hint(advice)
	}
	return finding(StepFetch, "%s has no file %q, which %s names (ERROR 1 %q)", s.target.Server, s.target.Names[0], s.target.named, e.Text).hint(advice)
}

// fetchTFTP reads one name, in as many RRQs as the client needs. The error is a
// *tftp.RemoteError if the file is not there, and never another one of these.
func (s *simulation) fetchTFTP(ctx context.Context, name string) (*Finding, error) {
	start := time.Now()
	at := netip.AddrPortFrom(s.target.Server, portTFTP)
	var sink *sink
	for i, options := range s.family.tftp {
		sink = newSink()
		r := newReading(options, i < len(s.family.tftp)-1, sink)
		err := s.read(ctx, at, name, r)
		if fault := s.explain(err, at, name, r, sink.size); fault != nil {
			return fault, nil
		}
		if err != nil {
			return nil, err
		}
	}
	s.result.File = sink.file(name)
	s.result.File.Server, s.result.File.Took = s.target.Server.String(), time.Since(start)
	return nil, nil
}

// explain makes a finding of what ended a transfer, if that is not for others to
// judge.
func (s *simulation) explain(err error, at netip.AddrPort, name string, r *reading, received int64) *Finding {
	var remote *tftp.RemoteError
	var broken *ending
	text, silent := silence(err, at.String())
	switch {
	case err == nil:
		return nil
	case silent && r.started:
		return finding(StepFetch, "%s stops sending %q after %d bytes", at.Addr(), name, received).
			hint("look for packets lost on the way: a firewall, or packets too large for it")
	case silent:
		return finding(StepFetch, "%s, where %s sends %s for %q", text, s.target.named, s.Name, name).
			hint("TFTP answers from a port above 1024: a firewall must let these through too")
	case errors.As(err, &broken):
		return finding(StepFetch, "%s ends the transfer of %q from %s: %s", s.Name, name, at.Addr(), broken.text)
	case errors.As(err, &remote) && remote.Code != tftp.ErrFileNotFound:
		return finding(StepFetch, "%s refuses to send %q: ERROR %d %q", at.Addr(), name, uint16(remote.Code), remote.Text)
	}
	return nil
}

// rto is after how long of silence the last packet is sent again. Clients take
// from a quarter of a second to five seconds.
const rto = time.Second

// read carries out one RRQ.
func (s *simulation) read(ctx context.Context, at netip.AddrPort, name string, r *reading) error {
	conn, err := listenUDP(ctx, netip.AddrPortFrom(s.own, 0), "")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer closeWith(ctx, conn)()

	x := exchange{conn: conn, to: at, end: time.Now().Add(s.opts.Timeout)}
	x.last = tftp.Request{Op: tftp.OpRRQ, Name: name, Mode: tftp.Octet, Options: r.asked}.Append(nil)
	if err := x.resend(); err != nil {
		return err
	}
	for {
		p, err := x.next()
		if err != nil {
			return err
		}
		before := *r
		send, done, err := r.packet(p)
		if r.next > before.next || r.started != before.started {
			x.end = time.Now().Add(s.opts.Timeout)
		}
		if send != nil {
			x.last = send
			if errSend := x.resend(); err == nil && !done {
				err = errSend
			}
		}
		if done || err != nil {
			return err
		}
	}
}

// An exchange is the socket of one RRQ.
type exchange struct {
	conn  *net.UDPConn
	to    netip.AddrPort // the server's request port, then its TID
	known bool           // its TID is
	last  []byte         // packet sent last
	end   time.Time      // until then the transfer must get on
	buf   [1 << 16]byte
}

func (x *exchange) resend() error {
	_, err := x.conn.WriteToUDPAddrPort(x.last, x.to)
	return err
}

// next is the next packet of the server. What was sent last is sent again while
// it is silent.
func (x *exchange) next() (tftp.Packet, error) {
	for time.Now().Before(x.end) {
		if err := x.conn.SetReadDeadline(earlier(time.Now().Add(rto), x.end)); err != nil {
			return tftp.Packet{}, err
		}
		n, from, err := x.conn.ReadFromUDPAddrPort(x.buf[:])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := x.resend(); err != nil {
				return tftp.Packet{}, err
			}
			continue
		case err != nil:
			return tftp.Packet{}, err
		}
		if p, ok := x.accept(unmapped(from), x.buf[:n]); ok {
			return p, nil
		}
	}
	return tftp.Packet{}, os.ErrDeadlineExceeded
}

// accept takes packets of the server alone. Its first one tells its TID (RFC 1350
// section 4).
func (x *exchange) accept(from netip.AddrPort, b []byte) (tftp.Packet, bool) {
	if from.Addr() != x.to.Addr() || x.known && from != x.to {
		return tftp.Packet{}, false
	}
	p, err := tftp.ParsePacket(b)
	if err != nil {
		return tftp.Packet{}, false
	}
	x.to, x.known = from, true
	return p, true
}
