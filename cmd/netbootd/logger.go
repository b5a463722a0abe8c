package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"netbootd/internal/config"
)

// newLogger writes log lines to w: coloured and short for a person at a terminal,
// key=value or JSON for everything else. The journal has the time of each line
// already, so there it is left out.
func newLogger(w *logOutput, l config.Log) *slog.Logger {
	terminal := w.isTerminal()
	o := &slog.HandlerOptions{Level: l.Level}
	if os.Getenv("JOURNAL_STREAM") != "" && !terminal {
		o.ReplaceAttr = withoutTime
	}
	switch {
	case l.Format == config.LogJSON:
		return slog.New(slog.NewJSONHandler(w, o))
	case l.Format == config.LogAuto && terminal:
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: l.Level, TimeFormat: "15:04:05.000"}))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// withoutTime drops the time of a log line.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// A logOutput writes log lines. While somebody holds them back they are kept, in
// their order, and then written all at once. It is safe for concurrent use.
type logOutput struct {
	w io.Writer

	mu    sync.Mutex // guards what follows; lines are written under it
	holds int
	kept  []byte
}

// Hold has lines kept until Release.
func (o *logOutput) Hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holds++
}

// Release writes what was kept, also if somebody else still holds lines back: two
// in turn would otherwise keep them for ever.
func (o *logOutput) Release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holds--; len(o.kept) == 0 {
		return
	}
	_, _ = o.w.Write(o.kept) // a log that cannot be written cannot be told of either
	o.kept = o.kept[:0]
}

// Write writes or keeps lines.
func (o *logOutput) Write(lines []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holds == 0 {
		return o.w.Write(lines)
	}
	o.kept = append(o.kept, lines...)
	return len(lines), nil
}

func (o *logOutput) isTerminal() bool { return isTerminal(o.w) }

// isTerminal tells whether somebody looks at what is written.
func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}
