package simulate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
)

// after says when an OFFER came.
func after(d time.Duration) func(*Offer) { return func(o *Offer) { o.After = d } }

func class(c string) func(*Offer) { return func(o *Offer) { o.Class = c } }

func siaddr(a netip.Addr) func(*Offer) { return func(o *Offer) { o.Siaddr = a } }

func file(name string) func(*Offer) { return func(o *Offer) { o.HeaderFile = name } }

func uri(name string) func(*Offer) { return func(o *Offer) { o.OptionFile = name } }

func priority(n byte) func(*Offer) { return func(o *Offer) { o.priority = n } }

var (
	lease    = offer(site, leasing("198.18.0.50"))
	skip     = Discovery{Control: bootmenu.SkipToFile}
	bare     = offer(proxy, pxe, boots("a"))
	skipping = offer(proxy, pxe, boots("a"), option43(skip))
	menu     = Discovery{
		Control: bootmenu.NoBroadcastDiscovery | bootmenu.NoMulticastDiscovery | bootmenu.OnlyListedServers,
		Menu:    []MenuItem{{Type: 0x8000, Text: "first"}, {Type: 0, Text: "disk"}},
		Servers: []BootServer{{Type: 0x8000, Addrs: []netip.Addr{other, proxy}}},
	}
	everywhere = Discovery{
		Multicast: addr("239.0.0.1"),
		Menu:      []MenuItem{{Type: 0x8000, Text: "first"}},
		Servers:   []BootServer{{Type: 0x8000, Addrs: []netip.Addr{other}}},
	}
	raspberry = Discovery{Control: 3, Menu: []MenuItem{{Type: 0, Text: "Raspberry Pi Boot   "}}}
)

// outcome is a plan in one line.
func outcome(p plan) string {
	var visits []string
	for _, v := range p.visits {
		visits = append(visits, v.to.String())
	}
	switch {
	case p.fault != nil:
		return fmt.Sprintf("%s: %s", p.fault.Step, p.fault.Text)
	case len(visits) > 0:
		return "ask " + strings.Join(visits, ", ")
	case p.target.URL != "":
		return p.target.URL
	}
	return fmt.Sprintf("tftp://%s/%s", p.target.Server, strings.Join(p.target.Names, " or "))
}

func TestClientsChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, client string
		offers       []*Offer
		want         string
	}{
		{"nobody answers", "bios", nil, "discover: nobody answers the DISCOVER"},
		{"a proxy without a DHCP server", "uefi-x64", []*Offer{bare}, "discover: no DHCP server offers an address; only 198.18.0.2 answers, which leases none"},
		{"a lease is all there is", "ipxe", []*Offer{lease}, "offer: nobody says what to boot: 198.18.0.1 offers an address and no boot file, and no ProxyDHCP server answers ipxe"},

		{"BIOS takes the file if it is told to", "bios", []*Offer{lease, skipping}, "tftp://198.18.0.2/a"},
		{"BIOS asks if it is told nothing", "bios", []*Offer{lease, bare}, "ask 198.18.0.2:4011"},
		{"BIOS takes what a plain lease server names", "bios", []*Offer{offer(site, leasing("198.18.0.50"), boots("b"))}, "tftp://198.18.0.1/b"},
		{"BIOS prefers a proxy to a plain lease server", "bios", []*Offer{offer(site, leasing("198.18.0.50"), boots("b")), skipping}, "tftp://198.18.0.2/a"},
		{"BIOS prefers a lease server that speaks PXE", "bios", []*Offer{skipping, offer(site, leasing("198.18.0.50"), pxe, boots("b"), option43(skip))}, "tftp://198.18.0.1/b"},
		{"BIOS asks for the first item of a menu", "bios", []*Offer{lease, offer(proxy, pxe, option43(menu))}, "ask 198.18.0.4:4011, 198.18.0.2:4011"},
		{"BIOS asks by every method", "bios", []*Offer{lease, offer(proxy, pxe, option43(everywhere))}, "ask 239.0.0.1:4011, 255.255.255.255:67, 198.18.0.4:4011"},
		{"a menu that begins with the disk", "bios", []*Offer{lease, offer(proxy, pxe, option43(raspberry))}, `offer: the PXE menu of 198.18.0.2 begins with "Raspberry Pi Boot   ", which is the local disk`},
		{"a menu that forbids every way", "bios", []*Offer{lease, offer(proxy, pxe, option43(Discovery{Control: 3, Menu: menu.Menu}))}, `offer: the PXE menu of 198.18.0.2 has no boot server for its first item "first", and forbids to look for one`},

		{"EDK2 asks a proxy that is bare", "uefi-x64", []*Offer{lease, bare}, "ask 198.18.0.2:4011"},
		{"EDK2 asks siaddr before option 54", "uefi-x64", []*Offer{lease, offer(proxy, pxe, siaddr(addr("198.18.0.77")))}, "ask 198.18.0.77:4011"},
		{"EDK2 asks option 54 if siaddr is zero", "uefi-x64", []*Offer{lease, offer(proxy, pxe)}, "ask 198.18.0.2:4011"},
		{"EDK2 takes the file of an OFFER with option 43", "uefi-x64", []*Offer{lease, skipping}, "tftp://198.18.0.2/a"},
		{"EDK2 prefers option 43 to none", "uefi-x64", []*Offer{lease, offer(other, pxe, boots("c")), skipping}, "tftp://198.18.0.2/a"},
		{"EDK2 prefers a lease server that speaks PXE to a bare proxy", "uefi-x64", []*Offer{offer(addr("198.18.0.9"), leasing("198.18.0.60"), pxe), bare, lease}, "ask 198.18.0.9:4011"},
		{"EDK2 prefers a proxy with option 43 to that", "uefi-x64", []*Offer{offer(addr("198.18.0.9"), leasing("198.18.0.60"), pxe), skipping, lease}, "tftp://198.18.0.2/a"},
		{"EDK2 takes a plain lease server's file if no proxy answers", "uefi-x64", []*Offer{lease, offer(other, leasing("198.18.0.60"), boots("b"))}, "tftp://198.18.0.4/b"},
		{"EDK2 ends at an option 43 that leads nowhere", "uefi-x64", []*Offer{lease, offer(proxy, pxe, option43(skip))}, "offer: the OFFER of 198.18.0.2 has option 43 and neither a boot file nor a menu, and EDK2 ends there"},
		{"EDK2 fetches from the first boot server of the list", "uefi-x64", []*Offer{lease, offer(proxy, pxe, boots("a"), option43(Discovery{Control: bootmenu.SkipToFile, Servers: menu.Servers}))}, "tftp://198.18.0.4/a"},
		{"EDK2 asks by the first method only", "uefi-x64", []*Offer{lease, offer(proxy, pxe, option43(everywhere))}, "ask 239.0.0.1:4011"},
		{"EDK2 drops a lease without option 54", "uefi-x64", []*Offer{offer(netip.Addr{}, leasing("198.18.0.50"), func(o *Offer) { o.From = netip.AddrPortFrom(site, 67) }), bare}, "discover: the OFFER of 198.18.0.1 lacks option 54 (server identifier), and EDK2 drops it"},
		{"EDK2 drops a lease without an end", "uefi-x64", []*Offer{offer(site, leasing("198.18.0.50"), func(o *Offer) { o.ended = false }), bare}, "discover: the OFFER of 198.18.0.1 lacks the end option, and EDK2 drops it"},
		{"EDK2 drops a proxy without option 54", "uefi-x64", []*Offer{lease, offer(netip.Addr{}, pxe, file("a"), func(o *Offer) { o.From = netip.AddrPortFrom(proxy, 67) })}, "offer: the OFFER of 198.18.0.2 lacks option 54 (server identifier), so uefi-x64 does not listen to it, and nobody else says what to boot"},
		{"EDK2 drops a proxy without an end", "uefi-x64", []*Offer{lease, offer(proxy, pxe, boots("a"), func(o *Offer) { o.ended = false })}, "offer: the OFFER of 198.18.0.2 lacks the end option, so uefi-x64 does not listen to it, and nobody else says what to boot"},
		{"EDK2 keeps no more than 16", "uefi-x64", append([]*Offer{lease}, append(manyLeases(16), bare)...), "offer: nobody says what to boot: 198.18.0.1 offers an address and no boot file, and no ProxyDHCP server answers uefi-x64"},

		{"iPXE takes siaddr and file", "ipxe", []*Offer{lease, bare}, "tftp://198.18.0.2/a"},
		{"iPXE asks if the file is missing", "ipxe", []*Offer{lease, offer(proxy, pxe, siaddr(proxy))}, "ask 198.18.0.2:4011"},
		{"iPXE asks if siaddr is missing, also for a URL", "ipxe", []*Offer{lease, offer(proxy, pxe, file("http://198.18.0.2/a.ipxe"))}, "ask 198.18.0.2:4011"},
		{"iPXE takes a URL", "ipxe", []*Offer{lease, offer(proxy, pxe, boots("http://198.18.0.2/a.ipxe"))}, "http://198.18.0.2/a.ipxe"},
		{"iPXE takes a TFTP URL", "ipxe", []*Offer{lease, offer(proxy, pxe, boots("tftp://198.18.0.4/d/a.ipxe"))}, "tftp://198.18.0.4/d/a.ipxe"},
		{"iPXE strips one slash", "ipxe", []*Offer{lease, offer(proxy, pxe, boots("/a"))}, "tftp://198.18.0.2/a"},
		{"iPXE ignores proxies if the lease server says so", "ipxe", []*Offer{offer(site, leasing("198.18.0.50"), boots("b"), func(o *Offer) { o.noProxies = true }), bare}, "tftp://198.18.0.1/b"},
		{"iPXE needs PXEClient of a proxy", "ipxe", []*Offer{lease, offer(proxy, boots("a"))}, `offer: the OFFER of 198.18.0.2 has no option 60 "PXEClient", so ipxe does not listen to it, and nobody else says what to boot`},
		{"iPXE is told to ignore proxies, and nothing else", "ipxe", []*Offer{offer(site, leasing("198.18.0.50"), func(o *Offer) { o.noProxies = true }), bare}, "offer: 198.18.0.1 tells iPXE to ignore ProxyDHCP (option 175, 0xb0) and names no boot file itself"},
		{"iPXE goes by a menu", "ipxe", []*Offer{lease, offer(proxy, pxe, option43(menu))}, "ask 198.18.0.4:4011, 198.18.0.2:4011"},
		{"iPXE uses no menu of a server with more in option 60", "ipxe", []*Offer{lease, offer(proxy, class("PXEClient:x"), option43(menu))}, "ask 198.18.0.2:4011"},
		{"iPXE takes the higher priority", "ipxe", []*Offer{offer(other, pxe, boots("a"), priority(1)), bare, lease}, "tftp://198.18.0.4/a"},
		{"iPXE takes the last of one priority", "ipxe", []*Offer{offer(other, pxe, boots("a")), bare, lease}, "tftp://198.18.0.2/a"},
		{"iPXE goes on as soon as it can", "ipxe", []*Offer{offer(other, pxe, boots("a")), lease, bare}, "tftp://198.18.0.4/a"},

		{"HTTP Boot takes a proxy's URI", "uefi-http", []*Offer{lease, offer(proxy, class("HTTPClient"), uri("http://198.18.0.2/a.efi"))}, "http://198.18.0.2/a.efi"},
		{"HTTP Boot takes a URI in the header", "uefi-http", []*Offer{lease, offer(proxy, class("HTTPClient"), file("http://198.18.0.2/a.efi"))}, "http://198.18.0.2/a.efi"},
		{"HTTP Boot drops PXE", "uefi-http", []*Offer{lease, bare}, `offer: nobody offers HTTP Boot: no OFFER has option 60 "HTTPClient", and uefi-http drops all others`},
		{"HTTP Boot without a URI", "uefi-http", []*Offer{lease, offer(proxy, class("HTTPClient"), file("a.efi"))}, `offer: the OFFER of 198.18.0.2 is for HTTP Boot and has no boot URI: its boot file is "a.efi"`},
		{"HTTP Boot needs DNS for a name", "uefi-http", []*Offer{lease, offer(proxy, class("HTTPClient"), uri("http://boot.example/a.efi"))}, `offer: the boot URI "http://boot.example/a.efi" of 198.18.0.2 names its host, and 198.18.0.1 offers no DNS server (option 6) to ask for it`},
		{"HTTP Boot has DNS for a name", "uefi-http", []*Offer{offer(site, leasing("198.18.0.50"), func(o *Offer) { o.DNS = []netip.Addr{site} }), offer(proxy, class("HTTPClient"), uri("http://boot.example/a.efi"))}, "http://boot.example/a.efi"},

		{"U-Boot reads the header", "uboot", []*Offer{lease, offer(proxy, boots("a"))}, "tftp://198.18.0.2/a"},
		{"U-Boot reads no option of a proxy", "uboot", []*Offer{lease, offer(proxy, siaddr(proxy), uri("a"))}, "offer: the OFFER of 198.18.0.2 has no boot file in its header, and U-Boot reads nothing else of a proxy's"},
		{"U-Boot waits 100 ms", "uboot", []*Offer{lease, offer(proxy, boots("a"), after(340*time.Millisecond))}, "offer: the OFFER of 198.18.0.2 came 340ms after the lease server's, and U-Boot waits 100ms for it"},
		{"U-Boot needs port 67", "uboot", []*Offer{lease, offer(proxy, boots("a"), func(o *Offer) { o.From = netip.AddrPortFrom(proxy, 4011) })}, "offer: nobody says what to boot: no ProxyDHCP server answers uboot"},

		{"a Pi takes its own names", "rpi4", []*Offer{lease, offer(proxy, pxe, siaddr(proxy), option43(raspberry))}, "tftp://198.18.0.2/00123456/start4.elf or start4.elf"},
		{"a Pi prefers option 66", "rpi4", []*Offer{lease, offer(proxy, pxe, siaddr(proxy), option43(raspberry), func(o *Offer) { o.TFTPServer = "198.18.0.4" })}, "tftp://198.18.0.4/00123456/start4.elf or start4.elf"},
		{"a Pi needs its menu", "rpi4", []*Offer{lease, skipping}, `offer: no OFFER has "Raspberry Pi Boot" as the first item of a PXE menu (option 43), which is what a Raspberry Pi looks for`},

		{"two proxies, and the first to come wins", "uefi-x64", []*Offer{lease, bare, offer(other, pxe, boots("b"))}, `offer: two servers tell uefi-x64 to boot different files, 198.18.0.2 with "a" and 198.18.0.4 with "b", and it depends on who answers first which one it follows`},
		{"the same for BIOS", "bios", []*Offer{lease, offer(other, pxe, boots("b")), bare}, `offer: two servers tell bios to boot different files, 198.18.0.2 with "a" and 198.18.0.4 with "b", and it depends on who answers first which one it follows`},
		{"the same for iPXE", "ipxe", []*Offer{lease, skipping, offer(other, pxe, boots("b"))}, `offer: two servers tell ipxe to boot different files, 198.18.0.2 with "a" and 198.18.0.4 with "b", and it depends on who answers first which one it follows`},
		{"the same for U-Boot", "uboot", []*Offer{lease, bare, offer(other, boots("b"))}, `offer: two servers tell uboot to boot different files, 198.18.0.2 with "a" and 198.18.0.4 with "b", and it depends on who answers first which one it follows`},
		{"two proxies with the same file: both will do", "uefi-x64", []*Offer{lease, bare, offer(other, pxe, boots("a"))}, "ask 198.18.0.2:4011, 198.18.0.4:4011"},
	} {
		p, _ := playing(t, c.client).decide(c.offers)
		if diff := cmp.Diff(c.want, outcome(p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// manyLeases are so many OFFERs of addresses.
func manyLeases(n int) (offers []*Offer) {
	for i := range n {
		offers = append(offers, offer(site, leasing(fmt.Sprintf("198.18.0.%d", 60+i))))
	}
	return offers
}

func TestASecondProxyIsWarnedOf(t *testing.T) {
	t.Parallel()
	p, warnings := playing(t, "uefi-x64").decide([]*Offer{lease, offer(other, pxe, boots("b")), skipping})
	want := []string{`198.18.0.4 is a second boot server on this wire, 198.18.0.4 with "b"; uefi-x64 follows 198.18.0.2`}
	if diff := cmp.Diff(want, warnings); diff != "" || p.fault != nil {
		t.Errorf("%s (-want +got):\n%s", outcome(p), diff)
	}
}

func TestAMenuThatWaitsIsWarnedOf(t *testing.T) {
	t.Parallel()
	timed := menu
	timed.TimesOut = true
	for _, client := range []string{"bios", "uefi-x64", "ipxe"} {
		_, warnings := playing(t, client).decide([]*Offer{lease, offer(proxy, pxe, option43(menu))})
		if diff := cmp.Diff([]string{"the PXE menu of 198.18.0.2 waits until somebody chooses; its first item is played"}, warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", client, diff)
		}
		if _, warnings := playing(t, client).decide([]*Offer{lease, offer(proxy, pxe, option43(timed))}); len(warnings) > 0 {
			t.Errorf("%s: %q", client, warnings)
		}
	}
}

func TestClientsReadABootServersAnswer(t *testing.T) {
	t.Parallel()
	ack := func(server netip.Addr, change ...func(*Offer)) *Offer {
		fromBootServer := func(o *Offer) {
			o.message, o.From = dhcpv4.MessageTypeAck, netip.AddrPortFrom(server, dhcpproxy.PortBoot)
		}
		return offer(server, append([]func(*Offer){fromBootServer}, change...)...)
	}
	asked := visit{to: netip.MustParseAddrPort("198.18.0.2:4011"), offer: bare}
	forItem := visit{to: asked.to, offer: bare, item: &menu.Menu[0], only: []netip.Addr{proxy}}
	item := func(b ...byte) func(*Offer) { return func(o *Offer) { o.item = b } }
	for _, c := range []struct {
		name, client string
		v            visit
		ack          *Offer
		want         string
	}{
		{"a file in the header", "uefi-x64", asked, ack(proxy, boots("a")), "tftp://198.18.0.2/a"},
		{"option 67 goes before it", "uefi-x64", asked, ack(proxy, boots("a"), uri("b")), "tftp://198.18.0.2/b"},
		{"another file server", "uefi-x64", asked, ack(proxy, file("a"), siaddr(other)), "tftp://198.18.0.4/a"},
		{"no file", "uefi-x64", asked, ack(proxy), "boot_server: the boot server 198.18.0.2:4011 answers without the name of a boot file"},
		{"an OFFER", "bios", asked, offer(proxy, boots("a")), "boot_server: the boot server 198.18.0.2:4011 answers with OFFER, and bios waits for an ACK"},
		{"from another port", "ipxe", asked, ack(proxy, boots("a"), func(o *Offer) { o.From = netip.AddrPortFrom(proxy, 67) }), "boot_server: the boot server 198.18.0.2:4011 answers from port 67, and ipxe takes its answer from port 4011 only"},
		{"by another name", "ipxe", asked, ack(other, boots("a")), "boot_server: the boot server 198.18.0.2:4011 calls itself 198.18.0.4 in option 54 and 198.18.0.2 in its OFFER, and iPXE drops that"},
		{"iPXE takes a URL", "ipxe", asked, ack(proxy, boots("http://198.18.0.2/a")), "http://198.18.0.2/a"},
		{"the item that was asked for", "bios", forItem, ack(proxy, boots("a"), item(0x80, 0, 0x80, 0)), "tftp://198.18.0.2/a"},
		{"another item", "bios", forItem, ack(proxy, boots("a"), item(0x80, 1, 0, 0)), `boot_server: the boot server 198.18.0.2:4011 does not repeat the menu item "first" in its answer`},
		{"a server that is not in the list", "bios", forItem, ack(other, boots("a"), item(0x80, 0, 0, 0)), "boot_server: 198.18.0.4 answers, which is not in the list of boot servers of 198.18.0.2"},
		{"EDK2 looks for siaddr in the list", "uefi-x64", forItem, ack(proxy, file("a"), siaddr(other), item(0x80, 0, 0, 0)), "boot_server: 198.18.0.2 answers with a siaddr that is not in the list of boot servers of 198.18.0.2"},
		{"and for nothing else", "uefi-x64", forItem, ack(other, file("a"), siaddr(proxy), item(0x80, 0, 0, 0)), "tftp://198.18.0.2/a"},
	} {
		p := playing(t, c.client)
		target, fault := p.family.settle(p, c.v, c.ack)
		if diff := cmp.Diff(c.want, outcome(plan{target: target, fault: fault})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
