package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
)

// Options say what to play and where.
type Options struct {
	Client    *Client
	Interface dhcpproxy.Interface // up, with an IPv4 address
	MAC       bootmenu.MAC        // of the machine; six bytes
	Lease     bool                // take an address, and give it back
	Relays    []netip.Addr        // DHCP servers to ask as a relay agent would; none: broadcast
	Timeout   time.Duration       // the longest that anything is waited for
}

// A SetupError is a simulation that this host does not allow.
type SetupError struct {
	What string // what cannot be done
	Hint string // what to do about it
	Err  error
}

func (e *SetupError) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Err) }

// Unwrap gives the system's error.
func (e *SetupError) Unwrap() error { return e.Err }

// Run plays one boot. A boot that fails is a Result with a Finding; the error is
// for a simulation that cannot be carried out. It blocks for several seconds,
// because firmware does.
func Run(ctx context.Context, o Options) (Result, error) {
	p, err := o.Client.play(o.MAC)
	if err != nil {
		return Result{}, err
	}
	s := &simulation{player: p, opts: o, own: o.Interface.Addrs[0].Addr()}
	s.result = Result{Client: o.Client.Name, Interface: o.Interface.Name, MAC: o.MAC, Relays: o.Relays, Offers: []*Offer{}}
	if s.wire, err = s.openWire(ctx); err != nil {
		return Result{}, err
	}
	defer func() { _ = s.wire.Close() }()
	defer closeWith(ctx, s.wire)()
	if err := s.boot(ctx); err != nil {
		return Result{}, err
	}
	return s.result, nil
}

// A simulation is one boot that is under way.
type simulation struct {
	player
	opts    Options
	wire    wire
	plan    plan
	own     netip.Addr // the client's address: leased, or this host's
	leasing bool       // a lease was asked for
	asked   bool       // a boot server was asked, so it knows who has the address
	target  Target
	result  Result
}

func (s *simulation) openWire(ctx context.Context) (wire, error) {
	if len(s.opts.Relays) > 0 {
		return openRelay(ctx, s.own, s.opts.Relays)
	}
	return openSegment(ctx, s.opts.Interface, s.own)
}

// boot goes from step to step until one fails. A lease is given back in any case.
func (s *simulation) boot(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.giveBack(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) (*Finding, error){
		s.discover, s.choose, s.lease, s.askBootServers, s.fetch, s.judgeFile,
	} {
		fault, err := step(ctx)
		switch {
		case err == nil && fault == nil:
			continue
		case ctx.Err() != nil: // which closes the sockets, and any step fails then
			return ctx.Err()
		}
		s.result.Address, s.result.Finding = s.own, fault
		return err
	}
	s.result.Address, s.result.Boots = s.own, true
	return nil
}

// discover sends DISCOVERs and collects OFFERs until one has an address.
func (s *simulation) discover(ctx context.Context) (*Finding, error) {
	p := s.message(dhcpv4.MessageTypeDiscover)
	start := time.Now()
	end := start.Add(s.opts.Timeout)
	for _, window := range s.family.discovers {
		if err := s.wire.send(p); err != nil {
			return nil, err
		}
		if err := s.collect(p, start, earlier(time.Now().Add(window), end)); err != nil {
			return nil, err
		}
		if firstOf(s.result.Offers, (*Offer).leases) != nil || !time.Now().Before(end) {
			break
		}
	}
	return nil, nil // what came is judged by choose
}

// collect takes OFFERs for p off the wire until that time.
func (s *simulation) collect(p *dhcpv4.DHCPv4, start, until time.Time) error {
	for {
		o, err := s.next(p.TransactionID, until)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case o.message != dhcpv4.MessageTypeOffer:
			continue
		}
		o.After = time.Since(start)
		// Each DISCOVER that is sent again is answered again.
		again := slices.ContainsFunc(s.result.Offers, func(have *Offer) bool { return bytes.Equal(have.raw, o.raw) && have.From == o.From })
		if !again && len(s.result.Offers) < maxOffers {
			s.result.Offers = append(s.result.Offers, o)
		}
	}
}

// maxOffers is how many OFFERs are looked at. No firmware keeps as many.
const maxOffers = 64

// closeWith closes c when ctx ends, which ends a read that is waiting. The
// function it returns calls that off.
func closeWith(ctx context.Context, c io.Closer) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.Close() })
}

// next is the next reply on the wire for this machine and xid.
func (s *simulation) next(xid dhcpv4.TransactionID, until time.Time) (*Offer, error) {
	for {
		m, err := s.wire.receive(until)
		if err != nil {
			return nil, err
		}
		o, err := ParseOffer(m.data)
		if err == nil && o.xid == xid && bytes.Equal(o.chaddr, s.mac) {
			o.From = m.from
			return &o, nil
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// choose decides which OFFER to follow.
func (s *simulation) choose(context.Context) (*Finding, error) {
	s.plan, s.result.Warnings = s.decide(s.result.Offers)
	s.target = s.plan.target
	for _, o := range s.result.Offers {
		switch {
		case o == s.plan.lease && o == s.plan.boot:
			o.Use = UseBoth
		case o == s.plan.lease:
			o.Use = UseAddress
		case o == s.plan.boot:
			o.Use = UseBoot
		}
	}
	return s.plan.fault, nil
}

// judgeFile says whether the client starts the file.
func (s *simulation) judgeFile(context.Context) (*Finding, error) {
	return s.judge(s.result.File), nil
}
