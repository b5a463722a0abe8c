//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A SiteServer is a DHCP server product that the site uses. All lease
// 198.18.0.50 to 198.18.0.150 and know nothing of network boot.
type SiteServer string

// The site servers. They differ in what firmware finds in siaddr.
const (
	// Dnsmasq puts its own address into siaddr.
	Dnsmasq SiteServer = "dnsmasq"
	// Udhcpd leaves siaddr 0.0.0.0.
	Udhcpd SiteServer = "udhcpd"
)

const (
	firstLease = "198.18.0.50"
	lastLease  = "198.18.0.150"
	siteIPv6   = "2001:2::1/64"
	dhcpPort   = 67
)

// A Site is the running DHCP server of the site and its IPv6 router.
type Site struct {
	// DHCP is the process that leases addresses.
	DHCP *Process
}

// StartSite starts the site's DHCP server and returns when it listens. A
// router advertisement daemon runs with it: without an IPv6 router iPXE waits
// 16 to 19 seconds before it asks for its file. onLine, if not nil, is called
// with each line the server logs.
func (n *Network) StartSite(ctx context.Context, kind SiteServer, onLine func(string)) (*Site, error) {
	if err := n.IP(SitePlace, "addr add "+siteIPv6+" dev eth0 nodad"); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", n.name+"-site-")
	if err != nil {
		return nil, err
	}
	server, err := n.startServers(kind, dir, onLine)
	if err != nil {
		return nil, err
	}
	err = server.Guard(ctx, func(ctx context.Context) error {
		return n.WaitUDP(ctx, SitePlace, dhcpPort, true)
	})
	if err != nil {
		return nil, fmt.Errorf("the site's DHCP server is not ready: %w\n%s", err, server.Output())
	}
	return &Site{DHCP: server}, nil
}

// startServers starts what the site runs and returns its DHCP server.
func (n *Network) startServers(kind SiteServer, dir string, onLine func(string)) (*Process, error) {
	switch kind {
	case Dnsmasq:
		return n.startDnsmasq(dir, onLine, "--dhcp-authoritative",
			"--dhcp-range="+firstLease+","+lastLease+",255.255.255.0,1h",
			// It pings an address for three seconds before it offers it.
			"--no-ping")
	case Udhcpd:
		if _, err := n.startDnsmasq(dir, nil); err != nil {
			return nil, err
		}
		return n.startUdhcpd(dir, onLine)
	}
	return nil, fmt.Errorf("unknown site server %q", kind)
}

// startDnsmasq starts dnsmasq as router advertiser, and as whatever more the
// arguments say.
func (n *Network) startDnsmasq(dir string, onLine func(string), args ...string) (*Process, error) {
	args = append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-",
		"--user=root", "--pid-file=", "--dhcp-leasefile=" + filepath.Join(dir, "dnsmasq.leases"),
		"--port=0", // no DNS
		"--interface=eth0", "--enable-ra", "--dhcp-range=2001:2::,ra-only,64",
	}, args...)
	return n.startLogged("dnsmasq", onLine, args...)
}

func (n *Network) startUdhcpd(dir string, onLine func(string)) (*Process, error) {
	leases := filepath.Join(dir, "udhcpd.leases")
	config := filepath.Join(dir, "udhcpd.conf")
	text := fmt.Sprintf("start %s\nend %s\ninterface eth0\nlease_file %s\npidfile %s\noption subnet 255.255.255.0\noption lease 3600\n",
		firstLease, lastLease, leases, filepath.Join(dir, "udhcpd.pid"))
	err := errors.Join(os.WriteFile(leases, nil, 0o600), os.WriteFile(config, []byte(text), 0o600))
	if err != nil {
		return nil, err
	}
	// -a: it asks by ARP for two seconds before it offers an address.
	return n.startLogged("busybox", onLine, "udhcpd", "-f", "-a", "100", config)
}

// startLogged starts a program at the site that logs to its standard error.
func (n *Network) startLogged(name string, onLine func(string), args ...string) (*Process, error) {
	cmd := n.Command(context.Background(), SitePlace, name, args...)
	return n.StartCommand(cmd, Options{Name: name, OnStderr: onLine})
}
