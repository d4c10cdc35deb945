package smime

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Recipient is one who can open a message.
type Recipient struct {
	Cert         *x509.Certificate
	Capabilities Capabilities // what their program is known to read
}

// Class is recipients whose programs open the same message.
type Class struct {
	Cipher     cms.Cipher
	Recipients []Recipient
}

// Classes groups recipients into one message each: AES-256-GCM for those whose
// programs are known to read it, and OAEP if their key is RSA; AES-256-CBC for
// the rest. A program opens nothing of a message it does not understand, even
// if its own key is sealed in a way that it does.
//
// Source: RFC 8551 2.7.1.3 (multiple recipients).
func Classes(rcpts []Recipient) []Class {
	gcm, cbc := Class{Cipher: cms.AES256GCM}, Class{Cipher: cms.AES256CBC}
	for _, r := range rcpts {
		_, ec := r.Cert.PublicKey.(*ecdsa.PublicKey)
		if r.Capabilities.AES256GCM && (ec || r.Capabilities.RSAOAEP) {
			gcm.Recipients = append(gcm.Recipients, r)
		} else {
			cbc.Recipients = append(cbc.Recipients, r)
		}
	}
	var cs []Class
	for _, c := range []Class{gcm, cbc} {
		if len(c.Recipients) > 0 {
			cs = append(cs, c)
		}
	}
	return cs
}

// Encrypt writes to dst a complete message for the recipients of c: the outer
// header of p, and its payload signed by signer and encrypted. Without signer
// it is encrypted only; its readers then see neither who sent it nor, with
// AES-256-CBC, whether it was altered. now is the time of signing.
//
// What was written when the error is not nil is no message. AES-256-GCM keeps
// the message in memory once (cms.Encrypt says why).
//
// Source: RFC 8551 3.3 (enveloped), 3.4 (authEnveloped), 3.5.3
// (multipart/signed), 3.7 (signed, then encrypted).
func Encrypt(dst io.Writer, p *message.Protected, c Class, signer *cms.Signer, now time.Time) error {
	var size int64
	if c.Cipher == cms.AES256GCM {
		n, err := p.WriteTo(io.Discard)
		if err != nil {
			return fmt.Errorf("smime: %w", err)
		}
		size = n + 32<<10 // the signature with its certificates
	}
	rcpts := make([]cms.Recipient, 0, len(c.Recipients))
	for _, r := range c.Recipients {
		rcpts = append(rcpts, cms.Recipient{Cert: r.Cert})
	}
	w := bufio.NewWriterSize(dst, 32<<10)
	kind := "authEnveloped-data"
	if c.Cipher == cms.AES256CBC {
		kind = "enveloped-data"
	}
	for _, f := range p.Outer {
		w.Write(f.Raw) // a bufio.Writer keeps its first error, here and below
	}
	head := "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=" + kind + ";\r\n name=\"smime.p7m\"\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n"
	w.WriteString(head) // likewise
	coder := message.NewBase64(w)
	sealer, err := cms.Encrypt(coder, c.Cipher, rcpts, int(size))
	if err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	if err := content(sealer, p, signer, now); err != nil {
		return err
	}
	if err := errors.Join(sealer.Close(), coder.Close(), w.Flush()); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	return nil
}

// content writes what is encrypted: the payload, signed.
func content(w io.Writer, p *message.Protected, signer *cms.Signer, now time.Time) error {
	if signer == nil {
		if _, err := p.WriteTo(w); err != nil {
			return fmt.Errorf("smime: %w", err)
		}
		return nil
	}
	sig, err := signer.Sign()
	if err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	boundary := "=_" + rand.Text() // no line of base64 or quoted-printable has "=_"
	head := "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=" + sig.Micalg() + "; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n"
	if _, err := io.WriteString(w, head); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	if _, err := p.WriteTo(io.MultiWriter(sig, w)); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	der, err := sig.Detached(now)
	if err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	if _, err := io.WriteString(w, "\r\n--"+boundary+"\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	coder := message.NewBase64(w)
	coder.Write(der) // Close tells
	if err := coder.Close(); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	if _, err := io.WriteString(w, "--"+boundary+"--\r\n"); err != nil {
		return fmt.Errorf("smime: %w", err)
	}
	return nil
}
