package dhcpproxy

import (
	"errors"
	"strings"
	"testing"

	"netbootd/bootmenu"
)

func TestParseTakesWhatFirmwareSends(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"no end option":             request{messageType: discover, endless: true, options: join(pxe, archX64)}.bytes(),
		"pads between options":      request{messageType: discover, options: join([]byte{0, 0}, pxe, []byte{0}, archX64, []byte{0})}.bytes(),
		"an option split in two":    request{messageType: discover, options: join(class("PXECl"), class("ient:Arch:00007"), archX64)}.bytes(),
		"a GUID of 16 bytes as MAC": request{messageType: discover, hlen: 16, options: join(pxe, archX64)}.bytes(),
		"padding after the end":     append(request{messageType: discover, options: join(pxe, archX64)}.bytes(), make([]byte, 100)...),
		"options in file and sname": overloaded(join(pxe), archX64),
		"garbage after the end":     append(request{messageType: discover, options: join(pxe, archX64)}.bytes(), 53, 200, 1),
	} {
		req, err := Parse(packet)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m := machineOf(req, on67(), nil); m.Arch != bootmenu.ArchX64UEFI || m.MAC.IsZero() {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

// overloaded is a DISCOVER with options in its fields file and sname.
func overloaded(file, sname []byte) []byte {
	p := request{messageType: discover, options: opt(52, 3)}.bytes()
	copy(p[offsetFile:], append(file, 255))
	copy(p[offsetSname:], append(sname, 255))
	return p
}

func TestParseRefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	good := request{messageType: discover, options: join(pxe, archX64)}.bytes()
	hlen := func(n byte) []byte {
		p := append([]byte(nil), good...)
		p[offsetHlen] = n
		return p
	}
	for name, packet := range map[string][]byte{
		"empty":                       nil,
		"short":                       good[:239],
		"a reply":                     request{op: 2, messageType: 2, options: pxe}.bytes(),
		"no cookie":                   request{cookieless: true, messageType: discover}.bytes(),
		"hlen 0":                      hlen(0),
		"hlen 17":                     hlen(17),
		"option over the end":         request{messageType: discover, endless: true, options: []byte{60, 200, 'P'}}.bytes(),
		"option over the end of file": overloaded(opt(60, make([]byte, 126)...), nil),
		"option without a length":     request{messageType: discover, endless: true, options: []byte{60}}.bytes(),
	} {
		if _, err := Parse(packet); !errors.Is(err, errMalformed) {
			t.Errorf("%s: got %v, want a malformed packet", name, err)
		}
	}
}

// FuzzAnswer looks for packets that make the parser or the decision panic, or
// that get an answer without being from a PXE client or an opted-in one.
func FuzzAnswer(f *testing.F) {
	for _, r := range []request{
		{messageType: discover, options: join(pxe, archX64, machineID)},
		{messageType: discover, options: join(pxe, archBIOS, userIPXE)},
		{messageType: discover, endless: true, options: join([]byte{0}, class("U-Boot"))},
		{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, opt(43, 71, 4, 0, 0, 0, 0, 255))},
		{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(pxe, opt(82, 1, 1, 1), opt(175, 0xeb, 3, 1, 0, 0))},
	} {
		f.Add(r.bytes(), true)
		f.Add(r.bytes(), false)
	}
	for _, e := range exchanges {
		f.Add(readHex(f, e.class+"/"+e.req), e.in.Port == PortDHCP)
	}
	f.Add(overloaded(join(pxe), archX64), true)
	r, recall := testResponder(f), offeredMenu(f)
	f.Fuzz(func(t *testing.T, packet []byte, dhcp bool) {
		req, err := Parse(packet)
		if err != nil {
			return
		}
		in := on4011("198.18.0.50:68")
		if dhcp {
			in = on67()
		}
		v := r.Answer(req, in, recall)
		if v.Reply == nil {
			if v.Reason == "" {
				t.Fatal("silence without a reason")
			}
			return
		}
		if c := req.ClassIdentifier(); !strings.HasPrefix(c, "PXEClient") && !(dhcp && r.Selector.OptsIn(c)) {
			t.Fatalf("answered a client of class %q", c)
		}
		if !v.Reply.Packet.YourIPAddr.IsUnspecified() {
			t.Fatal("an address was leased")
		}
		if n := len(v.Reply.Packet.ToBytes()); n > 1472 {
			t.Fatalf("a reply of %d bytes", n)
		}
	})
}
