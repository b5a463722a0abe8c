package source

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A site is an HTTP server with one file that may misbehave.
type site struct {
	content  []byte
	etag     string // as sent, with quotes
	modified time.Time
	noRanges bool

	cut func(request int) int // after how many bytes the request breaks; -1 never

	requests atomic.Int32
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.requests.Add(1)) - 1
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	if s.noRanges {
		r.Header.Del("Range")
	}
	if s.cut != nil {
		if limit := s.cut(n); limit >= 0 {
			w = &cutWriter{ResponseWriter: w, left: limit}
		}
	}
	http.ServeContent(w, r, "", s.modified, bytes.NewReader(s.content))
}

// A cutWriter breaks the connection after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err == nil && w.left == 0 {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var longAgo = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWebFileIsReadFromAnyOffset(t *testing.T) {
	t.Parallel()
	s := &site{content: noise(1, 300_000), etag: `"one"`, modified: longAgo}
	it := single(t, open(t, serve(t, s)+"/a/linux?x=1", Options{}))
	if it.Name != "linux" || it.Size != 300_000 || !it.ModTime.Equal(longAgo) || it.Version != `"one"` {
		t.Errorf("got %+v", it)
	}
	wantBytes(t, it, 0, s.content)
	if n := s.requests.Load(); n != 1 {
		t.Errorf("it took %d requests to list and read it", n)
	}
	for _, offset := range []int{0, 1, 299_999, 300_000} {
		wantBytes(t, it, offset, s.content)
	}
	if _, err := it.Open(t.Context(), 300_001); err == nil {
		t.Error("it was opened past its end")
	}
}

func TestWebReadingSurvivesCutsAnywhere(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*site{
		"ranges":                        {etag: `"one"`},
		"ranges by time":                {modified: longAgo},
		"no ranges, but an ETag":        {etag: `"one"`, noRanges: true},
		"no ranges, but an old version": {modified: longAgo, noRanges: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, s)
			rapid.Check(t, func(rt *rapid.T) {
				s.content = rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(rt, "content")
				cuts := rapid.SliceOfN(rapid.IntRange(1, 4000), 0, 4).Draw(rt, "cuts")
				s.requests.Store(0)
				s.cut = func(n int) int {
					if n < len(cuts) {
						return cuts[n]
					}
					return -1
				}
				wantBytes(t, single(t, open(t, address+"/f", Options{})), 0, s.content)
			})
		})
	}
}

func TestWebFileThatChangesIsNotMixed(t *testing.T) {
	t.Parallel()
	old, changed := noise(1, 100_000), noise(2, 100_000)
	firstCut := func(n int) int {
		if n == 0 {
			return 30_000
		}
		return -1
	}
	for name, tt := range map[string]struct {
		before, after *site
		want          error
		text          string
	}{
		"another ETag":                   {&site{etag: `"one"`}, &site{etag: `"two"`}, ErrChanged, ""},
		"another time":                   {&site{modified: longAgo}, &site{modified: longAgo.Add(time.Hour)}, ErrChanged, ""},
		"another ETag, no ranges":        {&site{etag: `"one"`}, &site{etag: `"two"`, noRanges: true}, ErrChanged, ""},
		"the same weak ETag, no ranges":  {&site{etag: `W/"one"`}, &site{etag: `W/"one"`, noRanges: true}, nil, "nothing (ETag or Last-Modified) to tell this version by"},
		"nothing to tell it by":          {&site{}, &site{noRanges: true}, nil, "cannot go on from byte 30000"},
		"another size is all it tells":   {&site{}, &site{content: changed[:99_999]}, ErrChanged, ""},
		"shorter than what was read":     {&site{}, &site{content: changed[:10]}, ErrChanged, ""},
		"the ETag is no longer told":     {&site{etag: `"one"`}, &site{}, ErrChanged, ""},
		"no ranges and a different size": {&site{etag: `"one"`}, &site{etag: `"one"`, content: changed[:99_999], noRanges: true}, ErrChanged, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.before.content, tt.before.cut = old, firstCut
			if tt.after.content == nil {
				tt.after.content = changed
			}
			var requests atomic.Int32
			address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					tt.before.ServeHTTP(w, r)
				} else {
					tt.after.ServeHTTP(w, r)
				}
			}))
			err := readError(t, single(t, open(t, address+"/f", Options{})))
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v %s", err, tt.want, tt.text)
			}
			if !strings.Contains(err.Error(), "/f: after 30000 of 100000 bytes: ") {
				t.Errorf("%v does not say how far it came", err)
			}
		})
	}
}

func TestLyingAboutRangesIsNoticed(t *testing.T) {
	t.Parallel()
	content := noise(1, 1000)
	for name, lie := range map[string]func(w http.ResponseWriter){
		"another part": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content)
		},
		"a part of which it says nothing": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content[100:])
		},
		"more than the rest": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 100-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"one"`)
				if r.Header.Get("Range") != "" {
					lie(w)
					return
				}
				_, _ = w.Write(content)
			}))
			it := single(t, open(t, address, Options{}))
			r, err := it.Open(t.Context(), 100)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				_ = r.Close()
			}
			if err == nil {
				t.Error("it was believed")
			}
		})
	}
}

func TestSizeUnknownIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "part %d;", i)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	it := single(t, open(t, address+"/f", Options{}))
	if it.Size != -1 {
		t.Errorf("size %d", it.Size)
	}
	wantBytes(t, it, 0, []byte("part 0;part 1;part 2;"))
}

func TestBytesAreNotUnpackedOnTheWay(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding: %s", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte("\x1f\x8b as it is"))
	}))
	wantBytes(t, single(t, open(t, address+"/initrd.gz", Options{})), 0, []byte("\x1f\x8b as it is"))
}

// listError is the error of a source that cannot be listed.
func listError(t *testing.T, text string) error {
	t.Helper()
	items, refused := list(t, open(t, text, Options{}))
	if len(items) != 0 || refused[""] == nil {
		t.Fatalf("got %v and %v, want an error", items, refused)
	}
	return refused[""]
}

func TestStatusesInPlainWords(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		w.WriteHeader(status)
	}))
	for status, want := range map[int]string{
		401: "the server says 401 Unauthorized", 403: "the server says 403 Forbidden", 404: "the server says 404 Not Found",
		206: "the server sent a part where the whole was asked for", 503: "the server says 503 Service Unavailable",
	} {
		err := listError(t, fmt.Sprintf("%s/%d?sig=hush", address, status))
		if got := err.Error(); got != fmt.Sprintf("%s/%d?...: %s", address, status, want) {
			t.Errorf("got %s", got)
		}
		if status == 401 && hintOf(err) == "" {
			t.Error("no hint")
		}
	}
}

func TestServerThatComesBackIsGoneOnWith(t *testing.T) {
	t.Parallel()
	s := &site{content: noise(1, 10_000), etag: `"one"`, cut: func(n int) int {
		if n == 0 {
			return 5000
		}
		return -1
	}}
	var requests atomic.Int32
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := requests.Add(1); n > 1 && n < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.ServeHTTP(w, r)
	}))
	wantBytes(t, single(t, open(t, address, Options{})), 0, s.content)
}

func TestSecretsGoToNoOtherHost(t *testing.T) {
	t.Parallel()
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Referer", "Cookie"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("the other host was sent %s: %s", name, got)
			}
		}
		_, _ = w.Write([]byte("kernel"))
	}))
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "me" || p != "hush" {
			t.Errorf("got the user %q and the password %q", u, p)
		}
		if r.URL.Path == "/start" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		http.Redirect(w, r, other+"/there", http.StatusFound)
	}))
	it := single(t, open(t, strings.Replace(address, "http://", "http://me:hush@", 1)+"/start?sig=hush", Options{}))
	if it.Name != "start" {
		t.Errorf("it is named %s", it.Name)
	}
	wantBytes(t, it, 0, []byte("kernel"))
}

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again?sig=hush", http.StatusFound)
	}))
	if err := listError(t, address+"/f"); err.Error() != address+"/f: more than 10 redirects" {
		t.Error(err)
	}
}

func TestCertificateErrorsInPlainWords(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell what the client thinks of it
	s.StartTLS()
	defer s.Close()
	err := listError(t, s.URL+"/f?sig=hush")
	if !strings.HasPrefix(err.Error(), s.URL+"/f?...: the server's certificate is signed by ") || !strings.Contains(hintOf(err), "SSL_CERT_FILE") {
		t.Errorf("got %v, hint %q", err, hintOf(err))
	}
	plain := serve(t, http.NotFoundHandler())
	err = listError(t, strings.Replace(plain, "http:", "https:", 1))
	if !strings.HasSuffix(err.Error(), "the server does not speak TLS on that port") {
		t.Error(err)
	}
}

func TestRedirectToPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	follow := newHTTPClient().CheckRedirect
	request := func(address string) *http.Request { return httptest.NewRequest(http.MethodGet, address, nil) }
	first := []*http.Request{request("https://h/f")}
	if err := follow(request("http://h/f?sig=hush"), first); err == nil || err.Error() != "redirected from https to http on h, which is not protected" {
		t.Error(err)
	}
	if err := follow(request("https://other/f"), first); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTLSInPlainWords(t *testing.T) {
	t.Parallel()
	cert := &x509.Certificate{DNSNames: []string{"a.example"}, IPAddresses: []net.IP{{192, 0, 2, 1}}, NotBefore: longAgo, NotAfter: longAgo.AddDate(1, 0, 0)}
	for want, err := range map[string]error{
		"the server's certificate is not for h but for a.example, 192.0.2.1": x509.HostnameError{Certificate: cert, Host: "h"},
		"the server's certificate is not for h but for no name at all":       x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"},
		"the server's certificate is valid from 2020-01-02 to 2021-01-02, and here it is " + date(time.Now()): x509.CertificateInvalidError{
			Cert: cert, Reason: x509.Expired,
		},
	} {
		got := withoutAddress(&url.Error{Op: "Get", URL: "https://u:hush@h/?sig=hush", Err: &tls.CertificateVerificationError{Err: err}})
		if got.Error() != want || !isPermanent(got) {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	leak := fmt.Errorf("GET %q: mismatch", "https://h/f?sig=hush")
	if got := withoutAddress(leak).Error(); got != "GET the server: mismatch" {
		t.Error(got)
	}
}

// TestProxyOfTheEnvironment runs itself anew, because the environment is read
// once in a process.
func TestProxyOfTheEnvironment(t *testing.T) {
	const target = "http://198.18.0.1/linux"
	if os.Getenv("NETBOOTD_TEST_PROXIED") != "" {
		wantBytes(t, single(t, open(t, target, Options{})), 0, []byte("kernel"))
		return
	}
	t.Parallel()
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != target {
			t.Errorf("the proxy was asked for %s", r.RequestURI)
		}
		_, _ = w.Write([]byte("kernel"))
	}))
	cmd := exec.Command(os.Args[0], "-test.run=^TestProxyOfTheEnvironment$")
	cmd.Env = append(os.Environ(), "NETBOOTD_TEST_PROXIED=1", "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	err := listError(t, "http://me:hush@"+freeAddress(t)+"/f?sig=hush")
	if strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]struct {
		start, total int64
		ok           bool
	}{
		"bytes 5-9/10": {5, 10, true}, "bytes 5-9/*": {5, -1, true}, "bytes */10": {0, 10, true},
		"": {}, "bytes 5/10": {5, 10, false}, "bytes -5-9/10": {0, 10, false}, "bytes 5-9/x": {}, "items 5-9/10": {}, "bytes 5-9": {},
	} {
		start, total, ok := contentRange(header)
		if ok != want.ok || ok && (start != want.start || total != want.total) {
			t.Errorf("%q: got %d, %d, %t", header, start, total, ok)
		}
	}
}
