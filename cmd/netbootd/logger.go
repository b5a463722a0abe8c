package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"netbootd/internal/config"
)

// newLogger writes log lines to w: coloured and short for a person at a terminal,
// key=value or JSON for everything else. The journal has the time of each line
// already, so there it is left out.
func newLogger(w io.Writer, l config.Log) *slog.Logger {
	f, isFile := w.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
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
