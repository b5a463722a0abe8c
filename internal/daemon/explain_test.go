package daemon

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netbootd/bootmenu"
	"netbootd/client"
	"netbootd/dhcpproxy"
)

var pcMAC = bootmenu.MACFromBytes([]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56})

// question is a DISCOVER of a UEFI PC on an interface that no host has.
func question() client.ExplainRequest {
	return client.ExplainRequest{
		Packet:    dhcpproxy.Client{MAC: pcMAC, Arch: bootmenu.ArchX64UEFI}.Discover(),
		Port:      dhcpproxy.PortDHCP,
		Interface: "lab0",
	}
}

func TestExplainGoesByWhatTheDaemonHolds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, board("a"))
	putImage(t, f.opts.Settings.Images, efiProgram())
	f.start()
	e, err := f.client.Explain(t.Context(), question())
	if err != nil || !e.Answered() || e.Request != "DISCOVER" || e.Profile != "a" || e.Rule != "matched every PXE client" ||
		e.Style != "bare" || e.StyleWhy == "" || e.File != "MLO" || e.From != "192.0.2.1" || e.To != "255.255.255.255:68" ||
		e.Machine.MAC != pcMAC.String() || e.Machine.Arch != "x64-uefi" || e.Machine.Interface != "lab0" {
		t.Errorf("%+v, %v", e, err)
	}
	if !slices.Contains(e.Reply, client.PacketField{Name: "siaddr", Value: "192.0.2.1"}) || !slices.Contains(e.Reply, client.PacketField{Name: "file", Value: `"MLO"`}) {
		t.Errorf("reply %+v", e.Reply)
	}
	if notes := strings.Join(e.Notes, "\n"); !strings.Contains(notes, "no such interface") || !strings.Contains(notes, "switched off") {
		t.Errorf("notes: %s", notes)
	}
	if _, err := f.client.StopProfile(t.Context(), "a", client.TurnRequest{}); err != nil {
		t.Fatal(err)
	}
	e, err = f.client.Explain(t.Context(), question())
	if err != nil || e.Reason != string(bootmenu.ReasonNoProfile) || len(e.Reply) != 0 || !strings.Contains(strings.Join(e.Notes, "\n"), "netbootd start a") {
		t.Errorf("stopped: %+v, %v", e, err)
	}
}

func TestExplainGoesByTheFilesAlone(t *testing.T) {
	t.Parallel()
	s := Settings{DHCP: DHCPSettings{Enabled: true}, State: t.TempDir(), Images: filepath.Join(t.TempDir(), "images")}
	plan := Plan{Profiles: []*bootmenu.Profile{board("a")}, Broken: map[string][]string{"b": {"b.toml:1:1: wrong"}}}
	explained := func() client.Explanation {
		t.Helper()
		e, err := Explain(s, plan, question())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	notes := func(e client.Explanation) string { return strings.Join(e.Notes, "\n") }
	if e := explained(); !e.Answered() || e.Style != "bare" || !strings.Contains(notes(e), "profile b is broken and left out: b.toml:1:1: wrong") || !strings.Contains(notes(e), "the files of profiles were not looked at: ") {
		t.Errorf("%+v", e)
	}
	putImage(t, s.Images, []byte("first stage of a board"))
	if e := explained(); e.Reason != string(bootmenu.ReasonWrongFile) || e.Rule != "matched every PXE client; but profile a: MLO is plain text, and x64-uefi starts EFI programs only" {
		t.Errorf("with a file of another kind: %+v", e)
	}
	putImage(t, s.Images, efiProgram())
	styles, err := openStyles(s.State, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	styles.Followed(pcMAC, bootmenu.ArchX64UEFI, bootmenu.StyleSkip)
	if e := explained(); e.Style != "skip" || e.StyleWhy != "what this machine followed the last time" {
		t.Errorf("with a memory: %+v", e)
	}
	if _, err := changeStarted(newStartedFile(s.State), time.Now(), func(s *Started) { s.turn("a", false, time.Time{}) }); err != nil {
		t.Fatal(err)
	}
	if e := explained(); e.Answered() {
		t.Errorf("with a profile that was stopped by hand: %+v", e)
	}
	for _, name := range []string{"started.json", "styles.json", "assignments.json"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"format":99}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Explain(Settings{State: dir}, plan, question()); err == nil {
			t.Errorf("%s of an unknown format: no error", name)
		}
	}
}

func TestExplainSaysWhatElseMatters(t *testing.T) {
	t.Parallel()
	uboot, err := bootmenu.ParsePattern("U-Boot*")
	if err != nil {
		t.Fatal(err)
	}
	named := Settings{DHCP: DHCPSettings{Enabled: true, Relays: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}}, Interfaces: dhcpproxy.Policy{Names: []string{"lab1"}}}
	here := named
	here.Interfaces = dhcpproxy.Policy{Names: []string{"lab0"}}
	plan := Plan{Profiles: []*bootmenu.Profile{{Name: "u", Autostart: true, Match: &bootmenu.Match{VendorClass: []bootmenu.Pattern{uboot}}, Boot: bootmenu.Boot{BootFile: "boot.scr"}}}}
	ub := question()
	ub.Packet = dhcpproxy.Client{MAC: pcMAC, Arch: bootmenu.ArchARM64UBoot, Relay: netip.MustParseAddr("198.18.5.1")}.Discover()
	if e, err := Explain(named, plan, ub); err != nil || e.Reason != string(dhcpproxy.ReasonOtherInterface) {
		t.Errorf("an interface that is not served: %+v, %v", e, err)
	}
	if e, err := Explain(here, plan, ub); err != nil || e.Style != "header" || e.To != "198.18.5.1:67" || !strings.Contains(strings.Join(e.Notes, "\n"), "lease server") {
		t.Errorf("a board behind a relay: %+v, %v", e, err)
	}
	for name, q := range map[string]client.ExplainRequest{
		"no packet":     {Port: 67},
		"another port":  {Packet: ub.Packet, Port: 68},
		"a bad address": {Packet: ub.Packet, Port: 67, Source: "nowhere"},
	} {
		if _, err := Explain(here, plan, q); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// faulty is a selector with a fault.
type faulty struct{ dhcpproxy.Selector }

func (faulty) Select(bootmenu.Machine) bootmenu.Decision { panic("index out of range") }

func TestExplainTellsOfAFault(t *testing.T) {
	t.Parallel()
	x := explainer{Settings{DHCP: DHCPSettings{Enabled: true}}, newResponder(faulty{}, DHCPSettings{}), nil, bootmenu.NewCatalog(nil, nil, bootmenu.Menu{}), bootmenu.NewCatalog(nil, nil, bootmenu.Menu{})}
	e, err := x.explain(question())
	if err != nil || e.Answered() || e.Reason != string(dhcpproxy.ReasonPanic) || e.Request != "DISCOVER" || e.Machine.MAC != pcMAC.String() ||
		!strings.Contains(e.Rule, "index out of range") || len(e.Reply) > 0 {
		t.Errorf("%+v, %v", e, err)
	}
}
