package control

import (
	"net/http"
	"slices"
	"strings"

	"netbootd/client"
)

// Bearers says what tokens allow. It is safe for concurrent use and must not
// block.
type Bearers interface {
	// Scopes are what the bearer of a token may do; ok is false if it is none, or
	// none any more.
	Scopes(token string) (scopes []client.Scope, ok bool)
}

// Guard lets requests through to h whose token allows them. Those on the unix
// socket need none: who may open it is said by its mode.
func Guard(h http.Handler, b Bearers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		scopes, ok := b.Scopes(token)
		switch needed := scopeOf(r); {
		case !found:
			refuse(w, http.StatusUnauthorized, "this server wants a token, and the request has none")
		case !ok:
			refuse(w, http.StatusUnauthorized, "the token is unknown, or it has expired")
		case !slices.Contains(scopes, needed):
			refuse(w, http.StatusForbidden, "the token does not have the scope "+string(needed)+", which "+r.Method+" "+r.URL.Path+" needs")
		default:
			h.ServeHTTP(w, r)
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
	case under("/v1/files", "/v1/uploads"):
		return client.ScopeUpload
	}
	return client.ScopeControl
}
