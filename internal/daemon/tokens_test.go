package daemon

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netbootd/client"
	"netbootd/internal/control"
)

// openTestTokens reads the tokens of a directory at a time that the test may move.
func openTestTokens(t *testing.T, dir string, now *time.Time) *tokens {
	t.Helper()
	tk, err := openTokens(dir, func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func TestTokensOutliveTheProcessAndAreNotKept(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Unix(1_800_000_000, 0)
	tk := openTestTokens(t, dir, &now)
	scopes := []control.Scope{control.ScopeRead, control.ScopeUpload}
	made, err := tk.add(control.TokenRequest{Name: "ci", Scopes: scopes, Expires: control.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(tk.path)
	if err != nil || strings.Contains(string(file), strings.TrimPrefix(made.Text, tokenPrefix)) {
		t.Errorf("%v, the file holds the token:\n%s", err, file)
	}
	if info, err := os.Stat(tk.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
	tk = openTestTokens(t, dir, &now)
	if got, ok := tk.Bearer(made.Text); !ok || !cmp.Equal(got.Scopes, scopes) {
		t.Errorf("after a restart: %v, %t", got, ok)
	}
	for _, wrong := range []string{"", made.Text + "x", made.Text[:len(made.Text)-1], "ci", tokenPrefix} {
		if _, ok := tk.Bearer(wrong); ok {
			t.Errorf("%q passes for a token", wrong)
		}
	}
	now = now.Add(time.Hour)
	if _, ok := tk.Bearer(made.Text); ok {
		t.Error("it holds after it has expired")
	}
}

func TestTokensAreTakenBackAtOnce(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Unix(1_800_000_000, 0)
	tk := openTestTokens(t, dir, &now)
	var texts []string
	for _, name := range []string{"b", "c", "a"} {
		made, err := tk.add(control.TokenRequest{Name: name, Scopes: []control.Scope{control.ScopeControl}})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, made.Text)
	}
	if err := tk.remove("b"); err != nil {
		t.Fatal(err)
	}
	if err := tk.remove("b"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("removing it twice: %v", err)
	}
	for i, want := range []bool{false, true, true} {
		if _, ok := tk.Bearer(texts[i]); ok != want {
			t.Errorf("token %d holds: %t", i, ok)
		}
	}
	var names []string
	for _, k := range openTestTokens(t, dir, &now).all() {
		names = append(names, k.Name)
	}
	if diff := cmp.Diff([]string{"a", "c"}, names); diff != "" {
		t.Error("names (-want +got):\n", diff)
	}
}

func TestTokensThatMakeNoSense(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tk := openTestTokens(t, t.TempDir(), &now)
	read := []control.Scope{control.ScopeRead}
	if _, err := tk.add(control.TokenRequest{Name: "taken", Scopes: read}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		q    control.TokenRequest
		want error
		text string
	}{
		"no name":          {control.TokenRequest{Scopes: read}, client.ErrInvalid, `the name of a token`},
		"a name in use":    {control.TokenRequest{Name: "taken", Scopes: read}, client.ErrConflict, `there is a token "taken" already`},
		"no scope":         {control.TokenRequest{Name: "a"}, client.ErrInvalid, "want some of read, upload, control"},
		"an unknown scope": {control.TokenRequest{Name: "a", Scopes: []control.Scope{"root"}}, client.ErrInvalid, `no scope "root"`},
		"a scope twice":    {control.TokenRequest{Name: "a", Scopes: []control.Scope{"read", "read"}}, client.ErrInvalid, "twice"},
		"expired at birth": {control.TokenRequest{Name: "a", Scopes: read, Expires: -1}, client.ErrInvalid, "never holds"},
	} {
		if _, err := tk.add(c.q); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(tk.all()); n != 1 {
		t.Errorf("%d tokens, want the one", n)
	}
}
