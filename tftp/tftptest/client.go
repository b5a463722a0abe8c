package tftptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"netbootd/tftp"
)

// A Client fetches files with the options it is told to ask. It judges strictly:
// an option in the OACK that was not asked, or a larger number than asked, ends
// the transfer as EDK2 and U-Boot end it.
type Client struct {
	Server  netip.AddrPort // where RRQs go
	Local   netip.AddrPort // where they come from; zero leaves it to the system
	Options []tftp.Option  // as sent
	Mode    tftp.Mode      // as sent; empty is octet

	// Lose, if set, is asked for each DATA and OACK packet that comes in, in
	// order and counted from 0. Those it returns true for are lost.
	Lose func(i int, p tftp.Packet) bool

	// Meddle, if set, sees each DATA and OACK packet before it is taken, with the
	// socket and the server's TID. It may send what it likes; if it returns an
	// error the fetch ends with that, without a word to the server.
	Meddle func(p tftp.Packet, conn *net.UDPConn, tid netip.AddrPort) error

	// Conn, if set, is used instead of a new socket, Local is ignored then, and
	// nothing but the end of ctx closes it.
	Conn *net.UDPConn
	// Past is the TID of the last transfer on Conn. What comes from there is
	// late, and ignored.
	Past netip.AddrPort

	// Retry is after how long of silence the last packet is sent again; 0 is 1 s.
	// After ten times in a row Fetch fails.
	Retry time.Duration
}

// A Fetched tells how a transfer went.
type Fetched struct {
	Data     []byte
	OACK     []tftp.Option  // nil if the server sent DATA at once
	From     netip.AddrPort // the server's TID
	Client   netip.AddrPort // ours
	Received int            // DATA packets that came in, also those lost or out of turn
	Resent   int            // packets this client sent again
}

// Ask makes the usual options: those whose number is 0 are left out.
func Ask(blksize tftp.Blksize, windowsize tftp.Windowsize, timeoutSeconds int) []tftp.Option {
	options := []tftp.Option{{Name: "tsize", Value: "0"}}
	for _, o := range []struct {
		name  string
		value int
	}{{"blksize", int(blksize)}, {"windowsize", int(windowsize)}, {"timeout", timeoutSeconds}} {
		if o.value != 0 {
			options = append(options, tftp.Option{Name: o.name, Value: strconv.Itoa(o.value)})
		}
	}
	return options
}

// ErrNoAnswer is a server that keeps silent.
var ErrNoAnswer = errors.New("the server does not answer")

// Fetch reads one file. If the server sends an ERROR the error is a
// *[tftp.RemoteError]. It blocks until the transfer has ended or ctx has.
func (c Client) Fetch(ctx context.Context, name string) (Fetched, error) {
	conn := c.Conn
	if conn == nil {
		var err error
		if conn, err = net.ListenUDP("udp", listenAddr(c.Local, c.Server)); err != nil {
			return Fetched{}, err
		}
		defer func() { _ = conn.Close() }()
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	if c.Mode == "" {
		c.Mode = tftp.Octet
	}
	if c.Retry == 0 {
		c.Retry = time.Second
	}
	f := fetch{
		Client: c, conn: conn, to: c.Server, buf: make([]byte, 1<<16),
		blksize: int(tftp.DefaultBlksize), windowsize: 1,
	}
	f.got.Client = addrPort(conn.LocalAddr())
	err := f.run(tftp.Request{Op: tftp.OpRRQ, Name: name, Mode: c.Mode, Options: c.Options}.Append(nil))
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return f.got, err
}

// listenAddr is local, or else any port of the loopback or wildcard address that
// reaches server.
func listenAddr(local, server netip.AddrPort) *net.UDPAddr {
	if local.IsValid() {
		return net.UDPAddrFromAddrPort(local)
	}
	if server.Addr().Is4() {
		return &net.UDPAddr{IP: net.IPv4zero}
	}
	return &net.UDPAddr{IP: net.IPv6zero}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// fetch is one transfer of a Client.
type fetch struct {
	Client
	conn *net.UDPConn
	to   netip.AddrPort // the server's TID, once it is known
	last []byte         // packet sent last
	buf  []byte         // packet received last

	blksize    int
	windowsize int
	next       int64 // block expected
	inWindow   int   // blocks received since the last ACK
	packets    int
	got        Fetched
}

func (f *fetch) run(rrq []byte) error {
	f.next = 1
	if err := f.send(rrq); err != nil {
		return err
	}
	for {
		p, err := f.receive()
		if err != nil {
			return err
		}
		done, err := f.take(p)
		if done || err != nil {
			return err
		}
	}
}

func (f *fetch) send(b []byte) error {
	f.last = b
	_, err := f.conn.WriteToUDPAddrPort(b, f.to)
	return err
}

func (f *fetch) ack() error {
	f.inWindow = 0
	return f.send(tftp.Packet{Op: tftp.OpACK, Block: tftp.BlockNumber((f.next - 1) & 0xffff)}.Append(nil))
}

// receive returns the next packet of this transfer that is not to be lost.
func (f *fetch) receive() (tftp.Packet, error) {
	for silences := 0; silences < 10; {
		if err := f.conn.SetReadDeadline(time.Now().Add(f.Retry)); err != nil {
			return tftp.Packet{}, err
		}
		n, from, err := f.conn.ReadFromUDPAddrPort(f.buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			silences++
			f.got.Resent++
			if err := f.send(f.last); err != nil {
				return tftp.Packet{}, err
			}
			continue
		}
		if err != nil {
			return tftp.Packet{}, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if f.got.From.IsValid() && f.got.From != from || from == f.Past {
			continue
		}
		f.got.From, f.to = from, from
		p, err := tftp.ParsePacket(f.buf[:n])
		if err != nil {
			return tftp.Packet{}, err
		}
		if f.Meddle != nil && (p.Op == tftp.OpDATA || p.Op == tftp.OpOACK) {
			if err := f.Meddle(p, f.conn, from); err != nil {
				return tftp.Packet{}, err
			}
		}
		if !f.isLost(p) {
			return p, nil
		}
	}
	return tftp.Packet{}, ErrNoAnswer
}

func (f *fetch) isLost(p tftp.Packet) bool {
	if p.Op == tftp.OpDATA {
		f.got.Received++
	}
	if f.Lose == nil || (p.Op != tftp.OpDATA && p.Op != tftp.OpOACK) {
		return false
	}
	f.packets++
	return f.Lose(f.packets-1, p)
}

// take works through one packet; done tells that it was the last.
func (f *fetch) take(p tftp.Packet) (done bool, err error) {
	switch p.Op {
	case tftp.OpERROR:
		return true, &tftp.RemoteError{Code: p.Code, Text: p.Text}
	case tftp.OpOACK:
		if f.got.OACK == nil {
			if err := f.accept(p.Options); err != nil {
				refusal := tftp.Packet{Op: tftp.OpERROR, Code: tftp.ErrOptionRefused, Text: "option refused"}
				return true, errors.Join(err, f.send(refusal.Append(nil)))
			}
		}
		if f.next > 1 {
			return false, nil
		}
		return false, f.ack()
	case tftp.OpDATA:
		return f.takeData(p)
	default:
		return false, nil
	}
}

// takeData acknowledges a whole window, the last block, and what was received in
// turn so far whenever a block comes out of turn, as EDK2 does.
func (f *fetch) takeData(p tftp.Packet) (done bool, err error) {
	if p.Block != tftp.BlockNumber(f.next&0xffff) {
		return false, f.ack()
	}
	if len(p.Data) > f.blksize {
		return true, fmt.Errorf("block %d has %d bytes, more than blksize %d", f.next, len(p.Data), f.blksize)
	}
	f.got.Data = append(f.got.Data, p.Data...)
	f.next++
	f.inWindow++
	if len(p.Data) < f.blksize {
		return true, f.ack()
	}
	if f.inWindow == f.windowsize {
		return false, f.ack()
	}
	return false, nil
}

// accept checks an OACK against what was asked.
func (f *fetch) accept(oack []tftp.Option) error {
	f.got.OACK = oack
	for _, o := range oack {
		asked, ok := f.asked(o.Name)
		granted, err := strconv.Atoi(o.Value)
		if !ok || err != nil {
			return fmt.Errorf("option %q=%q was not asked", o.Name, o.Value)
		}
		switch strings.ToLower(o.Name) {
		case "blksize":
			f.blksize = granted
			ok = granted <= asked
		case "windowsize":
			f.windowsize = granted
			ok = granted <= asked
		case "timeout":
			ok = granted == asked
		}
		if !ok {
			return fmt.Errorf("option %s: asked %d, got %d", o.Name, asked, granted)
		}
	}
	return nil
}

// asked finds an option by its exact spelling, as barebox does.
func (f *fetch) asked(name string) (n int, ok bool) {
	for _, o := range f.Options {
		if o.Name == name {
			n, err := strconv.Atoi(o.Value)
			return n, err == nil
		}
	}
	return 0, false
}
