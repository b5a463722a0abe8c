package tftp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	pin "github.com/pin/tftp/v3"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// pin/tftp is a client that somebody else wrote.
func TestFetchWithPin(t *testing.T) { onEachLoop(t, testFetchWithPin) }

func testFetchWithPin(t *testing.T, listen listener) {
	files := make(tftptest.Files)
	for _, size := range []int{0, 1, 511, 512, 513, 3 << 20} {
		files[fmt.Sprint(size)] = tftptest.Bytes(size)
	}
	s := listen.start(t, tftp.Options{Opener: files})
	for _, blksize := range []int{0, 512, 1428, 65464} {
		for _, tsize := range []bool{false, true} {
			t.Run(fmt.Sprintf("blksize %d tsize %t", blksize, tsize), func(t *testing.T) {
				t.Parallel()
				for name, want := range files {
					fetchWithPin(t, s.addr.String(), name, blksize, tsize, want)
				}
			})
		}
	}
}

func fetchWithPin(t *testing.T, server, name string, blksize int, tsize bool, want []byte) {
	t.Helper()
	c, err := pin.NewClient(server)
	if err != nil {
		t.Fatal(err)
	}
	if blksize != 0 {
		c.SetBlockSize(blksize)
	}
	c.RequestTSize(tsize)
	from, err := c.Receive(name, "octet")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if size, ok := from.(pin.IncomingTransfer).Size(); tsize && (!ok || size != int64(len(want))) {
		t.Errorf("%s: got tsize %d, %t", name, size, ok)
	}
	var got bytes.Buffer
	if _, err := from.WriteTo(&got); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s: got %d wrong bytes", name, got.Len())
	}
}

func TestNetascii(t *testing.T) { onEachLoop(t, testNetascii) }

func testNetascii(t *testing.T, listen listener) {
	text := strings.Repeat("one line\nanother\r", 100)
	want := strings.NewReplacer("\n", "\r\n", "\r", "\r\x00").Replace(text)
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": []byte(text)}})
	c := tftptest.Client{Server: s.addr, Mode: "NetASCII", Options: tftptest.Ask(100, 3, 0)}
	got, err := c.Fetch(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Data) != want {
		t.Errorf("got %d bytes, want %d", len(got.Data), len(want))
	}
	for _, o := range got.OACK {
		if o.Name == "tsize" {
			t.Errorf("got tsize %s, want none in netascii", o.Value)
		}
	}
	if r := s.report(t); r.Bytes != int64(len(want)) || r.Size != int64(len(text)) {
		t.Errorf("got report %+v", r)
	}
}

func TestFetchWithLoss(t *testing.T) { onEachLoop(t, testFetchWithLoss) }

func testFetchWithLoss(t *testing.T, listen listener) {
	want := tftptest.Bytes(200_000)
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"a": want}})
	for _, windowsize := range []tftp.Windowsize{1, 16} {
		c := tftptest.Client{
			Server: s.addr, Options: tftptest.Ask(1428, windowsize, 0),
			Lose: func(i int, _ tftp.Packet) bool { return i%53 == 7 },
		}
		got, err := c.Fetch(t.Context(), "a")
		if err != nil || !bytes.Equal(got.Data, want) {
			t.Errorf("windows of %d: got %d bytes, %v", windowsize, len(got.Data), err)
		}
		if r := s.report(t); r.Result != tftp.Delivered || r.Resent == 0 {
			t.Errorf("windows of %d: got report %+v", windowsize, r)
		}
	}
}
