package daemon

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/control"
)

// tokenPrefix is what tokens begin with, so that one that got into a log or a
// repository is known for what it is.
const tokenPrefix = "netbootd_"

// maxTokens bounds them: each request compares its token with all.
const maxTokens = 1000

// tokensFormat is the version of the file's layout.
const tokensFormat = 1

// tokens are those of clients on other hosts. Of each only the SHA-256 is kept: it
// has 256 random bits, which nobody finds by trying, so that no slow hash is
// needed. It is safe for concurrent use.
type tokens struct {
	path string
	now  func() time.Time

	mu   sync.Mutex // guards list; the file is written under it
	list []keptToken
}

type keptToken struct {
	control.Token
	Hash []byte `json:"hash"` // SHA-256 of the token's text
}

type tokensJSON struct {
	Format int         `json:"format"`
	Tokens []keptToken `json:"tokens"`
}

// openTokens reads the file in the state directory, if there is one.
func openTokens(stateDir string, now func() time.Time) (*tokens, error) {
	t := &tokens{path: filepath.Join(stateDir, "tokens.json"), now: now}
	var j tokensJSON
	if err := readState(t.path, tokensFormat, &j); err != nil {
		return nil, err
	}
	t.list = j.Tokens
	return t, nil
}

// Bearer implements control.Bearers.
func (t *tokens) Bearer(text string) (control.Token, bool) {
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.list {
		if subtle.ConstantTimeCompare(k.Hash, hash[:]) == 1 {
			return k.Token, k.Expires.IsZero() || t.now().Before(k.Expires)
		}
	}
	return control.Token{}, false
}

// all are those that there are, by name.
func (t *tokens) all() []control.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]control.Token, 0, len(t.list))
	for _, k := range t.list {
		list = append(list, k.Token)
	}
	return list
}

// add makes a token. It is on disk when add returns.
func (t *tokens) add(q control.TokenRequest) (control.NewToken, error) {
	if err := checkToken(q); err != nil {
		return control.NewToken{}, control.Invalid(err.Error())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, used := slices.BinarySearchFunc(t.list, q.Name, byName)
	switch {
	case used:
		return control.NewToken{}, control.Conflict(fmt.Sprintf("there is a token %q already", q.Name))
	case len(t.list) >= maxTokens:
		return control.NewToken{}, control.Conflict(fmt.Sprintf("there are %d tokens already, remove one first", len(t.list)))
	}
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // it never fails
	text := tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(text))
	now := t.now().UTC().Truncate(time.Second)
	made := keptToken{control.Token{Name: q.Name, Scopes: q.Scopes, Created: now}, hash[:]}
	if q.Expires > 0 {
		made.Expires = now.Add(time.Duration(q.Expires))
	}
	if err := t.keep(slices.Insert(slices.Clone(t.list), at, made)); err != nil {
		return control.NewToken{}, err
	}
	return control.NewToken{Token: made.Token, Text: text}, nil
}

// remove takes a token back.
func (t *tokens) remove(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, found := slices.BinarySearchFunc(t.list, name, byName)
	if !found {
		return control.NotFound(fmt.Sprintf("there is no token %q", name))
	}
	return t.keep(slices.Delete(slices.Clone(t.list), at, at+1))
}

func byName(k keptToken, name string) int { return strings.Compare(k.Name, name) }

// keep writes a list down and puts it in force. The caller holds mu.
func (t *tokens) keep(list []keptToken) error {
	if err := writeState(t.path, tokensJSON{tokensFormat, list}); err != nil {
		return err
	}
	t.list = list
	return nil
}

// checkToken says what is wrong with a request for a token.
func checkToken(q control.TokenRequest) error {
	known := []control.Scope{control.ScopeRead, control.ScopeUpload, control.ScopeControl}
	if err := bootmenu.CheckName(q.Name); err != nil {
		return fmt.Errorf("the name of a token: %w", err)
	}
	if len(q.Scopes) == 0 {
		return fmt.Errorf("a token without scopes allows nothing, want some of %s", scopeTexts(known))
	}
	for i, s := range q.Scopes {
		if !slices.Contains(known, s) {
			return fmt.Errorf("there is no scope %q, only %s", s, scopeTexts(known))
		}
		if slices.Contains(q.Scopes[:i], s) {
			return fmt.Errorf("the scope %s is there twice", s)
		}
	}
	if q.Expires < 0 {
		return fmt.Errorf("a token that expires after %s never holds", time.Duration(q.Expires))
	}
	return nil
}

func scopeTexts(scopes []control.Scope) string {
	var texts []string
	for _, s := range scopes {
		texts = append(texts, string(s))
	}
	return strings.Join(texts, ", ")
}

// Tokens implements control.Tokens.
func (d *Daemon) Tokens() []control.Token { return d.tokens.all() }

// NewToken implements control.Tokens.
func (d *Daemon) NewToken(q control.TokenRequest) (control.NewToken, error) {
	t, err := d.tokens.add(q)
	if err == nil {
		d.opts.Logger.Info("token made", "token", t.Name, "scopes", scopeTexts(t.Scopes))
	}
	return t, err
}

// RemoveToken implements control.Tokens.
func (d *Daemon) RemoveToken(name string) error {
	err := d.tokens.remove(name)
	if err == nil {
		d.opts.Logger.Info("token removed", "token", name)
	}
	return err
}
