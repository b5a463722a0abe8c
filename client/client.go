package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
)

// DefaultSocket is where a netbootd of this host listens unless its
// configuration says otherwise.
const DefaultSocket = "/run/netbootd/control.sock"

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 20

// Errors that callers tell apart with errors.Is.
var (
	ErrNotRunning = errors.New("netbootd is not running") // or its TFTP service is not; see [CodeNotRunning]
	ErrNotFound   = errors.New("not found")
	ErrConflict   = errors.New("conflict")
	ErrInvalid    = errors.New("invalid request")
	ErrForbidden  = errors.New("permission denied")
)

// A Problem is an error that the daemon reports, as problem+json (RFC 9457).
type Problem struct {
	Status int    `json:"status"` // HTTP status code
	Code   string `json:"code"`   // stable, one of the Code constants
	Detail string `json:"detail"` // one line for people
	// Offset is where an upload goes on, if what was sent begins elsewhere.
	Offset *int64 `json:"offset,omitempty"`
}

// The codes of a [Problem].
const (
	CodeNotFound    = "not_found"
	CodeConflict    = "conflict"
	CodeInvalid     = "invalid"
	CodeUnavailable = "unavailable"
	CodeForbidden   = "forbidden"   // the token is missing, unknown, or not enough
	CodeNotRunning  = "not_running" // what was to be stopped, or asked for, is not running
)

// Error is the line for people.
func (p *Problem) Error() string { return p.Detail }

// Is makes errors.Is find the sentinel that belongs to the code.
func (p *Problem) Is(target error) bool {
	switch p.Code {
	case CodeNotFound:
		return target == ErrNotFound
	case CodeConflict:
		return target == ErrConflict
	case CodeInvalid:
		return target == ErrInvalid
	case CodeForbidden:
		return target == ErrForbidden
	case CodeNotRunning:
		return target == ErrNotRunning
	}
	return false
}

// A Client talks to one netbootd. It is safe for concurrent use and needs no
// closing.
type Client struct {
	http  *http.Client
	base  string // scheme and host of the URLs
	where string // that it connects to, for people
	token string // of a remote daemon
}

// New makes a client for the daemon that listens on the unix socket at that
// path. It does not connect yet.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{
		http:  &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		base:  "http://netbootd",
		where: socket,
	}
}

// Status is what the daemon is doing. The error is [ErrNotRunning] if nobody
// listens on the socket, and [ErrForbidden] if this user may not use it.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Explain tells what the daemon would do with a request, without sending
// anything. A request that it can make nothing of is [ErrInvalid].
func (c *Client) Explain(ctx context.Context, q ExplainRequest) (Explanation, error) {
	var e Explanation
	return e, c.call(ctx, http.MethodPost, "/v1/explain", q, &e)
}

// ShowProfile tells what a profile gives to its machines, and what its files are. An
// unknown name is [ErrNotFound].
func (c *Client) ShowProfile(ctx context.Context, name string) (ProfileView, error) {
	var v ProfileView
	return v, c.call(ctx, http.MethodGet, "/v1/profiles/"+url.PathEscape(name), nil, &v)
}

// Which tells which file a machine would get for a name, and what each layer of the
// boot tree has. An empty mac is a machine that nobody knows. A name or a mac that
// makes no sense is [ErrInvalid].
func (c *Client) Which(ctx context.Context, name, mac string) (Which, error) {
	var w Which
	q := url.Values{"name": {name}}
	if mac != "" {
		q.Set("mac", mac)
	}
	return w, c.call(ctx, http.MethodGet, "/v1/files-which?"+q.Encode(), nil, &w)
}

// StartProfile starts a profile and returns how it stands then; the TFTP
// listener is bound by that time. A profile that is started already is no error.
// An unknown name is [ErrNotFound].
func (c *Client) StartProfile(ctx context.Context, name string, how TurnRequest) (Turned, error) {
	var t Turned
	return t, c.call(ctx, http.MethodPost, "/v1/profiles/"+url.PathEscape(name)+"/start", how, &t)
}

// StopProfile stops a profile and returns how it stands then. Nothing is offered
// to its machines any more. If it was the last one that held the TFTP listener,
// transfers under way are let end within the drain time of the configuration;
// else they go on. A profile that is stopped already is no error. An unknown name
// is [ErrNotFound].
func (c *Client) StopProfile(ctx context.Context, name string, how TurnRequest) (Turned, error) {
	var t Turned
	return t, c.call(ctx, http.MethodPost, "/v1/profiles/"+url.PathEscape(name)+"/stop", how, &t)
}

// TFTP tells how the TFTP service stands, and the address that the client at that
// address would use, or any client if it is the zero Addr. A service that is not
// running is no error.
func (c *Client) TFTP(ctx context.Context, client netip.Addr) (TFTP, error) {
	path := "/v1/tftp"
	if client.IsValid() {
		path += "?for=" + url.QueryEscape(client.String())
	}
	var t TFTP
	return t, c.call(ctx, http.MethodGet, path, nil, &t)
}

// StartTFTP has the TFTP service run whether a profile is started or not, also
// after a restart. It is bound when StartTFTP returns. Running already is no
// error.
func (c *Client) StartTFTP(ctx context.Context) (TFTP, error) {
	var t TFTP
	return t, c.call(ctx, http.MethodPost, "/v1/tftp/start", nil, &t)
}

// StopTFTP takes StartTFTP back, and returns when transfers have ended or were
// cut. The error is [ErrNotRunning] if the service is not running, and
// [ErrConflict] if somebody else needs it, who is named; then nothing is changed.
func (c *Client) StopTFTP(ctx context.Context, how TFTPStopRequest) (TFTP, error) {
	var t TFTP
	return t, c.call(ctx, http.MethodPost, "/v1/tftp/stop", how, &t)
}

// Reload has the configuration read anew, and returns with what came of it.
// Broken files are no error: see [Reload.Problems].
func (c *Client) Reload(ctx context.Context) (Reload, error) {
	var r Reload
	return r, c.call(ctx, http.MethodPost, "/v1/reload", nil, &r)
}

// Assigned is what a machine is assigned to.
func (c *Client) Assigned(ctx context.Context, mac string) (Assignments, error) {
	var a Assignments
	return a, c.call(ctx, http.MethodGet, assignmentPath(mac), nil, &a)
}

// Assign assigns a machine to a profile. It is on disk when Assign returns. An
// unknown profile is [ErrNotFound].
func (c *Client) Assign(ctx context.Context, mac string, what AssignRequest) (Assignments, error) {
	var a Assignments
	return a, c.call(ctx, http.MethodPut, assignmentPath(mac), what, &a)
}

// ClearAssignment takes back all that a machine is assigned to. That there is
// nothing is no error.
func (c *Client) ClearAssignment(ctx context.Context, mac string) (Assignments, error) {
	var a Assignments
	return a, c.call(ctx, http.MethodDelete, assignmentPath(mac), nil, &a)
}

// FinishAssignment says that a machine is done with the profile it is assigned to
// once. That there is none is no error.
func (c *Client) FinishAssignment(ctx context.Context, mac string) (Assignments, error) {
	var a Assignments
	return a, c.call(ctx, http.MethodPost, assignmentPath(mac)+"/done", nil, &a)
}

func assignmentPath(mac string) string { return "/v1/machines/" + url.PathEscape(mac) + "/assignment" }

// call sends one request, with in as its body unless that is nil, and decodes its
// answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var question io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		question = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, method, path, nil, question)
	if err != nil {
		return err
	}
	return decode(resp, out)
}

// send sends one request. An answer that is not a good one is an error, a
// [*Problem] where the daemon wrote it; the body of a good one is the caller's.
func (c *Client) send(ctx context.Context, method, path string, h http.Header, body io.Reader) (*http.Response, error) {
	if err := errClimbs(path); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, h)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.dialError(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	p := &Problem{Status: resp.StatusCode}
	if err != nil || json.Unmarshal(text, p) != nil || p.Detail == "" {
		p.Code, p.Detail = codeOf(resp.StatusCode), fmt.Sprintf("the daemon answered %s with %s", path, resp.Status)
	}
	return nil, p
}

// codeOf is the code of an answer that has no body, as those to HEAD have none.
func codeOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return CodeConflict
	case http.StatusUnauthorized, http.StatusForbidden:
		return CodeForbidden
	case http.StatusUnprocessableEntity:
		return CodeInvalid
	}
	return CodeUnavailable
}

// decode reads a good answer into out, unless that is nil.
func decode(resp *http.Response, out any) error {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the daemon's answer to %s is not what this version expects: %w", resp.Request.URL.Path, err)
	}
	return nil
}

// wsaConnectionRefused is what Windows says where others say ECONNREFUSED, which
// package syscall has invented a number for there.
const wsaConnectionRefused = syscall.Errno(10061)

// dialError says what a failed connection means.
func (c *Client) dialError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaConnectionRefused):
		return fmt.Errorf("%w: nobody listens on %s", ErrNotRunning, c.where)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: this user may not use %s", ErrForbidden, c.where)
	}
	return err
}
