// Package control is the server side of the control API: HTTP with JSON on a
// unix socket. It translates between requests and the few methods of [Daemon],
// and decides nothing itself. The types are those of package client, so that both
// sides read the same words.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"netbootd/client"
)

// The types of the API, under the names by which the daemon fills them.
type (
	Status    = client.Status
	Profile   = client.Profile
	Listener  = client.Listener
	Interface = client.Interface
	Loader    = client.Loader
	Transfer  = client.Transfer
	Reload    = client.Reload
	Problem   = client.Problem

	ExplainRequest = client.ExplainRequest
	Explanation    = client.Explanation
	Machine        = client.Machine
	PacketField    = client.PacketField

	Which = client.Which
	Place = client.Place
)

// Daemon is what the API drives. All methods may be called at once by many
// goroutines.
type Daemon interface {
	// Status must not block.
	Status() Status
	// Explain sends nothing and changes nothing.
	Explain(ExplainRequest) (Explanation, error)
	// Which tells which layer has the file that a name stands for, for the machine
	// with that MAC; an empty one is a machine that nobody knows.
	Which(ctx context.Context, name, mac string) (Which, error)
	// StartProfile returns after the profile's listener is bound. Errors that are
	// a [*Problem] reach the client as they are.
	StartProfile(ctx context.Context, name string) (Profile, error)
	// StopProfile returns after the profile's transfers have ended or were cut.
	StopProfile(ctx context.Context, name string) (Profile, error)
}

// readHeaderTimeout bounds how long a client may take to say what it wants.
const readHeaderTimeout = 5 * time.Second

// maxQuestion bounds the body of a request, in bytes.
const maxQuestion = 64 << 10

// Serve answers on ln with h until ctx ends. It closes ln, waits for the requests
// that are being answered, and returns nil after that.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- srv.Shutdown(context.WithoutCancel(ctx)) })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// Handler is the API.
func Handler(d Daemon) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, "application/json", d.Status())
	})
	mux.HandleFunc("POST /v1/profiles/{name}/start", func(w http.ResponseWriter, r *http.Request) {
		p, err := d.StartProfile(r.Context(), r.PathValue("name"))
		answer(w, p, err)
	})
	mux.HandleFunc("POST /v1/profiles/{name}/stop", func(w http.ResponseWriter, r *http.Request) {
		p, err := d.StopProfile(r.Context(), r.PathValue("name"))
		answer(w, p, err)
	})
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		var q ExplainRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
			answer(w, nil, Invalid("the request is not what this version expects: "+err.Error()))
			return
		}
		e, err := d.Explain(q)
		answer(w, e, err)
	})
	mux.HandleFunc("GET /v1/files-which", func(w http.ResponseWriter, r *http.Request) {
		found, err := d.Which(r.Context(), r.URL.Query().Get("name"), r.URL.Query().Get("mac"))
		answer(w, found, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, &Problem{Status: http.StatusNotFound, Code: client.CodeNotFound, Detail: "the API has no " + r.Method + " " + r.URL.Path})
	})
	return mux
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

// Started, Stopped and Broken are the states of a profile.
const (
	Started = client.ProfileStarted
	Stopped = client.ProfileStopped
	Broken  = client.ProfileBroken
)
