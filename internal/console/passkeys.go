package console

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/passkey"
)

// maxPasskeys is how many passkeys one account has at most.
const maxPasskeys = 5

// ownPasskey is what is kept of one, sealed under the index key.
type ownPasskey struct {
	ID            dlp.ID             `json:"id"`
	Created, Used time.Time          // Used at first as Created
	Credential    passkey.Credential `json:"credential"`

	KeyOf  string `json:"key_of,omitempty"` // public half of the reviewer's key that it opens; "": none
	Sealed []byte `json:"sealed,omitempty"` // the secret half, by what the PRF makes
}

// OpensKey reports whether it opens the reviewer's key u.
func (k ownPasskey) OpensKey(public string) bool { return public != "" && k.KeyOf == public }

func passkeysAD(name string) string { return "console passkeys " + name }

// errPasskeys says that the passkeys of an account changed meanwhile, or do not open.
var errPasskeys = errors.New("console: the passkeys of an account do not open, or changed meanwhile")

// passkeysOf opens u's passkeys.
func (c *Console) passkeysOf(u User) ([]ownPasskey, error) {
	if u.Passkeys == "" {
		return nil, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(u.Passkeys)
	var plain []byte
	if err == nil {
		plain, err = c.Keys.Open(passkeysAD(u.Name), sealed)
	}
	var keys []ownPasskey
	if err != nil || json.Unmarshal(plain, &keys) != nil {
		return nil, errPasskeys
	}
	return keys, nil
}

// sealedPasskeys is passkeysOf's inverse; "" for none.
func (c *Console) sealedPasskeys(name string, keys []ownPasskey) (string, error) {
	if len(keys) == 0 {
		return "", nil
	}
	plain, err := json.Marshal(keys)
	if err != nil {
		return "", fmt.Errorf("console: passkeys: %w", err)
	}
	sealed, err := c.Keys.Seal(passkeysAD(name), plain)
	if err != nil {
		return "", fmt.Errorf("console: passkeys: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

func credentials(keys []ownPasskey) (out []passkey.Credential) {
	for _, k := range keys {
		out = append(out, k.Credential)
	}
	return out
}

// SetPasskeys gives name other passkeys, under the handle that authenticators know
// them by, or takes all away: sealed is "". Their sessions end.
func (u *Users) SetPasskeys(name, handle, sealed string) error {
	return u.edit(name, func(x *User) { x.Handle, x.Passkeys = handle, sealed })
}

// keepPasskeys puts sealed in the place of was, which nobody's session ends by.
// errPasskeys.
func (u *Users) keepPasskeys(name, was, sealed string) error {
	return u.change(func(all []User) ([]User, error) {
		i := slices.IndexFunc(all, func(x User) bool { return x.Name == name })
		if i < 0 || all[i].Passkeys != was || sealed == "" {
			return nil, errPasskeys
		}
		all[i].Passkeys = sealed
		return all, nil
	})
}

// byHandle returns the account that authenticators know by handle. ErrNoUser.
func (u *Users) byHandle(handle []byte) (User, error) {
	all, err := u.List()
	if err != nil {
		return User{}, err
	}
	want := base64.StdEncoding.EncodeToString(handle)
	if i := slices.IndexFunc(all, func(x User) bool { return x.Handle != "" && x.Handle == want }); i >= 0 {
		return all[i], nil
	}
	return User{}, ErrNoUser
}

// handleOf is how authenticators know u: random, so that it tells nobody whose it is.
func handleOf(u User) []byte {
	b, err := base64.StdEncoding.DecodeString(u.Handle)
	if err != nil || len(b) == 0 {
		b = make([]byte, 32)
		rand.Read(b) // never fails: crypto/rand.Read ends the program instead
	}
	return b
}

// answered notes that the passkey k of u has answered, on stable storage, and returns
// it. change, if not nil, changes it in the same write.
func (c *Console) answered(u User, k passkey.Credential, change func(*ownPasskey)) (ownPasskey, error) {
	keys, err := c.passkeysOf(u)
	if err != nil {
		return ownPasskey{}, err
	}
	i := slices.IndexFunc(keys, func(x ownPasskey) bool { return slices.Equal(x.Credential.Handle, k.Handle) })
	if i < 0 {
		return ownPasskey{}, errPasskeys
	}
	keys[i].Credential, keys[i].Used = k, c.Now().UTC()
	if change != nil {
		change(&keys[i])
	}
	sealed, err := c.sealedPasskeys(u.Name, keys)
	if err == nil {
		err = c.Users.keepPasskeys(u.Name, u.Passkeys, sealed)
	}
	return keys[i], err
}

// prfBytes is how much a PRF makes. WebAuthn 10.1.4.
const prfBytes = 32

// prfSalt is what u's authenticators are asked to make something of; each makes
// another.
func prfSalt(u User) []byte {
	sum := sha256.Sum256(append([]byte("stanch reviewer's key v1 "), handleOf(u)...))
	return sum[:]
}

// prfAEAD seals by what a passkey's PRF made.
func prfAEAD(prf []byte) (cipher.AEAD, error) {
	if len(prf) != prfBytes {
		return nil, errKeyForms
	}
	key, err := hkdf.Key(sha256.New, prf, nil, "stanch reviewer's key by passkey v1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, errKeyForms
	}
	defer clear(key)
	return chacha20poly1305.NewX(key)
}

// prfAD binds a sealed reviewer's key to whose it is and to the passkey.
func prfAD(u User, k ownPasskey) []byte {
	return slices.Concat(keyAD(u.Name, u.Key), []byte(" "), k.Credential.Handle)
}

// sealFor has k open u's reviewer's key from now on.
func (k *ownPasskey) sealFor(u User, secret, prf []byte) error {
	aead, err := prfAEAD(prf)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand.Read ends the program instead
	k.KeyOf, k.Sealed = u.Key, aead.Seal(nonce, nonce, secret, prfAD(u, *k))
	return nil
}

// secretOf is sealFor's inverse. errKeyForms.
func (k *ownPasskey) secretOf(u User, prf []byte) ([]byte, error) {
	aead, err := prfAEAD(prf)
	if err != nil || !k.OpensKey(u.Key) || len(k.Sealed) < aead.NonceSize() {
		return nil, errKeyForms
	}
	secret, err := aead.Open(nil, k.Sealed[:aead.NonceSize()], k.Sealed[aead.NonceSize():], prfAD(u, *k))
	if err != nil {
		return nil, errKeyForms
	}
	return secret, nil
}
