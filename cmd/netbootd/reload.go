package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newReloadCommand has the daemon read its configuration anew.
func newReloadCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running netbootd read profiles and boot loaders anew",
		Long: "Have the running netbootd read profiles and boot loaders anew, and wait for what comes of it. It\n" +
			"does so by itself when a file changes. The problems of broken files are printed, and the exit code\n" +
			"is 1; the last good version of each stays in force. If netbootd.toml is broken nothing changes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return connect.with(cmd, func(ctx context.Context, c *client.Client) error {
				r, err := c.Reload(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), r)
				} else {
					err = printLines(cmd.OutOrStdout(), reloadLines(r))
				}
				if err == nil && !r.OK {
					return exitError(exitFailed)
				}
				return err
			})
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// reloadLines tell what came of a reload.
func reloadLines(r client.Reload) []string {
	last := "reloaded, every file is good"
	if !r.OK {
		last = fmt.Sprintf("%d problems: what is broken stays as it was when it was good", len(r.Problems))
	}
	return slices.Concat(r.Problems, r.Notes, []string{last})
}
