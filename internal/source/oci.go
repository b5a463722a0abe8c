package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// artifact is one of an OCI registry, or a file in it.
type artifact struct {
	ref   registry.Reference
	plain bool   // HTTP without TLS
	file  string // the title of the only one that is wanted, or empty
}

func parseOCI(text string) (place, bool, error) {
	if !hasScheme(text, "oci") {
		return nil, false, nil
	}
	_, rest, _ := strings.Cut(text, "://")
	rest, file, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(strings.SplitN(rest, "/", 2)[0], "@") {
		return nil, true, &Error{errors.New("an oci:// address holds no user"), "log in with: docker login REGISTRY"}
	}
	options, err := parseOptions(query, "plain-http")
	if err != nil {
		return nil, true, err
	}
	a := artifact{file: file}
	if a.ref, err = registry.ParseReference(rest); err != nil {
		return nil, true, fmt.Errorf("want oci://registry/repository:tag: %w", err)
	}
	a.ref.Reference = a.ref.ReferenceOrDefault()
	switch options["plain-http"] {
	case "":
		a.plain = isLoopback(a.ref.Registry)
	case "0", "1":
		a.plain = options["plain-http"] == "1"
	default:
		return nil, true, fmt.Errorf("plain-http=%s, want 1 or 0", options["plain-http"])
	}
	return a, true, nil
}

// isLoopback tells whether a host, perhaps with a port, is this one.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (a artifact) String() string {
	if a.file != "" {
		return "oci://" + a.ref.String() + "#" + a.file
	}
	return "oci://" + a.ref.String()
}

func (a artifact) path() string {
	if a.file != "" {
		return a.file
	}
	return a.ref.Repository
}

func (a artifact) open(context.Context, Options) (lister, error) { return nil, errors.ErrUnsupported }

var _ = []any{json.Marshal, io.EOF, iter.Pull[int], path.Base, digest.SHA256, ocispec.AnnotationTitle, remote.NewRepository, auth.DefaultCache, credentials.NewStoreFromDocker, errcode.Error{}, http.MethodGet}
