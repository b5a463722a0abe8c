// Package control is the server side of the control API: HTTP with JSON on a unix
// socket, and with TLS and tokens for other hosts. It translates between requests
// and the few methods of [Daemon], and decides nothing itself. The types are those
// of package client, so that both sides read the same words.
package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

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

// Handler is the API.
func Handler(d Daemon) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", told(func(*http.Request) (Status, error) { return d.Status(), nil }))
	mux.HandleFunc("GET /v1/profiles/{name}", told(func(r *http.Request) (ProfileView, error) {
		return d.ShowProfile(r.PathValue("name"))
	}))
	mux.HandleFunc("POST /v1/profiles/{name}/start", asked(func(r *http.Request, how TurnRequest) (Turned, error) {
		return d.StartProfile(r.Context(), r.PathValue("name"), how)
	}))
	mux.HandleFunc("POST /v1/profiles/{name}/stop", asked(func(r *http.Request, how TurnRequest) (Turned, error) {
		return d.StopProfile(r.Context(), r.PathValue("name"), how)
	}))
	mux.HandleFunc("POST /v1/explain", asked(func(_ *http.Request, q ExplainRequest) (Explanation, error) {
		return d.Explain(q)
	}))
	mux.HandleFunc("POST /v1/reload", told(func(*http.Request) (Reload, error) { return d.Reload(), nil }))
	mux.HandleFunc("GET /v1/files-which", told(func(r *http.Request) (Which, error) {
		return d.Which(r.Context(), r.URL.Query().Get("name"), r.URL.Query().Get("mac"))
	}))
	handleTFTP(mux, d)
	handleAssignments(mux, d)
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
	mux.HandleFunc("GET /v1/tftp", told(func(r *http.Request) (TFTP, error) {
		text := r.URL.Query().Get("for")
		if text == "" {
			return d.TFTP(netip.Addr{}), nil
		}
		client, err := netip.ParseAddr(text)
		if err != nil {
			return TFTP{}, Invalid(fmt.Sprintf("%q is not an IP address", text))
		}
		return d.TFTP(client), nil
	}))
	mux.HandleFunc("POST /v1/tftp/start", told(func(r *http.Request) (TFTP, error) { return d.StartTFTP(r.Context()) }))
	mux.HandleFunc("POST /v1/tftp/stop", asked(func(r *http.Request, how TFTPStopRequest) (TFTP, error) {
		return d.StopTFTP(r.Context(), how)
	}))
}

// handleAssignments adds the calls about the assignments of one machine.
func handleAssignments(mux *http.ServeMux, d Daemon) {
	const path = "/v1/machines/{mac}/assignment"
	of := func(f func(mac string) (Assignments, error)) http.HandlerFunc {
		return told(func(r *http.Request) (Assignments, error) { return f(r.PathValue("mac")) })
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
