package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"netbootd/client"
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

// ask does one thing with the daemon that takes no time to speak of.
func (c connector) ask(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	return c.use(cmd, func(ctx context.Context, cl *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return do(ctx, cl)
	})
}

// use does something with the daemon that takes as long as it takes, or until
// somebody interrupts it.
func (c connector) use(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return do(ctx, cl)
}
