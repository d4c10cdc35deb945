package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// kindContent is what sealed contents are bound to beside the message's ID.
const kindContent = "spool"

// Spool seals, lists and opens messages of the outbox. It holds no state of
// its own; all methods may be called at the same time.
type Spool struct {
	store    Store
	contents Contents
	keys     Keys
	sealer   Sealer
}

// New returns a Spool over its neighbours.
func New(s Store, c Contents, k Keys, w Sealer) *Spool {
	return &Spool{store: s, contents: c, keys: k, sealer: w}
}

// Seal streams content, sealed, to where it will stay and returns the Entry to
// be committed. A zero ID is filled in, an empty recipient state becomes
// RcptPending, an empty State Queued, a zero Next Created, a zero Expires
// Created plus Lifetime. After an error nothing is left behind.
func (s *Spool) Seal(ctx context.Context, m Message, content io.Reader) (Entry, error) {
	if m.ID == "" {
		m.ID = dlp.NewID()
	}
	if m.State == "" {
		m.State = Queued
	}
	if m.Next.IsZero() {
		m.Next = m.Created
	}
	if m.Expires.IsZero() {
		m.Expires = m.Created.Add(Lifetime)
	}
	sealed, err := s.sealState(m)
	if err != nil {
		return Entry{}, fmt.Errorf("spool: seal %s: %w", m.ID, err)
	}
	var size int64
	inline, err := s.contents.Put(ctx, m.ID, InlineMax, func(dst io.Writer) error {
		w, err := s.sealer.Seal(dst, kindContent, m.ID)
		if err != nil {
			return err
		}
		if size, err = io.Copy(w, content); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		return Entry{}, fmt.Errorf("spool: seal %s: %w", m.ID, err)
	}
	return Entry{
		ID: m.ID, Doc: m.Doc, Kind: m.Kind, Created: m.Created, Next: m.Next, Expires: m.Expires,
		State: m.State, Size: size, Seq: m.Seq, Dest: m.Dest, Sealed: sealed, Inline: inline,
	}, nil
}

// Discard removes what Seal staged for an Entry that was not committed. It
// must not be called for one that was.
func (s *Spool) Discard(ctx context.Context, e Entry) error {
	if e.Inline != nil || e.ID == "" {
		return nil
	}
	if err := s.contents.Remove(ctx, e.ID); err != nil {
		return fmt.Errorf("spool: discard %s: %w", e.ID, err)
	}
	return nil
}

// Progress returns the Update that journals where m and its recipients stand
// now, to be committed before the next recipient is tried.
func (s *Spool) Progress(m Message) (Update, error) {
	u := Update{ID: m.ID, State: m.State, Next: m.Next, Expires: m.Expires, Tries: m.Tries, Dest: m.Dest, Why: m.Why}
	if m.Damaged {
		return u, nil
	}
	var err error
	if u.Sealed, err = s.sealState(m); err != nil {
		return Update{}, fmt.Errorf("spool: progress %s: %w", m.ID, err)
	}
	return u, nil
}

// Due returns at most limit messages in state st whose time has come (see
// Message.IsDue), the longest waiting first; none that goes to one of except.
// One that does not open hides no other: it comes back Damaged.
func (s *Spool) Due(ctx context.Context, st State, now time.Time, limit int, except ...int64) ([]Message, error) {
	rows, err := s.store.QueueDue(ctx, DueFilter{State: st, Now: now, Horizon: now.Add(MaxBackoff), Except: except,
		Limit: min(max(limit, 0), MaxList)})
	if err != nil {
		return nil, fmt.Errorf("spool: due: %w", err)
	}
	ms := s.messages(rows)
	return slices.DeleteFunc(ms, func(m Message) bool { return !m.IsDue(now) }), nil
}

// NextDue returns when the next message in state st is due, false when there
// is none. A caller waits no longer than MaxBackoff, whatever it says.
func (s *Spool) NextDue(ctx context.Context, st State) (time.Time, bool, error) {
	t, ok, err := s.store.QueueNext(ctx, st)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("spool: next due: %w", err)
	}
	return t, ok, nil
}

// Size returns how many messages are in state st and how many bytes they have.
func (s *Spool) Size(ctx context.Context, st State) (n int, bytes int64, err error) {
	if n, bytes, err = s.store.QueueSize(ctx, st); err != nil {
		return 0, 0, fmt.Errorf("spool: size: %w", err)
	}
	return n, bytes, nil
}

// Of returns the messages that come of the document doc, ended ones too while
// they are kept.
func (s *Spool) Of(ctx context.Context, doc dlp.ID) ([]Message, error) {
	rows, err := s.store.QueueOf(ctx, doc)
	if err != nil {
		return nil, fmt.Errorf("spool: of %s: %w", doc, err)
	}
	return s.messages(rows), nil
}

// List returns messages in the order they were queued. One that does not open
// hides no other: it comes back Damaged.
func (s *Spool) List(ctx context.Context, f Filter) ([]Message, error) {
	rows, err := s.store.Queue(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("spool: list: %w", err)
	}
	return s.messages(rows), nil
}

// Get returns one message in any state, or ErrNotFound.
func (s *Spool) Get(ctx context.Context, id dlp.ID) (Message, error) {
	row, err := s.store.Queued(ctx, id)
	if err != nil {
		return Message{}, fmt.Errorf("spool: get %s: %w", id, err)
	}
	return s.message(row)
}

// Find is Get for who must see a message that does not open too: it comes back
// Damaged.
func (s *Spool) Find(ctx context.Context, id dlp.ID) (Message, error) {
	row, err := s.store.Queued(ctx, id)
	if err != nil {
		return Message{}, fmt.Errorf("spool: find %s: %w", id, err)
	}
	return s.messages([]Row{row})[0], nil
}

// Open returns the content of id as it is to be sent. The reader ends with
// io.EOF only if all of it is what was sealed. ErrNotFound, ErrNoContent.
func (s *Spool) Open(ctx context.Context, id dlp.ID) (io.ReadCloser, error) {
	inline, err := s.store.QueueContent(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("spool: open %s: %w", id, err)
	}
	src := io.NopCloser(bytes.NewReader(inline))
	if inline == nil {
		if src, err = s.contents.Open(ctx, id); err != nil {
			return nil, fmt.Errorf("spool: open %s: %w", id, err)
		}
	}
	r, err := s.sealer.Open(src, kindContent, id)
	if err != nil {
		return nil, fmt.Errorf("spool: open %s: %w", id, errors.Join(err, src.Close()))
	}
	return struct {
		io.Reader
		io.Closer
	}{r, src}, nil
}

func (s *Spool) sealState(m Message) ([]byte, error) {
	plain, err := encodeState(m)
	if err != nil {
		return nil, err
	}
	return s.keys.Seal(stateAD(m.ID), plain)
}

func (s *Spool) messages(rows []Row) []Message {
	ms := make([]Message, 0, len(rows))
	for _, r := range rows {
		m, err := s.message(r)
		if err != nil {
			m = plainMessage(r)
			m.Damaged = true
		}
		ms = append(ms, m)
	}
	return ms
}

// errKind says that a message is of a kind that a later version knows: what must not
// be done with it is not known here.
var errKind = errors.New("of a kind that this version does not know")

func (s *Spool) message(r Row) (Message, error) {
	if !slices.Contains(Kinds(), r.Kind) {
		return Message{}, fmt.Errorf("spool: read %s: %w", r.ID, errKind)
	}
	plain, err := s.keys.Open(stateAD(r.ID), r.Sealed)
	if err != nil {
		return Message{}, fmt.Errorf("spool: open state of %s: %w", r.ID, err)
	}
	m := plainMessage(r)
	if err := decodeState(plain, &m); err != nil {
		return Message{}, fmt.Errorf("spool: read state of %s: %w", r.ID, err)
	}
	return m, nil
}

// plainMessage is what a row says without any key.
func plainMessage(r Row) Message {
	return Message{
		ID: r.ID, Doc: r.Doc, Kind: r.Kind, Size: r.Size, Created: r.Created, Next: r.Next, Expires: r.Expires,
		Tries: r.Tries, State: r.State, Seq: r.Seq, Dest: r.Dest, Why: r.Why,
	}
}

func stateAD(id dlp.ID) string { return "spool state " + string(id) }
