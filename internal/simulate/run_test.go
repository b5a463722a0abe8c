package simulate

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A scripted wire answers each DISCOVER with what the script says, in a bubble's
// time.
type scripted struct {
	start   time.Time
	sent    []time.Duration                        // when DISCOVERs were sent
	answers func(i int, p *dhcpv4.DHCPv4) [][]byte // to the i-th, from 0
	queue   [][]byte
}

func (w *scripted) send(p *dhcpv4.DHCPv4) error {
	w.queue = append(w.queue, w.answers(len(w.sent), p)...)
	w.sent = append(w.sent, time.Since(w.start))
	return nil
}

func (w *scripted) receive(until time.Time) (message, error) {
	if len(w.queue) == 0 {
		time.Sleep(time.Until(until))
		return message{}, os.ErrDeadlineExceeded
	}
	data := w.queue[0]
	w.queue = w.queue[1:]
	return message{data: data}, nil
}

func (w *scripted) Close() error { return nil }

// discovering sends DISCOVERs into a script and returns the OFFERs.
func discovering(t *testing.T, client string, timeout time.Duration, w *scripted) []*Offer {
	t.Helper()
	s := booting(t, client)
	s.wire, s.opts.Timeout, w.start = w, timeout, time.Now()
	if fault, err := s.discover(t.Context()); fault != nil || err != nil {
		t.Errorf("%+v, %v", fault, err)
	}
	return s.result.Offers
}

func silent(int, *dhcpv4.DHCPv4) [][]byte { return nil }

func TestDiscoverKeepsTheFirmwaresRhythm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		client  string
		timeout time.Duration
		want    []time.Duration
	}{
		{"bios", time.Minute, seconds(0, 4, 12, 28)},
		{"uefi-x64", 10 * time.Second, seconds(0, 4)},
		{"ipxe", 10 * time.Second, seconds(0, 2, 4, 8)},
		{"uboot", time.Second, seconds(0)},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &scripted{answers: silent}
			if offers := discovering(t, c.client, c.timeout, w); len(offers) != 0 {
				t.Errorf("%s: %d OFFERs", c.client, len(offers))
			}
			if diff := cmp.Diff(c.want, w.sent); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.client, diff)
			}
		})
	}
}

func TestDiscoverTakesWhatIsForThisMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &scripted{answers: func(i int, p *dhcpv4.DHCPv4) [][]byte {
			answer := func(kind dhcpv4.MessageType, change func(*dhcpv4.DHCPv4)) []byte {
				m := *p
				m.OpCode = dhcpv4.OpcodeBootReply
				m.Options = dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind))
				change(&m)
				return m.ToBytes()
			}
			nothing := func(*dhcpv4.DHCPv4) {}
			proxy := answer(dhcpv4.MessageTypeOffer, nothing)
			if i == 0 {
				return [][]byte{
					proxy,
					[]byte("no DHCP"),
					answer(dhcpv4.MessageTypeAck, nothing),
					answer(dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }),
					answer(dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = slices.Repeat([]byte{2}, 6) }),
				}
			}
			return [][]byte{proxy, answer(dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.YourIPAddr = addr("198.18.0.50").AsSlice() })}
		}}
		offers := discovering(t, "uefi-x64", time.Minute, w)
		// The proxy answered twice and counts once; a lease ends the asking.
		if len(offers) != 2 || offers[0].leases() || !offers[1].leases() || offers[1].After != 4*time.Second {
			t.Errorf("got %+v", offers)
		}
		if diff := cmp.Diff(seconds(0, 4), w.sent); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFloodOfOffersIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &scripted{answers: func(_ int, p *dhcpv4.DHCPv4) (flood [][]byte) {
			for i := range 1000 {
				m := *p
				m.OpCode, m.YourIPAddr = dhcpv4.OpcodeBootReply, []byte{198, 18, byte(i >> 8), byte(i)}
				m.Options = dhcpv4.OptionsFromList(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
				flood = append(flood, m.ToBytes())
			}
			return flood
		}}
		if offers := discovering(t, "bios", time.Minute, w); len(offers) != maxOffers {
			t.Errorf("%d OFFERs are kept, want %d", len(offers), maxOffers)
		}
	})
}

// A closed wire is one on which nothing can be done any more.
type closedWire struct{}

func (closedWire) send(*dhcpv4.DHCPv4) error          { return net.ErrClosed }
func (closedWire) receive(time.Time) (message, error) { return message{}, net.ErrClosed }
func (closedWire) Close() error                       { return nil }

// What ends a simulation closes its sockets, wherever it is just then.
func TestWhatFailsAfterTheEndIsTheEnd(t *testing.T) {
	t.Parallel()
	s := booting(t, "uefi-x64")
	s.wire, s.opts.Timeout = closedWire{}, time.Second
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.boot(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
		t.Errorf("a simulation that was ended says %v", err)
	}
	if err := s.boot(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a simulation whose wire broke says %v", err)
	}
}
