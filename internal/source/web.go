package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// web is the address of one file by HTTP.
type web struct{ url *url.URL }

func parseWeb(text string) (place, bool, error) {
	if !hasScheme(text, "http") && !hasScheme(text, "https") {
		return nil, false, nil
	}
	u, err := parseURL(text)
	return web{u}, true, err
}

// hasScheme tells whether an address is of that scheme.
func hasScheme(text, scheme string) bool {
	s, _, found := strings.Cut(text, "://")
	return found && strings.EqualFold(s, scheme)
}

// parseURL parses an address with a host. Its errors never quote it.
func parseURL(text string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	u, err := url.Parse(text)
	switch {
	case err != nil && strings.Contains(rest, "@"):
		return nil, &Error{
			Err:  fmt.Errorf("the %s:// address cannot be parsed", scheme),
			Hint: "in a user name or password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F and % as %25",
		}
	case err != nil:
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, fmt.Errorf("the %s:// address cannot be parsed: %w", scheme, err)
	case u.Hostname() == "":
		return nil, fmt.Errorf("the %s:// address names no host", scheme)
	}
	return u, nil
}

// String leaves out the user, which may be a token, and the query, which may be
// a signature.
func (w web) String() string {
	shown := url.URL{Scheme: w.url.Scheme, Host: w.url.Host, Path: w.url.Path, RawPath: w.url.RawPath}
	if w.url.RawQuery != "" {
		return shown.String() + "?..."
	}
	return shown.String()
}

func (w web) path() string { return w.url.Path }

func (w web) open(_ context.Context, o Options) (lister, error) {
	return &webFile{web: w, retry: o.Retry, client: newHTTPClient()}, nil
}

// maxRedirects is what browsers and curl would follow at least.
const maxRedirects = 10

// newTransport is a transport for files: they are wanted as they are.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	return t
}

// newHTTPClient makes a client that sends no secrets to a host which they are
// not for.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport: newTransport(),
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			req.Header.Del("Referer") // it would hold the query
			first := via[0].URL
			if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
				req.Header.Del("Authorization")
			}
			switch {
			case len(via) > maxRedirects:
				return permanentError{fmt.Errorf("more than %d redirects", maxRedirects)}
			case first.Scheme == "https" && req.URL.Scheme != "https":
				return permanentError{fmt.Errorf("redirected from https to %s on %s, which is not protected", req.URL.Scheme, req.URL.Host)}
			}
			return nil
		},
	}
}

// A webFile is a file that is fetched by HTTP.
type webFile struct {
	web
	retry  Retry
	client *http.Client

	mu    sync.Mutex // guards first
	first *answer    // to the request of the listing; its body is for the first reader
}

// An answer is one of the server whose body is still to be read.
type answer struct {
	*http.Response
	cancel context.CancelFunc // ends the reads from the body
}

func (f *webFile) Close() error {
	f.hangUp()
	f.client.CloseIdleConnections()
	return nil
}

// hangUp drops the first answer if nobody took it.
func (f *webFile) hangUp() {
	if a := f.takeFirst(); a != nil {
		a.cancel()
		_ = a.Body.Close() // it is not wanted
	}
}

func (f *webFile) takeFirst() *answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.first
	f.first = nil
	return a
}

// items asks for the whole file, because a signed address may be good for
// nothing else. The answer waits for a reader, which then starts with it.
func (f *webFile) items(ctx context.Context) iter.Seq2[Item, error] {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	resp, err := f.get(life, 0, version{})
	if err != nil {
		cancel()
		return one(Item{}, err)
	}
	f.hangUp()
	f.mu.Lock()
	f.first = &answer{resp, cancel}
	f.mu.Unlock()

	v := versionOf(resp.Header)
	name := path.Base(f.url.Path)
	if strings.HasSuffix(f.url.Path, "/") || name == "." {
		name = ""
	}
	return one(Item{
		Name:    name,
		Size:    resp.ContentLength,
		ModTime: v.modTime,
		Version: v.strong(),
		open: f.retry.resuming(f.String(), resp.ContentLength, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return f.read(ctx, offset, resp.ContentLength, v)
		}),
	}, nil)
}

// get asks for the bytes from offset on, of the version v if that is known.
func (f *webFile) get(ctx context.Context, offset int64, v version) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url.String(), nil)
	if err != nil {
		return nil, permanentError{withoutAddress(err)}
	}
	req.URL.User = nil
	if u := f.url.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "netbootd")
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		if s := v.strong(); s != "" {
			req.Header.Set("If-Range", s)
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, withoutAddress(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent && offset > 0 ||
		resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0 {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, statusError(resp.StatusCode)
}

// statusError is what a status other than success means.
func statusError(status int) error {
	err := fmt.Errorf("the server says %d %s", status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized:
		err = &Error{err, "give user and password in the address: https://USER:PASSWORD@host/path"}
	case status == http.StatusPartialContent:
		err = errors.New("the server sent a part where the whole was asked for")
	}
	if isWorthAnotherTry(status) {
		return err
	}
	return permanentError{err}
}

// read opens one connection for the bytes from offset on.
func (f *webFile) read(ctx context.Context, offset, size int64, v version) (io.ReadCloser, error) {
	if offset == 0 {
		if a := f.takeFirst(); a != nil {
			return &firstBody{a, context.AfterFunc(ctx, a.cancel)}, nil
		}
	}
	resp, err := f.get(ctx, offset, v)
	if err != nil {
		return nil, err
	}
	body, err := f.rest(resp, offset, size, v)
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return body, nil
}

// rest makes the bytes from offset on of an answer, if it is one about the
// version v.
func (f *webFile) rest(resp *http.Response, offset, size int64, v version) (io.ReadCloser, error) {
	part, total, ok := contentRange(resp.Header.Get("Content-Range"))
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		if ok && total == offset && size < 0 {
			return http.NoBody, resp.Body.Close() // the last connection broke just after the last byte
		}
		return nil, fmt.Errorf("it has no byte %d any more: %w", offset, ErrChanged)
	}
	if err := v.check(versionOf(resp.Header)); err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		if !ok || part != offset {
			return nil, permanentError{fmt.Errorf("the server sent the part %q where that from byte %d on was asked for", resp.Header.Get("Content-Range"), offset)}
		}
		return resp.Body, sameSize(size, total)
	}
	if err := sameSize(size, resp.ContentLength); err != nil || offset == 0 {
		return resp.Body, err
	}
	if v.strong() == "" || versionOf(resp.Header).strong() != v.strong() {
		return nil, permanentError{fmt.Errorf("the server gives no parts of files, and nothing (ETag or Last-Modified) to tell this version by: cannot go on from byte %d", offset)}
	}
	return &skippingReader{resp.Body, offset}, nil
}

// sameSize compares two sizes of which each may be unknown.
func sameSize(was, now int64) error {
	if was >= 0 && now >= 0 && was != now {
		return fmt.Errorf("it has %d bytes now and had %d: %w", now, was, ErrChanged)
	}
	return nil
}

// contentRange parses a Content-Range (RFC 9110 section 14.4): where the part
// begins, 0 if there is none, and how long the whole is, -1 if that is unknown.
func contentRange(header string) (start, total int64, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes ")
	part, whole, cut := strings.Cut(spec, "/")
	if !found || !cut {
		return 0, 0, false
	}
	total = -1
	if whole != "*" {
		n, err := strconv.ParseUint(whole, 10, 63)
		if err != nil {
			return 0, 0, false
		}
		total = int64(n)
	}
	if part == "*" {
		return 0, total, true
	}
	first, _, cut := strings.Cut(part, "-")
	n, err := strconv.ParseUint(first, 10, 63)
	return int64(n), total, cut && err == nil
}

// A version is what a server tells one version of a file by.
type version struct {
	etag    string
	modTime time.Time // Last-Modified
	settled bool      // modTime was a second ago or more, so it is a strong validator
}

func versionOf(h http.Header) version {
	v := version{etag: h.Get("ETag")}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return v
	}
	v.modTime = modified
	sent, err := http.ParseTime(h.Get("Date"))
	v.settled = err == nil && sent.Sub(modified) >= time.Second
	return v
}

// strong is a validator that is equal for equal bytes only, or "" (RFC 9110
// sections 8.8.2.2 and 8.8.3).
func (v version) strong() string {
	switch {
	case strings.HasPrefix(v.etag, `"`):
		return v.etag
	case v.settled:
		return v.modTime.UTC().Format(http.TimeFormat)
	}
	return ""
}

// check compares a version with that of a later answer. What one of them does
// not tell is no difference, except a strong ETag, which servers must repeat.
func (v version) check(now version) error {
	switch {
	case v == version{}:
		return nil
	case v.etag != now.etag && (now.etag != "" || strings.HasPrefix(v.etag, `"`)):
		return ErrChanged
	case v.etag == "" && !v.modTime.IsZero() && !now.modTime.IsZero() && !v.modTime.Equal(now.modTime):
		return ErrChanged
	}
	return nil
}

// A firstBody is that of an answer from before its reader was there.
type firstBody struct {
	*answer
	unlink func() bool // from the reader's life
}

func (b *firstBody) Read(p []byte) (int, error) { return b.Body.Read(p) }

func (b *firstBody) Close() error {
	b.unlink()
	defer b.cancel()
	return b.Body.Close()
}

// A skippingReader reads past what is known already. It may give no byte and no
// error, so that no single read takes long.
type skippingReader struct {
	io.ReadCloser
	left int64
}

func (r *skippingReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return r.ReadCloser.Read(p)
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return 0, err
}
