package daemon

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"netbootd/bootmenu"
)

// settle is the profiles of a plan so that none is in conflict with another.
// inForce are the versions that are in force now, by name: what stays as it is
// stands above what is new, and of two that are new the first by name wins. A
// profile that is refused, or whose file is broken, keeps its version in force, as
// long as that leaves no conflict either.
func (p Plan) settle(inForce map[string]*bootmenu.Profile) map[string]*profile {
	next := make(map[string]*profile)
	for name, problems := range p.Broken {
		next[name] = &profile{Profile: inForce[name], problems: slices.Clone(problems)}
	}
	for _, planned := range p.Profiles {
		next[planned.Name] = &profile{Profile: planned}
	}
	var stay, changed []*bootmenu.Profile
	for _, name := range slices.Sorted(maps.Keys(next)) {
		switch now := next[name].Profile; {
		case now == nil:
		case now == inForce[name] || reflect.DeepEqual(now, inForce[name]):
			stay = append(stay, now)
		default:
			changed = append(changed, now)
		}
	}
	kept, refused := p.refuse(next, append(stay, changed...))
	var fallbacks []*bootmenu.Profile
	for _, name := range refused {
		if next[name].Profile = inForce[name]; inForce[name] != nil {
			fallbacks = append(fallbacks, inForce[name])
		}
	}
	_, refused = p.refuse(next, append(kept, fallbacks...))
	for _, name := range refused {
		next[name].Profile = nil
	}
	return next
}

// refuse notes which of the profiles, in that order, are in conflict with one
// before them.
func (p Plan) refuse(next map[string]*profile, profiles []*bootmenu.Profile) (kept []*bootmenu.Profile, refused []string) {
	for _, c := range bootmenu.Conflicts(profiles) {
		line := fmt.Sprintf("%s: %s; %s", p.file(c.Refused), c.Text(p.file(c.Kept)), c.Hint())
		next[c.Refused].problems = append(next[c.Refused].problems, line)
		refused = append(refused, c.Refused)
	}
	kept = slices.DeleteFunc(profiles, func(p *bootmenu.Profile) bool { return slices.Contains(refused, p.Name) })
	return kept, refused
}

// file is the file of a profile.
func (p Plan) file(name string) string { return path.Join(p.Dir, name+".toml") }

// settled is the plan as a daemon takes it up that has none in force yet.
func (p Plan) settled() Plan {
	s := Plan{Broken: make(map[string][]string), Dir: p.Dir}
	next := p.settle(nil)
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if next[name].Profile != nil {
			s.Profiles = append(s.Profiles, next[name].Profile)
		} else {
			s.Broken[name] = next[name].problems
		}
	}
	return s
}
