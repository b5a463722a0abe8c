package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	pin "github.com/pin/tftp/v3"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func TestWritesNeedADepot(t *testing.T) { onEachLoop(t, testWritesNeedADepot) }

func testWritesNeedADepot(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("f")
	if got := p.ExpectError(tftp.ErrAccessViolation); got.Text != "read-only" {
		t.Errorf("text %q, want read-only", got.Text)
	}
	if r := s.report(t); r.Direction != tftp.Write || r.Result != tftp.Refused {
		t.Errorf("report %+v", r)
	}
}

// pin/tftp is a client that somebody else wrote; it sends with tsize and blksize.
func TestWriteWithPin(t *testing.T) { onEachLoop(t, testWriteWithPin) }

func testWriteWithPin(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot})
	for _, size := range []int{0, 1, 511, 512, 513, 1 << 20} {
		c, err := pin.NewClient(s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetBlockSize(1428)
		name, want := fmt.Sprint(size), tftptest.Bytes(size)
		to, err := c.Send(name, "octet")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		to.(pin.OutgoingTransfer).SetSize(int64(size))
		if _, err := to.ReadFrom(bytes.NewReader(want)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := depot.File(name); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes were stored, or they are wrong", name, len(got))
		}
	}
}

func TestWriteInWindows(t *testing.T) { onEachLoop(t, testWriteInWindows) }

func testWriteInWindows(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot, Limits: tftp.Limits{Windowsize: 4}})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("log", tftp.Option{Name: "WindowSize", Value: "8"}, tftp.Option{Name: "blksize", Value: "8"}, tftp.Option{Name: "tsize", Value: "36"}, tftp.Option{Name: "timeout", Value: "3"})
	want := []tftp.Option{{Name: "WindowSize", Value: "4"}, {Name: "blksize", Value: "8"}, {Name: "tsize", Value: "36"}, {Name: "timeout", Value: "3"}}
	if diff := cmp.Diff(want, p.Expect(tftp.OpOACK).Options); diff != "" {
		t.Error("OACK (-want +got):\n", diff)
	}
	data := tftptest.Bytes(36)
	send := func(n int) { p.Data(tftp.BlockNumber(n), data[(n-1)*8:min(n*8, len(data))]) }
	for _, n := range []int{1, 3, 4} { // block 2 is lost
		send(n)
	}
	p.ExpectAck(1) // at once, because of the gap
	for _, n := range []int{2, 3, 4, 5} {
		send(n)
	}
	p.ExpectAck(5)
	if got := depot.File("log"); !bytes.Equal(got, data) {
		t.Errorf("stored % x, want % x", got, data)
	}
	send(5) // our ACK was lost
	p.ExpectAck(5)
	r := shutDown(t, s)
	if r.Result != tftp.Delivered || r.Direction != tftp.Write || r.Bytes != 36 || r.Size != 36 || r.Label != "depot" || r.Windowsize != 4 || r.Err != nil {
		t.Errorf("report %+v", r)
	}
}

// shutDown cuts what still dallies, and returns the first report.
func shutDown(t *testing.T, s *running) tftp.Transfer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Shutdown(ctx) // that transfers were cut is what is wanted
	return s.report(t)
}

func TestWritesAreRefusedWithTheRightCode(t *testing.T) { onEachLoop(t, testWriteRefusals) }

func testWriteRefusals(t *testing.T, listen listener) {
	full := &tftptest.Depot{Room: 10}
	for name, c := range map[string]struct {
		depot   *tftptest.Depot
		do      func(p *tftptest.Peer)
		want    tftp.ErrorCode
		aborted int
	}{
		"not allowed":                   {&tftptest.Depot{Denied: true}, func(p *tftptest.Peer) { p.Write("f") }, tftp.ErrAccessViolation, 0},
		"more announced than fits":      {full, func(p *tftptest.Peer) { p.Write("f", tftp.Option{Name: "tsize", Value: "11"}) }, tftp.ErrDiskFull, 0},
		"more written than fits":        {&tftptest.Depot{Room: 10}, func(p *tftptest.Peer) { p.Write("f"); p.ExpectAck(0); p.Data(1, make([]byte, 11)) }, tftp.ErrDiskFull, 1},
		"a name that is taken":          {&tftptest.Depot{}, func(p *tftptest.Peer) { p.Write("f"); p.ExpectAck(0); p.Data(1, nil); p.ExpectAck(1); p.Write("f") }, tftp.ErrFileExists, 0},
		"a request that makes no sense": {&tftptest.Depot{}, func(p *tftptest.Peer) { p.Write("") }, tftp.ErrIllegal, 0},
	} {
		s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: c.depot})
		p := tftptest.NewPeer(t, loopback, s.addr)
		c.do(p)
		p.ExpectError(c.want)
		shutDown(t, s)
		if c.depot.Aborted() != c.aborted {
			t.Errorf("%s: %d files were aborted, want %d", name, c.depot.Aborted(), c.aborted)
		}
	}
}

func TestAWriteThatEndsEarlyLeavesNothing(t *testing.T) { onEachLoop(t, testAbortedWrite) }

func testAbortedWrite(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("f")
	p.ExpectAck(0)
	p.Data(1, make([]byte, 512))
	p.ExpectAck(1)
	p.Fail(tftp.ErrUndefined, "enough")
	var remote *tftp.RemoteError
	if r := s.report(t); r.Result != tftp.Aborted || r.Bytes != 512 || !errors.As(r.Err, &remote) {
		t.Errorf("report %+v", r)
	}
	if depot.Aborted() != 1 || depot.File("f") != nil {
		t.Errorf("%d aborted, file %v", depot.Aborted(), depot.File("f"))
	}
}

func TestShutdownTellsAWriterAndLeavesNothing(t *testing.T) { onEachLoop(t, testShutdownOfWrite) }

func testShutdownOfWrite(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("f")
	p.ExpectAck(0)
	if list := s.Transfers(); len(list) != 1 || list[0].File != "f" || s.Stats().Active != 1 {
		t.Errorf("in flight: %+v", list)
	}
	if r := shutDown(t, s); r.Result != tftp.Failed || r.Err == nil {
		t.Errorf("report %+v", r)
	}
	p.ExpectError(tftp.ErrAccessViolation)
	if depot.Aborted() != 1 {
		t.Errorf("%d aborted, want 1", depot.Aborted())
	}
}

func TestARepeatedWRQStaysOneTransfer(t *testing.T) { onEachLoop(t, testRepeatedWRQ) }

func testRepeatedWRQ(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.Write("f")
	p.ExpectAck(0)
	first := p.TID()
	p.Write("f")
	p.ExpectAck(0)
	if p.TID() != first {
		t.Errorf("the second answer came from %v, the first from %v", p.TID(), first)
	}
	stranger := tftptest.NewPeer(t, loopback, s.addr)
	stranger.SendTo(first, tftp.Packet{Op: tftp.OpDATA, Block: 1}.Append(nil))
	stranger.ExpectError(tftp.ErrUnknownTID)
	p.Write("g") // it has begun anew
	p.ExpectAck(0)
	p.Data(1, []byte("text"))
	p.ExpectAck(1)
	if got := string(depot.File("g")); got != "text" {
		t.Errorf("stored %q", got)
	}
	if depot.Aborted() != 1 || depot.File("f") != nil {
		t.Errorf("%d aborted, want the first one", depot.Aborted())
	}
}

func TestNetasciiIsTranslatedBack(t *testing.T) { onEachLoop(t, testNetasciiWrite) }

func testNetasciiWrite(t *testing.T, listen listener) {
	depot := &tftptest.Depot{}
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot})
	p := tftptest.NewPeer(t, loopback, s.addr)
	p.SendTo(s.addr, tftp.Request{Op: tftp.OpWRQ, Name: "f", Mode: tftp.Netascii, Options: []tftp.Option{{Name: "blksize", Value: "8"}}}.Append(nil))
	p.Expect(tftp.OpOACK)
	for n, block := range []string{"one\r\ntw\r", "\n\r\x00ab\rcd", "\r\nend\r"} { // CR LF on both sides of a block's end
		p.Data(tftp.BlockNumber(n+1), []byte(block))
		p.ExpectAck(tftp.BlockNumber(n + 1))
	}
	if got, want := string(depot.File("f")), "one\ntw\n\rab\rcd\nend\r"; got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// A board that writes many small files one after the other is not kept out by
// those that only wait whether their last ACK was lost.
func TestDallyingWriteMakesRoom(t *testing.T) { onEachLoop(t, testDallyingWrite) }

func testDallyingWrite(t *testing.T, listen listener) {
	for name, o := range map[string]tftp.Options{"for all": {MaxTransfers: 2}, "for one client": {MaxPerClient: 2}} {
		depot := &tftptest.Depot{}
		o.Opener, o.Depot = tftptest.Files{}, depot
		s := listen.start(t, o)
		slow := s.peer(t)
		slow.Write("slow")
		slow.ExpectAck(0)
		for i := range 5 {
			p := s.peer(t)
			p.Write(fmt.Sprint(i))
			p.ExpectAck(0)
			p.Data(1, []byte("text"))
			p.ExpectAck(1)
			if got := string(depot.File(fmt.Sprint(i))); got != "text" {
				t.Errorf("%s: stored %q", name, got)
			}
		}
		next := s.peer(t)
		next.Write("next")
		next.ExpectAck(0)
		full := s.peer(t)
		full.Write("one too many")
		full.ExpectError(tftp.ErrDiskFull)
		for range 5 {
			if r := s.report(t); r.Client != full.Addr() && (r.Result != tftp.Delivered || r.Bytes != 4) {
				t.Errorf("%s: report %+v", name, r)
			}
		}
	}
}

// A write that runs when no more requests are taken is let end.
func TestShutdownLetsWritesEnd(t *testing.T) { onEachLoop(t, testShutdownLetsWritesEnd) }

func testShutdownLetsWritesEnd(t *testing.T, listen listener) {
	for _, single := range []bool{false, true} {
		depot := &tftptest.Depot{}
		s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot, SinglePort: single})
		p := tftptest.NewPeer(t, loopback, s.addr)
		p.Write("log")
		p.ExpectAck(0)
		s.StopListening()
		data := tftptest.Bytes(600)
		p.Data(1, data[:512])
		p.ExpectAck(1)
		p.Data(2, data[512:])
		p.ExpectAck(2)
		if !bytes.Equal(depot.File("log"), data) {
			t.Errorf("single port %t: %d bytes were stored", single, len(depot.File("log")))
		}
	}
}

// With a single port, a client writes from the port of a read whose last ACK it
// kept back.
func TestWriteFromThePortOfARead(t *testing.T) { onEachLoop(t, testWriteFromThePortOfARead) }

func testWriteFromThePortOfARead(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(10)}, Depot: &tftptest.Depot{}, SinglePort: true})
	p := s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	p.Write("log")
	p.ExpectAck(0)
	p.Data(1, make([]byte, 10))
	p.ExpectAck(1)
}

// A DATA packet that is longer than was granted is no block at all, also where
// what is read of a packet is bounded.
func TestTooLongBlockIsNotStored(t *testing.T) { onEachLoop(t, testTooLongBlockIsNotStored) }

func testTooLongBlockIsNotStored(t *testing.T, listen listener) {
	for _, single := range []bool{false, true} {
		depot := &tftptest.Depot{}
		s := listen.start(t, tftp.Options{Opener: tftptest.Files{}, Depot: depot, SinglePort: single})
		p := s.peer(t)
		p.Write("log", tftp.Option{Name: "blksize", Value: "2044"})
		p.Expect(tftp.OpOACK)
		p.Data(1, make([]byte, 5000))
		p.Data(1, []byte("end"))
		p.ExpectAck(1)
		if got := depot.File("log"); string(got) != "end" {
			t.Errorf("single port %t: %d bytes were stored, want 3", single, len(got))
		}
	}
}
