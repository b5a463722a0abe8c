package dhcpproxy

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

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

// byCodec is a reply to a packet, which is good, as the codec reads the one and
// writes the other.
func byCodec(t *testing.T, r *Reply, packet []byte) []byte {
	t.Helper()
	// The codec knows nothing of option 52, and wants an end option.
	plain := slices.Clone(packet[:offsetOptions])
	err := eachOption(packet, func(code byte, value []byte) {
		plain = append(append(plain, code, byte(len(value))), value...)
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := dhcpv4.FromBytes(append(plain, 255))
	if err != nil {
		t.Fatal(err)
	}
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: req.HWType, TransactionID: req.TransactionID, Flags: req.Flags,
		ClientIPAddr: req.ClientIPAddr, YourIPAddr: net.IPv4zero, ServerIPAddr: r.From.AsSlice(), GatewayIPAddr: req.GatewayIPAddr,
		ClientHWAddr: req.ClientHWAddr, BootFileName: r.File,
		Options: dhcpv4.OptionsFromList(dhcpv4.OptMessageType(r.Type), dhcpv4.OptServerIdentifier(r.From.AsSlice())),
	}
	if r.Type == dhcpv4.MessageTypeOffer {
		p.ClientIPAddr = net.IPv4zero
		p.SetBroadcast()
	}
	set := func(code dhcpv4.OptionCode, value []byte) {
		if len(value) > 0 {
			p.UpdateOption(dhcpv4.OptGeneric(code, value))
		}
	}
	if len(r.File) > 127 {
		p.BootFileName = ""
		set(dhcpv4.OptionBootfileName, append([]byte(r.File), 0))
	}
	if r.Style != bootmenu.StyleHeader {
		set(dhcpv4.OptionClassIdentifier, []byte("PXEClient"))
	}
	if r.Style == bootmenu.StyleRPi {
		set(dhcpv4.OptionTFTPServerName, []byte(r.From.String()))
	}
	if id := req.GetOneOption(dhcpv4.OptionClientMachineIdentifier); len(id) == 17 {
		set(dhcpv4.OptionClientMachineIdentifier, id)
	}
	set(dhcpv4.OptionVendorSpecificInformation, r.Option43)
	set(optionClientID, req.GetOneOption(optionClientID))
	set(dhcpv4.OptionRelayAgentInformation, req.GetOneOption(dhcpv4.OptionRelayAgentInformation))
	return p.ToBytes()
}

// TestRepliesAreWhatTheCodecWrites makes up requests, some odd in many ways, and
// replies to them of each kind.
func TestRepliesAreWhatTheCodecWrites(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func(most int) []byte {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	styles := []bootmenu.Style{bootmenu.StyleBare, bootmenu.StyleSkip, bootmenu.StyleHeader, bootmenu.StyleMenu, bootmenu.StyleRPi}
	for range 3000 {
		var options []byte
		for range random.IntN(8) {
			code := []byte{0, 12, 43, 54, 60, 61, 77, 82, 93, 97, 97, 175}[random.IntN(12)]
			if code == 0 {
				options = append(options, 0)
			} else if options = append(options, opt(code, text(60)...)...); code == 97 {
				options = append(options[:len(options):len(options)], machineID...)
			}
			if random.IntN(20) == 0 {
				options = append(options, opt(82, make([]byte, 255)...)...) // makes it too long for one
			}
		}
		packet := request{messageType: discover, hlen: byte(1 + random.IntN(16)), flags: byte(random.Uint32()), mac: text(16), options: options}.bytes()
		for i := 4; i < offsetChaddr; i++ {
			packet[i] = byte(random.Uint32())
		}
		req := parse(t, packet)
		r := &Reply{
			Type: []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck}[random.IntN(2)],
			From: netip.AddrFrom4([4]byte{198, 18, byte(random.Uint32()), 2}), File: strings.Repeat("f", random.IntN(300)),
			Style: styles[random.IntN(len(styles))], Option43: [][]byte{nil, bootmenu.SkipDiscovery()}[random.IntN(2)],
		}
		if got, want := r.Append(nil, req), byCodec(t, r, packet); !bytes.Equal(got, want) {
			t.Fatalf("the reply %+v to\n% x is\n% x, and the codec writes\n% x", r, packet, got, want)
		}
	}
}

// FuzzAnswer looks for packets that make the parser or the decision panic, that
// get an answer without being from a PXE client or an opted-in one, or that get
// another one than the codec would write.
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
		if c := string(req.vendorClass); !strings.HasPrefix(c, "PXEClient") && !(dhcp && r.Selector.OptsIn(c)) {
			t.Fatalf("answered a client of class %q", c)
		}
		reply := v.Reply.Append(nil, req)
		if n := len(reply); n > 1472 {
			t.Fatalf("a reply of %d bytes", n)
		}
		if want := byCodec(t, v.Reply, packet); !bytes.Equal(reply, want) {
			t.Fatalf("the reply is\n% x, and the codec writes\n% x", reply, want)
		}
	})
}
