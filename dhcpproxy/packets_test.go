package dhcpproxy

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// readHex reads a packet from testdata: pairs of hexadecimal digits, with
// comments from # to the end of a line.
func readHex(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	packet, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return packet
}

// A request is a DHCP request in the making.
type request struct {
	messageType byte
	options     []byte // besides option 53
	ciaddr      [4]byte
	giaddr      [4]byte
	mac         []byte // nil means testMAC
	flags       byte
	hlen        byte // 0 means 6
	op          byte // 0 means 1
	cookieless  bool
	endless     bool
}

// Machines of the tests; the catalog has something else for each.
var (
	testMAC  = []byte{0x52, 0x54, 0x00, 0x12, 0x34, 0x56} // starts a kernel
	skipMAC  = []byte{0x52, 0x54, 0x00, 0x00, 0x00, 0x01} // the same, by a profile that wants style skip
	menuMAC  = []byte{0x52, 0x54, 0x00, 0x00, 0x00, 0x02} // the same, by a profile that wants style menu
	diskMAC  = []byte{0x52, 0x54, 0x00, 0x00, 0x00, 0x03} // boots from disk
	quietMAC = []byte{0x52, 0x54, 0x00, 0x00, 0x00, 0x04} // gets silence
	rpiMAC   = []byte{0xb8, 0x27, 0xeb, 0x00, 0x00, 0x05} // a Raspberry Pi 3
)

// bytes writes the packet.
func (r request) bytes() []byte {
	p := make([]byte, 240)
	p[0], p[1], p[2] = max(r.op, 1), 1, r.hlen
	if r.hlen == 0 {
		p[2] = 6
	}
	copy(p[4:], []byte{0xde, 0xad, 0xbe, 0xef})
	p[10] = r.flags
	copy(p[12:], r.ciaddr[:])
	copy(p[24:], r.giaddr[:])
	if r.mac == nil {
		r.mac = testMAC
	}
	copy(p[28:], r.mac)
	copy(p[236:], magicCookie)
	if r.cookieless {
		p[236] = 0
	}
	if r.messageType != 0 {
		p = append(p, 53, 1, r.messageType)
	}
	p = append(p, r.options...)
	if !r.endless {
		p = append(p, 255)
	}
	return p
}

// opt is one option.
func opt(code byte, value ...byte) []byte { return append([]byte{code, byte(len(value))}, value...) }

// class is option 60.
func class(s string) []byte { return opt(60, []byte(s)...) }

// join is several options in a row.
func join(options ...[]byte) []byte { return bytes.Join(options, nil) }

// Options that many tests use.
var (
	pxe       = class("PXEClient:Arch:00007:UNDI:003000")
	archBIOS  = opt(93, 0, 0)
	archX64   = opt(93, 0, 7)
	archARM64 = opt(93, 0, 11)
	userIPXE  = opt(77, []byte("iPXE")...)
	machineID = opt(97, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
)

// testIface is the interface that test packets come in on.
var testIface = Interface{Name: "eth1", Index: 7, MTU: 1500, Up: true, Addrs: []netip.Prefix{
	netip.MustParsePrefix("198.18.0.2/24"),
	netip.MustParsePrefix("198.18.9.2/24"),
}}

// on67 is the ingress of a broadcast from a client without an address.
func on67() Ingress {
	return Ingress{Interface: testIface, Port: PortDHCP, Source: netip.MustParseAddrPort("0.0.0.0:68"), Destination: netip.MustParseAddr("255.255.255.255")}
}

// on4011 is the ingress of a unicast from a client with an address.
func on4011(source string) Ingress {
	return Ingress{Interface: testIface, Port: PortBoot, Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddr("198.18.0.2")}
}

// byMulticast is the ingress of a client that looks for a boot server.
func byMulticast(source string) Ingress {
	in := on4011(source)
	in.Destination = netip.MustParseAddr("224.0.1.2")
	return in
}

// catalog is a Selector for tests: a kernel for QEMU's machines, a few of which
// have a profile of their own, a board of U-Boot's vendor class, Raspberry Pis,
// and no more.
func catalog(t testing.TB) Selector {
	t.Helper()
	pattern := func(parse func(string) (bootmenu.Pattern, error), s string) []bootmenu.Pattern {
		p, err := parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return []bootmenu.Pattern{p}
	}
	mac := func(s string) []bootmenu.Pattern { return pattern(bootmenu.ParseMACPattern, s) }
	pcs := []bootmenu.Arch{bootmenu.ArchX86BIOS, bootmenu.ArchX64UEFI, bootmenu.ArchARM64UEFI}
	one := func(b []byte) *bootmenu.Match {
		return &bootmenu.Match{MAC: mac(bootmenu.MACFromBytes(b).String())}
	}
	return bootmenu.NewCatalog([]*bootmenu.Profile{
		{Name: "debian", Title: "Debian", Match: &bootmenu.Match{MAC: mac("52:54:00:*"), Arch: pcs}, Boot: bootmenu.Boot{Kernel: "linux"}},
		{Name: "skip", Title: "Skip", Match: one(skipMAC), Boot: bootmenu.Boot{Kernel: "linux", Offer: bootmenu.StyleSkip}},
		{Name: "menu", Title: "Menu", Match: one(menuMAC), Boot: bootmenu.Boot{Kernel: "linux", Offer: bootmenu.StyleMenu}},
		{Name: "disk", Title: "Disk", Match: one(diskMAC), Boot: bootmenu.Boot{Instead: bootmenu.InsteadDisk}},
		{Name: "quiet", Title: "Quiet", Match: one(quietMAC), Boot: bootmenu.Boot{Instead: bootmenu.InsteadSilence}},
		{Name: "board", Title: "Board", Match: &bootmenu.Match{VendorClass: pattern(bootmenu.ParsePattern, "U-Boot*")}, Boot: bootmenu.Boot{BootFile: "boot.scr.uimg"}},
		{Name: "arm", Title: "Arm", Match: &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchARM64UEFI}}, Boot: bootmenu.Boot{BootFile: "BOOTAA64.EFI"}},
		{Name: "pi", Title: "Pi", Match: &bootmenu.Match{Arch: []bootmenu.Arch{bootmenu.ArchRPi}}, Boot: bootmenu.Boot{Root: "boards/pi"}},
	}, bootmenu.Loaders{
		{Arch: bootmenu.ArchX86BIOS, Kind: bootmenu.LoaderIPXE}: undionly,
		{Arch: bootmenu.ArchX64UEFI, Kind: bootmenu.LoaderIPXE}: snponly,
	}, bootmenu.Menu{})
}

func testResponder(t testing.TB) *Responder {
	t.Helper()
	quirky, err := bootmenu.ParsePattern("PXEClient:*:003016")
	if err != nil {
		t.Fatal(err)
	}
	return &Responder{
		Selector: catalog(t), IPXEClasses: []string{"iPXE"}, Relays: []netip.Prefix{netip.MustParsePrefix("198.18.5.0/24")},
		Quirks: []bootmenu.Quirk{{Match: bootmenu.Match{VendorClass: []bootmenu.Pattern{quirky}}, Offer: bootmenu.StyleSkip}},
	}
}

// offeredMenu remembers of every machine that it was offered what the catalog has
// for it as a menu.
func offeredMenu(t testing.TB) func(bootmenu.Machine) Past {
	c := catalog(t)
	return func(m bootmenu.Machine) Past {
		if m.MAC != bootmenu.MACFromBytes(menuMAC) {
			return Past{}
		}
		menu := c.Select(m)
		return Past{Menu: &menu}
	}
}

// parse is Parse for packets that must be good.
func parse(t testing.TB, packet []byte) *Request {
	t.Helper()
	req, err := Parse(packet)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// written is a reply as the codec reads it.
func written(t testing.TB, r *Reply, req *Request) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := dhcpv4.FromBytes(r.Append(nil, req))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
