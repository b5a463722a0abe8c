package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newStatusCommand tells what the running daemon is doing.
func newStatusCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell what the running netbootd is doing",
		Long: "Tell what the running netbootd is doing: who is answered with what, what is bound, which\n" +
			"profiles are started and what they lack, transfers in flight. Exit code 0 also if something\n" +
			"is degraded, 3 if netbootd is not running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), s)
				}
				return printStatus(cmd.OutOrStdout(), s, time.Now())
			})
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// printStatus writes a status for people.
func printStatus(w io.Writer, s client.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "netbootd %s on %s, up %s\n", s.Version, s.Node, now.Sub(s.Since).Round(time.Second))
	fmt.Fprintf(t, "%s\n", s.Answers)
	fmt.Fprintf(t, "\nconfiguration\t%s\nimages\t%s\n", orNone(s.Config), s.Images)
	fmt.Fprintf(t, "last reload\t%s\n", reloadText(s.LastReload))
	if s.Unwatched != "" {
		fmt.Fprintf(t, "not watched\t%s\n", s.Unwatched)
	}

	fmt.Fprintln(t)
	writeProfiles(t, s.Profiles)
	fmt.Fprint(t, "\nSERVICE\tLISTENS ON\n")
	for _, l := range s.Listeners {
		fmt.Fprintf(t, "%s\t%s\n", l.Service, listenText(l))
	}
	fmt.Fprint(t, "\nINTERFACE\tSERVED\n")
	for _, i := range s.Interfaces {
		fmt.Fprintf(t, "%s\t%s\n", i.Name, servedText(i))
	}
	fmt.Fprint(t, "\nARCH\tBOOT LOADER\tFROM\n")
	for _, l := range s.Loaders {
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Arch, l.Name, l.Path)
	}
	for _, line := range assignmentList(s.Assignments) {
		fmt.Fprintf(t, "\n%s", line)
	}
	fmt.Fprintf(t, "\n%d transfers in flight\n", len(s.Transfers))
	for _, x := range s.Transfers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d of %d bytes\n", x.Client, x.File, x.Profile, x.Bytes, x.Size)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printProblems(w, s.Profiles)
}

// writeProfiles writes the rows of a table of profiles.
func writeProfiles(t io.Writer, profiles []client.Profile) {
	fmt.Fprint(t, "PROFILE\tSTATE\tFOR\tTITLE\n")
	for _, p := range profiles {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Name, stateText(p), forText(p), p.Title)
	}
}

// maxListed bounds the machines with assignments that are listed for people.
const maxListed = 50

// assignmentList tells of machines with assignments.
func assignmentList(all []client.Assignments) (lines []string) {
	for _, a := range all[:min(len(all), maxListed)] {
		lines = append(lines, assignmentLines(a)...)
	}
	if more := len(all) - maxListed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more machines with assignments; --json has them all", more))
	}
	if lines != nil {
		lines = append(lines, "")
	}
	return lines
}

// printProblems lists what is wrong with single profiles, and what to know of
// them.
func printProblems(w io.Writer, profiles []client.Profile) error {
	for _, p := range profiles {
		for _, line := range slices.Concat(p.Problems, p.Notes) {
			if _, err := fmt.Fprintf(w, "\nprofile %s: %s", p.Name, line); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func reloadText(r client.Reload) string {
	at := r.Time.Format(time.DateTime)
	if r.OK {
		return at + ", every file is good"
	}
	return fmt.Sprintf("%s, problems: %s", at, strings.Join(r.Problems, "; "))
}

func stateText(p client.Profile) string {
	text := string(p.State) + untilText(p.Until)
	if p.Degraded {
		text += ", degraded"
	}
	return text
}

func forText(p client.Profile) string {
	switch {
	case p.Match != "":
		return p.Match
	case p.State == client.ProfileBroken:
		return "?"
	}
	return "the menu"
}

func listenText(l client.Listener) string {
	if l.Fingerprint != "" {
		return l.Address + ", certificate " + l.Fingerprint
	}
	if l.Beside != "" {
		return l.Address + ", beside " + l.Beside
	}
	return l.Address
}

func servedText(i client.Interface) string {
	if i.Served {
		return strings.Join(i.Addresses, " ")
	}
	return "no: " + i.Why
}
