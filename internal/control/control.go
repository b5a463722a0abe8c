// Package control is the server side of the control API: HTTP with JSON on a
// unix socket. It translates between requests and the few methods of [Daemon],
// and decides nothing itself. The types are those of package client, so that both
// sides read the same words.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"netbootd/client"
)

// The types of the API, under the names by which the daemon fills them.
type (
	Status      = client.Status
	Profile     = client.Profile
	ProfileView = client.ProfileView
	ProfileBoot = client.ProfileBoot
	ProfileFile = client.ProfileFile
	Listener    = client.Listener
	Interface   = client.Interface
	Loader      = client.Loader
	Transfer    = client.Transfer
	Reload      = client.Reload
	Problem     = client.Problem

	TurnRequest     = client.TurnRequest
	Turned          = client.Turned
	TFTP            = client.TFTP
	TFTPStopRequest = client.TFTPStopRequest
	AssignRequest   = client.AssignRequest
	Assignments     = client.Assignments
	Assignment      = client.Assignment

	Token        = client.Token
	TokenRequest = client.TokenRequest
	NewToken     = client.NewToken
	Scope        = client.Scope
	Duration     = client.Duration

	ExplainRequest = client.ExplainRequest
	Explanation    = client.Explanation
	Candidate      = client.Candidate
	Machine        = client.Machine
	PacketField    = client.PacketField

	Which = client.Which
	Place = client.Place
)

// Daemon is what the API drives. All methods may be called at once by many
// goroutines. Errors that are a [*Problem] reach the client as they are.
type Daemon interface {
	// Status must not block.
	Status() Status
	// ShowProfile looks at the profile's files.
	ShowProfile(name string) (ProfileView, error)
	// Explain sends nothing and changes nothing.
	Explain(ExplainRequest) (Explanation, error)
	// Which tells which layer has the file that a name stands for, for the machine
	// with that MAC; an empty one is a machine that nobody knows.
	Which(ctx context.Context, name, mac string) (Which, error)
	// Reload returns with what came of it.
	Reload() Reload
	Profiles
	TFTPService
	Assigner
	Tokens
	Files
	Uploader
}

// Profiles starts and stops profiles.
type Profiles interface {
	// StartProfile returns after the profile's listener is bound.
	StartProfile(ctx context.Context, name string, how TurnRequest) (Turned, error)
	// StopProfile returns after the listener's transfers have ended or were cut, if
	// nobody else holds it.
	StopProfile(ctx context.Context, name string, how TurnRequest) (Turned, error)
}

// TFTPService starts and stops the TFTP service by itself.
type TFTPService interface {
	// TFTP must not block. client is the zero Addr if it is about nobody.
	TFTP(client netip.Addr) TFTP
	// StartTFTP returns after the listener is bound.
	StartTFTP(ctx context.Context) (TFTP, error)
	// StopTFTP returns after the listener's transfers have ended or were cut.
	StopTFTP(ctx context.Context, how TFTPStopRequest) (TFTP, error)
}

// Assigner says what single machines boot. What it changes is on disk when it
// returns.
type Assigner interface {
	Assigned(mac string) (Assignments, error)
	Assign(mac string, what AssignRequest) (Assignments, error)
	ClearAssignment(mac string) (Assignments, error)
	FinishAssignment(mac string) (Assignments, error)
}

// Tokens makes and takes back what clients on other hosts show. What it changes is
// on disk when it returns.
type Tokens interface {
	Tokens() []Token
	NewToken(TokenRequest) (NewToken, error)
	RemoveToken(name string) error
}

// readHeaderTimeout bounds how long a client may take to say what it wants.
const readHeaderTimeout = 5 * time.Second

// maxQuestion bounds the body of a request, in bytes.
const maxQuestion = 64 << 10

// partingTime is how long requests may go on once Serve is to end. What it cuts is
// an upload, which goes on after the restart, or a client that has gone silent.
const partingTime = 5 * time.Second

// Serve answers on ln with h until ctx ends. It closes ln, waits for the requests
// that are being answered, cuts those that take long, and returns nil when none is
// left. told gets a line of each client that breaks off, and of a handler that
// panics.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, told *log.Logger) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	counted := &counted{handler: h}
	srv := &http.Server{
		Handler: counted, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: told,
		BaseContext: func(net.Listener) context.Context { return requests }, ConnContext: withPeer,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		parting, cancel := context.WithTimeout(requests, partingTime)
		defer cancel()
		err := srv.Shutdown(parting)
		if errors.Is(err, context.DeadlineExceeded) {
			cut()
			err = srv.Close()
		}
		stopped <- err
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	err := <-stopped
	counted.end()
	return err
}

// counted is a handler that can be waited for, also after its connections are
// closed.
type counted struct {
	handler http.Handler
	running sync.WaitGroup

	mu    sync.Mutex // guards ended
	ended bool
}

// ServeHTTP implements http.Handler.
func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return // its connection is closed
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	c.handler.ServeHTTP(w, r)
}

// end lets no request in any more, and returns when none is left.
func (c *counted) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.running.Wait()
}

// Handler is the API.
func Handler(d Daemon) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, "application/json", d.Status())
	})
	mux.HandleFunc("GET /v1/profiles/{name}", func(w http.ResponseWriter, r *http.Request) {
		v, err := d.ShowProfile(r.PathValue("name"))
		answer(w, v, err)
	})
	mux.HandleFunc("POST /v1/profiles/{name}/start", asked(func(r *http.Request, how TurnRequest) (Turned, error) {
		return d.StartProfile(r.Context(), r.PathValue("name"), how)
	}))
	mux.HandleFunc("POST /v1/profiles/{name}/stop", asked(func(r *http.Request, how TurnRequest) (Turned, error) {
		return d.StopProfile(r.Context(), r.PathValue("name"), how)
	}))
	mux.HandleFunc("POST /v1/explain", asked(func(_ *http.Request, q ExplainRequest) (Explanation, error) {
		return d.Explain(q)
	}))
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, d.Reload(), nil)
	})
	handleTFTP(mux, d)
	handleAssignments(mux, d)
	mux.HandleFunc("GET /v1/files-which", func(w http.ResponseWriter, r *http.Request) {
		found, err := d.Which(r.Context(), r.URL.Query().Get("name"), r.URL.Query().Get("mac"))
		answer(w, found, err)
	})
	handleTokens(mux, d)
	handleFiles(mux, d)
	handleUploads(mux, d)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, &Problem{Status: http.StatusNotFound, Code: client.CodeNotFound, Detail: "the API has no " + r.Method + " " + r.URL.Path})
	})
	return mux
}

// handleTFTP adds the calls about the TFTP service.
func handleTFTP(mux *http.ServeMux, d Daemon) {
	mux.HandleFunc("GET /v1/tftp", func(w http.ResponseWriter, r *http.Request) {
		var client netip.Addr
		if text := r.URL.Query().Get("for"); text != "" {
			var err error
			if client, err = netip.ParseAddr(text); err != nil {
				answer(w, nil, Invalid(fmt.Sprintf("%q is not an IP address", text)))
				return
			}
		}
		answer(w, d.TFTP(client), nil)
	})
	mux.HandleFunc("POST /v1/tftp/start", func(w http.ResponseWriter, r *http.Request) {
		t, err := d.StartTFTP(r.Context())
		answer(w, t, err)
	})
	mux.HandleFunc("POST /v1/tftp/stop", asked(func(r *http.Request, how TFTPStopRequest) (TFTP, error) {
		return d.StopTFTP(r.Context(), how)
	}))
}

// handleAssignments adds the calls about the assignments of one machine.
func handleAssignments(mux *http.ServeMux, d Daemon) {
	const path = "/v1/machines/{mac}/assignment"
	of := func(f func(mac string) (Assignments, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			a, err := f(r.PathValue("mac"))
			answer(w, a, err)
		}
	}
	mux.HandleFunc("GET "+path, of(d.Assigned))
	mux.HandleFunc("DELETE "+path, of(d.ClearAssignment))
	mux.HandleFunc("POST "+path+"/done", of(d.FinishAssignment))
	mux.HandleFunc("PUT "+path, asked(func(r *http.Request, what AssignRequest) (Assignments, error) {
		return d.Assign(r.PathValue("mac"), what)
	}))
}

// handleTokens adds the calls about tokens.
func handleTokens(mux *http.ServeMux, d Daemon) {
	mux.HandleFunc("GET /v1/tokens", told(func(*http.Request) ([]Token, error) { return d.Tokens(), nil }))
	mux.HandleFunc("POST /v1/tokens", asked(func(_ *http.Request, q TokenRequest) (NewToken, error) {
		return d.NewToken(q)
	}))
	mux.HandleFunc("DELETE /v1/tokens/{name}", done(func(r *http.Request) error { return d.RemoveToken(r.PathValue("name")) }))
}

// asked is a handler of requests that have a body. One that is empty asks for
// nothing in particular.
func asked[Q, A any](f func(*http.Request, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q)
		if err != nil && !errors.Is(err, io.EOF) {
			answer(w, nil, Invalid("the request is not what this version expects: "+err.Error()))
			return
		}
		a, err := f(r, q)
		answer(w, a, err)
	}
}

// answer writes a result, or the error as problem+json (RFC 9457).
func answer(w http.ResponseWriter, result any, err error) {
	if err == nil {
		writeJSON(w, http.StatusOK, "application/json", result)
		return
	}
	var p *Problem
	if !errors.As(err, &p) {
		p = &Problem{Status: http.StatusInternalServerError, Code: client.CodeUnavailable, Detail: err.Error()}
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON writes one document. An error means that the client has gone away,
// which is nobody's business.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// NotFound says that there is no such thing.
func NotFound(detail string) error {
	return &Problem{Status: http.StatusNotFound, Code: client.CodeNotFound, Detail: detail}
}

// Conflict says that something else stands in the way.
func Conflict(detail string) error {
	return &Problem{Status: http.StatusConflict, Code: client.CodeConflict, Detail: detail}
}

// Invalid says that the request makes no sense.
func Invalid(detail string) error {
	return &Problem{Status: http.StatusUnprocessableEntity, Code: client.CodeInvalid, Detail: detail}
}

// NotRunning says that what was to be stopped, or asked for, is not running.
func NotRunning(detail string) error {
	return &Problem{Status: http.StatusConflict, Code: client.CodeNotRunning, Detail: detail}
}

// The codes of problems.
const (
	CodeNotFound    = client.CodeNotFound
	CodeConflict    = client.CodeConflict
	CodeInvalid     = client.CodeInvalid
	CodeUnavailable = client.CodeUnavailable
	CodeForbidden   = client.CodeForbidden
)

// The scopes of tokens.
const (
	ScopeRead    = client.ScopeRead
	ScopeUpload  = client.ScopeUpload
	ScopeControl = client.ScopeControl
)

// Started, Stopped and Broken are the states of a profile.
const (
	Started = client.ProfileStarted
	Stopped = client.ProfileStopped
	Broken  = client.ProfileBroken
)

// DefaultExpires is how long a once-assignment stands that nothing consumes.
const DefaultExpires = client.DefaultExpires
