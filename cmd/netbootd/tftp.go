package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
)

// newTFTPCommand is what can be done to the TFTP service by itself.
func newTFTPCommand(connect connector) *cobra.Command {
	c := &cobra.Command{
		Use:   "tftp",
		Short: "Start and stop the TFTP service by itself, or tell its address",
		Long: "The TFTP service is up while something holds it: a started profile, [tftp] always, or\n" +
			"netbootd tftp start.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTFTPStartCommand(connect), newTFTPStopCommand(connect), newTFTPAddrCommand(connect))
	return c
}

func newTFTPStartCommand(connect connector) *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the TFTP service, whether a profile is started or not",
		Long: "Start the TFTP service, whether a profile is started or not, also after a restart. Returns when\n" +
			"it is bound, and says where. That it runs already is no error.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return connect.with(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.StartTFTP(ctx)
				if err != nil {
					return err
				}
				text := "TFTP is on " + strings.Join(t.Addresses, ", ")
				if t.Already {
					text += " (it was already)"
				}
				return printLines(cmd.OutOrStdout(), []string{text})
			})
		},
	}
}

func newTFTPStopCommand(connect connector) *cobra.Command {
	var how client.TFTPStopRequest
	var drain time.Duration
	var ifRunning bool
	c := &cobra.Command{
		Use:   "stop",
		Short: "Take netbootd tftp start back",
		Long: "Take netbootd tftp start back, and wait until transfers have ended, at most for [tftp] drain. If\n" +
			"started profiles or [tftp] always hold the service too, nothing is changed and they are named: exit\n" +
			"code 1. --force stops those profiles, for good as netbootd stop does. Exit code 3 if the service is\n" +
			"not running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("drain") {
				how.Drain = (*client.Duration)(&drain)
			}
			return connect.with(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.StopTFTP(ctx, how)
				switch {
				case err != nil && ifRunning && isTFTPDown(err):
					return printLines(cmd.OutOrStdout(), []string{"TFTP was not running"})
				case err != nil:
					return err
				case t.Running: // somebody has started it again
					return printLines(cmd.OutOrStdout(), []string{"TFTP is held by " + strings.Join(t.Holders, ", ")})
				}
				return printLines(cmd.OutOrStdout(), []string{"TFTP is stopped"})
			})
		},
	}
	flags := c.Flags()
	flags.DurationVar(&drain, "drain", 0, "how long transfers may go on, instead of [tftp] drain; with 0s they are cut at once")
	flags.BoolVar(&how.Force, "force", false, "stop the profiles that hold the service too")
	flags.BoolVar(&ifRunning, "if-running", false, "exit code 0 also if the service is not running")
	return c
}

// isTFTPDown tells that the daemon runs, and its TFTP service does not.
func isTFTPDown(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Code == client.CodeNotRunning
}

func newTFTPAddrCommand(connect connector) *cobra.Command {
	var host, port, asJSON bool
	var forClient string
	c := &cobra.Command{
		Use:   "addr",
		Short: "Tell the address and port of the TFTP service that a client would use",
		Long: "Tell the address and port of the TFTP service that a client would use: the address of the first\n" +
			"interface that is served, or with --for that of the client's network or of the route to it; the\n" +
			"port that is really bound. Exit code 3 if the service is not running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var who netip.Addr
			if forClient != "" {
				var err error
				if who, err = netip.ParseAddr(forClient); err != nil {
					return usageError{fmt.Errorf("--for %q is not an IP address", forClient)}
				}
			}
			return connect.with(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.TFTP(ctx, who)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd.OutOrStdout(), t)
				case !t.Running:
					return &client.Problem{Code: client.CodeNotRunning, Detail: "the TFTP service is not running"}
				}
				text, err := addrText(t, host, port)
				if err != nil {
					return err
				}
				return printLines(cmd.OutOrStdout(), []string{text})
			})
		},
	}
	flags := c.Flags()
	flags.BoolVar(&host, "host", false, "the address only")
	flags.BoolVar(&port, "port", false, "the port only")
	flags.StringVar(&forClient, "for", "", "address of the client that is to use it")
	addJSONFlag(c, &asJSON)
	return c
}

// addrText is the address, the port or both.
func addrText(t client.TFTP, host, port bool) (string, error) {
	if port && !host {
		return fmt.Sprint(t.Port), nil
	}
	addr, err := netip.ParseAddr(t.Host)
	switch {
	case err != nil:
		return "", errors.New("no interface that is served has an address that a client could use")
	case host && !port:
		return t.Host, nil
	}
	return netip.AddrPortFrom(addr, t.Port).String(), nil
}
