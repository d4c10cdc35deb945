package openpgp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/gopenpgp/v3/crypto"
	"github.com/ProtonMail/gopenpgp/v3/profile"
)

// Errors of secret keys, and of opening.
var (
	ErrNoSecret = errors.New("openpgp: no secret key of one owner can be read from it")
	ErrLocked   = errors.New("openpgp: the secret key has a passphrase: export it without one, or open the file with gpg")
	ErrOpen     = errors.New("openpgp: not opened: it is for another key, or was altered or cut short")
)

// Secret is somebody's secret key.
type Secret struct{ key *crypto.Key }

// ReadSecret reads a secret key without a passphrase, with or without armour,
// MaxKey bytes at most: ErrNoSecret or ErrLocked.
func ReadSecret(r io.Reader) (*Secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxKey+1))
	if err != nil || len(b) > MaxKey {
		return nil, ErrNoSecret
	}
	k, err := crypto.NewKeyFromReader(bytes.NewReader(b))
	if err != nil || !k.IsPrivate() {
		return nil, ErrNoSecret
	}
	if open, err := k.IsUnlocked(); err != nil || !open {
		return nil, ErrLocked
	}
	return &Secret{k}, nil
}

// Decrypt writes what is encrypted in src, armoured or not, to one of keys to
// dst. What was written before an error must be thrown away: ErrOpen.
func Decrypt(dst io.Writer, src io.Reader, keys []*Secret) error {
	ring, err := crypto.NewKeyRing(nil)
	if err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	for _, k := range keys {
		if err := ring.AddKey(k.key); err != nil {
			return fmt.Errorf("openpgp: %w", err)
		}
	}
	h, err := crypto.PGPWithProfile(profile.RFC4880()).Decryption().DecryptionKeys(ring).New()
	if err != nil {
		return fmt.Errorf("openpgp: %w", err)
	}
	r, err := h.DecryptingReader(bufio.NewReader(src), crypto.Auto)
	if err != nil {
		return ErrOpen
	}
	if _, err := io.Copy(dst, opened{r}); err != nil {
		return err
	}
	return nil
}

// opened turns the errors of what was altered into ErrOpen.
type opened struct{ r io.Reader }

// Read reads what is decrypted.
func (o opened) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = ErrOpen
	}
	return n, err
}
