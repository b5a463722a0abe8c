package control

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"netbootd/client"
)

// bearers are tokens and what they allow.
type bearers map[string][]client.Scope

func (b bearers) Bearer(text string) (Token, bool) {
	s, ok := b[text]
	return Token{Name: text, Scopes: s}, ok
}

func TestGuardWantsATokenWithTheRightScope(t *testing.T) {
	t.Parallel()
	passed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by := caller(r); !strings.HasPrefix(by, "token ") {
			t.Errorf("the caller is %q", by)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	api := New(struct{ Daemon }{})
	for i := range api.routes {
		api.routes[i].serve = passed
	}
	h := api.Guarded(bearers{"reader": {client.ScopeRead}, "ci": {client.ScopeRead, client.ScopeUpload}, "admin": {client.ScopeControl}, "": {client.ScopeControl}})
	const yes, anonymous, no, none = http.StatusNoContent, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound
	for _, c := range []struct {
		method, path, authorization string
		want                        int
	}{
		{"GET", "/v1/status", "Bearer reader", yes},
		{"HEAD", "/v1/files/a", "Bearer reader", yes},
		{"POST", "/v1/explain", "Bearer reader", yes},
		{"GET", "/v1/status", "Bearer admin", no},
		{"PUT", "/v1/files/a", "Bearer reader", no},
		{"PUT", "/v1/files/a", "Bearer ci", yes},
		{"POST", "/v1/uploads", "Bearer ci", yes},
		{"POST", "/v1/store/copy", "Bearer ci", yes},
		{"POST", "/v1/store/copy", "Bearer reader", no},
		{"GET", "/v1/store/hash/a", "Bearer reader", yes},
		{"POST", "/v1/uploadsandmore", "Bearer ci", none},
		{"GET", "/v1/uploads", "Bearer reader", yes},
		{"DELETE", "/v1/uploads/u", "Bearer reader", no},
		{"DELETE", "/v1/store/versions/a", "Bearer ci", yes},
		{"PUT", "/v1/machines/m/assignment", "Bearer ci", no},
		{"POST", "/v1/profiles/a/start", "Bearer ci", no},
		{"POST", "/v1/profiles/a/start", "Bearer admin", yes},
		{"GET", "/v1/tokens", "Bearer ci", no},
		{"GET", "/v1/tokens", "Bearer admin", yes},
		{"GET", "/v1/status", "", anonymous},
		{"GET", "/v1/status", "reader", anonymous},
		{"GET", "/v1/status", "Basic reader", anonymous},
		{"GET", "/v1/status", "Bearer nobody", anonymous},
	} {
		r := httptest.NewRequest(c.method, c.path, http.NoBody)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s with %q: %d, want %d", c.method, c.path, c.authorization, w.Code, c.want)
		}
		if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (c.want == anonymous) {
			t.Errorf("%s %s with %q: a challenge: %t", c.method, c.path, c.authorization, challenged)
		}
	}
}

// Whoever adds a call that needs no token shall have thought of it.
func TestNoCallIsForAnyoneByMistake(t *testing.T) {
	t.Parallel()
	meant := []string{}
	for _, r := range New(struct{ Daemon }{}).routes {
		if call := r.method + " " + r.path; r.scope == anyone && !slices.Contains(meant, call) {
			t.Errorf("%s needs no token", call)
		}
	}
}
