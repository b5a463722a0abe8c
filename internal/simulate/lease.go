package simulate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/dhcpproxy"
)

// lease gets the client an address. Without Options.Lease that is one of this
// host's: the one in the subnet that the machine would be in.
func (s *simulation) lease(context.Context) (*Finding, error) {
	if !s.opts.Lease {
		i := slices.IndexFunc(s.opts.Interface.Addrs, func(p netip.Prefix) bool { return p.Contains(s.plan.lease.Address) })
		s.own = s.opts.Interface.Addrs[max(i, 0)].Addr()
		return nil, nil
	}
	if fault, err := s.requestLease(); fault != nil || err != nil {
		return fault, err
	}
	if err := addAddress(s.opts.Interface.Index, s.plan.lease.Address); err != nil {
		return nil, &SetupError{
			What: fmt.Sprintf("cannot put the leased address %s on %s", s.plan.lease.Address, s.opts.Interface.Name),
			Hint: "run this as root, or with CAP_NET_ADMIN; or leave --lease out",
			Err:  err,
		}
	}
	s.own, s.result.Leased = s.plan.lease.Address, true
	return nil, nil
}

// requestLease asks for the address that was offered.
func (s *simulation) requestLease() (*Finding, error) {
	offer := s.plan.lease
	if !offer.Server.IsValid() {
		return finding(StepLease, "%s offers %s without option 54, so nobody can be asked for it", offer.Sender(), offer.Address), nil
	}
	p := s.leaseRequest(offer)
	s.leasing = true
	end := time.Now().Add(s.opts.Timeout)
	for _, pause := range seconds(1, 2, 4, 8) {
		if !time.Now().Before(end) {
			break
		}
		if err := s.wire.send(p); err != nil {
			return nil, err
		}
		answer, err := s.leaseAnswer(p.TransactionID, earlier(time.Now().Add(pause), end))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return nil, err
		case answer.message == dhcpv4.MessageTypeNak:
			return finding(StepLease, "%s offers %s, and refuses the REQUEST for it (NAK)", offer.Server, offer.Address), nil
		}
		return nil, nil
	}
	return finding(StepLease, "%s offers %s, and does not answer the REQUEST for it", offer.Server, offer.Address), nil
}

// leaseAnswer waits for the lease server's ACK or NAK.
func (s *simulation) leaseAnswer(xid dhcpv4.TransactionID, until time.Time) (*Offer, error) {
	for {
		o, err := s.next(xid, until)
		if err != nil {
			return nil, err
		}
		if o.Server == s.plan.lease.Server && (o.message == dhcpv4.MessageTypeAck || o.message == dhcpv4.MessageTypeNak) {
			return o, nil
		}
	}
}

// giveBack releases the lease and takes the address away. A lease that was asked
// for is released also if the answer was not seen.
func (s *simulation) giveBack(ctx context.Context) error {
	if !s.leasing {
		return nil
	}
	conn, err := listenUDP(ctx, netip.AddrPortFrom(s.own, 0), "")
	if err == nil {
		// A lease that cannot be given back runs out by itself.
		_, _ = conn.WriteToUDPAddrPort(s.release(s.plan.lease).ToBytes(), netip.AddrPortFrom(s.plan.lease.Server, dhcpproxy.PortDHCP))
		err = conn.Close()
	}
	if !s.result.Leased {
		return err
	}
	return errors.Join(err, deleteAddress(s.opts.Interface.Index, s.plan.lease.Address))
}
