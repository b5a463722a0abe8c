//go:build linux

package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"netbootd/internal/e2e/lab"
)

// blockSize is that of TFTP without options (RFC 1350).
const blockSize = 512

// A slowTransfer is a TFTP read in which the test decides when each block is
// acknowledged.
type slowTransfer struct {
	conn *net.UDPConn
	peer netip.AddrPort // the server's TID, known from the first block on
}

// startTransfer asks for a file and takes its first block.
func startTransfer(ctx context.Context, t *testing.T, s *server, name string) (*slowTransfer, []byte) {
	t.Helper()
	tr := &slowTransfer{}
	err := s.net.Do(lab.ClientPlace, func() (err error) {
		tr.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: lab.ClientAddr.AsSlice()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.conn.Close() })
	deadline, _ := ctx.Deadline()
	if err := tr.conn.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	rrq := append([]byte{0, 1}, name+"\x00octet\x00"...)
	if _, err := tr.conn.WriteToUDPAddrPort(rrq, netip.AddrPortFrom(lab.BootAddr, 69)); err != nil {
		t.Fatal(err)
	}
	return tr, tr.block(t, 1)
}

// block waits for DATA with this number; what the server sends again meanwhile
// is dropped.
func (tr *slowTransfer) block(t *testing.T, number uint16) []byte {
	t.Helper()
	b := make([]byte, 4+blockSize)
	for {
		n, from, err := tr.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("block %d does not come: %v", number, err)
		}
		if n < 4 || b[1] != 3 {
			t.Fatalf("got % x instead of block %d", b[:n], number)
		}
		if binary.BigEndian.Uint16(b[2:]) == number {
			tr.peer = from
			return b[4:n]
		}
	}
}

// ack acknowledges a block.
func (tr *slowTransfer) ack(t *testing.T, number uint16) {
	t.Helper()
	if _, err := tr.conn.WriteToUDPAddrPort([]byte{0, 4, byte(number >> 8), byte(number)}, tr.peer); err != nil {
		t.Fatal(err)
	}
}

func TestSIGTERMLetsATransferEnd(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	want := bytes.Repeat([]byte("netboot!"), 3*blockSize/8)
	writeFile(t, filepath.Join(s.images, "three-blocks"), string(want))
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	s.start(ctx, t)

	tr, got := startTransfer(ctx, t, s, "three-blocks")
	if err := s.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// That port 67 is free again shows that the signal has been taken.
	if err := n.WaitUDP(ctx, lab.BootPlace, dhcpServerPort, false); err != nil {
		t.Fatal(err)
	}
	for number := uint16(1); number <= 3; number++ {
		tr.ack(t, number)
		got = append(got, tr.block(t, number+1)...)
	}
	tr.ack(t, 4)
	if !bytes.Equal(got, want) {
		t.Errorf("the transfer in flight ended with %d bytes, want the %d of the file", len(got), len(want))
	}
	if code, err := s.proc.Wait(ctx); err != nil || code != 0 {
		t.Errorf("netbootd ended with exit code %d, %v; want 0", code, err)
	}
}

func TestSIGHUPPicksUpANewProfile(t *testing.T) {
	ctx, n := newNetwork(t)
	s := newServer(t, n, map[string]string{"pxe": pxeProfile})
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	s.start(ctx, t)
	if got := s.status(ctx, t).profileState("pxe"); got != "started" {
		t.Errorf("profile pxe is %q at first, want started", got)
	}
	s.writeProfile(t, "second", "boot_file = \"hello.ipxe\"\n[match]\nmac = [\"52:54:01:*\"]\n")
	if err := s.proc.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	// Asking again and again is what a user's script would do, too.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for s.status(ctx, t).profileState("second") != "started" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the new profile does not appear in the status")
		}
	}
	if got := s.status(ctx, t).profileState("pxe"); got != "started" {
		t.Errorf("profile pxe is %q after the reload, want started", got)
	}
}
