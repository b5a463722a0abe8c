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

// Guarded is the API for other hosts: a request goes through if its token has the
// scope that its route needs.
func (a *API) Guarded(b Bearers) http.Handler {
	return a.handler(func(to route) http.Handler { return guarded(to, b) })
}

// guarded is one route behind its guard.
func guarded(to route, b Bearers) http.HandlerFunc {
	if to.scope == anyone {
		return to.serve
	}
	return func(w http.ResponseWriter, r *http.Request) {
		text, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, ok := b.Bearer(text)
		switch {
		case !found:
			refuse(w, http.StatusUnauthorized, "this server wants a token, and the request has none")
		case !ok:
			refuse(w, http.StatusUnauthorized, "the token is unknown, or it has expired")
		case !slices.Contains(token.Scopes, to.scope):
			refuse(w, http.StatusForbidden, "the token does not have the scope "+string(to.scope)+", which "+r.Method+" "+r.URL.Path+" needs")
		default:
			to.serve(w, calledBy(r, "token "+token.Name))
		}
	}
}

// refuse answers a request that is not allowed.
func refuse(w http.ResponseWriter, status int, detail string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="netbootd"`) // RFC 6750 section 3
	}
	answer(w, nil, &Problem{Status: status, Code: client.CodeForbidden, Detail: detail})
}

// withPeer notes who is at the other end of a connection, if the kernel knows.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		return context.WithValue(ctx, callerKey{}, peer(u))
	}
	return ctx
}
