package dhcpproxy

import (
	"fmt"
	"net/netip"
)

// receiveBuffer is asked of the kernel for each socket, in bytes: a rack that is
// switched on at once must not lose DISCOVERs while one is being answered.
const receiveBuffer = 4 << 20

// maxPacket is the largest DHCP packet that is read, in bytes: more than any
// Ethernet frame without jumbo support carries.
const maxPacket = 2048

// batchSize is how many packets are read, decided and answered together. The
// clients of more than that would wait for each other.
const batchSize = 16

// A packet is one datagram with what its headers and the kernel tell.
type packet struct {
	data        []byte // valid until the next read
	ifindex     int
	source      netip.AddrPort
	destination netip.Addr // from the IP header
}

// An outgoing packet leaves from the address from, by the interface ifindex
// whatever the routing table says of the destination, or by the routing table if
// ifindex is 0.
type outgoing struct {
	data    []byte
	to      netip.AddrPort
	from    netip.Addr
	ifindex int
	err     error // why it did not leave; nil if it did
}

// A packetConn is a port of this host. Close ends reads that are waiting.
type packetConn interface {
	newEnd() packetEnd
	Close() error
}

// A packetEnd is what one goroutine reads and sends datagrams of a port with,
// telling and choosing the interface.
type packetEnd interface {
	// readPackets waits for packets, and gives those that are there, batchSize at
	// most. They are valid until the next read. After Close of the packetConn the
	// error is net.ErrClosed.
	readPackets() ([]packet, error)
	// writePackets sends batchSize packets at most, in their order, and notes at
	// each why it did not leave. What is noted there already must be nil.
	writePackets([]outgoing)
}

// A ListenError says which port could not be bound.
type ListenError struct {
	Addr netip.AddrPort
	Err  error // wraps the system's error number
	// Beside is why the port's packets cannot be read beside its holder either;
	// nil if that was not tried.
	Beside error
}

func (e *ListenError) Error() string {
	text := fmt.Sprintf("cannot listen on %s/udp: %v", e.Addr, e.Err)
	if e.Beside != nil {
		text += fmt.Sprintf(" (nor beside its holder, with a packet socket: %v)", e.Beside)
	}
	return text
}

// Unwrap gives the system's error.
func (e *ListenError) Unwrap() error { return e.Err }
