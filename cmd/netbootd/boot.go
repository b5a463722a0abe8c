package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"netbootd/bootmenu"
	"netbootd/client"
)

// bootFlags are those of the command, as they were typed.
type bootFlags struct {
	once, clear, done, asJSON bool
	expires                   time.Duration
}

// newBootCommand says what a machine boots.
func newBootCommand(connect connector) *cobra.Command {
	var f bootFlags
	c := &cobra.Command{
		Use:   "boot MAC [PROFILE]",
		Short: "Say what one machine boots, whatever the profiles match; or tell what was said",
		Long: "Say what one machine boots, whatever the profiles match. It gets that profile until --clear, or\n" +
			"with --once for one boot: until its kernel, or the boot file that does without, was delivered, or,\n" +
			"if the profile says consumed = \"callback\", until the machine or somebody says that it is done. A\n" +
			"loader on the way does not count, nor does a transfer that was cut. Afterwards the machine gets\n" +
			"what it got before; if that was the menu or nothing, it boots from disk for 24 hours.\n\n" +
			"An installer says that it is done with --done, or by TFTP from the machine itself:\n" +
			"curl tftp://SERVER/" + bootmenu.DoneName + ", or tftp -g -r " + bootmenu.DoneName + " SERVER.\n\n" +
			"Without PROFILE and flags it tells what the machine is assigned to.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args); err != nil {
				return usageError{err}
			}
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := f.call(ctx, c, args)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), a)
				}
				return f.print(cmd.OutOrStdout(), a)
			})
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.once, "once", false, "for one boot only")
	flags.DurationVar(&f.expires, "expires", time.Duration(client.DefaultExpires), "with --once: after this time without such a boot it is as before")
	flags.BoolVar(&f.clear, "clear", false, "take back all that the machine is assigned to")
	flags.BoolVar(&f.done, "done", false, "the machine is done with what it is assigned to once")
	addJSONFlag(c, &f.asJSON)
	return c
}

// check says what does not go together.
func (f bootFlags) check(cmd *cobra.Command, args []string) error {
	expires := cmd.Flags().Changed("expires")
	switch _, err := bootmenu.ParseMAC(args[0]); {
	case err != nil:
		return err
	case f.clear && f.done:
		return errors.New("--clear and --done do not go together")
	case len(args) == 2 && (f.clear || f.done):
		return errors.New("--clear and --done go without a profile")
	case len(args) == 1 && f.once:
		return errors.New("--once needs a profile")
	case expires && !f.once:
		return errors.New("--expires needs --once")
	case f.expires <= 0:
		return fmt.Errorf("--expires %s: want more than nothing", f.expires)
	}
	return nil
}

// call does what the flags say.
func (f bootFlags) call(ctx context.Context, c *client.Client, args []string) (client.Assignments, error) {
	switch {
	case f.clear:
		return c.ClearAssignment(ctx, args[0])
	case f.done:
		return c.FinishAssignment(ctx, args[0])
	case len(args) == 1:
		return c.Assigned(ctx, args[0])
	}
	what := client.AssignRequest{Profile: args[1], Once: f.once}
	if f.once {
		what.Expires = client.Duration(f.expires)
	}
	return c.Assign(ctx, args[0], what)
}

// print says what was changed, and what stands now.
func (f bootFlags) print(w io.Writer, a client.Assignments) error {
	var lines []string
	switch {
	case f.clear && !a.Changed:
		lines = append(lines, a.MAC+" was assigned to nothing")
	case f.done && !a.Changed:
		lines = append(lines, a.MAC+" was assigned to nothing once")
	}
	return printLines(w, append(lines, assignmentLines(a)...))
}

// assignmentLines tell what stands for a machine.
func assignmentLines(a client.Assignments) []string {
	var lines []string
	if a.Once != nil {
		lines = append(lines, fmt.Sprintf("%s boots %s once%s", a.MAC, a.Once.Profile, untilText(a.Once.Until)))
	}
	if a.Pinned != nil {
		lines = append(lines, fmt.Sprintf("%s boots %s until that is cleared", a.MAC, a.Pinned.Profile))
	}
	if a.Done != nil {
		lines = append(lines, fmt.Sprintf("%s is done with %s, and boots from disk rather than the menu%s", a.MAC, a.Done.Profile, untilText(a.Done.Until)))
	}
	if lines == nil {
		lines = append(lines, a.MAC+" boots what the profiles say")
	}
	for _, problem := range a.Problems {
		lines = append(lines, "warning: "+problem)
	}
	return lines
}
