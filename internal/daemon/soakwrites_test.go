package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"netbootd/tftp"
)

// upload writes a file in lockstep, with blocks of 512. If early is set it ends
// after some of them with an ERROR.
func (c *soakClient) upload(data []byte, early bool) error {
	conn, err := c.socket(c.address(false))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const size = int(tftp.DefaultBlksize)
	to := c.server
	packet := tftp.Request{Op: tftp.OpWRQ, Name: c.uploadName(), Mode: tftp.Octet}.Append(nil)
	for n := 0; ; {
		got, from, err := exchange(conn, packet, to)
		if err != nil {
			return err
		}
		switch {
		case got.Op == tftp.OpERROR:
			return &tftp.RemoteError{Code: got.Code, Text: got.Text}
		case got.Op != tftp.OpACK || got.Block != tftp.BlockNumber(n):
			continue // a late one
		}
		if to = from; n*size > len(data) {
			return nil
		}
		if early && n > 3 {
			_, err := conn.WriteToUDPAddrPort(tftp.Packet{Op: tftp.OpERROR, Text: "enough"}.Append(nil), to)
			return err
		}
		packet = tftp.Packet{Op: tftp.OpDATA, Block: tftp.BlockNumber(n + 1), Data: data[n*size : min((n+1)*size, len(data))]}.Append(nil)
		n++
	}
}

// exchange sends a packet until an answer comes.
func exchange(conn *net.UDPConn, packet []byte, to netip.AddrPort) (tftp.Packet, netip.AddrPort, error) {
	b := make([]byte, 600)
	for range 10 {
		if _, err := conn.WriteToUDPAddrPort(packet, to); err != nil {
			return tftp.Packet{}, to, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return tftp.Packet{}, to, err
		}
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return tftp.Packet{}, to, err
		}
		p, err := tftp.ParsePacket(b[:n])
		return p, from, err
	}
	return tftp.Packet{}, to, errors.New("the server does not answer a write")
}

func (c *soakClient) uploadName() string { return fmt.Sprintf("written-%d", c.number) }

// anyBytes are up to n bytes.
func (c *soakClient) anyBytes(n int) []byte {
	b := make([]byte, c.dice.IntN(n))
	for i := range b {
		b[i] = byte(c.dice.Uint32())
	}
	return b
}

func (c *soakClient) write(context.Context) error {
	data := c.anyBytes(20_000)
	if err := c.upload(data, false); err != nil {
		return err
	}
	got, err := os.ReadFile(filepath.Join(c.written, c.uploadName()))
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("%d bytes were stored of %d, or they are wrong", len(got), len(data))
	}
	return err
}

func (c *soakClient) abortWrite(context.Context) error {
	return c.upload(append(c.anyBytes(20_000), make([]byte, 5000)...), true)
}
