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
	Serial      []Pattern
	Arch        []Arch
	VendorClass []Pattern
	UserClass   []Pattern
	Interface   []Pattern
	Subnet      []netip.Prefix
}

// A textField is a field of a match whose values are patterns.
type textField int

const (
	fieldID textField = iota
	fieldSerial
	fieldMAC
	fieldUserClass
	fieldVendorClass
	fieldInterface
	textFields // how many there are
)

// patterns are those of one field.
func (mt *Match) patterns(f textField) []Pattern {
	switch f {
	case fieldID:
		return mt.ID
	case fieldSerial:
		return mt.Serial
	case fieldMAC:
		return mt.MAC
	case fieldUserClass:
		return mt.UserClass
	case fieldVendorClass:
		return mt.VendorClass
	case fieldInterface:
		return mt.Interface
	}
	panic(fmt.Sprintf("no field %d", f))
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

var macPattern = regexp.MustCompile(`^(([0-9a-f]{2}|\*):){0,5}([0-9a-f]{2}|\*)$`)

// ParseMACPattern reads a MAC address, the beginning of one, or pairs of digits
// with * between them: "52:54:00" is the same as "52:54:00:*", and "*:34:56" are
// the addresses that end so. Dashes are as good as colons.
func ParseMACPattern(s string) (Pattern, error) {
	p := strings.ToLower(strings.ReplaceAll(s, "-", ":"))
	p = strings.TrimSuffix(p, ":")
	if !macPattern.MatchString(p) {
		return Pattern{}, fmt.Errorf("%q is not a MAC address or a part of one, such as 52:54:00:12:34:56, 52:54:00:* or *:34:56", s)
	}
	if len(p) < macTextLen && !strings.Contains(p, "*") {
		p += ":*"
	}
	return Pattern{p}, nil
}

// macTextLen is the length of an Ethernet address as it is written.
const macTextLen = len("00:00:00:00:00:00")

// String is the pattern as it is compared: in lower case.
func (p Pattern) String() string { return p.text }

// Matches tells whether s is what the pattern says. An empty s never is: what a
// machine did not tell matches nothing. The time it takes grows with the length of
// the two, not with their product to the power of the stars.
func (p Pattern) Matches(s string) bool { return p.matches(strings.ToLower(s)) }

// matches is Matches for text in lower case.
func (p Pattern) matches(s string) bool {
	if s == "" {
		return false
	}
	first, parts, stars := strings.Cut(p.text, "*")
	s, ok := strings.CutPrefix(s, first)
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

// beginning is what every text begins with that the pattern matches: all of the
// pattern if it has no stars.
func (p Pattern) beginning() string {
	text, _, _ := strings.Cut(p.text, "*")
	return text
}

// specificity ranks how narrowly a machine was matched. Its elements are
// compared in turn; the order is part of the profile format. Each is higher the
// narrower the match is, and 0 where there is none.
type specificity [10]int

const (
	rankID = iota // characters of the pattern that are no stars, as for all texts
	rankSerial
	rankWholeMAC // 1: a MAC address without a star
	rankMAC
	rankSubnet // bits of the prefix, and one
	rankInterface
	rankUserClass
	rankUserPlace // place of that class among the machine's, counted downwards from 0: the first says most
	rankVendorClass
	rankArch // 1: it is listed
)

// rankOf is the element for a field.
var rankOf = [textFields]int{
	fieldID: rankID, fieldSerial: rankSerial, fieldMAC: rankMAC,
	fieldUserClass: rankUserClass, fieldVendorClass: rankVendorClass, fieldInterface: rankInterface,
}

// told is a machine as matches are compared with it: each text that it told, in
// lower case. Most fields have one text or none. A text is written when it is asked
// for: most profiles go by one field. It belongs to one goroutine.
type told struct {
	Machine
	written [textFields]bool
	single  [textFields]string // of all fields but the user classes
	user    []string
}

func tellOf(m Machine) *told { return &told{Machine: m} }

// texts are those of one field.
func (t *told) texts(f textField) []string {
	if !t.written[f] {
		t.written[f] = true
		t.write(f)
	}
	if f == fieldUserClass {
		return t.user
	}
	return t.single[f : f+1]
}

// write writes the texts of one field.
func (t *told) write(f textField) {
	switch f {
	case fieldID:
		t.single[f] = t.ID.String()
	case fieldSerial:
		t.single[f] = strings.ToLower(t.Serial)
	case fieldMAC:
		t.single[f] = t.MAC.String()
	case fieldVendorClass:
		t.single[f] = strings.ToLower(t.VendorClass)
	case fieldInterface:
		t.single[f] = strings.ToLower(t.Interface)
	case fieldUserClass:
		for _, c := range t.UserClass {
			t.user = append(t.user, strings.ToLower(c))
		}
	}
}

// Matches tells whether m is one of the machines.
func (mt *Match) Matches(m Machine) bool {
	_, ok := mt.match(tellOf(m))
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

// match tells whether mt matches a machine, and how narrowly.
func (mt *Match) match(t *told) (s specificity, ok bool) {
	if mt.All {
		return s, true
	}
	if len(mt.Arch) > 0 {
		if !slices.Contains(mt.Arch, t.Arch) {
			return s, false
		}
		s[rankArch] = 1
	}
	for f := range textFields {
		patterns := mt.patterns(f)
		if len(patterns) == 0 {
			continue
		}
		p, place, ok := narrowest(patterns, t.texts(f))
		if !ok {
			return s, false
		}
		s[rankOf[f]] = p.literal()
		if f == fieldUserClass {
			s[rankUserPlace] = -place
		}
	}
	if s[rankMAC] == macTextLen {
		s[rankWholeMAC] = 1
	}
	if len(mt.Subnet) > 0 {
		p, ok := longest(mt.Subnet, t.Addr)
		if !ok {
			return s, false
		}
		s[rankSubnet] = p.Bits() + 1
	}
	return s, true
}

// bound is how narrowly mt can match a machine at best.
func (mt *Match) bound() (s specificity) {
	for f := range textFields {
		for _, p := range mt.patterns(f) {
			s[rankOf[f]] = max(s[rankOf[f]], p.literal())
		}
	}
	if s[rankMAC] == macTextLen {
		s[rankWholeMAC] = 1
	}
	for _, p := range mt.Subnet {
		s[rankSubnet] = max(s[rankSubnet], p.Bits()+1)
	}
	s[rankArch] = min(len(mt.Arch), 1)
	return s
}

// narrowest is the narrowest of the patterns that match one of the texts; of
// several as narrow, one that matches the text that stands first.
func narrowest(patterns []Pattern, texts []string) (found Pattern, place int, ok bool) {
	for i, text := range texts {
		for _, p := range patterns {
			if (!ok || p.literal() > found.literal()) && p.matches(text) {
				found, place, ok = p, i, true
			}
		}
	}
	return found, place, ok
}

// longest is the longest prefix that holds addr.
func longest(prefixes []netip.Prefix, addr netip.Addr) (found netip.Prefix, ok bool) {
	for _, p := range prefixes {
		if p.Contains(addr) && (!ok || p.Bits() > found.Bits()) {
			found, ok = p, true
		}
	}
	return found, ok
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

// rankNames are the fields that the elements of a specificity rank.
var rankNames = [len(specificity{})]string{
	rankID: "id", rankSerial: "serial", rankWholeMAC: "mac", rankMAC: "mac", rankSubnet: "subnet", rankInterface: "interface",
	rankUserClass: "user class", rankUserPlace: "user class", rankVendorClass: "vendor class", rankArch: "arch",
}

// behind says why c comes behind another candidate.
func (c candidate) behind(other candidate) string {
	for i, rank := range c.spec {
		if rank != other.spec[i] {
			return fmt.Sprintf("less narrow by %s than %s", rankNames[i], other.profile.Name)
		}
	}
	if c.profile.Priority != other.profile.Priority {
		return fmt.Sprintf("priority %d is lower than that of %s, %d", c.profile.Priority, other.profile.Name, other.profile.Priority)
	}
	return "comes behind " + other.profile.Name + " by name"
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
	say("serial", texts(mt.Serial))
	say("mac", texts(mt.MAC))
	say("subnet", texts(mt.Subnet))
	say("interface", texts(mt.Interface))
	say("user class", texts(mt.UserClass))
	say("vendor class", texts(mt.VendorClass))
	say("arch", texts(mt.Arch))
	return strings.Join(parts, ", ")
}

// matchedBy is what of mt matches a machine, in words: of each field the value
// that counts.
func (mt *Match) matchedBy(t *told) string {
	by := Match{All: mt.All}
	one := func(f textField) []Pattern {
		if p, _, ok := narrowest(mt.patterns(f), t.texts(f)); ok {
			return []Pattern{p}
		}
		return nil
	}
	by.ID, by.Serial, by.MAC = one(fieldID), one(fieldSerial), one(fieldMAC)
	by.UserClass, by.VendorClass, by.Interface = one(fieldUserClass), one(fieldVendorClass), one(fieldInterface)
	if p, ok := longest(mt.Subnet, t.Addr); ok {
		by.Subnet = []netip.Prefix{p}
	}
	if slices.Contains(mt.Arch, t.Arch) {
		by.Arch = []Arch{t.Arch}
	}
	return by.String()
}

// texts is the String of each value.
func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
