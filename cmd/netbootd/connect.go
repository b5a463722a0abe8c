package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
	"netbootd/internal/daemon"
)

// Environment variables that say which daemon the commands talk to.
const (
	envServer      = "NETBOOTD_SERVER"
	envToken       = "NETBOOTD_TOKEN"
	envFingerprint = "NETBOOTD_FINGERPRINT"
)

// callTimeout bounds one call of the control API that does not wait for
// transfers.
const callTimeout = 10 * time.Second

// A connector knows which daemon the commands talk to: the one that runs on this
// host with a configuration, or a remote one. A token never is a flag, for
// everybody on a host can read those.
type connector struct {
	configFile, server, fingerprint *string
}

// newConnector adds the flags that say which daemon it is.
func newConnector(root *cobra.Command, configFile *string) connector {
	flags := root.PersistentFlags()
	return connector{
		configFile:  configFile,
		server:      flags.String("server", "", "`URL` of a netbootd on another host, https://HOST:PORT, instead of the one that runs here; also $"+envServer+", with its token in $"+envToken),
		fingerprint: flags.String("fingerprint", "", "`SHA-256` of the certificate of that netbootd, if no authority signed it; also $"+envFingerprint),
	}
}

// remote is the URL of a daemon on another host, or "". A configuration that is
// named means one that runs here, whatever the environment says.
func (c connector) remote() string {
	if *c.server != "" || *c.configFile != "" {
		return *c.server
	}
	return os.Getenv(envServer)
}

// client makes the client. It does not connect yet.
func (c connector) client() (*client.Client, error) {
	url := c.remote()
	if url == "" {
		s, err := readService(*c.configFile)
		if err != nil {
			return nil, err
		}
		return client.New(s.Control.Socket), nil
	}
	remote, err := client.NewRemote(client.Remote{
		URL: url, Token: os.Getenv(envToken), Fingerprint: cmp.Or(*c.fingerprint, os.Getenv(envFingerprint)),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return remote, nil
}

// with does something with the daemon.
func (c connector) with(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	return do(cmd.Context(), cl)
}

// ask does one thing with the daemon that takes no time to speak of.
func (c connector) ask(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	return c.with(cmd, func(ctx context.Context, cl *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return do(ctx, cl)
	})
}

// use does something with the daemon that takes as long as it takes, or until
// somebody interrupts it, and then cleans up.
func (c connector) use(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	return c.with(cmd, func(ctx context.Context, cl *client.Client) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return do(ctx, cl)
	})
}

// askOrRead asks the daemon, or goes by the configuration of this host if no daemon
// runs. asked says which.
func askOrRead[T any](cmd *cobra.Command, c connector, ask func(context.Context, *client.Client) (T, error), read func(daemon.Settings, daemon.Plan) (T, error)) (answer T, asked bool, err error) {
	err = c.ask(cmd, func(ctx context.Context, cl *client.Client) (err error) {
		answer, err = ask(ctx, cl)
		return err
	})
	if c.remote() != "" || !errors.Is(err, client.ErrNotRunning) {
		return answer, true, err
	}
	s, plan, err := loadPlan(*c.configFile)
	if err != nil {
		return answer, false, err
	}
	answer, err = read(s, plan)
	return answer, false, err
}
