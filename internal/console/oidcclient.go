package console

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/web"
)

// Bounds of what the provider is asked.
const (
	askWithin     = 15 * time.Second
	maxAnswer     = 1 << 20
	maxSecretFile = 4 << 10
)

// OpenOIDC reads what cfg names, which Validate has checked; nil where there is
// no provider. Its errors are *dlp.KeyError.
func OpenOIDC(cfg OIDCConfig, now func() time.Time) (*OIDC, error) {
	if !cfg.On() {
		return nil, nil
	}
	bad := func(key, want string) error { return &dlp.KeyError{Key: "console.oidc." + key, Want: want} }
	secret := ""
	if cfg.ClientSecretFile != "" {
		b, err := os.ReadFile(cfg.ClientSecretFile)
		fi, statErr := os.Stat(cfg.ClientSecretFile)
		secret = string(bytes.TrimSpace(b))
		switch {
		case err != nil || statErr != nil:
			return nil, bad("client_secret_file", "a file that can be read")
		case fi.Mode().Perm()&0o077 != 0:
			return nil, bad("client_secret_file", "a file that its owner alone may read (chmod 600)")
		case secret == "" || len(b) > maxSecretFile:
			return nil, bad("client_secret_file", "the secret that the provider gave, on one line")
		}
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLSCA != "" {
		b, err := os.ReadFile(cfg.TLSCA)
		t.RootCAs = x509.NewCertPool()
		if err != nil || !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, bad("tls_ca", "a readable PEM file of certificates")
		}
	}
	tr := &http.Transport{TLSClientConfig: t, ForceAttemptHTTP2: true, MaxIdleConns: 2, MaxConnsPerHost: 8, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: askWithin, MaxResponseHeaderBytes: maxAnswer}
	return &OIDC{cfg: cfg, secret: secret, now: now, flows: map[string]flow{}, http: &http.Client{Transport: careful{tr}, Timeout: askWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// careful asks nobody in the clear but this machine, and reads no more than
// maxAnswer.
type careful struct{ next http.RoundTripper }

func (c careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if !web.IsURL(r.URL.Scheme + "://" + r.URL.Host) {
		return nil, errors.New("console: the provider names an address that is not https")
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxAnswer), res.Body}
	return res, nil
}
