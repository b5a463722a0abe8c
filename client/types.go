package client

import "time"

// Status is what a daemon is doing at one moment.
type Status struct {
	Version    string      `json:"version"`
	Node       string      `json:"node"`       // name of this node
	Since      time.Time   `json:"since"`      // when the process became ready
	Config     string      `json:"config"`     // netbootd.toml, empty if there is none
	Images     string      `json:"images"`     // directory of the boot files
	Profiles   []Profile   `json:"profiles"`   // by name, broken ones too
	Answers    string      `json:"answers"`    // one line: who would be answered with what
	Listeners  []Listener  `json:"listeners"`  // what is bound now
	Interfaces []Interface `json:"interfaces"` // of the host, served or not
	Loaders    []Loader    `json:"loaders"`    // by arch, the preferred one first
	Transfers  []Transfer  `json:"transfers"`  // in flight
	LastReload Reload      `json:"last_reload"`
}

// A Listener is one bound socket.
type Listener struct {
	Service string `json:"service"` // proxydhcp, tftp, metrics, control
	Network string `json:"network"` // udp, tcp, unix; packet: read with a packet socket
	Address string `json:"address"` // really bound
	// Beside is the program that holds the port, if its packets are read beside it.
	Beside string `json:"beside,omitempty"`
}

// An Interface is one network interface of the host.
type Interface struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"` // IPv4, with prefix length
	Served    bool     `json:"served"`
	Why       string   `json:"why,omitempty"` // why it is not served
}

// ProfileState is how a profile stands.
type ProfileState string

// The states of a profile.
const (
	ProfileStarted ProfileState = "started"
	ProfileStopped ProfileState = "stopped"
	ProfileBroken  ProfileState = "broken" // its file has never been good
)

// A Profile is one boot profile.
type Profile struct {
	Name     string       `json:"name"`
	Title    string       `json:"title,omitempty"`
	State    ProfileState `json:"state"`
	Match    string       `json:"match,omitempty"`    // in words; empty for an entry of the menu
	Degraded bool         `json:"degraded"`           // something it needs is missing; see Problems
	Problems []string     `json:"problems,omitempty"` // one line each
	Notes    []string     `json:"notes,omitempty"`    // what else a person should know, one line each
}

// A Loader is a boot loader found on the host.
type Loader struct {
	Arch string `json:"arch"`
	Kind string `json:"kind"` // ipxe, grub, pxelinux, shim
	Name string `json:"name"` // in the boot tree
	Path string `json:"path"` // on the host; of what it is made from, if it is made for this server
}

// A Which tells which layer of the boot tree has the file that a name stands for.
type Which struct {
	Name    string  `json:"name"`              // that was looked up in the end
	MAC     string  `json:"mac,omitempty"`     // for which machine; empty: for one that nobody knows
	Profile string  `json:"profile,omitempty"` // that machine's
	Layer   string  `json:"layer,omitempty"`   // that has the file; empty if there is none
	Why     string  `json:"why"`               // why that one, or why none
	Layers  []Place `json:"layers"`            // every layer, in the order in which they are looked through
}

// A Place is what one layer has for a name.
type Place struct {
	Layer string `json:"layer"`
	Name  string `json:"name,omitempty"` // in that layer; empty if it has none
	Size  int64  `json:"size"`           // bytes
	Why   string `json:"why,omitempty"`  // why there is none that can be served
}

// A Transfer is one TFTP transfer in flight.
type Transfer struct {
	Client  string    `json:"client"` // address and port
	File    string    `json:"file"`   // as requested
	Profile string    `json:"profile,omitempty"`
	Size    int64     `json:"size"`  // bytes
	Bytes   int64     `json:"bytes"` // acknowledged so far
	Since   time.Time `json:"since"`
}

// A Reload is how the configuration was last read.
type Reload struct {
	Time     time.Time `json:"time"`
	OK       bool      `json:"ok"`                 // every file was good
	Problems []string  `json:"problems,omitempty"` // one line each
}

// An ExplainRequest is a DHCP request as it came in, or might come in.
type ExplainRequest struct {
	Packet    []byte `json:"packet"`              // what UDP carries
	Port      uint16 `json:"port"`                // that it was sent to: 67 or 4011
	Source    string `json:"source,omitempty"`    // address and port that it came from; empty: a client without an address
	Interface string `json:"interface,omitempty"` // of the host that it came in on; empty: the first that is served
}

// An Explanation is what becomes of a DHCP request, and why. Nothing is sent.
type Explanation struct {
	Request  string        `json:"request"` // DISCOVER, REQUEST or INFORM
	Port     uint16        `json:"port"`    // 67 or 4011
	Machine  Machine       `json:"machine"`
	Profile  string        `json:"profile,omitempty"` // empty for the menu, and if there is none
	Title    string        `json:"title,omitempty"`
	Rule     string        `json:"rule"`                // which rule decided, or why there is no answer
	Reason   string        `json:"reason,omitempty"`    // for silence, as metrics have it; empty with an answer
	Style    string        `json:"style,omitempty"`     // form of the answer
	StyleWhy string        `json:"style_why,omitempty"` // why this one
	File     string        `json:"file,omitempty"`      // boot file in the answer
	From     string        `json:"from,omitempty"`      // address that the answer leaves from
	To       string        `json:"to,omitempty"`        // address and port that it goes to
	Reply    []PacketField `json:"reply,omitempty"`     // the answer, field by field
	Notes    []string      `json:"notes,omitempty"`     // what else a person should know, one line each
}

// Answered tells whether there would be an answer.
func (e Explanation) Answered() bool { return e.Reason == "" }

// A Machine is what a request tells of its sender.
type Machine struct {
	MAC         string   `json:"mac"`
	ID          string   `json:"id,omitempty"` // option 97
	Arch        string   `json:"arch"`         // option 93
	VendorClass string   `json:"vendor_class,omitempty"`
	UserClass   []string `json:"user_class,omitempty"`
	IPXE        bool     `json:"ipxe"` // iPXE asks, not the firmware below it
	Interface   string   `json:"interface"`
}

// A PacketField is one field or option of a packet.
type PacketField struct {
	Name  string `json:"name"` // "siaddr", "60 vendor class"
	Value string `json:"value"`
}
