package dhcpproxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// listening is a port of this host, and a client's socket beside it.
func listening(t *testing.T) (server *udpConn, client *net.UDPConn) {
	t.Helper()
	server, err := listenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	client, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, server.addr.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func TestSocketReadsWithWhereItCameFrom(t *testing.T) {
	t.Parallel()
	server, client := listening(t)
	const count = 2*batchSize + 1
	for i := range count {
		if _, err := client.Write(fmt.Appendf(nil, "packet %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	end := server.newEnd()
	for i := 0; i < count; {
		packets, err := end.readPackets()
		if err != nil || len(packets) > batchSize {
			t.Fatalf("%d packets, %v", len(packets), err)
		}
		for _, p := range packets {
			if want := fmt.Sprintf("packet %d", i); string(p.data) != want || p.source != client.LocalAddr().(*net.UDPAddr).AddrPort() ||
				p.destination != loopback || p.ifindex == 0 {
				t.Errorf("got %q from %v to %v on %d, want %s", p.data, p.source, p.destination, p.ifindex, want)
			}
			i++
		}
	}
}

func TestSocketPassesOverWhatCannotLeave(t *testing.T) {
	t.Parallel()
	server, client := listening(t)
	to := client.LocalAddr().(*net.UDPAddr).AddrPort()
	replies := []outgoing{
		{data: []byte("one"), to: to, from: loopback},
		{data: []byte("two"), to: to, from: loopback, ifindex: 1 << 30},
		{data: []byte("three"), to: to, from: loopback},
	}
	server.newEnd().writePackets(replies)
	if replies[0].err != nil || !errors.Is(replies[1].err, syscall.ENODEV) || replies[2].err != nil {
		t.Errorf("errors %v, %v and %v, want the second alone: there is no such interface", replies[0].err, replies[1].err, replies[2].err)
	}
	b := make([]byte, 100)
	for _, want := range []string{"one", "three"} {
		if n, err := client.Read(b); err != nil || string(b[:n]) != want {
			t.Errorf("got %q, %v, want %q", b[:n], err, want)
		}
	}
}

func TestCloseEndsReads(t *testing.T) {
	t.Parallel()
	server, client := listening(t)
	read := make(chan error)
	for range 2 {
		go func() {
			end := server.newEnd()
			_, err := end.readPackets() // may get the packet
			for err == nil {
				_, err = end.readPackets()
			}
			read <- err
		}()
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read that waited: %v", err)
		}
	}
	if _, err := server.newEnd().readPackets(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read after the end: %v", err)
	}
	replies := []outgoing{{to: netip.AddrPortFrom(loopback, 9), from: loopback}}
	if server.newEnd().writePackets(replies); replies[0].err == nil {
		t.Error("a write after the end worked")
	}
}

func TestAPortThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	server, _ := listening(t)
	_, err := listenUDP(server.addr.Port())
	var taken *ListenError
	if !errors.As(err, &taken) || !errors.Is(err, syscall.EADDRINUSE) || taken.Addr.Port() != server.addr.Port() {
		t.Errorf("got %v, want that the port is taken", err)
	}
}
