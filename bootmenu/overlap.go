package bootmenu

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// An overlap is what two lists of patterns have in common: a text that both match
// equally narrowly.
type overlap struct {
	text    string // empty if it needs none: both lists are empty
	none    bool   // there is no such text
	unknown bool   // it took too long to tell
}

// maxOverlapStates bounds a search for a text, in steps.
const maxOverlapStates = 5_000

// overlapOf finds a text of one of the shapes that the narrowest pattern of a and
// the narrowest of b match with as many characters. An empty list matches
// anything, with none. Shapes that stand first are preferred.
func overlapOf(a, b []Pattern, shapes []shape) overlap {
	if len(a) == 0 && len(b) == 0 {
		return overlap{}
	}
	if !sameLength(a, b) {
		return overlap{none: true}
	}
	for _, plain := range [][]Pattern{a, b} {
		if len(plain) > 0 && !slices.ContainsFunc(plain, func(p Pattern) bool { return strings.Contains(p.text, "*") }) {
			return overlapOfTexts(plain, a, b, shapes)
		}
	}
	found := overlap{none: true}
	for _, s := range shapes {
		text, ok, ended := newOverlapSearch(a, b, s).run()
		switch {
		case ok:
			return overlap{text: text}
		case !ended:
			found = overlap{unknown: true}
		}
	}
	return found
}

// sameLength tells whether a pattern of a has as many characters as one of b.
func sameLength(a, b []Pattern) bool {
	lengths := func(patterns []Pattern) (lengths []int) {
		for _, p := range patterns {
			lengths = append(lengths, p.literal())
		}
		if patterns == nil {
			lengths = []int{0}
		}
		return lengths
	}
	of := lengths(b)
	return slices.ContainsFunc(lengths(a), func(n int) bool { return slices.Contains(of, n) })
}

// overlapOfTexts looks for the text among patterns without stars.
func overlapOfTexts(texts, a, b []Pattern, shapes []shape) overlap {
	for _, t := range texts {
		if isShaped(t.text, shapes) && rankText(a, t.text) == rankText(b, t.text) {
			return overlap{text: t.text}
		}
	}
	return overlap{none: true}
}

// rankText is how many characters the narrowest pattern has that matches; -1 if
// none does.
func rankText(patterns []Pattern, text string) int {
	if len(patterns) == 0 {
		return 0
	}
	p, _, ok := narrowest(patterns, []string{text})
	if !ok {
		return -1
	}
	return p.literal()
}

// A shape is what texts of a field look like, as an automaton. State 0 is that of
// the empty text.
type shape struct {
	alphabet string // its characters; empty: any
	step     func(state int, r rune) (next int, ok bool)
	complete func(state int) bool // a text may end here
}

const hexDigits = "0123456789abcdef"

// anyText is every text but the empty one.
var anyText = shape{
	step:     func(int, rune) (int, bool) { return 1, true },
	complete: func(state int) bool { return state == 1 },
}

// macShape is the text of a MAC address of some bytes. Its state is the length.
func macShape(bytes ...int) shape {
	return shape{
		alphabet: hexDigits + ":",
		step: func(state int, r rune) (int, bool) {
			return state + 1, state < 3*slices.Max(bytes)-1 && (r == ':') == (state%3 == 2)
		},
		complete: func(state int) bool { return state%3 == 2 && slices.Contains(bytes, state/3+1) },
	}
}

// idShape is the text of a machine identifier. Its state is twice the length, and
// one if a digit was not 0: an identifier of nothing but zeros is none.
var idShape = shape{
	alphabet: hexDigits + "-",
	step: func(state int, r rune) (int, bool) {
		at, told := state/2, state%2
		if r != '0' && r != '-' {
			told = 1
		}
		isDash := at == 8 || at == 13 || at == 18 || at == 23
		return 2*(at+1) + told, at < idTextLen && (r == '-') == isDash
	},
	complete: func(state int) bool { return state == 2*idTextLen+1 },
}

// shapesOf are the shapes of each field's texts, the usual ones first.
var shapesOf = [textFields][]shape{
	fieldID: {idShape}, fieldSerial: {anyText}, fieldUserClass: {anyText}, fieldVendorClass: {anyText}, fieldInterface: {anyText},
	fieldMAC: {macShape(6), macShape(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)},
}

// isShaped tells whether a text has one of the shapes.
func isShaped(text string, shapes []shape) bool {
	return slices.ContainsFunc(shapes, func(s shape) bool {
		state := 0
		for _, r := range text {
			next, ok := s.step(state, r)
			if !ok {
				return false
			}
			state = next
		}
		return s.complete(state)
	})
}

// An overlapSearch goes through all texts of a shape at once, the shortest first:
// texts that reach the same places in all patterns are alike for what may follow.
type overlapSearch struct {
	shape    shape
	alphabet []rune
	a, b     []Pattern
	globs    [][]rune // of the patterns of a, then of b
}

// An overlapState stands for all texts that are alike.
type overlapState struct {
	shape  int
	places []string // in each glob: a byte for each place, 1 if the text reaches it
	text   string   // one of them
}

func newOverlapSearch(a, b []Pattern, s shape) *overlapSearch {
	search := &overlapSearch{shape: s, a: a, b: b, alphabet: []rune(s.alphabet)}
	used := ""
	for _, p := range slices.Concat(a, b) {
		search.globs = append(search.globs, []rune(p.text))
		used += p.text
	}
	if s.alphabet != "" {
		return search
	}
	for _, r := range used {
		if r != '*' && !slices.Contains(search.alphabet, r) {
			search.alphabet = append(search.alphabet, r)
		}
	}
	other := 'x' // stands for all that no pattern has
	for strings.ContainsRune(used, other) || unicode.ToLower(other) != other {
		other++
	}
	search.alphabet = append(search.alphabet, other)
	return search
}

// run is a text that both lists match equally narrowly; ok tells whether there is
// one. ended is false if the search was given up.
func (s *overlapSearch) run() (text string, ok, ended bool) {
	start := overlapState{}
	for _, g := range s.globs {
		start.places = append(start.places, skipStars(g, append([]byte{1}, make([]byte, len(g))...)))
	}
	seen := map[string]bool{}
	for queue := []overlapState{start}; len(queue) > 0; queue = queue[1:] {
		if s.matchesAlike(queue[0]) {
			return queue[0].text, true, true
		}
		for _, next := range s.after(queue[0]) {
			key := strconv.Itoa(next.shape) + strings.Join(next.places, "")
			if seen[key] {
				continue
			}
			if len(seen) == maxOverlapStates {
				return "", false, false
			}
			seen[key] = true
			queue = append(queue, next)
		}
	}
	return "", false, true
}

// matchesAlike tells whether the narrowest pattern of a that matches the text has
// as many characters as the narrowest of b.
func (s *overlapSearch) matchesAlike(at overlapState) bool {
	rank := func(patterns []Pattern, places []string) int {
		best := -1
		for i, p := range patterns {
			if places[i][len(places[i])-1] == 1 {
				best = max(best, p.literal())
			}
		}
		if len(patterns) == 0 {
			best = 0
		}
		return best
	}
	r := rank(s.a, at.places[:len(s.a)])
	return s.shape.complete(at.shape) && r >= 0 && r == rank(s.b, at.places[len(s.a):])
}

// after are the states one character on, but for those in which no pattern of one
// of the lists can match any more.
func (s *overlapSearch) after(at overlapState) (states []overlapState) {
	for _, r := range s.alphabet {
		shape, ok := s.shape.step(at.shape, r)
		if !ok {
			continue
		}
		next := overlapState{shape: shape, text: at.text + string(r)}
		for i, g := range s.globs {
			next.places = append(next.places, follow(g, at.places[i], r))
		}
		if s.alive(next.places[:len(s.a)]) && s.alive(next.places[len(s.a):]) {
			states = append(states, next)
		}
	}
	return states
}

// alive tells whether a pattern may still match, or there is none.
func (s *overlapSearch) alive(places []string) bool {
	return len(places) == 0 || slices.ContainsFunc(places, func(p string) bool { return strings.Contains(p, "\x01") })
}

// follow are the places of a glob that are reached after one more character.
func follow(glob []rune, places string, r rune) string {
	next := make([]byte, len(places))
	for i, g := range glob {
		switch {
		case places[i] == 0:
		case g == '*':
			next[i] = 1
		case g == r:
			next[i+1] = 1
		}
	}
	return skipStars(glob, next)
}

// skipStars adds the places that are reached by stars that stand for nothing.
func skipStars(glob []rune, places []byte) string {
	for i, g := range glob {
		if g == '*' && places[i] == 1 {
			places[i+1] = 1
		}
	}
	return string(places)
}
