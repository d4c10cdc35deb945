package keydir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of what an LDAP directory answers.
const (
	maxEntries      = 8
	maxCertificates = 32
	maxAnswers      = 4 * MaxKey // bytes of a connection, all in all
)

// LDAPAddress reports an address of an LDAP directory: ldaps, or ldap, which is
// secured by StartTLS, with a base in its path and nothing behind it.
func LDAPAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "ldaps" && u.Scheme != "ldap" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return false
	}
	_, err = ldap.ParseDN(strings.TrimPrefix(u.Path, "/"))
	return err == nil && len(u.Path) > 1
}

// Binding is as whom an LDAP directory is asked. The zero value is nobody.
type Binding struct{ DN, Password string }

// LDAP asks the directory at address (LDAPAddress) for the certificates of whom has
// the mail address whom, each in PEM, and returns its host. Nothing is said before
// TLS, whose certificate has to hold. Referrals are not followed.
//
// Source: RFC 4511, RFC 4513 3 (StartTLS), RFC 4515 3 (filters); RFC 4523 2.1
// (userCertificate), RFC 2798 2.8 (userSMIMECertificate).
func (f Finder) LDAP(ctx context.Context, address string, as Binding, whom dlp.Address) (certs [][]byte, from string, err error) {
	u, err := url.Parse(address)
	if err != nil || !LDAPAddress(address) {
		return nil, "", ErrAnswer
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := f.dialLDAP(ctx, u)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = conn.Close() }() // it was only asked
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if as.DN != "" {
		if as.Password == "" { // RFC 4513 5.1.2: it would be taken for nobody's
			return nil, "", ErrAnswer
		}
		if conn.Bind(as.DN, as.Password) != nil {
			return nil, "", ErrAnswer // its text quotes names
		}
	}
	res, err := conn.Search(ldap.NewSearchRequest(strings.TrimPrefix(u.Path, "/"), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxEntries, int(within.Seconds()), false,
		"(mail="+ldap.EscapeFilter(whom.Local+"@"+whom.Domain)+")", []string{"userCertificate;binary", "userCertificate", "userSMIMECertificate;binary", "userSMIMECertificate"}, nil))
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.ResultCode == ldap.LDAPResultNoSuchObject {
		return nil, u.Hostname(), ErrNone
	}
	if err != nil {
		return nil, "", ErrAnswer
	}
	for _, e := range res.Entries {
		for _, a := range e.Attributes {
			name, _, _ := strings.Cut(strings.ToLower(a.Name), ";")
			for _, v := range a.ByteValues {
				all := [][]byte{v}
				if name == "usersmimecertificate" {
					all = carried(v)
				}
				for _, der := range all {
					if _, err := x509.ParseCertificate(der); err == nil && len(certs) < maxCertificates {
						certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
					}
				}
			}
		}
	}
	if len(certs) == 0 {
		return nil, u.Hostname(), ErrNone
	}
	return certs, u.Hostname(), nil
}

// dialLDAP connects to the host of u, by TLS.
func (f Finder) dialLDAP(ctx context.Context, u *url.URL) (*ldap.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	dial := f.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	raw, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, ErrAnswer
	}
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		_ = raw.Close()
		return nil, ErrAnswer
	}
	raw = &bounded{Conn: raw, left: maxAnswers}
	secure := &tls.Config{RootCAs: f.Roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if u.Scheme == "ldaps" {
		conn := tls.Client(raw, secure)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, ErrAnswer
		}
		c := ldap.NewConn(conn, true)
		c.SetTimeout(within)
		c.Start()
		return c, nil
	}
	c := ldap.NewConn(raw, false)
	c.SetTimeout(within)
	c.Start()
	if err := c.StartTLS(secure); err != nil {
		_ = c.Close()
		return nil, ErrAnswer
	}
	return c, nil
}

// bounded is a connection that gives no more than left bytes.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// carried returns the certificates of a SignedData, in the order they stand in;
// that of the user is known by its address. RFC 2798 2.8; RFC 5652 5.1.
func carried(b []byte) (out [][]byte) {
	in := cryptobyte.String(b)
	var all, explicit, signed, certs, one cryptobyte.String
	context0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !all.SkipASN1(cbasn1.OBJECT_IDENTIFIER) || !all.ReadASN1(&explicit, context0) || !explicit.ReadASN1(&signed, cbasn1.SEQUENCE) ||
		!signed.SkipASN1(cbasn1.INTEGER) || !signed.SkipASN1(cbasn1.SET) || !signed.SkipASN1(cbasn1.SEQUENCE) || !signed.ReadASN1(&certs, context0) {
		return nil
	}
	for !certs.Empty() && len(out) < maxCertificates {
		if !certs.ReadASN1Element(&one, cbasn1.SEQUENCE) {
			return out
		}
		out = append(out, one)
	}
	return out
}
