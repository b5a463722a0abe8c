package dhcpproxy

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

const (
	discover = 1
	reqst    = 3
	inform   = 8
)

const (
	undionly = "loaders/x86-bios/ipxe/undionly.kpxe"
	snponly  = "loaders/x64-uefi/ipxe/snponly.efi"
)

// A decision is one line of the table in TestAnswer.
type decision struct {
	row    int // of the decision table in docs/firmware.md
	name   string
	req    request
	in     Ingress
	file   string // of the reply; "-" for none, empty: silence
	style  bootmenu.Style
	reason bootmenu.Reason
}

// TestAnswer goes through the decision table row by row, each in its several
// forms: which request gets which reply, and which silence.
func TestAnswer(t *testing.T) {
	t.Parallel()
	addr := [4]byte{198, 18, 0, 50}
	item := func(n ...byte) []byte { return opt(43, append(append([]byte{71, 4}, n...), 255)...) }
	first := item(0x80, 0, 0, 0)
	fromAddr := on67()
	fromAddr.Source = netip.MustParseAddrPort("198.18.0.50:1068")
	rows := []decision{
		{1, "a reply", request{op: 2, messageType: 2, options: pxe}, on67(), "", "", ReasonMalformed},
		{1, "no cookie", request{cookieless: true, messageType: discover, options: pxe}, on67(), "", "", ReasonMalformed},
		{1, "hlen over 16", request{hlen: 17, messageType: discover, options: pxe}, on67(), "", "", ReasonMalformed},

		{2, "a DECLINE", request{messageType: 4, options: join(pxe, archX64)}, on67(), "", "", ReasonMalformed},
		{2, "BOOTP, without option 53", request{options: join(pxe, archX64)}, on67(), "", "", ReasonMalformed},

		{3, "a relay that is not on the list", request{messageType: discover, giaddr: [4]byte{198, 18, 6, 1}, options: join(pxe, archX64)}, on67(), "", "", ReasonRelayRefused},
		{3, "a relay on the list is answered", request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(pxe, archX64)}, on67(), snponly, bootmenu.StyleBare, ""},

		{4, "an arch without loader", request{messageType: discover, options: join(pxe, archARM64)}, on67(), "", "", bootmenu.ReasonNoLoader},
		{4, "an arch no profile is for", request{messageType: discover, options: join(pxe, opt(93, 0, 27))}, on67(), "", "", bootmenu.ReasonNoProfile},
		{4, "a machine whose profile is silence", request{messageType: discover, mac: quietMAC, options: join(pxe, archX64)}, on67(), "", "", bootmenu.ReasonLocalBoot},
		{4, "BIOS is told to boot from disk", request{messageType: discover, mac: diskMAC, options: join(pxe, archBIOS)}, on67(), "-", bootmenu.StyleMenu, ""},
		{4, "UEFI is told to boot from disk", request{messageType: discover, mac: diskMAC, options: join(pxe, archX64)}, on67(), "-", bootmenu.StyleMenu, ""},
		{4, "iPXE gets a script that boots from disk", request{messageType: discover, mac: diskMAC, options: join(pxe, archX64, userIPXE)}, on67(), bootmenu.ScriptName, bootmenu.StyleSkip, ""},
		{4, "a board that boots from disk gets silence", request{messageType: discover, mac: diskMAC, options: join(class("U-Boot"), opt(93, 0, 22))}, on67(), "", "", bootmenu.ReasonLocalBoot},

		{5, "an item of our menu on 67", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, first)}, fromAddr, snponly, bootmenu.StyleMenu, ""},
		{5, "an item asked for by INFORM", request{messageType: inform, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, first)}, fromAddr, snponly, bootmenu.StyleMenu, ""},
		{5, "an item of somebody else's menu on 67", request{messageType: reqst, ciaddr: addr, options: join(pxe, archX64, item(0, 17, 0, 0))}, fromAddr, "", "", ReasonBootItem},
		{5, "an item asked for without an address", request{messageType: reqst, mac: menuMAC, options: join(pxe, archX64, first)}, on67(), "", "", ReasonLeaseRequest},

		{6, "a lease REQUEST", request{messageType: reqst, options: join(pxe, archX64, opt(54, 198, 18, 0, 1), opt(50, 198, 18, 0, 50))}, on67(), "", "", ReasonLeaseRequest},
		{6, "a lease REQUEST that names us", request{messageType: reqst, options: join(pxe, archX64, opt(54, 198, 18, 0, 2))}, on67(), "", "", ReasonLeaseRequest},
		{6, "an INFORM on 67", request{messageType: inform, ciaddr: addr, options: join(pxe, archX64)}, on67(), "", "", ReasonLeaseRequest},

		{7, "UEFI HTTP Boot", request{messageType: discover, options: join(class("HTTPClient:Arch:00016:UNDI:003000"), opt(93, 0, 16))}, on67(), "", "", ReasonHTTPClient},
		{7, "UEFI HTTP Boot with the arch of PXE", request{messageType: discover, options: join(class("HTTPClient:Arch:00007:UNDI:003000"), archX64)}, on67(), "", "", ReasonHTTPClient},

		{8, "iPXE by plain user class gets the script", request{messageType: discover, options: join(pxe, archX64, userIPXE)}, on67(), bootmenu.ScriptName, bootmenu.StyleSkip, ""},
		{8, "iPXE by RFC 3004 user class gets the script", request{messageType: discover, options: join(pxe, archX64, opt(77, append([]byte{4}, "iPXE"...)...))}, on67(), bootmenu.ScriptName, bootmenu.StyleSkip, ""},
		{8, "iPXE as the second of two user classes", request{messageType: discover, options: join(pxe, archX64, opt(77, append([]byte{3, 'l', 'a', 'b', 4}, "iPXE"...)...))}, on67(), bootmenu.ScriptName, bootmenu.StyleSkip, ""},
		{8, "iPXE by its encapsulation gets the script", request{messageType: discover, options: join(pxe, archX64, opt(175, 0x13, 1, 1))}, on67(), bootmenu.ScriptName, bootmenu.StyleSkip, ""},
		{8, "another user class is believed in spite of it", request{messageType: discover, options: join(pxe, archX64, opt(77, []byte("lab")...), opt(175, 0x13, 1, 1))}, on67(), snponly, bootmenu.StyleBare, ""},
		{8, "user classes are compared exactly", request{messageType: discover, options: join(pxe, archX64, opt(77, []byte("ipxe")...))}, on67(), snponly, bootmenu.StyleBare, ""},

		{9, "Raspberry Pi by its address", request{messageType: discover, mac: rpiMAC, options: join(class("PXEClient:Arch:00000:UNDI:002001"), archBIOS)}, on67(), "bootcode.bin", bootmenu.StyleRPi, ""},
		{9, "Raspberry Pi by its identifier", request{messageType: discover, options: join(class("PXEClient:Arch:00000:UNDI:002001"), archBIOS, opt(97, append([]byte{0}, "RPi5\x17\x41\xd0\x00\x01\x02\x03\x04\x05\x06\x07\x08"...)...))}, on67(), "bootcode.bin", bootmenu.StyleRPi, ""},
		{9, "Raspberry Pi by its arch", request{messageType: discover, options: join(class("PXEClient"), opt(93, 0, 41))}, on67(), "bootcode.bin", bootmenu.StyleRPi, ""},
		{9, "Raspberry Pi that runs EDK2 is UEFI", request{messageType: discover, mac: rpiMAC, options: join(class("PXEClient:Arch:00011:UNDI:003000"), archARM64)}, on67(), "BOOTAA64.EFI", bootmenu.StyleBare, ""},

		{10, "BIOS DISCOVER gets an OFFER that skips discovery", request{messageType: discover, options: join(class("PXEClient:Arch:00000:UNDI:002001"), archBIOS)}, on67(), undionly, bootmenu.StyleSkip, ""},
		{10, "without any arch it is BIOS", request{messageType: discover, options: class("PXEClient")}, on67(), undionly, bootmenu.StyleSkip, ""},
		{10, "option 93 of odd length is no arch", request{messageType: discover, options: join(class("PXEClient"), opt(93, 0, 7, 0))}, on67(), undionly, bootmenu.StyleSkip, ""},

		{11, "UEFI DISCOVER gets a bare OFFER", request{messageType: discover, options: join(pxe, archX64)}, on67(), snponly, bootmenu.StyleBare, ""},
		{11, "x64 firmware that says 9 is x64", request{messageType: discover, options: join(pxe, opt(93, 0, 9))}, on67(), snponly, bootmenu.StyleBare, ""},
		{11, "without option 93 the vendor class tells the arch", request{messageType: discover, options: pxe}, on67(), snponly, bootmenu.StyleBare, ""},
		{11, "of several archs the first known one counts", request{messageType: discover, options: join(pxe, opt(93, 0xff, 0, 0, 7))}, on67(), snponly, bootmenu.StyleBare, ""},
		{11, "without option 94 or 97 it is still PXE", request{messageType: discover, options: join(class("PXEClient"), archX64)}, on67(), snponly, bootmenu.StyleBare, ""},
		{11, "UEFI whose profile wants another style", request{messageType: discover, mac: skipMAC, options: join(pxe, archX64)}, on67(), snponly, bootmenu.StyleSkip, ""},
		{11, "UEFI with a quirk", request{messageType: discover, options: join(class("PXEClient:Arch:00007:UNDI:003016"), archX64)}, on67(), snponly, bootmenu.StyleSkip, ""},

		{12, "a class that a profile names is answered", request{messageType: discover, options: join(class("U-Boot.armv8"), opt(93, 0, 22))}, on67(), "boot.scr.uimg", bootmenu.StyleHeader, ""},

		{13, "a laptop's DISCOVER", request{messageType: discover, options: class("MSFT 5.0")}, on67(), "", "", ReasonNotPXE},
		{13, "a DISCOVER without vendor class", request{messageType: discover}, on67(), "", "", ReasonNotPXE},
		{13, "a vendor class that only contains PXE", request{messageType: discover, options: class("xPXEClient")}, on67(), "", "", ReasonNotPXE},
		{13, "barebox", request{messageType: discover, options: class("barebox-2024.01")}, on67(), "", "", ReasonBarebox},

		{14, "an item of our menu on 4011", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, first)}, on4011("198.18.0.50:68"), snponly, bootmenu.StyleMenu, ""},
		{14, "an item by multicast", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, first)}, byMulticast("198.18.0.50:68"), snponly, bootmenu.StyleMenu, ""},
		{14, "an item of somebody else's menu", request{messageType: reqst, ciaddr: addr, options: join(pxe, archX64, item(0, 17, 0, 0))}, on4011("198.18.0.50:68"), "", "", ReasonBootItem},
		{14, "an item behind the last of our menu", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, item(0x80, 1, 0, 0))}, on4011("198.18.0.50:68"), "", "", ReasonBootItem},
		{14, "the item that stands for the disk", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, item(0, 0, 0, 0))}, on4011("198.18.0.50:68"), "", "", ReasonBootItem},
		{14, "the credentials of an item", request{messageType: reqst, mac: menuMAC, ciaddr: addr, options: join(pxe, archX64, item(0x80, 0, 0x80, 0))}, on4011("198.18.0.50:68"), "", "", ReasonBootItem},

		{15, "UEFI REQUEST on 4011 gets an ACK", request{messageType: reqst, ciaddr: addr, options: join(pxe, archX64)}, on4011("198.18.0.50:4011"), snponly, bootmenu.StyleBare, ""},
		{15, "BIOS REQUEST on 4011 gets an ACK", request{messageType: reqst, ciaddr: addr, options: join(class("PXEClient"), archBIOS)}, on4011("198.18.0.50:68"), undionly, bootmenu.StyleSkip, ""},
		{15, "INFORM on 4011 gets an ACK", request{messageType: inform, ciaddr: addr, options: join(pxe, archX64)}, on4011("198.18.0.50:4011"), snponly, bootmenu.StyleBare, ""},
		{15, "a request on 4011 from nowhere", request{messageType: reqst, options: join(pxe, archX64)}, on4011("0.0.0.0:68"), "", "", ReasonNoSource},

		{16, "DISCOVER on 4011 gets an OFFER", request{messageType: discover, options: join(pxe, archX64)}, on4011("198.18.0.50:68"), snponly, bootmenu.StyleBare, ""},

		{17, "an opted-in class on 4011", request{messageType: reqst, options: class("U-Boot.armv8")}, on4011("198.18.0.50:68"), "", "", ReasonNotPXE},
		{17, "UEFI HTTP Boot on 4011", request{messageType: reqst, options: class("HTTPClient:Arch:00016:UNDI:003000")}, on4011("198.18.0.50:68"), "", "", ReasonHTTPClient},
	}
	seen := 0
	for _, d := range rows {
		d.check(t)
		if d.row > seen+1 {
			t.Errorf("row %d of the table is missing", seen+1)
		}
		seen = d.row
	}
	if seen != 17 {
		t.Errorf("the last row is %d, want 17", seen)
	}
}

// check looks whether the decision is as the line says.
func (d decision) check(t *testing.T) {
	t.Helper()
	req, err := Parse(d.req.bytes())
	if err != nil {
		if d.reason != ReasonMalformed {
			t.Errorf("row %d, %s: %v", d.row, d.name, err)
		}
		return
	}
	v := testResponder(t).Answer(req, d.in, offeredMenu(t))
	switch {
	case d.file == "":
		if v.Reply != nil || v.Reason != d.reason {
			t.Errorf("row %d, %s: got reply %v, reason %q, want silence, %q", d.row, d.name, v.Reply, v.Reason, d.reason)
		}
		if v.Why == "" {
			t.Errorf("row %d, %s: silence without a word of why", d.row, d.name)
		}
	case v.Reply == nil:
		t.Errorf("row %d, %s: got silence (%s: %s), want %s", d.row, d.name, v.Reason, v.Why, d.file)
	case written(t, v.Reply, req).BootFileName != strings.TrimPrefix(d.file, "-") || v.Reply.File != strings.TrimPrefix(d.file, "-") || v.Reply.Style != d.style:
		t.Errorf("row %d, %s: got %s in style %s, want %s in style %s", d.row, d.name, v.Reply.File, v.Reply.Style, d.file, d.style)
	}
	if v.Reply != nil && v.Reply.StyleWhy == "" {
		t.Errorf("row %d, %s: no word of why in this style", d.row, d.name)
	}
}

// TestAnswerToEveryArch sends each value that IANA has assigned: as a PXE client
// it gets the file and the style of its kind, as an HTTP client silence.
func TestAnswerToEveryArch(t *testing.T) {
	t.Parallel()
	r := testResponder(t)
	r.Selector = bootmenu.NewCatalog([]*bootmenu.Profile{{Name: "all", Match: &bootmenu.Match{All: true}, Boot: bootmenu.Boot{BootFile: "file"}}}, nil, bootmenu.Menu{})
	uefi := []byte{2, 6, 7, 8, 9, 10, 11, 25, 27, 29, 33, 34, 35, 36, 37, 39}
	for arch := range byte(42) {
		want := bootmenu.StyleSkip
		switch {
		case bytes.IndexByte(uefi, arch) >= 0:
			want = bootmenu.StyleBare
		case arch == 41:
			want = bootmenu.StyleRPi
		}
		v := r.Answer(parse(t, request{messageType: discover, options: join(class("PXEClient"), opt(93, 0, arch))}.bytes()), on67(), nil)
		if v.Reply == nil || v.Reply.Style != want || v.Reply.File != "file" || v.Machine.Arch.Label() == "other" {
			t.Errorf("arch %d: %s, reply %+v, want style %s", arch, v.Machine.Arch, v.Reply, want)
		}
		v = r.Answer(parse(t, request{messageType: discover, options: join(class("HTTPClient"), opt(93, 0, arch))}.bytes()), on67(), nil)
		if v.Reason != ReasonHTTPClient {
			t.Errorf("arch %d as an HTTP client: reason %q", arch, v.Reason)
		}
	}
}

// TestReplyFields looks at every field and option of each kind of reply.
func TestReplyFields(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddr("198.18.0.2")
	for name, c := range map[string]struct {
		req       request
		in        Ingress
		kind      dhcpv4.MessageType
		broadcast bool
		ciaddr    string
		class     string
		option43  []byte
	}{
		"OFFER to UEFI":  {request{messageType: discover, ciaddr: [4]byte{1, 2, 3, 4}, options: join(pxe, archX64, machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "PXEClient", nil},
		"OFFER to BIOS":  {request{messageType: discover, options: join(pxe, archBIOS, machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "PXEClient", bootmenu.SkipDiscovery()},
		"OFFER to board": {request{messageType: discover, options: join(class("U-Boot"), machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "", nil},
		"OFFER to a Pi":  {request{messageType: discover, options: join(class("PXEClient"), opt(93, 0, 41), machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "PXEClient", bootmenu.RaspberryPi(false)},
		"OFFER of a menu": {request{messageType: discover, mac: menuMAC, options: join(pxe, archX64, machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "PXEClient",
			join([]byte{6, 1, 3}, opt(10, append([]byte{3}, bootmenu.MenuPrompt...)...), []byte{8, 7, 0x80, 0, 1, 198, 18, 0, 2}, opt(9, append([]byte{0x80, 0, 4, 'M', 'e', 'n', 'u', 0, 0, 14}, bootmenu.MenuDiskText...)...), []byte{255})},
		"word to boot from disk": {request{messageType: discover, mac: diskMAC, options: join(pxe, archX64, machineID)}, on67(), dhcpv4.MessageTypeOffer, true, "0.0.0.0", "PXEClient",
			join([]byte{6, 1, 3}, opt(10, append([]byte{0}, bootmenu.MenuDiskText...)...), opt(9, append([]byte{0, 0, 14}, bootmenu.MenuDiskText...)...), []byte{255})},
		"ACK to an item": {request{messageType: reqst, mac: menuMAC, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, machineID, opt(43, 71, 4, 0x80, 0, 0, 2, 255))}, on4011("198.18.0.50:68"), dhcpv4.MessageTypeAck, false, "198.18.0.50", "PXEClient", []byte{71, 4, 0x80, 0, 0, 2, 255}},
		"ACK on 4011":    {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, machineID)}, on4011("198.18.0.50:4011"), dhcpv4.MessageTypeAck, false, "198.18.0.50", "PXEClient", nil},
	} {
		req := parse(t, c.req.bytes())
		v := testResponder(t).Answer(req, c.in, offeredMenu(t))
		if v.Reply == nil {
			t.Fatalf("%s: silence: %s", name, v.Why)
		}
		wire := v.Reply.Append(nil, req)
		if len(wire) < 300 || wire[len(bytes.TrimRight(wire, "\x00"))-1] != 255 {
			t.Errorf("%s: %d bytes on the wire, want at least 300, the last that is not zero an end option", name, len(wire))
		}
		p, err := dhcpv4.FromBytes(wire)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[string]bool{
			"op 2":                   p.OpCode == dhcpv4.OpcodeBootReply,
			"xid":                    bytes.Equal(p.TransactionID[:], req.fixed[offsetXid:offsetSecs]),
			"chaddr":                 bytes.Equal(p.ClientHWAddr, req.chaddr()),
			"hops 0":                 p.HopCount == 0,
			"secs 0":                 p.NumSeconds == 0,
			"broadcast flag":         p.IsBroadcast() == c.broadcast,
			"ciaddr":                 p.ClientIPAddr.String() == c.ciaddr,
			"yiaddr 0":               p.YourIPAddr.IsUnspecified(),
			"siaddr":                 p.ServerIPAddr.String() == server.String(),
			"message type":           p.MessageType() == c.kind,
			"server identifier":      p.ServerIdentifier().String() == server.String(),
			"vendor class":           p.ClassIdentifier() == c.class,
			"machine identifier":     bytes.Equal(p.GetOneOption(dhcpv4.OptionClientMachineIdentifier), machineID[2:]),
			"option 43":              bytes.Equal(p.GetOneOption(dhcpv4.OptionVendorSpecificInformation), c.option43),
			"leaves from the server": v.Reply.From == server,
		}
		for what, ok := range got {
			if !ok {
				t.Errorf("%s: wrong %s in\n%s", name, what, p.Summary())
			}
		}
		if got := p.Options.Has(dhcpv4.OptionTFTPServerName); got != (v.Reply.Style == bootmenu.StyleRPi) {
			t.Errorf("%s: option 66 is there: %v, and only a Raspberry Pi needs it", name, got)
		}
		for _, code := range []uint8{1, 3, 6, 51, 52, 58, 59, 67, 77} {
			if p.Options.Has(dhcpv4.GenericOptionCode(code)) {
				t.Errorf("%s: option %d must never be sent", name, code)
			}
		}
	}
}

func TestReplyEchoesWhatTheClientNeedsBack(t *testing.T) {
	t.Parallel()
	relay := opt(82, 1, 2, 'a', 'b')
	clientID := opt(61, 1, 2, 3)
	req := parse(t, request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(relay, clientID, pxe, archX64, opt(97, 0, 1))}.bytes())
	v := testResponder(t).Answer(req, on67(), nil)
	wire := bytes.TrimRight(v.Reply.Append(nil, req), "\x00")
	if !bytes.HasSuffix(wire, append(relay, 255)) {
		t.Errorf("option 82 is not the last one before the end: % x", wire[240:])
	}
	if !bytes.Contains(wire, clientID) {
		t.Errorf("option 61 was not copied: % x", wire[240:])
	}
	if written(t, v.Reply, req).Options.Has(dhcpv4.OptionClientMachineIdentifier) {
		t.Error("a machine identifier of the wrong length was echoed")
	}
}

func TestReplyPutsALongNameIntoOption67(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d/", 70) + "file"
	r := &Reply{Type: dhcpv4.MessageTypeOffer, From: netip.MustParseAddr("198.18.0.2"), File: long, Style: bootmenu.StyleSkip}
	p := written(t, r, parse(t, request{messageType: discover, options: pxe}.bytes()))
	if got := p.GetOneOption(dhcpv4.OptionBootfileName); string(got) != long+"\x00" || p.BootFileName != "" {
		t.Errorf("file %q, option 67 %q", p.BootFileName, got)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		req  request
		in   Ingress
		want string
	}{
		"a client without address: broadcast":   {request{messageType: discover}, on67(), "255.255.255.255:68"},
		"whatever its source port":              {request{messageType: discover}, Ingress{Port: PortDHCP, Source: netip.MustParseAddrPort("0.0.0.0:1068")}, "255.255.255.255:68"},
		"whatever its ciaddr":                   {request{messageType: discover, ciaddr: [4]byte{198, 18, 0, 9}}, on67(), "255.255.255.255:68"},
		"a relay: unicast to port 67":           {request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}}, on67(), "198.18.5.1:67"},
		"discovery: back to where it came from": {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: opt(43, 71, 4, 0x80, 0, 0, 0, 255)}, Ingress{Port: PortDHCP, Source: netip.MustParseAddrPort("198.18.0.50:1068")}, "198.18.0.50:1068"},
		"discovery from nowhere: nobody":        {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: opt(43, 71, 4, 0x80, 0, 0, 0, 255)}, on67(), ""},
		"discovery through a relay":             {request{messageType: reqst, giaddr: [4]byte{198, 18, 5, 1}, ciaddr: [4]byte{198, 18, 0, 50}, options: opt(43, 71, 4, 0x80, 0, 0, 0, 255)}, on67(), "198.18.5.1:67"},
		"port 4011: back to where it came from": {request{messageType: reqst}, on4011("198.18.0.50:4011"), "198.18.0.50:4011"},
		"port 4011: whatever port that is":      {request{messageType: reqst}, on4011("198.18.0.50:68"), "198.18.0.50:68"},
		"port 4011 from nowhere: nobody":        {request{messageType: reqst}, on4011("0.0.0.0:68"), ""},
		"port 4011 from port 0: nobody":         {request{messageType: reqst}, on4011("198.18.0.50:0"), ""},
	} {
		to, ok := Destination(parse(t, c.req.bytes()), c.in)
		if ok != (c.want != "") || ok && to.String() != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, to, ok, c.want)
		}
	}
}

func TestServerAddrIsOneThatTheClientReaches(t *testing.T) {
	t.Parallel()
	prefixes := func(texts ...string) (ps []netip.Prefix) {
		for _, s := range texts {
			ps = append(ps, netip.MustParsePrefix(s))
		}
		return ps
	}
	for name, c := range map[string]struct {
		addrs       []netip.Prefix
		destination string
		client      string
		want        string
	}{
		"the address that was asked":          {prefixes("198.18.0.2/24", "198.18.9.2/24"), "198.18.9.2", "198.18.0.7", "198.18.9.2"},
		"the address in the client's subnet":  {prefixes("198.18.0.2/24", "198.18.9.2/24"), "255.255.255.255", "198.18.9.7", "198.18.9.2"},
		"the first one for a client without":  {prefixes("198.18.0.2/24", "198.18.9.2/24"), "255.255.255.255", "", "198.18.0.2"},
		"not link-local if there is another":  {prefixes("169.254.1.1/16", "198.18.9.2/24"), "255.255.255.255", "", "198.18.9.2"},
		"link-local if there is nothing else": {prefixes("169.254.1.1/16"), "255.255.255.255", "", "169.254.1.1"},
		"never loopback":                      {prefixes("127.0.0.1/8"), "255.255.255.255", "", ""},
		"nothing without an address":          {nil, "255.255.255.255", "", ""},
	} {
		in := Ingress{Interface: Interface{Addrs: c.addrs}, Destination: netip.MustParseAddr(c.destination)}
		var client netip.Addr
		if c.client != "" {
			client = netip.MustParseAddr(c.client)
		}
		got, ok := in.serverAddr(client)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, got, ok, c.want)
		}
	}
}

func TestAnswerWithoutAddressIsSilence(t *testing.T) {
	t.Parallel()
	in := on67()
	in.Interface.Addrs = nil
	v := testResponder(t).Answer(parse(t, request{messageType: discover, options: join(pxe, archX64)}.bytes()), in, nil)
	if v.Reply != nil || v.Reason != ReasonNoAddress {
		t.Errorf("got %v, %q", v.Reply, v.Reason)
	}
}

func TestMachineOfReadsWhatTheClientTells(t *testing.T) {
	t.Parallel()
	req := parse(t, request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, machineID, opt(77, append([]byte{3}, "lab"...)...))}.bytes())
	m := machineOf(req, on4011("198.18.0.50:4011"), nil)
	if m.MAC.String() != "52:54:00:12:34:56" || m.ID.String() != "04030201-0605-0807-090a-0b0c0d0e0f10" || m.Arch != bootmenu.ArchX64UEFI ||
		m.VendorClass != "PXEClient:Arch:00007:UNDI:003000" || len(m.UserClass) != 1 || m.UserClass[0] != "lab" ||
		m.Addr.String() != "198.18.0.50" || m.Interface != "eth1" || m.IPXE {
		t.Errorf("got %+v", m)
	}
}

func TestOnlyARaspberryPiTellsItsSerialNumber(t *testing.T) {
	t.Parallel()
	rpi := class("PXEClient:Arch:00000:UNDI:002001")
	id := func(text string) []byte { return opt(97, append([]byte{0}, text...)...) }
	newer := id("RPi4\x11\x31\xc0\x00\x32\x01\x36\xc2\xb2\xa1\xd5\x9c")
	older := id("\xb2\xa1\xd5\x9c\xb2\xa1\xd5\x9c\xb2\xa1\xd5\x9c\xb2\xa1\xd5\x9c")
	pi4MAC := []byte{0xdc, 0xa6, 0x32, 0x01, 0x36, 0xc2}
	for name, c := range map[string]struct {
		req  request
		want string
	}{
		"model 4":                         {request{mac: pi4MAC, options: join(rpi, archBIOS, newer)}, "9cd5a1b2"},
		"model 4 with another address":    {request{options: join(rpi, archBIOS, newer)}, "9cd5a1b2"},
		"model 4 with an older EEPROM":    {request{mac: pi4MAC, options: join(rpi, archBIOS, older)}, "9cd5a1b2"},
		"model 3":                         {request{mac: rpiMAC, options: join(rpi, archBIOS, id("DDDDDDDDDDDDDDDD"))}, ""},
		"a PC":                            {request{options: join(pxe, archX64, machineID)}, ""},
		"a PC with a UUID of one pattern": {request{options: join(pxe, archX64, older)}, ""},
		"a machine without option 97":     {request{mac: pi4MAC, options: join(rpi, archBIOS)}, ""},
		"an identifier that is too short": {request{mac: pi4MAC, options: join(rpi, archBIOS, id("RPi4"))}, ""},
	} {
		c.req.messageType = discover
		if got := machineOf(parse(t, c.req.bytes()), on67(), nil).Serial; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
