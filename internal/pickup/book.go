package pickup

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Book seals, lists and opens parcels. It holds no state of its own; all
// methods may be called at the same time.
type Book struct {
	store    Store
	contents Contents
	keys     Keys
}

// New returns a Book over its neighbours.
func New(s Store, c Contents, k Keys) *Book { return &Book{store: s, contents: c, keys: k} }

func ad(id dlp.ID) string { return "pickup " + string(id) }

func (b *Book) seal(id dlp.ID, k Known) ([]byte, error) {
	plain, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("pickup: %s: %w", id, err)
	}
	sealed, err := b.keys.Seal(ad(id), plain)
	if err != nil {
		return nil, fmt.Errorf("pickup: seal %s: %w", id, err)
	}
	return sealed, nil
}

// Stage keeps content, which is sealed already, where it will stay and returns
// the Item to be committed. After an error nothing is left behind.
func (b *Book) Stage(ctx context.Context, p Parcel, content io.Reader) (Item, error) {
	it := Item{ID: p.ID, Doc: p.Doc, Created: p.Created, Expires: p.Expires}
	var err error
	if it.Sealed, err = b.seal(p.ID, p.Known); err != nil {
		return Item{}, err
	}
	it.Inline, err = b.contents.Put(ctx, p.ID, InlineMax, func(dst io.Writer) (err error) {
		it.Size, err = io.Copy(dst, content)
		return err
	})
	if err != nil {
		return Item{}, fmt.Errorf("pickup: stage %s: %w", p.ID, err)
	}
	return it, nil
}

// Discard removes what Stage staged for an Item that was not committed. It must
// not be called for one that was.
func (b *Book) Discard(ctx context.Context, it Item) error {
	if it.Inline != nil || it.ID == "" {
		return nil
	}
	return b.contents.Remove(ctx, it.ID)
}

// Update returns the Update that makes p what it says, if nobody changed it
// since it was read.
func (b *Book) Update(p Parcel) (Update, error) {
	sealed, err := b.seal(p.ID, p.Known)
	return Update{ID: p.ID, State: p.State, Version: p.Version, Sealed: sealed}, err
}

func (b *Book) parcel(r Row) (Parcel, error) {
	p := Parcel{ID: r.ID, Doc: r.Doc, State: r.State, Created: r.Created, Expires: r.Expires, Size: r.Size, Version: r.Version}
	plain, err := b.keys.Open(ad(r.ID), r.Sealed)
	if err == nil {
		err = json.Unmarshal(plain, &p.Known)
	}
	if err != nil {
		return p, fmt.Errorf("pickup: open %s: %w", r.ID, ErrTampered)
	}
	return p, nil
}

// Get returns one parcel in any state, or ErrNotFound.
func (b *Book) Get(ctx context.Context, id dlp.ID) (Parcel, error) {
	if _, err := dlp.ParseID(string(id)); err != nil {
		return Parcel{}, ErrNotFound
	}
	r, err := b.store.Parcel(ctx, id)
	if err != nil {
		return Parcel{}, fmt.Errorf("pickup: get %s: %w", id, err)
	}
	return b.parcel(r)
}

// List returns the newest parcels first; ended ones too with all.
func (b *Book) List(ctx context.Context, all bool) ([]Parcel, error) {
	rows, err := b.store.Parcels(ctx, all)
	return b.list(rows, err)
}

// Over returns waiting parcels that expired at or before now.
func (b *Book) Over(ctx context.Context, now time.Time) ([]Parcel, error) {
	rows, err := b.store.ParcelsOver(ctx, now)
	return b.list(rows, err)
}

// Of returns the parcels of one document, in any state.
func (b *Book) Of(ctx context.Context, doc dlp.ID) ([]Parcel, error) {
	rows, err := b.store.ParcelsOf(ctx, doc)
	return b.list(rows, err)
}

func (b *Book) list(rows []Row, err error) ([]Parcel, error) {
	if err != nil {
		return nil, fmt.Errorf("pickup: list: %w", err)
	}
	out := make([]Parcel, 0, len(rows))
	for _, r := range rows {
		p, err := b.parcel(r)
		if err != nil { // it hides no other, and can be ended
			p.Known = Known{}
		}
		out = append(out, p)
	}
	return out, nil
}

// Content opens what is kept of the message, as it is sealed. ErrNotFound.
func (b *Book) Content(ctx context.Context, id dlp.ID) (io.ReadCloser, error) {
	inline, err := b.store.ParcelContent(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("pickup: content of %s: %w", id, err)
	}
	if inline != nil {
		return io.NopCloser(bytes.NewReader(inline)), nil
	}
	r, err := b.contents.Open(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("pickup: content of %s: %w", id, err)
	}
	return r, nil
}

// What bounds guessing: by all codes that may be asked for in a parcel's time,
// a hundred of a million are tried.
const (
	CodeLasts   = 15 * time.Minute
	MaxTries    = 5  // of one code
	MaxCodes    = 20 // of one parcel
	codesAtOnce = 5  // of one parcel within codesWithin
	codesWithin = time.Hour

	// MaxReplies bounds the answers to one parcel, each of which is a mail.
	MaxReplies = 20
)

// Errors of codes.
var (
	// ErrTooManyCodes says that no more codes are sent now, or for this parcel.
	ErrTooManyCodes = errors.New("pickup: too many codes were asked for")
	// ErrCode says that the code is not the one.
	ErrCode = errors.New("pickup: the code did not match")
	// ErrNoCode says that there is no code that is good: none was asked for, it
	// was used, its time is over or its tries are.
	ErrNoCode = errors.New("pickup: no code is good")
)

// MayAsk reports whether a code may be asked for now.
func MayAsk(p Parcel, now time.Time) bool {
	lately := 0
	for _, t := range p.Asked {
		if now.Sub(t) < codesWithin {
			lately++
		}
	}
	return lately < codesAtOnce && len(p.Asked) < MaxCodes
}

// NewCode gives p a new code, which takes the place of an earlier one, and
// returns it: six digits. ErrTooManyCodes.
func (b *Book) NewCode(p *Parcel, now time.Time) (string, error) {
	if !MayAsk(*p, now) {
		return "", ErrTooManyCodes
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("pickup: code: %w", err)
	}
	code := fmt.Sprintf("%06d", n)
	p.Asked = append(p.Asked, now)
	p.Code, p.CodeUntil, p.Tries = b.mac(p, code), now.Add(CodeLasts), 0
	return code, nil
}

// mac is what is kept of a code: a keyed digest, since six digits have no other
// hiding place.
func (b *Book) mac(p *Parcel, code string) []byte {
	sum := b.keys.MAC("pickup code", []byte(p.ID), []byte(code), fmt.Append(nil, len(p.Asked)))
	return sum[:]
}

// Try counts a try of code on p. nil: it was the one, and is used up. ErrCode,
// ErrNoCode. Whatever it says, it holds once the Update of p is committed.
func (b *Book) Try(p *Parcel, code string, now time.Time) error {
	if p.Code == nil || !now.Before(p.CodeUntil) || now.Before(p.CodeUntil.Add(-CodeLasts)) || p.Tries >= MaxTries {
		return ErrNoCode
	}
	p.Tries++
	if !hmac.Equal(p.Code, b.mac(p, code)) { // in constant time
		return ErrCode
	}
	p.Code, p.KeyTries = nil, 0
	if p.Opened.IsZero() {
		p.Opened = now
	}
	return nil
}
