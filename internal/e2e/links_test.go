//go:build linux

package e2e_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// port67 is how netbootd may have port 67: as its only holder, or beside a DHCP
// server on the same host.
var port67 = map[string]func(context.Context, *testing.T, *server){
	"with port 67 of its own": func(context.Context, *testing.T, *server) {},
	"with port 67 of another program's": func(ctx context.Context, t *testing.T, s *server) {
		startLeaseServer(ctx, t, s, net.HardwareAddr{2, 0, 0, 0, 0, 1})
	},
}

// setUp runs lines of the ip command at places, in order.
func setUp(t *testing.T, n *lab.Network, lines ...[2]string) {
	t.Helper()
	for _, l := range lines {
		if err := n.IP(lab.Place(l[0]), l[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// expectOffer asks from an interface of a place, and wants netbootd's OFFER to
// come from and to name an address.
func expectOffer(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, dev, server string) {
	t.Helper()
	wire, err := n.OpenRawUDPOn(at, dev)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	offer, d := offerFor(ctx, t, wire)
	want := netip.MustParseAddr(server)
	if d.Src != netip.AddrPortFrom(want, dhcpServerPort) || d.Dst.String() != "255.255.255.255:68" {
		t.Errorf("%s %s: the OFFER is sent from %v to %v", at, dev, d.Src, d.Dst)
	}
	if siaddr, id := offer.ServerIPAddr.String(), offer.ServerIdentifier().String(); siaddr != server || id != server {
		t.Errorf("%s %s: the OFFER names %s and %s, want %s", at, dev, siaddr, id, server)
	}
}

// TestEveryLinkIsAnsweredFromItsOwnAddress has several links, a bridge and a
// secondary address, and links that come, change and go meanwhile.
func TestEveryLinkIsAnsweredFromItsOwnAddress(t *testing.T) {
	for name, hold := range port67 {
		t.Run(name, func(t *testing.T) {
			ctx, n := newNetwork(t)
			const boot = string(lab.BootPlace)
			wireUp(t, n, "second", "eth1")
			wireUp(t, n, "bridged", "eth2")
			setUp(t, n,
				[2]string{boot, "addr add 198.18.9.2/24 dev eth0"},
				[2]string{boot, "addr add 198.18.1.2/24 dev eth1"},
				[2]string{boot, "link add name br0 type bridge stp_state 0 forward_delay 0"},
				[2]string{boot, "link set eth2 master br0"},
				[2]string{boot, "addr add 198.18.2.2/24 dev br0"},
				[2]string{boot, "link set br0 up"})
			s := newServer(t, n, map[string]string{"pxe": pxeProfile})
			writeFile(t, s.images+"/hello.ipxe", "#!ipxe\n")
			writeFile(t, s.config, commonSettings+"[dhcp]\nmax_requests_per_machine = 1000\n")
			hold(ctx, t, s)
			s.start(ctx, t)

			expectOffer(ctx, t, n, lab.ClientPlace, "eth0", "198.18.0.2")
			expectOffer(ctx, t, n, "second", "eth0", "198.18.1.2")
			expectOffer(ctx, t, n, "bridged", "eth0", "198.18.2.2")
			expectSecondaryAck(ctx, t, n)
			expectSilenceToVLAN(ctx, t, n)
			followLinks(ctx, t, s)
		})
	}
}

// wireUp connects a new place to the boot place, which sees it as dev.
func wireUp(t *testing.T, n *lab.Network, place lab.Place, dev string) {
	t.Helper()
	if err := n.AddRemotePlace(place); err != nil {
		t.Fatal(err)
	}
	if err := n.Wire(lab.BootPlace, dev, place, "eth0"); err != nil {
		t.Fatal(err)
	}
}

// exchange sends a request and returns the first answer that comes, and from where.
func exchange(t *testing.T, conn *net.UDPConn, ask *dhcpv4.DHCPv4, to netip.AddrPort) (answer *dhcpv4.DHCPv4, from netip.AddrPort) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort(ask.ToBytes(), to); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	k, from, err := conn.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = dhcpv4.FromBytes(b[:k]); err != nil {
		t.Fatal(err)
	}
	return answer, from
}

// expectSecondaryAck asks the boot server at the second address of its interface.
func expectSecondaryAck(ctx context.Context, t *testing.T, n *lab.Network) {
	t.Helper()
	setUp(t, n, [2]string{string(lab.ClientPlace), "addr add 198.18.9.3/24 dev eth0"})
	conn := listenAt(ctx, t, n, lab.ClientPlace, netip.MustParseAddrPort("198.18.9.3:0"))
	ask := request(t, dhcpv4.MessageTypeRequest, pxeOptions()...)
	ask.ClientIPAddr = net.IPv4(198, 18, 9, 3)
	server := netip.MustParseAddrPort("198.18.9.2:4011")
	ack, from := exchange(t, conn, ask, server)
	if from != server || ack.ServerIPAddr.String() != "198.18.9.2" || ack.ServerIdentifier().String() != "198.18.9.2" {
		t.Errorf("the ACK comes from %v and names %v and %v, want %v", from, ack.ServerIPAddr, ack.ServerIdentifier(), server)
	}
}

// expectSilenceToVLAN asks in a VLAN that netbootd's host has no device for.
func expectSilenceToVLAN(ctx context.Context, t *testing.T, n *lab.Network) {
	t.Helper()
	wire, err := n.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	tagged := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	if err := wire.BroadcastTagged(5, dhcpClientPort, dhcpServerPort, tagged.ToBytes()); err != nil {
		t.Fatal(err)
	}
	plain := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, plain.ToBytes()); err != nil {
		t.Fatal(err)
	}
	for _, a := range answersUntil(ctx, t, wire, plain.TransactionID) {
		if a.TransactionID == tagged.TransactionID {
			t.Error("a DISCOVER in another VLAN was answered")
		}
	}
}

// followLinks makes an interface, gives it another address and takes it away, all
// while netbootd runs.
func followLinks(ctx context.Context, t *testing.T, s *server) {
	t.Helper()
	told := func(pattern string) {
		t.Helper()
		if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(pattern)); err != nil {
			t.Fatal(err)
		}
	}
	const boot = string(lab.BootPlace)
	wireUp(t, s.net, "late", "eth3")
	setUp(t, s.net, [2]string{boot, "addr add 198.18.3.2/24 dev eth3"})
	told(`serving interface.*interface=eth3.*198\.18\.3\.2/24`)
	expectOffer(ctx, t, s.net, "late", "eth0", "198.18.3.2")

	setUp(t, s.net, [2]string{boot, "addr add 198.18.4.2/24 dev eth3"}, [2]string{boot, "addr del 198.18.3.2/24 dev eth3"})
	told(`serving interface.*interface=eth3.*\[198\.18\.4\.2/24\]`)
	expectOffer(ctx, t, s.net, "late", "eth0", "198.18.4.2")
	if !s.serves(ctx, t, "eth3") {
		t.Error("status does not tell that eth3 is served")
	}

	setUp(t, s.net, [2]string{boot, "link del eth3"})
	told(`not serving interface any more.*interface=eth3.*why=gone`)
	if s.serves(ctx, t, "eth3") {
		t.Error("status tells that an interface is served that is gone")
	}
	setUp(t, s.net, [2]string{boot, "link set eth1 down"})
	told(`not serving interface any more.*interface=eth1 .*why=down`)
}

// TestBootServersAreFoundByMulticast asks for an item of a menu by multicast, on a
// link that is there from the start and on one that comes later.
func TestBootServersAreFoundByMulticast(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": "offer = \"menu\"\n" + pxeProfile})
	writeFile(t, s.images+"/hello.ipxe", "#!ipxe\n")
	writeFile(t, s.config, commonSettings)
	s.start(ctx, t)
	expectDiscovery(ctx, t, n, lab.ClientPlace, lab.ClientAddr.String(), lab.BootAddr.String())

	wireUp(t, n, "late", "eth1")
	setUp(t, n, [2]string{string(lab.BootPlace), "addr add 198.18.3.2/24 dev eth1"}, [2]string{"late", "addr add 198.18.3.3/24 dev eth0"})
	if _, err := s.proc.Stderr.WaitFor(ctx, regexp.MustCompile(`serving interface.*interface=eth1`)); err != nil {
		t.Fatal(err)
	}
	expectDiscovery(ctx, t, n, "late", "198.18.3.3", "198.18.3.2")
}

// expectDiscovery has a client be offered a menu, ask everybody in the group for
// its first item, and be answered by the server.
func expectDiscovery(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, own, server string) {
	t.Helper()
	expectOffer(ctx, t, n, at, "eth0", server)
	ask := request(t, dhcpv4.MessageTypeRequest, append(pxeOptions(),
		dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, []byte{71, 4, 0x80, 0, 0, 0, 255}))...)
	ask.ClientIPAddr = net.ParseIP(own).To4()
	conn := listenAt(ctx, t, n, at, netip.AddrPortFrom(netip.MustParseAddr(own), 0))
	ack, from := exchange(t, conn, ask, netip.MustParseAddrPort("224.0.1.2:4011"))
	if from.String() != server+":4011" || ack.TransactionID != ask.TransactionID || ack.MessageType() != dhcpv4.MessageTypeAck ||
		ack.ServerIPAddr.String() != server || ack.BootFileName != "hello.ipxe" {
		t.Errorf("from %v:\n%s", from, ack.Summary())
	}
}

// serves tells whether the status says that an interface is served.
func (s *server) serves(ctx context.Context, t *testing.T, name string) bool {
	t.Helper()
	for _, i := range s.status(ctx, t).Interfaces {
		if i.Name == name {
			return i.Served
		}
	}
	return false
}

// TestRelaysAreAnswered has a machine behind a DHCP relay, on a network that
// netbootd is not part of.
func TestRelaysAreAnswered(t *testing.T) {
	dhcrelay, err := filepath.Abs("../../build/pkg/isc-dhcp-relay/usr/sbin/dhcrelay")
	if err != nil {
		t.Fatal(err)
	}
	relays := map[string][]string{
		// It adds option 82, and wants it back.
		"isc-dhcp-relay": {dhcrelay, "-4", "-d", "--no-pid", "-a", "-iu", "eth0", "-id", "eth1", lab.BootAddr.String()},
		"dnsmasq": {"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--pid-file=", "--port=0",
			"--dhcp-relay=198.18.1.1," + lab.BootAddr.String()},
	}
	for relay, command := range relays {
		for name, hold := range port67 {
			t.Run(relay+", netbootd "+name, func(t *testing.T) {
				need(t, command[0])
				ctx, n := newNetwork(t)
				s := newServer(t, n, map[string]string{"pxe": pxeProfile})
				writeFile(t, s.images+"/hello.ipxe", "#!ipxe\n")
				writeFile(t, s.config, s.settings("eth0")+"[dhcp]\nrelays = [\"198.18.1.0/24\"]\n")
				hold(ctx, t, s)
				startRelay(ctx, t, n, command)
				s.start(ctx, t)

				wire, err := n.OpenRawUDP("far")
				if err != nil {
					t.Fatal(err)
				}
				defer wire.Close()
				offer, _ := offerFor(ctx, t, wire)
				checkReply(t, offer, offer, dhcpv4.MessageTypeOffer)
				if offer.GatewayIPAddr.String() != "198.18.1.1" || !offer.IsBroadcast() {
					t.Errorf("the OFFER has giaddr %v and flags %#x", offer.GatewayIPAddr, offer.Flags)
				}
			})
		}
	}
}

// startRelay runs a DHCP relay between the bridge and a place "far", and returns
// when it holds port 67.
func startRelay(ctx context.Context, t *testing.T, n *lab.Network, command []string) {
	t.Helper()
	if err := n.AddPlace("relay", netip.MustParseAddr("198.18.0.4")); err != nil {
		t.Fatal(err)
	}
	if err := n.AddRemotePlace("far"); err != nil {
		t.Fatal(err)
	}
	if err := n.Wire("relay", "eth1", "far", "eth0"); err != nil {
		t.Fatal(err)
	}
	setUp(t, n,
		[2]string{"relay", "addr add 198.18.1.1/24 dev eth1"},
		[2]string{string(lab.BootPlace), "route add 198.18.1.0/24 via 198.18.0.4"})
	p, err := n.Start("relay", command[0], command[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	err = p.Guard(ctx, func(ctx context.Context) error { return n.WaitUDP(ctx, "relay", dhcpServerPort, true) })
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Output())
	}
}
