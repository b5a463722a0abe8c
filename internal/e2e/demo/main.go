//go:build linux

// Demo shows netbootd at work: in a virtual network with a site's DHCP server
// it starts netbootd, powers on a virtual PC without a disk, and prints side by
// side what the PC's console and netbootd say, until Linux runs on the PC.
//
//	demo [-firmware bios|uefi] [-netbootd FILE] [-profile FILE]
//
// It exits 0 when Linux is up, 130 after Ctrl-C, and else with 1 and the
// reason. Nothing of it is left behind, however it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"netbootd/internal/e2e/lab"
)

// bound ends a demo that gets stuck. A boot takes half a minute; a slow and
// busy machine may need several times that.
const bound = 5 * time.Minute

// Exit codes.
const (
	exitBooted      = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as of a program that SIGINT ended
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	firmware := lab.BIOSiPXE
	flags.Func("firmware", "what the virtual PC starts with: `bios` or uefi (default bios)", func(s string) error {
		var err error
		firmware, err = parseFirmware(s)
		return err
	})
	bin := flags.String("netbootd", "build/netbootd", "the netbootd `file` that is shown")
	profile := flags.String("profile", "examples/profiles.d/debian-installer.toml", "the profile `file` that it boots the PC by")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitBooted
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "demo: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	if err := enter(); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return exitFailed
	}
	interrupted, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, bound)
	defer cancel()
	s := &stage{out: newPrinter(stdout), bin: *bin, profile: *profile}
	err := s.show(ctx, firmware)
	if interrupted.Err() != nil {
		fmt.Fprintln(stderr, "demo: interrupted; everything it started is gone")
		return exitInterrupted
	}
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return exitFailed
	}
	return exitBooted
}

func parseFirmware(s string) (lab.Firmware, error) {
	switch s {
	case "bios":
		return lab.BIOSiPXE, nil
	case "uefi":
		return lab.UEFI, nil
	}
	return 0, errors.New("want bios or uefi")
}

// enter moves the demo into the lab, once everything it needs is here.
func enter() error {
	if !lab.Inside() {
		if err := lab.RequirePCs(); err != nil {
			return err
		}
	}
	return lab.Enter()
}
