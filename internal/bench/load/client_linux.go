package load

import (
	"time"

	"netbootd/tftp"
)

// A client is a transfer with its clock.
type client struct {
	transfer
	ended    bool
	tid      endpoint
	started  time.Duration // of the first RRQ
	took     time.Duration // to the last block
	deadline time.Duration // when it sends again; 0 before the first RRQ
	tries    int           // in a row
	held     bool
	sent     uint64 // packets, lost ones included
	received uint64
}

// read takes a batch of what has arrived, and answers it. more tells that there
// may be more.
func (g *generator) read() (more bool, err error) {
	n, err := g.station.receive()
	if err != nil {
		return false, err
	}
	now := g.now()
	for k := range n {
		i, b, from := g.station.packet(k)
		if i < 0 || i >= len(g.clients) {
			continue
		}
		c := &g.clients[i]
		c.received++
		if c.ended || c.held || g.dice.loses(i, toClient, c.received) {
			continue
		}
		if err := g.handle(i, b, from, now); err != nil {
			return false, err
		}
	}
	return n == batchSize, g.station.flush()
}

// handle gives a packet to its client.
func (g *generator) handle(i int, b []byte, from *endpoint, now time.Duration) error {
	c := &g.clients[i]
	if c.tid.Port == 0 {
		c.tid = *from
	}
	if c.tid.Port != from.Port || c.tid.Addr != from.Addr {
		return g.station.send(i, tftp.Packet{Op: tftp.OpERROR, Code: tftp.ErrUnknownTID}.Append(nil), from)
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
		return g.send(i, r, c.acked, now)
	}
	return nil
}

// send sends what a client has to say, unless the packet gets lost. A client
// that has nothing to wait for ends here.
func (g *generator) send(i int, r reply, block int64, now time.Duration) (err error) {
	c := &g.clients[i]
	if c.ended {
		return nil
	}
	c.sent++
	c.deadline = now + g.job.Timeout
	switch {
	case r == request:
		err = g.station.send(i, g.request, &g.server)
	case !g.dice.loses(i, toServer, c.sent):
		err = g.station.send(i, []byte{0, byte(tftp.OpACK), byte(block >> 8), byte(block)}, &c.tid)
	}
	if c.state == done {
		g.end(i)
	}
	return err
}

// end counts a client that is done. It answers nothing any more.
func (g *generator) end(i int) {
	c := &g.clients[i]
	c.ended = true
	g.left--
	g.result.add(&c.transfer, c.took)
}

// endAll ends the clients that are left.
func (g *generator) endAll(why string) {
	for i := range g.clients {
		if !g.clients[i].ended {
			g.clients[i].fail(why)
			g.end(i)
		}
	}
}
