package daemon

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/dhcpproxy"
)

func TestInterfacesAreToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	h := slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "hint" {
			return slog.Attr{}
		}
		return a
	}})
	up := func(name string, addrs ...string) dhcpproxy.Interface {
		in := dhcpproxy.Interface{Name: name, Up: true}
		for _, a := range addrs {
			in.Addrs = append(in.Addrs, netip.MustParsePrefix(a))
		}
		return in
	}
	w := &interfaceWatch{logger: slog.New(h)}
	for _, step := range []struct {
		now  []dhcpproxy.Interface
		want string
	}{
		{[]dhcpproxy.Interface{up("eth0", "198.18.0.2/24"), up("docker0", "198.18.9.1/24")}, `level=INFO msg="serving interface" interface=eth0 addresses=[198.18.0.2/24]
level=INFO msg="not serving interface" interface=docker0 why="a bridge of containers or virtual machines"
`},
		{[]dhcpproxy.Interface{up("eth0", "198.18.0.2/24"), up("veth1")}, ""}, // what was never served is no news
		{[]dhcpproxy.Interface{up("eth0", "198.18.0.2/24", "198.18.1.2/24"), up("eth0.5", "198.18.5.2/24")}, `level=INFO msg="serving interface" interface=eth0 addresses="[198.18.0.2/24 198.18.1.2/24]"
level=INFO msg="serving interface" interface=eth0.5 addresses=[198.18.5.2/24]
`},
		{[]dhcpproxy.Interface{up("eth0")}, `level=INFO msg="not serving interface any more" interface=eth0 why="without an IPv4 address"
level=INFO msg="not serving interface any more" interface=eth0.5 why=gone
level=WARN msg="no interface is served: no machine is answered"
`},
		{nil, ""},
		{[]dhcpproxy.Interface{up("eth0", "198.18.0.2/24")}, "level=INFO msg=\"serving interface\" interface=eth0 addresses=[198.18.0.2/24]\n"},
	} {
		lines.Reset()
		w.tell(step.now)
		if diff := cmp.Diff(step.want, lines.String()); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	}
}
