package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"netbootd/internal/daemon"
)

// newRunCommand is the service itself.
func newRunCommand(configFile *string, stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Serve until told to stop",
		Long: "Serve until told to stop. Without any configuration it starts with defaults and says what\n" +
			"it found; with no profile it answers nobody. It needs Linux, as simulate does; the other commands do not.\n\n" +
			"Profiles and boot loaders are read anew when a file changes, at SIGHUP, and by netbootd\nreload. SIGTERM or Ctrl-C stops: nothing is offered\n" +
			"any more, and transfers may end within [tftp] drain; a second one ends at once.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSystem(runtime.GOOS); err != nil {
				return err
			}
			return serve(cmd.Context(), *configFile, stderr)
		},
	}
}

// checkSystem is an error on systems that the service is not made for. There the
// program is for the other commands.
func checkSystem(goos string) error {
	if goos == "linux" {
		return nil
	}
	return &daemon.StartError{
		Err:  fmt.Errorf("netbootd run needs Linux, and this is %s", goos),
		Hint: "run it on a Linux host; the other commands work here",
	}
}

// serve runs the daemon until a signal ends it.
func serve(ctx context.Context, configFile string, stderr io.Writer) error {
	s, err := readService(configFile)
	if err != nil {
		return err
	}
	output := &logOutput{w: stderr}
	log := newLogger(output, s.Log)
	node, err := os.Hostname()
	if err != nil {
		return err
	}
	log.Info("netbootd is starting", "version", build().Version, "config", orNone(s.File), "profiles", s.Profiles)
	ctx, force, reload, release := signals(ctx)
	defer release()
	return daemon.Run(ctx, force, daemon.Options{
		Settings: settingsOf(s),
		Load:     func() (daemon.Settings, daemon.Plan, error) { return loadPlan(configFile) },
		Reload:   reload,
		Logger:   log,

		LogOutput: output,

		Build:  build(),
		Config: s.File,
		Node:   node,

		ProfilesDir: s.Profiles,
	})
}

// orNone is the path of the settings, for people.
func orNone(file string) string {
	if file == "" {
		return "none, defaults hold"
	}
	return file
}

// signals turns the signals of the process into what the daemon listens to: ctx
// ends with the first that asks to stop, force is closed by the second, and each
// SIGHUP gives a value on reload. release ends all that.
func signals(parent context.Context) (ctx context.Context, force <-chan struct{}, reload <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	incoming := make(chan os.Signal, 4)
	signal.Notify(incoming, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	forced, reloads := make(chan struct{}), make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		stopping := false
		for {
			select {
			case <-done:
				return
			case s := <-incoming:
				switch {
				case s == syscall.SIGHUP:
					select {
					case reloads <- struct{}{}:
					default: // one that waits reads everything anyway
					}
				case stopping:
					close(forced)
					return
				default:
					stopping = true
					cancel()
				}
			}
		}
	}()
	return ctx, forced, reloads, func() {
		signal.Stop(incoming)
		close(done)
		cancel()
	}
}
