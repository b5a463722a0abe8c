package bootmenu

import (
	"net/netip"
	"testing"
)

// pattern is ParsePattern for tables.
func pattern(t *testing.T, texts ...string) (ps []Pattern) {
	t.Helper()
	for _, s := range texts {
		p, err := ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// macs is ParseMACPattern for tables.
func macs(t *testing.T, texts ...string) (ps []Pattern) {
	t.Helper()
	for _, s := range texts {
		p, err := ParseMACPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// mac is ParseMAC for tables.
func mac(t *testing.T, s string) MAC {
	t.Helper()
	m, err := ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPatternStarsStandForAnyRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"eth0", "eth0", true},
		{"eth0", "ETH0", true},
		{"eth0", "eth01", false},
		{"eth*", "eth01", true},
		{"*uefi*", "x64-UEFI-http", true},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "aXcYb", false},
		{"ab*ba", "aba", false}, // the runs may not overlap
		{"*", "x", true},
		{"*", "", false}, // what was not told does not match
		{"u-boot*", "U-Boot.armv8", true},
	} {
		if got := pattern(t, c.pattern)[0].Matches(c.text); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

func TestMACPatternsAreBeginnings(t *testing.T) {
	t.Parallel()
	m := "52:54:00:12:34:56"
	for in, want := range map[string]bool{
		"52:54:00:12:34:56": true,
		"52-54-00-12-34-56": true,
		"52:54:00:*":        true,
		"52:54:00":          true,
		"52:54:00:":         true,
		"52:54":             true,
		"52:54:01":          false,
		"d0:39:72:*":        false,
		"*:34:56":           true,
		"*-34-56":           true,
		"*:34":              false,
		"52:*:56":           true,
		"52:54:*:*:*:56":    true,
		"52:54:*:*:34:*":    true,
	} {
		if got := macs(t, in)[0].Matches(m); got != want {
			t.Errorf("%q matches: %v, want %v", in, got, want)
		}
	}
	for _, in := range []string{"", "5254.0012.3456", "52:5", "52:54:00:12:34:56:78", "zz:*", "52:5*", "52:*:*:*:*:*:*"} {
		if p, err := ParseMACPattern(in); err == nil {
			t.Errorf("ParseMACPattern(%q) = %v, want an error", in, p)
		}
	}
}

func TestMatchNeedsEveryKeyAndOneValueOfEach(t *testing.T) {
	t.Parallel()
	m := Machine{
		MAC: mac(t, "52:54:00:12:34:56"), Arch: ArchX64UEFI, Interface: "eth1", VendorClass: "PXEClient:Arch:00007",
		UserClass: []string{"lab", "iPXE"}, Addr: netip.MustParseAddr("198.18.3.4"),
	}
	for name, c := range map[string]struct {
		match Match
		want  bool
	}{
		"all":                              {Match{All: true}, true},
		"mac and arch":                     {Match{MAC: macs(t, "52:54:00"), Arch: []Arch{ArchX64UEFI}}, true},
		"mac of another, arch right":       {Match{MAC: macs(t, "02:00:00"), Arch: []Arch{ArchX64UEFI}}, false},
		"one of two macs":                  {Match{MAC: macs(t, "02:00:00", "52:54:00")}, true},
		"one of two user classes":          {Match{UserClass: pattern(t, "ipxe")}, true},
		"subnet":                           {Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}}, true},
		"another subnet":                   {Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.19.0.0/16")}}, false},
		"id that the machine did not tell": {Match{ID: pattern(t, "*")}, false},
		"interface":                        {Match{Interface: pattern(t, "eth*")}, true},
		"vendor class":                     {Match{VendorClass: pattern(t, "HTTPClient*")}, false},
	} {
		if _, got := c.match.match(tellOf(m)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestOptsInIsForWhatIsNoPXEClient(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"U-Boot*": true, "xPXEClient": true, "AAPLBSDPC": true,
		"PXEClient*": false, "pxeclient:Arch:00007:*": false, "HTTPClient:*": false, "*": false, "PXE*": false,
	} {
		if got := (&Match{VendorClass: pattern(t, text)}).OptsIn(); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if (&Match{All: true}).OptsIn() {
		t.Error("a match without vendor classes opts nobody in")
	}
}

// TestOfSeveralUserClassesTheFirstSaysMost keeps two profiles for different classes
// apart that a machine sends both of.
func TestOfSeveralUserClassesTheFirstSaysMost(t *testing.T) {
	t.Parallel()
	profiles := []*Profile{
		{Name: "a", Match: &Match{UserClass: pattern(t, "lab1")}, Boot: Boot{BootFile: "x"}},
		{Name: "b", Match: &Match{UserClass: pattern(t, "lab2")}, Boot: Boot{BootFile: "x"}},
	}
	c := NewCatalog(profiles, nil, Menu{})
	for want, classes := range map[string][]string{"a": {"Lab1", "Lab2"}, "b": {"x", "Lab2", "Lab1"}} {
		if got := c.Select(Machine{UserClass: classes}).Profile; got != want {
			t.Errorf("%q: got %q, want %q", classes, got, want)
		}
	}
}
