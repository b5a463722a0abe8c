package config

import (
	"slices"
	"strings"

	"netbootd/internal/spelling"
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
		distance := spelling.Distance(got, fold(c))
		for rest := fold(c); strings.Contains(rest, "_"); {
			_, rest, _ = strings.Cut(rest, "_")
			// One more than the distance: the whole name is always preferred.
			distance = min(distance, spelling.Distance(got, rest)+1)
		}
		if distance < bestDistance {
			best, bestDistance = c, distance
		}
	}
	return best
}

// fold takes away the differences that people make without thinking.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// either is a list of alternatives in words: "debug, info or warn".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(slices.Clone(words[:last]), ", ") + " or " + words[last]
}
