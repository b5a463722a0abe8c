package simulate

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A wire carries the DHCP messages of a client that has no address yet.
type wire interface {
	send(*dhcpv4.DHCPv4) error
	// receive waits for the next message to the client; after until the error is
	// os.ErrDeadlineExceeded.
	receive(until time.Time) (message, error)
	Close() error
}

// A message is a datagram that came.
type message struct {
	data []byte
	from netip.AddrPort
}

// maxMessage is room for any DHCP message.
const maxMessage = 2048
