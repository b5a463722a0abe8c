//go:build linux

package e2e_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// The ports of DHCP and of the PXE boot server.
const (
	dhcpServerPort = 67
	dhcpClientPort = 68
	pxePort        = 4011
)

// pxeProfile answers the made-up clients below.
const pxeProfile = "boot_file = \"hello.ipxe\"\n[match]\nmac = [\"52:54:00:*\"]\n"

var clientMAC = net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}

// request makes a DHCP request as a client without an address sends it.
func request(t *testing.T, kind dhcpv4.MessageType, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(clientMAC), dhcpv4.WithMessageType(kind))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m
}

// pxeOptions are those of a BIOS PXE ROM (PXE specification 2.1, section 2.2).
func pxeOptions() []dhcpv4.Option {
	return []dhcpv4.Option{
		dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001"),
		dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 0}),
		dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 2, 1}),
		dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 17)),
	}
}

func newAnsweringServer(t *testing.T) (context.Context, *server) {
	t.Helper()
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	writeFile(t, s.images+"/hello.ipxe", "#!ipxe\n")
	s.start(ctx, t)
	return ctx, s
}

func TestStrangersGetSilence(t *testing.T) {
	ctx, s := newAnsweringServer(t)
	silent := map[string]*dhcpv4.DHCPv4{
		"a laptop's DISCOVER": request(t, dhcpv4.MessageTypeDiscover),
		"a Windows DISCOVER":  request(t, dhcpv4.MessageTypeDiscover, dhcpv4.OptClassIdentifier("MSFT 5.0")),
		"a barebox DISCOVER":  request(t, dhcpv4.MessageTypeDiscover, dhcpv4.OptClassIdentifier("barebox")),
		"a lease REQUEST": request(t, dhcpv4.MessageTypeRequest, append(pxeOptions(),
			dhcpv4.OptServerIdentifier(lab.SiteAddr.AsSlice()),
			dhcpv4.OptRequestedIPAddress(net.IPv4(198, 18, 0, 50)))...),
	}
	wire, err := s.net.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	send := func(m *dhcpv4.DHCPv4) {
		t.Helper()
		if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, m.ToBytes()); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range silent {
		send(m)
	}
	// Silence proves nothing if nobody listens. Requests that must be answered
	// come after the others on the same wire: once both answers are here, an
	// answer to an earlier one would be here too.
	first := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	second := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	send(first)
	answers := answersUntil(ctx, t, wire, first.TransactionID)
	send(second)
	answers = append(answers, answersUntil(ctx, t, wire, second.TransactionID)...)
	for name, m := range silent {
		for _, a := range answers {
			if a.TransactionID == m.TransactionID {
				t.Errorf("%s got an answer: %s", name, a.Summary())
			}
		}
	}
	if len(answers) != 2 {
		t.Errorf("got %d packets from netbootd, want the two OFFERs to the PXE client", len(answers))
	}
}

// answersUntil collects what netbootd sends from its DHCP ports until it
// answers the request with this xid.
func answersUntil(ctx context.Context, t *testing.T, wire *lab.RawUDP, xid dhcpv4.TransactionID) []*dhcpv4.DHCPv4 {
	t.Helper()
	var answers []*dhcpv4.DHCPv4
	for {
		d := nextFromBoot(ctx, t, wire)
		m, err := dhcpv4.FromBytes(d.Payload)
		if err != nil {
			t.Fatalf("netbootd sends no DHCP packet from %v: %v", d.Src, err)
		}
		answers = append(answers, m)
		if m.TransactionID == xid {
			return answers
		}
	}
}

// nextFromBoot is the next datagram from port 67 or 4011 of the boot place.
func nextFromBoot(ctx context.Context, t *testing.T, wire *lab.RawUDP) lab.Datagram {
	t.Helper()
	for {
		d, err := wire.Next(ctx)
		if err != nil {
			t.Fatalf("wait for an answer of netbootd: %v", err)
		}
		if d.Src.Addr() == lab.BootAddr && (d.Src.Port() == dhcpServerPort || d.Src.Port() == pxePort) {
			return d
		}
	}
}

func TestOfferIsWhatPXEClientsNeed(t *testing.T) {
	ctx, s := newAnsweringServer(t)
	wire, err := s.net.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	discover := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, discover.ToBytes()); err != nil {
		t.Fatal(err)
	}
	d := nextFromBoot(ctx, t, wire)
	if want := netip.MustParseAddrPort("198.18.0.2:67"); d.Src != want {
		t.Errorf("source is %v, want %v", d.Src, want)
	}
	// The client has no address yet, so whatever its flags say only a
	// broadcast reaches it.
	if want := netip.MustParseAddrPort("255.255.255.255:68"); d.Dst != want {
		t.Errorf("destination is %v, want %v", d.Dst, want)
	}
	offer, err := dhcpv4.FromBytes(d.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if !offer.IsBroadcast() {
		t.Error("the broadcast flag is not set")
	}
	checkReply(t, offer, discover, dhcpv4.MessageTypeOffer)
}

func TestBootServerAnswersFromItsPort(t *testing.T) {
	ctx, s := newAnsweringServer(t)
	var conn *net.UDPConn
	err := s.net.Do(lab.ClientPlace, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: lab.ClientAddr.AsSlice()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := request(t, dhcpv4.MessageTypeRequest, pxeOptions()...)
	ask.ClientIPAddr = lab.ClientAddr.AsSlice()
	if _, err := conn.WriteToUDPAddrPort(ask.ToBytes(), netip.AddrPortFrom(lab.BootAddr, pxePort)); err != nil {
		t.Fatal(err)
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	n, from, err := conn.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := netip.MustParseAddrPort("198.18.0.2:4011"); from != want {
		t.Errorf("the answer comes from %v, want %v", from, want)
	}
	ack, err := dhcpv4.FromBytes(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	checkReply(t, ack, ask, dhcpv4.MessageTypeAck)
}

// checkReply checks what every reply of a ProxyDHCP server must say.
func checkReply(t *testing.T, reply, to *dhcpv4.DHCPv4, kind dhcpv4.MessageType) {
	t.Helper()
	if reply.TransactionID != to.TransactionID {
		t.Errorf("xid is %v, want %v", reply.TransactionID, to.TransactionID)
	}
	if got := reply.MessageType(); got != kind {
		t.Errorf("message type is %v, want %v", got, kind)
	}
	if !reply.YourIPAddr.IsUnspecified() {
		t.Errorf("yiaddr is %v, but netbootd leases no addresses", reply.YourIPAddr)
	}
	if !reply.ServerIPAddr.Equal(lab.BootAddr.AsSlice()) {
		t.Errorf("siaddr is %v, want %v", reply.ServerIPAddr, lab.BootAddr)
	}
	if got := reply.ServerIdentifier(); !got.Equal(lab.BootAddr.AsSlice()) {
		t.Errorf("option 54 is %v, want %v", got, lab.BootAddr)
	}
	if got := reply.ClassIdentifier(); got != "PXEClient" {
		t.Errorf("option 60 is %q, want PXEClient and nothing more", got)
	}
	if reply.BootFileName != "hello.ipxe" {
		t.Errorf("boot file is %q, want hello.ipxe", reply.BootFileName)
	}
}
