//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

var third = regexp.MustCompile(`^line (3)$`)

func TestWaitForFindsALine(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		early int // lines written before the wait begins; the rest comes after
	}{
		{"that comes later", 0},
		{"that came before", 5},
		{"between lines", 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tr := NewTranscript(nil)
			write := func(from, to int) {
				for i := from; i < to; i++ {
					fmt.Fprintf(tr, "line %d\n", i+1)
				}
			}
			write(0, tc.early)
			go write(tc.early, 5)
			m, err := tr.WaitFor(t.Context(), third)
			if err != nil {
				t.Fatal(err)
			}
			if m[1] != "3" {
				t.Errorf("the group is %q, want 3", m[1])
			}
		})
	}
}

func TestWaitForFindsAPrompt(t *testing.T) {
	t.Parallel()
	tr := NewTranscript(nil)
	fmt.Fprint(tr, "one\nlogin: ")
	if _, err := tr.WaitFor(t.Context(), regexp.MustCompile(`^login:`)); err != nil {
		t.Fatal(err)
	}
}

func TestWaitForTellsWhyALineDoesNotCome(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	ended := NewTranscript(nil)
	fmt.Fprint(ended, "panic: no memory\nlast words")
	ended.Close()

	_, err := ended.WaitFor(t.Context(), third)
	if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "panic: no memory\nlast words") {
		t.Errorf("got %v, want that it ended and its last lines", err)
	}
	if _, err := NewTranscript(nil).WaitFor(cancelled, third); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the wait was cancelled", err)
	}
}

func TestLinesAreTold(t *testing.T) {
	t.Parallel()
	var got []string
	tr := NewTranscript(func(l string) { got = append(got, l) })
	fmt.Fprint(tr, "one\r\ntw")
	fmt.Fprint(tr, "o\nthree")
	tr.Close()
	if want := "one two three"; strings.Join(got, " ") != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
