package load

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// A DiscoverJob is what DHCP clients behind a relay do: each has one DISCOVER
// handed on, and waits for an OFFER of a ProxyDHCP server.
type DiscoverJob struct {
	Server   netip.Addr    // IPv4
	Relay    netip.Addr    // IPv4, of this host; the OFFERs are sent there
	Clients  int           // at least 1, at most 1<<24
	InFlight int           // that wait at a time, at least 1
	Timeout  time.Duration // after which a DISCOVER counts as lost; 0 means 1 s
	Bound    time.Duration // ends the run; 0 means one minute
}

// Places in the fixed part of a DHCP packet (RFC 2131 section 2).
const (
	dhcpHops    = 3
	dhcpXid     = 4
	dhcpYiaddr  = 16
	dhcpGiaddr  = 24
	dhcpChaddr  = 28
	dhcpCookie  = 236
	dhcpOptions = 240
)

// dhcpServerPort is also where relays are answered.
const dhcpServerPort = 67

// discoverOptions are those of a BIOS PXE ROM (PXE specification 2.1, section
// 2.2), with as few of the parameters it requests as still look like it.
var discoverOptions = slices.Concat(
	[]byte{53, 1, 1, 57, 2, 5, 192, 93, 2, 0, 0, 94, 3, 1, 2, 1, 55, 8, 1, 3, 43, 54, 60, 66, 67, 97, 97, 17},
	make([]byte, 17),
	[]byte{60, 32}, []byte("PXEClient:Arch:00000:UNDI:002001"),
	[]byte{255},
)

// discoverOf is the DISCOVER of client 0 as a relay hands it on.
func discoverOf(relay netip.Addr) []byte {
	b := make([]byte, dhcpOptions, dhcpOptions+len(discoverOptions))
	copy(b, []byte{1, 1, 6, dhcpHops: 1}) // a request, by Ethernet
	giaddr := relay.As4()
	copy(b[dhcpGiaddr:], giaddr[:])
	copy(b[dhcpChaddr:], []byte{0x52, 0x54, 0})
	copy(b[dhcpCookie:], []byte{99, 130, 83, 99})
	return append(b, discoverOptions...)
}

// setClient makes a DISCOVER that of another client: its number is its xid and
// the end of its hardware address.
func setClient(b []byte, client int) {
	binary.BigEndian.PutUint32(b[dhcpXid:], uint32(client))
	b[dhcpChaddr+3], b[dhcpChaddr+4], b[dhcpChaddr+5] = byte(client>>16), byte(client>>8), byte(client)
}

// offered is the client that a packet has a ProxyDHCP server's answer for.
func offered(b []byte) (client int, ok bool) {
	if len(b) < dhcpOptions || b[0] != 2 || binary.BigEndian.Uint32(b[dhcpYiaddr:]) != 0 {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(b[dhcpXid:])), true
}

// A crowd is the clients of a DiscoverJob, and who of them is waiting. Times are
// since the start.
type crowd struct {
	job     DiscoverJob
	sent    []time.Duration // of clients that have begun, by number
	got     []bool          // an OFFER
	oldest  int             // no client before it is waiting
	waiting int
	result  *Result
}

func newCrowd(job DiscoverJob) *crowd {
	if job.Timeout == 0 {
		job.Timeout = time.Second
	}
	if job.Bound == 0 {
		job.Bound = time.Minute
	}
	return &crowd{job: job, got: make([]bool, job.Clients), result: &Result{Clients: job.Clients, Failures: make(map[string]int)}}
}

// begin is the next client that sends its DISCOVER now; ok is false if as many
// are waiting as may, or none is left.
func (c *crowd) begin(now time.Duration) (client int, ok bool) {
	if c.waiting >= c.job.InFlight || len(c.sent) == c.job.Clients {
		return 0, false
	}
	c.sent = append(c.sent, now)
	c.waiting++
	return len(c.sent) - 1, true
}

// answered notes an OFFER. A second one for the same client, or one that comes
// too late, counts for nothing.
func (c *crowd) answered(client int, now time.Duration) {
	if client >= len(c.sent) || client < c.oldest || c.got[client] {
		return
	}
	c.got[client] = true
	c.waiting--
	c.result.Times = append(c.result.Times, now-c.sent[client])
	c.skipAnswered()
}

// giveUp counts those as lost that have waited too long.
func (c *crowd) giveUp(now time.Duration) {
	for c.oldest < len(c.sent) && now-c.sent[c.oldest] > c.job.Timeout {
		c.result.Failures["no OFFER"]++
		c.waiting--
		c.oldest++
		c.skipAnswered()
	}
}

func (c *crowd) skipAnswered() {
	for c.oldest < len(c.sent) && c.got[c.oldest] {
		c.oldest++
	}
}

// isDone tells whether all have ended, or the time is over.
func (c *crowd) isDone(now time.Duration) bool {
	return c.waiting == 0 && len(c.sent) == c.job.Clients || now > c.job.Bound
}
