//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// ErrEnded says that what is waited for cannot come any more, because the
// program or the machine has ended.
var ErrEnded = errors.New("it has ended")

// A MissingError says that a line did not come.
type MissingError struct {
	Want *regexp.Regexp
	Err  error  // ErrEnded, or the context's
	Last string // the last lines that did come
}

// Error names the line and shows the last ones.
func (e *MissingError) Error() string {
	return fmt.Sprintf("no line like %q: %v; the last lines were:\n%s", e.Want, e.Err, e.Last)
}

// Unwrap is why it did not come.
func (e *MissingError) Unwrap() error { return e.Err }

// A Transcript keeps what a program or a machine's console has printed, line
// by line, without terminal control sequences. It is an io.Writer for the
// source and may be read while the source writes.
type Transcript struct {
	onLine func(string) // called for each complete line, without lock; may be nil

	mu      sync.Mutex // guards what follows
	screen  screen
	lines   []string
	changed chan struct{} // closed at each change, then replaced
	closed  bool
}

// NewTranscript returns an empty transcript. onLine, if not nil, is called in
// order with each line as it ends, from the writing goroutine.
func NewTranscript(onLine func(string)) *Transcript {
	return &Transcript{onLine: onLine, changed: make(chan struct{})}
}

// Write adds to the transcript; it never fails.
func (t *Transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	fresh := t.screen.feed(b)
	t.append(fresh)
	t.mu.Unlock()
	t.tell(fresh)
	return len(b), nil
}

// Close says that nothing more will come. A last line without an end counts.
func (t *Transcript) Close() {
	t.mu.Lock()
	rest := t.screen.flush()
	t.closed = true
	t.append(rest)
	t.mu.Unlock()
	t.tell(rest)
}

// append adds lines and wakes those who wait; the caller holds mu.
func (t *Transcript) append(lines []string) {
	t.lines = append(t.lines, lines...)
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Transcript) tell(lines []string) {
	if t.onLine == nil {
		return
	}
	for _, l := range lines {
		t.onLine(l)
	}
}

// Lines returns the complete lines so far.
func (t *Transcript) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines[:len(t.lines):len(t.lines)]
}

// Tail is the last n lines as one text, with an unfinished last line.
func (t *Transcript) Tail(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.lines[max(0, len(t.lines)-n):]
	if part := t.screen.partial(); part != "" {
		last = append(last[:len(last):len(last)], part)
	}
	return strings.Join(last, "\n")
}

// WaitFor blocks until a line matches want, also a line that is not yet
// complete such as a prompt, or one from before the call. It returns the match
// and its groups, or a *[MissingError].
func (t *Transcript) WaitFor(ctx context.Context, want *regexp.Regexp) ([]string, error) {
	for seen := 0; ; {
		t.mu.Lock()
		lines, part, changed, closed := t.lines[seen:], t.screen.partial(), t.changed, t.closed
		t.mu.Unlock()
		for _, l := range lines {
			if m := want.FindStringSubmatch(l); m != nil {
				return m, nil
			}
		}
		seen += len(lines)
		if m := want.FindStringSubmatch(part); m != nil {
			return m, nil
		}
		if closed {
			return nil, t.missing(want, ErrEnded)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, t.missing(want, ctx.Err())
		}
	}
}

func (t *Transcript) missing(want *regexp.Regexp, why error) error {
	return &MissingError{Want: want, Err: why, Last: t.Tail(30)}
}
