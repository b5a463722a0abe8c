package dhcpproxy

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyChoosesInterfaces(t *testing.T) {
	t.Parallel()
	addr := []netip.Prefix{netip.MustParsePrefix("198.18.0.2/24")}
	host := []Interface{
		{Name: "lo", Up: true, Loopback: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
		{Name: "eth0", Up: true, Addrs: addr},
		{Name: "eth1", Addrs: addr},
		{Name: "eth2", Up: true},
		{Name: "docker0", Up: true, Addrs: addr},
		{Name: "br-0123456789ab", Up: true, Addrs: addr},
		{Name: "br-lab", Up: true, Addrs: addr},
		{Name: "virbr1", Up: true, Addrs: addr},
	}
	for name, c := range map[string]struct {
		policy  Policy
		served  []string
		refused map[string]string
	}{
		"by itself": {Policy{}, []string{"eth0", "br-lab"}, map[string]string{
			"lo": "loopback", "eth1": "down", "eth2": "without an IPv4 address",
			"docker0":         "a bridge of containers or virtual machines",
			"br-0123456789ab": "a bridge of containers or virtual machines",
			"virbr1":          "a bridge of containers or virtual machines",
		}},
		"by name, a bridge too": {Policy{Names: []string{"docker0", "eth1", "eth2", "eth9"}}, []string{"docker0"}, map[string]string{
			"lo": "not in the list of interfaces", "eth0": "not in the list of interfaces", "br-0123456789ab": "not in the list of interfaces",
			"br-lab": "not in the list of interfaces", "virbr1": "not in the list of interfaces",
			"eth1": "down", "eth2": "without an IPv4 address", "eth9": "missing",
		}},
	} {
		served, refused := c.policy.Choose(host)
		var names []string
		for _, in := range served {
			names = append(names, in.Name)
		}
		why := make(map[string]string)
		for _, r := range refused {
			why[r.Name] = r.Why
		}
		if diff := cmp.Diff(c.served, names); diff != "" {
			t.Errorf("%s: served (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.refused, why); diff != "" {
			t.Errorf("%s: refused (-want +got):\n%s", name, diff)
		}
	}
}

// prefixes are those of an interface.
func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestReplyNamesAnAddressThatTheClientReaches(t *testing.T) {
	t.Parallel()
	h := newHost([]Interface{
		{Name: "lo", Index: 1, Up: true, Loopback: true, Addrs: prefixes("127.0.0.1/8", "198.19.0.1/32")},
		{Name: "eth1", Index: 7, Up: true, Addrs: prefixes("169.254.7.7/16", "198.18.0.2/24", "198.18.9.2/24")},
		{Name: "eth2", Index: 8, Up: true, Addrs: prefixes("198.18.8.2/24")},
		{Name: "eth3", Index: 9, Up: true, Addrs: prefixes("169.254.9.9/16")},
		{Name: "eth4", Index: 10, Up: true, Addrs: prefixes("127.0.0.5/8")},
	}, Policy{})
	for name, c := range map[string]struct {
		ifindex     int
		destination string
		client      string // "" for none
		want        string // "" for none
	}{
		"a broadcast names the first address":             {7, "255.255.255.255", "", "198.18.0.2"},
		"a client of the second subnet":                   {7, "255.255.255.255", "198.18.9.50", "198.18.9.2"},
		"a link-local address if there is no other":       {9, "255.255.255.255", "", "169.254.9.9"},
		"a unicast names the address that was asked":      {7, "198.18.9.2", "198.18.0.50", "198.18.9.2"},
		"a relay that asks by another interface's":        {7, "198.18.8.2", "198.18.77.1", "198.18.8.2"},
		"an address of the loopback interface is no loop": {7, "198.19.0.1", "198.18.77.1", "198.19.0.1"},
		"never 127.0.0.1":                                 {7, "127.0.0.1", "", "198.18.0.2"},
		"only a loopback address":                         {10, "255.255.255.255", "", ""},
	} {
		p := packet{ifindex: c.ifindex, destination: netip.MustParseAddr(c.destination)}
		in, why := h.ingress(PortDHCP, p)
		if why != "" {
			t.Errorf("%s: %s", name, why)
			continue
		}
		var client netip.Addr
		if c.client != "" {
			client = netip.MustParseAddr(c.client)
		}
		addr, ok := in.serverAddr(client)
		if ok != (c.want != "") || ok && addr.String() != c.want {
			t.Errorf("%s: %v, want %q", name, addr, c.want)
		}
	}
}

func TestReplyLeavesByTheLinkOfTheClient(t *testing.T) {
	t.Parallel()
	in := Ingress{Interface: testIface}
	for to, want := range map[string]int{
		"255.255.255.255": 7,
		"198.18.0.50":     7,
		"198.18.9.50":     7,
		"198.18.77.1":     0, // by the routing table
	} {
		if got := in.replyVia(netip.MustParseAddr(to)); got != want {
			t.Errorf("to %s: interface %d, want %d", to, got, want)
		}
	}
}

func TestHostReceivesWhatTheKernelWouldHandIt(t *testing.T) {
	t.Parallel()
	h := newHost([]Interface{
		{Name: "eth1", Index: 7, Up: true, Addrs: prefixes("198.18.0.2/25", "198.18.9.2/31")},
		{Name: "eth2", Index: 8, Up: true, Addrs: prefixes("198.18.8.2/24")},
	}, Policy{})
	for to, want := range map[string]bool{
		"255.255.255.255": true,
		"198.18.0.2":      true,
		"198.18.0.127":    true,  // broadcast address of eth1
		"198.18.8.2":      true,  // of another interface
		"198.18.8.255":    false, // broadcast address of another interface
		"198.18.9.3":      false, // the peer of a link of two
		"198.18.0.3":      false,
		"0.0.0.0":         false,
	} {
		if got := h.receives(packet{ifindex: 7, destination: netip.MustParseAddr(to)}); got != want {
			t.Errorf("%s: %t, want %t", to, got, want)
		}
	}
}
