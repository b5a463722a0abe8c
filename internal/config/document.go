package config

import (
	"bytes"
	"fmt"
	"sort"
	"unicode/utf8"
)

// maxFileBytes is far more than any sensible file needs. It keeps a disk image
// that was copied into profiles.d by mistake out of memory.
const maxFileBytes = 1 << 20

// A document is a file that is being read, and what is wrong with it so far.
type document struct {
	file     string
	src      []byte // without a byte order mark
	lines    []int  // offset of the first byte of each line
	problems Problems

	// broken tells that the tree does not hold all that was meant: there was a
	// syntax error or an unknown key. Something that is missing may then stand
	// there misspelt, so nobody should complain of it.
	broken bool
}

func newDocument(file string, src []byte) *document {
	d := &document{file: file, src: bytes.TrimPrefix(src, []byte("\ufeff")), lines: []int{0}}
	for i, c := range d.src {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	return d
}

// place is the line and column of an offset, both from 1.
func (d *document) place(offset int) (line, column int) {
	line = sort.SearchInts(d.lines, offset+1)
	return line, utf8.RuneCount(d.src[d.lines[line-1]:offset]) + 1
}

// problemf adds a problem at an offset.
func (d *document) problemf(offset int, format string, args ...any) {
	line, column := d.place(offset)
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

// filef adds a problem of the file as a whole.
func (d *document) filef(format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Text: fmt.Sprintf(format, args...)})
}

// hintf says what to do about the problem added last.
func (d *document) hintf(format string, args ...any) {
	d.problems[len(d.problems)-1].Hint = fmt.Sprintf(format, args...)
}

// maxQuoted is how much of a value a problem repeats, in bytes.
const maxQuoted = 80

// quote is s as it appears in a problem: in quotes, on one line, not too long.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return fmt.Sprintf("%q", s)
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%q", s[:end]+"…")
}
