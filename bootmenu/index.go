package bootmenu

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
)

// An index finds the profile that matches a machine most narrowly without a look
// at each of them. A profile stands in the lists of the values of one of its
// fields: the field whose values it shares with the fewest others.
type index struct {
	texts   [textFields]beginnings
	subnets map[netip.Prefix]*list
	lengths []int // of the prefixes in subnets
	archs   map[Arch]*list
	rest    list // what has no field to go by
}

// beginnings are lists by what a text begins with: by all of it for a pattern
// without stars.
type beginnings struct {
	lists   map[string]*list
	lengths []int // of their keys, the shortest first
}

// A list begins with what can match most narrowly, so that a look at it ends where
// nothing better can follow.
type list struct {
	shared   int // how many profiles have this value, in the list or not
	profiles []ranked
}

// ranked is a profile and how narrowly it can match at best.
type ranked struct {
	matched
	bound specificity
}

func newIndex(profiles []matched) *index {
	x := &index{subnets: make(map[netip.Prefix]*list), archs: make(map[Arch]*list)}
	for f := range x.texts {
		x.texts[f].lists = make(map[string]*list)
	}
	all := make([]ranked, len(profiles))
	places := make(map[*Profile][][]*list)
	for i, p := range profiles {
		all[i] = ranked{p, p.Match.bound()}
		places[p.Profile] = x.places(p.Match)
	}
	slices.SortFunc(all, func(a, b ranked) int { return narrower(a.atBest(), b.atBest()) })
	for _, p := range all {
		for _, l := range slices.MinFunc(places[p.Profile], func(a, b []*list) int { return mostShared(a) - mostShared(b) }) {
			l.profiles = append(l.profiles, p)
		}
	}
	x.tidy()
	return x
}

// places are the lists that a profile could stand in, for each field that it can
// be found by.
func (x *index) places(mt *Match) (places [][]*list) {
	add := func(lists []*list) {
		for _, l := range lists {
			l.shared++
		}
		if lists != nil {
			places = append(places, lists)
		}
	}
	for f := range textFields {
		add(x.texts[f].of(mt.patterns(f)))
	}
	var prefixes []netip.Prefix
	for _, p := range mt.Subnet {
		prefixes = append(prefixes, p.Masked())
	}
	add(listsOf(x.subnets, prefixes))
	add(listsOf(x.archs, mt.Arch))
	add([]*list{&x.rest})
	return places
}

// of are the lists of what each pattern begins with; none if one of them may begin
// with anything.
func (b *beginnings) of(patterns []Pattern) []*list {
	var keys []string
	for _, p := range patterns {
		key := p.beginning()
		if key == "" {
			return nil
		}
		keys = append(keys, key)
	}
	return listsOf(b.lists, keys)
}

// listsOf are the lists of some keys, made where there are none, each but once.
func listsOf[K comparable](lists map[K]*list, keys []K) (found []*list) {
	for _, key := range keys {
		l := lists[key]
		if l == nil {
			l = &list{}
			lists[key] = l
		}
		if !slices.Contains(found, l) {
			found = append(found, l)
		}
	}
	return found
}

// mostShared is how many profiles share the value that most of them do.
func mostShared(lists []*list) int {
	most := 0
	for _, l := range lists {
		most = max(most, l.shared)
	}
	return most
}

// tidy forgets the lists that nobody stands in.
func (x *index) tidy() {
	for f := range x.texts {
		b := &x.texts[f]
		dropEmpty(b.lists)
		b.lengths = distinct(b.lists, func(key string) int { return len(key) })
	}
	dropEmpty(x.subnets)
	dropEmpty(x.archs)
	x.lengths = distinct(x.subnets, netip.Prefix.Bits)
}

func dropEmpty[K comparable](lists map[K]*list) {
	maps.DeleteFunc(lists, func(_ K, l *list) bool { return len(l.profiles) == 0 })
}

// distinct are the lengths of the keys, the shortest first.
func distinct[K comparable](lists map[K]*list, length func(K) int) []int {
	seen := make(map[int]bool)
	for key := range lists {
		seen[length(key)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// listsFor are all lists that have a profile which may match a machine.
func (x *index) listsFor(t *told) iter.Seq[*list] {
	return func(yield func(*list) bool) {
		for f := range textFields {
			if len(x.texts[f].lengths) == 0 {
				continue // nobody stands here: its texts need not be written
			}
			for _, text := range t.texts(f) {
				for _, n := range x.texts[f].lengths {
					if n > len(text) {
						break
					}
					if l := x.texts[f].lists[text[:n]]; l != nil && !yield(l) {
						return
					}
				}
			}
		}
		for _, n := range x.lengths {
			p, err := t.Addr.Prefix(n)
			if l := x.subnets[p]; err == nil && l != nil && !yield(l) {
				return
			}
		}
		if l := x.archs[t.Arch]; l != nil && !yield(l) {
			return
		}
		yield(&x.rest)
	}
}

// find is the profile that matches m most narrowly and has something for it to
// boot.
func (x *index) find(m Machine) (best matched, ok bool) {
	t := tellOf(m)
	var found candidate
	for l := range x.listsFor(t) {
		found, ok = l.better(t, found, ok)
	}
	return found.profile, ok
}

// better is the candidate found before, if there is one, or what of the list is
// better.
func (l *list) better(t *told, found candidate, ok bool) (candidate, bool) {
	for i := range l.profiles {
		p := &l.profiles[i]
		if ok && narrower(found, p.atBest()) <= 0 {
			break
		}
		spec, matches := p.Match.match(t)
		c := candidate{p.matched, spec}
		if matches && (!ok || narrower(c, found) < 0) && p.BootFor(t.Machine).Bootable(t.Arch) {
			found, ok = c, true
		}
	}
	return found, ok
}

// atBest is p as a candidate that nothing could be narrower than.
func (p *ranked) atBest() candidate { return candidate{p.matched, p.bound} }
