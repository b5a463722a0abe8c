package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

// forMAC is a version of a profile for one machine; kernel tells versions apart.
func forMAC(t *testing.T, name, mac, kernel string) *bootmenu.Profile {
	t.Helper()
	p, err := bootmenu.ParseMACPattern(mac)
	if err != nil {
		t.Fatal(err)
	}
	return &bootmenu.Profile{Name: name, Title: name, Match: &bootmenu.Match{MAC: []bootmenu.Pattern{p}}, Boot: bootmenu.Boot{Kernel: kernel}}
}

// TestOfTwoProfilesForOneMachineTheGoodOneStays says of each profile of a plan which
// version is in force afterwards, and who it is refused for.
func TestOfTwoProfilesForOneMachineTheGoodOneStays(t *testing.T) {
	t.Parallel()
	const one, two, three = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
	for name, c := range map[string]struct {
		inForce []*bootmenu.Profile
		plan    []*bootmenu.Profile
		broken  []string
		want    map[string]string // kernel, and the number of problems as so many !
	}{
		"at the start the first by name": {
			nil, []*bootmenu.Profile{forMAC(t, "b", one, "new"), forMAC(t, "a", one, "new"), forMAC(t, "c", one, "new")}, nil,
			map[string]string{"a": "new", "b": "!", "c": "!"},
		},
		"a new one gives way": {
			[]*bootmenu.Profile{forMAC(t, "b", one, "old")}, []*bootmenu.Profile{forMAC(t, "a", one, "new"), forMAC(t, "b", one, "old")}, nil,
			map[string]string{"a": "!", "b": "old"},
		},
		"a changed one gives way and stays what it was": {
			[]*bootmenu.Profile{forMAC(t, "a", two, "old"), forMAC(t, "b", one, "old")}, []*bootmenu.Profile{forMAC(t, "a", one, "new"), forMAC(t, "b", one, "old")}, nil,
			map[string]string{"a": "old!", "b": "old"},
		},
		"two that change places": {
			[]*bootmenu.Profile{forMAC(t, "a", one, "old"), forMAC(t, "b", two, "old")}, []*bootmenu.Profile{forMAC(t, "a", two, "new"), forMAC(t, "b", one, "new")}, nil,
			map[string]string{"a": "new", "b": "new"},
		},
		"the last good version of a broken file stands above a new one": {
			[]*bootmenu.Profile{forMAC(t, "z", one, "old")}, []*bootmenu.Profile{forMAC(t, "a", one, "new")}, []string{"z"},
			map[string]string{"a": "!", "z": "old!"},
		},
		"what a refused one was is in the way of another": {
			[]*bootmenu.Profile{forMAC(t, "a", one, "old"), forMAC(t, "b", two, "old"), forMAC(t, "c", three, "old")},
			[]*bootmenu.Profile{forMAC(t, "a", three, "new"), forMAC(t, "b", three, "new"), forMAC(t, "c", two, "new")}, nil,
			map[string]string{"a": "new", "b": "!!", "c": "new"},
		},
	} {
		plan := Plan{Profiles: c.plan, Broken: map[string][]string{}, Dir: "profiles.d"}
		for _, name := range c.broken {
			plan.Broken[name] = []string{"not TOML"}
		}
		inForce := make(map[string]*bootmenu.Profile)
		for _, p := range c.inForce {
			inForce[p.Name] = p
		}
		got := make(map[string]string)
		for name, p := range plan.settle(inForce) {
			if p.Profile != nil {
				got[name] = p.Boot.Kernel
			}
			for range p.problems {
				got[name] += "!"
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestARefusedProfileNamesBothFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, forMAC(t, "a", "02:00:00:00:00:01", "linux"), forMAC(t, "b", "02:00:00:00:00:01", "linux"))
	f.plan.Dir = "profiles.d"
	f.opts.Settings.Menu.Default = "a"
	f.start()
	want := []string{
		`default of the menu: profile "a" has [match], so it is not in the menu`,
		"profiles.d/b.toml: matches some machines as narrowly as profiles.d/a.toml does, with the same priority, such as one with mac 02:00:00:00:00:01, arch x64-uefi; give one of them a higher priority, or a narrower [match]",
	}
	s := f.status()
	if diff := cmp.Diff(want, s.LastReload.Problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p := s.Profiles[1]; p.Name != "b" || p.State != "broken" || len(p.Problems) != 1 {
		t.Errorf("got %+v", p)
	}
}
