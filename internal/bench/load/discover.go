package load

import (
	"encoding/binary"
	"net"
	"slices"
	"time"
)

// A DiscoverJob is what DHCP clients without an address do: each broadcasts one
// DISCOVER and waits for an OFFER of a ProxyDHCP server.
type DiscoverJob struct {
	Device   string        // Ethernet interface that they are behind
	Clients  int           // at least 1, at most 1<<24
	InFlight int           // that wait at a time, at least 1
	Timeout  time.Duration // after which a DISCOVER counts as lost; 0 means 1 s
	Bound    time.Duration // ends the run; 0 means one minute
}

// Sizes and places in the frames: Ethernet, IPv4 without options, UDP, and the
// fixed part of DHCP (RFC 2131 section 2).
const (
	frameIP      = 14
	frameUDP     = frameIP + 20
	frameDHCP    = frameUDP + 8
	frameXid     = frameDHCP + 4
	frameYiaddr  = frameDHCP + 16
	frameChaddr  = frameDHCP + 28
	frameOptions = frameDHCP + 240
)

const (
	clientPort = 68
	serverPort = 67
)

// discoverOptions are those of a BIOS PXE ROM (PXE specification 2.1, section
// 2.2), with as few of the parameters it requests as still look like it.
var discoverOptions = slices.Concat(
	[]byte{53, 1, 1, 57, 2, 5, 192, 93, 2, 0, 0, 94, 3, 1, 2, 1, 55, 8, 1, 3, 43, 54, 60, 66, 67, 97, 97, 17},
	make([]byte, 17),
	[]byte{60, 32}, []byte("PXEClient:Arch:00000:UNDI:002001"),
	[]byte{255},
)

// discoverFrame is the frame of client 0. Its UDP checksum is 0, which is none.
func discoverFrame(source net.HardwareAddr) []byte {
	b := make([]byte, frameOptions, frameOptions+len(discoverOptions))
	copy(b, "\xff\xff\xff\xff\xff\xff")
	copy(b[6:], source)
	b = append(b, discoverOptions...)
	put := binary.BigEndian.PutUint16
	put(b[12:], 0x0800) // IPv4
	ip := b[frameIP:frameUDP]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	put(ip[2:], uint16(len(b)-frameIP))
	copy(ip[16:], "\xff\xff\xff\xff")
	put(ip[10:], headerChecksum(ip))
	put(b[frameUDP:], clientPort)
	put(b[frameUDP+2:], serverPort)
	put(b[frameUDP+4:], uint16(len(b)-frameUDP))
	copy(b[frameDHCP:], []byte{1, 1, 6}) // a request, by Ethernet
	copy(b[frameChaddr:], []byte{0x52, 0x54, 0})
	copy(b[frameOptions-4:], []byte{99, 130, 83, 99})
	return b
}

// headerChecksum is that of an IPv4 header whose checksum is 0 (RFC 1071).
func headerChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// setClient makes a frame that of another client: its number is its xid and the
// end of its hardware address.
func setClient(frame []byte, client int) {
	binary.BigEndian.PutUint32(frame[frameXid:], uint32(client))
	frame[frameChaddr+3], frame[frameChaddr+4], frame[frameChaddr+5] = byte(client>>16), byte(client>>8), byte(client)
}

// offered is the client that a frame has a ProxyDHCP server's answer for.
func offered(b []byte) (client int, ok bool) {
	if len(b) < frameOptions || b[frameIP] != 0x45 || b[frameIP+9] != 17 ||
		binary.BigEndian.Uint16(b[frameUDP+2:]) != clientPort || b[frameDHCP] != 2 ||
		binary.BigEndian.Uint32(b[frameYiaddr:]) != 0 {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(b[frameXid:])), true
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
