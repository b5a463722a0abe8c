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

// daemonRoutes are the calls about the daemon as a whole.
func daemonRoutes(d Daemon) []route {
	return []route{
		told("GET", "/v1/status", ScopeRead, "What the daemon is doing.",
			func(*http.Request) (Status, error) { return d.Status(), nil }),
		told("POST", "/v1/reload", ScopeControl, "Read the configuration anew, and say what came of it.",
			func(*http.Request) (Reload, error) { return d.Reload(), nil }),
		asked("POST", "/v1/explain", ScopeRead, "What becomes of a DHCP request, and why. Nothing is sent.",
			func(_ *http.Request, q ExplainRequest) (Explanation, error) { return d.Explain(q) }),
		told("GET", "/v1/files-which", ScopeRead, "Which layer of the boot tree has the file that a name stands for.",
			func(r *http.Request) (Which, error) {
				return d.Which(r.Context(), r.URL.Query().Get("name"), r.URL.Query().Get("mac"))
			},
			parameter{"name", "string", "The name, as a machine would ask for it."},
			parameter{"mac", "string", "Of which machine; absent: one that nobody knows."}),
	}
}

// profileRoutes are the calls about one profile.
func profileRoutes(d Daemon) []route {
	const path = "/v1/profiles/{name}"
	return []route{
		told("GET", path, ScopeRead, "What a profile gives to its machines, and what its files are.",
			func(r *http.Request) (ProfileView, error) { return d.ShowProfile(r.PathValue("name")) }),
		asked("POST", path+"/start", ScopeControl, "Start a profile. The TFTP listener is bound when this is answered.",
			func(r *http.Request, how TurnRequest) (Turned, error) {
				return d.StartProfile(r.Context(), r.PathValue("name"), how)
			}),
		asked("POST", path+"/stop", ScopeControl, "Stop a profile. With the last one transfers are let end first.",
			func(r *http.Request, how TurnRequest) (Turned, error) {
				return d.StopProfile(r.Context(), r.PathValue("name"), how)
			}),
	}
}

// tftpRoutes are the calls about the TFTP service.
func tftpRoutes(d TFTPService) []route {
	return []route{
		told("GET", "/v1/tftp", ScopeRead, "How the TFTP service stands, and the address that a client would use.",
			func(r *http.Request) (TFTP, error) {
				text := r.URL.Query().Get("for")
				if text == "" {
					return d.TFTP(netip.Addr{}), nil
				}
				client, err := netip.ParseAddr(text)
				if err != nil {
					return TFTP{}, Invalid(fmt.Sprintf("%q is not an IP address", text))
				}
				return d.TFTP(client), nil
			},
			parameter{"for", "string", "IP address of the client; absent: any."}),
		told("POST", "/v1/tftp/start", ScopeControl, "Have the TFTP service run whether a profile is started or not.",
			func(r *http.Request) (TFTP, error) { return d.StartTFTP(r.Context()) }),
		asked("POST", "/v1/tftp/stop", ScopeControl, "Take that back. Transfers are let end first.",
			func(r *http.Request, how TFTPStopRequest) (TFTP, error) { return d.StopTFTP(r.Context(), how) }),
	}
}

// assignmentRoutes are the calls about the assignments of one machine.
func assignmentRoutes(d Assigner) []route {
	const path = "/v1/machines/{mac}/assignment"
	of := func(f func(mac string) (Assignments, error)) func(*http.Request) (Assignments, error) {
		return func(r *http.Request) (Assignments, error) { return f(r.PathValue("mac")) }
	}
	return []route{
		told("GET", path, ScopeRead, "What a machine is assigned to.", of(d.Assigned)),
		asked("PUT", path, ScopeControl, "Assign a machine to a profile.",
			func(r *http.Request, what AssignRequest) (Assignments, error) {
				return d.Assign(r.PathValue("mac"), what)
			}),
		told("DELETE", path, ScopeControl, "Take back all that a machine is assigned to.", of(d.ClearAssignment)),
		told("POST", path+"/done", ScopeControl, "Say that a machine is done with what it is assigned to once.", of(d.FinishAssignment)),
	}
}

// tokenRoutes are the calls about tokens, whose names are nobody else's business.
func tokenRoutes(d Tokens) []route {
	return []route{
		told("GET", "/v1/tokens", ScopeControl, "The tokens that there are.",
			func(*http.Request) ([]Token, error) { return d.Tokens(), nil }),
		asked("POST", "/v1/tokens", ScopeControl, "Make a token. Its text is told this once.",
			func(_ *http.Request, q TokenRequest) (NewToken, error) { return d.NewToken(q) }),
		done("DELETE", "/v1/tokens/{name}", ScopeControl, "Take a token back.",
			func(r *http.Request) error { return d.RemoveToken(r.PathValue("name")) }),
	}
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
