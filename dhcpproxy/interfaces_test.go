package dhcpproxy

import (
	"errors"
	"net/netip"
	"testing"
	"time"

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

func TestHostTableNoticesChanges(t *testing.T) {
	t.Parallel()
	reads := 0
	now := []Interface{{Name: "eth0", Index: 2}}
	var fails error
	table := newHostTable(func() ([]Interface, error) { reads++; return now, fails })
	start := time.Unix(1e9, 0)
	get := func(index int, after time.Duration) (string, bool) {
		in, ok := table.interfaceOf(index, start.Add(after))
		return in.Name, ok
	}
	if name, ok := get(2, 0); !ok || name != "eth0" || reads != 1 {
		t.Errorf("first: %q, %v, %d reads", name, ok, reads)
	}
	if get(2, tableAge/2); reads != 1 {
		t.Errorf("a young table was read again")
	}
	now = []Interface{{Name: "eth0.5", Index: 3}}
	if name, ok := get(3, tableAge/2); !ok || name != "eth0.5" {
		t.Errorf("new interface: %q, %v", name, ok)
	}
	if _, ok := get(2, 2*tableAge); ok {
		t.Error("an interface that is gone was found")
	}
	fails = errors.New("no memory")
	if name, ok := get(3, 9*tableAge); !ok || name != "eth0.5" {
		t.Errorf("unreadable table: %q, %v, want the old one", name, ok)
	}
}
