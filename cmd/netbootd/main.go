// Command netbootd boots diskless machines from the network: a ProxyDHCP
// responder beside the site's DHCP server, a TFTP service, and boot profiles in
// TOML that say which machine boots what.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"netbootd/client"
	"netbootd/internal/config"
	"netbootd/internal/daemon"
	"netbootd/internal/simulate"
	"netbootd/internal/source"
)

// Exit codes, the same for every command.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2 // wrong usage, or a configuration that is broken
	exitNotRunning = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program; tests call it.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		return report(stderr, err)
	}
	return exitDone
}

// newRoot builds the tree of commands.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "netbootd",
		Short: "Boot diskless machines from the network, beside the site's DHCP server",
		Long: "netbootd answers PXE clients as a ProxyDHCP service (it leases no addresses), serves\n" +
			"their boot files by TFTP, and takes from TOML profiles which machine boots what.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	configFile := root.PersistentFlags().String("config", "", "service settings to use instead of "+config.DefaultPath)
	connect := newConnector(root, configFile)
	root.AddCommand(
		newRunCommand(configFile, stderr),
		newCheckCommand(configFile),
		newExplainCommand(connect),
		newStatusCommand(connect),
		newStartCommand(connect),
		newStopCommand(connect),
		newProfileCommand(connect),
		newBootCommand(connect),
		newReloadCommand(connect),
		newTFTPCommand(connect),
		newUploadCommand(connect),
		newFilesCommand(connect),
		newLoadersCommand(configFile),
		newTokenCommand(connect),
		newSimulateCommand(),
		newVersionCommand(),
	)
	for _, c := range withBelow(root) {
		check := c.Args
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	return root
}

// withBelow is a command and all those below it, in the order of the help.
func withBelow(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, below := range c.Commands() {
		list = append(list, withBelow(below)...)
	}
	return list
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// exitError ends the program with a code, without another word: everything was
// printed already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report prints an error for people, one line and then hints, and gives the exit
// code that belongs to it.
func report(stderr io.Writer, err error) int {
	var silent exitError
	if errors.As(err, &silent) {
		return int(silent)
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(stderr, problems.String())
		return exitUsage
	}
	fmt.Fprintf(stderr, "netbootd: %v\n", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	var usage usageError
	switch {
	case errors.As(err, &usage), errors.Is(err, errConfig):
		return exitUsage
	case errors.Is(err, client.ErrNotRunning):
		return exitNotRunning
	}
	return exitFailed
}

// hintFor says what to do about an error, or "".
func hintFor(err error) string {
	var start *daemon.StartError
	var setup *simulate.SetupError
	var usage usageError
	var untrusted *tls.CertificateVerificationError
	var curable *source.Error
	var problem *client.Problem
	switch {
	case errors.As(err, &start):
		return start.Hint
	case errors.As(err, &setup):
		return setup.Hint
	case errors.As(err, &curable):
		return curable.Hint
	case errors.As(err, &usage):
		return "netbootd --help lists the commands, netbootd COMMAND --help tells of one"
	case isTFTPDown(err):
		return "start it with netbootd tftp start, or start a profile"
	case errors.Is(err, client.ErrNotRunning):
		return "start it with netbootd run, or name the configuration it runs with: --config FILE"
	case errors.Is(err, errExists):
		return "give the new one another name, or write over it with --force"
	case errors.Is(err, errPcapng):
		return "convert it: editcap -F pcap FILE FILE.pcap, or record with tcpdump -w"
	case errors.Is(err, client.ErrNotPinned), errors.As(err, &untrusted):
		return "netbootd logs the fingerprint of its certificate at its start: pass it with --fingerprint or " + envFingerprint
	case errors.As(err, &problem) && problem.Code == client.CodeForbidden:
		return "make a token on that host with netbootd token new NAME --scope read,upload,control, and put it into " + envToken
	case errors.Is(err, client.ErrForbidden):
		return "run this as root, or as a member of the group netbootd"
	case errors.Is(err, errConfig) && errors.Is(err, fs.ErrNotExist):
		return "leave --config out to run with defaults"
	case errors.Is(err, errConfig) && errors.Is(err, fs.ErrPermission):
		return "run this as a user who may read that file"
	}
	return ""
}
