package dhcpproxy

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// TestRecordedFirmware gives the decision what real firmware sent, and compares
// the reply byte for byte with the one that the firmware then followed to a
// running kernel. All were recorded in QEMU, beside dnsmasq as the site's server.
func TestRecordedFirmware(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, req string
		in        Ingress
		want      string // empty: silence
		reason    bootmenu.Reason
	}{
		{"OVMF asks", "ovmf-x64-discover", on67(), "ovmf-x64-offer", ""},
		{"OVMF takes its lease", "ovmf-x64-lease-request", on67(), "", ReasonLeaseRequest},
		{"OVMF comes to the boot port", "ovmf-x64-4011-request", on4011("198.18.0.107:4011"), "ovmf-x64-4011-ack", ""},
		{"iPXE on UEFI", "ipxe-x64-discover", on67(), "ipxe-x64-offer", ""},
		{"iPXE in ROM", "ipxe-rom-discover", on67(), "ipxe-rom-offer", ""},
		{"iPXE that calls itself something else", "foreign-class-discover", on67(), "foreign-class-offer", ""},
		{"undionly.kpxe, whose vendor class tells no arch", "undionly-discover", on67(), "undionly-offer", ""},
	} {
		v := testResponder(t).Answer(parse(t, readHex(t, c.req)), c.in, nil)
		if c.want == "" {
			if v.Reply != nil || v.Reason != c.reason {
				t.Errorf("%s: got %v, %q, want silence, %q", c.name, v.Reply, v.Reason, c.reason)
			}
			continue
		}
		if v.Reply == nil {
			t.Errorf("%s: silence: %s", c.name, v.Why)
			continue
		}
		want := readHex(t, c.want)
		if got := v.Reply.Packet.ToBytes(); !bytes.Equal(got, want) {
			p, err := dhcpv4.FromBytes(want)
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s (-want +got):\n%s", c.name, cmp.Diff(p.Summary(), v.Reply.Packet.Summary()))
		}
	}
}
