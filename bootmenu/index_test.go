package bootmenu

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// A chance makes profiles and machines out of few values, so that they meet often.
type chance struct{ *rand.Rand }

// of is one of the texts.
func (c chance) of(texts ...string) string { return texts[c.IntN(len(texts))] }

// patterns are at most two of the texts as patterns, and most often none.
func (c chance) patterns(parse func(string) (Pattern, error), texts ...string) (ps []Pattern) {
	for range max(0, c.IntN(5)-2) {
		p, err := parse(c.of(texts...))
		if err != nil {
			panic(err)
		}
		ps = append(ps, p)
	}
	return ps
}

var (
	chanceIDs   = []ID{{}, {0xab}, {0xab, 0xcd}, {15: 1}}
	chanceArchs = []Arch{ArchX86BIOS, ArchX64UEFI, ArchRPi, ArchUnknown}
)

// profile is a profile with a match.
func (c chance) profile(name string) *Profile {
	mt := &Match{
		MAC:         c.patterns(ParseMACPattern, "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00", "52:54", "*", "*:01", "52:*:02"),
		ID:          c.patterns(ParsePattern, chanceIDs[1].String(), chanceIDs[2].String(), "ab*", "*", "*-*"),
		Serial:      c.patterns(ParsePattern, "1a", "1*", "*a", "1b"),
		UserClass:   c.patterns(ParsePattern, "ipxe", "lab*", "lab1", "*1", "*"),
		VendorClass: c.patterns(ParsePattern, "PXEClient*", "PXEClient:1", "PXEClient:2", "*:1"),
		Interface:   c.patterns(ParsePattern, "eth0", "eth1", "eth*"),
	}
	for range max(0, c.IntN(5)-2) {
		mt.Subnet = append(mt.Subnet, netip.MustParsePrefix(c.of("198.18.0.0/16", "198.18.1.0/24", "198.18.2.0/24", "198.18.1.1/32", "0.0.0.0/0")))
		mt.Arch = append(mt.Arch, chanceArchs[c.IntN(len(chanceArchs))])
	}
	if c.IntN(10) == 0 {
		mt = &Match{All: true}
	}
	p := &Profile{Name: name, Priority: c.IntN(2), Match: mt, Boot: Boot{BootFile: "x"}}
	switch c.IntN(6) {
	case 0:
		p.Boot, p.Arch = Boot{}, map[Arch]Overlay{ArchX64UEFI: {BootFile: text("y")}}
	case 1:
		p.Boot, p.IPXE = Boot{}, Overlay{BootFile: text("y")}
	case 2:
		p.Boot = Boot{Root: "pi"}
	}
	return p
}

// liken has p match what other matches, but for one field.
func (c chance) liken(p, other *Profile) {
	was, now := *p.Match, *other.Match
	if was.All || now.All { // no field stands beside it
		was = now
	}
	switch c.IntN(6) {
	case 0:
		now.MAC = was.MAC
	case 1:
		now.ID = was.ID
	case 2:
		now.UserClass = was.UserClass
	case 3:
		now.VendorClass = was.VendorClass
	case 4:
		now.Subnet, now.Arch = was.Subnet, was.Arch
	}
	p.Match = &now
}

// machine is a machine that may have told anything or nothing.
func (c chance) machine() Machine {
	m := Machine{
		ID: chanceIDs[c.IntN(len(chanceIDs))], Serial: c.of("", "1a", "1A", "1b", "2a"), Arch: chanceArchs[c.IntN(len(chanceArchs))],
		VendorClass: c.of("", "PXEClient:1", "pxeclient:2", "x:1"), IPXE: c.IntN(2) == 0, Interface: c.of("", "eth0", "eth1", "br0"),
	}
	if c.IntN(4) > 0 {
		m.MAC = MACFromBytes([]byte{0x52, 0x54, byte(c.IntN(2)), 0, 0, byte(c.IntN(3))})
	}
	if c.IntN(4) > 0 {
		m.Addr = netip.MustParseAddr(c.of("198.18.1.1", "198.18.1.2", "198.18.2.1", "198.18.3.1", "198.19.0.1"))
	}
	for range c.IntN(3) {
		m.UserClass = append(m.UserClass, c.of("iPXE", "lab1", "lab2", "1"))
	}
	return m
}

// TestTheIndexFindsWhatALookAtEachProfileDoes compares the two for random profiles
// and machines, in whatever order the files were read.
func TestTheIndexFindsWhatALookAtEachProfileDoes(t *testing.T) {
	t.Parallel()
	c := chance{rand.New(rand.NewPCG(1, 2))}
	matched := 0
	for range 300 {
		var profiles []*Profile
		for i := range c.IntN(30) {
			profiles = append(profiles, c.profile(fmt.Sprintf("p%02d", i)))
		}
		catalog := NewCatalog(profiles, testLoaders, Menu{})
		c.Shuffle(len(profiles), func(i, j int) { profiles[i], profiles[j] = profiles[j], profiles[i] })
		shuffled := NewCatalog(profiles, testLoaders, Menu{})
		for range 100 {
			m, want := c.machine(), ""
			candidates := catalog.Candidates(m)
			if i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Behind == "" }); i >= 0 {
				want = candidates[i].Profile
				matched++
			}
			if got := catalog.Select(m).Profile; got != want {
				t.Fatalf("%+v: got %q, want %q of %+v", m, got, want, candidates)
			}
			if got := shuffled.Select(m).Profile; got != want {
				t.Fatalf("%+v, in another order: got %q, want %q of %+v", m, got, want, candidates)
			}
		}
	}
	if matched < 10000 {
		t.Errorf("only %d machines had a profile", matched)
	}
}

// sample is the i-th profile's match of a kind, and a machine that it is for.
func sample(kind string, i int) (Match, Machine) {
	must := func(p Pattern, err error) []Pattern {
		if err != nil {
			panic(err)
		}
		return []Pattern{p}
	}
	m := Machine{
		MAC: MACFromBytes([]byte{2, 0, 0, byte(i >> 8), byte(i), 1}), ID: ID{1, 2, 3, byte(i >> 8), byte(i)}, Arch: ArchX64UEFI,
		VendorClass: "PXEClient:Arch:00007:UNDI:003016", UserClass: []string{fmt.Sprintf("Lab-%d", i)},
		Interface: "eth1", Addr: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), IPXE: true,
	}
	switch kind {
	case "mac":
		return Match{MAC: must(ParseMACPattern(m.MAC.String()))}, m
	case "mac-prefix":
		return Match{MAC: must(ParseMACPattern(m.MAC.String()[:14]))}, m
	case "id":
		return Match{ID: must(ParsePattern(m.ID.String()))}, m
	case "subnet":
		return Match{Subnet: []netip.Prefix{netip.PrefixFrom(m.Addr, 32)}}, m
	case "user-class":
		return Match{UserClass: must(ParsePattern(m.UserClass[0]))}, m
	case "arch":
		return Match{Arch: []Arch{m.Arch}}, m
	case "all":
		return Match{All: true}, m
	case "mac-and-subnet":
		return Match{MAC: must(ParseMACPattern(m.MAC.String())), Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}, Arch: []Arch{m.Arch, ArchX86BIOS}}, m
	}
	mix := []string{"mac", "mac", "mac", "mac-and-subnet", "mac-prefix", "mac-prefix", "id", "subnet", "user-class"}
	switch {
	case i%100 == 0:
		return sample("all", i)
	case i%50 == 1:
		return sample("arch", i)
	}
	return sample(mix[i%len(mix)], i)
}

// samples are 1000 profiles of a kind, each of another priority.
func samples(kind string) []*Profile {
	var profiles []*Profile
	for i := range 1000 {
		mt, _ := sample(kind, i)
		profiles = append(profiles, &Profile{Name: fmt.Sprintf("p%03d", i), Title: "p", Priority: i, Match: &mt, Boot: Boot{BootFile: "x"}})
	}
	return profiles
}

// sampleKinds are what sample knows.
var sampleKinds = []string{"mac", "mac-prefix", "id", "subnet", "user-class", "arch", "all", "mac-and-subnet", "mixed"}

// BenchmarkSelect is one decision with 1000 profiles of a kind, for a machine that
// one of them is for, and for one that is a stranger to all but the broadest.
func BenchmarkSelect(b *testing.B) {
	for _, kind := range sampleKinds {
		c := NewCatalog(samples(kind), testLoaders, Menu{})
		_, known := sample(kind, 999)
		stranger := Machine{MAC: MACFromBytes([]byte{4, 0, 0, 0, 0, 1}), Arch: ArchX64UEFI, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}
		for name, m := range map[string]Machine{"known": known, "stranger": stranger} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.Select(m)
				}
			})
		}
	}
}

// BenchmarkSelectMenu is one decision for a machine that gets the menu.
func BenchmarkSelectMenu(b *testing.B) {
	for _, n := range []int{40, 1000} {
		var profiles []*Profile
		for i := range n {
			profiles = append(profiles, entry(i, "", fmt.Sprintf("Entry-%03d", i)))
		}
		c := NewCatalog(profiles, testLoaders, Menu{})
		m := Machine{MAC: MACFromBytes([]byte{2, 0, 0, 0, 0, 1}), Arch: ArchX64UEFI, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Select(m)
			}
		})
	}
}
