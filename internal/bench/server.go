//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Names of the servers.
const (
	netbootd = "netbootd"
	hpa      = "tftpd-hpa"
	atftpd   = "atftpd"
	dnsmasq  = "dnsmasq"
	pin      = "pin/tftp"
)

// serverNames are all of them, in the order of the tables.
var serverNames = []string{netbootd, hpa, atftpd, dnsmasq, pin}

// address is where every server listens, each in its turn.
var address = netip.MustParseAddrPort("127.0.0.1:69")

// A server is a program that is measured, with the settings that its
// documentation recommends for many clients. All but netbootd and the library
// run as an unprivileged user, as Debian sets them up.
type server struct {
	name    string
	program string
	args    []string
	port    uint16 // UDP, bound when it is ready; 0 means that of address
	// isPeer: it may be the best peer. A library is none.
	isPeer bool
	// holds is how many open transfers it can hold; 0 means any number.
	holds int
	// ask makes the program print its version.
	ask string
}

// makeServers writes what the servers need into dir. They serve dir/files.
func makeServers(o options, dir string) ([]server, error) {
	files := filepath.Join(dir, "files")
	config := filepath.Join(dir, "netbootd.toml")
	if err := os.WriteFile(config, []byte(netbootdConfig), 0o644); err != nil {
		return nil, err
	}
	list := []server{
		{name: netbootd, program: o.netbootd, args: []string{"run", "--config", config}, ask: "version"},
		{name: hpa, program: filepath.Join(o.packages, "tftpd-hpa/usr/sbin/in.tftpd"), isPeer: true, ask: "--version",
			// A process for each transfer: more of them say nothing more about one.
			holds: 1000,
			args:  []string{"--foreground", "--user", "nobody", "--address", address.String(), "--secure", files}},
		{name: atftpd, program: filepath.Join(o.packages, "atftpd/usr/sbin/atftpd"), isPeer: true, ask: "--version",
			holds: 400, // it dies at descriptor 1024, and has two for each transfer
			args: []string{"--daemon", "--no-fork", "--user", "nobody", "--group", "nogroup", "--no-multicast",
				"--retry-timeout", "1", "--maxthread", "20000",
				"--bind-address", address.Addr().String(), "--port", fmt.Sprint(address.Port()), files}},
		{name: dnsmasq, program: dnsmasq, isPeer: true, ask: "--version",
			args: []string{"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--pid-file=", "--user=nobody",
				"--port=0", "--enable-tftp", "--tftp-root=" + files, "--tftp-max=20000", "--listen-address=" + address.Addr().String()}},
		{name: pin, program: o.pinserver, args: []string{address.String(), files}},
	}
	list, err := pick(list, func(s server) string { return s.name }, o.servers)
	if err != nil {
		return nil, err
	}
	for i := range list {
		path, err := exec.LookPath(list[i].program)
		if err != nil {
			return nil, fmt.Errorf("%s is not here: %w; \"make bench\" fetches and builds what is measured", list[i].name, err)
		}
		if list[i].program, err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// netbootdConfig raises the limits on transfers only. All clients share one
// address here.
const netbootdConfig = `profiles = "profiles.d"
images   = "files"
state    = "state"
[dhcp]
enabled = false
[tftp]
listen                   = "127.0.0.1:69"
always                   = true
max_transfers            = 20000
max_transfers_per_client = 20000
[control]
socket = "control.sock"
`

var versionNumber = regexp.MustCompile(`\d+\.\d[\w.]*`)

// version is what the program says of itself, as short as it can be told.
func (s server) version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, s.program, s.ask).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if s.name == netbootd && err == nil {
		return strings.TrimSpace(line)
	}
	if v := versionNumber.FindString(line); v != "" {
		return s.name + " " + v
	}
	if err != nil {
		return s.name + " (version unknown)"
	}
	return strings.TrimSpace(line)
}
