//go:build linux

// Bench measures netbootd and other TFTP servers side by side: in each round,
// each scenario is played with all servers in turn, so that whatever else
// happens on the machine meets all of them. It prints medians and ratios, and
// judges no times.
//
//	bench [-rounds N] [-scenario NAME,...] [-server NAME,...] [-quick] [-write FILE]
//
// All traffic stays in network namespaces that end with the program. It exits
// 0 when all was measured, also if a server failed at it, 130 after Ctrl-C, and
// else with 1 and the reason.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"netbootd/internal/e2e/lab"
)

// Exit codes.
const (
	exitMeasured    = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as of a program that SIGINT ended
)

// options are the command line.
type options struct {
	rounds    int
	scenarios string // names with commas; empty: all
	servers   string // likewise
	quick     bool
	write     string // file with the markers; empty: none
	netbootd  string // programs and directories
	pinserver string
	packages  string
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitMeasured
	case err != nil:
		return exitUsage
	}
	if err := lab.Enter(); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = measure(ctx, o, stdout, stderr)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "bench: interrupted; everything it started is gone")
		return exitInterrupted
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	return exitMeasured
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each scenario is played with each server")
	flags.StringVar(&o.scenarios, "scenario", "", "`names` of the scenarios to play, with commas between them (default all): "+strings.Join(names(scenarios(false), func(s scenario) string { return s.name }), ", "))
	flags.StringVar(&o.servers, "server", "", "`names` of the servers to play with, with commas between them (default all): "+strings.Join(serverNames, ", "))
	flags.BoolVar(&o.quick, "quick", false, "a tenth of the bytes and clients: shows that it works, not how fast")
	flags.StringVar(&o.write, "write", "", "`file` in which to replace the results between the markers")
	flags.StringVar(&o.netbootd, "netbootd", "build/netbootd", "netbootd's `program`")
	flags.StringVar(&o.pinserver, "pinserver", "build/pinserver", "the `program` of internal/bench/pinserver")
	flags.StringVar(&o.packages, "packages", "build/pkg", "`directory` with the unpacked packages")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1:
		err = fmt.Errorf("%d rounds: want at least 1", o.rounds)
	default:
		_, scenarioErr := chosen(o)
		_, serverErr := pick(serverNames, func(name string) string { return name }, o.servers)
		err = errors.Join(scenarioErr, serverErr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

// chosen are the scenarios that the command line names.
func chosen(o options) ([]scenario, error) {
	return pick(scenarios(o.quick), func(s scenario) string { return s.name }, o.scenarios)
}

// pick are those of all that the names, with commas between them, name: all of
// them if there are no names.
func pick[T any](all []T, nameOf func(T) string, list string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	var picked []T
	for _, name := range strings.Split(list, ",") {
		i := slices.IndexFunc(all, func(one T) bool { return nameOf(one) == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown name %q, want one of %s", name, strings.Join(names(all, nameOf), ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

func names[T any](all []T, nameOf func(T) string) []string {
	var list []string
	for _, one := range all {
		list = append(list, nameOf(one))
	}
	return list
}

// measure plays the scenarios and prints what came out. Interrupted, it prints
// nothing.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) error {
	list, err := chosen(o)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	b, err := newBench(ctx, o, list, stderr)
	if err != nil {
		return err
	}
	machine := describeMachine(ctx, o, b.servers)
	reports, err := b.play(ctx, list)
	if err != nil {
		return errors.Join(err, b.net.Close())
	}
	text := markdown(machine, reports)
	fmt.Fprint(stdout, text)
	if o.write != "" {
		err = writeBetweenMarkers(o.write, text)
	}
	return errors.Join(err, b.net.Close())
}

// openFiles is what 10,000 clients and, in some servers, two descriptors for
// each need.
const openFiles = 65536

// raiseFileLimit allows this program and the servers as many open files as they
// need, or as many as the system lets it.
func raiseFileLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	wanted := unix.Rlimit{Cur: openFiles, Max: max(openFiles, limit.Max)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &wanted) == nil {
		return nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", limit.Max, err)
	}
	return nil
}
