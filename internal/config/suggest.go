package config

import (
	"slices"
	"strings"
)

// didYouMean is the end of a problem that names the candidate most like got, or
// empty if none is like it.
func didYouMean(got string, candidates []string) string {
	if best := nearest(got, candidates); best != "" {
		return ", did you mean " + quote(best) + "?"
	}
	return ""
}

// nearest is the candidate that got was most likely meant to be, or empty. A
// candidate may also be known by its end, so that "blocksize" finds
// "max_blksize".
func nearest(got string, candidates []string) string {
	const longest = 64 // no key is longer; the distance takes time
	got = fold(got)
	if len(got) > longest {
		return ""
	}
	best, bestDistance := "", max(1, len(got)/3)+1
	for _, c := range candidates {
		distance := editDistance(got, fold(c))
		for rest := fold(c); strings.Contains(rest, "_"); {
			_, rest, _ = strings.Cut(rest, "_")
			// One more than the distance: the whole name is always preferred.
			distance = min(distance, editDistance(got, rest)+1)
		}
		if distance < bestDistance {
			best, bestDistance = c, distance
		}
	}
	return best
}

// fold takes away the differences that people make without thinking.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// editDistance is how many characters must be inserted, removed, replaced or
// swapped with their neighbour to make b of a.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int // the row before last
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// either is a list of alternatives in words: "debug, info or warn".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(slices.Clone(words[:last]), ", ") + " or " + words[last]
}
