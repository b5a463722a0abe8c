package daemon

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"netbootd/bootmenu"
	"netbootd/client"
	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// A boarding is a daemon and one machine, at an address of the loopback interface.
type boarding struct {
	*fixture
	mac  bootmenu.MAC
	addr netip.Addr
}

// newBoarding runs a daemon with the profiles installer, which nobody gets by
// itself, and usual, which everybody gets.
func newBoarding(t *testing.T) *boarding {
	t.Helper()
	installer := &bootmenu.Profile{Name: "installer", Title: "installer", Autostart: true, Once: true, Boot: bootmenu.Boot{BootFile: "MLO", Initrd: []string{"initrd"}}}
	b := &boarding{fixture: newFixture(t, installer, board("usual")), mac: testMAC(7), addr: netip.MustParseAddr("127.0.0.1")}
	putImage(t, b.opts.Settings.Images, tftptest.Bytes(1500))
	b.start()
	return b
}

// asks is what the machine gets when it asks by DHCP; its files are from that then.
func (b *boarding) asks() bootmenu.Decision {
	m := bootmenu.Machine{MAC: b.mac, Arch: bootmenu.ArchARM64UBoot, Addr: b.addr}
	d := b.daemon.tree.Select(m)
	b.daemon.links.Decided(m, d)
	return d
}

// server is where TFTP is.
func (b *boarding) server() netip.AddrPort {
	b.t.Helper()
	return netip.MustParseAddrPort(listenerOf(b.status(), "tftp"))
}

// assign assigns the machine to the installer for one boot.
func (b *boarding) assign(what client.AssignRequest) client.Assignments {
	b.t.Helper()
	a, err := b.client.Assign(b.t.Context(), b.mac.String(), what)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *boarding) assigned() client.Assignments {
	b.t.Helper()
	a, err := b.client.Assigned(b.t.Context(), b.mac.String())
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func TestDeliveryConsumesAnAssignment(t *testing.T) {
	t.Parallel()
	b := newBoarding(t)
	b.assign(client.AssignRequest{Profile: "usual"})
	b.assign(client.AssignRequest{Profile: "installer", Once: true})
	if d := b.asks(); d.Profile != "installer" || d.Assigned != bootmenu.AssignedOnce {
		t.Fatalf("got %+v", d)
	}
	since := b.log.count()
	// Two at the same time are one boot.
	first, second := tftptest.NewPeer(t, b.addr, b.server()), tftptest.NewPeer(t, b.addr, b.server())
	for _, p := range []*tftptest.Peer{first, second} {
		p.Ask("MLO")
		p.ExpectBlock(1)
	}
	for _, p := range []*tftptest.Peer{first, second} {
		p.Ack(1)
		p.ExpectBlock(2)
		p.Ack(2)
		p.ExpectBlock(3)
		p.Ack(3)
	}
	b.log.wait(t, since, `msg="once-assignment consumed" mac=02:00:00:00:00:07 profile=installer by=delivered`)
	if a := b.assigned(); a.Once != nil || a.Pinned == nil || a.Pinned.Profile != "usual" || a.Done == nil {
		t.Errorf("afterwards %+v", a)
	}
	if d := b.asks(); d.Profile != "usual" || d.Assigned != bootmenu.AssignedPinned {
		t.Errorf("the next boot gets %+v", d)
	}
	if page := get(t, listenerOf(b.status(), "metrics"), "/metrics"); !strings.Contains(page, `netbootd_assignments_consumed_total{by="delivered"} 1`) ||
		!strings.Contains(page, `netbootd_assignments{kind="pinned"} 1`) || !strings.Contains(page, `netbootd_assignments{kind="once"} 0`) {
		t.Errorf("metrics:\n%s", page)
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	b.start()
	if d := b.asks(); d.Profile != "usual" {
		t.Errorf("after a restart it gets %+v", d)
	}
}

// Whatever does not start the installer does not consume the assignment to it.
func TestWhatDoesNotConsumeAnAssignment(t *testing.T) {
	t.Parallel()
	b := newBoarding(t)
	b.assign(client.AssignRequest{Profile: "installer", Once: true})
	b.asks()
	probe := tftptest.NewPeer(t, b.addr, b.server())
	probe.Ask("MLO", tftp.Option{Name: "tsize", Value: "0"})
	probe.Expect(tftp.OpOACK)
	probe.Fail(tftp.ErrOptionRefused, "User aborted the transfer")
	aborted := tftptest.NewPeer(t, b.addr, b.server())
	aborted.Ask("MLO")
	aborted.ExpectBlock(1)
	aborted.Fail(tftp.ErrUndefined, "enough")
	b.log.wait(t, 0, "client ended the transfer")
	failed := tftptest.NewPeer(t, b.addr, b.server())
	failed.Ask("MLO")
	failed.ExpectBlock(1)
	failed.Fail(tftp.ErrDiskFull, "no memory")
	b.log.wait(t, 0, "transfer failed")
	putFile(t, b.opts.Settings.Images, "other", "some other file")
	if _, err := fetch(t, b.server(), "other"); err != nil {
		t.Fatal(err)
	}
	b.log.wait(t, 0, "file=other")
	// A boot that began before the assignment consumes it neither.
	b.clear()
	b.assign(client.AssignRequest{Profile: "installer", Once: true})
	b.asks()
	b.assign(client.AssignRequest{Profile: "installer", Once: true})
	if _, err := fetch(t, b.server(), "MLO"); err != nil {
		t.Fatal(err)
	}
	b.log.wait(t, 0, `msg="file delivered"`)
	if err := b.stop(); err != nil { // what was delivered is written down by then
		t.Fatal(err)
	}
	if b.log.has("once-assignment consumed") {
		t.Error("it was consumed")
	}
	b.start()
	if a := b.assigned(); a.Once == nil || a.Once.Profile != "installer" {
		t.Errorf("after a restart: %+v", a)
	}
}

func (b *boarding) clear() {
	b.t.Helper()
	a, err := b.client.ClearAssignment(b.t.Context(), b.mac.String())
	if err != nil || !a.Changed || a.Once != nil {
		b.t.Fatalf("%+v, %v", a, err)
	}
}

func TestAMachineSaysThatItIsDone(t *testing.T) {
	t.Parallel()
	b := newBoarding(t)
	b.reloadWith(Plan{Profiles: []*bootmenu.Profile{{Name: "slow", Title: "slow", Autostart: true, Consumed: bootmenu.ConsumedCallback, Boot: bootmenu.Boot{BootFile: "MLO"}}}}, nil)
	b.assign(client.AssignRequest{Profile: "slow", Once: true})
	b.asks()
	if _, err := fetch(t, b.server(), "MLO"); err != nil {
		t.Fatal(err)
	}
	if a := b.assigned(); a.Once == nil {
		t.Fatalf("its boot file consumed it: %+v", a)
	}
	got, err := fetch(t, b.server(), bootmenu.DoneName)
	if err != nil || got != "netbootd: noted, this machine is done with profile slow\n" {
		t.Errorf("read %q, %v", got, err)
	}
	b.log.wait(t, 0, "once-assignment consumed")
	d := b.daemon.tree.Select(bootmenu.Machine{MAC: b.mac, Arch: bootmenu.ArchX64UEFI})
	if d.Boot.Instead != bootmenu.InsteadDisk || d.Assigned != bootmenu.AssignedDone || d.Silent() {
		t.Errorf("the next boot gets %+v", d)
	}
	if _, err := fetch(t, netip.MustParseAddrPort(b.server().String()), "netbootd/undone"); err == nil {
		t.Error("there is a file of another reserved name")
	}
	// Somebody may say so in its place.
	b.assign(client.AssignRequest{Profile: "slow", Once: true})
	for _, changed := range []bool{true, false} {
		if a, err := b.client.FinishAssignment(t.Context(), b.mac.String()); err != nil || a.Changed != changed || a.Once != nil || a.Done == nil {
			t.Errorf("done: %+v, %v", a, err)
		}
	}
}

func TestWhoIsAssignedToWhatIsNotThereGetsNothingElse(t *testing.T) {
	t.Parallel()
	b := newBoarding(t)
	b.assign(client.AssignRequest{Profile: "installer", Once: true})
	if _, err := b.client.StopProfile(t.Context(), "installer", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	if d := b.asks(); d.Reason != bootmenu.ReasonAssignedStopped {
		t.Errorf("stopped: %+v", d)
	}
	if a := b.status().Assignments; len(a) != 1 || len(a[0].Problems) != 1 || !strings.Contains(a[0].Problems[0], "netbootd start installer") {
		t.Errorf("stopped: %+v", a)
	}
	onceOnly := board("usual")
	onceOnly.Once = true
	b.clear()
	b.assign(client.AssignRequest{Profile: "usual"})
	b.reloadWith(Plan{Profiles: []*bootmenu.Profile{onceOnly}}, nil)
	if d := b.asks(); d.Reason != bootmenu.ReasonAssignedUnfit {
		t.Errorf("given once only: %+v", d)
	}
	if a := b.status().Assignments; len(a) != 1 || len(a[0].Problems) != 1 || !strings.Contains(a[0].Problems[0], "says once = true") {
		t.Errorf("given once only: %+v", a)
	}
	b.reloadWith(Plan{Profiles: []*bootmenu.Profile{board("other")}}, nil)
	if d := b.asks(); d.Reason != bootmenu.ReasonAssignedGone {
		t.Errorf("gone: %+v", d)
	}
	if a := b.status().Assignments; len(a) != 1 || len(a[0].Problems) != 1 || !strings.Contains(a[0].Problems[0], "does not exist any more") {
		t.Errorf("gone: %+v", a)
	}
}

func TestAssignmentsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	b := newBoarding(t)
	disk := &bootmenu.Profile{Name: "disk", Boot: bootmenu.Boot{Instead: bootmenu.InsteadDisk}}
	b.reloadWith(Plan{Profiles: append(slices.Clone(b.plan.Profiles), disk), Broken: map[string][]string{"broken": {"broken.toml:1:1: wrong"}}}, nil)
	for name, c := range map[string]struct {
		mac  string
		what client.AssignRequest
		is   error
		text string
	}{
		"an unknown profile":        {b.mac.String(), client.AssignRequest{Profile: "instaler"}, client.ErrNotFound, "broken, disk, installer, usual"},
		"a broken profile":          {b.mac.String(), client.AssignRequest{Profile: "broken"}, client.ErrConflict, "broken.toml:1:1: wrong"},
		"no MAC address":            {"52:54", client.AssignRequest{Profile: "usual"}, client.ErrInvalid, "is not a MAC address"},
		"a pinned installer":        {b.mac.String(), client.AssignRequest{Profile: "installer"}, client.ErrInvalid, "add --once"},
		"nothing to deliver":        {b.mac.String(), client.AssignRequest{Profile: "disk", Once: true}, client.ErrInvalid, "loads nothing"},
		"a time for good":           {b.mac.String(), client.AssignRequest{Profile: "usual", Expires: client.Duration(time.Hour)}, client.ErrInvalid, "goes with once only"},
		"a time that is over":       {b.mac.String(), client.AssignRequest{Profile: "usual", Once: true, Expires: -1}, client.ErrInvalid, "more than zero"},
		"no profile to speak of":    {b.mac.String(), client.AssignRequest{}, client.ErrNotFound, "there is no profile"},
		"another kind of MAC value": {"52-54-00-00-00-0g", client.AssignRequest{Profile: "usual"}, client.ErrInvalid, "is not a MAC address"},
	} {
		if _, err := b.client.Assign(t.Context(), c.mac, c.what); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.status().Assignments; len(got) != 0 {
		t.Errorf("something was assigned: %+v", got)
	}
	if a, err := b.client.ClearAssignment(t.Context(), b.mac.String()); err != nil || a.Changed {
		t.Errorf("clear what is not there: %+v, %v", a, err)
	}
}
