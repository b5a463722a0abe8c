package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newStartCommand starts a profile of the running daemon.
func newStartCommand(connect connector) *cobra.Command {
	var how client.TurnRequest
	c := &cobra.Command{
		Use:   "start PROFILE",
		Short: "Start a profile: its machines are answered from now on",
		Long: "Start a profile: its machines are answered from now on, also after a restart. Returns when\n" +
			"TFTP is bound, and says where. A profile that is started already is no error.\n\n" +
			"With --for it is as before when that time is over, also if netbootd was restarted meanwhile.\n" +
			"--auto forgets what was started and stopped by hand: autostart of the profile holds again.",
		Args: cobra.ExactArgs(1),
		RunE: turn(connect, &how, (*client.Client).StartProfile),
	}
	addForFlag(c, &how, "start it for this time only, such as 2h")
	c.Flags().BoolVar(&how.Auto, "auto", false, "forget what was done by hand")
	return c
}

// newStopCommand stops a profile of the running daemon.
func newStopCommand(connect connector) *cobra.Command {
	var how client.TurnRequest
	c := &cobra.Command{
		Use:   "stop PROFILE",
		Short: "Stop a profile: nothing is offered to its machines any more",
		Long: "Stop a profile: nothing is offered to its machines any more, also after a restart. With the\n" +
			"last started profile the TFTP listener goes down; transfers may end within [tftp] drain.\n" +
			"Otherwise its transfers go on, as those of all others do. A profile that is stopped already is\n" +
			"no error.\n\n" +
			"With --for it is as before when that time is over, also if netbootd was restarted meanwhile.",
		Args: cobra.ExactArgs(1),
		RunE: turn(connect, &how, (*client.Client).StopProfile),
	}
	addForFlag(c, &how, "stop it for this time only, such as 30m")
	return c
}

func addForFlag(c *cobra.Command, how *client.TurnRequest, usage string) {
	c.Flags().DurationVar((*time.Duration)(&how.For), "for", 0, usage)
}

// turn is a command that starts or stops the profile of its argument and says how
// it stands then.
func turn(connect connector, how *client.TurnRequest, call func(*client.Client, context.Context, string, client.TurnRequest) (client.Turned, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case cmd.Flags().Changed("for") && how.For <= 0:
			return usageError{fmt.Errorf("--for %s: want more than nothing", time.Duration(how.For))}
		case how.Auto && how.For > 0:
			return usageError{errors.New("--auto and --for do not go together")}
		}
		return connect.with(cmd, func(ctx context.Context, c *client.Client) error {
			t, err := call(c, ctx, args[0], *how)
			if err != nil {
				return err
			}
			return printTurned(cmd.OutOrStdout(), t)
		})
	}
}

// printTurned says how a profile stands now, and what it lacks.
func printTurned(w io.Writer, t client.Turned) error {
	text := fmt.Sprintf("profile %s is %s%s", t.Name, t.State, untilText(t.Until))
	if t.Already {
		text += " (it was already)"
	}
	lines := []string{text}
	if len(t.Addresses) > 0 {
		lines = append(lines, "TFTP is on "+strings.Join(t.Addresses, ", "))
	}
	for _, problem := range t.Problems {
		lines = append(lines, "warning: "+problem)
	}
	return printLines(w, lines)
}

// untilText is the end of a time for people, empty if there is none.
func untilText(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return " until " + until.Local().Format(time.DateTime)
}

// printLines writes each line.
func printLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
