package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

func (c *soakClient) fetch(ctx context.Context) error {
	_, _, err := c.pay(ctx, c.newVisit())
	return err
}

func (c *soakClient) fetchWithLoss(ctx context.Context) error {
	v := c.newVisit()
	v.client.Options = tftptest.Ask(1024, tftp.Windowsize(c.dice.IntN(20)), 0) // a timeout of the client's would make it slow
	v.client.Lose = func(int, tftp.Packet) bool { return c.dice.IntN(100) < 3 }
	v.client.Retry = 200 * time.Millisecond
	_, _, err := c.pay(ctx, v)
	return err
}

// fetchAgain uses a port again as soon as the last transfer has ended.
func (c *soakClient) fetchAgain(ctx context.Context) error {
	conn, err := c.socket(c.address(false))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var past netip.AddrPort
	for range 4 {
		v := c.newVisit()
		v.client.Conn, v.client.Past = conn, past
		got, fair, err := c.pay(ctx, v)
		if err != nil || fair != nil {
			return err
		}
		past = got.From
	}
	return nil
}

// junk are packets that have no place in a read transfer, or are none at all.
var junk = [][]byte{
	nil, {0}, {0, 4}, {0, 4, 0}, {0, 9, 0, 1}, {4, 0, 0, 1},
	{0, 3, 0, 1, 'x'}, {0, 6}, {0, 6, 'a', 0, '1', 0}, {0, 6, 'a'},
	{0, 4, 0xff, 0xf0}, // beyond the end of every file here
	bytes.Repeat([]byte{0xff}, 3000),
	[]byte("\x00\x01x\x00octet"), []byte("\x00\x01\x00octet\x00"), []byte("\x00\x02x\x00mail\x00"),
}

func (c *soakClient) fetchAmongJunk(ctx context.Context) error {
	v := c.newVisit()
	v.meddle = func(_ int, _ tftp.Packet, conn *net.UDPConn, tid netip.AddrPort) error {
		if c.dice.IntN(4) > 0 {
			return nil
		}
		to := tid
		if c.dice.IntN(2) == 0 {
			to = c.server
		}
		_, err := conn.WriteToUDPAddrPort(junk[c.dice.IntN(len(junk))], to)
		return err
	}
	_, _, err := c.pay(ctx, v)
	return err
}

// fetchAmongStrangers has others acknowledge and end the transfer: another port
// of the same address, and another address.
func (c *soakClient) fetchAmongStrangers(ctx context.Context) error {
	conn, err := c.socket(c.address(c.dice.IntN(2) == 0))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	v := c.newVisit()
	v.meddle = func(_ int, p tftp.Packet, _ *net.UDPConn, tid netip.AddrPort) error {
		if c.dice.IntN(4) > 0 {
			return nil
		}
		for _, forged := range []tftp.Packet{
			{Op: tftp.OpACK, Block: p.Block}, {Op: tftp.OpACK, Block: p.Block + 1},
			{Op: tftp.OpERROR, Text: "forged"}, {Op: tftp.OpDATA, Block: 1},
		} {
			if _, err := conn.WriteToUDPAddrPort(forged.Append(nil), tid); err != nil {
				return err
			}
		}
		return nil
	}
	_, _, err = c.pay(ctx, v)
	return err
}

// repeatRequest sends its RRQ three times more before it acknowledges anything.
func (c *soakClient) repeatRequest(ctx context.Context) error {
	v := c.newVisit()
	v.client.Options = tftptest.Ask(512, 4, 3) // the server's own timer is kept out of it
	const times = 3
	var tid netip.AddrPort
	v.client.Lose = func(i int, _ tftp.Packet) bool { return i < times }
	v.meddle = func(n int, _ tftp.Packet, conn *net.UDPConn, from netip.AddrPort) error {
		if n >= times {
			return nil
		}
		if n == 0 {
			tid = from
		}
		if from != tid {
			return fmt.Errorf("the answer to a repeated RRQ comes from %v, the first from %v", from, tid)
		}
		r := tftp.Request{Op: tftp.OpRRQ, Name: v.file.name, Mode: v.client.Mode, Options: v.client.Options}
		_, err := conn.WriteToUDPAddrPort(r.Append(nil), c.server)
		return err
	}
	_, _, err := c.pay(ctx, v)
	return err
}

// leaveAt makes a meddler that leaves at a packet; before that it sends what is
// given, if anything.
func leaveAt(at int, last []byte) meddler {
	return func(n int, _ tftp.Packet, conn *net.UDPConn, tid netip.AddrPort) error {
		if n < at {
			return nil
		}
		if last != nil {
			if _, err := conn.WriteToUDPAddrPort(last, tid); err != nil {
				return err
			}
		}
		return errLeft
	}
}

// beginAnew leaves a transfer in the middle and asks for another file from the
// same port.
func (c *soakClient) beginAnew(ctx context.Context) error {
	conn, err := c.socket(c.address(false))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	first, second := c.newVisit(), c.newVisit()
	first.client.Conn, first.meddle = conn, leaveAt(c.dice.IntN(30), nil)
	for second.file == first.file { // it might pass for the same RRQ
		second = c.newVisit()
	}
	got, _, err := c.pay(ctx, first)
	if err != nil {
		return err
	}
	second.client.Conn, second.client.Past = conn, got.From
	_, _, err = c.pay(ctx, second)
	return err
}

func (c *soakClient) abort(ctx context.Context) error {
	v := c.newVisit()
	code := []tftp.ErrorCode{tftp.ErrUndefined, tftp.ErrOptionRefused, tftp.ErrDiskFull}[c.dice.IntN(3)]
	v.meddle = leaveAt(c.dice.IntN(50), tftp.Packet{Op: tftp.OpERROR, Code: code, Text: "enough"}.Append(nil))
	_, _, err := c.pay(ctx, v)
	return err
}

// keepLastAck takes the whole file and never says so.
func (c *soakClient) keepLastAck(ctx context.Context) error {
	v := c.newVisit()
	v.client.Options, v.client.Mode = nil, tftp.Octet
	v.meddle = func(_ int, p tftp.Packet, _ *net.UDPConn, _ netip.AddrPort) error {
		if len(p.Data) < int(tftp.DefaultBlksize) {
			return errLeft
		}
		return nil
	}
	_, _, err := c.pay(ctx, v)
	return err
}

// silentAddr is where all who fall silent live, so that they are soon as many as
// one address may have.
var silentAddr = netip.AddrFrom4([4]byte{127, 0, 3, 1})

// fallSilent stops answering, and stays until the server gives up or the round
// ends.
func (c *soakClient) fallSilent(ctx context.Context) error {
	conn, err := c.socket(silentAddr)
	if err != nil {
		return err
	}
	v := c.newVisit()
	v.client.Conn, v.meddle = conn, leaveAt(c.dice.IntN(10), nil)
	got, fair, err := c.pay(ctx, v)
	if remote, ok := errors.AsType[*tftp.RemoteError](errors.Join(err, fair)); ok && remote.Code == tftp.ErrDiskFull {
		c.count(remote.Text)
		return conn.Close()
	}
	if err != nil || !errors.Is(fair, errLeft) {
		return errors.Join(err, conn.Close())
	}
	c.silent.Go(func() {
		defer func() { _ = conn.Close() }()
		c.waitInSilence(conn, got.From)
	})
	return nil
}

// waitInSilence reads what a silent client is sent, until the server gives up. At
// the end of the round it hangs up itself.
func (c *soakClient) waitInSilence(conn *net.UDPConn, tid netip.AddrPort) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil { // it still has that of the fetch
		c.t.Error(err)
	}
	stop := context.AfterFunc(c.round, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // long ago
	defer stop()
	for b := make([]byte, 1<<16); ; {
		n, err := conn.Read(b)
		if err != nil {
			_, err := conn.WriteToUDPAddrPort(tftp.Packet{Op: tftp.OpERROR}.Append(nil), tid)
			if err != nil {
				c.t.Errorf("a silent client cannot hang up: %v", err)
			}
			return
		}
		if p, err := tftp.ParsePacket(b[:n]); err == nil && p.Op == tftp.OpERROR {
			c.count(p.Text)
			return
		}
	}
}

func (c *soakClient) askForNothing(ctx context.Context) error {
	names := []string{"missing", "REPLACED/none", "../etc/passwd", "a//../../b", "C:\\x", "pipe", ".", "netbootd/boot.ipxe"}
	conn, err := c.socket(c.address(false))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	name := names[c.dice.IntN(len(names))]
	_, err = tftptest.Client{Server: c.server, Conn: conn}.Fetch(ctx, name)
	if remote, ok := errors.AsType[*tftp.RemoteError](err); !ok || remote.Code != tftp.ErrFileNotFound && remote.Code != tftp.ErrAccessViolation {
		return fmt.Errorf("%s: got %w, want ERROR 1 or 2", name, err)
	}
	return nil
}

func (c *soakClient) changeFile(context.Context) error {
	return c.files[c.dice.IntN(len(c.files))].change()
}
