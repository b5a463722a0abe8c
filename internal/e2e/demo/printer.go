//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// colours of the prefixes on a terminal, as ANSI numbers.
var colours = map[string]int{"pc": 36, "netbootd": 32, "site": 33, "demo": 35}

// A printer writes the lines of several speakers, each with its name in front.
type printer struct {
	mu     sync.Mutex // keeps lines whole
	w      io.Writer
	colour bool
}

func newPrinter(w io.Writer) *printer {
	f, ok := w.(*os.File)
	return &printer{w: w, colour: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

// say prints one line of a speaker.
func (p *printer) say(who, line string) {
	prefix := fmt.Sprintf("%-8s |", who)
	if p.colour {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colours[who], prefix)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.w, prefix, line)
}
