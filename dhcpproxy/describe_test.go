package dhcpproxy

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

func TestDescribeTellsOfEveryByte(t *testing.T) {
	t.Parallel()
	packet := join(request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, flags: 0x80, endless: true, options: join(
		pxe, []byte{0}, opt(93, 0, 7, 0, 9), machineID, opt(54, 198, 18, 0, 1), opt(57, 5, 0xc0), opt(94, 1, 3, 16), opt(250, 1, 2),
		opt(43, bootmenu.SkipDiscovery()...), opt(43, 71, 4, 0x80, 1, 0, 2, 255), opt(43, bootmenu.RaspberryPi(false)...), opt(43, 8, 7, 0x80, 0, 1, 198, 18, 0, 2, 77, 1, 5, 9, 2),
	)}.bytes(), []byte{255, 0, 0})
	var got []string
	var raw []byte
	for _, f := range Describe(packet) {
		raw = append(raw, f.Raw...)
		if f.Value != "" && f.Value != "0.0.0.0" {
			got = append(got, f.Name+": "+f.Value)
		}
	}
	if !bytes.Equal(raw, packet) {
		t.Errorf("the fields do not add up to the packet:\n% x\n% x", raw, packet)
	}
	want := []string{
		"op: 1", "htype: 1", "hlen: 6", "hops: 0", "xid: deadbeef", "secs: 0", "flags: broadcast", "ciaddr: 198.18.0.50", "chaddr: 52:54:00:12:34:56",
		"53 message type: REQUEST", `60 vendor class: "PXEClient:Arch:00007:UNDI:003000"`, "93 arch: x64-uefi x64-uefi",
		"97 machine identifier: 04030201-0605-0807-090a-0b0c0d0e0f10", "54 server identifier: 198.18.0.1", "57 maximum message size: 1472",
		"94 network interface: 1.3.16", "250 option: 0102",
		`43 vendor options: discovery control 8 (take the file, skip the rest); prompt "PXE" for 0 s`,
		"43 vendor options: item 0x8001, layer 0x2",
		`43 vendor options: discovery control 3 (no broadcast, no multicast); prompt "PXE" for 0 s; menu [0x0 "Raspberry Pi Boot"]`,
		"43 vendor options: boot servers 80 00 01 c6 12 00 02; tag 77: 05; no tag: 09 02",
		"padding: 2 bytes",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// FuzzDescribe looks for packets that make it panic or lose a byte.
func FuzzDescribe(f *testing.F) {
	f.Add(request{messageType: discover, options: join(pxe, archX64)}.bytes())
	f.Add(request{messageType: discover, hlen: 200, endless: true, options: []byte{60, 200, 1}}.bytes())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		var raw []byte
		for _, d := range Describe(packet) {
			raw = append(raw, d.Raw...)
			_ = fmt.Sprint(d)
		}
		if !bytes.Equal(raw, packet) {
			t.Fatalf("% x became % x", packet, raw)
		}
	})
}
