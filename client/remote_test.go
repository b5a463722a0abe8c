package client_test

import (
	"errors"
	"strings"
	"testing"

	"netbootd/client"
)

func TestRemotesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		r  client.Remote
		ok bool
	}{
		"as it is logged":       {client.Remote{URL: "https://h:1", Fingerprint: "sha256:" + good}, true},
		"with colons":           {client.Remote{URL: "https://h:1/", Fingerprint: strings.TrimSuffix(strings.Repeat("AB:", 32), ":")}, true},
		"without a fingerprint": {client.Remote{URL: "https://h"}, true},
		"a short fingerprint":   {client.Remote{URL: "https://h:1", Fingerprint: good[2:]}, false},
		"no fingerprint at all": {client.Remote{URL: "https://h:1", Fingerprint: "sha256:"}, false},
		"without TLS":           {client.Remote{URL: "http://h:1"}, false},
		"a path":                {client.Remote{URL: "https://h:1/v1"}, false},
		"a name alone":          {client.Remote{URL: "h:1"}, false},
		"a user":                {client.Remote{URL: "https://u@h:1"}, false},
	} {
		if _, err := client.NewRemote(c.r); (err == nil) != c.ok || err != nil && !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
