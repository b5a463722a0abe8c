//go:build linux

package lab

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A screen turns a terminal's byte stream into lines of plain text. Firmware
// places text with cursor movements; text at another place begins another line,
// which is not how it looked but is how a person reads it. SeaBIOS moves the cursor
// to and fro in the midst of a word: what goes on where it was is the same line.
type screen struct {
	line   []byte
	cursor position // where the next character goes
	end    position // behind the last one of line
	state  escapeState
	args   []byte // of the control sequence being read
}

// A position is one on the terminal, counted from 1; the zero value is not known.
type position struct{ row, col int }

type escapeState uint8

const (
	plain   escapeState = iota
	escape              // after ESC
	control             // in ESC [ ... letter
	charset             // after ESC ( or ): one byte follows
	title               // in ESC ] ... BEL
)

// feed takes bytes and returns the lines they complete. Empty lines, of which
// firmware prints many while it paints, are dropped.
func (s *screen) feed(b []byte) (lines []string) {
	for _, c := range b {
		if s.ends(c) {
			lines = append(lines, s.flush()...)
		}
		s.step(c)
	}
	return lines
}

// ends reports whether the line is complete before a byte: at its end, where text
// stands elsewhere, and where the cursor moves to another line (CUU A, CUD B) or the
// screen is cleared (ED J).
func (s *screen) ends(c byte) bool {
	switch s.state {
	case plain:
		return c == '\n' || isText(c) && s.cursor != s.end
	case control:
		return strings.IndexByte("ABJ", c) >= 0
	}
	return false
}

func isText(c byte) bool { return c == '\t' || c >= ' ' && c != 0x7f }

// flush ends the line being built.
func (s *screen) flush() []string {
	l := s.partial()
	s.line = s.line[:0]
	if l == "" {
		return nil
	}
	return []string{l}
}

// partial is the line being built.
func (s *screen) partial() string { return strings.TrimRight(string(s.line), " ") }

// step takes one byte.
func (s *screen) step(c byte) {
	switch s.state {
	case plain:
		s.text(c)
	case escape:
		s.afterEscape(c)
	case control:
		if c < 0x40 || c > 0x7e {
			s.args = append(s.args, c)
			return
		}
		s.state = plain
		s.move(c)
	case charset:
		s.state = plain
	case title:
		if c == '\a' {
			s.state = plain
		}
	}
}

func (s *screen) text(c byte) {
	switch {
	case c == 0x1b:
		s.state = escape
	case c == '\b':
		s.line = s.line[:max(0, len(s.line)-1)]
		s.lose()
	case isText(c):
		s.line = append(s.line, c)
		if s.cursor.row > 0 && utf8.RuneStart(c) {
			s.cursor.col++
		}
		s.end = s.cursor
	case c == '\n', c == '\r':
		s.lose()
	}
}

func (s *screen) afterEscape(c byte) {
	s.args = s.args[:0]
	switch c {
	case '[':
		s.state = control
	case '(', ')':
		s.state = charset
	case ']':
		s.state = title
	default:
		s.state = plain
	}
}

// move follows a control sequence: CUP (H, f) says where the cursor goes. After any
// other that moves it (CUU A to CHA G, ED J, VPA d) that is not known.
func (s *screen) move(final byte) {
	switch {
	case final == 'H' || final == 'f':
		row, col, _ := strings.Cut(string(s.args), ";")
		s.cursor = position{coordinate(row), coordinate(col)}
	case strings.IndexByte("ABCDEFGJd", final) >= 0:
		s.lose()
	}
}

// coordinate is a number of a control sequence; 1 if it is left out.
func coordinate(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1
	}
	return n
}

// lose forgets where the cursor is. What comes next goes on with the line.
func (s *screen) lose() { s.cursor, s.end = position{}, position{} }
