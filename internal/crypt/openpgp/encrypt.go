package openpgp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/gopenpgp/v3/crypto"
	"github.com/ProtonMail/gopenpgp/v3/profile"

	"github.com/stanch-dlp/stanch/internal/message"
)

// MaxKeys bounds the keys of one message; each costs up to 1 KiB of it.
const MaxKeys = 100

var errKeys = errors.New("openpgp: want 1 to 100 keys")

// Encrypt writes m to dst as a complete message that the holder of any of keys
// can read: ASCII in lines of at most 76 but for what m has outside, with CRLF
// line ends. The keys must be Usable. It needs the memory of a few blocks. What
// was written before an error is of no use.
//
// Source: RFC 3156 4.
func Encrypt(dst io.Writer, m *message.Protected, keys []*Key) error {
	boundary := "openpgp-" + rand.Text()
	var head bytes.Buffer
	for _, f := range m.Outer {
		head.Write(f.Raw)
	}
	fmt.Fprintf(&head, "MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"%s\"\r\n\r\n", boundary)
	fmt.Fprintf(&head, "--%s\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n", boundary)
	fmt.Fprintf(&head, "--%s\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n", boundary)
	if _, err := dst.Write(head.Bytes()); err != nil {
		return err
	}
	w, err := seal(&crlf{w: dst}, keys, crypto.Armor)
	if err != nil {
		return err
	}
	if _, err := m.WriteTo(w); err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	_, err = fmt.Fprintf(dst, "\r\n--%s--\r\n", boundary)
	return err
}

// EncryptFile writes src, encrypted to keys, to dst in the binary form: any
// OpenPGP program gives back src as it was. It needs the memory of a few blocks.
func EncryptFile(dst io.Writer, src io.Reader, keys []*Key) error {
	w, err := seal(dst, keys, crypto.Bytes)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, src); err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	return nil
}

// seal returns a writer that encrypts to keys on dst, in ASCII armour or not;
// its Close ends the message. The content is authenticated, not compressed and
// not signed.
func seal(dst io.Writer, keys []*Key, encoding int8) (io.WriteCloser, error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, errKeys
	}
	ring, err := crypto.NewKeyRing(nil)
	if err != nil {
		return nil, fmt.Errorf("openpgp: %w", err)
	}
	for _, k := range keys {
		if err := ring.AddKey(k.key); err != nil {
			return nil, fmt.Errorf("openpgp: %w", err)
		}
	}
	h, err := crypto.PGPWithProfile(profile.RFC4880()).Encryption().Recipients(ring).New()
	if err != nil {
		return nil, fmt.Errorf("openpgp: %w", err)
	}
	w, err := h.EncryptingWriter(dst, encoding)
	if err != nil {
		return nil, fmt.Errorf("openpgp: %w", err)
	}
	return w, nil
}

// crlf ends lines that end with LF with CRLF.
type crlf struct {
	w   io.Writer
	buf []byte
}

// Write writes p.
func (c *crlf) Write(p []byte) (int, error) {
	c.buf = c.buf[:0]
	for _, b := range p {
		if b == '\n' {
			c.buf = append(c.buf, '\r')
		}
		c.buf = append(c.buf, b)
	}
	if _, err := c.w.Write(c.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
