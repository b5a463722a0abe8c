package load

import (
	"fmt"
	"strconv"
	"strings"

	"netbootd/tftp"
)

// A reply is what a client sends when it has received a packet.
type reply uint8

const (
	silence  reply = iota
	request        // the RRQ
	ack            // ACK of the last block received in order
	wrongTID       // ERROR 5, to whoever it was
)

// A state is how far a transfer is.
type state uint8

const (
	asking    state = iota // the RRQ is sent
	receiving              // there was an answer
	done                   // failed, or the whole file is here
)

// A transfer is the state of one client, without socket and clock.
type transfer struct {
	job     *Job
	pattern *Pattern

	state   state
	blksize int64
	window  int64
	last    int64 // block received last in order, counted from 1 without rollover
	acked   int64 // block of the last ACK
	gap     bool  // the ACK about a missing block was sent
	bytes   int64
	failure string // set if it failed
}

func newTransfer(job *Job, pattern *Pattern) transfer {
	return transfer{job: job, pattern: pattern, blksize: int64(tftp.DefaultBlksize), window: 1}
}

// receive takes a packet of the server's transfer and tells what to answer.
func (t *transfer) receive(b []byte) reply {
	p, err := tftp.ParsePacket(b)
	if err != nil {
		return t.fail("malformed packet")
	}
	switch p.Op {
	case tftp.OpDATA:
		return t.receiveData(p)
	case tftp.OpOACK:
		return t.receiveOACK(p.Options)
	case tftp.OpERROR:
		return t.fail(fmt.Sprintf("ERROR %d %q", uint16(p.Code), p.Text))
	}
	return t.fail(fmt.Sprintf("opcode %d", uint16(p.Op)))
}

// receiveOACK takes what was granted. The ACK of block 0 answers it, and once
// more when it comes again.
func (t *transfer) receiveOACK(options []tftp.Option) reply {
	if t.last > 0 {
		return silence
	}
	for _, o := range options {
		n, err := strconv.ParseInt(o.Value, 10, 64)
		asked := int64(0)
		switch strings.ToLower(o.Name) {
		case "blksize":
			asked, t.blksize = int64(t.job.Blksize), n
		case "windowsize":
			asked, t.window = int64(t.job.Windowsize), n
		}
		if err != nil || n < 1 || n > asked {
			return t.fail(fmt.Sprintf("OACK with %s %q", o.Name, o.Value))
		}
	}
	t.state = receiving
	return ack
}

func (t *transfer) receiveData(p tftp.Packet) reply {
	t.state = receiving
	// Windows are far shorter than half the numbers, so the sign tells whether
	// the block is ahead or behind.
	switch ahead := int64(int16(uint16(p.Block) - uint16(t.last+1))); {
	case ahead == 0:
		return t.advance(p.Data)
	case ahead > 0 && !t.gap:
		t.gap = true
		return t.acknowledge()
	case ahead == -1:
		// The last block again: the ACK got lost.
		return t.acknowledge()
	}
	return silence
}

// advance takes the next block.
func (t *transfer) advance(data []byte) reply {
	if int64(len(data)) > t.blksize || !t.pattern.Matches(data, t.bytes) {
		return t.fail("wrong bytes")
	}
	t.last++
	t.bytes += int64(len(data))
	t.gap = false
	if int64(len(data)) < t.blksize {
		t.state = done
		if t.bytes != t.job.Size {
			t.failure = fmt.Sprintf("file of %d bytes instead of %d", t.bytes, t.job.Size)
		}
		return t.acknowledge()
	}
	if t.last-t.acked < t.window {
		return silence
	}
	return t.acknowledge()
}

func (t *transfer) acknowledge() reply {
	t.acked = t.last
	return ack
}

// timeout tells what to send after a silence.
func (t *transfer) timeout() reply {
	if t.state == asking {
		return request
	}
	t.gap = false
	return t.acknowledge()
}

func (t *transfer) fail(why string) reply {
	t.state, t.failure = done, why
	return silence
}
