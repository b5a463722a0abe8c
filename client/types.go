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
	// Unwatched is why changes of configuration files are not noticed by
	// themselves; empty if they are.
	Unwatched   string        `json:"unwatched,omitempty"`
	Assignments []Assignments `json:"assignments"` // of every machine that has some, by MAC
}

// A Listener is one bound socket.
type Listener struct {
	Service string `json:"service"` // proxydhcp, tftp, metrics, control
	Network string `json:"network"` // udp, tcp, unix; packet: read with a packet socket
	Address string `json:"address"` // really bound
	// Beside is the program that holds the port, if its packets are read beside it.
	Beside string `json:"beside,omitempty"`
	// Fingerprint is the SHA-256 of the certificate that clients are shown.
	Fingerprint string `json:"fingerprint,omitempty"`
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
	Until    time.Time    `json:"until,omitzero"`     // when what was started or stopped for a time is over
	Match    string       `json:"match,omitempty"`    // in words; empty for an entry of the menu
	Degraded bool         `json:"degraded"`           // something it needs is missing; see Problems
	Problems []string     `json:"problems,omitempty"` // one line each
	Notes    []string     `json:"notes,omitempty"`    // what else a person should know, one line each
}

// A ProfileView is a profile as it is understood, and its files as they are now.
type ProfileView struct {
	Profile
	Boots     []ProfileBoot `json:"boots,omitempty"`     // what each kind of machine gets; none if the file is broken
	Generated []string      `json:"generated,omitempty"` // names of its own texts in the boot tree
}

// A ProfileBoot is what a profile gives to one kind of machine.
type ProfileBoot struct {
	Arch      string        `json:"arch"`                // "any" is one that the profile does not name
	IPXE      bool          `json:"ipxe"`                // it runs iPXE already
	File      string        `json:"file,omitempty"`      // handed out first, its name in the boot tree
	Why       string        `json:"why,omitempty"`       // why there is no answer
	Instead   string        `json:"instead,omitempty"`   // of a file: disk or silence
	Loader    string        `json:"loader,omitempty"`    // kind of boot loader that starts the kernel
	Root      string        `json:"root,omitempty"`      // directory whose files come first
	Cmdline   string        `json:"cmdline,omitempty"`   // of the kernel
	Generated []string      `json:"generated,omitempty"` // names of what is written for the machine
	Files     []ProfileFile `json:"files,omitempty"`     // that the profile names for it
}

// A ProfileFile is a file that a profile names.
type ProfileFile struct {
	Role    string `json:"role"`              // boot file, kernel or initrd
	Name    string `json:"name"`              // in the boot tree
	Layer   string `json:"layer,omitempty"`   // of the tree where it was found; empty if it was not
	Size    int64  `json:"size"`              // bytes
	Kind    string `json:"kind,omitempty"`    // what it is, in words
	Problem string `json:"problem,omitempty"` // why it cannot be served, or started
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
	Rev      int64     `json:"rev"` // counts the reloads of this process; 1 is its start
	Time     time.Time `json:"time"`
	OK       bool      `json:"ok"`                 // every file was good
	Problems []string  `json:"problems,omitempty"` // one line each
	Notes    []string  `json:"notes,omitempty"`    // what else a person should know, one line each
}

// A Duration is a time.Duration that JSON writes as people do: "1h30m0s".
type Duration time.Duration

// MarshalText writes what [time.Duration.String] says.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] takes.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// A TurnRequest says how a profile is to be started or stopped.
type TurnRequest struct {
	For  Duration `json:"for,omitempty"`  // after that it is as before; zero: for good
	Auto bool     `json:"auto,omitempty"` // forget what was done by hand, so that its autostart holds
}

// Turned is how a profile stands after a start or a stop.
type Turned struct {
	Profile
	Already   bool     `json:"already"`             // it stood so before
	Addresses []string `json:"addresses,omitempty"` // that TFTP is bound to
}

// A TFTP is how the TFTP service stands.
type TFTP struct {
	Running   bool     `json:"running"`
	Already   bool     `json:"already,omitempty"`   // after a start: it was running before
	Addresses []string `json:"addresses,omitempty"` // really bound
	Host      string   `json:"host,omitempty"`      // the address that a client would use; empty if there is none
	Port      uint16   `json:"port,omitempty"`      // really bound
	Holders   []string `json:"holders,omitempty"`   // why it is running: "profile NAME", "tftp start", "[tftp] always"
}

// A TFTPStopRequest says how the TFTP service is to be stopped.
type TFTPStopRequest struct {
	Drain *Duration `json:"drain,omitempty"` // how long transfers may go on; nil: as configured
	Force bool      `json:"force,omitempty"` // stop the profiles that hold it too
}

// An AssignRequest assigns a machine to a profile.
type AssignRequest struct {
	Profile string   `json:"profile"`
	Once    bool     `json:"once,omitempty"`    // for one boot
	Expires Duration `json:"expires,omitempty"` // with Once: until when that boot must be; zero: [DefaultExpires]
}

// DefaultExpires is how long a once-assignment stands that nothing consumes.
const DefaultExpires = Duration(24 * time.Hour)

// Assignments are those of one machine.
type Assignments struct {
	MAC    string      `json:"mac"`
	Once   *Assignment `json:"once,omitempty"`   // for one boot; stands above Pinned
	Pinned *Assignment `json:"pinned,omitempty"` // until it is taken back
	Done   *Assignment `json:"done,omitempty"`   // was once, and was consumed lately: the machine boots from disk rather than the menu
	// Changed tells whether the request that this answers changed anything.
	Changed  bool     `json:"changed"`
	Problems []string `json:"problems,omitempty"` // why the machine does not get what it is assigned to, one line each
}

// An Assignment is one assignment of one machine.
type Assignment struct {
	Profile string    `json:"profile"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // without end if it is zero
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
	Profile  string        `json:"profile,omitempty"`  // empty for the menu, and if there is none
	Assigned string        `json:"assigned,omitempty"` // the kind of assignment that decided: once, pinned or done
	Title    string        `json:"title,omitempty"`
	Rule     string        `json:"rule"`                // which rule decided, or why there is no answer
	Matched  string        `json:"matched,omitempty"`   // what of the profile's [match] the machine is, in words
	Others   []Candidate   `json:"others,omitempty"`    // profiles that match it too, the next best first
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
	Serial      string   `json:"serial,omitempty"`
	Arch        string   `json:"arch"` // option 93
	VendorClass string   `json:"vendor_class,omitempty"`
	UserClass   []string `json:"user_class,omitempty"`
	IPXE        bool     `json:"ipxe"` // iPXE asks, not the firmware below it
	Interface   string   `json:"interface"`
}

// A Candidate is a profile that matches a machine and is not the one it gets.
type Candidate struct {
	Profile string `json:"profile"`
	Matched string `json:"matched"` // by what, in words
	Why     string `json:"why"`     // why it is passed over
}

// A PacketField is one field or option of a packet.
type PacketField struct {
	Name  string `json:"name"` // "siaddr", "60 vendor class"
	Value string `json:"value"`
}
