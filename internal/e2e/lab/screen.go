//go:build linux

package lab

import "strings"

// A screen turns a terminal's byte stream into lines of plain text. Firmware
// places text with cursor movements; each movement to another place ends the
// line, which is not how it looked but is how a person reads it.
type screen struct {
	line  []byte
	state escapeState
	args  []byte // of the control sequence being read
}

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
		if s.step(c) {
			lines = append(lines, s.flush()...)
		}
	}
	return lines
}

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

// step takes one byte and reports whether it ends the line.
func (s *screen) step(c byte) bool {
	switch s.state {
	case plain:
		return s.text(c)
	case escape:
		s.afterEscape(c)
	case control:
		if c < 0x40 || c > 0x7e {
			s.args = append(s.args, c)
			return false
		}
		s.state = plain
		return s.moved(c)
	case charset:
		s.state = plain
	case title:
		if c == '\a' {
			s.state = plain
		}
	}
	return false
}

func (s *screen) text(c byte) bool {
	switch {
	case c == '\n':
		return true
	case c == 0x1b:
		s.state = escape
	case c == '\b':
		s.line = s.line[:max(0, len(s.line)-1)]
	case c == '\t' || c >= ' ' && c != 0x7f:
		s.line = append(s.line, c)
	}
	return false
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

// moved reports whether a control sequence took the cursor to another line or
// cleared the screen: CUP (H, f), CUU and CUD (A, B), ED (J).
func (s *screen) moved(final byte) bool {
	return strings.IndexByte("HfABJ", final) >= 0
}
