package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Remote is a netbootd on another host, as [NewRemote] wants it.
type Remote struct {
	URL   string // https://HOST:PORT
	Token string // as netbootd token new printed it
	// Fingerprint is that of the daemon's certificate, SHA-256 in hexadecimal, as
	// netbootd says at its start. With it no other certificate is believed, and the
	// name in it does not matter. Empty: what the system's authorities have signed
	// for HOST.
	Fingerprint string
}

// ErrNotPinned means that the daemon shows another certificate than was expected.
var ErrNotPinned = errors.New("the certificate is not the one that was expected")

// NewRemote makes a client for a daemon on another host. It does not connect yet.
// What is no https URL, or no fingerprint, is [ErrInvalid].
func NewRemote(r Remote) (*Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return nil, fmt.Errorf("%w: %q is not the address of a server, want https://HOST:PORT", ErrInvalid, r.URL)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if r.Fingerprint != "" {
		want, err := parseFingerprint(r.Fingerprint)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		config.InsecureSkipVerify = true // the pin below says more
		config.VerifyConnection = func(s tls.ConnectionState) error { return isPinned(s.PeerCertificates, want) }
	}
	return &Client{
		http:  &http.Client{Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}},
		base:  "https://" + u.Host,
		where: u.Host,
		token: r.Token,
	}, nil
}

// parseFingerprint reads 32 bytes in hexadecimal, with or without colons and the
// name of the algorithm.
func parseFingerprint(s string) ([]byte, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(s), "sha256:"), ":", "")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != sha256.Size {
		return nil, fmt.Errorf("%q is not a fingerprint, want the 64 hexadecimal digits of a SHA-256", s)
	}
	return b, nil
}

// isPinned returns [ErrNotPinned] unless the first certificate has that
// fingerprint.
func isPinned(shown []*x509.Certificate, want []byte) error {
	if len(shown) == 0 {
		return ErrNotPinned
	}
	got := sha256.Sum256(shown[0].Raw)
	if subtle.ConstantTimeCompare(got[:], want) != 1 {
		return fmt.Errorf("%w: it has the fingerprint %x", ErrNotPinned, got)
	}
	return nil
}
