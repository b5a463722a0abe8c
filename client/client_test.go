package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/client"
	"netbootd/internal/control"
)

// A memoryDaemon is a daemon with one profile.
type memoryDaemon struct {
	up bool

	control.Files // those calls are tested with a real daemon
	control.Uploader
}

func (d *memoryDaemon) profile() client.Profile {
	state := client.ProfileStopped
	if d.up {
		state = client.ProfileStarted
	}
	return client.Profile{Name: "board", State: state}
}

func (d *memoryDaemon) Status() client.Status {
	return client.Status{Version: "1", Profiles: []client.Profile{d.profile()}}
}

func (d *memoryDaemon) ShowProfile(name string) (client.ProfileView, error) {
	if name != d.profile().Name {
		return client.ProfileView{}, control.NotFound(fmt.Sprintf("there is no profile %q", name))
	}
	return client.ProfileView{Profile: d.profile(), Boots: []client.ProfileBoot{{Arch: "x64-uefi", File: "x.efi"}}}, nil
}

func (d *memoryDaemon) Explain(q client.ExplainRequest) (client.Explanation, error) {
	if len(q.Packet) == 0 {
		return client.Explanation{}, control.Invalid("no packet")
	}
	return client.Explanation{Rule: string(q.Packet), Port: q.Port, Reason: "no_profile"}, nil
}

func (d *memoryDaemon) StartProfile(_ context.Context, name string, how client.TurnRequest) (client.Turned, error) {
	return d.turn(name, true, how)
}

func (d *memoryDaemon) Which(_ context.Context, name, mac string) (client.Which, error) {
	if name == "" {
		return client.Which{}, control.Invalid("no name")
	}
	return client.Which{Name: name, MAC: mac}, nil
}

func (d *memoryDaemon) StopProfile(_ context.Context, name string, how client.TurnRequest) (client.Turned, error) {
	return d.turn(name, false, how)
}

func (d *memoryDaemon) turn(name string, up bool, how client.TurnRequest) (client.Turned, error) {
	switch name {
	case "board":
		was := d.up
		d.up = up
		return client.Turned{Profile: d.profile(), Already: was == up, Addresses: []string{time.Duration(how.For).String()}}, nil
	case "busy":
		return client.Turned{}, control.Conflict("the port is taken")
	case "odd/name ?":
		return client.Turned{}, errors.New("odd indeed")
	}
	return client.Turned{}, control.NotFound(fmt.Sprintf("there is no profile %q", name))
}

func (*memoryDaemon) Reload() client.Reload { return client.Reload{Rev: 7, Problems: []string{"a"}} }

func (d *memoryDaemon) TFTP(to netip.Addr) client.TFTP {
	return client.TFTP{Running: d.up, Host: to.String()}
}

func (d *memoryDaemon) StartTFTP(context.Context) (client.TFTP, error) {
	was := d.up
	d.up = true
	return client.TFTP{Running: true, Already: was}, nil
}

func (d *memoryDaemon) StopTFTP(_ context.Context, how client.TFTPStopRequest) (client.TFTP, error) {
	switch {
	case how.Drain != nil && *how.Drain == client.Duration(time.Second) && how.Force:
		return client.TFTP{}, control.NotRunning("TFTP is not running")
	case how.Drain == nil:
		return client.TFTP{}, control.Conflict("needed")
	}
	return client.TFTP{}, nil
}

func (*memoryDaemon) Assigned(mac string) (client.Assignments, error) {
	return client.Assignments{MAC: mac}, nil
}

func (*memoryDaemon) Assign(mac string, what client.AssignRequest) (client.Assignments, error) {
	if what.Once && what.Expires == client.Duration(time.Hour) {
		return client.Assignments{MAC: mac, Once: &client.Assignment{Profile: what.Profile}, Changed: true}, nil
	}
	return client.Assignments{}, control.NotFound("no such profile")
}

func (*memoryDaemon) ClearAssignment(mac string) (client.Assignments, error) {
	return client.Assignments{MAC: mac, Problems: []string{"cleared"}}, nil
}

func (*memoryDaemon) FinishAssignment(mac string) (client.Assignments, error) {
	return client.Assignments{MAC: mac, Problems: []string{"finished"}}, nil
}

func (*memoryDaemon) Tokens() []client.Token { return []client.Token{{Name: "ci"}} }

func (*memoryDaemon) NewToken(q client.TokenRequest) (client.NewToken, error) {
	return client.NewToken{Token: client.Token{Name: q.Name, Scopes: q.Scopes}, Text: "secret"}, nil
}

func (*memoryDaemon) RemoveToken(name string) error {
	if name != "ci" {
		return control.NotFound("no such token")
	}
	return nil
}

// newClient serves d on a unix socket and returns a client for it.
func newClient(t *testing.T, d control.Daemon) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "control.sock")
	ln, access, err := control.ListenUnix(socket)
	if err != nil || access == "" {
		t.Fatal(access, err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v, want nothing for others", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, ln, control.New(d).Local(), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return client.New(socket)
}

func TestCallsReachTheDaemon(t *testing.T) {
	t.Parallel()
	c := newClient(t, &memoryDaemon{})
	ctx := t.Context()
	if p, err := c.StartProfile(ctx, "board", client.TurnRequest{}); err != nil || p.State != client.ProfileStarted {
		t.Errorf("start: %+v, %v", p, err)
	}
	s, err := c.Status(ctx)
	if diff := cmp.Diff(client.Status{Version: "1", Profiles: []client.Profile{{Name: "board", State: client.ProfileStarted}}}, s); diff != "" || err != nil {
		t.Errorf("status %v (-want +got):\n%s", err, diff)
	}
	e, err := c.Explain(ctx, client.ExplainRequest{Packet: []byte("bytes"), Port: 4011})
	if err != nil || e.Rule != "bytes" || e.Port != 4011 || e.Answered() {
		t.Errorf("explain: %+v, %v", e, err)
	}
	v, err := c.ShowProfile(ctx, "board")
	if want := (client.ProfileView{Profile: client.Profile{Name: "board", State: client.ProfileStarted}, Boots: []client.ProfileBoot{{Arch: "x64-uefi", File: "x.efi"}}}); err != nil || cmp.Diff(want, v) != "" {
		t.Errorf("show: %+v, %v", v, err)
	}
	if w, err := c.Which(ctx, "a&b/c d", "52:54:00:12:34:56"); err != nil || w.Name != "a&b/c d" || w.MAC != "52:54:00:12:34:56" {
		t.Errorf("which: %+v, %v", w, err)
	}
	if p, err := c.StopProfile(ctx, "board", client.TurnRequest{For: client.Duration(90 * time.Second)}); err != nil || p.State != client.ProfileStopped || p.Already || p.Addresses[0] != "1m30s" {
		t.Errorf("stop: %+v, %v", p, err)
	}
	if r, err := c.Reload(ctx); err != nil || r.Rev != 7 || len(r.Problems) != 1 {
		t.Errorf("reload: %+v, %v", r, err)
	}
}

func TestTFTPCallsReachTheDaemon(t *testing.T) {
	t.Parallel()
	c := newClient(t, &memoryDaemon{})
	ctx := t.Context()
	if got, err := c.TFTP(ctx, netip.Addr{}); err != nil || got.Running {
		t.Errorf("at first: %+v, %v", got, err)
	}
	for _, already := range []bool{false, true} {
		if got, err := c.StartTFTP(ctx); err != nil || !got.Running || got.Already != already {
			t.Errorf("start: %+v, %v", got, err)
		}
	}
	if got, err := c.TFTP(ctx, netip.MustParseAddr("2001:db8::1")); err != nil || got.Host != "2001:db8::1" {
		t.Errorf("for an address: %+v, %v", got, err)
	}
	second, none := client.Duration(time.Second), client.Duration(0)
	if _, err := c.StopTFTP(ctx, client.TFTPStopRequest{Drain: &second, Force: true}); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("not running: %v", err)
	}
	if _, err := c.StopTFTP(ctx, client.TFTPStopRequest{}); !errors.Is(err, client.ErrConflict) {
		t.Errorf("held by others: %v", err)
	}
	if _, err := c.StopTFTP(ctx, client.TFTPStopRequest{Drain: &none}); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestAssignmentCallsReachTheDaemon(t *testing.T) {
	t.Parallel()
	c := newClient(t, &memoryDaemon{})
	ctx, mac := t.Context(), "52:54:00:00:00:01"
	if a, err := c.Assigned(ctx, mac); err != nil || a.MAC != mac {
		t.Errorf("get: %+v, %v", a, err)
	}
	if a, err := c.Assign(ctx, mac, client.AssignRequest{Profile: "p", Once: true, Expires: client.Duration(time.Hour)}); err != nil || a.Once == nil || a.Once.Profile != "p" || !a.Changed {
		t.Errorf("put: %+v, %v", a, err)
	}
	if _, err := c.Assign(ctx, mac, client.AssignRequest{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("put an unknown one: %v", err)
	}
	if a, err := c.ClearAssignment(ctx, mac); err != nil || a.MAC != mac || a.Problems[0] != "cleared" {
		t.Errorf("delete: %+v, %v", a, err)
	}
	if a, err := c.FinishAssignment(ctx, mac); err != nil || a.MAC != mac || a.Problems[0] != "finished" {
		t.Errorf("done: %+v, %v", a, err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	c := newClient(t, &memoryDaemon{})
	for name, c := range map[string]struct {
		err  error
		is   error
		text string
	}{
		"nothing to show":            {second(c.ShowProfile(t.Context(), "nobody")), client.ErrNotFound, `there is no profile "nobody"`},
		"unknown":                    {second(c.StartProfile(t.Context(), "nobody", client.TurnRequest{})), client.ErrNotFound, `there is no profile "nobody"`},
		"conflict":                   {second(c.StopProfile(t.Context(), "busy", client.TurnRequest{})), client.ErrConflict, "the port is taken"},
		"a name that needs escaping": {second(c.StartProfile(t.Context(), "odd/name ?", client.TurnRequest{})), nil, "odd indeed"},
		"a request without sense":    {second(c.Explain(t.Context(), client.ExplainRequest{})), client.ErrInvalid, "no packet"},
		"a name without sense":       {second(c.Which(t.Context(), "", "")), client.ErrInvalid, "no name"},
		"a request without end":      {second(c.Explain(t.Context(), client.ExplainRequest{Packet: make([]byte, 1<<17)})), client.ErrInvalid, ""},
		"not running":                {second(client.New(filepath.Join(t.TempDir(), "s")).Status(t.Context())), client.ErrNotRunning, ""},
	} {
		if c.err == nil || c.is != nil && !errors.Is(c.err, c.is) || c.text != "" && c.err.Error() != c.text {
			t.Errorf("%s: got %v", name, c.err)
		}
	}
}

// second is the error of two results.
func second[T any](_ T, err error) error { return err }

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "control.sock")
	first, _, err := control.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := control.ListenUnix(socket); !errors.Is(err, control.ErrRunning) {
		t.Errorf("a live socket: %v, want ErrRunning", err)
	}
	_ = first.Close()
	// What a daemon leaves behind that was killed: a socket that nobody listens on.
	stale, _, err := control.ListenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := stale.(interface{ SetUnlinkOnClose(bool) }); ok {
		u.SetUnlinkOnClose(false)
	}
	_ = stale.Close()
	if _, err := client.New(socket).Status(t.Context()); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("a stale socket: %v, want ErrNotRunning", err)
	}
	again, _, err := control.ListenUnix(socket)
	if err != nil {
		t.Errorf("a stale socket was not replaced: %v", err)
	} else {
		_ = again.Close()
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := control.ListenUnix(file); err == nil {
		t.Error("a file was taken for a stale socket")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

func TestAPIAnswersWithProblems(t *testing.T) {
	t.Parallel()
	h := control.New(&memoryDaemon{}).Local()
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/v1/nothing", http.StatusNotFound, `{"status":404,"code":"not_found","detail":"the API has no GET /v1/nothing"}` + "\n"},
		{"POST", "/v1/profiles/nobody/start", http.StatusNotFound, `{"status":404,"code":"not_found","detail":"there is no profile \"nobody\""}` + "\n"},
		{"GET", "/v1/tftp?for=nobody", http.StatusUnprocessableEntity, `{"status":422,"code":"invalid","detail":"\"nobody\" is not an IP address"}` + "\n"},
		{"POST", "/v1/profiles/busy/stop", http.StatusConflict, `{"status":409,"code":"conflict","detail":"the port is taken"}` + "\n"},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, http.NoBody))
		if rec.Code != c.status || rec.Body.String() != c.body || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s %s", c.method, c.path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
}

func TestTokensAreMadeAndTakenBack(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, &memoryDaemon{}), t.Context()
	made, err := c.NewToken(ctx, client.TokenRequest{Name: "ci", Scopes: []client.Scope{client.ScopeUpload}})
	if err != nil || made.Text != "secret" || made.Name != "ci" || len(made.Scopes) != 1 {
		t.Errorf("new: %+v, %v", made, err)
	}
	if list, err := c.Tokens(ctx); err != nil || len(list) != 1 {
		t.Errorf("list: %v, %v", list, err)
	}
	if err := c.RemoveToken(ctx, "ci"); err != nil {
		t.Error(err)
	}
	if err := c.RemoveToken(ctx, "no/such"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
}
