package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// A soakClient is an address with clients of all kinds behind it, one after the
// other.
type soakClient struct {
	*soak
	number int
	dice   *rand.Rand
	port   uint16 // used last
}

// A soakAction is something that a client may do next.
type soakAction struct {
	name  string
	share int // how often of 100
	do    func(*soakClient, context.Context) error
}

// soakActions are all there are. The shares add up to 100.
var soakActions = []soakAction{
	{"fetch", 25, (*soakClient).fetch},
	{"fetch with loss", 8, (*soakClient).fetchWithLoss},
	{"fetch from the same port again", 8, (*soakClient).fetchAgain},
	{"fetch among malformed packets", 6, (*soakClient).fetchAmongJunk},
	{"fetch among a stranger's packets", 6, (*soakClient).fetchAmongStrangers},
	{"repeat the RRQ", 6, (*soakClient).repeatRequest},
	{"begin anew", 6, (*soakClient).beginAnew},
	{"ask for what is not there", 3, (*soakClient).askForNothing},
	{"abort", 7, (*soakClient).abort},
	{"keep the last ACK back", 2, (*soakClient).keepLastAck},
	{"fall silent", 2, (*soakClient).fallSilent},
	{"write", 4, (*soakClient).write},
	{"abort a write", 2, (*soakClient).abortWrite},
	{"change a file", 15, (*soakClient).changeFile},
}

// play does n things, or fewer if ctx ends.
func (c *soakClient) play(ctx context.Context, n int) {
	for ; n > 0 && ctx.Err() == nil; n-- {
		a := pick(c.dice.IntN(100))
		c.count(a.name)
		if err := a.do(c, c.t.Context()); err != nil {
			c.t.Errorf("client %d, %s: %v", c.number, a.name, err)
			return
		}
	}
}

// pick is the action that a number from 0 to 99 stands for.
func pick(at int) soakAction {
	for _, a := range soakActions {
		if at -= a.share; at < 0 {
			return a
		}
	}
	panic("the shares do not add up to 100")
}

// address is one of the client's own; strangers have others.
func (c *soakClient) address(stranger bool) netip.Addr {
	third := byte(1)
	if stranger {
		third = 2
	}
	return netip.AddrFrom4([4]byte{127, 0, third, byte(c.number)})
}

// socket opens the next port of an address. A port comes again only when nothing
// that was sent to it can still be under way.
func (c *soakClient) socket(at netip.Addr) (*net.UDPConn, error) {
	for {
		c.port = max(c.port+1, 1024)
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, c.port)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
}

// errLeft ends a fetch whose client has had enough.
var errLeft = errors.New("left")

// A meddler sees each packet before the client takes it; n counts them from 0.
type meddler func(n int, p tftp.Packet, conn *net.UDPConn, tid netip.AddrPort) error

// A visit is one RRQ.
type visit struct {
	file   *soakFile
	client tftptest.Client
	meddle meddler
}

// newVisit asks for any file with any options that clients use.
func (c *soakClient) newVisit() visit {
	v := visit{file: c.files[c.dice.IntN(len(c.files))]}
	v.client = tftptest.Client{Server: c.server, Mode: tftp.Octet}
	if c.dice.IntN(8) == 0 {
		v.client.Mode = "NetASCII"
	}
	if c.dice.IntN(6) == 0 {
		return v // no options
	}
	blksizes := []tftp.Blksize{0, 512, 1024, 1428, 1468, 8192, 65464}
	if v.file.size < 10_000 {
		blksizes = []tftp.Blksize{8, 100, 512}
	}
	blksize := blksizes[c.dice.IntN(len(blksizes))]
	windowsizes := []tftp.Windowsize{0, 1, 4, 16, 64, 100}
	if blksize > 1468 {
		windowsizes = windowsizes[:3] // more does not fit into a socket's queue
	}
	windowsize, timeout := windowsizes[c.dice.IntN(len(windowsizes))], 0
	if windowsize <= 4 && c.dice.IntN(4) == 0 {
		timeout = 1
	}
	v.client.Options = tftptest.Ask(blksize, windowsize, timeout)
	if c.dice.IntN(2) == 0 {
		v.client.Options = v.client.Options[1:] // no tsize
	}
	return v
}

// pay makes a visit and judges what came of it. unfair is what is wrong with it.
// fair is why the client has not the whole file where that is as it should be:
// errLeft, or a *tftp.RemoteError.
func (c *soakClient) pay(ctx context.Context, v visit) (fetched tftptest.Fetched, fair, unfair error) {
	if v.client.Conn == nil {
		conn, err := c.socket(c.address(false))
		if err != nil {
			return fetched, nil, err
		}
		defer func() { _ = conn.Close() }()
		v.client.Conn = conn
	}
	v.file.opening.RLock()
	s := span{from: v.file.oldest.Load()}
	opened := sync.OnceFunc(func() {
		s.to = v.file.newest.Load()
		v.file.opening.RUnlock()
	})
	n := 0
	v.client.Meddle = func(p tftp.Packet, conn *net.UDPConn, tid netip.AddrPort) error {
		opened()
		n++
		if v.meddle == nil {
			return nil
		}
		return v.meddle(n-1, p, conn, tid)
	}
	fetched, err := v.client.Fetch(ctx, v.file.name)
	opened()
	mode := tftp.Octet
	if v.client.Mode != tftp.Octet {
		mode = tftp.Netascii
	}
	if wrong := v.file.check(fetched.Data, s, mode, err == nil); wrong != nil {
		return fetched, err, errors.Join(wrong, err)
	}
	remote, isRemote := errors.AsType[*tftp.RemoteError](err)
	switch {
	case err == nil:
		c.count("whole files")
	case errors.Is(err, errLeft):
	case isRemote && v.file.mayFail(remote, s):
		c.count(remote.Text)
	default:
		return fetched, nil, fmt.Errorf("%s, %v: %w", v.file.name, v.client.Options, err)
	}
	return fetched, err, nil
}

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

// upload begins a write of n bytes in lockstep with blocks of 512, and ends it
// after some blocks with an ERROR if early is set.
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
