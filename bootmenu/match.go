package bootmenu

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// A Match says which machines a profile is for. The values of one field are
// alternatives; fields that are not empty must all match. A field that the
// machine did not tell does not match.
type Match struct {
	All         bool // every machine; the other fields are then empty
	MAC         []Pattern
	ID          []Pattern
	Arch        []Arch
	VendorClass []Pattern
	UserClass   []Pattern
	Interface   []Pattern
	Subnet      []netip.Prefix
}

// A Pattern is text compared without regard to case, in which * stands for any
// run of characters. Make one with [ParsePattern] or [ParseMACPattern].
type Pattern struct{ text string }

// ParsePattern reads a pattern; it must not be empty.
func ParsePattern(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, fmt.Errorf("empty pattern")
	}
	return Pattern{strings.ToLower(s)}, nil
}

var macPattern = regexp.MustCompile(`^([0-9a-f]{2}:){0,5}([0-9a-f]{2}|\*)$`)

// ParseMACPattern reads a MAC address, or the beginning of one followed by
// nothing or by *: "52:54:00", "52:54:00:*". Dashes are as good as colons.
func ParseMACPattern(s string) (Pattern, error) {
	p := strings.ToLower(strings.ReplaceAll(s, "-", ":"))
	if !macPattern.MatchString(strings.TrimSuffix(p, ":")) {
		return Pattern{}, fmt.Errorf("%q is not a MAC address or the beginning of one, such as 52:54:00:12:34:56 or 52:54:00:*", s)
	}
	p = strings.TrimSuffix(p, ":")
	if len(p) < len("00:00:00:00:00:00") && !strings.HasSuffix(p, "*") {
		p += ":*"
	}
	return Pattern{p}, nil
}

// String is the pattern as it is compared: in lower case.
func (p Pattern) String() string { return p.text }

// Matches tells whether s is what the pattern says. An empty s never is: what a
// machine did not tell matches nothing. The time it takes grows with the length of
// the two, not with their product to the power of the stars.
func (p Pattern) Matches(s string) bool {
	if s == "" {
		return false
	}
	first, parts, stars := strings.Cut(p.text, "*")
	s, ok := strings.CutPrefix(strings.ToLower(s), first)
	if !ok || !stars {
		return ok && s == ""
	}
	for {
		part, more, stars := strings.Cut(parts, "*")
		if !stars {
			return strings.HasSuffix(s, part)
		}
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
		parts = more
	}
}

// literal is how many characters of the pattern are not stars.
func (p Pattern) literal() int { return len(p.text) - strings.Count(p.text, "*") }

// specificity ranks how narrowly a machine was matched. Its elements are
// compared in turn; the order is part of the profile format.
type specificity [8]int

// Matches tells whether m is one of the machines.
func (mt *Match) Matches(m Machine) bool {
	_, ok := mt.match(m)
	return ok
}

// OptsIn tells whether mt names a vendor class of clients that are neither PXE nor
// HTTP clients, and so asks to answer them.
func (mt *Match) OptsIn() bool {
	return slices.ContainsFunc(mt.VendorClass, func(p Pattern) bool {
		for _, class := range []string{"pxeclient", "httpclient"} {
			if p.Matches(class) || strings.HasPrefix(p.text, class) {
				return false
			}
		}
		return true
	})
}

// match tells whether mt matches m, and how narrowly.
func (mt *Match) match(m Machine) (specificity, bool) {
	var s specificity
	if mt.All {
		return s, true
	}
	mac, ok1 := bestText(mt.MAC, m.MAC)
	id, ok2 := bestText(mt.ID, m.ID)
	iface, ok3 := best(mt.Interface, m.Interface)
	user, ok4 := best(mt.UserClass, m.UserClass...)
	vendor, ok5 := best(mt.VendorClass, m.VendorClass)
	subnet, ok6 := bestPrefix(mt.Subnet, m.Addr)
	ok7 := len(mt.Arch) == 0 || slices.Contains(mt.Arch, m.Arch)
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) {
		return s, false
	}
	exactMAC := 0
	if mac == len("00:00:00:00:00:00") {
		exactMAC = 1
	}
	return specificity{id, exactMAC, mac, subnet, iface, user, vendor, min(len(mt.Arch), 1)}, true
}

// best is how narrow the narrowest pattern is that matches one of the values. No
// pattern at all matches everything, with 0.
func best(patterns []Pattern, values ...string) (n int, ok bool) {
	if len(patterns) == 0 {
		return 0, true
	}
	for _, p := range patterns {
		if slices.ContainsFunc(values, p.Matches) {
			n, ok = max(n, p.literal()), true
		}
	}
	return n, ok
}

// bestText is best of what a value's text is, which is not written in vain.
func bestText[T fmt.Stringer](patterns []Pattern, value T) (n int, ok bool) {
	if len(patterns) == 0 {
		return 0, true
	}
	return best(patterns, value.String())
}

// bestPrefix is the length plus one of the longest prefix that holds addr.
func bestPrefix(prefixes []netip.Prefix, addr netip.Addr) (n int, ok bool) {
	if len(prefixes) == 0 {
		return 0, true
	}
	for _, p := range prefixes {
		if p.Contains(addr) {
			n, ok = max(n, p.Bits()+1), true
		}
	}
	return n, ok
}

// compare orders by narrowness: more than zero means s is narrower than o.
func (s specificity) compare(o specificity) int { return slices.Compare(s[:], o[:]) }

// narrower orders two candidates: narrower match first, then higher priority,
// then the name, so that the order of files never matters.
func narrower(a, b candidate) int {
	return cmp.Or(b.spec.compare(a.spec), cmp.Compare(b.profile.Priority, a.profile.Priority), cmp.Compare(a.profile.Name, b.profile.Name))
}

// A candidate is a profile that matched, and how narrowly.
type candidate struct {
	profile matched
	spec    specificity
}

// String is the match in words: "mac 52:54:00:*, arch x86-bios or x64-uefi".
func (mt *Match) String() string {
	if mt.All {
		return "every PXE client"
	}
	var parts []string
	say := func(key string, values []string) {
		if len(values) > 0 {
			parts = append(parts, key+" "+strings.Join(values, " or "))
		}
	}
	say("id", texts(mt.ID))
	say("mac", texts(mt.MAC))
	say("subnet", texts(mt.Subnet))
	say("interface", texts(mt.Interface))
	say("user class", texts(mt.UserClass))
	say("vendor class", texts(mt.VendorClass))
	say("arch", texts(mt.Arch))
	return strings.Join(parts, ", ")
}

// texts is the String of each value.
func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
