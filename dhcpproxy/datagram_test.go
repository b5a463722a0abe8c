package dhcpproxy

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

// aDatagram is "hello" from 198.18.0.50:68 to 198.18.0.2:67.
func aDatagram() []byte {
	return appendDatagram(nil, []byte("hello"), netip.MustParseAddrPort("198.18.0.50:68"), netip.MustParseAddrPort("198.18.0.2:67"))
}

func TestDatagramIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	options := aDatagram()
	options[0] = 4<<4 | 6 // a header of 24 bytes
	options = append(options[:ipv4Header:ipv4Header], append([]byte{1, 1, 1, 1}, options[ipv4Header:]...)...)
	binary.BigEndian.PutUint16(options[offsetTotalLength:], uint16(len(options)))
	for name, b := range map[string][]byte{
		"plain":           aDatagram(),
		"padded":          append(aDatagram(), make([]byte, 13)...),
		"with IP options": options,
	} {
		p, ok := parseDatagram(b)
		if !ok || string(p.data) != "hello" || p.source.String() != "198.18.0.50:68" || p.destination.String() != "198.18.0.2" {
			t.Errorf("%s: %t, %q from %v to %v", name, ok, p.data, p.source, p.destination)
		}
		if !passes(t, 67, b) || passes(t, 68, b) {
			t.Errorf("%s: the filter must let it pass to port 67 and no other", name)
		}
	}
}

func TestWhatIsNoWholeDatagramIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]byte) []byte{
		"empty":                     func([]byte) []byte { return nil },
		"cut in the IP header":      func(b []byte) []byte { return b[:19] },
		"cut in the UDP header":     func(b []byte) []byte { return b[:27] },
		"cut in the data":           func(b []byte) []byte { return b[:len(b)-1] },
		"IPv6":                      func(b []byte) []byte { b[0] = 6<<4 | 5; return b },
		"header length 4":           func(b []byte) []byte { b[0] = 4<<4 | 1; return b },
		"TCP":                       func(b []byte) []byte { b[offsetProtocol] = 6; return b },
		"a first fragment":          func(b []byte) []byte { b[offsetFragment] = 0x20; return b },
		"a later fragment":          func(b []byte) []byte { b[offsetFragment+1] = 8; return b },
		"total length of a header":  func(b []byte) []byte { b[offsetTotalLength+1] = ipv4Header; return b },
		"UDP length over the end":   func(b []byte) []byte { b[ipv4Header+offsetUDPLength+1] = 14; return b },
		"UDP length below 8":        func(b []byte) []byte { b[ipv4Header+offsetUDPLength+1] = 7; return b },
		"header length over packet": func(b []byte) []byte { b[0] = 4<<4 | 15; return b },
	} {
		if p, ok := parseDatagram(change(aDatagram())); ok {
			t.Errorf("%s: got %q", name, p.data)
		}
	}
	for name, change := range map[string]func([]byte){
		"TCP":              func(b []byte) { b[offsetProtocol] = 6 },
		"a first fragment": func(b []byte) { b[offsetFragment] = 0x20 },
		"a later fragment": func(b []byte) { b[offsetFragment+1] = 8 },
	} {
		b := aDatagram()
		if change(b); passes(t, 67, b) {
			t.Errorf("%s passes the filter", name)
		}
	}
	dontFragment := aDatagram()
	dontFragment[offsetFragment] = 0x40
	if _, ok := parseDatagram(dontFragment); !ok || !passes(t, 67, dontFragment) {
		t.Error("a packet that must not be fragmented is none")
	}
}

// passes runs the filter's part that the virtual machine of package bpf knows.
func passes(t *testing.T, port uint16, b []byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(portFilter(port))
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// TestChecksum has a datagram whose sums were worked out by hand.
func TestChecksum(t *testing.T) {
	t.Parallel()
	b := appendDatagram([]byte("before"), []byte{1}, netip.MustParseAddrPort("198.18.0.2:67"), netip.MustParseAddrPort("255.255.255.255:68"))
	b = bytes.TrimPrefix(b, []byte("before"))
	// c612+0002 + ffff+ffff + 0011 + 0009 + 0043+0044+0009 + 0100 = 2c7bc, folded
	// c7be, inverted 3841.
	if got := binary.BigEndian.Uint16(b[ipv4Header+offsetUDPChecksum:]); got != 0x3841 {
		t.Errorf("checksum %04x, want 3841", got)
	}
	if got := checksum(0xffff); got != 0xffff {
		t.Errorf("a sum of ffff gives %04x, want ffff, for 0 means that there is no checksum", got)
	}
}

func FuzzParseDatagram(f *testing.F) {
	f.Add(aDatagram())
	f.Add(append(aDatagram(), 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseDatagram(b)
		if !ok {
			return
		}
		again := appendDatagram(nil, p.data, p.source, netip.AddrPortFrom(p.destination, 67))
		if q, ok := parseDatagram(again); !ok || !bytes.Equal(q.data, p.data) || q.source != p.source || q.destination != p.destination {
			t.Fatalf("%v is read back as %v, %t", p, q, ok)
		}
	})
}
