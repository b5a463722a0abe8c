package tftp_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// zeros is a file that is too long to be fetched while a test lasts.
type zeros struct{}

// ReadAt reads zeros, as many as are asked for.
func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// endless opens zeros under every name.
var endless = tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
	return &tftptest.File{ReaderAt: zeros{}, Bytes: 4 << 30}, nil
})

func TestIdleTransferEnds(t *testing.T) { onEachLoop(t, testIdleTransferEnds) }

func testIdleTransferEnds(t *testing.T, listen listener) {
	// It is over before the first packet would be sent again.
	s := listen.start(t, tftp.Options{Opener: endless, Depot: &tftptest.Depot{}, MaxIdle: 100 * time.Millisecond})
	for way, ask := range map[tftp.Direction]func(*tftptest.Peer){
		tftp.Read:  func(p *tftptest.Peer) { p.Ask("a"); p.ExpectBlock(1) },
		tftp.Write: func(p *tftptest.Peer) { p.Write("a"); p.ExpectAck(0) },
	} {
		p := s.peer(t)
		ask(p)
		if got := p.ExpectError(tftp.ErrAccessViolation); got.Text != "timed out" {
			t.Errorf("%s: got text %q", way, got.Text)
		}
		if got := s.report(t); got.Direction != way || got.Result != tftp.Failed || got.Err == nil || got.Err.Error() != "the client does not answer" {
			t.Errorf("%s: got report %+v", way, got)
		}
	}
}

func TestTransferThatTakesTooLongEnds(t *testing.T) { onEachLoop(t, testTransferThatTakesTooLongEnds) }

func testTransferThatTakesTooLongEnds(t *testing.T, listen listener) {
	const limit = 200 * time.Millisecond
	s := listen.start(t, tftp.Options{Opener: endless, Depot: &tftptest.Depot{}, MaxDuration: limit})
	for way, step := range map[tftp.Direction]struct {
		ask func(*tftptest.Peer)
		on  func(*tftptest.Peer, tftp.Packet) // goes on after a packet of the server
	}{
		tftp.Read: {
			func(p *tftptest.Peer) { p.Ask("a", patient) },
			func(p *tftptest.Peer, got tftp.Packet) { p.Ack(got.Block) },
		},
		tftp.Write: {
			func(p *tftptest.Peer) { p.Write("a", patient) },
			func(p *tftptest.Peer, got tftp.Packet) { p.Data(got.Block+1, make([]byte, tftp.DefaultBlksize)) },
		},
	} {
		p := s.peer(t)
		step.ask(p)
		got := p.ExpectAny()
		for ; got.Op != tftp.OpERROR; got = p.ExpectAny() {
			step.on(p, got)
		}
		if got.Code != tftp.ErrAccessViolation || got.Text != "transfer took too long" {
			t.Errorf("%s: got ERROR %d %q", way, got.Code, got.Text)
		}
		r := s.report(t)
		if r.Direction != way || r.Result != tftp.Failed || r.Err == nil || r.Err.Error() != "the transfer took longer than 200ms" {
			t.Errorf("%s: got report %+v", way, r)
		}
		if r.Duration < limit {
			t.Errorf("%s: ended after %v, want %v", way, r.Duration, limit)
		}
	}
}

func TestOnlyAllowedNetworksAreServed(t *testing.T) { onEachLoop(t, testOnlyAllowedNetworksAreServed) }

func testOnlyAllowedNetworksAreServed(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{
		Opener: tftptest.Files{"a": nil}, Depot: &tftptest.Depot{},
		Allow: tftp.Networks{netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("127.0.0.0/31")},
	})
	foreign := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.3"), s.addr)
	for _, c := range []struct {
		file string
		way  tftp.Direction
		send func()
	}{
		{"a", tftp.Read, func() { foreign.Ask("a") }},
		{"log", tftp.Write, func() { foreign.Write("log") }},
		{"", tftp.Read, func() { foreign.Ask("") }}, // malformed
	} {
		c.send()
		r := s.report(t)
		if r.Result != tftp.Refused || r.Client != foreign.Addr() || r.File != c.file || r.Direction != c.way || r.Err == nil ||
			r.Err.Error() != "clients of this network are not served, and get no answer" {
			t.Errorf("%s of %q: got report %+v", c.way, c.file, r)
		}
	}
	p := s.peer(t)
	p.Ask("a")
	p.ExpectBlock(1)
	p.Ack(1)
	s.report(t)
	p.SendTo(foreign.Addr(), tftp.Packet{Op: tftp.OpACK, Block: 7}.Append(nil))
	foreign.ExpectAck(7) // the first packet that it ever got
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	networks := tftp.Networks{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("fe80::/10")}
	for address, want := range map[string]bool{
		"198.18.0.255": true, "198.18.1.0": false, "fe80::1": true, "fe80::1%eth0": true, "2001:db8::1": false,
	} {
		if got := networks.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
	if (tftp.Networks{}).Contains(loopback) {
		t.Error("no network contains an address")
	}
}

func TestRefusedOptions(t *testing.T) { onEachLoop(t, testRefusedOptions) }

func testRefusedOptions(t *testing.T, listen listener) {
	file := tftptest.NewFile(tftptest.Bytes(100))
	file.Bounds = tftp.Limits{RefuseOptions: []string{"tsize"}}
	s := listen.start(t, tftp.Options{
		Limits: tftp.Limits{RefuseOptions: []string{"windowsize"}},
		Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) { return file, nil }),
		Depot:  &tftptest.Depot{},
	})
	asked := []tftp.Option{option("WindowSize", "16"), option("tsize", "7"), option("blksize", "1024")}
	read := s.peer(t)
	read.Ask("a", asked...)
	if diff := cmp.Diff([]tftp.Option{option("blksize", "1024")}, read.Expect(tftp.OpOACK).Options); diff != "" {
		t.Error("OACK of a read (-want +got):\n", diff)
	}
	write := s.peer(t) // of which only the server's limits hold
	write.Write("b", asked...)
	if diff := cmp.Diff(asked[1:], write.Expect(tftp.OpOACK).Options); diff != "" {
		t.Error("OACK of a write (-want +got):\n", diff)
	}
	only := s.peer(t)
	only.Ask("a", asked[:2]...)
	only.ExpectBlock(1) // nothing is left to acknowledge
}

func TestReadsAndWritesShareTheLimits(t *testing.T) { onEachLoop(t, testSharedLimits) }

func testSharedLimits(t *testing.T, listen listener) {
	second := netip.MustParseAddr("127.0.0.3")
	s := listen.start(t, tftp.Options{Opener: endless, Depot: &tftptest.Depot{}, MaxTransfers: 3, MaxPerClient: 2})
	ask := map[tftp.Direction]func(*tftptest.Peer){
		tftp.Read:  func(p *tftptest.Peer) { p.Ask("a", patient) },
		tftp.Write: func(p *tftptest.Peer) { p.Write("b", patient) },
	}
	writer := s.peer(t)
	for p, way := range map[*tftptest.Peer]tftp.Direction{
		writer: tftp.Write, s.peer(t): tftp.Read, tftptest.NewPeer(t, second, s.addr): tftp.Write,
	} {
		ask[way](p)
		p.Expect(tftp.OpOACK)
	}
	if got := s.Stats().Active; got != 3 {
		t.Errorf("%d transfers are active, want 3", got)
	}
	for local, why := range map[netip.Addr]string{loopback: "too many transfers of this client", second: "too many transfers"} {
		for way := range ask {
			p := tftptest.NewPeer(t, local, s.addr)
			ask[way](p)
			if got := p.ExpectError(tftp.ErrDiskFull); got.Text != "server is busy, try again" || p.TID() != s.addr {
				t.Errorf("got %q from %v", got.Text, p.TID())
			}
			if got := s.report(t); got.Result != tftp.Refused || got.Direction != way || got.Err == nil || got.Err.Error() != why {
				t.Errorf("got report %+v", got)
			}
		}
	}
	writer.Write("c", patient) // it has begun anew: that takes no other place
	writer.Expect(tftp.OpOACK)
	if got := s.report(t); got.File != "b" || got.Result != tftp.Failed {
		t.Errorf("got report %+v", got)
	}
	writer.Fail(tftp.ErrUndefined, "enough")
	if got := s.report(t); got.File != "c" || got.Result != tftp.Aborted {
		t.Errorf("got report %+v", got)
	}
	p := s.peer(t)
	p.Ask("a", patient)
	p.Expect(tftp.OpOACK)
}

// A write that only waits whether its last ACK was lost makes room for a read.
func TestStoredWriteMakesRoomForRead(t *testing.T) { onEachLoop(t, testStoredWriteMakesRoom) }

func testStoredWriteMakesRoom(t *testing.T, listen listener) {
	for name, o := range map[string]tftp.Options{"for all": {MaxTransfers: 1}, "for one client": {MaxPerClient: 1}} {
		o.Opener, o.Depot = endless, &tftptest.Depot{}
		s := listen.start(t, o)
		w, p := s.peer(t), s.peer(t)
		w.Write("log")
		w.ExpectAck(0)
		w.Data(1, nil)
		w.ExpectAck(1)
		p.Ask("a", patient)
		p.Expect(tftp.OpOACK)
		if got := s.report(t); got.File != "log" || got.Result != tftp.Delivered {
			t.Errorf("%s: got report %+v", name, got)
		}
	}
}
