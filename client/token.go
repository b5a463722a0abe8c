package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// A Scope is what a token allows.
type Scope string

// The scopes. None includes another.
const (
	ScopeRead    Scope = "read"    // look at everything, also at the images' bytes
	ScopeUpload  Scope = "upload"  // change images
	ScopeControl Scope = "control" // everything else: profiles, assignments, tokens
)

// A Token lets clients on other hosts use the API. The text that is one is not
// kept, and so not here.
type Token struct {
	Name    string    `json:"name"`
	Scopes  []Scope   `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // without end if it is zero
}

// A TokenRequest asks for a token.
type TokenRequest struct {
	Name    string   `json:"name"` // 1 to 63 of a-z, 0-9, dot, dash and underscore; not in use yet
	Scopes  []Scope  `json:"scopes"`
	Expires Duration `json:"expires,omitempty"` // from now; zero: never
}

// A NewToken is a token that was just made, with the text that clients send. It is
// told this once.
type NewToken struct {
	Token
	Text string `json:"text"`
}

// NewToken makes a token. A name that is in use is [ErrConflict].
func (c *Client) NewToken(ctx context.Context, q TokenRequest) (NewToken, error) {
	var t NewToken
	return t, c.call(ctx, http.MethodPost, "/v1/tokens", q, &t)
}

// Tokens are those that there are, by name, also those that have expired.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	var list []Token
	return list, c.call(ctx, http.MethodGet, "/v1/tokens", nil, &list)
}

// RemoveToken takes a token back: it is refused from now on. An unknown name is
// [ErrNotFound].
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(name), nil, nil)
}
