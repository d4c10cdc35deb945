package age

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxSealedKey bounds one sealed key, in bytes: two seals of post-quantum keys
// within one another take 8 KiB.
const maxSealedKey = 16 << 10

// hybridPrefix begins the public keys that a quantum computer does not break.
const hybridPrefix = "age1pq1"

// newKey makes the key of a period: post-quantum where every reader's is, since
// else theirs is what gets broken; strict where every reader has a certificate.
func newKey(readers []string) (secret, recipient string, err error) {
	switch kindFor(readers) {
	case approved:
		k, err := strict.NewKey()
		if err != nil {
			return "", "", fmt.Errorf("age: new key: %w", err)
		}
		return k.String(), k.Recipient, nil
	case hybrid:
		id, err := filippo.GenerateHybridIdentity()
		if err != nil {
			return "", "", fmt.Errorf("age: new key: %w", err)
		}
		return id.String(), id.Recipient().String(), nil
	}
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("age: new key: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// keyKind is of which strength the key of a period is.
type keyKind int

const (
	x25519   keyKind = iota
	hybrid           // post-quantum
	approved         // by FIPS 140
)

// kindFor is the kind of a key that these readers may open.
func kindFor(readers []string) keyKind {
	switch {
	case certified(readers):
		return approved
	case !slices.ContainsFunc(readers, func(r string) bool { return !strings.HasPrefix(r, hybridPrefix) }):
		return hybrid
	}
	return x25519
}

// kindOf is the kind of the key with this public half.
func kindOf(recipient string) keyKind {
	switch {
	case strict.IsRecipient(recipient):
		return approved
	case strings.HasPrefix(recipient, hybridPrefix):
		return hybrid
	}
	return x25519
}

// secret returns an identity as it is written.
func secret(id filippo.Identity) string {
	if s, ok := id.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

// publicOf returns the public key of an identity.
func publicOf(id filippo.Identity) string {
	switch id := id.(type) {
	case *filippo.X25519Identity:
		return id.Recipient().String()
	case *filippo.HybridIdentity:
		return id.Recipient().String()
	case strictIdentity:
		return id.Recipient
	}
	return ""
}

// sets returns every set of needed readers, 1 or 2 of them, each in order.
func sets(readers []string, needed int) [][]string {
	var out [][]string
	for i, a := range readers {
		if needed < 2 {
			out = append(out, []string{a})
			continue
		}
		for _, b := range readers[i+1:] {
			out = append(out, []string{a, b})
		}
	}
	return out
}

// keyLine is the first line inside a sealed key: format, version and whose.
func keyLine(id dlp.ID) string { return "stanch-period/1 " + string(id) + "\n" }

// sealKey seals the secret key of period id once for each set of readers: for
// the one, or for the second and that for the first, so that it takes both.
func sealKey(id dlp.ID, key string, readers []string, needed int) ([][]byte, error) {
	var out [][]byte
	for _, set := range sets(readers, needed) {
		b := []byte(keyLine(id) + key + "\n")
		for i := len(set) - 1; i >= 0; i-- {
			sealed, err := sealTo(b, set[i])
			if err != nil {
				return nil, fmt.Errorf("age: seal key: %w", err)
			}
			b = sealed
		}
		out = append(out, b)
	}
	return out, nil
}

// ErrNotEnough says that keys are missing to open what takes two reviewers.
var ErrNotEnough = errors.New("age: it takes the keys of two reviewers")

// openKey opens one of sealed with ids. crypt.ErrWrongKey, ErrNotEnough.
func openKey(period dlp.ID, recipient string, sealed [][]byte, ids []filippo.Identity) (filippo.Identity, error) {
	half := false
	for _, b := range sealed {
		layers := 0
		for len(b) > 0 && !bytes.HasPrefix(b, []byte("stanch-period/")) {
			in, err := openLayer(b, ids)
			if err != nil {
				half = half || layers > 0
				break
			}
			b = in
			layers++
		}
		line, ok := bytes.CutPrefix(b, []byte(keyLine(period)))
		if !ok {
			continue
		}
		id, err := parseIdentity(strings.TrimSpace(string(line)))
		if err != nil || publicOf(id) != recipient {
			return nil, fmt.Errorf("age: open key: %w", ErrTampered)
		}
		return id, nil
	}
	if half {
		return nil, ErrNotEnough
	}
	return nil, fmt.Errorf("age: open key: %w", crypt.ErrWrongKey)
}

func openPeriod(x period, ids []filippo.Identity) (filippo.Identity, error) {
	return openKey(x.ID, x.Recipient, x.Sealed, ids)
}

// FileKey opens l with a reviewer's identities: it returns the key of that one
// stream, which is all that a server needs to release it. crypt.ErrWrongKey,
// ErrNotEnough, ErrTampered.
func FileKey(l vault.Lock, ids []filippo.Identity) ([]byte, error) {
	with, err := openKey(l.Period, l.Recipient, l.Sealed, ids)
	if err != nil {
		return nil, err
	}
	if strict.IsRecipient(l.Recipient) {
		key, err := strict.OpenKey(l.Header, secretsOf([]filippo.Identity{with}))
		return key, strictError(err)
	}
	key, err := filippo.DecryptHeader(l.Header, with)
	if err != nil {
		return nil, openError(err)
	}
	return key, nil
}

// Reseal opens the key of x with a reviewer's identities and seals it to
// readers, of whom it takes needed. crypt.ErrWrongKey, ErrNotEnough.
func Reseal(x vault.Period, readers []string, needed int, ids []filippo.Identity) ([][]byte, error) {
	id, err := openKey(x.ID, x.Recipient, x.Sealed, ids)
	if err != nil {
		return nil, err
	}
	return sealKey(x.ID, secret(id), readers, needed)
}

// Ephemeral makes a key that lives in memory only, of a kind that may stand
// beside recipients: age keeps post-quantum keys and others apart.
func Ephemeral(recipients []string) (filippo.Identity, string, error) {
	key, public, err := newKey(recipients)
	if err != nil {
		return nil, "", err
	}
	id, err := parseIdentity(key)
	return id, public, err
}

// ErrCertificates says that keys are not age's here: those who may open the
// vault have certificates.
var ErrCertificates = errors.New("age: the reviewers have certificates: a key of age's opens nothing beside them")

// NewReviewer makes the key of one more reviewer beside those that are there:
// post-quantum where all of theirs are. It returns the secret key as it is
// written, and the public one. ErrCertificates.
func NewReviewer(beside []string) (secretKey []byte, public string, err error) {
	if slices.ContainsFunc(beside, strict.IsReader) {
		return nil, "", ErrCertificates
	}
	return NewIdentity(len(beside) > 0 && kindFor(beside) == hybrid)
}

// NewIdentity makes a key: the secret one as it is written, and the public one.
func NewIdentity(postQuantum bool) (secretKey []byte, public string, err error) {
	if !postQuantum {
		id, err := filippo.GenerateX25519Identity()
		if err != nil {
			return nil, "", fmt.Errorf("age: new key: %w", err)
		}
		return []byte(id.String()), id.Recipient().String(), nil
	}
	id, err := filippo.GenerateHybridIdentity()
	if err != nil {
		return nil, "", fmt.Errorf("age: new key: %w", err)
	}
	return []byte(id.String()), id.Recipient().String(), nil
}
