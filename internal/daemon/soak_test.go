package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"go.uber.org/goleak"

	"netbootd/internal/images"
	"netbootd/tftp"
)

// What a soak is made of, and what may be left of it.
const (
	soakClients = 16
	// soakCache is the server's cache: what it keeps of old versions may come and
	// go.
	soakCache = 4 << 20
	// soakHeap is by how many bytes the heap may be larger in the end, and
	// soakResident the process.
	soakHeap     = soakCache + 4<<20
	soakResident = 64 << 20
)

// A soak is one server and its clients.
type soak struct {
	t       *testing.T
	engine  *tftp.Server
	server  netip.AddrPort
	stop    func() // ends the server and gives back what it has
	files   []*soakFile
	written string // where clients write to

	changed chan struct{}   // something has ended or was closed
	round   context.Context // of the silent clients
	silent  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	counts map[string]int
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// wake tells whoever waits that something has changed.
func (s *soak) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// soakOpener is an opener whose files tell when they have been closed.
type soakOpener struct {
	tftp.Opener
	closed func()
}

func (o soakOpener) Open(ctx context.Context, r tftp.OpenRequest) (tftp.File, error) {
	f, err := o.Opener.Open(ctx, r)
	if err != nil {
		return nil, err
	}
	return soakOpened{f, o.closed}, nil
}

type soakOpened struct {
	tftp.File
	closed func()
}

func (f soakOpened) Close() error {
	defer f.closed()
	return f.File.Close()
}

// TestSoak lets all kinds of clients at the TFTP server of a daemon, with its
// files, its inbox, its metrics and its log, while the files change. Each client
// gets the whole of one version, or an ERROR that is fair. In the end the process
// is as it was before: goroutines and descriptors by number, memory within a
// bound.
//
// It counts what the process has, so no other test may run beside it. How long it
// runs is SOAKTIME; without that it is as short as a unit test has to be.
func TestSoak(t *testing.T) {
	length, actions := 6*time.Second, 400
	if text := os.Getenv("SOAKTIME"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAKTIME: %v", err)
		}
		actions = math.MaxInt
	}
	// The first socket brings what Go polls with.
	if conn, err := net.ListenUDP("udp4", nil); err != nil || conn.Close() != nil {
		t.Fatal(err)
	}
	others := goleak.IgnoreCurrent()
	without := takeStock(t, others)

	s := startSoak(t)
	serving := goleak.IgnoreCurrent()
	s.play(min(length, 10*time.Second)/3, actions/3, 1) // fills caches and pools
	before := takeStock(t, serving)
	s.play(length, actions, 2)
	after := takeStock(t, serving)
	t.Logf("before: %+v", before)
	t.Logf("after:  %+v", after)
	if after.goroutines != before.goroutines || after.descriptors != before.descriptors {
		t.Errorf("there are %d goroutines and %d descriptors, want %d and %d as before",
			after.goroutines, after.descriptors, before.goroutines, before.descriptors)
	}
	if after.heap > before.heap+soakHeap || after.resident > before.resident+soakResident {
		t.Errorf("memory has grown from %+v to %+v", before, after)
	}

	s.stop()
	if now := takeStock(t, others); now.descriptors != without.descriptors || now.goroutines != without.goroutines {
		t.Errorf("without the server there are %+v, want %+v as before", now, without)
	}
	s.judge(length >= time.Minute)
}

// startSoak starts the server that a daemon would, and returns when all that
// serve are there.
func startSoak(t *testing.T) *soak {
	t.Helper()
	f := newFixture(t)
	f.opts.Logger = slog.New(slog.DiscardHandler)
	s := &soak{t: t, written: filepath.Join(f.dir, "written"), changed: make(chan struct{}, 1), counts: make(map[string]int)}
	f.opts.Settings.TFTP.Write = &WriteSettings{
		Inbox: images.InboxOptions{Dir: s.written, Quota: 1 << 30, Overwrite: true},
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	d, err := newDaemon(f.opts)
	if err != nil {
		t.Fatal(err)
	}
	s.makeFiles(f.opts.Settings.Images)
	o := d.tftpOptions()
	report := o.Report
	o.Opener, o.CacheBytes = soakOpener{o.Opener, s.wake}, soakCache
	o.MaxPerClient = 20 // so that those who fall silent are soon too many
	o.Report = func(x tftp.Transfer) {
		report(x)
		s.count("reported " + string(x.Direction) + " " + string(x.Result))
		s.wake()
	}
	if s.engine, err = tftp.Listen(o); err != nil {
		t.Fatal(err)
	}
	s.server = s.engine.Addrs()[0]
	served := make(chan error, 1)
	go func() { served <- s.engine.Serve(context.Background()) }()
	s.stop = func() {
		if err := errors.Join(s.engine.Shutdown(t.Context()), <-served); err != nil {
			t.Error(err)
		}
		d.close()
	}
	if _, err := fetch(t, s.server, "stays"); err != nil {
		t.Fatal(err)
	}
	return s
}

// makeFiles makes one file for each way to change, large and small, those that
// are shared in the cache and those that change too often for that.
func (s *soak) makeFiles(dir string) {
	const often, seldom = 50 * time.Millisecond, 3 * time.Second
	for _, f := range []*soakFile{
		{name: "stays", size: 200_000, how: stays},
		{name: "empty", size: 0, how: stays},
		{name: "blocks", size: 512 * 100, how: stays},
		{name: "replaced", size: 350_001, how: replaced, rest: often},
		{name: "replaced-small", size: 5000, how: replaced, rest: often},
		{name: "replaced-seldom", size: 400_000, how: replaced, rest: seldom},
		{name: "rewritten", size: 300_000, how: rewritten, rest: often},
		{name: "rewritten-seldom", size: 400_000, how: rewritten, rest: seldom},
		{name: "shortened", size: 300_000, how: shortened, rest: often},
		{name: "shortened-seldom", size: 400_000, how: shortened, rest: seldom},
		{name: "removed", size: 200_000, how: removed, rest: often},
	} {
		f.path = filepath.Join(dir, f.name)
		if err := f.write(0); err != nil {
			s.t.Fatal(err)
		}
		f.changed = time.Now()
		s.files = append(s.files, f)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// play lets all clients do n things, or as many as they can within a time, and
// waits until the server has nothing left of them.
func (s *soak) play(length time.Duration, n int, seed uint64) {
	before := descriptors(s.t)
	var endRound context.CancelFunc
	s.round, endRound = context.WithCancel(s.t.Context())
	defer endRound()
	ctx, cancel := context.WithTimeout(s.t.Context(), length)
	defer cancel()
	var clients sync.WaitGroup
	for i := range soakClients {
		c := &soakClient{soak: s, number: i + 1, dice: rand.New(rand.NewPCG(seed, uint64(i))), port: uint16(seed * 20_000)}
		clients.Go(func() { c.play(ctx, n) })
	}
	clients.Wait()
	endRound()
	s.silent.Wait()
	drain, cancelDrain := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancelDrain()
	for s.engine.Stats().Active > 0 || descriptors(s.t) > before {
		select {
		case <-s.changed:
		case <-drain.Done():
			s.t.Fatalf("the server does not come to rest: %+v, %+v", s.engine.Stats(), s.engine.Transfers())
		}
	}
}

// judge looks at what happened in the whole soak. long tells that there was time
// for the server to give clients up.
func (s *soak) judge(long bool) {
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		s.t.Logf("%7d %s", s.counts[what], what)
	}
	want := []string{
		"whole files", `the other end sent ERROR 2 "file changed"`, `the other end sent ERROR 1 "file not found"`,
		"reported read delivered", "reported read probe", "reported read aborted", "reported read failed",
		"reported read refused", "reported read not_found", "reported write delivered", "reported write aborted",
	}
	if long {
		want = append(want, "timed out", "server is busy, try again")
	}
	for _, a := range soakActions {
		want = append(want, a.name)
	}
	for _, what := range want {
		if s.counts[what] == 0 {
			s.t.Errorf("there was no %q: nothing is shown about it", what)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.written, ".partial*")); err != nil || len(left) > 0 {
		s.t.Errorf("left of writes: %v, %v", left, err)
	}
}

// A stock is what the process has.
type stock struct {
	goroutines  int
	descriptors int
	heap        uint64 // bytes that are in use, after a collection
	resident    uint64 // bytes in memory
}

// takeStock waits until no goroutine is left but those to be ignored.
func takeStock(t *testing.T, ignore goleak.Option) stock {
	t.Helper()
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
	debug.FreeOSMemory() // collects first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	self, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	status, err := self.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	return stock{goroutines: runtime.NumGoroutine(), descriptors: descriptors(t), heap: m.HeapAlloc, resident: status.VmRSS}
}

// descriptors is how many the process has.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
