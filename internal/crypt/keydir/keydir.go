// Package keydir asks directories for somebody's key: the Web Key Directory of
// their domain, and directories that answer by HTTPS.
//
// It promises that whom it asks is the domain itself or a directory that was
// named, over HTTPS with a certificate that holds, and that an answer is bounded.
// Whose key it is, and if it may be used, it does not say.
package keydir

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds.
const (
	within = 15 * time.Second // of one request, its body included
	// MaxKey is how large an answer may be, in bytes.
	MaxKey = 256 << 10
)

// Errors of a directory.
var (
	ErrNone   = errors.New("it has no key for the address")
	ErrAnswer = errors.New("no answer that can be used")
)

// Finder asks. The zero value asks by the system's resolver and authorities.
type Finder struct {
	Dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	Roots *x509.CertPool
}

// Template reports an address of a directory: HTTPS, with {address} in its path
// or its query where the mail address goes.
func Template(s string) bool {
	u, err := url.Parse(strings.ReplaceAll(s, "{address}", "x"))
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && strings.Count(s, "{address}") == 1 && !strings.Contains(u.Host, "{") &&
		strings.Contains(s[len("https://"):], "/") && strings.Index(s, "{address}") > strings.Index(s[len("https://"):], "/")+len("https://")
}

// WKD asks the Web Key Directory of address's domain: the host that the advanced
// method names, and the domain itself only where there is no such host. It returns
// the key as it came, and where from.
//
// Source: draft-koch-openpgp-webkey-service-20, 3.1.
func (f Finder) WKD(ctx context.Context, address dlp.Address) (key []byte, from string, err error) {
	domain := strings.ToLower(address.Domain)
	if domain == "" || strings.ContainsAny(domain, "/:@?#[]%\\ ") {
		return nil, "", ErrNone
	}
	local := strings.Map(func(r rune) rune { // ASCII only: 3.1
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address.Local)
	sum := sha1.Sum([]byte(local)) //nolint:gosec // a name, no proof
	name := zbase32.EncodeToString(sum[:]) + "?l=" + url.QueryEscape(address.Local)
	key, err = f.get(ctx, "https://openpgpkey."+domain+"/.well-known/openpgpkey/"+domain+"/hu/"+name)
	if none, ok := errors.AsType[*net.DNSError](err); ok && none.IsNotFound {
		key, err = f.get(ctx, "https://"+domain+"/.well-known/openpgpkey/hu/"+name)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		err = ErrAnswer // its text names the domain
	}
	return key, "wkd", err
}

// zbase32 is the alphabet of WKD. RFC 6189 5.1.6.
var zbase32 = base32.NewEncoding("ybndrfg8ejkmcpqxot1uwisza345h769").WithPadding(base32.NoPadding)

// HTTP asks the directory at template (Template). It returns the key as it came,
// and the directory's host.
func (f Finder) HTTP(ctx context.Context, template string, address dlp.Address) (key []byte, from string, err error) {
	u, err := url.Parse(strings.Replace(template, "{address}", url.QueryEscape(address.Local+"@"+address.Domain), 1))
	if err != nil || u.Scheme != "https" {
		return nil, "", ErrAnswer
	}
	key, err = f.get(ctx, u.String())
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		err = ErrAnswer
	}
	return key, u.Hostname(), err
}

// get returns what is there. An error is one of ours, or says that there is no
// such host.
func (f Finder) get(ctx context.Context, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, ErrAnswer
	}
	client := &http.Client{
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 3 || to.URL.Scheme != "https" {
				return ErrAnswer
			}
			return nil
		},
		Transport: &http.Transport{DialContext: f.Dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig: &tls.Config{RootCAs: f.Roots, MinVersion: tls.VersionTLS12}},
	}
	resp, err := client.Do(req)
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return nil, dns
	}
	if err != nil {
		return nil, ErrAnswer // its text quotes the address
	}
	defer resp.Body.Close() // read only
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, ErrNone
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxKey+1))
	// A server that ends its answer as the client lets go of the connection makes
	// what came so far look whole.
	if err != nil || ctx.Err() != nil || resp.StatusCode != http.StatusOK || len(b) > MaxKey || len(b) == 0 {
		return nil, ErrAnswer
	}
	return b, nil
}
