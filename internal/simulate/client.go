package simulate

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"netbootd/bootmenu"
	"netbootd/tftp"
)

// A Client is one firmware for one architecture.
type Client struct {
	Name  string
	About string // for people

	arch   bootmenu.Arch
	class  string // option 60, as sent
	undi   []byte // option 94
	family *family
}

// A player is a client with a network card.
type player struct {
	*Client
	mac net.HardwareAddr
}

// A family is how the firmware of one kind boots. Its functions look at values
// only.
type family struct {
	bootPort   uint16 // it asks a boot server from
	strictPort bool   // it takes the answer from port 4011 only
	siaddrOnly bool   // where only listed boot servers count, siaddr must be in the list, not option 54

	discovers []time.Duration // for how long it collects OFFERs after each DISCOVER; one with an address ends it
	asks      []time.Duration // pauses after each REQUEST to a boot server

	// options are what its messages carry besides what all do.
	options func(c player) []dhcpv4.Option
	// choose makes of the OFFERs, in the order in which they came, what is next.
	choose func(c player, offers []*Offer) plan
	// settle reads the ACK of a boot server that was asked.
	settle func(c player, v visit, ack *Offer) (Target, *Finding)
	// tftp are the options of the RRQs that it sends for a file, one after the
	// other. All but the last ask for the size only.
	tftp [][]tftp.Option
	// head tells that by HTTP it asks for the size first.
	head bool
	// judge says why it would not start a file, or nil.
	judge func(c player, f *File) *Finding
}

// clients is the one table of what can be played.
var clients = []*Client{
	{"bios", "PC BIOS with a PXE ROM", bootmenu.ArchX86BIOS, "PXEClient:Arch:00000:UNDI:002001", undi(2, 1), &pxeROM},
	{"uefi-x86", "UEFI (EDK2), 32-bit x86", bootmenu.ArchX86UEFI, "PXEClient:Arch:00006:UNDI:003000", undi(3, 0), &edk2},
	{"uefi-x64", "UEFI (EDK2), x64", bootmenu.ArchX64UEFI, "PXEClient:Arch:00007:UNDI:003000", undi(3, 0), &edk2},
	{"uefi-arm64", "UEFI (EDK2), ARM64", bootmenu.ArchARM64UEFI, "PXEClient:Arch:00011:UNDI:003000", undi(3, 0), &edk2},
	{"uefi-riscv64", "UEFI (EDK2), RISC-V 64", archRISCV64, "PXEClient:Arch:00027:UNDI:003000", undi(3, 0), &edk2},
	{"uefi-http", "UEFI HTTP Boot (EDK2), x64", archX64HTTP, "HTTPClient:Arch:00016:UNDI:003000", undi(3, 0), &edk2HTTP},
	{"uefi-http-arm64", "UEFI HTTP Boot (EDK2), ARM64", archARM64HTTP, "HTTPClient:Arch:00019:UNDI:003000", undi(3, 0), &edk2HTTP},
	{"ipxe", "iPXE in the ROM of a network card, BIOS", bootmenu.ArchX86BIOS, "PXEClient:Arch:00000:UNDI:002001", undi(2, 1), &ipxe},
	{"ipxe-x64", "iPXE as an EFI program, x64", bootmenu.ArchX64UEFI, "PXEClient:Arch:00007:UNDI:003010", undi(3, 10), &ipxe},
	{"rpi4", "Raspberry Pi 4 or 5, boot EEPROM", bootmenu.ArchX86BIOS, "PXEClient:Arch:00000:UNDI:002001", undi(2, 1), &rpi4},
	{"uboot", "U-Boot for ARM64 that listens to ProxyDHCP (SERVERIP_FROM_PROXYDHCP)", bootmenu.ArchARM64UBoot, "U-Boot.armv8", undi(0, 0), &uboot},
}

// Architectures that bootmenu's table has without a name in Go.
const (
	archX64HTTP   bootmenu.Arch = 16
	archARM64HTTP bootmenu.Arch = 19
	archRISCV64   bootmenu.Arch = 27
)

// undi is option 94: the interface is UNDI of that version (RFC 4578 section
// 2.2).
func undi(major, minor byte) []byte { return []byte{1, major, minor} }

// Clients are those that can be played.
func Clients() []Client {
	var all []Client
	for _, c := range clients {
		all = append(all, *c)
	}
	return all
}

// ClientNames are the names of the clients.
func ClientNames() []string {
	var names []string
	for _, c := range clients {
		names = append(names, c.Name)
	}
	return names
}

// ParseClient finds a client by its name.
func ParseClient(name string) (*Client, error) {
	i := slices.IndexFunc(clients, func(c *Client) bool { return c.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown client %q, want one of %s", name, strings.Join(ClientNames(), ", "))
	}
	return clients[i], nil
}

// bootArch is the architecture whose programs a client starts: that which it
// names, by whatever protocol it fetches.
func (c player) bootArch() bootmenu.Arch {
	switch c.arch {
	case archX64HTTP:
		return bootmenu.ArchX64UEFI
	case archARM64HTTP, bootmenu.ArchARM64UBoot:
		return bootmenu.ArchARM64UEFI
	}
	return c.arch
}

// A plan is what a firmware makes of the OFFERs: a file to fetch, or boot servers
// to ask for one.
type plan struct {
	lease  *Offer
	boot   *Offer  // whose boot information it follows; nil if nobody has any
	visits []visit // boot servers to ask, one after the other until one answers
	target Target  // if there are none
	fault  *Finding
}

// seconds are pauses of so many seconds.
func seconds(n ...int) (pauses []time.Duration) {
	for _, s := range n {
		pauses = append(pauses, time.Duration(s)*time.Second)
	}
	return pauses
}

// firstOf is the first OFFER of that kind, or nil.
func firstOf(offers []*Offer, is func(*Offer) bool) *Offer {
	i := slices.IndexFunc(offers, is)
	if i < 0 {
		return nil
	}
	return offers[i]
}
