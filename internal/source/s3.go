package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// object is an object of a bucket, or all below a prefix that ends in a slash.
type object struct {
	bucket, key string

	// Empty where the environment decides.
	endpoint string
	region   string
}

// parseS3 takes the key as it is, as other tools do: nothing in it is escaped.
func parseS3(text string) (place, bool, error) {
	if !hasScheme(text, "s3") {
		return nil, false, nil
	}
	_, rest, _ := strings.Cut(text, "://")
	rest, query, _ := strings.Cut(rest, "?")
	options, err := parseOptions(query, "endpoint", "region")
	if err != nil {
		return nil, true, err
	}
	var o object
	o.bucket, o.key, _ = strings.Cut(rest, "/")
	if o.bucket == "" || strings.ContainsAny(o.bucket, "@:") {
		return nil, true, errors.New("the s3:// address names no bucket, want s3://bucket/key, without user or host")
	}
	o.endpoint, o.region = options["endpoint"], options["region"]
	if o.endpoint != "" {
		if _, err := parseEndpoint(o.endpoint); err != nil {
			return nil, true, err
		}
	}
	return o, true, nil
}

// parseOptions parses the query of a reference, which may hold the options that
// are allowed.
func parseOptions(query string, allowed ...string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("what follows ? cannot be parsed, want %s=VALUE", strings.Join(allowed, "=VALUE or "))
	}
	options := make(map[string]string)
	for name, all := range values {
		known := false
		for _, a := range allowed {
			known = known || name == a
		}
		if !known {
			return nil, fmt.Errorf("unknown option %q after ?, want %s", name, strings.Join(allowed, " or "))
		}
		options[name] = all[len(all)-1]
	}
	return options, nil
}

// parseEndpoint parses the address of an S3 server.
func parseEndpoint(text string) (*url.URL, error) {
	if !hasScheme(text, "http") && !hasScheme(text, "https") {
		return nil, errors.New("the S3 endpoint must begin with https:// or http://")
	}
	u, err := parseURL(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the S3 endpoint: %w", err)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, fmt.Errorf("the S3 endpoint must be no more than %s://%s", u.Scheme, u.Host)
	}
	return u, nil
}

func (o object) String() string { return "s3://" + o.bucket + "/" + o.key }
func (o object) path() string   { return strings.TrimSuffix(o.String(), "/") }

func (o object) open(_ context.Context, opts Options) (lister, error) {
	endpoint := cmp.Or(o.endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupPath
	if strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
		lookup = minio.BucketLookupAuto
	}
	transport := newTransport()
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{},
		}),
		Secure:       u.Scheme == "https",
		Region:       cmp.Or(o.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		BucketLookup: lookup,
		Transport:    transport,
		MaxRetries:   3, // ours come on top
	})
	if err != nil {
		return nil, err
	}
	return &bucket{object: o, client: client, transport: transport, retry: opts.Retry}, nil
}

// A bucket is read by the S3 protocol.
type bucket struct {
	object
	client    *minio.Client
	transport *http.Transport
	retry     Retry
}

func (b *bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

func (b *bucket) items(ctx context.Context) iter.Seq2[Item, error] {
	if b.key == "" || strings.HasSuffix(b.key, "/") {
		return b.below(ctx)
	}
	info, err := b.client.StatObject(ctx, b.bucket, b.key, minio.StatObjectOptions{})
	if err != nil {
		return one(Item{}, b.explain(err))
	}
	return one(b.item(path.Base(b.key), info), nil)
}

// below lists all objects under the prefix.
func (b *bucket) below(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for info := range b.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.key, Recursive: true}) {
			if info.Err != nil {
				yield(Item{}, b.explain(info.Err))
				return
			}
			name := strings.TrimPrefix(info.Key, b.key)
			if name == "" || strings.HasSuffix(name, "/") {
				continue // stands for a directory
			}
			if !yield(b.item(name, info), nil) {
				return
			}
		}
	}
}

func (b *bucket) item(name string, info minio.ObjectInfo) Item {
	shown := object{bucket: b.bucket, key: info.Key}.String()
	return Item{
		Name:    name,
		Size:    info.Size,
		ModTime: info.LastModified,
		Version: info.ETag,
		open: b.retry.resuming(shown, info.Size, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return b.read(ctx, info, offset)
		}),
	}
}

// read opens one connection for the bytes of an object from offset on.
func (b *bucket) read(ctx context.Context, info minio.ObjectInfo, offset int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	var err error
	if info.ETag != "" {
		err = o.SetMatchETag(info.ETag)
	}
	if offset > 0 {
		err = errors.Join(err, o.SetRange(offset, 0))
	}
	if err != nil {
		return nil, permanentError{err}
	}
	body, _, header, err := minio.Core{Client: b.client}.GetObject(ctx, b.bucket, info.Key, o)
	if err != nil {
		return nil, b.explain(err)
	}
	if offset > 0 {
		if start, _, ok := contentRange(header.Get("Content-Range")); !ok || start != offset {
			return nil, errors.Join(permanentError{fmt.Errorf("the server did not send the part from byte %d on", offset)}, body.Close())
		}
	}
	return body, nil
}

// explain makes the client's errors plain.
func (b *bucket) explain(err error) error {
	var said minio.ErrorResponse
	if !errors.As(err, &said) {
		return withoutAddress(err)
	}
	err = fmt.Errorf("the server says %d %s", said.StatusCode, cmp.Or(said.Code, http.StatusText(said.StatusCode)))
	switch {
	case isWorthAnotherTry(said.StatusCode):
		return err
	case said.StatusCode == http.StatusPreconditionFailed:
		return ErrChanged
	case said.Code == "NoSuchBucket":
		err = fmt.Errorf("there is no bucket %s", b.bucket)
	case said.StatusCode == http.StatusNotFound:
		err = &Error{errors.New("there is no such object"), "a prefix, to read all below it, ends in a slash: " + b.String() + "/"}
	case said.StatusCode == http.StatusForbidden && b.isAnonymous():
		err = &Error{err, "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for one of ~/.aws/credentials"}
	}
	return permanentError{err}
}

func (b *bucket) isAnonymous() bool {
	v, err := b.client.GetCreds()
	return err == nil && v.AccessKeyID == ""
}
