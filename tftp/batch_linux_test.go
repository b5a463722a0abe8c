package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// What cannot be cut by the kernel is sent packet by packet, at once.
func TestSegmentsRefused(t *testing.T) {
	t.Parallel()
	want := tftptest.Bytes(500_000)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := listener(func(o tftp.Options) (*tftp.Server, error) {
			s, err := tftp.Listen(o)
			if err != nil {
				return nil, err
			}
			return s, tftp.SwitchChecksumsOff(s)
		}).start(t, tftp.Options{Listen: address, Opener: tftptest.Files{"a": want}})
		c := tftptest.Client{Server: s.addr, Options: tftptest.Ask(1428, 32, 255)}
		got, err := c.Fetch(t.Context(), "a")
		if err != nil || !bytes.Equal(got.Data, want) {
			t.Fatalf("%s: got %d bytes, %v", address, len(got.Data), err)
		}
		if r := s.report(t); r.Resent != 0 || r.Result != tftp.Delivered {
			t.Errorf("%s: got report %+v", address, r)
		}
	}
}

// A transfer that only waits for its last ACK gives its place to a new one.
func TestDallyingTransferMakesRoom(t *testing.T) {
	t.Parallel()
	read := func(p *tftptest.Peer) { begin(p, "long"); p.ExpectBlock(1) }
	write := func(p *tftptest.Peer) { p.Write("log", patient); p.Expect(tftp.OpOACK) }
	for name, c := range map[string]struct {
		options tftp.Options
		next    func(*tftptest.Peer)
	}{
		"of all for a read":         {tftp.Options{MaxTransfers: 2}, read},
		"of all for a write":        {tftp.Options{MaxTransfers: 2}, write},
		"of one client for a read":  {tftp.Options{MaxPerClient: 2}, read},
		"of one client for a write": {tftp.Options{MaxPerClient: 2}, write},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.options
			o.Depot = &tftptest.Depot{}
			o.Opener = tftptest.Files{"long": tftptest.Bytes(5000), "short": tftptest.Bytes(10)}
			s := listener(tftp.Listen).start(t, o)
			long, short := s.peer(t), s.peer(t)
			begin(long, "long")
			long.ExpectBlock(1)
			begin(short, "short")
			short.ExpectBlock(1) // and no ACK
			c.next(s.peer(t))
			if got := s.report(t); got.Client != short.Addr() || got.Result != tftp.Delivered {
				t.Errorf("got report %+v", got)
			}
			full := s.peer(t)
			full.Ask("short")
			full.ExpectError(tftp.ErrDiskFull)
		})
	}
}

// A client's port that is used again at once gets its answer from another port,
// and what is late of the last transfer does not harm the new one.
func TestPortUsedAgain(t *testing.T) {
	t.Parallel()
	s := listener(tftp.Listen).start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(1500)}})
	p := s.peer(t)
	var last netip.AddrPort
	for range 4 {
		begin(p, "a")
		first := p.ExpectBlock(1)
		if p.TID() == last {
			t.Errorf("answered from %v twice in a row", last)
		}
		if last.IsValid() {
			p.SendTo(last, tftp.Packet{Op: tftp.OpACK, Block: 1}.Append(nil)) // late
		}
		last = p.TID()
		p.Ack(first.Block)
		p.ExpectBlock(2)
		p.Ack(2)
		p.ExpectBlock(3)
		p.Ack(3)
		if got := s.report(t); got.Result != tftp.Delivered || got.Resent != 0 {
			t.Errorf("got report %+v", got)
		}
	}
}

// A late ACK of a transfer that was delivered gets no ERROR: its client may have
// asked again from the same port, and would take that for the answer.
func TestLateACKOfDeliveredTransfer(t *testing.T) {
	t.Parallel()
	s := listener(tftp.Listen).start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(10), "long": tftptest.Bytes(5000)}})
	other := s.peer(t) // with a transfer that runs, so that strangers at this address are answered
	begin(other, "long")
	other.ExpectBlock(1)
	p, stranger := s.peer(t), s.peer(t)
	late := tftp.Packet{Op: tftp.OpACK, Block: 1}.Append(nil)
	var first netip.AddrPort
	for range 3 {
		begin(p, "a")
		p.ExpectBlock(1)
		p.Ack(1)
		s.report(t)
		if !first.IsValid() {
			first = p.TID()
		}
		p.SendTo(first, late) // of the transfer just ended, then of one before it
		stranger.SendTo(first, late)
		stranger.ExpectError(tftp.ErrUnknownTID) // by now the late ACK has been read as well
		p.Ask("nothing")
		p.ExpectError(tftp.ErrFileNotFound) // and not 5
		s.report(t)
		p.SendTo(first, late) // of a transfer before one that was refused
		stranger.SendTo(first, late)
		stranger.ExpectError(tftp.ErrUnknownTID)
	}
	p.Ask("nothing")
	p.ExpectError(tftp.ErrFileNotFound)
}

func TestThousandsOfTransfersAtOnce(t *testing.T) {
	t.Parallel()
	const clients = 2000
	want := tftptest.Bytes(40_000)
	s, err := tftp.Listen(tftp.Options{
		Listen: "127.0.0.1:0", Opener: tftptest.Files{"a": want}, MaxTransfers: clients, MaxPerClient: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	var ready, done sync.WaitGroup
	ready.Add(clients)
	for range clients {
		done.Go(func() {
			c := tftptest.Client{Server: s.Addrs()[0], Options: tftptest.Ask(1428, 8, 60)}
			c.Lose = func(i int, _ tftp.Packet) bool {
				if i == 0 { // all have their OACK before the first asks for data
					ready.Done()
					ready.Wait()
				}
				return false
			}
			got, err := c.Fetch(t.Context(), "a")
			if err != nil || !bytes.Equal(got.Data, want) {
				t.Errorf("got %d bytes, %v", len(got.Data), err)
			}
		})
	}
	done.Wait()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := tftp.Remembered(s); n != 0 {
		t.Errorf("%d things are left of transfers that have ended", n)
	}
}

// It counts the descriptors of the process, so no other test may run beside it.
func TestStartAndStopLeakNothing(t *testing.T) {
	o := tftp.Options{Listen: "127.0.0.1:0", Opener: tftptest.Files{"a": tftptest.Bytes(600)}}
	cycle := func(fetch bool) {
		s, err := tftp.Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		o.Listen = s.Addrs()[0].String() // the same port at once
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context()) }()
		if fetch {
			if _, err := (tftptest.Client{Server: s.Addrs()[0]}).Fetch(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	}
	cycle(true)
	before := descriptors(t)
	for i := range 2000 {
		cycle(i%20 == 0)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A counted file counts its reads, and may have changed.
type counted struct {
	*tftptest.File
	reads   *atomic.Int32
	changed *atomic.Bool
}

var errChanged = errors.New("the file has changed")

func (c counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	if c.changed.Load() {
		return 0, errChanged
	}
	return c.File.ReadAt(p, off)
}

func (c counted) ReadAtNow(p []byte, off int64) bool {
	if c.OnDisk {
		return false
	}
	_, err := c.ReadAt(p, off)
	return err == nil
}

// onDiskAndNot runs a test with files that can be read at once, and with files
// for which the server must wait.
func onDiskAndNot(t *testing.T, test func(t *testing.T, onDisk bool)) {
	for name, onDisk := range map[string]bool{"in memory": false, "on disk": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, onDisk)
		})
	}
}

func TestManyReadersReadOnce(t *testing.T) { onDiskAndNot(t, testManyReadersReadOnce) }

func testManyReadersReadOnce(t *testing.T, onDisk bool) {
	const size = 900_000
	var reads atomic.Int32
	var changed atomic.Bool
	want := tftptest.Bytes(size)
	s := listener(tftp.Listen).start(t, tftp.Options{
		Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
			f := tftptest.NewFile(want)
			f.Identity, f.OnDisk = 1, onDisk
			return counted{f, &reads, &changed}, nil
		}),
		CacheBytes: 8 << 20,
	})
	var done sync.WaitGroup
	for range 30 {
		done.Go(func() {
			got, err := (tftptest.Client{Server: s.addr, Options: tftptest.Ask(8192, 4, 0)}).Fetch(t.Context(), "a")
			if err != nil || !bytes.Equal(got.Data, want) {
				t.Errorf("got %d bytes, %v", len(got.Data), err)
			}
		})
	}
	done.Wait()
	if got := reads.Load(); got != 7 { // chunks of 128 KiB
		t.Errorf("read %d times, want 7", got)
	}
	if got := tftp.Cached(s.Server); got != size {
		t.Errorf("%d bytes are kept, want %d", got, size)
	}
}

// Transfers of the same version share one open file, and the last closes it.
func TestTransfersShareTheOpenFile(t *testing.T) {
	t.Parallel()
	const clients = 20
	var open atomic.Int32
	closed := make(chan struct{}, clients)
	s := listener(tftp.Listen).start(t, tftp.Options{
		Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
			f := tftptest.NewFile(tftptest.Bytes(1500))
			f.Identity = 1
			f.OnClose = func() { open.Add(-1); closed <- struct{}{} }
			open.Add(1)
			return f, nil
		}),
	})
	var peers []*tftptest.Peer
	for range clients {
		p := s.peer(t)
		begin(p, "a")
		p.ExpectBlock(1)
		peers = append(peers, p)
	}
	for range clients - 1 {
		<-closed
	}
	if got := open.Load(); got != 1 {
		t.Errorf("%d files are open for %d transfers, want 1", got, clients)
	}
	for _, p := range peers {
		for n := tftp.BlockNumber(1); n < 3; n++ {
			p.Ack(n)
			p.ExpectBlock(n + 1)
		}
		p.Ack(3)
	}
	<-closed
}

// A transfer whose file changes ends with an ERROR and not with a mix, and the
// next one gets the new bytes.
func TestFileChangesWhileItIsSent(t *testing.T) { onDiskAndNot(t, testFileChangesWhileItIsSent) }

func testFileChangesWhileItIsSent(t *testing.T, onDisk bool) {
	var reads atomic.Int32
	var changed [2]atomic.Bool
	files := [][]byte{bytes.Repeat([]byte("old"), 200_000), bytes.Repeat([]byte("new"), 200_000)}
	var now atomic.Int32
	s := listener(tftp.Listen).start(t, tftp.Options{
		Limits: tftp.Limits{Blksize: 8192},
		Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
			i := now.Load()
			f := tftptest.NewFile(files[i])
			f.Identity, f.OnDisk = i, onDisk
			return counted{f, &reads, &changed[i]}, nil
		}),
	})
	p := s.peer(t)
	begin(p, "a", option("blksize", "8192"))
	p.ExpectBlock(1)
	changed[0].Store(true)
	now.Store(1)
	got, err := (tftptest.Client{Server: s.addr, Options: tftptest.Ask(8192, 4, 0)}).Fetch(t.Context(), "a")
	if err != nil || !bytes.Equal(got.Data, files[1]) {
		t.Fatalf("the next transfer got %d bytes, %v", len(got.Data), err)
	}
	s.report(t)
	for n := tftp.BlockNumber(1); ; n++ {
		p.Ack(n)
		b := p.ExpectAny()
		if b.Op == tftp.OpERROR {
			if b.Code != tftp.ErrAccessViolation || b.Text != "file changed" {
				t.Errorf("got ERROR %d %q", b.Code, b.Text)
			}
			break
		}
		at := int(n) * 8192
		if !bytes.Equal(b.Data, files[0][at:at+8192]) {
			t.Fatalf("block %d is not that of the old file", n+1)
		}
	}
	if r := s.report(t); r.Result != tftp.Failed || !errors.Is(r.Err, errChanged) {
		t.Errorf("got report %+v", r)
	}
}

// Where the cache is smaller than what is read at once, all still end well.
func TestSmallCache(t *testing.T) { onDiskAndNot(t, testSmallCache) }

func testSmallCache(t *testing.T, onDisk bool) {
	files := tftptest.Files{"a": tftptest.Bytes(700_000), "b": bytes.Repeat([]byte("b"), 500_000), "c": tftptest.Bytes(1000)}
	s := listener(tftp.Listen).start(t, tftp.Options{
		Opener: tftptest.OpenFunc(func(ctx context.Context, r tftp.OpenRequest) (tftp.File, error) {
			f, err := files.Open(ctx, r)
			if err == nil {
				f.(*tftptest.File).OnDisk = onDisk
			}
			return f, err
		}),
		CacheBytes: 1,
	})
	var done sync.WaitGroup
	for range 8 {
		for _, name := range []string{"a", "b"} {
			done.Go(func() {
				got, err := (tftptest.Client{Server: s.addr, Options: tftptest.Ask(1428, 64, 0)}).Fetch(t.Context(), name)
				if err != nil || !bytes.Equal(got.Data, files[name]) {
					t.Errorf("%s: got %d bytes, %v", name, len(got.Data), err)
				}
			})
		}
	}
	done.Wait()
	// While many are sent they are pinned together, whatever the bound. The first
	// chunk that comes after that has the others leave.
	if _, err := (tftptest.Client{Server: s.addr}).Fetch(t.Context(), "c"); err != nil {
		t.Error(err)
	}
	if got := tftp.Cached(s.Server); got > 256<<10 {
		t.Errorf("%d bytes are kept", got)
	}
}

// A file of which every second chunk is in memory.
type sometimes struct{ *tftptest.File }

func (f sometimes) ReadAtNow(p []byte, off int64) bool {
	return off/(128<<10)%2 == 1 && f.File.ReadAtNow(p, off)
}

// Chunks that were read ahead are not pinned when nobody sends them.
func TestNothingStaysPinned(t *testing.T) {
	t.Parallel()
	want := tftptest.Bytes(2 << 20)
	s := listener(tftp.Listen).start(t, tftp.Options{Opener: tftptest.OpenFunc(func(context.Context, tftp.OpenRequest) (tftp.File, error) {
		return sometimes{tftptest.NewFile(want)}, nil
	})})
	got, err := (tftptest.Client{Server: s.addr, Options: tftptest.Ask(1428, 64, 0)}).Fetch(t.Context(), "a")
	if err != nil || !bytes.Equal(got.Data, want) {
		t.Fatalf("got %d bytes, %v", len(got.Data), err)
	}
	if err := s.Shutdown(t.Context()); err != nil { // when it returns no goroutine is left that sends
		t.Fatal(err)
	}
	if n := tftp.Pinned(s.Server); n != 0 {
		t.Errorf("%d chunks are pinned", n)
	}
}
