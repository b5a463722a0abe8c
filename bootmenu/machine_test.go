package bootmenu

import "testing"

func TestParseMACTakesColonsAndDashes(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"52:54:00:12:34:Ab", "52-54-00-12-34-ab"} {
		m, err := ParseMAC(in)
		if err != nil || m.String() != "52:54:00:12:34:ab" {
			t.Errorf("ParseMAC(%q) = %v, %v", in, m, err)
		}
	}
	for _, in := range []string{"", "52:54:00:12:34", "52:54:00:12:34:5g", "525400123456", "52:54:00:12:34:56:78", "52:540:0:12:34:56"} {
		if m, err := ParseMAC(in); err == nil {
			t.Errorf("ParseMAC(%q) = %v, want an error", in, m)
		}
	}
}

func TestMACHoldsWhatChaddrHolds(t *testing.T) {
	t.Parallel()
	guid := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if got := MACFromBytes(guid).String(); got != "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f" {
		t.Errorf("16 bytes: %s", got)
	}
	if !MACFromBytes(append(guid, 16)).IsZero() || !MACFromBytes(nil).IsZero() {
		t.Error("17 bytes, or none, must be the zero MAC")
	}
	if MACFromBytes([]byte{0}) == MACFromBytes([]byte{0, 0}) {
		t.Error("addresses of different length must differ")
	}
}

func TestIDIsWrittenAsPeopleKnowIt(t *testing.T) {
	t.Parallel()
	// What dmidecode prints as 00112233-4455-6677-8899-aabbccddeeff is sent with
	// its first three fields turned round (SMBIOS 2.6, section 7.2.1).
	wire := [16]byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	if got, want := IDFromWire(wire).String(), "00112233-4455-6677-8899-aabbccddeeff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if (ID{}).String() != "" {
		t.Error("the zero ID must be the empty text")
	}
}

func TestMACReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for _, want := range []MAC{{}, MACFromBytes([]byte{1}), MACFromBytes([]byte{0x52, 0x54, 0, 0xab, 0xcd, 0xef}), MACFromBytes(make([]byte, 16))} {
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got MAC
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"5", "52:5", "52-54", "525400", "x", "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"} {
		if err := new(MAC).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
