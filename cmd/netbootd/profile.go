package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"netbootd/client"
	"netbootd/internal/boottree"
	"netbootd/internal/daemon"
)

// newProfileCommand is the parent of what lists, shows and writes profiles.
func newProfileCommand(connect connector) *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "List, show and write profiles",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newProfileLsCommand(connect), newProfileShowCommand(connect), newProfileNewCommand(connect.configFile))
	return c
}

func newProfileLsCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the profiles, whom they are for and what they lack",
		Long: "List the profiles, whom they are for and what they lack. It asks the running netbootd; if none\n" +
			"runs, it tells how they would stand if it were started now. Exit code 0 also if something is\n" +
			"degraded or broken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := profiles(cmd, connect)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printProfiles(cmd.OutOrStdout(), list)
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// profiles are those of the running daemon, else those of the configuration.
func profiles(cmd *cobra.Command, connect connector) ([]client.Profile, error) {
	list, _, err := askOrRead(cmd, connect, func(ctx context.Context, c *client.Client) ([]client.Profile, error) {
		s, err := c.Status(ctx)
		return s.Profiles, err
	}, daemon.Profiles)
	return list, err
}

// printProfiles writes a table of profiles, and what is wrong with them.
func printProfiles(w io.Writer, list []client.Profile) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there is no profile; write one: netbootd profile new NAME --template TEMPLATE")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeProfiles(t, list)
	if err := t.Flush(); err != nil {
		return err
	}
	return printProblems(w, list)
}

func newProfileShowCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show PROFILE",
		Short: "Show what a profile gives to each kind of machine",
		Long: "Show a profile as it is understood: for each kind of machine what it is handed, which loader\n" +
			"starts the kernel, which texts are written, and the files with their size and kind. It asks\n" +
			"the running netbootd; if none runs, it goes by the configuration. Exit code 0 also if\n" +
			"something is missing.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := profileView(cmd, connect, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printProfileView(cmd.OutOrStdout(), v)
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

// profileView is a profile of the running daemon, else of the configuration.
func profileView(cmd *cobra.Command, connect connector, name string) (client.ProfileView, error) {
	v, _, err := askOrRead(cmd, connect, func(ctx context.Context, c *client.Client) (client.ProfileView, error) {
		return c.ShowProfile(ctx, name)
	}, func(s daemon.Settings, p daemon.Plan) (client.ProfileView, error) {
		return daemon.ShowProfile(s, p, name)
	})
	return v, err
}

// printProfileView writes a profile for people.
func printProfileView(w io.Writer, v client.ProfileView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("profile", v.Name)
	row("title", v.Title)
	row("state", stateText(v.Profile))
	row("for", forText(v.Profile))
	for _, name := range v.Generated {
		row("writes", name)
	}
	for _, b := range v.Boots {
		fmt.Fprintf(t, "\n%s\n", machineText(b))
		row("  is handed", handedText(b))
		row("  boot loader", b.Loader)
		row("  root", b.Root)
		for _, f := range b.Files {
			row("  "+f.Role, fileText(f))
		}
		row("  command line", b.Cmdline)
		for _, name := range b.Generated {
			row("  writes", name)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printProblems(w, []client.Profile{v.Profile})
}

func machineText(b client.ProfileBoot) string {
	if b.IPXE {
		return b.Arch + " that runs iPXE"
	}
	return b.Arch
}

func handedText(b client.ProfileBoot) string {
	switch {
	case b.Why != "":
		return "nothing: " + b.Why
	case b.Instead != "" && b.File == "":
		return "word to boot from disk"
	}
	return b.File
}

func fileText(f client.ProfileFile) string {
	switch {
	case f.Problem != "":
		return f.Name + " (" + f.Problem + ")"
	case f.Layer == string(boottree.LayerFile):
		return f.Name + " (" + f.Kind + ")"
	}
	return fmt.Sprintf("%s (%d bytes, %s, from %s)", f.Name, f.Size, f.Kind, f.Layer)
}
