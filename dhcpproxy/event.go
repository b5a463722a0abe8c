package dhcpproxy

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
)

// MessageType is a DHCP message type of a request, by the name that metrics and
// logs use.
type MessageType string

// The request types that are told apart. Everything else is TypeOther.
const (
	TypeDiscover MessageType = "discover"
	TypeRequest  MessageType = "request"
	TypeInform   MessageType = "inform"
	TypeOther    MessageType = "other"
)

// typeOf names a message type.
func typeOf(t dhcpv4.MessageType) MessageType {
	switch t {
	case dhcpv4.MessageTypeDiscover:
		return TypeDiscover
	case dhcpv4.MessageTypeRequest:
		return TypeRequest
	case dhcpv4.MessageTypeInform:
		return TypeInform
	}
	return TypeOther
}

// An Event is one packet that arrived on port 67 or 4011, and what became of it.
// It is a plain value.
type Event struct {
	Node     string // name of the node that heard it
	Time     time.Time
	Port     uint16 // 67 or 4011
	Type     MessageType
	Machine  bootmenu.Machine // only MAC and interface if it was no PXE client
	Decision bootmenu.Decision
	Reason   bootmenu.Reason // why silence; empty if it was answered
	Why      string          // the reason, or the rule that decided, for people
	Reply    ReplySummary    // what was sent, if it was answered
}

// Answered tells whether a reply was sent.
func (e Event) Answered() bool { return e.Reason == "" }

// A ReplySummary is what is worth telling of a reply.
type ReplySummary struct {
	Type   string         // "offer" or "ack"; empty if nothing was sent
	Style  bootmenu.Style // form of the packet
	File   string         // boot file; empty if the firmware draws a menu first
	Server netip.Addr     // siaddr and option 54
	To     netip.AddrPort // where it was sent
}

// summary tells of r.
func (r *Reply) summary() ReplySummary {
	s := ReplySummary{Type: "ack", Style: r.Style, File: r.File, Server: r.From, To: r.To}
	if r.Type == dhcpv4.MessageTypeOffer {
		s.Type = "offer"
	}
	return s
}
