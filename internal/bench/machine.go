//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// describeMachine tells when and where the measurement is made, and of what.
func describeMachine(ctx context.Context, o options, servers []server) string {
	parts := []string{
		time.Now().UTC().Format(time.DateOnly),
		fmt.Sprintf("%d x %s", runtime.NumCPU(), processor()),
		"Linux " + kernel(),
		runtime.Version(),
	}
	for _, s := range servers {
		if s.ask == "" {
			parts = append(parts, s.name+" "+moduleVersion(s.program, "github.com/pin/tftp/v3"))
			continue
		}
		parts = append(parts, s.version(ctx))
	}
	rounds := fmt.Sprintf("Medians of %d rounds", o.rounds)
	if o.rounds == 1 {
		rounds = "A single round"
	}
	return rounds + ", " + strings.Join(parts, ", ") + "."
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "(unknown)"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func processor() string {
	const unknown = "processor (unknown)"
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return unknown
	}
	info, err := fs.CPUInfo()
	if err != nil || len(info) == 0 || info[0].ModelName == "" {
		return unknown
	}
	return info[0].ModelName
}

// moduleVersion is the version of a module that a Go program was built with.
func moduleVersion(program, module string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "(version unknown)"
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return "(version unknown)"
}
