package simulate

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// captured is a packet of real firmware, from the tests of dhcpproxy.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../dhcpproxy/testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	packet, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return packet
}

// playing is a client with the MAC of the captures.
func playing(t testing.TB, name string) player {
	t.Helper()
	c, err := ParseClient(name)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := bootmenu.ParseMAC("52:54:00:12:34:56")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.play(mac)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClientsSayWhatFirmwareSays(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("198.18.0.107")
	for _, c := range []struct {
		client, capture string
		made            func(player) *dhcpv4.DHCPv4
	}{
		{"uefi-x64", "ovmf-x64/discover", func(p player) *dhcpv4.DHCPv4 { return p.message(dhcpv4.MessageTypeDiscover) }},
		{"uefi-x64", "ovmf-x64/request-4011", func(p player) *dhcpv4.DHCPv4 { return p.bootRequest(own, nil) }},
		{"ipxe", "ipxe-rom/discover", func(p player) *dhcpv4.DHCPv4 { return p.message(dhcpv4.MessageTypeDiscover) }},
		{"ipxe-x64", "ipxe-x64/discover", func(p player) *dhcpv4.DHCPv4 { return p.message(dhcpv4.MessageTypeDiscover) }},
	} {
		want, err := dhcpv4.FromBytes(captured(t, c.capture))
		if err != nil {
			t.Fatal(err)
		}
		got := c.made(playing(t, c.client))
		id := dhcpv4.OptionClientMachineIdentifier
		if len(got.GetOneOption(id)) != len(want.GetOneOption(id)) {
			t.Errorf("%s: option 97 has %d bytes", c.capture, len(got.GetOneOption(id)))
		}
		// The captured machine has no identifier.
		got.UpdateOption(dhcpv4.OptGeneric(id, want.GetOneOption(id)))
		if diff := cmp.Diff(want.Options, got.Options); diff != "" {
			t.Errorf("%s (-firmware +simulated):\n%s", c.capture, diff)
		}
		if !got.ClientIPAddr.Equal(want.ClientIPAddr) {
			t.Errorf("%s: ciaddr is %s, want %s", c.capture, got.ClientIPAddr, want.ClientIPAddr)
		}
	}
}

func TestEveryClientHasWhatItNeeds(t *testing.T) {
	t.Parallel()
	for _, name := range ClientNames() {
		p := playing(t, name)
		m := p.message(dhcpv4.MessageTypeDiscover)
		if !m.IsBroadcast() {
			t.Errorf("%s: the answer to its DISCOVER would go to a MAC that this host has not", name)
		}
		if p.family.choose == nil || p.family.judge == nil || len(p.family.discovers) == 0 {
			t.Errorf("%s: its family is not whole", name)
		}
		digits, isPXE := strings.CutPrefix(p.class, "PXEClient:Arch:")
		if isPXE && bootmenu.ArchFromWire(p.wireArch(digits)) != p.arch {
			t.Errorf("%s: vendor class %q and arch %v differ", name, p.class, p.arch)
		}
	}
	if _, err := ParseClient("uefi-x65"); err == nil || !strings.Contains(err.Error(), "uefi-x64") {
		t.Errorf("unknown client: %v", err)
	}
}

// wireArch reads the digits of the vendor class.
func (c player) wireArch(digits string) uint16 {
	var n uint16
	for _, d := range digits[:5] {
		n = n*10 + uint16(d-'0')
	}
	return n
}

func TestRandomMACBelongsToNobody(t *testing.T) {
	t.Parallel()
	for range 100 {
		p, err := clients[0].play(RandomMAC())
		if err != nil {
			t.Fatal(err)
		}
		if p.mac[0]&1 != 0 || p.mac[0]&2 == 0 {
			t.Fatalf("%s is not a unicast address that is administered locally", p.mac)
		}
	}
}

func TestBroadcastDatagramIsAsItIsRead(t *testing.T) {
	t.Parallel()
	b := broadcastDatagram([]byte("a DISCOVER"))
	m, ok := parseDatagram(b)
	if !ok || string(m.data) != "a DISCOVER" || m.from != netip.MustParseAddrPort("0.0.0.0:68") {
		t.Errorf("read %q from %v, %t", m.data, m.from, ok)
	}
	if checksum(b[:ipv4Header]) != 0 {
		t.Error("the checksum of the IP header is wrong")
	}
	for size := range len(b) {
		if _, ok := parseDatagram(b[:size]); ok {
			t.Errorf("a datagram cut to %d bytes passes for a whole one", size)
		}
	}
}
