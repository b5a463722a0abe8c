package tftp_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// A running is a server that a test talks to.
type running struct {
	*tftp.Server
	addr    netip.AddrPort
	reports chan tftp.Transfer // what Report was told, in order
	served  chan error         // what Serve returned
}

// A listener is [tftp.Listen], or the same for a certain loop.
type listener func(tftp.Options) (*tftp.Server, error)

// onEachLoop runs a test with the loop that serves best on this system, and with
// the plain one that all systems have.
func onEachLoop(t *testing.T, test func(*testing.T, listener)) {
	t.Parallel()
	for name, listen := range map[string]listener{"best": tftp.Listen, "plain": tftp.ListenPlain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, listen)
		})
	}
}

// start serves until the test ends. The zero Options are made to listen on a
// free port of the loopback address.
func (listen listener) start(t *testing.T, o tftp.Options) *running {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	r := &running{reports: make(chan tftp.Transfer, 1000), served: make(chan error, 1)}
	report := o.Report
	o.Report = func(x tftp.Transfer) {
		r.reports <- x
		if report != nil {
			report(x)
		}
	}
	server, err := listen(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Server, r.addr = server, server.Addrs()[0]
	go func() { r.served <- server.Serve(context.Background()) }()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(ended) // transfers that the test left open are cut
		if err := <-r.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// report waits for the next report.
func (r *running) report(t *testing.T) tftp.Transfer {
	t.Helper()
	select {
	case x := <-r.reports:
		return x
	case <-t.Context().Done():
		t.Fatal("no report")
		return tftp.Transfer{}
	}
}

func TestFetchWithOptions(t *testing.T) { onEachLoop(t, testFetchWithOptions) }

func testFetchWithOptions(t *testing.T, listen listener) {
	files := make(tftptest.Files)
	sizes := []int{0, 1, 511, 512, 513, 1428 * 64, 3 << 20}
	for _, size := range sizes {
		files[fmt.Sprint(size)] = tftptest.Bytes(size)
	}
	s := listen.start(t, tftp.Options{Opener: files})
	for name, options := range map[string][]tftp.Option{
		"without options":        nil,
		"tsize only":             tftptest.Ask(0, 0, 0),
		"blksize 1428":           tftptest.Ask(1428, 0, 0),
		"blksize 8 windows of 9": tftptest.Ask(8, 9, 0),
		"windows of 16":          tftptest.Ask(1428, 16, 3),
		"windows of 100":         tftptest.Ask(512, 100, 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range sizes {
				want := files[fmt.Sprint(size)]
				if len(want) > 1<<20 && name == "blksize 8 windows of 9" {
					continue
				}
				c := tftptest.Client{Server: s.addr, Options: options}
				got, err := c.Fetch(t.Context(), fmt.Sprint(size))
				if err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if !bytes.Equal(got.Data, want) {
					t.Fatalf("got %d bytes that are not the file's %d", len(got.Data), size)
				}
				if (got.OACK != nil) != (options != nil) {
					t.Errorf("asked %v, got OACK %v", options, got.OACK)
				}
			}
		})
	}
}
