package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"time"
)

// certificateAge is how long a certificate of our own holds. Clients pin it, so
// that a new one is noticed by all of them.
const certificateAge = 10 * 365 * 24 * time.Hour

// certificate is that of the configuration, else one of our own, which is made at
// the first start and kept in the state directory.
func certificate(s ControlSettings, stateDir, node string, now time.Time) (tls.Certificate, error) {
	if s.Cert != "" {
		return tls.LoadX509KeyPair(s.Cert, s.Key)
	}
	path := filepath.Join(stateDir, "control.pem")
	c, err := tls.LoadX509KeyPair(path, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return c, fmt.Errorf("%s: %w", path, err)
	case now.Before(c.Leaf.NotAfter):
		return c, nil
	}
	text, err := makeCertificate(node, now)
	if err != nil {
		return c, err
	}
	if err := replaceFile(path, text); err != nil { // mode 0600, as temporary files have
		return c, err
	}
	return tls.X509KeyPair(text, text)
}

// makeCertificate makes a certificate that signs itself, and its key, as PEM.
func makeCertificate(node string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "netbootd on " + node},
		DNSNames:     []string{node},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(certificateAge),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

// fingerprint is what clients pin.
func fingerprint(c tls.Certificate) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(c.Certificate[0]))
}
