package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newTokenCommand keeps the tokens of clients on other hosts.
func newTokenCommand(connect connector) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and take back the tokens of clients on other hosts",
		Long: "Make, list and take back the tokens with which clients on other hosts use the control API,\n" +
			"which [control] listen opens to them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTokenNewCommand(connect), newTokenLsCommand(connect), newTokenRmCommand(connect))
	return c
}

func newTokenNewCommand(connect connector) *cobra.Command {
	var scopes []string
	var expires time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token and print it, this once",
		Long: "Make a token and print it, this once: only its hash is kept. A client sends it as\n" +
			"\"Authorization: Bearer TOKEN\"; netbootd itself takes it from NETBOOTD_TOKEN.\n\n" +
			"Scopes are read (look at everything), upload (change images) and control (everything else).\n" +
			"None includes another.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := client.TokenRequest{Name: args[0], Expires: client.Duration(expires)}
			for _, s := range scopes {
				q.Scopes = append(q.Scopes, client.Scope(s))
			}
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.NewToken(ctx, q)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd.OutOrStdout(), t)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), t.Text)
				return err
			})
		},
	}
	c.Flags().StringSliceVar(&scopes, "scope", []string{string(client.ScopeRead)}, "what it allows, of read, upload and control; several by commas")
	c.Flags().DurationVar(&expires, "expires", 0, "for how long it holds; 0 is for ever")
	addJSONFlag(c, &asJSON)
	return c
}

func newTokenLsCommand(connect connector) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				list, err := c.Tokens(ctx)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd.OutOrStdout(), list)
				}
				return printTokens(cmd.OutOrStdout(), list, time.Now())
			})
		},
	}
	addJSONFlag(c, &asJSON)
	return c
}

func newTokenRmCommand(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Take a token back: it is refused from now on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return connect.ask(cmd, func(ctx context.Context, c *client.Client) error {
				return c.RemoveToken(ctx, args[0])
			})
		},
	}
}

// printTokens writes a list of tokens for people.
func printTokens(w io.Writer, list []client.Token, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "TOKEN\tSCOPES\tMADE\tEXPIRES\n")
	for _, k := range list {
		var scopes []string
		for _, s := range k.Scopes {
			scopes = append(scopes, string(s))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.Name, strings.Join(scopes, ","), k.Created.Format(time.DateTime), expiryText(k.Expires, now))
	}
	return t.Flush()
}

func expiryText(at, now time.Time) string {
	switch {
	case at.IsZero():
		return "never"
	case !now.Before(at):
		return "expired"
	}
	return at.Format(time.DateTime)
}
