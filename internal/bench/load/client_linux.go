package load

import (
	"time"

	"golang.org/x/sys/unix"

	"netbootd/tftp"
)

// A client is a transfer with its socket.
type client struct {
	transfer
	fd       int // -1 once it has ended
	tid      endpoint
	started  time.Duration // of the first RRQ
	took     time.Duration // to the last block
	deadline time.Duration // when it sends again; 0 before the first RRQ
	tries    int           // in a row
	held     bool
	sent     uint64 // packets, lost ones included
	received uint64
}

// read takes what has arrived for a client.
func (g *generator) read(i int, now time.Duration) {
	c := &g.clients[i]
	if c.fd < 0 {
		return // ended while its event was on the list
	}
	n, err := g.receiver.receive(c.fd)
	if err != nil {
		c.fail(err.Error())
		g.end(i)
		return
	}
	for k := range n {
		c.received++
		if g.dice.loses(i, toClient, c.received) || c.held || c.state == done {
			continue
		}
		b, from := g.receiver.packet(k)
		g.handle(i, b, from, now)
	}
}

// handle gives a packet to its client.
func (g *generator) handle(i int, b []byte, from *endpoint, now time.Duration) {
	c := &g.clients[i]
	if c.tid.Port == 0 {
		c.tid = *from
	}
	if c.tid.Port != from.Port || c.tid.Addr != from.Addr {
		refusal := tftp.Packet{Op: tftp.OpERROR, Code: tftp.ErrUnknownTID}.Append(nil)
		_ = send(c.fd, refusal, from) // like any packet it may get lost
		return
	}
	bytes := c.bytes
	r := c.receive(b)
	if c.bytes > bytes || c.state == done {
		c.tries, c.took, c.deadline = 0, now-c.started, now+g.job.Timeout
	}
	switch {
	case c.state == done && r == silence:
		g.end(i)
	case g.job.Hold != nil && c.last == 1 && c.state != done:
		c.held, c.deadline = true, g.job.Bound
		g.held++
	case r != silence && g.job.RTT > 0:
		g.delayed.push(delayed{due: now + g.job.RTT, client: i, reply: r, block: c.acked})
	case r != silence:
		g.send(i, r, c.acked, now)
	}
}

// send sends what a client has to say, unless the packet gets lost. A client
// that has nothing to wait for ends here.
func (g *generator) send(i int, r reply, block int64, now time.Duration) {
	c := &g.clients[i]
	if c.fd < 0 {
		return
	}
	c.sent++
	c.deadline = now + g.job.Timeout
	if r == request || !g.dice.loses(i, toServer, c.sent) {
		var err error
		if r == request {
			err = send(c.fd, g.request, &g.server)
		} else {
			err = send(c.fd, []byte{0, byte(tftp.OpACK), byte(block >> 8), byte(block)}, &c.tid)
		}
		// A full queue is a lost packet.
		if err != nil && err != unix.EAGAIN && err != unix.ENOBUFS {
			c.fail(err.Error())
		}
	}
	if c.state == done {
		g.end(i)
	}
}

// end counts a client that is done and frees its port, as firmware does.
func (g *generator) end(i int) {
	c := &g.clients[i]
	_ = unix.Close(c.fd) // it is gone in any case
	c.fd = -1
	g.left--
	g.result.add(&c.transfer, c.took)
}

// endAll ends the clients that are left.
func (g *generator) endAll(why string) {
	for i := range g.clients {
		if g.clients[i].fd >= 0 {
			g.clients[i].fail(why)
			g.end(i)
		}
	}
}
