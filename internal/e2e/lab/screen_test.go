//go:build linux

package lab

import (
	"slices"
	"testing"
)

func TestScreenMakesLines(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		input string
		want  []string
		rest  string
	}{
		{name: "plain lines end with CR LF", input: "one\r\ntwo\r\n", want: []string{"one", "two"}},
		{name: "colours are dropped", input: "\x1b[1m\x1b[31mred\x1b[0m text\n", want: []string{"red text"}},
		{name: "a cursor movement ends the line", input: "\x1b[2J\x1b[01;01HBdsDxe: loading\x1b[02;01Hnext", want: []string{"BdsDxe: loading"}, rest: "next"},
		{name: "a movement to where the cursor is ends nothing", input: "\x1b[06;03H En\x1b[06;05H\x1b[06;06Htry │\x1b[6;11H2\x1b[07;03Hnext", want: []string{" Entry │2"}, rest: "next"},
		{name: "a movement within the line ends it", input: "\x1b[6;3HEntry\x1b[6;20H2\n", want: []string{"Entry", "2"}},
		{name: "a movement to the next line ends it", input: "\x1b[6;3Hone\r\ntwo\x1b[7;1Hthree\x1b[8;1H\n", want: []string{"one", "two", "three"}},
		{name: "a cleared screen ends the line", input: "\x1b[6;3Hone\x1b[2J\x1b[6;6Htwo\n", want: []string{"one", "two"}},
		{name: "empty lines are dropped", input: "\n  \n\x1b[5;1H\n", want: nil},
		{name: "backspace takes back", input: "ok?\b!\n", want: []string{"ok!"}},
		{name: "character sets and titles are dropped", input: "\x1b(Ba\x1b]0;title\ab\n", want: []string{"ab"}},
		{name: "a prompt is not a line yet", input: "login: ", rest: "login:"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// One byte at a time, as a serial line may deliver them.
			var s screen
			var got []string
			for i := range len(tc.input) {
				got = append(got, s.feed([]byte{tc.input[i]})...)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("lines are %q, want %q", got, tc.want)
			}
			if got := s.partial(); got != tc.rest {
				t.Errorf("the unfinished line is %q, want %q", got, tc.rest)
			}
		})
	}
}
