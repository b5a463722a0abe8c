//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/internal/e2e/lab"
)

// startLeaseServer runs a DHCP server on netbootd's own host, and returns when it
// holds port 67. It leases ClientAddr to leased, and nothing to others.
func startLeaseServer(ctx context.Context, t *testing.T, s *server, leased net.HardwareAddr, args ...string) *lab.Process {
	t.Helper()
	need(t, "dnsmasq")
	args = append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--pid-file=", "--port=0",
		"--no-ping", "--dhcp-authoritative", "--dhcp-leasefile=" + filepath.Join(s.dir, "leases"),
		"--dhcp-range=" + lab.Subnet.Addr().String() + ",static", fmt.Sprintf("--dhcp-host=%s,%s", leased, lab.ClientAddr),
	}, args...)
	p, err := s.net.Start(lab.BootPlace, "dnsmasq", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	err = p.Guard(ctx, func(ctx context.Context) error { return s.net.WaitUDP(ctx, lab.BootPlace, dhcpServerPort, true) })
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Output())
	}
	return p
}

// offerFor sends a DISCOVER and returns the OFFER that netbootd makes for it, and
// what carried it. A lease server's OFFER is none of netbootd's: it has a yiaddr.
func offerFor(ctx context.Context, t *testing.T, wire *lab.RawUDP) (*dhcpv4.DHCPv4, lab.Datagram) {
	t.Helper()
	discover := request(t, dhcpv4.MessageTypeDiscover, pxeOptions()...)
	if err := wire.Broadcast(dhcpClientPort, dhcpServerPort, discover.ToBytes()); err != nil {
		t.Fatal(err)
	}
	for {
		d, err := wire.Next(ctx)
		if err != nil {
			t.Fatalf("wait for an OFFER of netbootd: %v", err)
		}
		if d.Src.Port() != dhcpServerPort || d.Dst.Port() != dhcpClientPort {
			continue
		}
		m, err := dhcpv4.FromBytes(d.Payload)
		if err == nil && m.TransactionID == discover.TransactionID && m.YourIPAddr.IsUnspecified() {
			return m, d
		}
	}
}

// TestTheOtherServerKeepsItsRenewals has a DHCP server and netbootd on one host.
// A client renews its lease, by unicast as RFC 2131 section 4.4.5 has it, while
// machines are being booted.
func TestTheOtherServerKeepsItsRenewals(t *testing.T) {
	const renewals = 1000
	for name, args := range map[string][]string{
		"on every address":     nil,
		"bound to its device":  {"--interface=eth0", "--bind-interfaces"},
		"bound to its address": {"--listen-address=198.18.0.2", "--bind-dynamic"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, n := newNetwork(t)
			s := newServer(t, n, map[string]string{"pxe": pxeProfile})
			writeFile(t, s.images+"/hello.ipxe", "#!ipxe\n")
			wire, err := n.OpenRawUDP(lab.ClientPlace)
			if err != nil {
				t.Fatal(err)
			}
			defer wire.Close()
			holder := startLeaseServer(ctx, t, s, wire.MAC(), args...)
			// The made-up machine asks more often than any real one.
			writeFile(t, s.config, s.settings("eth0")+"[dhcp]\nmax_requests_per_machine = 1000000\n")
			s.start(ctx, t)
			told := regexp.MustCompile(fmt.Sprintf(`port 67 is taken.*packet socket.*dnsmasq \(pid %d\)`, holder.PID()))
			if _, err := s.proc.Stderr.WaitFor(ctx, told); err != nil {
				t.Error(err)
			}
			checkBeside(ctx, t, s, holder)
			conn := listenAt(ctx, t, n, lab.ClientPlace, netip.AddrPortFrom(lab.ClientAddr, dhcpClientPort))
			for range renewals {
				renew(t, conn, wire.MAC())
				offer, d := offerFor(ctx, t, wire)
				checkReply(t, offer, offer, dhcpv4.MessageTypeOffer)
				if want := netip.AddrPortFrom(lab.BootAddr, dhcpServerPort); d.Src != want {
					t.Fatalf("the OFFER comes from %v, want %v", d.Src, want)
				}
			}
		})
	}
}

// checkBeside looks whether the status tells who holds port 67.
func checkBeside(ctx context.Context, t *testing.T, s *server, holder *lab.Process) {
	t.Helper()
	want := fmt.Sprintf("dnsmasq (pid %d)", holder.PID())
	for _, l := range s.status(ctx, t).Listeners {
		if l.Address == "0.0.0.0:67" && (l.Network != "packet" || l.Beside != want) {
			t.Errorf("status tells of port 67: %+v, want a packet socket beside %s", l, want)
		}
		if l.Address == "0.0.0.0:4011" && (l.Network != "udp" || l.Beside != "") {
			t.Errorf("status tells of port 4011: %+v", l)
		}
	}
}

// listenAt opens a UDP socket at a place. It lasts as long as the test's bound.
func listenAt(ctx context.Context, t *testing.T, n *lab.Network, at lab.Place, addr netip.AddrPort) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := n.Do(at, func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	deadline, _ := ctx.Deadline()
	if err := conn.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	return conn
}

// renew asks for a lease once more and waits for the lease server's ACK. It is
// sent once: if anybody else takes it the test waits in vain.
func renew(t *testing.T, conn *net.UDPConn, mac net.HardwareAddr) {
	t.Helper()
	ask := request(t, dhcpv4.MessageTypeRequest)
	ask.ClientHWAddr, ask.ClientIPAddr = mac, lab.ClientAddr.AsSlice()
	if _, err := conn.WriteToUDPAddrPort(ask.ToBytes(), netip.AddrPortFrom(lab.BootAddr, dhcpServerPort)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("the lease server does not ACK: %v", err)
		}
		ack, err := dhcpv4.FromBytes(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		if ack.TransactionID != ask.TransactionID {
			continue // an OFFER, which the kernel hands to this socket too
		}
		if ack.MessageType() != dhcpv4.MessageTypeAck || !ack.YourIPAddr.Equal(lab.ClientAddr.AsSlice()) {
			t.Fatalf("the lease server answers %s", ack.Summary())
		}
		return
	}
}

func TestBesideAnotherServerItNeedsACapability(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newNobodysServer(t, n, "-all,+net_bind_service")
	startLeaseServer(ctx, t, s, clientMAC)
	text := startMustFail(ctx, t, s)
	for _, want := range []string{
		`cannot listen on 0\.0\.0\.0:67/udp: address already in use \(nor beside its holder, with a packet socket: .*operation not permitted\)`,
		`(?m)^hint: .*cap_net_raw`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no line like %q in:\n%s", want, text)
		}
	}
	s.program = append(asNobody("-all,+net_bind_service,+net_raw"), s.program[len(s.program)-1])
	s.start(ctx, t)
	wire, err := n.OpenRawUDP(lab.ClientPlace)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	offerFor(ctx, t, wire)
}
