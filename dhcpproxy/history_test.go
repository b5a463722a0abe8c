package dhcpproxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// A memory is Styles that are forgotten with the test.
type memory map[bootmenu.Arch]bootmenu.Style

func (m memory) Style(_ bootmenu.MAC, a bootmenu.Arch) bootmenu.Style { return m[a] }

func (m memory) Followed(_ bootmenu.MAC, a bootmenu.Arch, s bootmenu.Style) { m[a] = s }

// A play lets one machine ask, and remembers what became of it.
type play struct {
	t       *testing.T
	r       *Responder
	history History
	now     time.Time
}

func newPlay(t *testing.T, styles Styles) *play {
	return &play{t: t, r: testResponder(t), history: History{Styles: styles}, now: time.Unix(1e9, 0)}
}

// ask is one request, answered and noted.
func (p *play) ask(in Ingress, r request) Verdict {
	p.t.Helper()
	v := p.r.Answer(parse(p.t, r.bytes()), in, func(m bootmenu.Machine) Past { return p.history.past(m, p.now) })
	if v.Reply != nil {
		p.history.replied(v, p.now)
	}
	return v
}

func (p *play) fetch(mac []byte, name string) {
	p.history.fetched(bootmenu.MACFromBytes(mac), name, p.now)
}

// styles are those of n OFFERs in a row.
func (p *play) styles(n int, r request) (styles []bootmenu.Style) {
	for range n {
		styles = append(styles, p.ask(on67(), r).Reply.Style)
	}
	return styles
}

// Requests of the same machine.
var (
	uefiDiscover = request{messageType: discover, options: join(pxe, archX64)}
	biosDiscover = request{messageType: discover, options: join(class("PXEClient"), archBIOS)}
	ipxeDiscover = request{messageType: discover, options: join(pxe, archX64, userIPXE)}
	uefiAsks4011 = request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64)}
)

const (
	bare = bootmenu.StyleBare
	skip = bootmenu.StyleSkip
)

func TestAStyleIsLeftAfterThreeUnansweredOffers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		req  request
		want []bootmenu.Style
	}{
		"UEFI":                        {uefiDiscover, []bootmenu.Style{bare, bare, bare, skip, skip, skip, bare}},
		"BIOS":                        {biosDiscover, []bootmenu.Style{skip, skip, skip, bare, bare, bare, skip}},
		"iPXE follows one style only": {ipxeDiscover, []bootmenu.Style{skip, skip, skip, skip, skip, skip, skip}},
		"what a profile says stays":   {request{messageType: discover, mac: skipMAC, options: join(pxe, archX64)}, []bootmenu.Style{skip, skip, skip, skip, skip, skip, skip}},
		"what a quirk says stays":     {request{messageType: discover, options: class("PXEClient:Arch:00007:UNDI:003016")}, []bootmenu.Style{skip, skip, skip, skip, skip, skip, skip}},
	} {
		if diff := cmp.Diff(c.want, newPlay(t, nil).styles(7, c.req)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAMachineThatFollowsIsOfferedTheSameAgain(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]func(*play){
		"it comes to port 4011":     func(p *play) { p.ask(on4011("198.18.0.50:4011"), uefiAsks4011) },
		"it fetches its file":       func(p *play) { p.fetch(testMAC, snponly) },
		"its loader asks":           func(p *play) { p.ask(on67(), ipxeDiscover) },
		"its last attempt is over":  func(p *play) { p.now = p.now.Add(attemptAge + time.Second) },
		"somebody else's file does": nil,
	} {
		p := newPlay(t, nil)
		p.styles(3, uefiDiscover)
		want := bare
		if follow == nil {
			p.fetch(testMAC, "some other file")
			p.fetch(menuMAC, snponly)
			want = skip
		} else {
			follow(p)
		}
		if got := p.ask(on67(), uefiDiscover).Reply.Style; got != want {
			t.Errorf("%s: style %s, want %s", name, got, want)
		}
	}
}

func TestThePortOfBootServersKeepsToTheKind(t *testing.T) {
	t.Parallel()
	p := newPlay(t, memory{bootmenu.ArchX64UEFI: skip})
	if got := p.ask(on67(), uefiDiscover).Reply.Style; got != skip {
		t.Errorf("OFFER in style %s, want the remembered skip", got)
	}
	if got := p.ask(on4011("198.18.0.50:4011"), uefiAsks4011).Reply.Style; got != bare {
		t.Errorf("ACK in style %s, want bare", got)
	}
}

func TestTheStyleThatWorkedIsRemembered(t *testing.T) {
	t.Parallel()
	styles := memory{}
	p := newPlay(t, styles)
	p.styles(1, uefiDiscover)
	p.fetch(testMAC, snponly)
	if len(styles) != 0 {
		t.Errorf("remembers %v, though every machine of the kind does that", styles)
	}
	p.styles(4, uefiDiscover)
	p.fetch(testMAC, snponly)
	if styles[bootmenu.ArchX64UEFI] != skip || len(styles) != 1 {
		t.Errorf("remembers %v, want skip for x64-uefi", styles)
	}
	if got := p.ask(on67(), uefiDiscover).Reply; got.Style != skip || got.StyleWhy != "what this machine followed the last time" {
		t.Errorf("style %s (%s), want the remembered skip", got.Style, got.StyleWhy)
	}
	if got := p.ask(on67(), biosDiscover).Reply.Style; got != skip {
		t.Errorf("the machine as a BIOS gets style %s, want skip by its kind", got)
	}
	p.now = p.now.Add(attemptAge + time.Second)
	p.styles(4, uefiDiscover) // now bare is the other one
	p.fetch(testMAC, snponly)
	if styles[bootmenu.ArchX64UEFI] != bare {
		t.Errorf("remembers %v, want bare for x64-uefi again", styles)
	}
}

func TestALoaderThatOnlyLoadsItselfIsFound(t *testing.T) {
	t.Parallel()
	p := newPlay(t, nil)
	for n := range maxLoads {
		if v := p.ask(on67(), uefiDiscover); v.Reply == nil {
			t.Fatalf("offer %d: %s", n, v.Why)
		}
		p.fetch(testMAC, snponly) // its size, and then itself
		p.fetch(testMAC, snponly)
	}
	if v := p.ask(on67(), uefiDiscover); v.Reason != ReasonLoop {
		t.Errorf("the offer after the last: reason %q", v.Reason)
	}
	p.now = p.now.Add(attemptAge)
	if v := p.ask(on67(), uefiDiscover); v.Reason != ReasonLoop {
		t.Errorf("silence must last as long as the attempt: reason %q", v.Reason)
	}
	p.now = p.now.Add(time.Second)
	if v := p.ask(on67(), uefiDiscover); v.Reply == nil {
		t.Errorf("the machine must be answered again after that: %s", v.Why)
	}
}

func TestAMachineThatNeverFetchesIsNoLoop(t *testing.T) {
	t.Parallel()
	p := newPlay(t, nil)
	p.styles(10, uefiDiscover)
}

// TestAnItemOfTheMenuIsServedToTheEnd goes from the firmware's menu to the script
// of the profile that was picked.
func TestAnItemOfTheMenuIsServedToTheEnd(t *testing.T) {
	t.Parallel()
	p := newPlay(t, nil)
	entry := func(name string, offer bootmenu.Style) *bootmenu.Profile {
		return &bootmenu.Profile{Name: name, Title: name, Boot: bootmenu.Boot{Kernel: name, Offer: offer}}
	}
	p.r.Selector = bootmenu.NewCatalog([]*bootmenu.Profile{entry("a", ""), entry("b", bootmenu.StyleMenu)}, bootmenu.Loaders{{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE}: snponly}, bootmenu.Menu{})
	pick := request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, opt(43, 71, 4, 0x80, 1, 0, 0, 255))}
	if v := p.ask(on4011("198.18.0.50:4011"), pick); v.Reason != ReasonBootItem {
		t.Errorf("a pick before the menu: reason %q", v.Reason)
	}
	if v := p.ask(on67(), uefiDiscover); v.Reply.Style != bootmenu.StyleMenu || v.Reply.File != "" {
		t.Fatalf("DISCOVER: %+v", v.Reply)
	}
	p.now = p.now.Add(menuAge) // somebody sits before it and thinks
	// What is offered from now on is not what this machine saw.
	p.r.Selector = bootmenu.NewCatalog([]*bootmenu.Profile{entry("0", ""), entry("a", ""), entry("b", bootmenu.StyleMenu)}, bootmenu.Loaders{{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE}: snponly}, bootmenu.Menu{})
	v := p.ask(on4011("198.18.0.50:4011"), pick)
	if v.Reply == nil || v.Reply.File != snponly || v.Decision.Profile != "b" {
		t.Fatalf("pick: %+v, %+v", v.Reply, v.Decision)
	}
	p.fetch(testMAC, snponly)
	if v = p.ask(on67(), ipxeDiscover); v.Decision.Profile != "b" || len(v.Decision.Menu) != 0 || v.Reply.File != bootmenu.ScriptName || v.Reply.Style != skip {
		t.Fatalf("the loader gets %+v, %+v", v.Reply, v.Decision)
	}
	p.fetch(testMAC, bootmenu.ScriptName)
	p.now = p.now.Add(menuAge + time.Second)
	if v := p.ask(on4011("198.18.0.50:4011"), pick); v.Reason != ReasonBootItem {
		t.Errorf("a pick too late: reason %q", v.Reason)
	}
	if v = p.ask(on67(), ipxeDiscover); v.Decision.Profile != "" || v.Reply.Style != bootmenu.StyleMenu {
		t.Errorf("at the next boot iPXE gets %+v, %+v, want the menu", v.Reply, v.Decision)
	}
}

// TestTheFirmwaresMenuNeedsNoLoader offers what can be had without one.
func TestTheFirmwaresMenuNeedsNoLoader(t *testing.T) {
	t.Parallel()
	p := newPlay(t, nil)
	p.r.Selector = bootmenu.NewCatalog([]*bootmenu.Profile{
		{Name: "kernel", Title: "kernel", Boot: bootmenu.Boot{Kernel: "linux"}},
		{Name: "file", Title: "file", Boot: bootmenu.Boot{BootFile: "x.efi", Offer: bootmenu.StyleMenu}},
	}, nil, bootmenu.Menu{})
	v := p.ask(on67(), uefiDiscover)
	if v.Reply == nil {
		t.Fatal(v.Why)
	}
	pick := request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, opt(43, 71, 4, 0x80, 0, 0, 0, 255))}
	if v = p.ask(on4011("198.18.0.50:4011"), pick); v.Reply == nil || v.Reply.File != "x.efi" {
		t.Errorf("the first item after the disk: %+v, %s", v.Reply, v.Why)
	}
}

// TestTheFirmwaresMenuLooksAsItIsSaid reads the menu that firmware is told to draw:
// what stands first in it is what it takes by itself.
func TestTheFirmwaresMenuLooksAsItIsSaid(t *testing.T) {
	t.Parallel()
	var profiles []*bootmenu.Profile
	for i := range 40 {
		name := fmt.Sprintf("entry-%02d", i)
		profiles = append(profiles, &bootmenu.Profile{Name: name, Title: name, Boot: bootmenu.Boot{BootFile: name, Offer: bootmenu.StyleMenu}})
	}
	onlyKernel := &bootmenu.Profile{Name: "kernel", Title: "kernel", Default: true, Boot: bootmenu.Boot{Kernel: "linux", Offer: bootmenu.StyleMenu}}
	for name, c := range map[string]struct {
		profiles []*bootmenu.Profile
		look     bootmenu.Menu
		prompt   string // how the line of the prompt ends
		menu     string // how the line of the menu begins
		told     string // how the word about it ends
	}{
		"by default":                     {profiles[:3], bootmenu.Menu{}, "for 10 s", `menu [0x0 "Boot from disk"] [0x8000 "entry-00"] [0x8001 "entry-01"] [0x8002 "entry-02"]`, "so its firmware draws the menu"},
		"with another default":           {profiles[:3], bootmenu.Menu{Default: "entry-01", Timeout: time.Minute}, "for 60 s", `menu [0x8001 "entry-01"] [0x0 "Boot from disk"] [0x8000 "entry-00"] [0x8002 "entry-02"]`, "so its firmware draws the menu"},
		"without a timeout":              {profiles[:1], bootmenu.Menu{Timeout: -1}, "for 255 s", `menu [0x0 "Boot from disk"] [0x8000 "entry-00"]`, "so its firmware draws the menu"},
		"a default that needs a loader":  {[]*bootmenu.Profile{onlyKernel, profiles[0]}, bootmenu.Menu{}, "for 10 s", `menu [0x0 "Boot from disk"] [0x8000 "entry-00"]`, "so its firmware draws the menu"},
		"of more than there is room for": {profiles, bootmenu.Menu{}, "for 10 s", `menu [0x0 "Boot from disk"] [0x8000 "entry-00"]`, "the firmware's menu has room for 11 of its 41 items"},
	} {
		p := newPlay(t, nil)
		p.r.Selector = bootmenu.NewCatalog(c.profiles, nil, c.look)
		v := p.ask(on67(), uefiDiscover)
		if v.Reply == nil {
			t.Errorf("%s: %s", name, v.Why)
			continue
		}
		told := strings.Join(bootmenu.DescribeOption43(v.Reply.Option43), "\n")
		if !strings.Contains(told, c.prompt+"\n") || !strings.Contains(told, "\n"+c.menu) || !strings.HasSuffix(v.Why, c.told) {
			t.Errorf("%s: %s\n%s", name, v.Why, told)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	var h History
	now := time.Unix(1e9, 0)
	for i := range 2*maxAttempts + 5 {
		v := Verdict{Type: dhcpv4.MessageTypeDiscover, Reply: &Reply{}}
		v.Machine.MAC = bootmenu.MACFromBytes([]byte{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)})
		h.replied(v, now)
	}
	if len(h.attempts) > maxAttempts {
		t.Errorf("%d machines are remembered, at most %d should be", len(h.attempts), maxAttempts)
	}
}
