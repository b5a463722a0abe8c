package tftp_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	pin "github.com/pin/tftp/v3"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// freePort finds a port of the loopback address below those that the system gives
// out, so that no other test takes it, with so many free ones from there on.
func freePort(t *testing.T, from uint16, count int) uint16 {
	t.Helper()
	for first := from; first < from+5000; first += uint16(count) {
		free := true
		for port := first; free && port < first+uint16(count); port++ {
			c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
			if free = err == nil; free {
				_ = c.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("there are not enough free ports")
	return 0
}

func TestSinglePort(t *testing.T) { onEachLoop(t, testSinglePort) }

func testSinglePort(t *testing.T, listen listener) {
	want := tftptest.Bytes(200_000)
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": want}, Depot: depot, SinglePort: true, MaxPerClient: 200})
	var done sync.WaitGroup
	for range 10 {
		done.Go(func() {
			got, err := (tftptest.Client{Server: s.addr, Options: tftptest.Ask(1428, 8, 0)}).Fetch(t.Context(), "a")
			if err != nil || !bytes.Equal(got.Data, want) {
				t.Errorf("got %d bytes, %v", len(got.Data), err)
			}
		})
		done.Go(func() {
			p := tftptest.NewPeer(t, loopback, s.addr)
			begin(p, "a")
			if p.ExpectBlock(1); p.TID() != s.addr {
				t.Errorf("answered from %v, want %v", p.TID(), s.addr)
			}
			p.Fail(tftp.ErrUndefined, "enough")
		})
	}
	done.Wait()
	c, err := pin.NewClient(s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetBlockSize(8192) // more than is read there of one packet
	to, err := c.Send("log", "octet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.ReadFrom(bytes.NewReader(want)); err != nil || !bytes.Equal(depot.File("log"), want) {
		t.Errorf("%d bytes were stored, %v", len(depot.File("log")), err)
	}
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("other")
	if p.ExpectAck(0); p.TID() != s.addr {
		t.Errorf("a write is answered from %v, want %v", p.TID(), s.addr)
	}
	p.Fail(tftp.ErrUndefined, "enough")
}

// What belongs to no transfer gets no answer on the port for requests.
func TestSinglePortIsSilentToStrangers(t *testing.T) { onEachLoop(t, testSinglePortSilence) }

func testSinglePortSilence(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(2000)}, SinglePort: true})
	p, stranger := s.peer(t), s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	stranger.SendTo(s.addr, tftp.Packet{Op: tftp.OpACK, Block: 1}.Append(nil))
	stranger.Ask("nothing") // had the ACK an answer, it would come before this one's
	stranger.ExpectError(tftp.ErrFileNotFound)
	p.Ack(1)
	p.ExpectBlock(2)
}

// The port is free when the last transfer has ended, and no request is taken
// meanwhile.
func TestSinglePortStaysUntilTransfersEnd(t *testing.T) { onEachLoop(t, testSinglePortStays) }

func testSinglePortStays(t *testing.T, listen listener) {
	o := tftp.Options{
		Listen: netip.AddrPortFrom(loopback, freePort(t, 21000, 1)).String(),
		Opener: tftptest.Files{"a": tftptest.Bytes(600)}, SinglePort: true,
	}
	s := listen.start(t, o)
	p, late := s.peer(t), s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	s.StopListening()
	if _, err := listen(o); err == nil {
		t.Fatal("the port is free while a transfer needs it")
	}
	late.Ask("a") // if it were answered its transfer would have to end too
	late.Ask("")  // malformed
	late.Write("a")
	p.Ack(1)
	p.ExpectBlock(2)
	p.SendTo(late.Addr(), tftp.Packet{Op: tftp.OpACK, Block: 7}.Append(nil))
	late.ExpectAck(7) // the first packet that it ever got
	p.Ack(2)
	if got := s.report(t); got.Client != p.Addr() {
		t.Errorf("got report %+v", got)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	next, err := listen(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// What came first is done first, also where all comes in on one port.
func TestSinglePortKeepsTheOrder(t *testing.T) { onEachLoop(t, testSinglePortOrder) }

func testSinglePortOrder(t *testing.T, listen listener) {
	goOn := make(chan struct{})
	s := listen.start(t, tftp.Options{
		Opener: tftptest.Files{"a": tftptest.Bytes(2000)}, SinglePort: true,
		Report: func(x tftp.Transfer) {
			if x.Result == tftp.Refused {
				<-goOn
			}
		},
	})
	p, other := s.peer(t), s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	other.Ask("") // malformed: its report holds up the loop
	s.report(t)
	p.Fail(tftp.ErrUndefined, "enough")
	p.Ask("a", option("blksize", "1024"), patient)
	close(goOn)
	if got := s.report(t); got.Client != p.Addr() || got.Result != tftp.Aborted {
		t.Errorf("got report %+v", got)
	}
	p.Expect(tftp.OpOACK)
	p.Ack(0)
	p.ExpectBlock(1)
}

func TestPortRange(t *testing.T) { onEachLoop(t, testPortRange) }

func testPortRange(t *testing.T, listen listener) {
	first := freePort(t, 25000, tftp.MinPortRange)
	within := tftp.PortRange{First: first, Last: first + tftp.MinPortRange - 1}
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(2000)}, Depot: depot, Ports: within})
	for i := range 5 {
		p, w := s.peer(t), s.peer(t)
		begin(p, "a")
		p.ExpectBlock(1)
		w.Write("f")
		w.ExpectAck(0)
		for _, tid := range []uint16{p.TID().Port(), w.TID().Port()} {
			if tid < within.First || tid > within.Last {
				t.Errorf("transfer %d is answered from port %d, want %v", i, tid, within)
			}
		}
		p.Fail(tftp.ErrUndefined, "enough")
		w.Fail(tftp.ErrUndefined, "enough")
		s.report(t)
		s.report(t)
	}
}

func TestPortRangeThatIsTaken(t *testing.T) {
	t.Parallel()
	first := freePort(t, 25000, tftp.MinPortRange)
	within := tftp.PortRange{First: first, Last: first + tftp.MinPortRange - 1}
	for port := within.First; port <= within.Last; port++ {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	_, err := tftp.Listen(tftp.Options{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, Ports: within})
	if err == nil || !strings.Contains(err.Error(), "is free") {
		t.Errorf("got error %v", err)
	}
}
