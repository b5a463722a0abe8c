package bootmenu

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// ties tells whether the name alone would decide between two profiles for m.
func ties(a, b *Profile, m Machine) bool {
	x, ok1 := a.Match.match(tellOf(m))
	y, ok2 := b.Match.match(tellOf(m))
	return ok1 && ok2 && x == y && a.Priority == b.Priority && a.BootFor(m).Bootable(m.Arch) && b.BootFor(m).Bootable(m.Arch)
}

// TestConflictsAreAllTiesAndNothingElse compares with a look at many machines:
// whatever two profiles tie for is reported, and what is reported comes with a
// machine that they do tie for.
func TestConflictsAreAllTiesAndNothingElse(t *testing.T) {
	t.Parallel()
	c := chance{rand.New(rand.NewPCG(3, 4))}
	reported := 0
	for range 5000 {
		a, b := c.profile("a"), c.profile("b")
		if c.IntN(2) == 0 {
			c.liken(b, a)
		}
		conflicts := Conflicts([]*Profile{a, b})
		if len(conflicts) == 1 {
			reported++
			if m := conflicts[0].Machine; m == nil || !ties(a, b, *m) {
				t.Fatalf("%s, %s: reported with %+v, for which they do not tie", a.Match, b.Match, m)
			}
			continue
		}
		for range 50 {
			if m := c.machine(); ties(a, b, m) {
				t.Fatalf("%s, %s: not reported, and tie for %+v", a.Match, b.Match, m)
			}
		}
	}
	if reported < 500 || reported > 4000 {
		t.Errorf("%d of 5000 pairs are reported, so the test says little", reported)
	}
}

// TestProfilesWithoutConflictsNeedNoNames makes plans of many profiles, takes away
// those that are refused, and looks for ties between the others.
func TestProfilesWithoutConflictsNeedNoNames(t *testing.T) {
	t.Parallel()
	c := chance{rand.New(rand.NewPCG(5, 6))}
	for range 20 {
		var profiles []*Profile
		for i := range 40 {
			profiles = append(profiles, c.profile(fmt.Sprintf("p%02d", i)))
		}
		refused := make(map[string]bool)
		for _, conflict := range Conflicts(profiles) {
			refused[conflict.Refused] = true
			if refused[conflict.Kept] || conflict.Kept > conflict.Refused {
				t.Errorf("%s is refused for %s, which is refused itself or comes later", conflict.Refused, conflict.Kept)
			}
		}
		kept := slices.DeleteFunc(profiles, func(p *Profile) bool { return refused[p.Name] })
		for range 100 {
			m := c.machine()
			for i, a := range kept {
				for _, b := range kept[i+1:] {
					if ties(a, b, m) {
						t.Fatalf("%s %s and %s %s are kept, and tie for %+v", a.Name, a.Match, b.Name, b.Match, m)
					}
				}
			}
		}
	}
}

func TestConflictsInWords(t *testing.T) {
	t.Parallel()
	subnets := func(texts ...string) (list []netip.Prefix) {
		for _, s := range texts {
			list = append(list, netip.MustParsePrefix(s))
		}
		return list
	}
	for name, c := range map[string]struct {
		a, b Match
		want string // how the words end; empty: no conflict
	}{
		"all":                               {Match{All: true}, Match{All: true}, "such as one with arch x64-uefi"},
		"one MAC address":                   {Match{MAC: macs(t, "52:54:00:12:34:56")}, Match{MAC: macs(t, "52:54:00:12:34:56")}, "with mac 52:54:00:12:34:56, arch x64-uefi"},
		"two MAC addresses":                 {Match{MAC: macs(t, "52:54:00:12:34:56")}, Match{MAC: macs(t, "52:54:00:12:34:57")}, ""},
		"one beginning in two lists":        {Match{MAC: macs(t, "52:54:00", "02:00")}, Match{MAC: macs(t, "02:00", "02:01:00")}, "with mac 02:00:00:00:00:00, arch x64-uefi"},
		"a beginning and a longer one":      {Match{MAC: macs(t, "52:54:00")}, Match{MAC: macs(t, "52:54")}, ""},
		"a beginning and an end":            {Match{MAC: macs(t, "52:54")}, Match{MAC: macs(t, "*:34:56")}, "with mac 52:54:00:00:34:56, arch x64-uefi"},
		"a beginning and a longer end":      {Match{MAC: macs(t, "52:54")}, Match{MAC: macs(t, "*:12:34:56")}, ""},
		"a beginning taken by its rest":     {Match{MAC: macs(t, "02", "02:01")}, Match{MAC: macs(t, "02")}, "with mac 02:00:00:00:00:00, arch x64-uefi"},
		"a MAC address and a beginning too": {Match{MAC: macs(t, "52:54"), Arch: []Arch{ArchRPi}}, Match{MAC: macs(t, "52:54")}, ""},
		"archs that meet":                   {Match{Arch: []Arch{ArchX86BIOS, ArchX64UEFI}}, Match{Arch: []Arch{ArchARM64UEFI, ArchX86BIOS}}, "with arch x86-bios"},
		"archs that do not":                 {Match{Arch: []Arch{ArchX86BIOS}}, Match{Arch: []Arch{ArchARM64UEFI}}, ""},
		"user classes":                      {Match{UserClass: pattern(t, "lab1")}, Match{UserClass: pattern(t, "lab2")}, ""},
		"user classes with stars":           {Match{UserClass: pattern(t, "*lab1*")}, Match{UserClass: pattern(t, "*lab2*")}, "with user class lab1lab2, arch x64-uefi"},
		"one subnet":                        {Match{Subnet: subnets("198.18.0.0/16")}, Match{Subnet: subnets("198.18.0.0/16", "198.19.0.0/24")}, "address 198.18.0.0"},
		"a subnet that others fill":         {Match{Subnet: subnets("198.18.0.0/23", "198.18.0.0/24")}, Match{Subnet: subnets("198.18.0.0/23", "198.18.1.0/24")}, ""},
		"a subnet in another one":           {Match{Subnet: subnets("198.18.0.0/16")}, Match{Subnet: subnets("198.18.0.0/24")}, ""},
		"one serial number":                 {Match{Serial: pattern(t, "9cd5*")}, Match{Serial: pattern(t, "9cd5*")}, "with serial 9cd5, arch x64-uefi"},
		"an id that is not zero":            {Match{ID: pattern(t, "*")}, Match{ID: pattern(t, "0*")}, ""},
		"ids with stars":                    {Match{ID: pattern(t, "0*")}, Match{ID: pattern(t, "*0")}, "with id 00000000-0000-0000-0000-000000000010, arch x64-uefi"},
		"a star for anything":               {Match{Interface: pattern(t, "*")}, Match{All: true}, "with interface x, arch x64-uefi"},
	} {
		a := &Profile{Name: "a", Match: &c.a, Boot: Boot{BootFile: "x"}}
		b := &Profile{Name: "b", Match: &c.b, Boot: Boot{BootFile: "x"}}
		got := ""
		for _, conflict := range Conflicts([]*Profile{a, b}) {
			got = conflict.Text("a.toml")
		}
		const words = "matches some machines as narrowly as a.toml does, with the same priority, such as one "
		if c.want == "" && got != "" || c.want != "" && (!strings.HasPrefix(got, words) || !strings.HasSuffix(got, c.want)) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestWhatKeepsProfilesFromConflicts(t *testing.T) {
	t.Parallel()
	profile := func(name string, change func(p *Profile)) *Profile {
		p := &Profile{Name: name, Match: &Match{All: true}, Boot: Boot{BootFile: "x"}}
		change(p)
		return p
	}
	a := profile("a", func(*Profile) {})
	for name, b := range map[string]*Profile{
		"another priority": profile("b", func(p *Profile) { p.Priority = 1 }),
		"the menu":         profile("b", func(p *Profile) { p.Match = nil }),
		"an assignment":    profile("b", func(p *Profile) { p.Once = true }),
		"nothing to boot":  profile("b", func(p *Profile) { p.Boot = Boot{} }),
	} {
		if got := Conflicts([]*Profile{a, b}); got != nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	forPi := profile("b", func(p *Profile) { p.Boot = Boot{Root: "pi"} })
	if got := Conflicts([]*Profile{a, forPi}); len(got) != 1 || got[0].Machine.Arch != ArchRPi {
		t.Errorf("for one arch only: got %+v", got)
	}
}

func TestTheMenuHasOneDefault(t *testing.T) {
	t.Parallel()
	a, b, c := entry(0, "", "A"), entry(0, "", "B"), entry(0, "", "C")
	b.Default, c.Default = true, true
	got := Conflicts([]*Profile{c, b, a})
	if len(got) != 1 || got[0].Refused != "b" || got[0].Kept != "c" || got[0].Text("c.toml") != "says default = true, and so does c.toml" {
		t.Errorf("got %+v", got)
	}
}

// TestASearchThatIsGivenUpIsATie has patterns whose places grow beyond all bounds.
func TestASearchThatIsGivenUpIsATie(t *testing.T) {
	t.Parallel()
	var a, b []Pattern
	for i := range 12 {
		a = append(a, pattern(t, fmt.Sprintf("*%c?????????*a", 'a'+i))...)
		b = append(b, pattern(t, fmt.Sprintf("*%c?????????*b", 'a'+i))...)
	}
	got := Conflicts([]*Profile{
		{Name: "a", Match: &Match{UserClass: a}, Boot: Boot{BootFile: "x"}},
		{Name: "b", Match: &Match{UserClass: b}, Boot: Boot{BootFile: "x"}},
	})
	if len(got) != 1 || got[0].Machine != nil || got[0].Text("a.toml") != "may match a machine as narrowly as a.toml does, with the same priority" {
		t.Errorf("got %+v", got)
	}
}

// BenchmarkConflicts looks for ties in 1000 profiles of a kind.
func BenchmarkConflicts(b *testing.B) {
	for _, kind := range sampleKinds {
		profiles := samples(kind)
		for _, p := range profiles {
			p.Priority = 0
		}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				Conflicts(profiles)
			}
		})
	}
}
