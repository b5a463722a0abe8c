package dhcpproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// groups is a groupConn that notes what it is told, and refuses eth9.
type groups struct{ told []string }

func (g *groups) join(group netip.Addr, ifindex int) error {
	g.told = append(g.told, fmt.Sprintf("join %s on %d", group, ifindex))
	if ifindex == 9 {
		return errors.New("no buffer space available")
	}
	return nil
}

func (g *groups) leave(group netip.Addr, ifindex int) error {
	g.told = append(g.told, fmt.Sprintf("leave %s on %d", group, ifindex))
	return nil
}

func TestMembershipFollowsTheInterfaces(t *testing.T) {
	t.Parallel()
	var g groups
	m := &membership{conn: &g, on: make(map[int]bool)}
	up := func(index int) Interface {
		return Interface{Name: fmt.Sprintf("eth%d", index), Index: index, Up: true, Addrs: prefixes("198.18.0.2/24")}
	}
	down := up(2)
	down.Up = false
	for _, step := range []struct {
		name string
		now  []Interface
		told []string
		err  string
	}{
		{"at the start", []Interface{up(1), up(2)}, []string{"join 224.0.1.2 on 1", "join 224.0.1.2 on 2"}, ""},
		{"no news", []Interface{up(1), up(2)}, nil, ""},
		{"one is down, another comes", []Interface{up(1), down, up(3)}, []string{"join 224.0.1.2 on 3", "leave 224.0.1.2 on 2"}, ""},
		{"up again", []Interface{up(1), up(2), up(3)}, []string{"join 224.0.1.2 on 2"}, ""},
		{"two are gone", []Interface{up(1)}, []string{"leave 224.0.1.2 on 2", "leave 224.0.1.2 on 3"}, ""},
		{"one too many", []Interface{up(1), up(9)}, []string{"join 224.0.1.2 on 9"}, "eth9: join multicast group 224.0.1.2: no buffer space"},
		{"told once", []Interface{up(1), up(9)}, nil, ""},
	} {
		g.told = nil
		err := m.follow(newHost(step.now, Policy{}))
		if slices.Sort(g.told); cmp.Diff(step.told, g.told) != "" {
			t.Errorf("%s: %q, want %q", step.name, g.told, step.told)
		}
		if (err != nil) != (step.err != "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("%s: %v, want %q", step.name, err, step.err)
		}
	}
}
