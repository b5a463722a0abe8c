package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newStartCommand starts a profile of the running daemon.
func newStartCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use:   "start PROFILE",
		Short: "Start a profile: its machines are answered from now on",
		Long: "Start a profile: its machines are answered from now on, also after a restart. Returns when\n" +
			"TFTP is bound. A profile that is started already is no error.",
		Args: cobra.ExactArgs(1),
		RunE: turn(configFile, (*client.Client).StartProfile),
	}
}

// newStopCommand stops a profile of the running daemon.
func newStopCommand(configFile *string) *cobra.Command {
	return &cobra.Command{
		Use:   "stop PROFILE",
		Short: "Stop a profile: nothing is offered to its machines any more",
		Long: "Stop a profile: nothing is offered to its machines any more, also after a restart. With the\n" +
			"last started profile the TFTP listener goes down; transfers may end within [tftp] drain.\n" +
			"A profile that is stopped already is no error.",
		Args: cobra.ExactArgs(1),
		RunE: turn(configFile, (*client.Client).StopProfile),
	}
}

// turn is a command that starts or stops the profile of its argument and says how
// it stands then.
func turn(configFile *string, call func(*client.Client, context.Context, string) (client.Profile, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := daemonClient(*configFile)
		if err != nil {
			return err
		}
		p, err := call(c, cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return printTurned(cmd.OutOrStdout(), p)
	}
}

// printTurned says how a profile stands now, and what it lacks.
func printTurned(w io.Writer, p client.Profile) error {
	if _, err := fmt.Fprintf(w, "profile %s is %s\n", p.Name, p.State); err != nil {
		return err
	}
	for _, line := range p.Problems {
		if _, err := fmt.Fprintf(w, "warning: %s\n", line); err != nil {
			return err
		}
	}
	return nil
}
