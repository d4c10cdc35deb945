package openpgp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/mail"
	"slices"
	"time"

	"github.com/ProtonMail/gopenpgp/v3/crypto"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// MaxKey is the largest file of a key that is read, in bytes. Keys that hundreds
// of others have signed are below it.
const MaxKey = 256 << 10

// What makes a key unfit for a mail to somebody. None of them quotes the key.
var (
	ErrUnreadable = errors.New("openpgp: no key of one owner can be read from it")
	ErrSecret     = errors.New("openpgp: it is a secret key: want the public one")
	ErrVersion    = errors.New("openpgp: not a key of version 4, which is what common programs read")
	ErrRevoked    = errors.New("openpgp: the key is revoked")
	ErrExpired    = errors.New("openpgp: the key has expired")
	ErrCannot     = errors.New("openpgp: the key cannot encrypt: it has no valid part made for that")
)

// Key is the public key of one owner. It does not change.
type Key struct{ key *crypto.Key }

// ReadKey reads the key of one owner, with or without armour, MaxKey bytes at
// most: ErrUnreadable, ErrSecret or ErrVersion.
func ReadKey(r io.Reader) (*Key, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxKey+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxKey {
		return nil, ErrUnreadable
	}
	k, err := crypto.NewKeyFromReader(bytes.NewReader(b))
	switch {
	case err != nil:
		return nil, ErrUnreadable // the library's error may quote a name
	case k.IsPrivate():
		k.ClearPrivateParams()
		return nil, ErrSecret
	case k.GetVersion() != 4:
		return nil, ErrVersion
	}
	return &Key{k}, nil
}

// Fingerprint returns the key's fingerprint in lower-case hex.
func (k *Key) Fingerprint() string { return k.key.GetFingerprint() }

// Armored returns the key in armour.
func (k *Key) Armored() ([]byte, error) {
	s, err := k.key.GetArmoredPublicKey()
	return []byte(s), err
}

// Subkeys returns the fingerprints of its subkeys in lower-case hex.
func (k *Key) Subkeys() []string {
	var out []string
	for _, sub := range k.key.GetEntity().Subkeys {
		out = append(out, hex.EncodeToString(sub.PublicKey.Fingerprint))
	}
	return out
}

// Addresses returns the mail addresses that the key's valid user IDs name at
// now, as they are written, sorted. PHI.
func (k *Key) Addresses(now time.Time) []string {
	var out []string
	for _, id := range k.key.GetEntity().Identities {
		sig, err := id.LatestValidSelfCertification(now, nil)
		if err != nil || id.Revoked(sig, now, nil) {
			continue
		}
		if a := addressIn(id.Name, id.UserId.Email); a != "" {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// addressIn is the address in a user ID: "Name <address>" by convention, or
// the address alone.
func addressIn(name, parsed string) string {
	if parsed != "" {
		return parsed
	}
	if a, err := mail.ParseAddress(name); err == nil {
		return a.Address
	}
	return ""
}

// Names reports whether the key names addr at now, or no address at all, nor did
// in a user ID that is revoked or expired. ASCII letters count as the same in both
// cases.
func (k *Key) Names(addr string, now time.Time) bool {
	all := k.Addresses(now)
	nobody := true
	for _, id := range k.key.GetEntity().Identities {
		nobody = nobody && addressIn(id.Name, id.UserId.Email) == ""
	}
	return nobody || slices.ContainsFunc(all, func(a string) bool { return dlp.FoldAddress(a) == dlp.FoldAddress(addr) })
}

// Expires is when the key can no longer be encrypted to, as far as is known
// at now; zero: never, or not at all.
func (k *Key) Expires(now time.Time) time.Time {
	e := k.key.GetEntity()
	enc, ok := e.EncryptionKey(now, nil)
	if !ok {
		sig, err := e.PrimarySelfSignature(time.Time{}, nil)
		if err != nil || sig.KeyLifetimeSecs == nil || *sig.KeyLifetimeSecs == 0 {
			return time.Time{}
		}
		return e.PrimaryKey.CreationTime.Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second)
	}
	var first time.Time
	for _, x := range []struct {
		made  time.Time
		lasts *uint32
	}{{enc.PublicKey.CreationTime, enc.SelfSignature.KeyLifetimeSecs}, {e.PrimaryKey.CreationTime, enc.PrimarySelfSignature.KeyLifetimeSecs}} {
		if x.lasts == nil || *x.lasts == 0 {
			continue
		}
		if ends := x.made.Add(time.Duration(*x.lasts) * time.Second); first.IsZero() || ends.Before(first) {
			first = ends
		}
	}
	return first
}

// Usable says why nothing may be encrypted to the key at now: ErrRevoked,
// ErrExpired, ErrCannot; nil where it may.
func (k *Key) Usable(now time.Time) error {
	switch at := now.Unix(); {
	case k.key.IsRevoked(at):
		return ErrRevoked
	case k.key.CanEncrypt(at):
		return nil
	case k.key.IsExpired(at), k.ended(now):
		return ErrExpired
	}
	return ErrCannot
}

// ended reports whether the key could be encrypted to until a moment before now.
func (k *Key) ended(now time.Time) bool {
	e := k.key.GetEntity()
	for i := range e.Subkeys {
		sub := &e.Subkeys[i]
		sig, err := sub.LatestValidBindingSignature(time.Time{}, nil)
		if err == nil && sig.FlagsValid && (sig.FlagEncryptCommunications || sig.FlagEncryptStorage) && sub.Expired(sig, now) {
			return true
		}
	}
	return false
}
