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

// TestAnswer goes through the decision table row by row: which request gets which
// reply, and which silence.
func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		req    request
		in     Ingress
		file   string // of the reply; empty: silence
		style  Style
		reason bootmenu.Reason
	}{
		"UEFI DISCOVER gets a bare OFFER":                   {request{messageType: discover, options: join(pxe, archX64)}, on67(), snponly, StyleBare, ""},
		"x64 firmware that says 9 is x64":                   {request{messageType: discover, options: join(pxe, opt(93, 0, 9))}, on67(), snponly, StyleBare, ""},
		"BIOS DISCOVER gets an OFFER that skips discovery":  {request{messageType: discover, options: join(class("PXEClient:Arch:00000:UNDI:002001"), archBIOS)}, on67(), undionly, StyleSkip, ""},
		"without option 93 the vendor class tells the arch": {request{messageType: discover, options: pxe}, on67(), snponly, StyleBare, ""},
		"without any arch it is BIOS":                       {request{messageType: discover, options: class("PXEClient")}, on67(), undionly, StyleSkip, ""},
		"option 93 of odd length is no arch":                {request{messageType: discover, options: join(class("PXEClient"), opt(93, 0, 7, 0))}, on67(), undionly, StyleSkip, ""},
		"of several archs the first known one counts":       {request{messageType: discover, options: join(pxe, opt(93, 0xff, 0, 0, 7))}, on67(), snponly, StyleBare, ""},
		"without option 94 or 97 it is still PXE":           {request{messageType: discover, options: join(class("PXEClient"), archX64)}, on67(), snponly, StyleBare, ""},
		"iPXE by plain user class gets the script":          {request{messageType: discover, options: join(pxe, archX64, userIPXE)}, on67(), bootmenu.ScriptName, StyleSkip, ""},
		"iPXE by RFC 3004 user class gets the script":       {request{messageType: discover, options: join(pxe, archX64, opt(77, append([]byte{4}, "iPXE"...)...))}, on67(), bootmenu.ScriptName, StyleSkip, ""},
		"iPXE by its encapsulation gets the script":         {request{messageType: discover, options: join(pxe, archX64, opt(175, 0x13, 1, 1))}, on67(), bootmenu.ScriptName, StyleSkip, ""},
		"another user class is believed in spite of it":     {request{messageType: discover, options: join(pxe, archX64, opt(77, []byte("lab")...), opt(175, 0x13, 1, 1))}, on67(), snponly, StyleBare, ""},
		"user classes are compared exactly":                 {request{messageType: discover, options: join(pxe, archX64, opt(77, []byte("ipxe")...))}, on67(), snponly, StyleBare, ""},
		"a class that a profile names is answered":          {request{messageType: discover, options: join(class("U-Boot.armv8"), opt(93, 0, 22))}, on67(), "boot.scr.uimg", StyleHeader, ""},
		"UEFI REQUEST on 4011 gets an ACK":                  {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64)}, on4011("198.18.0.50:4011"), snponly, StyleBare, ""},
		"BIOS REQUEST on 4011 gets an ACK":                  {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(class("PXEClient"), archBIOS)}, on4011("198.18.0.50:68"), undionly, StyleSkip, ""},
		"INFORM on 4011 gets an ACK":                        {request{messageType: inform, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64)}, on4011("198.18.0.50:4011"), snponly, StyleBare, ""},
		"DISCOVER on 4011 gets an OFFER":                    {request{messageType: discover, options: join(pxe, archX64)}, on4011("198.18.0.50:68"), snponly, StyleBare, ""},
		"a relay on the list is answered":                   {request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(pxe, archX64)}, on67(), snponly, StyleBare, ""},

		"a laptop's DISCOVER":                    {request{messageType: discover, options: class("MSFT 5.0")}, on67(), "", "", ReasonNotPXE},
		"a DISCOVER without vendor class":        {request{messageType: discover}, on67(), "", "", ReasonNotPXE},
		"a vendor class that only contains PXE":  {request{messageType: discover, options: class("xPXEClient")}, on67(), "", "", ReasonNotPXE},
		"barebox":                                {request{messageType: discover, options: class("barebox-2024.01")}, on67(), "", "", ReasonBarebox},
		"UEFI HTTP Boot":                         {request{messageType: discover, options: join(class("HTTPClient:Arch:00016:UNDI:003000"), opt(93, 0, 16))}, on67(), "", "", ReasonHTTPClient},
		"a lease REQUEST":                        {request{messageType: reqst, options: join(pxe, archX64, opt(54, 198, 18, 0, 1), opt(50, 198, 18, 0, 50))}, on67(), "", "", ReasonLeaseRequest},
		"a lease REQUEST that names us":          {request{messageType: reqst, options: join(pxe, archX64, opt(54, 198, 18, 0, 2))}, on67(), "", "", ReasonLeaseRequest},
		"an INFORM on 67":                        {request{messageType: inform, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64)}, on67(), "", "", ReasonLeaseRequest},
		"a DECLINE":                              {request{messageType: 4, options: join(pxe, archX64)}, on67(), "", "", ReasonMalformed},
		"BOOTP, without option 53":               {request{options: join(pxe, archX64)}, on67(), "", "", ReasonMalformed},
		"a relay that is not on the list":        {request{messageType: discover, giaddr: [4]byte{198, 18, 6, 1}, options: join(pxe, archX64)}, on67(), "", "", ReasonRelayRefused},
		"an arch without loader":                 {request{messageType: discover, options: join(pxe, archARM64)}, on67(), "", "", bootmenu.ReasonNoLoader},
		"an arch no profile is for":              {request{messageType: discover, options: join(pxe, opt(93, 0, 27))}, on67(), "", "", bootmenu.ReasonNoProfile},
		"a boot item of somebody's menu on 67":   {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, opt(43, 71, 4, 0, 17, 0, 0, 255))}, on67(), "", "", ReasonBootItem},
		"a boot item of somebody's menu on 4011": {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, opt(43, 71, 4, 0, 17, 0, 0, 255))}, on4011("198.18.0.50:68"), "", "", ReasonBootItem},
		"a request on 4011 from nowhere":         {request{messageType: reqst, options: join(pxe, archX64)}, on4011("0.0.0.0:68"), "", "", ReasonNoSource},
		"an opted-in class on 4011":              {request{messageType: reqst, options: class("U-Boot.armv8")}, on4011("198.18.0.50:68"), "", "", ReasonNotPXE},
	} {
		v := testResponder(t).Answer(parse(t, c.req.bytes()), c.in)
		switch {
		case c.file == "":
			if v.Reply != nil || v.Reason != c.reason {
				t.Errorf("%s: got reply %v, reason %q, want silence, %q", name, v.Reply, v.Reason, c.reason)
			}
			if v.Why == "" {
				t.Errorf("%s: silence without a word of why", name)
			}
		case v.Reply == nil:
			t.Errorf("%s: got silence (%s: %s), want %s", name, v.Reason, v.Why, c.file)
		case v.Decision.File != c.file || v.Reply.Packet.BootFileName != c.file || v.Reply.Style != c.style:
			t.Errorf("%s: got %s in style %s, want %s in style %s", name, v.Reply.Packet.BootFileName, v.Reply.Style, c.file, c.style)
		}
	}
}

// TestReplyFields looks at every field and option of the four kinds of reply.
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
		"ACK on 4011":    {request{messageType: reqst, ciaddr: [4]byte{198, 18, 0, 50}, options: join(pxe, archX64, machineID)}, on4011("198.18.0.50:4011"), dhcpv4.MessageTypeAck, false, "198.18.0.50", "PXEClient", nil},
	} {
		req := parse(t, c.req.bytes())
		v := testResponder(t).Answer(req, c.in)
		if v.Reply == nil {
			t.Fatalf("%s: silence: %s", name, v.Why)
		}
		wire := v.Reply.Packet.ToBytes()
		if len(wire) < 300 || wire[len(bytes.TrimRight(wire, "\x00"))-1] != 255 {
			t.Errorf("%s: %d bytes on the wire, want at least 300, the last that is not zero an end option", name, len(wire))
		}
		p, err := dhcpv4.FromBytes(wire)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[string]bool{
			"op 2":                   p.OpCode == dhcpv4.OpcodeBootReply,
			"xid":                    p.TransactionID == req.TransactionID,
			"chaddr":                 bytes.Equal(p.ClientHWAddr, testMAC),
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
		for _, code := range []uint8{1, 3, 6, 51, 58, 59, 66, 67} {
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
	v := testResponder(t).Answer(parse(t, request{messageType: discover, giaddr: [4]byte{198, 18, 5, 1}, options: join(relay, clientID, pxe, archX64, opt(97, 0, 1))}.bytes()), on67())
	wire := bytes.TrimRight(v.Reply.Packet.ToBytes(), "\x00")
	if !bytes.HasSuffix(wire, append(relay, 255)) {
		t.Errorf("option 82 is not the last one before the end: % x", wire[240:])
	}
	if !bytes.Contains(wire, clientID) {
		t.Errorf("option 61 was not copied: % x", wire[240:])
	}
	if v.Reply.Packet.Options.Has(dhcpv4.OptionClientMachineIdentifier) {
		t.Error("a machine identifier of the wrong length was echoed")
	}
}

func TestReplyPutsALongNameIntoOption67(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d/", 70) + "file"
	p := compose(parse(t, request{messageType: discover, options: pxe}.bytes()), netip.MustParseAddr("198.18.0.2"), long, StyleSkip)
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
	v := testResponder(t).Answer(parse(t, request{messageType: discover, options: join(pxe, archX64)}.bytes()), in)
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
