package tftp

import (
	"net"
	"net/netip"
	"testing"
)

func TestLinkLocalAddressIsReportedByItsInterface(t *testing.T) {
	t.Parallel()
	lo, err := net.InterfaceByIndex(1) // the loopback interface, in every network namespace
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"[fe80::1%1]:69":     "[fe80::1%" + lo.Name + "]:69",
		"[fe80::1%eth0]:69":  "[fe80::1%eth0]:69",
		"[fe80::1%65535]:69": "[fe80::1%65535]:69", // it is gone
		"192.0.2.1:69":       "192.0.2.1:69",
	} {
		if got := named(netip.MustParseAddrPort(from)); got.String() != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
}

func TestAcceptableDatagrams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from, to string
		want           bool
	}{
		{"IPv4", "192.0.2.9:1024", "192.0.2.1:69", true},
		{"IPv6", "[2001:db8::9]:1024", "[2001:db8::1]:69", true},
		{"the system does not tell the address asked", "192.0.2.9:1024", "0.0.0.0:69", true},
		{"another server's port", "192.0.2.9:69", "192.0.2.1:69", false},
		{"port 0", "192.0.2.9:0", "192.0.2.1:69", false},
		{"no address", "0.0.0.0:1024", "192.0.2.1:69", false},
		{"from everyone", "255.255.255.255:1024", "192.0.2.1:69", false},
		{"from a group", "224.0.0.1:1024", "192.0.2.1:69", false},
		{"from an IPv6 group", "[ff02::1]:1024", "[2001:db8::1]:69", false},
		{"to everyone", "192.0.2.9:1024", "255.255.255.255:69", false},
		{"to an IPv6 group", "[2001:db8::9]:1024", "[ff02::1]:69", false},
	} {
		d := datagram{from: netip.MustParseAddrPort(c.from), to: netip.MustParseAddrPort(c.to)}
		if got := d.isAcceptable(); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
