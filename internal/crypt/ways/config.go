package ways

import (
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/keydir"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the [encrypt] table.
type Config struct {
	// Order is in which order the ways are tried for each recipient: `smime`, `openpgp`, `tls`, `portal` and `pdf`. One that is not named is not used. `portal` takes [portal]. `pdf` is for those alone who have a passphrase in `pdf_dir`. A recipient who has none of these ways has the mail held, reason `no_way`.
	Order []string `toml:"order"`
	// SMIMEDir holds ADDRESS.pem, a certificate with its chain after it; DOMAIN.pem serves a whole domain. A reload reads it anew.
	SMIMEDir string `toml:"smime_dir"`
	// SMIMERoots is a file of certificates (PEM) of the authorities that are trusted for mail. With it a certificate in smime_dir counts only if it is pinned, or if one of these stands behind it and it names its address. Without it a certificate counts because it lies there.
	SMIMERoots string `toml:"smime_roots"`
	// SMIMERevocation is whether authorities of smime_roots are asked, by OCSP, then by their lists (CRL), if they revoked a certificate that is not pinned: `hard` uses none that is not known to be good, `soft` one of which nothing is heard as well, `off` asks nobody.
	SMIMERevocation string `toml:"smime_revocation"`
	// Directories are addresses of directories that answer by HTTPS with somebody's key or certificate, such as `https://keys.partner.example/{address}`. `stanch keys fetch` asks them in this order, after the Web Key Directory of the recipient's domain. Nothing else does.
	Directories []string `toml:"directories"`
	// LDAP are LDAP directories that `stanch keys fetch` asks for certificates, after those of directories.
	LDAP []LDAP `toml:"ldap"`
	// SMIMESignCert is the site's own certificate, its chain after it, with which S/MIME is signed before it is encrypted. Without it S/MIME is encrypted only.
	SMIMESignCert string `toml:"smime_sign_cert"`
	// SMIMESignKey is its private key, PEM; only its owner may read the file.
	SMIMESignKey string `toml:"smime_sign_key"`
	// OpenPGPDir holds ADDRESS.asc, the public key of one owner. A reload reads it anew.
	OpenPGPDir string `toml:"openpgp_dir"`
	// SeenDir is where `stanch keys import --seen` keeps keys and certificates that it saw in mail whose sender's domain signed it (DKIM). Empty: it keeps none. Not smime_dir, nor openpgp_dir.
	SeenDir string `toml:"seen_dir"`
	// UseSeen has them count for whom smime_dir and openpgp_dir have none. Without it they are listed, and count if they are pinned, or by smime_roots.
	UseSeen bool `toml:"use_seen"`
	// SeenExpiry is how long after the date of the newest message with it such a key counts by that alone, a day at least.
	SeenExpiry dlp.Duration `toml:"seen_expiry"`
	// PDFDir holds ADDRESS.pass, the passphrase that was agreed on with that recipient, on one line; DOMAIN.pass serves a whole domain. Only its owner may read the file. Who has one, and no better way of order, gets mail as an encrypted PDF. Empty: nobody does. A reload reads it anew.
	PDFDir string `toml:"pdf_dir"`
	// RequestSubject lets a sender ask for a mail to be encrypted for its external recipients, whatever the policies say, by `[secure]` or `[encrypt]` in the subject. It is taken out of what is encrypted. Nothing in a mail asks for less than the policies.
	RequestSubject bool `toml:"request_subject"`
	// RequestHeader is the name of a header field by which a sender asks for the same, whatever it says, such as `X-Encrypt`; empty: by none.
	RequestHeader string `toml:"request_header"`
	// TLS says for whom a proved connection is enough.
	TLS TLS `toml:"tls"`
}

// LDAP is one of [[encrypt.ldap]], a directory that has certificates of people.
type LDAP struct {
	// URL is where it is and below which entry it is searched, such as `ldaps://ldap.partner.example/dc=partner,dc=example`. With `ldap:` the connection is secured by StartTLS; nothing is asked without TLS.
	URL string `toml:"url"`
	// CA is a file of certificates (PEM) of the authorities for the directory's own; empty: the system's.
	CA string `toml:"ca"`
	// BindDN is as whom it is asked; empty: as nobody.
	BindDN string `toml:"bind_dn"`
	// PasswordFile holds the password of bind_dn, on one line; only its owner may read it.
	PasswordFile string `toml:"password_file"`
}

// Default tries every way in the usual order, and has no keys.
func Default() Config {
	c := Config{RequestSubject: true, SMIMERevocation: revocationHard, SeenExpiry: dlp.Duration(90 * 24 * time.Hour)}
	for _, w := range dlp.Ways() {
		c.Order = append(c.Order, string(w))
	}
	return c
}

// The values of SMIMERevocation.
const (
	revocationOff  = "off"
	revocationSoft = "soft"
	revocationHard = "hard"
)

// fieldName reports a header field's name of at most 100 letters, digits and
// hyphens, a letter first.
func fieldName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// Validate reports an unknown way, one that is named twice, and what is no name
// of a header field.
func (c *Config) Validate() error {
	for i, w := range c.Order {
		if !slices.Contains(dlp.Ways(), dlp.Way(w)) || slices.Contains(c.Order[:i], w) {
			return &dlp.KeyError{Key: fmt.Sprintf("encrypt.order[%d]", i), Want: `"smime", "openpgp", "tls", "portal" or "pdf", each once`}
		}
	}
	if (c.SMIMESignCert == "") != (c.SMIMESignKey == "") {
		return &dlp.KeyError{Key: "encrypt.smime_sign_key", Want: "smime_sign_cert and smime_sign_key both, or neither"}
	}
	if !slices.Contains([]string{revocationOff, revocationSoft, revocationHard}, c.SMIMERevocation) {
		return &dlp.KeyError{Key: "encrypt.smime_revocation", Want: `"off", "soft" or "hard"`}
	}
	for i, d := range c.Directories {
		if !keydir.Template(d) {
			return &dlp.KeyError{Key: fmt.Sprintf("encrypt.directories[%d]", i), Want: "an address such as https://keys.partner.example/{address}"}
		}
	}
	for i, d := range c.LDAP {
		if !keydir.LDAPAddress(d.URL) {
			return &dlp.KeyError{Key: fmt.Sprintf("encrypt.ldap[%d].url", i), Want: "an address such as ldaps://ldap.partner.example/dc=partner,dc=example"}
		}
		if (d.BindDN == "") != (d.PasswordFile == "") {
			return &dlp.KeyError{Key: fmt.Sprintf("encrypt.ldap[%d].password_file", i), Want: "bind_dn and password_file both, or neither"}
		}
	}
	if c.SeenDir != "" && (c.SeenDir == c.SMIMEDir || c.SeenDir == c.OpenPGPDir) {
		return &dlp.KeyError{Key: "encrypt.seen_dir", Want: "a folder of its own"}
	}
	if c.UseSeen && c.SeenDir == "" {
		return &dlp.KeyError{Key: "encrypt.use_seen", Want: "seen_dir, the folder of what was seen"}
	}
	if c.SeenExpiry < dlp.Duration(24*time.Hour) {
		return &dlp.KeyError{Key: "encrypt.seen_expiry", Want: `a duration of at least a day such as "90d"`}
	}
	if c.RequestHeader != "" && !fieldName(c.RequestHeader) {
		return &dlp.KeyError{Key: "encrypt.request_header", Want: "the name of a header field such as X-Encrypt"}
	}
	return c.TLS.validate()
}

// fold is an address or a domain as keys are looked up by it: ASCII letters in
// lower case. No mail system of our time tells mailboxes apart by case.
func fold(s string) string { return dlp.FoldAddress(s) }
