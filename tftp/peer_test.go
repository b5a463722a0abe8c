package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func (r *running) peer(t *testing.T) *tftptest.Peer {
	t.Helper()
	return tftptest.NewPeer(t, loopback, r.addr)
}

func option(name, value string) tftp.Option { return tftp.Option{Name: name, Value: value} }

// patient makes the server's timer so slow that a test which is held up never
// sees a packet twice.
var patient = option("timeout", "255")

// begin asks for a file and acknowledges the OACK.
func begin(p *tftptest.Peer, name string, options ...tftp.Option) {
	p.Ask(name, append(options, patient)...)
	p.Expect(tftp.OpOACK)
	p.Ack(0)
}

func TestErrors(t *testing.T) { onEachLoop(t, testErrors) }

func testErrors(t *testing.T, listen listener) {
	short := tftptest.NewFile(tftptest.Bytes(100))
	short.Bytes = 300 // more than there are
	files := tftptest.OpenFunc(func(_ context.Context, r tftp.OpenRequest) (tftp.File, error) {
		switch r.Name {
		case "missing":
			return nil, fmt.Errorf("open /srv/images/missing: %w", fs.ErrNotExist)
		case "secret":
			return nil, fmt.Errorf("open /srv/images/secret: %w", fs.ErrPermission)
		case "short":
			return short, nil
		default:
			return nil, io.ErrClosedPipe
		}
	})
	s := listen.start(t, tftp.Options{Opener: files, Node: "n1"})
	for _, c := range []struct {
		name   string
		send   string
		acks   int // answered before the ERROR comes: the OACK, then blocks
		code   tftp.ErrorCode
		text   string
		result tftp.Result
		file   string
		way    tftp.Direction
	}{
		{"no such file", "\x00\x01missing\x00octet\x00tsize\x000\x00", 0, 1, "file not found", tftp.NotFound, "missing", tftp.Read},
		{"not allowed", "\x00\x01secret\x00octet\x00", 0, 2, "access violation", tftp.Refused, "secret", tftp.Read},
		{"any other failure to open", "\x00\x01broken\x00octet\x00", 0, 2, "access violation", tftp.Failed, "broken", tftp.Read},
		{"a file that shrinks", "\x00\x01short\x00octet\x00timeout\x00255\x00", 1, 2, "file changed", tftp.Failed, "short", tftp.Read},
		{"a file that shrinks, in netascii", "\x00\x01short\x00netascii\x00", 0, 2, "access violation", tftp.Failed, "short", tftp.Read},
		{"a write", "\x00\x02log\x00octet\x00", 0, 2, "read-only", tftp.Refused, "log", tftp.Write},
		{"mode mail", "\x00\x01x\x00mail\x00", 0, 4, "unknown transfer mode", tftp.Refused, "x", tftp.Read},
		{"empty name", "\x00\x01\x00octet\x00", 0, 4, "malformed request", tftp.Refused, "", tftp.Read},
		{"no final NUL", "\x00\x01x\x00octet", 0, 4, "malformed request", tftp.Refused, "x", tftp.Read},
		{"a name that fills the packet and more", "\x00\x01" + strings.Repeat("y", 4096) + "\x00octet\x00", 0, 4, "malformed request", tftp.Refused, strings.Repeat("y", 255), tftp.Read},
		{"a long name", "\x00\x01" + strings.Repeat("y", 300) + "\x00octet\x00", 0, 2, "file name too long", tftp.Refused, strings.Repeat("y", 255), tftp.Read},
	} {
		p := s.peer(t)
		p.SendTo(s.addr, []byte(c.send))
		for n := range tftp.BlockNumber(c.acks) {
			if n == 0 {
				p.Expect(tftp.OpOACK)
			} else {
				p.ExpectBlock(n)
			}
			p.Ack(n)
		}
		if got := p.ExpectError(c.code); got.Text != c.text {
			t.Errorf("%s: got text %q, want %q", c.name, got.Text, c.text)
		}
		got := s.report(t)
		if got.Result != c.result || got.File != c.file || got.Direction != c.way || got.Err == nil {
			t.Errorf("%s: got report %+v", c.name, got)
		}
		if got.Client != p.Addr() || got.Local != s.addr || got.Node != "n1" || got.Time.IsZero() {
			t.Errorf("%s: got report %+v", c.name, got)
		}
	}
}

func TestProbeThenRead(t *testing.T) { onEachLoop(t, testProbeThenRead) }

func testProbeThenRead(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"bootx64.efi": tftptest.Bytes(3000)}})
	probe := s.peer(t)
	probe.Ask("bootx64.efi", option("tsize", "0"), option("blksize", "1468"), option("windowsize", "4"))
	if got := probe.Expect(tftp.OpOACK).Options[0]; got != option("tsize", "3000") {
		t.Errorf("got %v first in the OACK", got)
	}
	probe.Fail(tftp.ErrOptionRefused, "User aborted the transfer")
	if got := s.report(t); got.Result != tftp.Probe || got.Err != nil || got.Size != 3000 || got.Bytes != 0 {
		t.Errorf("got report %+v", got)
	}

	read := s.peer(t)
	read.Ask("bootx64.efi", option("blksize", "1468"), option("windowsize", "4"), patient)
	read.Expect(tftp.OpOACK)
	read.Ack(0)
	for n := range tftp.BlockNumber(3) {
		read.ExpectBlock(n + 1)
	}
	read.Ack(3)
	got := s.report(t)
	if got.Result != tftp.Delivered || got.Bytes != 3000 || got.Blksize != 1468 || got.Windowsize != 4 || got.Resent != 0 || got.Duration <= 0 {
		t.Errorf("got report %+v", got)
	}
	if got := s.Stats(); got != (tftp.Stats{}) {
		t.Errorf("got %+v after the last report", got)
	}
}

func TestDuplicateRequestStaysOneTransfer(t *testing.T) {
	onEachLoop(t, testDuplicateRequestStaysOneTransfer)
}

func testDuplicateRequestStaysOneTransfer(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(700)}, MaxPerClient: 1})
	p := s.peer(t)
	p.Ask("a", patient)
	p.Expect(tftp.OpOACK)
	tid := p.TID()
	for range 5 {
		p.Ask("a", patient)
		p.Expect(tftp.OpOACK)
		if p.TID() != tid {
			t.Fatalf("the answer to a duplicate comes from %v, not %v", p.TID(), tid)
		}
	}
	p.Ack(0)
	p.ExpectBlock(1)
	p.Ack(1)
	p.ExpectBlock(2)
	p.Ack(2)
	if got := s.report(t); got.Result != tftp.Delivered || got.Bytes != 700 {
		t.Errorf("got report %+v", got)
	}
}

func TestDuplicateRequestWhileOpening(t *testing.T) { onEachLoop(t, testDuplicateRequestWhileOpening) }

func testDuplicateRequestWhileOpening(t *testing.T, listen listener) {
	opening, release := make(chan struct{}), make(chan struct{})
	s := listen.start(t, tftp.Options{Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
		opening <- struct{}{}
		<-release
		return tftptest.NewFile(nil), nil
	})})
	p := s.peer(t)
	p.Ask("a")
	<-opening
	p.Ask("a") // the second open would hang on the channel, and the test with it
	close(release)
	p.ExpectBlock(1)
	p.Ack(1)
	if got := s.report(t); got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}

func TestNewRequestReplacesTransfer(t *testing.T) { onEachLoop(t, testNewRequestReplacesTransfer) }

func testNewRequestReplacesTransfer(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(5000), "b": tftptest.Bytes(10)}})
	p := s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	p.Ack(1)
	p.ExpectBlock(2)
	old := p.TID()
	p.Ask("b")
	if got := p.ExpectBlock(1); len(got.Data) != 10 {
		t.Errorf("got %d bytes, want those of b", len(got.Data))
	}
	if p.TID() == old {
		t.Error("the new transfer has the port of the old one")
	}
	if got := s.report(t); got.File != "a" || got.Result != tftp.Failed || got.Bytes != 512 {
		t.Errorf("got report %+v", got)
	}
	p.Ack(1)
	if got := s.report(t); got.File != "b" || got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}

func TestUnknownTID(t *testing.T) { onEachLoop(t, testUnknownTID) }

func testUnknownTID(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(600)}})
	p, stranger := s.peer(t), s.peer(t)
	elsewhere := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.3"), s.addr)
	begin(p, "a")
	p.ExpectBlock(1)
	ack := tftp.Packet{Op: tftp.OpACK, Block: 1}.Append(nil)
	elsewhere.SendTo(p.TID(), ack) // ignored: otherwise block 2 would come
	stranger.SendTo(p.TID(), tftp.Packet{Op: tftp.OpERROR, Text: "no"}.Append(nil))
	stranger.SendTo(p.TID(), ack)
	stranger.ExpectError(tftp.ErrUnknownTID)
	if got := s.Transfers(); len(got) != 1 || got[0].Bytes != 0 {
		t.Errorf("the stranger's packets changed the transfer: %+v", got)
	}
	p.Ack(1)
	p.ExpectBlock(2)
	p.Ack(2)
	if got := s.report(t); got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}

func TestOnlyRequestsAreAnswered(t *testing.T) { onEachLoop(t, testOnlyRequestsAreAnswered) }

func testOnlyRequestsAreAnswered(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": nil}})
	p := s.peer(t)
	for _, b := range []string{"", "\x00", "\x00\x03\x00\x01", "\x00\x04\x00\x00", "\x00\x05\x00\x00\x00", "\x00\x06", "\x01\x00a\x00octet\x00"} {
		p.SendTo(s.addr, []byte(b))
	}
	p.Ask("a")
	p.ExpectBlock(1) // the first answer of all
	p.Ack(1)
	if got := s.report(t); got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}

func TestGoesOnFromAcknowledgedBlock(t *testing.T) { onEachLoop(t, testGoesOnFromAcknowledgedBlock) }

func testGoesOnFromAcknowledgedBlock(t *testing.T, listen listener) {
	want := tftptest.Bytes(512 * 99)
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": want}})
	p := s.peer(t)
	begin(p, "a", option("windowsize", "64"))
	for n := range tftp.BlockNumber(64) {
		p.ExpectBlock(n + 1)
	}
	p.Ack(32) // U-Boot's driver had no room for the rest
	var got []byte
	for n := range tftp.BlockNumber(64) {
		got = append(got, p.ExpectBlock(n+33).Data...)
	}
	if !bytes.Equal(got, want[512*32:512*96]) {
		t.Error("wrong bytes after the acknowledged block")
	}
	p.Ack(96)
	for n := range tftp.BlockNumber(4) {
		p.ExpectBlock(n + 97)
	}
	p.Ack(100)
	if got := s.report(t); got.Result != tftp.Delivered || got.Resent != 32 || got.Bytes != 512*99 {
		t.Errorf("got report %+v", got)
	}
	if got := s.Stats().Retransmissions; got != 32 {
		t.Errorf("got %d retransmissions, want 32", got)
	}
}

func TestClientGivesUp(t *testing.T) { onEachLoop(t, testClientGivesUp) }

func testClientGivesUp(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(5000)}})
	p := s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	p.Ack(1)
	p.ExpectBlock(2)
	p.Fail(tftp.ErrUndefined, "closed")
	got := s.report(t)
	if remote, ok := errors.AsType[*tftp.RemoteError](got.Err); got.Result != tftp.Aborted || !ok || remote.Text != "closed" {
		t.Errorf("got report %+v", got)
	}
}

func TestLimits(t *testing.T) { onEachLoop(t, testLimits) }

func testLimits(t *testing.T, listen listener) {
	second := netip.MustParseAddr("127.0.0.3")
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(10)}, MaxTransfers: 3, MaxPerClient: 2})
	open := []*tftptest.Peer{s.peer(t), s.peer(t), tftptest.NewPeer(t, second, s.addr)}
	for _, p := range open {
		p.Ask("a", patient)
		p.Expect(tftp.OpOACK)
	}
	for _, local := range []netip.Addr{loopback, second} { // one limit each
		p := tftptest.NewPeer(t, local, s.addr)
		p.Ask("a")
		if got := p.ExpectError(tftp.ErrDiskFull); got.Text != "server is busy, try again" || p.TID() != s.addr {
			t.Errorf("got %q from %v", got.Text, p.TID())
		}
		if got := s.report(t); got.Result != tftp.Refused {
			t.Errorf("got report %+v", got)
		}
	}
	if got := s.Stats().Active; got != 3 {
		t.Errorf("got %d active, want 3", got)
	}
	open[0].Ack(0)
	open[0].ExpectBlock(1)
	open[0].Ack(1)
	s.report(t)
	p := s.peer(t)
	p.Ask("a", patient)
	p.Expect(tftp.OpOACK)
}

func TestGrantedLimits(t *testing.T) { onEachLoop(t, testGrantedLimits) }

func testGrantedLimits(t *testing.T, listen listener) {
	file := tftptest.NewFile(tftptest.Bytes(100))
	file.Bounds = tftp.Limits{Blksize: 1400, Windowsize: 8}
	file.Name = "rpi4"
	s := listen.start(t, tftp.Options{
		Limits: tftp.Limits{Blksize: 9000, Windowsize: 4},
		Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) { return file, nil }),
	})
	p := s.peer(t)
	p.Ask("a", option("blksize", "65464"), option("windowsize", "64"))
	got := p.Expect(tftp.OpOACK).Options
	if got[0] != option("blksize", "1400") || got[1] != option("windowsize", "4") {
		t.Errorf("got %v", got)
	}
	list := s.Transfers()
	if len(list) != 1 || list[0].Client != p.Addr() || list[0].File != "a" || list[0].Label != "rpi4" || list[0].Size != 100 || list[0].Since.IsZero() {
		t.Errorf("got %+v", list)
	}
}

func TestTheReportHasWhatTheOpenerSaid(t *testing.T) {
	onEachLoop(t, testTheReportHasWhatTheOpenerSaid)
}

// Two transfers of the same bytes share the file, and each keeps its own tag.
func testTheReportHasWhatTheOpenerSaid(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.OpenFunc(func(_ context.Context, r tftp.OpenRequest) (tftp.File, error) {
		file := tftptest.NewFile(tftptest.Bytes(100))
		file.Name, file.Mark = "label of "+r.Name, r.Client
		return file, nil
	})})
	peers := []*tftptest.Peer{s.peer(t), s.peer(t)}
	for _, p := range peers {
		p.Ask("a")
		p.ExpectBlock(1)
	}
	for _, p := range peers {
		p.Ack(1)
		if got := s.report(t); got.Tag != p.Addr() || got.Label != "label of a" || got.Result != tftp.Delivered {
			t.Errorf("got %+v, want the tag %v", got, p.Addr())
		}
	}
}
