package source

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrChanged means that a file is no longer the one that was listed or that was
// being read: the bytes so far and the rest do not belong together.
var ErrChanged = errors.New("changed while it was read")

// An Error is one whose cure is known.
type Error struct {
	Err  error
	Hint string // one line: what to do about it
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// A permanentError is one that another try would meet again.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// isPermanent tells whether another try is in vain.
func isPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p) || errors.Is(err, ErrChanged)
}

// isWorthAnotherTry tells whether an HTTP status may be another one soon.
func isWorthAnotherTry(status int) bool {
	return status >= 500 || status == 408 || status == 425 || status == 429
}

// withoutAddress gives the part of an HTTP client's error that holds no address,
// which may hold a secret, and says in plain words what is wrong with a
// certificate.
func withoutAddress(err error) error {
	for {
		var u *url.Error
		if !errors.As(err, &u) {
			break
		}
		err = u.Err
	}
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return permanentError{&Error{
			Err:  fmt.Errorf("the server's certificate is signed by %q, which this host does not trust", issuer(unknown.Cert)),
			Hint: "add the authority's certificate to the host's trusted ones, or name its file in SSL_CERT_FILE",
		}}
	case errors.As(err, &host):
		return permanentError{fmt.Errorf("the server's certificate is not for %s but for %s", host.Host, strings.Join(names(host.Certificate), ", "))}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return permanentError{&Error{
			Err: fmt.Errorf("the server's certificate is valid from %s to %s, and here it is %s", date(invalid.Cert.NotBefore),
				date(invalid.Cert.NotAfter), date(time.Now())),
			Hint: "compare the clocks of both ends, then renew the certificate",
		}}
	case errors.As(err, &invalid):
		return permanentError{fmt.Errorf("the server's certificate is not valid: %w", invalid)}
	case errors.Is(err, http.ErrSchemeMismatch):
		return permanentError{&Error{errors.New("the server does not speak TLS on that port"), "plain HTTP is http://"}}
	case address.MatchString(err.Error()):
		return errors.New(address.ReplaceAllString(err.Error(), "the server"))
	}
	return err
}

// address is one within a text.
var address = regexp.MustCompile(`"?https?://[^\s"]*"?`)

func issuer(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return c.Issuer.String()
}

// names are those that a certificate is for.
func names(c *x509.Certificate) []string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return []string{"no name at all"}
	}
	return all
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
