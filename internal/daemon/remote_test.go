package daemon

import (
	"errors"
	"strings"
	"testing"

	"netbootd/client"
)

// remoteClient is a client on another host.
func remoteClient(t *testing.T, l client.Listener, token, fingerprint string) *client.Client {
	t.Helper()
	c, err := client.NewRemote(client.Remote{URL: "https://" + l.Address, Token: token, Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// remoteListener is where clients on other hosts are answered.
func remoteListener(t *testing.T, s client.Status) client.Listener {
	t.Helper()
	for _, l := range s.Listeners {
		if l.Service == "control" && l.Network == "tcp" {
			return l
		}
	}
	t.Fatalf("no listener for other hosts in %+v", s.Listeners)
	return client.Listener{}
}

func TestOtherHostsNeedATokenAndKnowTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.opts.Settings.Control.Listen = "127.0.0.1:0"
	f.start()
	l, ctx := remoteListener(t, f.status()), t.Context()
	made, err := f.client.NewToken(ctx, client.TokenRequest{Name: "ci", Scopes: []client.Scope{client.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	ci := remoteClient(t, l, made.Text, l.Fingerprint)
	if s, err := ci.Status(ctx); err != nil || s.Node != "n1" {
		t.Errorf("status with a token: %+v, %v", s, err)
	}
	if _, err := ci.Reload(ctx); !errors.Is(err, client.ErrForbidden) || !strings.Contains(err.Error(), "scope control") {
		t.Errorf("more than the token allows: %v", err)
	}
	if _, err := remoteClient(t, l, "", l.Fingerprint).Status(ctx); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("without a token: %v", err)
	}
	if _, err := remoteClient(t, l, made.Text, strings.Repeat("00", 32)).Status(ctx); !errors.Is(err, client.ErrNotPinned) {
		t.Errorf("with another fingerprint: %v", err)
	}
	if _, err := remoteClient(t, l, made.Text, "").Status(ctx); err == nil {
		t.Error("a certificate that nobody signed is believed")
	}
	if err := f.client.RemoveToken(ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Status(ctx); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("with a token that was taken back: %v", err)
	}
}

func TestOwnCertificateOutlivesARestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.opts.Settings.Control.Listen = "127.0.0.1:0"
	f.start()
	before := remoteListener(t, f.status()).Fingerprint
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.start()
	if after := remoteListener(t, f.status()).Fingerprint; after != before || before == "" {
		t.Errorf("the fingerprint was %q and is %q", before, after)
	}
}

func TestCertificateThatCannotBeReadIsAReasonNotToStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.opts.Settings.Control.Listen, f.opts.Settings.Control.Cert, f.opts.Settings.Control.Key = "127.0.0.1:0", "/nonexistent/tls.crt", "/nonexistent/tls.key"
	var start *StartError
	if err := Run(t.Context(), nil, f.opts); !errors.As(err, &start) || !strings.Contains(err.Error(), "certificate") || start.Hint == "" {
		t.Errorf("%v", err)
	}
}
