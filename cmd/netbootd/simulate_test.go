package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
	"netbootd/internal/simulate"
)

func TestSimulationIsTold(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	mac, err := bootmenu.ParseMAC("52:54:00:12:34:56")
	if err != nil {
		t.Fatal(err)
	}
	offers := []*simulate.Offer{
		{Use: simulate.UseAddress, After: 1234567, Server: addr("198.18.0.1"), Address: addr("198.18.0.50"), Siaddr: addr("198.18.0.1")},
		{Use: simulate.UseBoot, After: 2 * time.Millisecond, Server: addr("198.18.0.2"), Class: "PXEClient", HeaderFile: "a\n.efi", Discovery: &simulate.Discovery{
			Control: 7,
			Menu:    []simulate.MenuItem{{Type: 0x8000, Text: "go"}},
			Servers: []simulate.BootServer{{Type: 0x8000, Addrs: []netip.Addr{addr("198.18.0.2")}}},
		}},
	}
	for _, c := range []struct {
		name   string
		result simulate.Result
		random bool
		want   string
	}{
		{"a boot", simulate.Result{
			Client: "uefi-x64", Interface: "eth0", MAC: mac, Address: addr("198.18.0.50"), Leased: true, Boots: true,
			Offers:     offers,
			BootServer: &simulate.Exchange{To: netip.MustParseAddrPort("198.18.0.2:4011"), Port: 4011, Item: "go", Answer: &simulate.Offer{After: time.Millisecond, OptionFile: "a.efi"}},
			File:       &simulate.File{Name: "a.efi", Server: "198.18.0.2", Size: 7, SHA256: "abc", Took: 3 * time.Millisecond},
			Warnings:   []string{"look out"},
		}, false, `client     uefi-x64 on eth0, MAC 52:54:00:12:34:56
DISCOVER   broadcast; OFFERs: 2
OFFER      198.18.0.1 after 1.2ms, leases 198.18.0.50, siaddr 198.18.0.1; taken: address
OFFER      198.18.0.2 after 2ms, leases nothing (ProxyDHCP), "PXEClient", file "a\n.efi", option 43: control 7, menu item 32768 "go", boot servers 32768 [198.18.0.2]; taken: boot
REQUEST    to the boot server 198.18.0.2:4011 from port 4011 for the menu item "go": answered after 1ms: option 67 "a.efi"
boot file  "a.efi" from 198.18.0.2, fetched from the leased address 198.18.0.50, which is released
           7 bytes in 3ms, sha256 abc
warning    look out
uefi-x64 would boot
`},
		{"none", simulate.Result{
			Client: "bios", Interface: "eth0", MAC: mac, Relays: []netip.Addr{addr("198.18.0.1"), addr("198.18.0.2")},
			BootServer: &simulate.Exchange{To: netip.MustParseAddrPort("198.18.0.2:4011"), Port: 68},
			Finding:    &simulate.Finding{Step: simulate.StepBootServer, Text: "nobody listens", Hint: "listen"},
		}, true, `client    bios on eth0, MAC 52:54:00:12:34:56 (random, locally administered)
DISCOVER  as a relay agent to 198.18.0.1, 198.18.0.2; OFFERs: 0
REQUEST   to the boot server 198.18.0.2:4011 from port 68: no answer
bios would not boot: boot_server: nobody listens
hint: listen
`},
	} {
		var got strings.Builder
		if err := printSimulation(&got, c.result, c.random); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
