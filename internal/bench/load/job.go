package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"netbootd/tftp"
)

// A Job is what the clients do. All of them fetch the same file.
type Job struct {
	Server  netip.AddrPort // IPv4, of the loopback interface
	File    string         // name in the RRQ
	Size    int64          // bytes in the file, which must be [Pattern]'s
	Clients int            // at least 1; each has an address of its own in 127.0.0.0/8
	// Over spreads the first RRQs evenly over a time; 0 sends them all at once.
	Over time.Duration
	// Blksize and Windowsize are asked for in the RRQ, 0 not at all.
	Blksize    tftp.Blksize
	Windowsize tftp.Windowsize

	// Loss is the share of the packets that are lost, each way. RRQs are not: no
	// server can mend that, and the client's second would hide what it can mend.
	Loss float64
	Seed uint64        // chooses the packets that are lost
	RTT  time.Duration // how long each answer of a client is held back

	// Timeout is after how long a silence a client sends again; 0 means 1 s, as
	// firmware has it. It gives up after Tries in a row; 0 means 30.
	Timeout time.Duration
	Tries   int
	// Bound ends the run; clients that are not done by then have failed. 0 means
	// one minute.
	Bound time.Duration

	// Hold, if set, makes each client stop at its first block. Once all of them
	// have come so far or failed, Hold is told how many are held open, and when
	// it returns they go on.
	Hold func(open int)
}

// maxClients is how many clients have an address: see firstAddress.
const maxClients = 1 << 20

// withDefaults checks a job and fills in what is not set.
func (j Job) withDefaults() (Job, error) {
	switch {
	case j.Clients < 1 || j.Clients > maxClients:
		return j, fmt.Errorf("%d clients: want 1 to %d", j.Clients, maxClients)
	case !j.Server.Addr().Is4() || !j.Server.Addr().IsLoopback():
		return j, fmt.Errorf("server %v: want an IPv4 loopback address", j.Server)
	case j.Loss < 0 || j.Loss > 1:
		return j, fmt.Errorf("loss %v: want 0 to 1", j.Loss)
	case j.File == "":
		return j, errors.New("no file named")
	}
	if j.Timeout == 0 {
		j.Timeout = time.Second
	}
	if j.Tries == 0 {
		j.Tries = 30
	}
	if j.Bound == 0 {
		j.Bound = time.Minute
	}
	return j, nil
}

// request is the RRQ that every client sends.
func (j Job) request() []byte {
	b := append([]byte{0, byte(tftp.OpRRQ)}, j.File...)
	b = append(append(append(b, 0), tftp.Octet...), 0)
	if j.Blksize != 0 {
		b = fmt.Appendf(b, "blksize\x00%d\x00", j.Blksize)
	}
	if j.Windowsize != 0 {
		b = fmt.Appendf(b, "windowsize\x00%d\x00", j.Windowsize)
	}
	return b
}
