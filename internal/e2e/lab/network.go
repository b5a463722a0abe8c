//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A Place is where on a Network something runs. Each has its own network
// namespace with one interface, eth0, on the common bridge.
type Place string

// The places of every Network.
const (
	// SitePlace holds the site's DHCP server, at SiteAddr.
	SitePlace Place = "site"
	// BootPlace holds the server under test, at BootAddr.
	BootPlace Place = "boot"
	// ClientPlace holds TFTP and DHCP clients, at ClientAddr.
	ClientPlace Place = "client"
)

// Addresses of the places, all in Subnet.
var (
	Subnet     = netip.MustParsePrefix("198.18.0.0/24")
	SiteAddr   = netip.MustParseAddr("198.18.0.1")
	BootAddr   = netip.MustParseAddr("198.18.0.2")
	ClientAddr = netip.MustParseAddr("198.18.0.3")
)

// maxName keeps "NAME-client" within the kernel's 15 bytes for an interface.
const maxName = 8

// A Network is one Ethernet segment with its places. Several can exist at a
// time, with the same addresses; nothing passes between them.
type Network struct {
	name string

	mu    sync.Mutex // guards what follows
	procs []*Process
	pcs   int
	added []Place
	alone []Place // places that are not on the bridge
}

// NewNetwork makes a network; name (1 to 8 letters and digits) tells it from
// others and appears in the names of interfaces. The program must be in the
// lab ([Enter]).
func NewNetwork(ctx context.Context, name string) (*Network, error) {
	if len(name) < 1 || len(name) > maxName {
		return nil, fmt.Errorf("network name %q: want 1 to %d letters", name, maxName)
	}
	n := &Network{name: name}
	// Without spanning tree and its delay the bridge forwards at once, as
	// firmware expects; without snooping it floods IPv6 multicast, so that
	// router advertisements need no querier.
	err := ipBatch("",
		"link add name "+n.bridge()+" type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"link set "+n.bridge()+" up")
	if err != nil {
		return nil, err
	}
	places := []struct {
		place Place
		addr  netip.Addr
	}{{SitePlace, SiteAddr}, {BootPlace, BootAddr}, {ClientPlace, ClientAddr}}
	for _, p := range places {
		if err := n.AddPlace(p.place, p.addr); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, ctx.Err()
}

// AddPlace adds a place with an address in Subnet, for example a second client.
func (n *Network) AddPlace(place Place, addr netip.Addr) error {
	ns, port := n.namespace(place), n.namespace(place)
	if err := ipBatch("", "netns add "+ns,
		"link add "+port+" type veth peer name eth0 netns "+ns,
		"link set "+port+" master "+n.bridge()+" up"); err != nil {
		return err
	}
	n.mu.Lock()
	n.added = append(n.added, place)
	n.mu.Unlock()
	// Duplicate address detection would keep IPv6 addresses unusable for a
	// second or two; here nobody else can have them.
	err := n.Do(place, func() error {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_dad", []byte("0"), 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a kernel without IPv6
		}
		return err
	})
	if err != nil {
		return err
	}
	return ipBatch(ns, "link set lo up",
		fmt.Sprintf("addr add %s/%d broadcast + dev eth0", addr, Subnet.Bits()),
		"link set eth0 up")
}

// AddRemotePlace adds a place that is not on the bridge and has no interface yet.
func (n *Network) AddRemotePlace(place Place) error {
	ns := n.namespace(place)
	if err := ipBatch("", "netns add "+ns); err != nil {
		return err
	}
	n.mu.Lock()
	n.alone = append(n.alone, place)
	n.mu.Unlock()
	return ipBatch(ns, "link set lo up")
}

// Wire connects two places by a link of their own, with an interface named devA
// at a and devB at b. Both are up and have no address.
func (n *Network) Wire(a Place, devA string, b Place, devB string) error {
	return errors.Join(
		ipBatch("", fmt.Sprintf("link add %s netns %s type veth peer name %s netns %s", devA, n.namespace(a), devB, n.namespace(b))),
		ipBatch(n.namespace(a), "link set "+devA+" up"),
		ipBatch(n.namespace(b), "link set "+devB+" up"))
}

// IP runs lines of the ip command at a place, for tests that change its
// interfaces ("link set eth0 down").
func (n *Network) IP(at Place, lines ...string) error {
	return ipBatch(n.namespace(at), lines...)
}

// Do runs f on a thread of its own at a place: sockets it opens are there.
func (n *Network) Do(at Place, f func() error) error {
	return inNamespace(n.namespace(at), f)
}

// Command is exec.CommandContext for a program at a place. The process that
// runs is the program itself, under its own name and PID.
func (n *Network) Command(ctx context.Context, at Place, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.namespace(at), name}, args...)...)
	cmd.WaitDelay = stopGrace
	return cmd
}

// Start runs a program at a place until it ends or the network is closed.
func (n *Network) Start(at Place, name string, args ...string) (*Process, error) {
	return n.StartCommand(n.Command(context.Background(), at, name, args...), Options{Name: name})
}

// StartCommand starts cmd, made by Command, until it ends or the network is
// closed.
func (n *Network) StartCommand(cmd *exec.Cmd, o Options) (*Process, error) {
	p, err := startProcess(cmd, o)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.procs = append(n.procs, p)
	n.mu.Unlock()
	return p, nil
}

// Close stops all programs of the network, the last started first, and removes
// its interfaces. A lab that ends needs no Close; it makes room between cases.
func (n *Network) Close() error {
	n.mu.Lock()
	procs, places, alone := n.procs, n.added, n.alone
	n.procs, n.added, n.alone = nil, nil, nil
	n.mu.Unlock()
	for i := len(procs) - 1; i >= 0; i-- {
		procs[i].Stop()
	}
	var errs []error
	for _, p := range places {
		errs = append(errs, ipBatch("", "link del "+n.namespace(p), "netns del "+n.namespace(p)))
	}
	for _, p := range alone {
		errs = append(errs, ipBatch("", "netns del "+n.namespace(p)))
	}
	return errors.Join(append(errs, ipBatch("", "link del "+n.bridge()))...)
}

func (n *Network) bridge() string { return n.name + "-br" }

// namespace names a place's namespace, and also the bridge's end of its link.
func (n *Network) namespace(p Place) string { return n.name + "-" + string(p) }

// stopGrace is how long a program may take to end after SIGTERM.
const stopGrace = 5 * time.Second
