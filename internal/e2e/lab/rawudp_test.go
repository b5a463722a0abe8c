//go:build linux

package lab

import (
	"net/netip"
	"os"
	"testing"
)

func TestSentFrameIsReadBack(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	raw := RawUDP{file: w, mac: []byte{2, 0, 0, 0, 0, 1}}
	if err := raw.Broadcast(68, 67, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 1500)
	n, err := r.Read(frame)
	if err != nil {
		t.Fatal(err)
	}
	if sum := ipChecksum(frame[ethHeader : ethHeader+ipv4Header]); sum != 0 {
		t.Errorf("the checksum of the IPv4 header is off by %#x", sum)
	}
	// Ethernet pads short frames, and that is not payload.
	d, ok := parseFrame(append(frame[:n], 0, 0, 0, 0))
	if !ok {
		t.Fatalf("not taken for UDP: % x", frame[:n])
	}
	if want := netip.MustParseAddrPort("0.0.0.0:68"); d.Src != want {
		t.Errorf("source is %v, want %v", d.Src, want)
	}
	if want := netip.MustParseAddrPort("255.255.255.255:67"); d.Dst != want {
		t.Errorf("destination is %v, want %v", d.Dst, want)
	}
	if string(d.Payload) != "hello" {
		t.Errorf("payload is %q, want hello", d.Payload)
	}
	if _, ok := parseFrame(frame[:n-1]); ok {
		t.Error("a frame that was cut short is taken for whole")
	}
}

func TestUDPTableIsRead(t *testing.T) {
	t.Parallel()
	ports, err := udpPorts()
	if err != nil {
		t.Fatal(err)
	}
	if ports[0] {
		t.Error("port 0 cannot be bound")
	}
}
