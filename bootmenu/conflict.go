package bootmenu

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A Conflict is a profile that is refused because of another one.
type Conflict struct {
	Refused string // its name
	Kept    string // name of the other one

	// Machine is one that both match equally narrowly and have something for. It is
	// nil if both want to be the default of the menu, and if the patterns are too
	// many and too intricate to find one in bounded time: then the two are taken to
	// tie.
	Machine *Machine
	Default bool // both say that they are the default of the menu
}

// Text says what is wrong with the refused profile. kept is the file of the other.
func (c Conflict) Text(kept string) string {
	switch {
	case c.Default:
		return fmt.Sprintf("says default = true, and so does %s", kept)
	case c.Machine == nil:
		return fmt.Sprintf("may match a machine as narrowly as %s does, with the same priority", kept)
	}
	return fmt.Sprintf("matches some machines as narrowly as %s does, with the same priority, such as one with %s", kept, c.Machine.facts())
}

// Hint says what to do about it.
func (c Conflict) Hint() string {
	if c.Default {
		return "keep default = true in one of them"
	}
	return "give one of them a higher priority, or a narrower [match]"
}

// facts are what m told, in words.
func (m Machine) facts() string {
	var facts []string
	for _, f := range []struct{ name, value string }{
		{"id", m.ID.String()}, {"serial", m.Serial}, {"mac", m.MAC.String()}, {"interface", m.Interface},
		{"user class", strings.Join(m.UserClass, " and ")}, {"vendor class", m.VendorClass}, {"arch", m.Arch.String()},
	} {
		if f.value != "" {
			facts = append(facts, f.name+" "+f.value)
		}
	}
	if m.Addr.IsValid() {
		facts = append(facts, "address "+m.Addr.String())
	}
	return strings.Join(facts, ", ")
}

// Conflicts are the profiles that cannot be used beside others: those that some
// machine matches exactly as narrowly as another one with the same priority, so
// that only the name could decide, and those that want to be the default of the
// menu beside another. It goes through the profiles in the order given, and
// compares each with those before it that were not refused.
//
// Two profiles tie if there is a machine that both match with the same rank in
// every field, and that both have something for. This is decided, not guessed:
// prefixes by comparison, patterns by a search for a text that both match. Only if
// that search does not end within maxOverlapStates, which takes lists of patterns
// with stars in their middle, the two are taken to tie.
func Conflicts(profiles []*Profile) (conflicts []Conflict) {
	kept := keptProfiles{byKey: make(map[string][]*contender)}
	menuDefault := ""
	for _, p := range profiles {
		switch {
		case p.Once:
		case p.Match == nil && p.Default && menuDefault != "":
			conflicts = append(conflicts, Conflict{Refused: p.Name, Kept: menuDefault, Default: true})
		case p.Match == nil:
			if p.Default {
				menuDefault = p.Name
			}
		default:
			if c, ok := kept.admit(newContender(p)); !ok {
				conflicts = append(conflicts, c)
			}
		}
	}
	return conflicts
}

// A contender is a profile with a match that is compared with others.
type contender struct {
	*Profile
	keys []string // two that have no key in common do not tie; empty: it may tie with any
}

// maxKeys is how many keys a contender may have before it is compared with all.
const maxKeys = 4096

func newContender(p *Profile) *contender {
	c := &contender{Profile: p, keys: []string{strconv.Itoa(p.Priority)}}
	for f := range textFields {
		c.refine(textKeys(p.Match.patterns(f)))
	}
	c.refine(valueKeys(p.Match.Subnet, netip.Prefix.Masked))
	c.refine(valueKeys(p.Match.Arch, func(a Arch) Arch { return a }))
	return c
}

// refine makes the keys longer by the values of one more field; none means that
// there is no telling.
func (c *contender) refine(values []string) {
	if len(values)*len(c.keys) > maxKeys {
		values = nil
	}
	var keys []string
	for _, v := range values {
		for _, key := range c.keys {
			keys = append(keys, key+"\x00"+v)
		}
	}
	c.keys = keys
}

// textKeys are what the texts begin with that the patterns match. Two patterns of
// as many characters that are the beginning of a text, or all of it, are the same
// but for the star at their end, or no text matches both.
func textKeys(patterns []Pattern) []string {
	if len(patterns) == 0 {
		return []string{""}
	}
	var keys []string
	for _, p := range patterns {
		key := strings.TrimRight(p.text, "*")
		if key == "" || strings.Contains(key, "*") {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

// valueKeys are the values of a field of which two are the same, or no machine has
// both with the same rank.
func valueKeys[T fmt.Stringer](values []T, same func(T) T) []string {
	if len(values) == 0 {
		return []string{""}
	}
	var keys []string
	for _, v := range values {
		keys = append(keys, same(v).String())
	}
	return keys
}

// keptProfiles are those that were not refused.
type keptProfiles struct {
	all     []*contender
	byKey   map[string][]*contender
	keyless []*contender
}

// admit keeps c, or says with which of those that are kept already it ties.
func (k *keptProfiles) admit(c *contender) (conflict Conflict, ok bool) {
	rivals := [][]*contender{k.all}
	if len(c.keys) > 0 {
		rivals = [][]*contender{k.keyless}
		for _, key := range c.keys {
			rivals = append(rivals, k.byKey[key])
		}
	}
	for _, other := range slices.Concat(rivals...) {
		if m, tied := tie(other, c); tied {
			return Conflict{Refused: c.Name, Kept: other.Name, Machine: m}, false
		}
	}
	k.all = append(k.all, c)
	if len(c.keys) == 0 {
		k.keyless = append(k.keyless, c)
	}
	for _, key := range c.keys {
		k.byKey[key] = append(k.byKey[key], c)
	}
	return Conflict{}, true
}

// tie tells whether some machine is matched by both equally narrowly. The machine
// is nil if none was found and none can be excluded.
func tie(a, b *contender) (*Machine, bool) {
	m := Machine{Arch: ArchUnknown}
	if a.Priority != b.Priority || !commonSubnet(a.Match.Subnet, b.Match.Subnet, &m.Addr) || !commonArch(a, b, &m) {
		return nil, false
	}
	var found [textFields]overlap
	for f := range textFields {
		found[f] = overlapOf(a.Match.patterns(f), b.Match.patterns(f), shapesOf[f])
		if found[f].none {
			return nil, false
		}
	}
	if slices.ContainsFunc(found[:], func(o overlap) bool { return o.unknown }) {
		return nil, true
	}
	m.tell(found)
	return &m, true
}

// tell has m tell the texts that were found.
func (m *Machine) tell(found [textFields]overlap) {
	m.Serial, m.VendorClass, m.Interface = found[fieldSerial].text, found[fieldVendorClass].text, found[fieldInterface].text
	if class := found[fieldUserClass].text; class != "" {
		m.UserClass = []string{class}
	}
	// The texts have the shape of what they are parsed as.
	mac, _ := hex.DecodeString(strings.ReplaceAll(found[fieldMAC].text, ":", ""))
	m.MAC = MACFromBytes(mac)
	id, _ := hex.DecodeString(strings.ReplaceAll(found[fieldID].text, "-", ""))
	copy(m.ID[:], id)
}

// commonSubnet finds an address for which the longest prefixes of both that hold
// it are as long. Then these are the same.
func commonSubnet(a, b []netip.Prefix, addr *netip.Addr) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	for _, p := range a {
		if !slices.ContainsFunc(b, func(o netip.Prefix) bool { return o.Masked() == p.Masked() }) {
			continue
		}
		if free, ok := freeAddr(p.Masked(), slices.Concat(a, b)); ok {
			*addr = free
			return true
		}
	}
	return false
}

// freeAddr is an address of p that is in none of the prefixes that are longer.
func freeAddr(p netip.Prefix, others []netip.Prefix) (netip.Addr, bool) {
	longer := slices.DeleteFunc(slices.Clone(others), func(o netip.Prefix) bool { return o.Bits() <= p.Bits() || !p.Overlaps(o) })
	// The gaps between prefixes begin at p's first address, or behind one of them.
	starts := []netip.Addr{p.Addr()}
	for _, o := range longer {
		starts = append(starts, lastAddr(o).Next())
	}
	for _, start := range starts {
		if p.Contains(start) && !slices.ContainsFunc(longer, func(o netip.Prefix) bool { return o.Contains(start) }) {
			return start, true
		}
	}
	return netip.Addr{}, false
}

// lastAddr is the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// commonArch finds an arch, and whether iPXE asks, for which both have something
// to boot.
func commonArch(a, b *contender, m *Machine) bool {
	if (len(a.Match.Arch) == 0) != (len(b.Match.Arch) == 0) {
		return false
	}
	for _, arch := range archsToTry(a.Profile, b.Profile) {
		for _, ipxe := range []bool{false, true} {
			m.Arch, m.IPXE = arch, ipxe
			if a.boots(*m) && b.boots(*m) {
				return true
			}
		}
	}
	return false
}

// boots tells whether the profile is for the arch of m and has something for it.
func (c *contender) boots(m Machine) bool {
	return (len(c.Match.Arch) == 0 || slices.Contains(c.Match.Arch, m.Arch)) && c.BootFor(m).Bootable(m.Arch)
}

// archsToTry are all archs that could make a difference to one of the profiles: if
// they list none, those of the table, those that they have tables for, and one
// that nobody has ever heard of.
func archsToTry(a, b *Profile) []Arch {
	if len(a.Match.Arch) > 0 {
		return a.Match.Arch
	}
	all := []Arch{ArchX64UEFI, ArchX86BIOS, ArchUnknown}
	for a := range Arch(len(archs)) {
		if _, ok := a.row(); ok {
			all = append(all, a)
		}
	}
	all = slices.AppendSeq(all, maps.Keys(a.Arch))
	all = slices.AppendSeq(all, maps.Keys(b.Arch))
	unheard := ArchUnknown - 1
	for slices.Contains(all, unheard) {
		unheard--
	}
	all = append(all, unheard)
	slices.Sort(all[2:])
	return all
}
