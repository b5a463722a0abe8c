package tftp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func TestListenErrors(t *testing.T) { onEachLoop(t, testListenErrors) }

func testListenErrors(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{}})
	_, err := listen(tftp.Options{Listen: s.addr.String(), Opener: tftptest.Files{}})
	want := fmt.Sprintf("cannot listen on %s/udp: address already in use", s.addr)
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want %s", err, want)
	}
	if taken, ok := errors.AsType[*tftp.ListenError](err); !ok || taken.Addr != s.addr {
		t.Errorf("got %#v, want it to name %v", err, s.addr)
	}
	for _, c := range []struct{ listen, want string }{
		{"", `listen address "": want an IP address and a port, as in 192.0.2.1:69, or a port alone, as in :69`},
		{"localhost:69", `listen address "localhost:69": want an IP address and a port, as in 192.0.2.1:69, or a port alone, as in :69`},
		{":70000", `listen address ":70000": want a port from 0 to 65535 after the colon`},
		{"198.51.100.1:0", "cannot listen on 198.51.100.1:0/udp: cannot assign requested address"},
	} {
		if _, err := listen(tftp.Options{Listen: c.listen, Opener: tftptest.Files{}}); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.listen, err, c.want)
		}
	}
}

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []tftp.Options{
		{Listen: "127.0.0.1:0"},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, MaxTransfers: -1},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, Limits: tftp.Limits{Blksize: 7}},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, Ports: tftp.PortRange{First: 30000, Last: 30014}},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, Ports: tftp.PortRange{First: 0, Last: 100}},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, Limits: tftp.Limits{RefuseOptions: []string{"WindowSize"}}},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, MaxIdle: -1},
		{Listen: "127.0.0.1:0", Opener: tftptest.Files{}, MaxDuration: -1},
	} {
		if _, err := tftp.Listen(o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}

func TestRestartOnSamePort(t *testing.T) { onEachLoop(t, testRestartOnSamePort) }

func testRestartOnSamePort(t *testing.T, listen listener) {
	o := tftp.Options{
		Listen: netip.AddrPortFrom(loopback, freePort(t, 20000, 1)).String(),
		Opener: tftptest.Files{"a": []byte("x")},
	}
	for range 20 {
		s, err := listen(o)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background()) }()
		if _, err := (tftptest.Client{Server: s.Addrs()[0]}).Fetch(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	}
}

func TestShutdownBeforeServe(t *testing.T) { onEachLoop(t, testShutdownBeforeServe) }

func testShutdownBeforeServe(t *testing.T, listen listener) {
	s, err := listen(tftp.Options{Listen: "127.0.0.1:0", Opener: tftptest.Files{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := s.Serve(t.Context()); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestShutdownLetsTransfersEnd(t *testing.T) { onEachLoop(t, testShutdownLetsTransfersEnd) }

func testShutdownLetsTransfersEnd(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(600)}})
	p := s.peer(t)
	begin(p, "a")
	p.ExpectBlock(1)
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	for { // the port is free while the transfer still runs
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
		if err == nil {
			_ = c.Close()
			break
		}
	}
	p.Ack(1)
	p.ExpectBlock(2)
	p.Ack(2)
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := s.report(t); got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}

func TestShutdownCutsTransfers(t *testing.T) { onEachLoop(t, testShutdownCutsTransfers) }

func testShutdownCutsTransfers(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": tftptest.Bytes(5000)}})
	peers := []*tftptest.Peer{s.peer(t), s.peer(t)}
	for _, p := range peers {
		begin(p, "a")
		p.ExpectBlock(1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) || err.Error() != "2 transfers were cut: context canceled" {
		t.Errorf("Shutdown: %v", err)
	}
	for _, p := range peers {
		if got := p.ExpectError(tftp.ErrAccessViolation); got.Text != "server is shutting down" {
			t.Errorf("got %q", got.Text)
		}
		if got := s.report(t); got.Result != tftp.Failed {
			t.Errorf("got report %+v", got)
		}
	}
}

func TestEndOfContextEndsServe(t *testing.T) { onEachLoop(t, testEndOfContextEndsServe) }

func testEndOfContextEndsServe(t *testing.T, listen listener) {
	opening := make(chan struct{})
	s, err := listen(tftp.Options{
		Listen: "127.0.0.1:0",
		Opener: tftptest.OpenFunc(func(ctx context.Context, _ tftp.OpenRequest) (tftp.File, error) {
			close(opening)
			<-ctx.Done()
			return nil, ctx.Err()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	p := tftptest.NewPeer(t, loopback, s.Addrs()[0])
	p.Ask("a")
	<-opening
	cancel()
	if got := p.ExpectError(tftp.ErrAccessViolation); got.Text != "server is shutting down" {
		t.Errorf("got %q", got.Text)
	}
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
}

func TestRepliesLeaveFromAddressAsked(t *testing.T) { onEachLoop(t, testRepliesLeaveFromAddressAsked) }

func testRepliesLeaveFromAddressAsked(t *testing.T, listen listener) {
	files := tftptest.Files{"a": tftptest.Bytes(5000)}
	s := listen.start(t, tftp.Options{Listen: ":0", Opener: files})
	port := s.addr.Port()
	if len(s.Addrs()) != 2 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this host has no IPv6, and in CI nothing is skipped")
		}
		t.Skip("this host has no IPv6")
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		server := netip.AddrPortFrom(netip.MustParseAddr(address), port)
		client := netip.AddrPortFrom(server.Addr(), 0)
		if address == "127.0.0.2" {
			client = netip.AddrPortFrom(loopback, 0)
		}
		c := tftptest.Client{Server: server, Local: client, Options: tftptest.Ask(65464, 2, 0)}
		got, err := c.Fetch(t.Context(), "a")
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if got.From.Addr() != server.Addr() {
			t.Errorf("asked %v, answered from %v", server, got.From)
		}
		if r := s.report(t); r.Local != server || r.Client != got.Client || r.Blksize != 65464 {
			t.Errorf("got report %+v", r)
		}
		_, err = c.Fetch(t.Context(), "") // refused on the port for requests
		if remote, ok := errors.AsType[*tftp.RemoteError](err); !ok || remote.Code != tftp.ErrIllegal {
			t.Errorf("%s: got %v, want ERROR 4", address, err)
		}
		s.report(t)
	}
}
