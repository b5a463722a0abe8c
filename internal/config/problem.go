package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one mistake in one file, in words for the person who wrote it.
type Problem struct {
	File   string // as it was given to the parser
	Line   int    // from 1; 0 if the problem is not at one place in the file
	Column int    // in characters, from 1; 0 if Line is 0
	Text   string // one line, lower case, no full stop
	Hint   string // what to do next, one line; often empty
}

// String is the problem in one line, without the hint:
// "profiles.d/rpi4.toml:14:11: blksize 70000 is out of range, want 8 to 65464".
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems are what is wrong with a file, ordered by place. None means that the
// file is good.
//
// Problems is an error, but a nil Problems in a variable of type error is not
// nil: compare with len, or use [Problems.Err].
type Problems []Problem

// Err is ps as an error: nil if there are no problems.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Error is the same as String.
func (ps Problems) Error() string { return ps.String() }

// String is one line for each problem, with no line break at the end. Hints
// stand in lines of their own, "hint: ...", below their problem.
func (ps Problems) String() string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, p.String())
		if p.Hint != "" {
			lines = append(lines, "hint: "+p.Hint)
		}
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
