package bootmenu

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func TestParseBootItem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		option []byte
		want   BootItem
		ok     bool
	}{
		"item":            {[]byte{71, 4, 0, 17, 0, 0, 255}, BootItem{Type: 17}, true},
		"item after pads": {[]byte{0, 0, 6, 1, 8, 71, 4, 0x80, 1, 0, 2}, BootItem{Type: 0x8001, Layer: 2}, true},
		"after the end":   {[]byte{255, 71, 4, 0, 17, 0, 0}, BootItem{}, false},
		"item of 3 bytes": {[]byte{71, 3, 0, 17, 0, 255}, BootItem{}, false},
		"truncated":       {[]byte{71, 4, 0}, BootItem{}, false},
		"tag alone":       {[]byte{71}, BootItem{}, false},
		"ours":            {SkipDiscovery(), BootItem{}, false},
		"nothing":         {nil, BootItem{}, false},
	} {
		if got, ok := ParseBootItem(c.option); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %v, want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestBootItemIsNamedAgain(t *testing.T) {
	t.Parallel()
	item := BootItem{Type: 0x8001, Layer: 0x8002}
	if got, ok := ParseBootItem(item.Option43()); !ok || got != item || !got.WantsCredentials() {
		t.Errorf("got %+v, %v", got, ok)
	}
	if (BootItem{Layer: 0x7fff}).WantsCredentials() {
		t.Error("only bit 15 of the layer asks for credentials")
	}
}

// TestRaspberryPi compares with the bytes that are known to work,
// whose lengths the ROMs insist on.
func TestRaspberryPi(t *testing.T) {
	t.Parallel()
	text := hex.EncodeToString([]byte("Raspberry Pi Boot"))
	for maskROM, want := range map[bool]string{
		false: "0601030a04005058450914000011" + text + "ff",
		true:  "0601030a04005058450917000014" + text + "202020ff",
	} {
		if got := hex.EncodeToString(RaspberryPi(maskROM)); got != want {
			t.Errorf("mask ROM %v: got  %s\nwant %s", maskROM, got, want)
		}
	}
}

func TestBootMenu(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddr("198.18.0.2")
	got, shown := BootMenu([]MenuItem{{ItemDisk, "Disk"}, {FirstItem, "Dëbian\n"}}, server, 10, "F8")
	want := []byte{
		6, 1, 3, // unicast to the listed servers only
		10, 3, 10, 'F', '8',
		8, 7, 0x80, 0, 1, 198, 18, 0, 2,
		9, 17, 0, 0, 4, 'D', 'i', 's', 'k', 0x80, 0, 7, 'D', '?', 'b', 'i', 'a', 'n', '?',
		255,
	}
	if !bytes.Equal(got, want) || shown != 2 {
		t.Errorf("got  % x, %d\nwant % x, 2", got, shown, want)
	}
	if got, _ := BootMenu([]MenuItem{{ItemDisk, "Disk"}}, server, 0, ""); bytes.IndexByte(got, TagBootServers) == 3 {
		t.Errorf("a menu of the disk alone has boot servers: % x", got)
	}
}

// TestBootMenuFitsOneOption fills the menu until no more goes in: firmware reads
// no second part of option 43.
func TestBootMenuFitsOneOption(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddr("198.18.0.2")
	for length := range 60 {
		items := make([]MenuItem, 30)
		for i := range items {
			items[i] = MenuItem{FirstItem + ItemType(i), strings.Repeat("x", length)}
		}
		got, shown := BootMenu(items, server, 10, "Press F8")
		each := 7 + 3 + min(length, maxItemText)
		if len(got) > 255 || got[len(got)-1] != tagEnd || shown < 4 || len(got)+each <= 255 && shown < len(items) {
			t.Errorf("texts of %d: %d bytes, %d items", length, len(got), shown)
		}
	}
}
