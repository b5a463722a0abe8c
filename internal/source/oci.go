package source

import (
	"cmp"
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
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"

	// packedDirectory is how ORAS marks a layer that is the archive of a directory.
	packedDirectory = "io.deis.oras.content.unpack"
)

// artifact is one of an OCI registry, or a file in it.
type artifact struct {
	ref   registry.Reference
	plain bool   // HTTP without TLS
	file  string // title or digest of the only one that is wanted, or empty
}

func parseOCI(text string) (place, bool, error) {
	if !hasScheme(text, "oci") {
		return nil, false, nil
	}
	_, rest, _ := strings.Cut(text, "://")
	rest, file, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") {
		return nil, true, &Error{errors.New("an oci:// address holds no user"), "log in to the registry with: docker login REGISTRY"}
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

func (a artifact) path() string { return cmp.Or(a.file, a.ref.Repository) }

func (a artifact) open(_ context.Context, o Options) (lister, error) {
	repo, err := remote.NewRepository(a.ref.String())
	if err != nil {
		return nil, err
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("the credentials of docker: %w", err)
	}
	client := &auth.Client{Client: newHTTPClient(), Credential: credentials.Credential(store), Cache: auth.NewCache()}
	client.SetUserAgent("netbootd")
	if isLoopback(a.ref.Registry) {
		client.BlockedRealmPrefixes = []netip.Prefix{} // its token server may well be here too
	}
	repo.Client, repo.PlainHTTP = client, a.plain
	return &repository{artifact: a, repo: repo, client: client.Client, retry: o.Retry}, nil
}

// A repository is read by the protocol of OCI registries.
type repository struct {
	artifact
	repo   *remote.Repository
	client *http.Client
	retry  Retry
}

func (r *repository) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

func (r *repository) items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		layers, err := r.layers(ctx)
		if err != nil {
			yield(Item{}, explainRegistry(err))
			return
		}
		for _, l := range layers {
			it := r.item(l)
			if l.Annotations[packedDirectory] == "true" {
				it, err = Item{Name: it.Name, Size: -1}, fmt.Errorf("%s: a packed directory, not a file", it.Name)
			}
			if !yield(it, err) {
				return
			}
			err = nil
		}
	}
}

// layers are those that are files: they have a title.
func (r *repository) layers(ctx context.Context) ([]ocispec.Descriptor, error) {
	desc, body, err := r.repo.FetchReference(ctx, r.ref.Reference)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	switch desc.MediaType {
	case ocispec.MediaTypeImageManifest, dockerManifest:
	case ocispec.MediaTypeImageIndex, dockerIndex:
		return nil, permanentError{&Error{errors.New("it is an index of several artifacts"), "name one of them by its digest: " + r.ref.Registry + "/" + r.ref.Repository + "@sha256:..."}}
	default:
		return nil, permanentError{fmt.Errorf("it is of the type %q, want a manifest with layers", desc.MediaType)}
	}
	b, err := content.ReadAll(body, desc)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(b, &manifest); err != nil {
		return nil, permanentError{fmt.Errorf("its manifest cannot be parsed: %w", err)}
	}
	return r.pick(manifest.Layers)
}

// pick takes the layers with a title, or the one that was asked for.
func (r *repository) pick(layers []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	var titles []string
	var picked []ocispec.Descriptor
	for _, l := range layers {
		title := l.Annotations[ocispec.AnnotationTitle]
		if title != "" {
			titles = append(titles, title)
		}
		if r.file == "" && title != "" || r.file != "" && (r.file == title || r.file == l.Digest.String()) {
			picked = append(picked, l)
		}
	}
	switch {
	case len(picked) > 0:
		return picked, nil
	case len(titles) == 0:
		return nil, permanentError{fmt.Errorf("none of its layers is a file, which would have a title (%s)", ocispec.AnnotationTitle)}
	}
	return nil, permanentError{fmt.Errorf("it has no file %q, it has %s", r.file, strings.Join(titles, ", "))}
}

func (r *repository) item(layer ocispec.Descriptor) Item {
	name := cmp.Or(layer.Annotations[ocispec.AnnotationTitle], layer.Digest.Encoded())
	if r.file != "" {
		name = path.Base(name)
	}
	it := Item{Name: name, Size: layer.Size, Version: layer.Digest.String()}
	if layer.Digest.Algorithm() == digest.SHA256 {
		it.SHA256 = layer.Digest.Encoded()
	}
	shown := artifact{ref: r.ref, file: name}.String()
	it.open = r.retry.resuming(shown, layer.Size, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		return r.read(ctx, layer, offset)
	})
	return it
}

// read opens one connection for the bytes of a layer from offset on. A digest
// names no more than one content, so a registry that gives no parts may be read
// from the start.
func (r *repository) read(ctx context.Context, layer ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	body, err := r.repo.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, explainRegistry(err)
	}
	s, ok := body.(io.Seeker)
	if !ok {
		return &skippingReader{body, offset}, nil
	}
	if _, err := s.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(explainRegistry(err), body.Close())
	}
	return body, nil
}

// explainRegistry makes the client's errors plain.
func explainRegistry(err error) error {
	var said *errcode.ErrorResponse
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return permanentError{errors.New("the registry has no such artifact")}
	case !errors.As(err, &said):
		return withoutAddress(err)
	}
	err = fmt.Errorf("the registry says %d %s", said.StatusCode, http.StatusText(said.StatusCode))
	switch {
	case isWorthAnotherTry(said.StatusCode):
		return err
	case said.StatusCode == http.StatusUnauthorized, said.StatusCode == http.StatusForbidden:
		err = &Error{err, "log in to the registry with: docker login REGISTRY"}
	}
	return permanentError{err}
}
