package simulate

import (
	"net/netip"

	"netbootd/bootmenu"
)

// A Result tells how a simulated boot went. It is a plain value.
type Result struct {
	Client    string       `json:"client"`
	Interface string       `json:"interface"`
	MAC       bootmenu.MAC `json:"mac"`
	Address   netip.Addr   `json:"address"` // what the boot server and the file were asked from
	Leased    bool         `json:"leased"`  // that address was leased for the boot, else it is this host's own
	Relays    []netip.Addr `json:"relayed_to,omitempty"`

	Offers     []*Offer  `json:"offers"` // in the order in which they came
	BootServer *Exchange `json:"boot_server,omitempty"`
	File       *File     `json:"boot_file,omitempty"`
	Warnings   []string  `json:"warnings,omitempty"`
	Boots      bool      `json:"boots"`
	*Finding             // why it would not boot: step, text, hint
}

// Use is what a client takes from an OFFER.
type Use string

// What can be taken.
const (
	UseAddress Use = "address"
	UseBoot    Use = "boot"
	UseBoth    Use = "address and boot"
)

// An Exchange is what was asked of a boot server, and what it said.
type Exchange struct {
	To     netip.AddrPort `json:"to"`
	Port   uint16         `json:"from_port"`        // it was asked from
	Item   string         `json:"item,omitempty"`   // of the menu
	Answer *Offer         `json:"answer,omitempty"` // nil: none came
}
