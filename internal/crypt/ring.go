package crypt

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"

	filippo "filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// Errors a caller chooses by.
var (
	// ErrKeyMissing says that data was sealed with keys that are not there.
	ErrKeyMissing = errors.New("crypt: a key is missing")
	// ErrWrongKey says that a key is there and is not the one the data was
	// sealed with.
	ErrWrongKey = errors.New("crypt: not the key the data was sealed with")
	// ErrBadKey says that a key file does not hold what its name says.
	ErrBadKey = errors.New("crypt: not a key of this kind")
	// ErrTampered says that sealed bytes do not open: altered, cut short, moved
	// from another place, or sealed under another key.
	ErrTampered = errors.New("crypt: sealed bytes do not open")
)

// fieldVersion is the first byte of every sealed field (docs/vault.md).
const fieldVersion = 1

// Ring holds the three keys (docs/vault.md says what each covers). All methods
// but ForgetRelease may be called at the same time.
type Ring struct {
	id        string
	field     cipher.AEAD
	pseudonym *keyed
	mac       *keyed
	work      *filippo.X25519Identity
	release   *filippo.X25519Identity
}

// newRing derives what the index key is used for, one key for each use.
func newRing(index []byte, work, release *filippo.X25519Identity) (*Ring, error) {
	derive := func(use string, n int) ([]byte, error) {
		return hkdf.Key(sha256.New, index, nil, "stanch index key v1: "+use, n)
	}
	field, err := derive("field", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	pseudonym, err := derive("pseudonym", sha256.Size)
	if err != nil {
		return nil, err
	}
	mac, err := derive("mac", sha256.Size)
	if err != nil {
		return nil, err
	}
	id, err := derive("id", 16)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(field)
	if err != nil {
		return nil, err
	}
	return &Ring{id: hex.EncodeToString(id), field: aead, pseudonym: newKeyed(pseudonym), mac: newKeyed(mac), work: work, release: release}, nil
}

// ID names the index key without telling it: 32 lower-case hex digits. The
// database keeps it, so that a foreign key is noticed before it is used.
func (r *Ring) ID() string { return r.id }

// Work is the key for what automatic work still needs: the outbox.
func (r *Ring) Work() *filippo.X25519Identity { return r.work }

// Release is the key by which the server opens what is held, nil where it gave
// that up to the reviewers.
func (r *Ring) Release() *filippo.X25519Identity { return r.release }

// Seal seals a small field under the index key. ad says what and whose
// the field is; Open must be given the same.
//
// The form is one version byte, a random nonce of 24 bytes, the XChaCha20-
// Poly1305 ciphertext and its tag.
func (r *Ring) Seal(ad string, b []byte) ([]byte, error) {
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(b)+chacha20poly1305.Overhead)
	out[0] = fieldVersion
	nonce := out[1:]
	rand.Read(nonce) // never fails: crypto/rand.Read ends the program instead
	return r.field.Seal(out, nonce, b, []byte(ad)), nil
}

// Open is the inverse of Seal. ErrTampered.
func (r *Ring) Open(ad string, b []byte) ([]byte, error) {
	if len(b) < 1+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, ErrTampered
	}
	if b[0] != fieldVersion {
		return nil, fmt.Errorf("field version %d: %w", b[0], ErrTampered)
	}
	nonce, sealed := b[1:1+chacha20poly1305.NonceSizeX], b[1+chacha20poly1305.NonceSizeX:]
	plain, err := r.field.Open(nil, nonce, sealed, []byte(ad))
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

// Pseudonym returns 32 lower-case hex digits that stand for value, of the given
// kind ("sender", "rcpt"), in audit events: equal for equal values, and telling
// nothing to who has not the index key.
func (r *Ring) Pseudonym(kind, value string) string {
	sum := r.pseudonym.sum(kind, []byte(value))
	return hex.EncodeToString(sum[:16])
}

// MAC returns a keyed digest of parts for look-ups by value. kind separates
// uses; ("ab", "c") and ("a", "bc") differ.
func (r *Ring) MAC(kind string, parts ...[]byte) [32]byte { return r.mac.sum(kind, parts...) }

// keyed makes digests under one key, by any number of goroutines: HMAC-SHA-256
// over kind and parts, each after its length in eight bytes, big-endian.
type keyed struct{ idle sync.Pool } // of *keyedHash

// keyedHash is reset and not made anew, which would hash the key again.
type keyedHash struct {
	hash.Hash
	b []byte
}

func newKeyed(key []byte) *keyed {
	return &keyed{sync.Pool{New: func() any { return &keyedHash{Hash: hmac.New(sha256.New, key)} }}}
}

func (k *keyed) sum(kind string, parts ...[]byte) [32]byte {
	h := k.idle.Get().(*keyedHash)
	defer k.idle.Put(h)
	b := binary.BigEndian.AppendUint64(h.b[:0], uint64(len(kind)))
	b = append(b, kind...)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(p))), p...)
	}
	h.Reset()
	h.Write(b) // a hash never fails to write
	clear(b)   // it may be an address
	h.b = h.Sum(b[:0])
	return [32]byte(h.b)
}
