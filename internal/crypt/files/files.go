package files

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Suffixes of what is encrypted.
const (
	ExtAge = ".age"
	ExtPGP = ".gpg"
	ExtCMS = ".p7m"
)

// MaxCMS is the largest file that is encrypted with CMS, in bytes: it is sealed
// whole, in memory.
const MaxCMS = 128 << 20

// maxKeyFile bounds the file of a key or certificate, in bytes.
const maxKeyFile = 256 << 10

// Recipients are those of one folder, of one kind.
type Recipients struct {
	Age []string // public keys
	PGP []string // files, a public key each
	CMS []string // files, a certificate each
}

// Encryption writes files for some Recipients.
type Encryption struct {
	age []string
	pgp []*openpgp.Key
	cms []cms.Recipient
}

// Open reads the keys of r as they are now. dlp.ErrNoWay: there is none. Another
// error is about the first key that cannot be used at now, a *dlp.KeyError with
// a key such as "pgp_recipients[0]"; nothing is to be encrypted then, since who
// is left out could not open it.
func Open(r Recipients, now time.Time) (Encryption, error) {
	e := Encryption{age: r.Age}
	if len(r.Age)+len(r.PGP)+len(r.CMS) == 0 {
		return e, dlp.ErrNoWay
	}
	for i, path := range r.PGP {
		k, err := readPGP(path, now)
		if err != nil {
			return e, &dlp.KeyError{Key: fmt.Sprintf("pgp_recipients[%d]", i), Want: "a file with a public key that can be used: " + err.Error()}
		}
		e.pgp = append(e.pgp, k)
	}
	for i, path := range r.CMS {
		c, err := readCertificate(path, now)
		if err != nil {
			return e, &dlp.KeyError{Key: fmt.Sprintf("cms_recipients[%d]", i), Want: "a file with a certificate that can be used: " + err.Error()}
		}
		e.cms = append(e.cms, cms.Recipient{Cert: c})
	}
	return e, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, safefile.Classify("open", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, safefile.Classify("read", err)
	}
	if len(b) > maxKeyFile {
		return nil, errors.New("larger than 256 KiB")
	}
	return b, nil
}

func readPGP(path string, now time.Time) (*openpgp.Key, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	k, err := openpgp.ReadKey(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return k, k.Usable(now)
}

func readCertificate(path string, now time.Time) (*x509.Certificate, error) {
	b, err := read(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return nil, errors.New("not a certificate in PEM")
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return nil, errors.New("the certificate has expired, or is not valid yet")
	case !smime.CanEncrypt(c):
		return nil, errors.New("the certificate is not made for encryption")
	}
	return c, cms.KeyUsable(c)
}

// Ext is what the encrypted form's name has behind that of the file.
func (e Encryption) Ext() string {
	switch {
	case len(e.pgp) > 0:
		return ExtPGP
	case len(e.cms) > 0:
		return ExtCMS
	}
	return ExtAge
}

// Takes reports whether a file of size bytes can be encrypted.
func (e Encryption) Takes(size int64) bool { return len(e.cms) == 0 || size <= MaxCMS }

// Write writes src, encrypted, to dst. What was written before an error is of no
// use.
func (e Encryption) Write(dst io.Writer, src io.Reader) error {
	switch {
	case len(e.pgp) > 0:
		return openpgp.EncryptFile(dst, src, e.pgp)
	case len(e.cms) > 0:
		w, err := cms.Encrypt(dst, cms.AES256GCM, e.cms, 0)
		if err != nil {
			return err
		}
		if n, err := io.Copy(w, io.LimitReader(src, MaxCMS+1)); err != nil || n > MaxCMS {
			return errors.Join(err, dlp.ErrNoWay)
		}
		return w.Close()
	}
	return age.EncryptFile(dst, src, e.age)
}

// maxEnvelope bounds what CMS puts around a file, in bytes: a thousand bytes a
// recipient, and more for the largest keys.
const maxEnvelope = 4 << 20

var errTooLarge = errors.New("larger than 128 MiB: open it with openssl cms -decrypt -inform DER -binary")

// DecryptCMS writes what is encrypted in src, as Write has it with certificates, to
// dst: all of it, or nothing. What is in memory is src, no larger than Write takes:
// of a file that is larger nothing is read.
func DecryptCMS(dst io.Writer, src io.Reader, with []cms.Secret) error {
	if f, ok := src.(fs.File); ok {
		info, err := f.Stat()
		if err != nil {
			return safefile.Classify("look at", err)
		}
		if info.Size() > MaxCMS+maxEnvelope {
			return errTooLarge
		}
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(src, MaxCMS+maxEnvelope+1))
	if err != nil {
		return err
	}
	if n > MaxCMS+maxEnvelope {
		return errTooLarge
	}
	plain, err := cms.Open(b.Bytes(), with)
	if err != nil {
		return err
	}
	_, err = dst.Write(plain)
	return err
}

// Note is the text of the stub beside the encrypted form: what happened, and
// whose keys open it. It names keys, not people, and nothing of the file.
func (e Encryption) Note() string {
	var b strings.Builder
	b.WriteString(NoteLine + "\nThe encrypted file stands beside this note: the same name, ending in " + e.Ext() + ".\nWho has the secret key of one of these can open it:\n\n")
	for _, k := range e.age {
		b.WriteString("  age: " + k + "\n")
	}
	for _, k := range e.pgp {
		b.WriteString("  OpenPGP key: " + k.Fingerprint() + "\n")
	}
	for _, k := range e.cms {
		sum := sha256.Sum256(k.Cert.Raw)
		b.WriteString("  certificate, SHA-256: " + hex.EncodeToString(sum[:]) + "\n")
	}
	b.WriteString("\n")
	switch e.Ext() {
	case ExtPGP:
		b.WriteString("To open it: stanch decrypt NAME.gpg --identity SECRET-KEY-FILE, or gpg -d.\n")
	case ExtCMS:
		b.WriteString("To open it: stanch decrypt NAME.p7m --identity KEY.pem, or openssl cms -decrypt -inform DER -binary -in NAME.p7m -inkey KEY.pem\n")
	default:
		b.WriteString("To open it: stanch decrypt NAME.age --identity KEY-FILE, or age -d -i KEY-FILE.\n")
	}
	return b.String()
}

// NoteLine begins every Note: `stanch decrypt` takes the note away that it knows
// by it.
const NoteLine = "stanch encrypted a file here, since it holds data that may not lie about in the clear."
