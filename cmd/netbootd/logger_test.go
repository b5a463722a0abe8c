package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/internal/config"
)

// writes are the system calls that lines took.
type writes []string

func (w *writes) Write(b []byte) (int, error) {
	*w = append(*w, string(b))
	return len(b), nil
}

func TestLogLinesThatAreHeldBackAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	var w writes
	out := &logOutput{w: &w}
	log := newLogger(out, config.Log{Format: config.LogJSON})
	say := func(text string) { log.Info(text) }
	say("a")
	out.Hold()
	out.Release() // nothing to write
	out.Hold()
	say("b")
	out.Hold() // somebody else
	say("c")
	out.Release()
	say("d")
	out.Release()
	say("e")
	var got []string
	for _, text := range w {
		letters := ""
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			_, rest, _ := strings.Cut(line, `"msg":"`)
			letters += rest[:1]
		}
		got = append(got, letters)
	}
	if diff := cmp.Diff([]string{"a", "bc", "d", "e"}, got); diff != "" {
		t.Errorf("lines of each write (-want +got):\n%s", diff)
	}
}
