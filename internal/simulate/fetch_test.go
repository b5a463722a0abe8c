package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/dhcpproxy"
	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

var loopback = addr("127.0.0.1")

// booting is a simulation that has chosen and is at loopback.
func booting(t *testing.T, client string) *simulation {
	t.Helper()
	return &simulation{
		player: playing(t, client), own: loopback,
		plan: plan{lease: lease},
		opts: Options{Timeout: 10 * time.Second, Interface: dhcpproxy.Interface{Name: "lo", Addrs: []netip.Prefix{netip.PrefixFrom(loopback, 8)}}},
	}
}

// pattern is so many bytes.
func pattern(size int) []byte {
	b := make([]byte, size)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{'s'}), b) // it never fails
	return b
}

func TestEveryClientReadsEverySize(t *testing.T) {
	t.Parallel()
	files := make(tftptest.Files)
	sizes := map[string]int{"empty": 0, "one": 1, "a block": 1468, "a window": 4 * 1468, "many": 300_001, "wraps": 65536*1456 + 7}
	for name, size := range sizes {
		files[name] = pattern(size)
	}
	at := serve(t, files)
	for _, client := range []string{"bios", "uefi-x64", "ipxe", "uboot", "rpi4"} {
		for name := range sizes {
			if name == "wraps" && client != "bios" {
				continue // 95 MB once
			}
			s := booting(t, client)
			for i, options := range s.family.tftp {
				var got bytes.Buffer
				probe := i < len(s.family.tftp)-1
				if err := s.read(t.Context(), at, name, newReading(options, probe, &got)); err != nil {
					t.Fatalf("%s, %s: %v", client, name, err)
				}
				if !probe && !bytes.Equal(got.Bytes(), files[name]) {
					t.Errorf("%s, %s: %d bytes, want %d", client, name, got.Len(), sizes[name])
				}
			}
		}
	}
}

// serve runs our TFTP server and returns where.
func serve(t *testing.T, files tftptest.Files) netip.AddrPort {
	t.Helper()
	s, err := tftp.Listen(tftp.Options{Listen: "127.0.0.1:0", Opener: files})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		// Transfers whose last ACK is still waited for are cut.
		_ = s.Shutdown(now)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0]
}

func TestWhatEndsATransferIsExplained(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("198.18.0.2:69")
	asked := []tftp.Option{{Name: "blksize", Value: "1468"}, {Name: "windowsize", Value: "4"}, {Name: "timeout", Value: "5"}}
	oack := func(name, value string) tftp.Packet {
		return tftp.Packet{Op: tftp.OpOACK, Options: []tftp.Option{{Name: name, Value: value}}}
	}
	for _, c := range []struct {
		name string
		p    tftp.Packet
		want string
	}{
		{"an ERROR", tftp.Packet{Op: tftp.OpERROR, Code: 2, Text: "access violation"}, `198.18.0.2 refuses to send "a": ERROR 2 "access violation"`},
		{"a larger block", oack("blksize", "9000"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: blksize "9000" was granted and "1468" asked for`},
		{"no block", oack("blksize", "0"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: blksize "0" was granted and "1468" asked for`},
		{"a larger window", oack("windowsize", "8"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: windowsize "8" was granted and "4" asked for`},
		{"another timeout", oack("timeout", "4"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: timeout "4" was granted and "5" asked for`},
		{"no number", oack("blksize", "x"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: blksize "x" was granted and "1468" asked for`},
		{"an option nobody asked for", oack("tsize", "1"), `uefi-x64 ends the transfer of "a" from 198.18.0.2: the option "tsize" was not asked for`},
		{"too much data", tftp.Packet{Op: tftp.OpDATA, Block: 1, Data: make([]byte, 513)}, `uefi-x64 ends the transfer of "a" from 198.18.0.2: block 1 has 513 bytes, more than the blksize of 512`},
	} {
		s, r := booting(t, "uefi-x64"), newReading(asked, false, io.Discard)
		_, done, err := r.packet(c.p)
		fault := s.explain(err, at, "a", r, 0)
		if !done || fault == nil || fault.Text != c.want || fault.Step != StepFetch {
			t.Errorf("%s: done %t, %+v, want %s", c.name, done, fault, c.want)
		}
	}
}

func TestReadingGoesOnFromWhatCameInTurn(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	r := newReading([]tftp.Option{{Name: "blksize", Value: "8"}, {Name: "windowsize", Value: "2"}}, false, &got)
	data := func(n tftp.BlockNumber, s string) tftp.Packet {
		return tftp.Packet{Op: tftp.OpDATA, Block: n, Data: []byte(s)}
	}
	ack := func(n tftp.BlockNumber) []byte { return tftp.Packet{Op: tftp.OpACK, Block: n}.Append(nil) }
	granted := tftp.Packet{Op: tftp.OpOACK, Options: []tftp.Option{{Name: "BLKSIZE", Value: "8"}, {Name: "windowsize", Value: "2"}}}
	for i, step := range []struct {
		in   tftp.Packet
		send []byte
		done bool
	}{
		{granted, ack(0), false},
		{granted, ack(0), false}, // our ACK was lost
		{data(1, "12345678"), nil, false},
		{data(3, "late"), ack(1), false}, // 2 was lost
		{data(2, "abcdefgh"), nil, false},
		{granted, nil, false},
		{data(3, "ABCDEFGH"), ack(3), false},
		{data(3, "ABCDEFGH"), ack(3), false}, // our ACK was lost
		{tftp.Packet{Op: tftp.OpACK}, nil, false},
		{data(4, ""), ack(4), true},
	} {
		send, done, err := r.packet(step.in)
		if !bytes.Equal(send, step.send) || done != step.done || err != nil {
			t.Errorf("packet %d: % x, done %t, %v; want % x, %t", i, send, done, err, step.send, step.done)
		}
	}
	if got.String() != "12345678abcdefghABCDEFGH" {
		t.Errorf("got %q", &got)
	}
}

func TestAProbeEndsOnceItKnows(t *testing.T) {
	t.Parallel()
	asked := []tftp.Option{{Name: "tsize", Value: "0"}}
	for name, p := range map[string]tftp.Packet{
		"the size":                    {Op: tftp.OpOACK, Options: []tftp.Option{{Name: "tsize", Value: "7"}}},
		"a server without any option": {Op: tftp.OpDATA, Block: 1},
	} {
		send, done, err := newReading(asked, true, io.Discard).packet(p)
		answer, errParse := tftp.ParsePacket(send)
		if !done || err != nil || errParse != nil || answer.Op != tftp.OpERROR {
			t.Errorf("%s: sends %+v, done %t, %v", name, answer, done, err)
		}
	}
	_, _, err := newReading(asked, true, io.Discard).packet(tftp.Packet{Op: tftp.OpERROR, Code: tftp.ErrFileNotFound})
	var remote *tftp.RemoteError
	if !errors.As(err, &remote) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestOneServersPacketsAreTaken(t *testing.T) {
	t.Parallel()
	x := exchange{to: netip.MustParseAddrPort("198.18.0.2:69")}
	data := tftp.Packet{Op: tftp.OpDATA, Block: 1}.Append(nil)
	for _, step := range []struct {
		from string
		b    []byte
		ok   bool
	}{
		{"198.18.0.9:5000", data, false},
		{"198.18.0.2:5000", []byte{9, 9}, false},
		{"198.18.0.2:5000", data, true},
		{"198.18.0.2:5001", data, false}, // another TID
		{"198.18.0.2:5000", data, true},
	} {
		if _, ok := x.accept(netip.MustParseAddrPort(step.from), step.b); ok != step.ok {
			t.Errorf("% x from %s: taken %t", step.b, step.from, ok)
		}
	}
}

func TestHTTPBoot(t *testing.T) {
	t.Parallel()
	program := efi(0x8664)
	mux := http.NewServeMux()
	mux.HandleFunc("/good.efi", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "good.efi", time.Time{}, bytes.NewReader([]byte(program)))
	})
	mux.HandleFunc("/chunked.efi", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, program)
	})
	mux.Handle("/moved.efi", http.RedirectHandler("/good.efi", http.StatusFound))
	web := httptest.NewServer(mux)
	defer web.Close()
	host := web.Listener.Addr().String()
	gone := httptest.NewServer(mux)
	nobody := gone.Listener.Addr().String()
	gone.Close()
	for _, c := range []struct{ name, client, url, want string }{
		{"good", "uefi-http", web.URL + "/good.efi", ""},
		{"missing", "uefi-http", web.URL + "/x.efi", host + " answers HEAD " + web.URL + `/x.efi with "404 Not Found"`},
		{"moved", "uefi-http", web.URL + "/moved.efi", host + " answers HEAD " + web.URL + `/moved.efi with "302 Found"`},
		{"without a length", "uefi-http", web.URL + "/chunked.efi", host + " answers HEAD " + web.URL + "/chunked.efi without a Content-Length, and uefi-http needs it"},
		{"iPXE needs no length", "ipxe", web.URL + "/chunked.efi", ""},
		{"nobody", "uefi-http", "http://" + nobody + "/a.efi", "nobody listens on " + nobody + ", where a test sends uefi-http for http://" + nobody + "/a.efi"},
		{"TLS", "uefi-http", "https://198.18.0.2/a.efi", `the boot URI "https://198.18.0.2/a.efi" of a test is for TLS, and only the firmware knows which certificates it trusts`},
	} {
		s := booting(t, c.client)
		s.target = Target{URL: c.url, named: "a test"}
		fault, err := s.fetchHTTP(t.Context())
		got := ""
		if fault != nil {
			got = fault.Text
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
		if c.want == "" && (s.result.File == nil || s.result.File.Size != int64(len(program)) || s.result.File.Machine != "x64-uefi") {
			t.Errorf("%s: fetched %+v", c.name, s.result.File)
		}
	}
}

func TestAServerThatSpeaksNoHTTP(t *testing.T) {
	t.Parallel()
	host := speakNoHTTP(t)
	s := booting(t, "uefi-http")
	s.target = Target{URL: "http://" + host + "/a.efi", named: "a test"}
	fault, err := s.fetchHTTP(t.Context())
	if err != nil || fault == nil || fault.Step != StepFetch || !strings.HasPrefix(fault.Text, host+" gives no proper answer (") {
		t.Errorf("%v, %+v", err, fault)
	}
}

// speakNoHTTP is the address of a server that answers with something else.
func speakNoHTTP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, "no HTTP\r\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// A server that sends the same block for ever does not hold the client for ever.
func TestATransferThatDoesNotGetOnEnds(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 600)
		block := tftp.Packet{Op: tftp.OpDATA, Block: 1, Data: make([]byte, 512)}.Append(nil)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(block, from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	s := booting(t, "ipxe")
	s.opts.Timeout = 50 * time.Millisecond
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	r := newReading(s.family.tftp[0], false, io.Discard)
	err = s.read(t.Context(), at, "a", r)
	fault := s.explain(err, at, "a", r, 512)
	if fault == nil || fault.Text != `127.0.0.1 stops sending "a" after 512 bytes` {
		t.Errorf("%v, %+v", err, fault)
	}
}
