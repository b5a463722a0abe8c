//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"netbootd/internal/bench/load"
	"netbootd/internal/e2e/lab"
)

const dhcpPort = 67

// The relay has a link of its own with the servers: to pass a bridge would be
// counted as the servers' work.
const (
	relayPlace = lab.Place("relay")
	bootDevice = "eth1" // of the servers
)

var (
	relayNetwork = netip.MustParsePrefix("198.18.1.0/24")
	relayAddr    = netip.MustParseAddr("198.18.1.1")
	bootAddr     = netip.MustParseAddr("198.18.1.2")
)

// wireRelay makes the link.
func wireRelay(n *lab.Network) error {
	if err := n.AddRemotePlace(relayPlace); err != nil {
		return err
	}
	if err := n.Wire(lab.BootPlace, bootDevice, relayPlace, "eth0"); err != nil {
		return err
	}
	return errors.Join(
		n.IP(lab.BootPlace, fmt.Sprintf("addr add %s/%d dev %s", bootAddr, relayNetwork.Bits(), bootDevice)),
		n.IP(relayPlace, fmt.Sprintf("addr add %s/%d dev eth0", relayAddr, relayNetwork.Bits())))
}

// serversOf are those that can play a scenario.
func (b *bench) serversOf(s scenario) []server {
	if s.discover != nil {
		return b.boots
	}
	return b.servers
}

// makeBootServers are those of the servers that are ProxyDHCP servers too, set up
// for that: they answer every BIOS with the name of one file, and log each OFFER,
// as both do by default.
func makeBootServers(all []server, dir string) ([]server, error) {
	dir = filepath.Join(dir, "boot")
	config := filepath.Join(dir, "netbootd.toml")
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "profiles.d"), 0o755),
		os.MkdirAll(filepath.Join(dir, "images"), 0o755),
		os.WriteFile(config, []byte(bootConfig), 0o644),
		os.WriteFile(filepath.Join(dir, "images", bootFile), []byte("nobody fetches it"), 0o644),
		os.WriteFile(filepath.Join(dir, "profiles.d", "bios.toml"), []byte(bootProfile), 0o644))
	if err != nil {
		return nil, err
	}
	args := map[string][]string{
		netbootd: {"run", "--config", config},
		dnsmasq: {"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--pid-file=", "--user=nobody", "--port=0",
			"--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--interface=" + bootDevice,
			"--dhcp-range=" + relayNetwork.Addr().String() + ",proxy", "--pxe-service=x86PC,boot," + bootFile},
	}
	var list []server
	for _, s := range all {
		if a, ok := args[s.name]; ok {
			list = append(list, server{name: s.name, program: s.program, args: a, port: dhcpPort, isPeer: s.isPeer, ask: s.ask})
		}
	}
	return list, nil
}

const (
	bootFile    = "undionly.kpxe"
	bootProfile = "boot_file = \"" + bootFile + "\"\n[match]\nmac = [\"52:54:00:*\"]\n"
)

// bootConfig raises the limit of requests only: dnsmasq has none.
const bootConfig = `interfaces = ["` + bootDevice + `"]
profiles   = "profiles.d"
images     = "images"
state      = "state"
[dhcp]
relays       = ["198.18.1.0/24"]
max_requests = 1000000
[control]
socket = "control.sock"
`

// measureOffers has a server answer DISCOVERs, after one that does not count.
func (b *bench) measureOffers(ctx context.Context, p *program, job load.DiscoverJob) (measurement, error) {
	if r, err := b.discover(ctx, load.DiscoverJob{Clients: 1, InFlight: 1, Timeout: startBound}); err != nil || r.Failed() > 0 {
		return measurement{why: "no OFFER to the first DISCOVER"}, err
	}
	before, err := p.cpu()
	if err != nil {
		return measurement{}, err
	}
	r, err := b.discover(ctx, job)
	if err != nil {
		return measurement{}, err
	}
	after, err := p.cpu()
	if p.isGone() {
		return measurement{Result: *r, why: fmt.Sprintf("the server died, %d DISCOVERs got no OFFER", r.Failed())}, nil
	}
	return measurement{Result: *r, cpu: after - before}, err
}

func (b *bench) discover(ctx context.Context, job load.DiscoverJob) (r *load.Result, err error) {
	job.Server, job.Relay = bootAddr, relayAddr
	err = b.net.Do(relayPlace, func() (err error) {
		r, err = load.RunDiscover(ctx, job)
		return err
	})
	return r, err
}

// perOffer is what a measurement says of OFFERs; ok is false if it was about
// something else.
func (m measurement) perOffer(k metric) (x float64, ok bool) {
	n := float64(len(m.Times))
	switch {
	case n == 0 || m.Bytes > 0 || m.open > 0:
		return 0, false
	case k == offers:
		return n / m.Elapsed.Seconds(), true
	}
	return m.cpu.Seconds() / n, true
}

// offerLine is a measurement of OFFERs on one line.
func (m measurement) offerLine(cpu float64) string {
	rate, _ := offers.of(m)
	return fmt.Sprintf("%s OFFERs/s, %s CPU-us/OFFER, p99 %s", offers.number(value{rate, true}), offerCPU.number(value{cpu, true}),
		duration(value{m.Percentile(0.99).Seconds(), true}))
}

func (r *report) writeOffers(b *strings.Builder) {
	row(b, "server", offers.String(), offerCPU.String(), "p50", "p99", "longest", "lost", "generator busy")
	row(b, "---", "--:", "--:", "--:", "--:", "--:", "---", "--:")
	for _, s := range r.servers {
		row(b, s, offers.number(r.median(offers, s)), offerCPU.number(r.median(offerCPU, s)),
			duration(r.percentile(s, 0.5)), duration(r.percentile(s, 0.99)), duration(r.percentile(s, 1)),
			r.failures(s), number(r.busy(s), "%.2f"))
	}
}
