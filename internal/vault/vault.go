package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/chunk"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Kinds that sealed streams are bound to beside the document's ID.
const (
	KindContent = "vault"
	KindCase    = "case"
)

// maxCase bounds the plaintext of one sealed case, in bytes.
const maxCase = 32 << 20

// Vault seals, lists and opens. It holds no state of its own; all methods may
// be called at the same time.
type Vault struct {
	store    Store
	contents Contents
	keys     Keys
	sealer   Sealer
}

// New returns a Vault over its neighbours.
func New(s Store, c Contents, k Keys, r Sealer) *Vault {
	return &Vault{store: s, contents: c, keys: k, sealer: r}
}

// Seal streams doc.Open, sealed, to where it will stay and returns the Item to
// be committed. ErrChanged: the bytes are not those of c.SHA256. After an
// error nothing is left behind.
func (v *Vault) Seal(ctx context.Context, doc *dlp.Document, c Case) (Item, error) {
	staged, sum, size, err := v.sealContent(ctx, doc)
	if err != nil {
		return Item{}, fmt.Errorf("vault: seal %s: %w", doc.ID, err)
	}
	item, err := v.finish(doc, c, sum, size)
	if err != nil {
		if staged.inline == nil {
			err = errors.Join(err, v.contents.Remove(context.WithoutCancel(ctx), doc.ID))
		}
		return Item{}, fmt.Errorf("vault: seal %s: %w", doc.ID, err)
	}
	item.Inline, item.Period = staged.inline, staged.period
	return item, nil
}

// staged is where a content was sealed to.
type staged struct {
	inline []byte // nil where Contents has it
	period dlp.ID
}

func (v *Vault) sealContent(ctx context.Context, doc *dlp.Document) (to staged, sum [32]byte, size int64, err error) {
	src, err := doc.Open()
	if err != nil {
		return to, sum, 0, fmt.Errorf("open: %w", err)
	}
	defer src.Close() // only read from
	digest := sha256.New()
	to.inline, err = v.contents.Put(ctx, doc.ID, InlineMax, func(dst io.Writer) error {
		w, period, err := v.sealer.Seal(dst, KindContent, doc.ID)
		if err != nil {
			return err
		}
		to.period = period
		if size, err = copyDigesting(w, digest, src); err != nil {
			return err
		}
		return w.Close()
	})
	return to, [32]byte(digest.Sum(nil)), size, err
}

// copyChunk is how much is sealed and digested at a time, in bytes.
const copyChunk = 256 << 10

// copyDigesting copies src to dst and digests it. Each piece is digested while it
// is sealed: either takes about as long as writing it.
func copyDigesting(dst io.Writer, digest hash.Hash, src io.Reader) (size int64, err error) {
	buf := make([]byte, copyChunk)
	pieces, done := make(chan []byte), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range pieces {
			digest.Write(p)
			done <- struct{}{}
		}
	})
	defer wg.Wait()
	defer close(pieces)
	for {
		n, ended, err := chunk.Read(buf, src)
		if n > 0 {
			pieces <- buf[:n]
			_, wrote := dst.Write(buf[:n])
			<-done
			if size += int64(n); wrote != nil {
				return size, wrote
			}
		}
		if ended || err != nil {
			return size, err
		}
	}
}

func (v *Vault) finish(doc *dlp.Document, c Case, sum [32]byte, size int64) (Item, error) {
	if c.SHA256 != [32]byte{} && c.SHA256 != sum {
		return Item{}, ErrChanged
	}
	c.SHA256, c.Size, c.Channel = sum, size, doc.Channel
	rec, err := v.record(doc.ID, c)
	if err != nil {
		return Item{}, err
	}
	worst, ok := c.Verdict.Of(dlp.Hold) // what is refused for others, or goes to them, is not what it waits for
	if !ok {
		worst = c.Verdict.Strictest()
	}
	l := listed{worst.Causes, highest(c.Findings)}
	plain, err := encodeEnvelope(c.Envelope, sum, l)
	if err != nil {
		return Item{}, err
	}
	sealed, err := v.keys.Seal(envelopeAD(doc.ID), plain)
	if err != nil {
		return Item{}, err
	}
	e := Entry{Channel: doc.Channel, Policy: worst.Policy, Rules: worst.Rules, Causes: l.causes, Confidence: l.confidence, Envelope: c.Envelope}
	return Item{
		ID: doc.ID, Channel: doc.Channel, Received: doc.Received,
		Policy: worst.Policy, Rules: worst.Rules, Size: size,
		Sealed: sealed, Case: rec, Terms: v.termsOf(&e),
	}, nil
}

// SealCase seals a case of a document whose content is not kept.
func (v *Vault) SealCase(ctx context.Context, id dlp.ID, c Case) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("vault: seal case %s: %w", id, err)
	}
	rec, err := v.record(id, c)
	if err != nil {
		return Record{}, fmt.Errorf("vault: seal case %s: %w", id, err)
	}
	return rec, nil
}

// highest is the word for the highest confidence of found, "" for none.
func highest(found []dlp.Finding) string {
	if len(found) == 0 {
		return ""
	}
	var c dlp.Confidence
	for i := range found {
		c = max(c, found[i].Confidence)
	}
	return c.String()
}

func (v *Vault) record(id dlp.ID, c Case) (Record, error) {
	plain, err := encodeCase(c)
	if err != nil {
		return Record{}, err
	}
	var out bytes.Buffer
	w, period, err := v.sealer.Seal(&out, KindCase, id)
	if err != nil {
		return Record{}, err
	}
	if _, err := w.Write(plain); err != nil {
		return Record{}, err
	}
	if err := w.Close(); err != nil {
		return Record{}, err
	}
	return Record{ID: id, Channel: c.Channel, Decided: c.Decided, Sealed: out.Bytes(), Period: period}, nil
}

// Discard removes what Seal staged for an Item that was not committed. It must
// not be called for one that was.
func (v *Vault) Discard(ctx context.Context, it Item) error {
	if it.Inline != nil || it.ID == "" {
		return nil
	}
	if err := v.contents.Remove(ctx, it.ID); err != nil {
		return fmt.Errorf("vault: discard %s: %w", it.ID, err)
	}
	return nil
}

// Transition returns the move of one item, to be committed. who names the
// actor and why the reason; both are sealed. ErrState: no item ever moves so.
func (v *Vault) Transition(id dlp.ID, from, to State, at time.Time, who, why string) (Transition, error) {
	if !movable(from, to) {
		return Transition{}, fmt.Errorf("vault: move %s from %s to %s: %w", id, from, to, ErrState)
	}
	plain, err := encodeNote(who, why)
	if err != nil {
		return Transition{}, fmt.Errorf("vault: move %s: %w", id, err)
	}
	note, err := v.keys.Seal(noteAD(id), plain)
	if err != nil {
		return Transition{}, fmt.Errorf("vault: move %s: %w", id, err)
	}
	return Transition{ID: id, From: from, To: to, At: at, Note: note}, nil
}

// LegalNote is what a note about a legal hold is of.
type LegalNote string

// The notes; each is sealed as what it is of.
const (
	PlacedNote LegalNote = "legal hold"
	LiftedNote LegalNote = "lifted legal hold"
)

// SealNote seals who has something kept, or no longer, and why, under the item's id.
func (v *Vault) SealNote(id dlp.ID, of LegalNote, who, why string) ([]byte, error) {
	plain, err := encodeNote(who, why)
	if err != nil {
		return nil, fmt.Errorf("vault: note on %s: %w", id, err)
	}
	note, err := v.keys.Seal(of.ad(id), plain)
	if err != nil {
		return nil, fmt.Errorf("vault: note on %s: %w", id, err)
	}
	return note, nil
}

// OpenNote opens what SealNote sealed.
func (v *Vault) OpenNote(id dlp.ID, of LegalNote, note []byte) (who, why string, err error) {
	plain, err := v.keys.Open(of.ad(id), note)
	if err != nil {
		return "", "", fmt.Errorf("vault: note on %s: %w", id, err)
	}
	in, err := decodeNote(plain)
	return in.By, in.Why, err
}

// movable says which moves exist: what is held ends one way, and whatever is
// not expired can expire.
func movable(from, to State) bool {
	switch to {
	case Released, Rejected:
		return from == Held
	case Expired:
		return from == Held || from == Released || from == Rejected
	}
	return false
}

// List returns entries in the order they came into the vault, or the other way
// around as f says. An entry that
// does not open hides no other: it comes back Damaged.
func (v *Vault) List(ctx context.Context, f Filter) ([]Entry, error) {
	rows, err := v.store.Holds(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("vault: list: %w", err)
	}
	return v.entries(rows), nil
}

func (v *Vault) entries(rows []Row) []Entry {
	entries := make([]Entry, 0, len(rows))
	for _, r := range rows {
		e, err := v.entry(r)
		if err != nil {
			e = plainEntry(r)
			e.Damaged = true
		}
		entries = append(entries, e)
	}
	return entries
}

// Get returns one entry, or ErrNotFound.
func (v *Vault) Get(ctx context.Context, id dlp.ID) (Entry, error) {
	row, err := v.store.Hold(ctx, id)
	if err != nil {
		return Entry{}, fmt.Errorf("vault: get %s: %w", id, err)
	}
	e, err := v.entry(row)
	if err != nil {
		return Entry{}, fmt.Errorf("vault: get %s: %w", id, err)
	}
	return e, nil
}

func (v *Vault) entry(r Row) (Entry, error) {
	plain, err := v.keys.Open(envelopeAD(r.ID), r.Sealed)
	if err != nil {
		return Entry{}, fmt.Errorf("envelope: %w", err)
	}
	env, sum, l, err := decodeEnvelope(plain)
	if err != nil {
		return Entry{}, fmt.Errorf("envelope: %w", err)
	}
	e := plainEntry(r)
	e.Envelope, e.SHA256, e.Causes, e.Confidence = env, sum, l.causes, l.confidence
	if r.Note == nil {
		return e, nil
	}
	plain, err = v.keys.Open(noteAD(r.ID), r.Note)
	if err != nil {
		return Entry{}, fmt.Errorf("note: %w", err)
	}
	note, err := decodeNote(plain)
	if e.State == Held {
		e.Proposal = proposalIn(note.Proposal)
	} else {
		e.DecidedBy, e.Reason = note.By, note.Why
	}
	return e, err
}

// plainEntry is what a row says without any key.
func plainEntry(r Row) Entry {
	return Entry{
		ID: r.ID, Channel: r.Channel, State: r.State, Received: r.Received, Policy: r.Policy, Rules: r.Rules,
		Size: r.Size, Decided: r.Decided, Period: r.Period, Version: versionOf(r),
	}
}

// versionOf tells amendments of a row apart: what one changes is sealed anew, under
// another nonce.
func versionOf(r Row) string {
	h := sha256.New()
	h.Write(r.Sealed)
	h.Write([]byte{0})
	h.Write(r.Note)
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Case opens the case of id, or returns ErrNotFound. key is the case's own, nil
// for the server's. Reading it is an act that the caller records. ErrLocked,
// ErrNoContent.
func (v *Vault) Case(ctx context.Context, id dlp.ID, key []byte) (Case, error) {
	rec, err := v.store.CaseRecord(ctx, id)
	if err != nil {
		return Case{}, fmt.Errorf("vault: case %s: %w", id, err)
	}
	r, err := v.sealer.Open(bytes.NewReader(rec.Sealed), rec.Period, KindCase, id, key)
	if err != nil {
		return Case{}, fmt.Errorf("vault: case %s: %w", id, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxCase))
	if err != nil {
		return Case{}, fmt.Errorf("vault: case %s: %w", id, err)
	}
	c, err := decodeCase(plain)
	if err != nil {
		return Case{}, fmt.Errorf("vault: case %s: %w", id, err)
	}
	return c, nil
}

// Open returns the content of id as it came. The reader ends with io.EOF only
// if all of it is what was sealed, and with ErrTampered or the sealer's own
// error otherwise. key is the content's own, nil for the server's. ErrNotFound,
// ErrNoContent, ErrLocked.
func (v *Vault) Open(ctx context.Context, id dlp.ID, key []byte) (io.ReadCloser, error) {
	e, err := v.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	src, err := v.sealed(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := v.sealer.Open(src, e.Period, KindContent, id, key)
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", id, errors.Join(err, src.Close()))
	}
	return &reader{id: id, src: src, r: r, digest: sha256.New(), want: e.SHA256, left: e.Size}, nil
}

// sealed returns the content of id as it is kept.
func (v *Vault) sealed(ctx context.Context, id dlp.ID) (io.ReadCloser, error) {
	inline, err := v.store.HoldContent(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", id, err)
	}
	if inline != nil {
		return io.NopCloser(bytes.NewReader(inline)), nil
	}
	src, err := v.contents.Open(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", id, err)
	}
	return src, nil
}

// Locks returns what a reviewer needs to open content and case of id; of a
// content that is gone the Lock is zero. ErrNotFound, ErrNoContent of the case.
func (v *Vault) Locks(ctx context.Context, id dlp.ID) (l Locks, err error) {
	row, err := v.store.Hold(ctx, id)
	if err != nil {
		return l, fmt.Errorf("vault: locks of %s: %w", id, err)
	}
	rec, err := v.store.CaseRecord(ctx, id)
	if err != nil {
		return l, fmt.Errorf("vault: locks of %s: %w", id, err)
	}
	if l.Case, err = v.sealer.Lock(bytes.NewReader(rec.Sealed), rec.Period); err != nil {
		return l, fmt.Errorf("vault: lock of case %s: %w", id, err)
	}
	src, err := v.sealed(ctx, id)
	if errors.Is(err, ErrNoContent) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer src.Close() // only read from
	l.Content, err = v.sealer.Lock(src, row.Period)
	if err != nil && !errors.Is(err, ErrNoContent) {
		return l, fmt.Errorf("vault: lock of %s: %w", id, err)
	}
	return l, nil
}

// reader passes a content on and verifies length and digest at its end.
type reader struct {
	id     dlp.ID
	src    io.Closer
	r      io.Reader
	digest hash.Hash
	want   [32]byte
	left   int64
}

// Read reads the content; its error at the end says whether it was whole.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.digest.Write(p[:n])
	r.left -= int64(n)
	switch {
	case r.left < 0:
		return 0, fmt.Errorf("vault: read %s: %w", r.id, ErrTampered)
	case errors.Is(err, io.EOF):
		if r.left != 0 || [32]byte(r.digest.Sum(nil)) != r.want {
			return n, fmt.Errorf("vault: read %s: %w", r.id, ErrTampered)
		}
		return n, io.EOF
	case err != nil:
		return n, fmt.Errorf("vault: read %s: %w", r.id, err)
	}
	return n, nil
}

// Close frees the content's file.
func (r *reader) Close() error { return r.src.Close() }

func envelopeAD(id dlp.ID) string { return "vault envelope " + string(id) }
func noteAD(id dlp.ID) string     { return "vault note " + string(id) }

func (n LegalNote) ad(id dlp.ID) string { return string(n) + " " + string(id) }
