package pickup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// MaxPasskeys is how many passkeys one mailbox has at most.
const MaxPasskeys = 5

// Errors of passkeys.
var (
	// ErrPasskey says that an answer is not that of a passkey of this mailbox.
	ErrPasskey = errors.New("pickup: the passkey did not match")
	// ErrNoPasskey says that there is no such passkey, or none any more.
	ErrNoPasskey = errors.New("pickup: no such passkey")
	// ErrManyPasskeys says that a mailbox has MaxPasskeys. The Change that held
	// one more did nothing.
	ErrManyPasskeys = errors.New("pickup: the mailbox has as many passkeys as it may")
)

// Passkey is what opens the messages of one mailbox in place of a code. PHI:
// it says whose it is.
type Passkey struct {
	ID            dlp.ID
	Created, Used time.Time // Used at first as Created
	Version       int64     // of the row
	Credential
}

// Credential is what is sealed of a passkey under the index key.
type Credential struct {
	Of         dlp.Address
	Handle     []byte   // the credential's ID, as its authenticator knows it
	Key        []byte   // public, as a COSE_Key; RFC 9052 7
	Count      uint32   // of signatures, 0 where the authenticator counts none
	Flags      byte     // of authenticator data; WebAuthn 6.1
	Transports []string // by which the browser reaches it
}

// PasskeyRow is a passkey as a Store has it.
type PasskeyRow struct {
	ID            dlp.ID
	Mailbox       []byte // keyed digest of the address
	Created, Used time.Time
	Version       int64 // from which an update starts
	Sealed        []byte
}

// PasskeyStore keeps what is committed of passkeys.
type PasskeyStore interface {
	// Passkey returns one row, or ErrNoPasskey.
	Passkey(ctx context.Context, id dlp.ID) (PasskeyRow, error)
	// PasskeysOf returns the rows of one mailbox, the oldest first.
	PasskeysOf(ctx context.Context, mailbox []byte) ([]PasskeyRow, error)
	// Passkeys returns at most MaxList rows, the one that was used last first.
	Passkeys(ctx context.Context) ([]PasskeyRow, error)
	// PasskeysOver returns at most MaxList rows that were used last at or before then.
	PasskeysOver(ctx context.Context, then time.Time) ([]PasskeyRow, error)
}

func (b *Book) mailbox(a dlp.Address) []byte {
	sum := b.keys.MAC("pickup mailbox", []byte(a.String()))
	return sum[:]
}

// PasskeyUser is how authenticators know the mailbox a: it tells nobody whose it
// is, and is not what the database knows it by.
func (b *Book) PasskeyUser(a dlp.Address) []byte {
	sum := b.keys.MAC("pickup passkey user", []byte(a.String()))
	return sum[:]
}

// passkeyAD binds what is sealed to the row's mailbox too: copied into another's
// row it does not open.
func passkeyAD(id dlp.ID, mailbox []byte) string {
	return fmt.Sprintf("pickup passkey %s %x", id, mailbox)
}

// Passkey returns the row of p, ready for a commit.
func (b *Book) Passkey(p Passkey) (PasskeyRow, error) {
	plain, err := json.Marshal(p.Credential)
	if err != nil {
		return PasskeyRow{}, fmt.Errorf("pickup: passkey %s: %w", p.ID, err)
	}
	r := PasskeyRow{ID: p.ID, Mailbox: b.mailbox(p.Of), Created: p.Created, Used: p.Used, Version: p.Version}
	if r.Sealed, err = b.keys.Seal(passkeyAD(r.ID, r.Mailbox), plain); err != nil {
		return PasskeyRow{}, fmt.Errorf("pickup: seal passkey %s: %w", p.ID, err)
	}
	return r, nil
}

func (b *Book) passkey(r PasskeyRow) (Passkey, error) {
	p := Passkey{ID: r.ID, Created: r.Created, Used: r.Used, Version: r.Version}
	plain, err := b.keys.Open(passkeyAD(r.ID, r.Mailbox), r.Sealed)
	if err == nil {
		err = json.Unmarshal(plain, &p.Credential)
	}
	if err != nil {
		return Passkey{ID: r.ID, Created: r.Created, Used: r.Used, Version: r.Version}, fmt.Errorf("pickup: open passkey %s: %w", r.ID, ErrTampered)
	}
	return p, nil
}

// GetPasskey returns one passkey, or ErrNoPasskey.
func (b *Book) GetPasskey(ctx context.Context, id dlp.ID) (Passkey, error) {
	r, err := b.store.Passkey(ctx, id)
	if err != nil {
		return Passkey{}, fmt.Errorf("pickup: passkey %s: %w", id, err)
	}
	return b.passkey(r)
}

// PasskeysOf returns the passkeys of the mailbox a that were used after since,
// the oldest first. One that is damaged is none of them.
func (b *Book) PasskeysOf(ctx context.Context, a dlp.Address, since time.Time) ([]Passkey, error) {
	rows, err := b.store.PasskeysOf(ctx, b.mailbox(a))
	if err != nil {
		return nil, fmt.Errorf("pickup: passkeys: %w", err)
	}
	var out []Passkey
	for _, r := range rows {
		if p, err := b.passkey(r); err == nil && p.Used.After(since) {
			out = append(out, p)
		}
	}
	return out, nil
}

// Passkeys lists those of all mailboxes, the one that was used last first; of one
// that is damaged it says that it is there.
func (b *Book) Passkeys(ctx context.Context) ([]Passkey, error) {
	rows, err := b.store.Passkeys(ctx)
	return b.passkeys(rows, err)
}

// PasskeysOver lists those that were used last at or before then.
func (b *Book) PasskeysOver(ctx context.Context, then time.Time) ([]Passkey, error) {
	rows, err := b.store.PasskeysOver(ctx, then)
	return b.passkeys(rows, err)
}

func (b *Book) passkeys(rows []PasskeyRow, err error) ([]Passkey, error) {
	if err != nil {
		return nil, fmt.Errorf("pickup: list passkeys: %w", err)
	}
	out := make([]Passkey, 0, len(rows))
	for _, r := range rows {
		p, _ := b.passkey(r) // it hides no other, and can be removed
		out = append(out, p)
	}
	return out, nil
}

// TryPasskey counts a try on p of a passkey of its mailbox, keys, and has check
// say which of them it was and what is to be kept of it now. Tries that fail are
// given back by a code that matches, and by a passkey that does. ErrNoCode: they
// are used up. What check says else. Whatever it says, it holds once the Update of
// p is committed.
func (b *Book) TryPasskey(p *Parcel, now time.Time, check func() (Passkey, error)) (Passkey, error) {
	if p.KeyTries >= MaxTries {
		return Passkey{}, ErrNoCode
	}
	p.KeyTries++
	used, err := check()
	if err != nil {
		return Passkey{}, err
	}
	p.KeyTries, used.Used = 0, now
	if p.Opened.IsZero() {
		p.Opened = now
	}
	return used, nil
}
