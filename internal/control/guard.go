package control

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"netbootd/client"
)

// Bearers knows tokens. It is safe for concurrent use and must not block.
type Bearers interface {
	// Bearer is the token that a text is; ok is false if it is none, or none any
	// more.
	Bearer(text string) (t Token, ok bool)
}

// Guard lets requests through to h whose token allows them. Those on the unix
// socket need none: who may open it is said by its mode.
func Guard(h http.Handler, b Bearers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, ok := b.Bearer(text)
		switch needed := scopeOf(r); {
		case !found:
			refuse(w, http.StatusUnauthorized, "this server wants a token, and the request has none")
		case !ok:
			refuse(w, http.StatusUnauthorized, "the token is unknown, or it has expired")
		case !slices.Contains(token.Scopes, needed):
			refuse(w, http.StatusForbidden, "the token does not have the scope "+string(needed)+", which "+r.Method+" "+r.URL.Path+" needs")
		default:
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, "token "+token.Name)))
		}
	})
}

// refuse answers a request that is not allowed.
func refuse(w http.ResponseWriter, status int, detail string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="netbootd"`) // RFC 6750 section 3
	}
	answer(w, nil, &Problem{Status: status, Code: client.CodeForbidden, Detail: detail})
}

// scopeOf is what a request needs.
func scopeOf(r *http.Request) client.Scope {
	under := func(dirs ...string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool {
			return r.URL.Path == dir || strings.HasPrefix(r.URL.Path, dir+"/")
		})
	}
	switch {
	case under("/v1/tokens"):
		return client.ScopeControl // their names are nobody else's business
	case r.Method == http.MethodGet, r.Method == http.MethodHead, under("/v1/explain"):
		return client.ScopeRead
	case under("/v1/files", "/v1/uploads", "/v1/store"):
		return client.ScopeUpload
	}
	return client.ScopeControl
}

// callerKey is where a request's context keeps who asks.
type callerKey struct{}

// caller is who asks, for people: the user at the other end of the unix socket, or a
// token.
func caller(r *http.Request) string {
	who, _ := r.Context().Value(callerKey{}).(string)
	return who
}

// withPeer notes who is at the other end of a connection, if the kernel knows.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		return context.WithValue(ctx, callerKey{}, peer(u))
	}
	return ctx
}
