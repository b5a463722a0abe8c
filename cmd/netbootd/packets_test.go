package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// udp4 is an IPv4 packet with a UDP datagram in it.
func udp4(to uint16, payload []byte) []byte {
	ip := []byte{0x46, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 50, 198, 18, 0, 2, 1, 1, 1, 1} // with one word of options
	ip = binary.BigEndian.AppendUint16(ip, 68)
	ip = binary.BigEndian.AppendUint16(ip, to)
	ip = binary.BigEndian.AppendUint16(ip, uint16(8+len(payload)))
	return append(append(ip, 0, 0), payload...)
}

// capture is a file of one link type with these frames.
func capture(order binary.AppendByteOrder, mark, link uint32, frames ...[]byte) []byte {
	b := order.AppendUint32(nil, mark)
	b = append(b, make([]byte, 16)...)
	b = order.AppendUint32(b, link)
	for _, f := range frames {
		b = append(b, make([]byte, 8)...)
		b = order.AppendUint32(order.AppendUint32(b, uint32(len(f))), uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

func ethernet(kind ...byte) []byte { return append(make([]byte, 12), kind...) }

func TestReadPacketsTakesRequestsOutOfCaptures(t *testing.T) {
	t.Parallel()
	request := []byte{1, 1, 6, 0, 0xaa}
	want := []recordedPacket{{payload: request, port: 67, source: "198.18.0.50:68"}}
	plain := append(ethernet(8, 0), udp4(67, request)...)
	fragment := udp4(67, request)
	fragment[7] = 1
	for name, c := range map[string]struct {
		file []byte
		want []recordedPacket
	}{
		"Ethernet":                   {capture(binary.LittleEndian, pcapMicro, 1, plain), want},
		"the other byte order":       {capture(binary.BigEndian, pcapMicro, 1, plain), want},
		"times in nanoseconds":       {capture(binary.LittleEndian, pcapNano, 1, plain), want},
		"a VLAN tag":                 {capture(binary.LittleEndian, pcapMicro, 1, append(ethernet(0x81, 0, 0, 5, 8, 0), udp4(67, request)...)), want},
		"Linux cooked":               {capture(binary.LittleEndian, pcapMicro, 113, append(append(make([]byte, 14), 8, 0), udp4(67, request)...)), want},
		"Linux cooked, version 2":    {capture(binary.LittleEndian, pcapMicro, 276, append(append([]byte{8, 0}, make([]byte, 18)...), udp4(67, request)...)), want},
		"plain IP":                   {capture(binary.LittleEndian, pcapMicro, 101, udp4(67, request)), want},
		"padding of a short frame":   {capture(binary.LittleEndian, pcapMicro, 1, append(bytes.Clone(plain), 0, 0, 0)), want},
		"the boot port":              {capture(binary.LittleEndian, pcapMicro, 101, udp4(4011, request)), []recordedPacket{{payload: request, port: 4011, source: "198.18.0.50:68"}}},
		"two, and one that is cut":   {capture(binary.LittleEndian, pcapMicro, 1, plain, plain, plain)[:24+2*(16+len(plain))+20], append(want, want...)},
		"a reply":                    {capture(binary.LittleEndian, pcapMicro, 101, udp4(67, []byte{2, 1, 6, 0})), nil},
		"another port":               {capture(binary.LittleEndian, pcapMicro, 101, udp4(69, request)), nil},
		"a fragment":                 {capture(binary.LittleEndian, pcapMicro, 101, fragment), nil},
		"ARP":                        {capture(binary.LittleEndian, pcapMicro, 1, append(ethernet(8, 6), udp4(67, request)...)), nil},
		"IPv6":                       {capture(binary.LittleEndian, pcapMicro, 101, append([]byte{0x60}, make([]byte, 60)...)), nil},
		"frames without content":     {capture(binary.LittleEndian, pcapMicro, 1, nil, ethernet(), ethernet(8, 0), udp4(67, nil)), nil},
		"no frame":                   {capture(binary.LittleEndian, pcapMicro, 1), nil},
		"hexadecimal digits":         {[]byte("01 01\n06 # hlen\n00aa"), []recordedPacket{{payload: request, port: 67}}},
		"a length beyond the packet": {capture(binary.LittleEndian, pcapMicro, 101, udp4(67, request)[:30]), nil},
	} {
		got, err := readPackets(c.file)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(recordedPacket{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestReadPacketsSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	if _, err := readPackets([]byte{0x0a, 0x0d, 0x0d, 0x0a, 0}); !errors.Is(err, errPcapng) {
		t.Errorf("pcapng: %v", err)
	}
	if _, err := readPackets(capture(binary.LittleEndian, pcapMicro, 105)); err == nil || !strings.Contains(err.Error(), "link type 105") {
		t.Errorf("a link type: %v", err)
	}
	if _, err := readPackets([]byte("hello")); err == nil || !strings.Contains(err.Error(), "neither a capture (pcap) nor hexadecimal digits") {
		t.Errorf("text: %v", err)
	}
}

// FuzzReadPackets looks for files that make it panic.
func FuzzReadPackets(f *testing.F) {
	f.Add(capture(binary.BigEndian, pcapMicro, 1, append(ethernet(8, 0), udp4(67, []byte{1, 2})...)))
	f.Add(capture(binary.LittleEndian, pcapNano, 276, make([]byte, 60)))
	f.Add([]byte("00 01 # x"))
	f.Fuzz(func(t *testing.T, file []byte) {
		packets, _ := readPackets(file)
		for _, p := range packets {
			if len(p.payload) > len(file) {
				t.Fatal("more came out than went in")
			}
		}
	})
}
