package console

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	filippo "filippo.io/age"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/stanch-dlp/stanch/internal/crypt"
	agekey "github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Vault tells who may open what is held, and what it takes. It is satisfied by
// gateway.Gateway.
type Vault interface {
	Locks(ctx context.Context, id dlp.ID) (vault.Locks, error)
	VaultPeriods(ctx context.Context) (vault.Periods, error)
}

// maxKeys bounds the accounts with a reviewer's key; of more no vault would be
// sealed to.
const maxKeys = 2 * vault.MaxReviewers

// keyBytes are of a salt before a sealed reviewer's key.
const saltBytes = 16

// Errors of a reviewer's key.
var (
	errKeyThere = errors.New("console: the account has a reviewer's key")
	errKeyForms = errors.New("console: the reviewer's key of an account does not open")
	errKeysFull = errors.New("console: as many accounts have a reviewer's key as may")
)

// keyAD binds a sealed reviewer's key to whose it is.
func keyAD(name, public string) []byte {
	return []byte("stanch reviewer's key v1 " + name + " " + public)
}

// passwordKey is what seals a reviewer's key. Its salt is its own and its
// context another than of the password's hash, which therefore says nothing
// about it.
func (u *Users) passwordKey(password string, salt []byte) ([]byte, error) {
	u.work <- struct{}{}
	hard := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashLanes, hashBytes)
	<-u.work
	defer clear(hard)
	return hkdf.Key(sha256.New, hard, nil, "stanch reviewer's key v1", chacha20poly1305.KeySize)
}

// sealKey seals the secret half of name's key by their password: salt, nonce and
// ciphertext of XChaCha20-Poly1305.
func (u *Users) sealKey(name, public, password string, secret []byte) ([]byte, error) {
	head := make([]byte, saltBytes+chacha20poly1305.NonceSizeX)
	rand.Read(head) // never fails: crypto/rand.Read ends the program instead
	key, err := u.passwordKey(password, head[:saltBytes])
	if err != nil {
		return nil, fmt.Errorf("console: reviewer's key: %w", err)
	}
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("console: reviewer's key: %w", err)
	}
	return aead.Seal(head, head[saltBytes:], secret, keyAD(name, public)), nil
}

// unsealKey is sealKey's inverse. errKeyForms.
func (u *Users) unsealKey(name, public, password string, sealed []byte) ([]byte, error) {
	if len(sealed) < saltBytes+chacha20poly1305.NonceSizeX {
		return nil, errKeyForms
	}
	key, err := u.passwordKey(password, sealed[:saltBytes])
	if err != nil {
		return nil, errKeyForms
	}
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, errKeyForms
	}
	nonce := sealed[saltBytes : saltBytes+chacha20poly1305.NonceSizeX]
	secret, err := aead.Open(nil, nonce, sealed[saltBytes+chacha20poly1305.NonceSizeX:], keyAD(name, public))
	if err != nil {
		return nil, errKeyForms
	}
	return secret, nil
}

// setKey gives name a reviewer's key, or takes it away: public is "". Only who
// has none is given one.
func (u *Users) setKey(name, public, sealed string) error {
	return u.change(func(all []User) ([]User, error) {
		at, have := -1, 0
		for i, x := range all {
			if x.Name == name {
				at = i
			}
			if x.Key != "" {
				have++
			}
		}
		switch {
		case at < 0:
			return nil, ErrNoUser
		case public != "" && all[at].Key != "":
			return nil, errKeyThere
		case public != "" && have >= maxKeys:
			return nil, errKeysFull
		}
		all[at].Key, all[at].KeySealed = public, sealed
		all[at].Changes++
		return all, nil
	})
}

// changePassword is SetPassword by who knows the old one: a reviewer's key is
// sealed anew, in the same write. keys open what lies around it.
func (u *Users) changePassword(x User, old, fresh string, keys Keys) error {
	if x.Key == "" {
		return u.SetPassword(x.Name, fresh)
	}
	secret, err := u.secretKey(x, old, keys)
	if err != nil {
		return err
	}
	defer clear(secret)
	hash, err := u.hash(fresh)
	if err != nil {
		return err
	}
	sealed, err := u.sealedKey(x.Name, x.Key, fresh, secret, keys)
	if err != nil {
		return err
	}
	changed := false
	err = u.editOwn(x.Name, func(now *User) {
		if now.same(x) { // nobody gave it another meanwhile
			now.Hash, now.First, now.KeySealed = hash, false, sealed
			changed = true
		}
	})
	if err == nil && !changed {
		return errKeyForms
	}
	return err
}

// secretKey opens x's key. errKeyForms.
func (u *Users) secretKey(x User, password string, keys Keys) ([]byte, error) {
	outer, err := base64.StdEncoding.DecodeString(x.KeySealed)
	if err != nil {
		return nil, errKeyForms
	}
	inner, err := keys.Open(string(keyAD(x.Name, x.Key)), outer)
	if err != nil {
		return nil, errKeyForms
	}
	return u.unsealKey(x.Name, x.Key, password, inner)
}

// sealedKey is what users.json holds of a key: sealed by the password, and that
// under the index key, so that the file alone is nothing to try passwords on.
func (u *Users) sealedKey(name, public, password string, secret []byte, keys Keys) (string, error) {
	inner, err := u.sealKey(name, public, password, secret)
	if err != nil {
		return "", err
	}
	outer, err := keys.Seal(string(keyAD(name, public)), inner)
	if err != nil {
		return "", fmt.Errorf("console: reviewer's key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(outer), nil
}

// fileKeys opens what two locks of one document hold with a reviewer's secret
// key. What is not that key's to open is left to the server's own.
func fileKeys(l vault.Locks, ids []filippo.Identity) (keys vault.Opened, err error) {
	for _, one := range []struct {
		of *vault.Lock
		to *[]byte
	}{{&l.Case, &keys.Case}, {&l.Content, &keys.Content}} {
		if one.of.Header == nil { // it has ended
			continue
		}
		key, err := agekey.FileKey(*one.of, ids)
		switch {
		case errors.Is(err, crypt.ErrWrongKey), errors.Is(err, agekey.ErrNotEnough):
		case err != nil:
			return vault.Opened{}, err
		default:
			*one.to = key
		}
	}
	return keys, nil
}

// identitiesOf reads a secret key as it is kept.
func identitiesOf(secret []byte) ([]filippo.Identity, error) {
	ids, err := agekey.ParseIdentities(bytes.NewReader(secret))
	if err != nil {
		return nil, errKeyForms
	}
	return ids, nil
}
