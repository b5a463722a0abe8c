package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newWhichCommand tells which layer has a file.
func newWhichCommand(connect connector) *cobra.Command {
	var mac string
	var asJSON bool
	c := &cobra.Command{
		Use:   "which NAME",
		Short: "Tell which file a machine would get for a name, and why",
		Long: "Tell which file a machine would get for a name, which layer of the boot tree has it and why,\n" +
			"and what every other layer has. Without --mac it is told for a machine that nobody knows.\n" +
			"Exit code 1 if there is no such file, 3 if netbootd is not running.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				w, err := c.Which(ctx, args[0], mac)
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), w)
				} else {
					err = printWhich(cmd.OutOrStdout(), w)
				}
				if err == nil && w.Layer == "" {
					return exitError(exitFailed)
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&mac, "mac", "", "the machine's MAC address")
	addJSONFlag(c, &asJSON)
	return c
}

// printWhich writes for people which file a name stands for.
func printWhich(w io.Writer, found client.Which) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if found.Layer == "" {
		fmt.Fprintf(t, "no file: %s\n", found.Why)
	} else {
		fmt.Fprintf(t, "%s, from %s: %s\n", found.Name, found.Layer, found.Why)
	}
	fmt.Fprintf(t, "profile\t%s\n\nLAYER\tHAS\tBYTES\n", orNone(found.Profile))
	for _, p := range found.Layers {
		switch {
		case p.Name != "":
			fmt.Fprintf(t, "%s\t%s\t%d\n", p.Layer, p.Name, p.Size)
		case p.Why != "":
			fmt.Fprintf(t, "%s\tnothing: %s\n", p.Layer, p.Why)
		default:
			fmt.Fprintf(t, "%s\tnothing\n", p.Layer)
		}
	}
	return t.Flush()
}
