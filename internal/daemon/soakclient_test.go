package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"

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
// errLeft, an ERROR, or one that was lost.
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
	switch {
	case err == nil:
		c.count("whole files")
	case errors.Is(err, errLeft):
	case v.file.mayFail(err, s):
		c.count(err.Error())
	default:
		return fetched, nil, fmt.Errorf("%s, %v: %w", v.file.name, v.client.Options, err)
	}
	return fetched, err, nil
}
