//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netbootd/internal/e2e/lab"
)

// hintLine is what follows an error: what to do next.
var hintLine = regexp.MustCompile(`(?m)^hint: \S`)

func TestTakenPortNamesItsHolder(t *testing.T) {
	// dnsmasq is the most likely holder of each on a lab's server. For 4011 its
	// DHCP ports are moved away, so that only that one collides. Port 67 may have
	// another holder; see TestTheOtherServerKeepsItsRenewals.
	cases := []struct {
		port uint16
		args []string
	}{
		{69, []string{"--enable-tftp", "--tftp-root=/"}},
		{4011, []string{"--dhcp-alternate-port", "--dhcp-range=198.18.0.0,proxy", "--pxe-service=x86PC,x,x"}},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("UDP port %d", tc.port), func(t *testing.T) {
			need(t, "dnsmasq")
			ctx, n := newNetwork(t)
			s := newServer(t, n, map[string]string{"pxe": pxeProfile})
			args := append([]string{"--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root",
				"--pid-file=", "--port=0", "--dhcp-leasefile=" + filepath.Join(s.dir, "leases")}, tc.args...)
			holder, err := n.Start(lab.BootPlace, "dnsmasq", args...)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.WaitUDP(ctx, lab.BootPlace, tc.port, true); err != nil {
				t.Fatalf("%v\n%s", err, holder.Output())
			}
			text := startMustFail(ctx, t, s)
			message := regexp.MustCompile(fmt.Sprintf(`:%d\b.*\bdnsmasq\b.*\b%d\b`, tc.port, holder.PID()))
			if !message.MatchString(text) {
				t.Errorf("no line names port %d and dnsmasq with PID %d in:\n%s", tc.port, holder.PID(), text)
			}
		})
	}
}

func TestUnusableInterfaceIsNamed(t *testing.T) {
	cases := []struct {
		name    string
		change  string // line of the ip command before netbootd starts
		iface   string
		message *regexp.Regexp
	}{
		{"missing", "", "eth7", regexp.MustCompile(`eth7.*(no such|does not exist|not found|missing|unknown|no interface)|(no|unknown) (such )?interface.*eth7`)},
		{"down", "link set eth0 down", "eth0", regexp.MustCompile(`eth0.*\bdown\b`)},
		{"without an IPv4 address", "addr flush dev eth0", "eth0", regexp.MustCompile(`eth0.*\bno IPv4 address|eth0.*without an IPv4 address`)},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			ctx, n := newNetwork(t)
			s := newServer(t, n, map[string]string{"pxe": pxeProfile})
			s.configure(t, tc.iface)
			if tc.change != "" {
				if err := n.IP(lab.BootPlace, tc.change); err != nil {
					t.Fatal(err)
				}
			}
			if text := startMustFail(ctx, t, s); !tc.message.MatchString(text) {
				t.Errorf("no line like %q in:\n%s", tc.message, text)
			}
		})
	}
}

// startMustFail runs netbootd, which must end by itself with an error and a
// hint, and returns what it said.
func startMustFail(ctx context.Context, t *testing.T, s *server) string {
	t.Helper()
	writeFile(t, filepath.Join(s.images, "hello.ipxe"), "#!ipxe\n")
	s.launch(t)
	if err := s.waitReady(ctx); err == nil {
		t.Fatal("netbootd says that it is ready")
	}
	code, err := s.proc.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code == 0 || code > 4 {
		t.Errorf("exit code is %d, want one of an error", code)
	}
	text := strings.Join(s.proc.Stderr.Lines(), "\n")
	if !hintLine.MatchString(text) {
		t.Errorf("there is no line with a hint in:\n%s", text)
	}
	return text
}
