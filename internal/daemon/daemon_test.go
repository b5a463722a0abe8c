package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"netbootd/bootmenu"
	"netbootd/client"
	"netbootd/internal/boottree"
	"netbootd/internal/images"
	"netbootd/metrics"
	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// A logLines is a log that tests wait for lines in.
type logLines struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at each line
}

func newLogLines() *logLines { return &logLines{more: make(chan struct{})} }

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(bytes.TrimSpace(b)))
	close(l.more)
	l.more = make(chan struct{})
	return len(b), nil
}

// wait returns the first line that holds text, from the line number since on.
func (l *logLines) wait(t *testing.T, since int, text string) string {
	t.Helper()
	for {
		l.mu.Lock()
		more := l.more
		for ; since < len(l.lines); since++ {
			if strings.Contains(l.lines[since], text) {
				defer l.mu.Unlock()
				return l.lines[since]
			}
		}
		l.mu.Unlock()
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("no line with %q in\n%s", text, strings.Join(l.lines, "\n"))
		}
	}
}

// since is the first line that holds text, from the line number on; empty if there is
// none.
func (l *logLines) since(number int, text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines[number:] {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// has tells whether a line holds text.
func (l *logLines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
}

func (l *logLines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// A fixture is a daemon without DHCP, on free ports of the loopback interface.
type fixture struct {
	t      *testing.T
	dir    string
	log    *logLines
	opts   Options
	client *client.Client
	reload chan struct{}

	mu      sync.Mutex
	plan    Plan
	loadErr error

	daemon *Daemon
	cancel context.CancelFunc
	force  chan struct{}
	ended  chan error
}

func newFixture(t *testing.T, profiles ...*bootmenu.Profile) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), log: newLogLines(), reload: make(chan struct{}), plan: Plan{Profiles: profiles}}
	f.opts = Options{
		Settings: Settings{
			Images:        filepath.Join(f.dir, "images"),
			State:         filepath.Join(f.dir, "state"),
			Control:       ControlSettings{Socket: filepath.Join(f.dir, "run", "control.sock")},
			MetricsListen: "127.0.0.1:0",
			TFTP:          TFTPSettings{Listen: "127.0.0.1:0"},
		},
		Load: func() (Settings, Plan, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.opts.Settings, f.plan, f.loadErr
		},
		Reload: f.reload,
		Logger: slog.New(slog.NewTextHandler(f.log, nil)),
		Build:  metrics.Build{Version: "test"},
		Node:   "n1",
	}
	f.client = client.New(f.opts.Settings.Control.Socket)
	return f
}

// start runs the daemon until the test ends, and returns when it is ready.
func (f *fixture) start() {
	f.t.Helper()
	since := f.log.count()
	ctx, cancel := context.WithCancel(f.t.Context())
	f.cancel, f.force, f.ended = cancel, make(chan struct{}), make(chan error, 1)
	var err error
	if f.daemon, err = newDaemon(f.opts); err != nil {
		f.t.Fatal(err)
	}
	go func() { f.ended <- f.daemon.run(ctx, f.force) }()
	f.t.Cleanup(f.cancel)
	f.log.wait(f.t, since, "msg=ready")
}

// stop ends the daemon and returns what Run did.
func (f *fixture) stop() error {
	f.cancel()
	return <-f.ended
}

// reloadWith changes the plan and waits until the daemon has read it.
func (f *fixture) reloadWith(p Plan, err error) {
	f.t.Helper()
	f.mu.Lock()
	f.plan, f.loadErr = p, err
	f.mu.Unlock()
	since := f.log.count()
	f.reload <- struct{}{}
	f.log.wait(f.t, since, "reload")
}

func (f *fixture) status() client.Status {
	f.t.Helper()
	s, err := f.client.Status(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// listener is the address of a service, empty if it is down.
func listenerOf(s client.Status, service string) string {
	for _, l := range s.Listeners {
		if l.Service == service {
			return l.Address
		}
	}
	return ""
}

// state is how a profile stands.
func stateOf(t *testing.T, s client.Status, name string) client.Profile {
	t.Helper()
	for _, p := range s.Profiles {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no profile %q in %+v", name, s.Profiles)
	return client.Profile{}
}

// board is a profile that hands a boot file to every machine. No two have the same
// priority, or one would be refused.
func board(name string) *bootmenu.Profile {
	priority := -int(name[0])<<8 - len(name)
	return &bootmenu.Profile{Name: name, Title: name, Autostart: true, Priority: priority, Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{BootFile: "MLO"}}
}

// putImage stores the boot file of [board] in an images directory.
func putImage(t *testing.T, dir string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	putFile(t, dir, "MLO", string(content))
}

// putFile writes a file into a directory.
func putFile(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRunServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("board"))
	putImage(t, f.opts.Settings.Images, []byte("first stage"))
	f.start()
	s := f.status()
	if p := stateOf(t, s, "board"); p.State != client.ProfileStarted || p.Degraded {
		t.Errorf("profile %+v", p)
	}
	if s.Version != "test" || s.Node != "n1" || s.Since.IsZero() || !s.LastReload.OK || s.Answers != "ProxyDHCP is switched off: no machine is answered" {
		t.Errorf("status %+v", s)
	}
	server := netip.MustParseAddrPort(listenerOf(s, "tftp"))
	got, err := fetch(t, server, "MLO")
	if err != nil || got != "first stage" {
		t.Errorf("fetched %q, %v", got, err)
	}
	f.log.wait(t, 0, `msg="file delivered"`)
	if page := get(t, listenerOf(s, "metrics"), "/metrics"); !strings.Contains(page, `netbootd_tftp_transfers_total{direction="read",profile="none",result="delivered"} 1`) ||
		!strings.Contains(page, "netbootd_tftp_listener_up 1") || !strings.Contains(page, `netbootd_profile_started{profile="board"} 1`) {
		t.Errorf("metrics:\n%s", page)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		get(t, listenerOf(s, "metrics"), path)
	}
	if err := f.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := f.client.Status(t.Context()); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("after the end: %v, want ErrNotRunning", err)
	}
}

// fetch gets a file by TFTP.
func fetch(t *testing.T, server netip.AddrPort, name string) (string, error) {
	t.Helper()
	c := tftptest.Client{Server: server}
	r, err := c.Fetch(t.Context(), name)
	return string(r.Data), err
}

// get is the body of a page that must be there.
func get(t *testing.T, addr, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(b)
}

func TestTheListenerLivesWithTheProfiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"), board("b"))
	f.start()
	ctx := t.Context()
	for _, step := range []struct {
		do func(context.Context, string, client.TurnRequest) (client.Turned, error)
		to string
		up bool
	}{
		{f.client.StopProfile, "a", true},
		{f.client.StopProfile, "b", false},
		{f.client.StopProfile, "b", false}, // stopped already
		{f.client.StartProfile, "b", true},
		{f.client.StartProfile, "b", true}, // started already
		{f.client.StopProfile, "b", false},
	} {
		if _, err := step.do(ctx, step.to, client.TurnRequest{}); err != nil {
			t.Fatal(err)
		}
		if addr := listenerOf(f.status(), "tftp"); (addr != "") != step.up {
			t.Errorf("TFTP at %q, want up: %v", addr, step.up)
		}
	}
	if _, err := f.client.StartProfile(ctx, "c", client.TurnRequest{}); !errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), "a, b") {
		t.Errorf("a profile that is not there: %v", err)
	}
	if _, err := f.client.StartProfile(ctx, "a", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.start() // what was done by hand outlives the process
	if s := f.status(); stateOf(t, s, "a").State != client.ProfileStarted || stateOf(t, s, "b").State != client.ProfileStopped {
		t.Errorf("after a restart: %+v", s.Profiles)
	}
}

func TestAProfileThatCannotBootIsNotStarted(t *testing.T) {
	t.Parallel()
	p := &bootmenu.Profile{Name: "arm", Match: &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchARM64UEFI}}, Boot: bootmenu.Boot{Kernel: "Image"}}
	f := newFixture(t, p)
	f.start()
	if _, err := f.client.StartProfile(t.Context(), "arm", client.TurnRequest{}); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "no iPXE for arm64-uefi") {
		t.Errorf("got %v", err)
	}
}

func TestReloadKeepsTheLastGoodVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"), board("b"))
	f.start()
	changed := board("a")
	changed.Title = "changed"
	f.reloadWith(Plan{Profiles: []*bootmenu.Profile{changed}, Broken: map[string][]string{"b": {"b.toml:1:1: wrong"}, "c": {"c.toml:1:1: wrong"}}}, nil)
	s := f.status()
	if a, b, c := stateOf(t, s, "a"), stateOf(t, s, "b"), stateOf(t, s, "c"); a.Title != "changed" ||
		b.State != client.ProfileStarted || b.Title != "b" || len(b.Problems) == 0 ||
		c.State != client.ProfileBroken {
		t.Errorf("profiles %+v", s.Profiles)
	}
	if s.LastReload.OK || len(s.LastReload.Problems) != 2 {
		t.Errorf("last reload %+v", s.LastReload)
	}
	if _, err := f.client.StartProfile(t.Context(), "c", client.TurnRequest{}); !errors.Is(err, client.ErrConflict) {
		t.Errorf("a broken profile: %v", err)
	}
	f.reloadWith(Plan{}, errors.New("netbootd.toml:1:1: wrong"))
	if s := f.status(); len(s.Profiles) != 3 || s.LastReload.OK {
		t.Errorf("a broken netbootd.toml changed something: %+v", s)
	}
	f.reloadWith(Plan{}, nil)
	if s := f.status(); len(s.Profiles) != 0 || listenerOf(s, "tftp") != "" || !s.LastReload.OK {
		t.Errorf("deleted files are stops: %+v", s)
	}
	if page := get(t, listenerOf(f.status(), "metrics"), "/metrics"); !strings.Contains(page, "netbootd_config_last_reload_successful 1") || strings.Contains(page, "netbootd_profile_started{") {
		t.Errorf("metrics:\n%s", page)
	}
}

func TestStatusSaysWhatNeedsTheLeaseServer(t *testing.T) {
	t.Parallel()
	uboot, err := bootmenu.ParsePattern("U-Boot*")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, board("a"), &bootmenu.Profile{Name: "u", Match: &bootmenu.Match{VendorClass: []bootmenu.Pattern{uboot}}, Boot: bootmenu.Boot{BootFile: "boot.scr"}})
	f.start()
	s := f.status()
	if a, u := stateOf(t, s, "a"), stateOf(t, s, "u"); len(a.Notes) != 0 || len(u.Notes) != 1 || !strings.Contains(u.Notes[0], "lease server") {
		t.Errorf("notes %q and %q", a.Notes, u.Notes)
	}
}

func TestATakenPortIsAReasonNotToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	f := newFixture(t, board("a"))
	f.opts.Settings.TFTP.Listen = taken.LocalAddr().String()
	err = Run(t.Context(), nil, f.opts)
	var start *StartError
	if !errors.As(err, &start) || start.Hint == "" {
		t.Fatalf("got %v, want a StartError with a hint", err)
	}
	for _, want := range []string{taken.LocalAddr().String(), "address already in use", "held by daemon.test", "pid " + strconv.Itoa(os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if _, err := os.Stat(f.opts.Settings.Control.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket was left behind: %v", err)
	}
}

func TestTwoDaemonsDoNotShareASocket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start()
	err := Run(t.Context(), nil, f.opts)
	if err == nil || !strings.Contains(err.Error(), "another netbootd is running") {
		t.Errorf("got %v", err)
	}
	f.status() // the first one still answers
}

func TestStateOfAnUnknownFormatIsAReasonNotToStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	if err := os.MkdirAll(f.opts.Settings.State, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.opts.Settings.State, "started.json")
	if err := os.WriteFile(file, []byte(`{"format":99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), nil, f.opts); err == nil || !strings.Contains(err.Error(), "has format 99") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != `{"format":99}` {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

func TestLimitsOfTransfersAreCountedAndTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.opts.Settings.TFTP.MaxTransfers = 1
	f.opts.Settings.TFTP.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	putImage(t, f.opts.Settings.Images, make([]byte, 600))
	f.start()
	s := f.status()
	server := netip.MustParseAddrPort(listenerOf(s, "tftp"))
	first, second := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.1"), server), tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.1"), server)
	first.Ask("MLO")
	first.ExpectBlock(1)
	second.Ask("MLO")
	if got := second.ExpectError(tftp.ErrDiskFull); got.Text != "server is busy, try again" {
		t.Errorf("got text %q", got.Text)
	}
	tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.3"), server).Ask("MLO")
	for _, want := range []string{"too many transfers", "clients of this network are not served, and get no answer"} {
		if line := f.log.wait(t, 0, want); !strings.Contains(line, `level=WARN msg="transfer refused"`) {
			t.Errorf("got line %q", line)
		}
	}
	if page := get(t, listenerOf(s, "metrics"), "/metrics"); !strings.Contains(page, `netbootd_tftp_transfers_total{direction="read",profile="none",result="refused"} 2`) {
		t.Errorf("metrics:\n%s", page)
	}
}

func TestTheProfileLimitsWhatItsMachineFetches(t *testing.T) {
	t.Parallel()
	store, err := images.Create(t.TempDir(), images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	putImage(t, store.Dir(), make([]byte, 600))
	links, addr := &boottree.Links{}, netip.MustParseAddr("127.0.0.1")
	p := board("a")
	p.Boot.TFTP = bootmenu.TFTPLimits{MaxBlksize: 300, MaxWindowsize: 2, RefuseOptions: []string{"timeout"}}
	m := bootmenu.Machine{MAC: bootmenu.MACFromBytes([]byte{2, 0, 0, 0, 0, 1}), Addr: addr}
	links.Decided(m, bootmenu.NewCatalog([]*bootmenu.Profile{p}, nil, bootmenu.Menu{}).Select(m))
	server, err := tftp.Listen(tftp.Options{Listen: "127.0.0.1:0", Opener: opener{boottree.New(boottree.Options{Images: store, Links: links})}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- server.Serve(ctx) }()
	peer := tftptest.NewPeer(t, addr, server.Addrs()[0])
	peer.Ask("MLO", tftp.Option{Name: "blksize", Value: "1468"}, tftp.Option{Name: "windowsize", Value: "8"}, tftp.Option{Name: "timeout", Value: "5"})
	want := []tftp.Option{{Name: "blksize", Value: "300"}, {Name: "windowsize", Value: "2"}}
	if got := peer.Expect(tftp.OpOACK).Options; !slices.Equal(got, want) {
		t.Errorf("got OACK %v, want %v", got, want)
	}
	cancel()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClientsWriteOnlyWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	for network, allowed := range map[string]bool{"127.0.0.0/8": true, "198.18.0.0/15": false} {
		f := newFixture(t, board("a"))
		dir := filepath.Join(f.dir, "written")
		f.opts.Settings.TFTP.Write = &WriteSettings{Inbox: images.InboxOptions{Dir: dir, Quota: 1000}, Allow: []netip.Prefix{netip.MustParsePrefix(network)}}
		f.start()
		p := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(listenerOf(f.status(), "tftp")))
		p.Write(`\\logs\\dmesg`)
		if !allowed {
			p.ExpectError(tftp.ErrAccessViolation)
			f.log.wait(t, 0, "127.0.0.1 may not write")
			continue
		}
		p.ExpectAck(0)
		p.Data(1, []byte("oops"))
		p.ExpectAck(1)
		if b, err := os.ReadFile(filepath.Join(dir, "logs/dmesg")); err != nil || string(b) != "oops" {
			t.Errorf("stored %q, %v", b, err)
		}
		p.Write("../climb")
		p.ExpectError(tftp.ErrAccessViolation)
		p.Write("logs/dmesg")
		p.ExpectError(tftp.ErrFileExists)
		p.Write("big", tftp.Option{Name: "tsize", Value: "1001"})
		p.ExpectError(tftp.ErrDiskFull)
	}
}
