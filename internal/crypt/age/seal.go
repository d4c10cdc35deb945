package age

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	filippo "filippo.io/age"
	"filippo.io/age/armor"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ErrTampered says that a stream is not what was sealed: altered, cut short,
// or another document's. It is crypt's.
var ErrTampered = crypt.ErrTampered

// ErrWrongKey says that no key at hand opens the stream. It is crypt's.
var ErrWrongKey = crypt.ErrWrongKey

// ErrNotAge says that what was to be decrypted is not an age file.
var ErrNotAge = errors.New("age: not an age file")

// Sealer seals contents to one key and opens them again. Its methods may be
// called at the same time.
type Sealer struct {
	to   filippo.Recipient
	with filippo.Identity
}

// NewSealer returns a Sealer for one key of a crypt.Ring.
func NewSealer(id *filippo.X25519Identity) *Sealer {
	return &Sealer{to: id.Recipient(), with: id}
}

// bindLine is the first line inside every sealed content: format and version,
// what it is and whose (docs/vault.md).
func bindLine(kind string, id dlp.ID) string {
	return "stanch-sealed/1 " + kind + " " + string(id) + "\n"
}

// Seal returns a writer that seals what is written to it onto dst, bound to
// kind and id. Close ends the stream, and does not close dst; without Close
// the stream does not open.
func (s *Sealer) Seal(dst io.Writer, kind string, id dlp.ID) (io.WriteCloser, error) {
	w, err := filippo.Encrypt(dst, s.to)
	if err != nil {
		return nil, fmt.Errorf("age: seal: %w", err)
	}
	if _, err := io.WriteString(w, bindLine(kind, id)); err != nil {
		return nil, fmt.Errorf("age: seal: %w", err)
	}
	return w, nil
}

// Open returns what Seal was given for the same kind and id. ErrWrongKey and
// ErrTampered come from here or, where the stream is altered or cut short
// later on, from the reader in place of io.EOF.
func (s *Sealer) Open(src io.Reader, kind string, id dlp.ID) (io.Reader, error) {
	r, err := filippo.Decrypt(src, s.with)
	if err != nil {
		return nil, openError(err)
	}
	want := bindLine(kind, id)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		return nil, fmt.Errorf("age: open: bound to something else: %w", ErrTampered)
	}
	return &checked{r}, nil
}

// checked turns the errors of a damaged stream into ErrTampered.
type checked struct{ r io.Reader }

// Read passes on what has been verified.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("age: open: %w: %w", ErrTampered, err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("age: open: cut short: %w", ErrTampered)
	}
	return n, err
}

// openError says which of the three ways of not opening it was.
func openError(err error) error {
	if _, ok := errors.AsType[*filippo.NoIdentityMatchError](err); ok {
		return fmt.Errorf("age: open: %w", ErrWrongKey)
	}
	return fmt.Errorf("age: open: header: %w", ErrTampered)
}

// EncryptFile writes src, encrypted for every one of recipients, to dst in the
// binary age format. Nothing of ours is inside: any age program gives back
// src as it was.
func EncryptFile(dst io.Writer, src io.Reader, recipients []string) error {
	to, err := ParseRecipients(recipients)
	if err != nil {
		return err
	}
	w, err := filippo.Encrypt(dst, to...)
	if err != nil {
		return fmt.Errorf("age: encrypt: %w", err)
	}
	if _, err := io.Copy(w, src); err != nil {
		return fmt.Errorf("age: encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("age: encrypt: %w", err)
	}
	return nil
}

// ageIntro begins a file in the binary form.
const ageIntro = "age-encryption.org/v1\n"

// unwrap takes the ASCII armour off where there is one.
func unwrap(src *bufio.Reader) (io.Reader, error) {
	if got, err := src.Peek(len(armor.Header)); err == nil && string(got) == armor.Header {
		return armor.NewReader(src), nil
	}
	if got, err := src.Peek(len(ageIntro)); err != nil || string(got) != ageIntro {
		return nil, ErrNotAge
	}
	return src, nil
}

// Decrypt writes what is encrypted in src, armoured or not, to dst. What was written before an
// error must be thrown away. ErrNotAge, ErrWrongKey, ErrTampered.
func Decrypt(dst io.Writer, src io.Reader, identities []filippo.Identity) error {
	if len(identities) == 0 {
		return fmt.Errorf("age: decrypt: no identity given: %w", ErrWrongKey)
	}
	sealed, err := unwrap(bufio.NewReader(src))
	if err != nil {
		return err
	}
	r, err := filippo.Decrypt(sealed, identities...)
	if err != nil {
		return openError(err)
	}
	if _, err := io.Copy(dst, &checked{r}); err != nil {
		return fmt.Errorf("age: decrypt: %w", err)
	}
	return nil
}
