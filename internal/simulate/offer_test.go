package simulate

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// addr is an address of the tests.
func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

var compareOffers = cmp.Options{cmpopts.IgnoreUnexported(Offer{}), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})}

// reply writes a reply with these options.
func reply(options ...[]byte) []byte {
	b := make([]byte, offsetOptions)
	b[0], b[offsetHtype], b[offsetHlen] = 2, 1, 6
	copy(b[offsetCookie:], []byte{99, 130, 83, 99})
	return append(b, bytes.Join(options, nil)...)
}

func TestOffersAreRead(t *testing.T) {
	t.Parallel()
	overloaded := reply([]byte{52, 1, 3, 60, 9}, []byte("PXEClient"), []byte{255})
	copy(overloaded[offsetFile:], append([]byte{67, 5}, "a.efi\xff"...))
	copy(overloaded[offsetSname:], []byte{54, 4, 198, 18, 0, 2, 255})
	for name, c := range map[string]struct {
		packet []byte
		want   Offer
	}{
		"a bare OFFER of netbootd": {
			captured(t, "ovmf-x64/offer"),
			Offer{Server: addr("198.18.0.2"), Siaddr: addr("198.18.0.2"), HeaderFile: "loaders/x64-uefi/ipxe/snponly.efi", Class: "PXEClient"},
		},
		"one that skips discovery": {
			captured(t, "ipxe-rom/offer"),
			Offer{Server: addr("198.18.0.2"), Siaddr: addr("198.18.0.2"), HeaderFile: "netbootd/boot.ipxe", Class: "PXEClient", Discovery: &Discovery{Control: bootmenu.SkipToFile, Prompt: "PXE", TimesOut: true}},
		},
		"options that overflow into the header": {
			overloaded,
			Offer{Server: addr("198.18.0.2"), OptionFile: "a.efi", Class: "PXEClient"},
		},
		"a name with a NUL, pads, no end": {
			reply([]byte{0, 0, 67, 6}, []byte("a.efi\x00"), []byte{0, 6, 8, 198, 18, 0, 1, 198, 18, 0, 9}),
			Offer{OptionFile: "a.efi", DNS: []netip.Addr{addr("198.18.0.1"), addr("198.18.0.9")}},
		},
		"option 43 of a server that is no PXE server": {
			reply([]byte{43, 3, 6, 1, 8, 255}),
			Offer{},
		},
		"a menu": {
			reply([]byte{60, 9}, []byte("PXEClient"), []byte{43, 26, 6, 1, 7, 7, 4, 239, 0, 0, 1, 8, 7, 128, 0, 1, 198, 18, 0, 2, 9, 5, 128, 0, 2, 'g', 'o', 255, 255}),
			Offer{Class: "PXEClient", Discovery: &Discovery{
				Control: bootmenu.NoBroadcastDiscovery | bootmenu.NoMulticastDiscovery | bootmenu.OnlyListedServers, Multicast: addr("239.0.0.1"),
				Servers: []BootServer{{Type: 0x8000, Addrs: []netip.Addr{addr("198.18.0.2")}}},
				Menu:    []MenuItem{{Type: 0x8000, Text: "go"}},
			}},
		},
	} {
		got, err := ParseOffer(c.packet)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, compareOffers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIPXEReadsOfAnOffer(t *testing.T) {
	t.Parallel()
	o, err := ParseOffer(reply([]byte{175, 6, 0x01, 1, 0xfe, 0xb0, 1, 1, 255}))
	if err != nil || o.priority != 0xfe || !o.noProxies || !o.ended {
		t.Errorf("%v, priority %d, no proxies %t, ended %t", err, o.priority, o.noProxies, o.ended)
	}
	if o, err := ParseOffer(reply([]byte{1, 4, 255, 255, 255, 0})); err != nil || o.ended {
		t.Errorf("%v: the options have an end that is not there", err)
	}
}

func TestWhatIsNoReplyIsRefused(t *testing.T) {
	t.Parallel()
	request := captured(t, "ovmf-x64/discover")
	for name, packet := range map[string][]byte{
		"nothing":                nil,
		"a request":              request,
		"a header alone":         reply()[:100],
		"an option over the end": reply([]byte{67, 200, 'a'}),
	} {
		if _, err := ParseOffer(packet); err == nil {
			t.Errorf("%s passes for a reply", name)
		}
	}
}

func FuzzParseOffer(f *testing.F) {
	for _, name := range []string{"ovmf-x64/offer", "ipxe-rom/offer", "ovmf-x64/ack-4011"} {
		f.Add(captured(f, name))
	}
	f.Add(reply([]byte{52, 1, 3, 60, 9}, []byte("PXEClient"), []byte{43, 6, 9, 3, 0, 0, 9, 1, 255}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := bytes.Clone(packet)
		o, err := ParseOffer(packet)
		if !bytes.Equal(before, packet) {
			t.Error("the packet was changed")
		}
		if err != nil {
			return
		}
		// Whatever came, every client makes something of it.
		for _, name := range ClientNames() {
			lease := offer(site, leasing("198.18.0.50"))
			p, _ := playing(t, name).decide([]*Offer{lease, &o})
			if p.fault == nil && len(p.visits) == 0 && p.target.URL == "" && (!p.target.Server.IsValid() || len(p.target.Names) == 0) {
				t.Errorf("%s knows no server and names no fault for %+v", name, o)
			}
		}
	})
}

func TestParseOption43(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   []byte
		want *Discovery
		item []byte
	}{
		"nothing":                            {nil, nil, nil},
		"a boot item alone":                  {[]byte{71, 4, 128, 0, 0, 0, 255}, nil, []byte{128, 0, 0, 0}},
		"tags that no firmware uses":         {[]byte{1, 1, 1, 255}, nil, nil},
		"cut short":                          {[]byte{6, 1, 3, 9, 200, 0}, &Discovery{Control: 3}, nil},
		"without an end":                     {[]byte{0, 6, 1, 8}, &Discovery{Control: bootmenu.SkipToFile}, nil},
		"what follows the end":               {[]byte{255, 6, 1, 8}, nil, nil},
		"a prompt that takes the first item": {[]byte{10, 3, 5, 'g', 'o'}, &Discovery{Prompt: "go", TimesOut: true}, nil},
		"a prompt that waits":                {[]byte{10, 3, 255, 'g', 'o'}, &Discovery{Prompt: "go"}, nil},
		"a prompt of nothing":                {[]byte{10, 0}, &Discovery{}, nil},
		"a list cut short":                   {[]byte{8, 4, 128, 0, 2, 198}, &Discovery{Servers: []BootServer{{Type: 0x8000}}}, nil},
	} {
		got, item := parseOption43(c.in)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || !bytes.Equal(item, c.item) {
			t.Errorf("%s: item %v, want %v (-want +got):\n%s", name, item, c.item, diff)
		}
	}
	if !bytes.Equal(bootItemOption(0x8001), []byte{71, 4, 0x80, 1, 0, 0, 255}) {
		t.Errorf("boot item: % x", bootItemOption(0x8001))
	}
}

// Servers of the tests.
var (
	site  = addr("198.18.0.1") // leases
	proxy = addr("198.18.0.2")
	other = addr("198.18.0.4")
)

// offer makes an OFFER from port 67 of a server.
func offer(server netip.Addr, change ...func(*Offer)) *Offer {
	o := &Offer{From: netip.AddrPortFrom(server, 67), Server: server, message: dhcpv4.MessageTypeOffer, ended: true, ethernet: true}
	for _, f := range change {
		f(o)
	}
	return o
}

func leasing(a string) func(*Offer) { return func(o *Offer) { o.Address = addr(a) } }

func pxe(o *Offer) { o.Class = classPXE }

// boots has siaddr, its own server's, and a boot file.
func boots(file string) func(*Offer) {
	return func(o *Offer) { o.Siaddr, o.HeaderFile = o.Server, file }
}

func option43(d Discovery) func(*Offer) { return func(o *Offer) { o.Discovery = &d } }
