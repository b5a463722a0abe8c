package daemon

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netbootd/bootmenu"
	"netbootd/client"
	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func TestStartAndStopSayHowItWas(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.start()
	for _, step := range []struct {
		stop          bool
		already, up   bool
		state         client.ProfileState
		lastsForAHour bool
	}{
		{false, true, true, client.ProfileStarted, false},
		{true, false, false, client.ProfileStopped, false},
		{true, true, false, client.ProfileStopped, true},
		{false, false, true, client.ProfileStarted, true},
		{false, true, true, client.ProfileStarted, false},
	} {
		call, how := f.client.StartProfile, client.TurnRequest{}
		if step.stop {
			call = f.client.StopProfile
		}
		if step.lastsForAHour {
			how.For = client.Duration(time.Hour)
		}
		got, err := call(t.Context(), "a", how)
		if err != nil || got.Already != step.already || got.State != step.state || got.Until.IsZero() == step.lastsForAHour || (len(got.Addresses) > 0) != step.up {
			t.Errorf("%+v: got %+v, %v", step, got, err)
		}
	}
	if _, err := f.client.StartProfile(t.Context(), "a", client.TurnRequest{For: -1}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a time that is over: %v", err)
	}
}

func TestAStopForATimeEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.start()
	since := f.log.count()
	if _, err := f.client.StopProfile(t.Context(), "a", client.TurnRequest{For: client.Duration(20 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	f.log.wait(t, since, `msg="the time is over for which the profile was started or stopped" profile=a is_started=true`)
	f.log.wait(t, since, `msg="profile started" profile=a`)
	if p := stateOf(t, f.status(), "a"); p.State != client.ProfileStarted || !p.Until.IsZero() {
		t.Errorf("afterwards %+v", p)
	}
}

// What was before a start for a time holds afterwards: autostart, or what was done
// by hand.
func TestAStartForATimeEndsWhileNobodyRuns(t *testing.T) {
	t.Parallel()
	byHand, manual := board("by-hand"), board("manual")
	manual.Autostart = false
	f := newFixture(t, byHand, manual)
	f.start()
	if _, err := f.client.StopProfile(t.Context(), "by-hand", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"by-hand", "manual"} {
		if _, err := f.client.StartProfile(t.Context(), name, client.TurnRequest{For: client.Duration(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(want client.ProfileState) {
		t.Helper()
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
		f.start()
		for _, p := range f.status().Profiles {
			if p.State != want {
				t.Errorf("after a restart: %+v, want %s", p, want)
			}
		}
	}
	restart(client.ProfileStarted)
	file := filepath.Join(f.opts.Settings.State, "started.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	past := strings.ReplaceAll(string(b), `"until":"20`, `"until":"19`)
	if past == string(b) {
		t.Fatalf("no time in %s", b)
	}
	if err := os.WriteFile(file, []byte(past), 0o644); err != nil {
		t.Fatal(err)
	}
	restart(client.ProfileStopped)
}

func TestAutoForgetsWhatWasDoneByHand(t *testing.T) {
	t.Parallel()
	manual := board("manual")
	manual.Autostart = false
	f := newFixture(t, board("auto"), manual)
	f.start()
	ctx := t.Context()
	if _, err := f.client.StopProfile(ctx, "auto", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.StartProfile(ctx, "manual", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]client.ProfileState{"auto": client.ProfileStarted, "manual": client.ProfileStopped} {
		if got, err := f.client.StartProfile(ctx, name, client.TurnRequest{Auto: true}); err != nil || got.State != want || got.Already {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	kept, err := newStartedFile(f.opts.Settings.State).Load()
	if err != nil || len(kept.Profiles) != 0 {
		t.Errorf("not forgotten: %+v, %v", kept, err)
	}
}

// A transfer for one profile goes on whatever is done to the others.
func TestATransferIsNotDisturbedByOtherProfiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"), board("b"))
	putImage(t, f.opts.Settings.Images, tftptest.Bytes(6*512))
	f.start()
	ctx, next := t.Context(), tftp.BlockNumber(1)
	p := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(listenerOf(f.status(), "tftp")))
	p.Ask("MLO")
	goOn := func() {
		t.Helper()
		p.ExpectBlock(next)
		p.Ack(next)
		next++
	}
	goOn()
	if _, err := f.client.StopProfile(ctx, "b", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	goOn()
	if _, err := f.client.StartProfile(ctx, "b", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	goOn()
	changed := board("b")
	changed.Title = "changed"
	f.reloadWith(Plan{Profiles: []*bootmenu.Profile{board("a"), changed}}, nil)
	goOn()
	f.reloadWith(Plan{Profiles: []*bootmenu.Profile{board("a")}}, nil)
	for next <= 7 {
		goOn()
	}
	f.log.wait(t, 0, `msg="file delivered"`)
}

func TestTFTPIsHeldByHand(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.start()
	ctx := t.Context()
	if got, err := f.client.StartTFTP(ctx); err != nil || !got.Already || !got.Running || len(got.Addresses) != 1 || !slices.Equal(got.Holders, []string{"profile a", "tftp start"}) {
		t.Errorf("start beside a profile: %+v, %v", got, err)
	}
	if _, err := f.client.StopTFTP(ctx, client.TFTPStopRequest{}); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "profile a") {
		t.Errorf("stop beside a profile: %v", err)
	}
	if _, err := f.client.StopProfile(ctx, "a", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	got, err := f.client.TFTP(ctx, netip.Addr{})
	if err != nil || !got.Running || got.Host != "127.0.0.1" || netip.AddrPortFrom(netip.MustParseAddr(got.Host), got.Port).String() != got.Addresses[0] {
		t.Errorf("held by hand alone: %+v, %v", got, err)
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.start() // it outlives the process
	drain := client.Duration(time.Second)
	if got, err := f.client.StopTFTP(ctx, client.TFTPStopRequest{Drain: &drain}); err != nil || got.Running || len(got.Holders) != 0 {
		t.Errorf("stop after a restart: %+v, %v", got, err)
	}
	if _, err := f.client.StopTFTP(ctx, client.TFTPStopRequest{}); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("stop once more: %v", err)
	}
	if got, err := f.client.TFTP(ctx, netip.Addr{}); err != nil || got.Running || got.Host != "" || got.Port != 0 {
		t.Errorf("down: %+v, %v", got, err)
	}
}

func TestTFTPIsStoppedByForce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"), board("b"))
	putImage(t, f.opts.Settings.Images, tftptest.Bytes(1500))
	f.opts.Settings.TFTP.Drain = time.Minute
	f.start()
	p := tftptest.NewPeer(t, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(listenerOf(f.status(), "tftp")))
	p.Ask("MLO")
	p.ExpectBlock(1)
	var none client.Duration
	if got, err := f.client.StopTFTP(t.Context(), client.TFTPStopRequest{Force: true, Drain: &none}); err != nil || got.Running {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := p.ExpectAny(); got.Op != tftp.OpERROR {
		t.Errorf("the client is told %+v, want an ERROR", got)
	}
	for _, profile := range f.status().Profiles {
		if profile.State != client.ProfileStopped {
			t.Errorf("not stopped: %+v", profile)
		}
	}
}

func TestForceDoesNotStopWhatTheSettingsHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.opts.Settings.TFTP.Always = true
	f.start()
	if _, err := f.client.StopTFTP(t.Context(), client.TFTPStopRequest{Force: true}); !errors.Is(err, client.ErrConflict) || !strings.HasSuffix(err.Error(), "needed by [tftp] always") {
		t.Errorf("got %v", err)
	}
	if p := stateOf(t, f.status(), "a"); p.State != client.ProfileStarted {
		t.Errorf("a profile was stopped all the same: %+v", p)
	}
}

// The address for a client is never the unspecified one.
func TestTheAddressForAClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	f.opts.Settings.TFTP.Listen = ":0"
	f.start()
	got, err := f.client.TFTP(t.Context(), netip.MustParseAddr("127.0.0.9"))
	if err != nil || got.Host != "127.0.0.1" && got.Host != "127.0.0.9" || got.Port == 0 {
		t.Errorf("on the loopback interface: %+v, %v", got, err)
	}
	if got, err = f.client.TFTP(t.Context(), netip.Addr{}); err != nil || got.Host != "" && netip.MustParseAddr(got.Host).IsUnspecified() {
		t.Errorf("for nobody in particular: %+v, %v", got, err)
	}
}

// A port that is taken is no start: nothing is kept of it, and its owner is named.
func TestAStartThatCannotBindChangesNothing(t *testing.T) {
	t.Parallel()
	a := board("a")
	a.Autostart = false
	f := newFixture(t, a)
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	f.opts.Settings.TFTP.Listen = taken.LocalAddr().String()
	f.start()
	_, startErr := f.client.StartProfile(t.Context(), "a", client.TurnRequest{})
	_, tftpErr := f.client.StartTFTP(t.Context())
	for _, err := range []error{startErr, tftpErr} {
		if !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
			t.Errorf("got %v", err)
		}
	}
	kept, err := newStartedFile(f.opts.Settings.State).Load()
	if err != nil || kept.Rev != 0 || stateOf(t, f.status(), "a").State != client.ProfileStopped {
		t.Errorf("kept %+v, %v", kept, err)
	}
}
