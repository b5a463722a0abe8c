package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"
)

// fetchHTTP gets the boot file of a URL, from the client's own address.
func (s *simulation) fetchHTTP(ctx context.Context) (*Finding, error) {
	u, ok := asURL(s.target.URL, "http")
	if !ok {
		return finding(StepFetch, "the boot URI %q of %s is for TLS, and only the firmware knows which certificates it trusts", s.target.URL, s.target.named), nil
	}
	client := s.httpClient()
	defer client.CloseIdleConnections()
	if s.family.head {
		if _, fault, err := s.get(ctx, client, http.MethodHead, u, io.Discard); fault != nil || err != nil {
			return fault, err
		}
	}
	start, sink := time.Now(), newSink()
	mediaType, fault, err := s.get(ctx, client, http.MethodGet, u, sink)
	if fault != nil || err != nil {
		return fault, err
	}
	f := sink.file(s.target.URL)
	f.mediaType, f.Server, f.Took = mediaType, u.Host, time.Since(start)
	s.result.File = f
	return nil, nil
}

// get makes one request, hands the body on, and tells its media type.
func (s *simulation) get(ctx context.Context, client *http.Client, method string, u *url.URL, body io.Writer) (mediaType string, fault *Finding, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(s.opts.Timeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return "", nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		fault, err := s.explainHTTP(ctx, u, err)
		return "", fault, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", finding(StepFetch, "%s answers %s %s with %q", u.Host, method, u, resp.Status), nil
	case s.family.head && resp.ContentLength < 0:
		return "", finding(StepFetch, "%s answers %s %s without a Content-Length, and %s needs it", u.Host, method, u, s.Name), nil
	}
	for err == nil {
		_, err = io.CopyN(body, resp.Body, 32<<10)
		stalled.Reset(s.opts.Timeout)
	}
	if !errors.Is(err, io.EOF) {
		return "", finding(StepFetch, "%s stops sending %s: %v", u.Host, u, rootCause(err)), ctxErr(ctx)
	}
	mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return mediaType, nil, nil
}

// errStalled ends a request on which nothing moves.
var errStalled = errors.New("nothing came for too long")

// ctxErr is the error of a simulation that was broken off.
func ctxErr(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errStalled) {
		return err
	}
	return nil
}

// explainHTTP makes a finding of a request that got no answer.
func (s *simulation) explainHTTP(ctx context.Context, u *url.URL, err error) (*Finding, error) {
	if err := ctxErr(ctx); err != nil {
		return nil, err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return finding(StepFetch, "the DNS server does not know the host %q, which %s names", u.Hostname(), s.target.named), nil
	}
	return finding(StepFetch, "%s, where %s sends %s for %s", silenceHTTP(ctx, u, err), s.target.named, s.Name, u), nil
}

// silenceHTTP says how a server failed to answer.
func silenceHTTP(ctx context.Context, u *url.URL, err error) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	at := net.JoinHostPort(u.Hostname(), port)
	var timeout interface{ Timeout() bool }
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		err = os.ErrDeadlineExceeded
	}
	if text, ok := silence(err, at); ok {
		return text
	}
	return fmt.Sprintf("%s gives no proper answer (%v)", at, rootCause(err))
}

// rootCause is the innermost error.
func rootCause(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// httpClient is a client that goes out from the client's address, asks the DNS
// servers of the lease, and follows nothing.
func (s *simulation) httpClient() *http.Client {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.own, 0)), Timeout: s.opts.Timeout}
	if dns := s.plan.lease.DNS; len(dns) > 0 {
		dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, netip.AddrPortFrom(dns[0], 53).String())
		}}
	}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
