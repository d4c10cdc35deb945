// Package vaulttest is what every store of the vault must pass.
//
// It promises that a store which passes Run keeps what vault.Store and
// vault.Contents say, over a reopening too.
package vaulttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Backend is one store under test.
type Backend struct {
	Store    vault.Store
	Contents vault.Contents
	Keys     vault.Keys
	Sealer   vault.Sealer

	// Commit makes all of it durable, or nothing. An error of a Transition
	// whose item is not in From wraps vault.ErrState.
	Commit func(ctx context.Context, hold []vault.Item, cases []vault.Record, decide []vault.Transition) error
	// Reopen ends the store and opens it again over the same data.
	Reopen func(t *testing.T) Backend
}

// Run runs the suite. open makes an empty store.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"held content comes back byte for byte, before and after a reopening", content},
		{"envelope and case come back as they were", envelope},
		{"a content that is not what was judged is not sealed", changed},
		{"a content that cannot be read leaves nothing", unreadable},
		{"discarded items leave no content", discard},
		{"lists come in order, in pages, held ones only unless all", list},
		{"items are found by what is known of them, in the state they are in", found},
		{"a transition happens once", transition},
		{"a change happens wholly or not at all", atomic},
		{"an expired item has no content and keeps its case", expired},
		{"an item that is not there is not found", missing},
		{"one document is not held twice", twice},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Sizes that matter: nothing, one byte, either side of a sealed chunk, either
// side of what is kept in the database.
var sizes = []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, vault.InlineMax - 4096, vault.InlineMax, 3 * vault.InlineMax}

func (b Backend) vault() *vault.Vault { return vault.New(b.Store, b.Contents, b.Keys, b.Sealer) }

// Document returns a mail document of n random bytes.
func Document(n int) (*dlp.Document, []byte) {
	body := make([]byte, n)
	seed := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	seed.Read(body) // never fails
	return &dlp.Document{
		ID: dlp.NewID(), Channel: dlp.Mail, Size: int64(n), Received: time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.UTC),
		Sender: dlp.Address{Local: "ward 3", Domain: "clinic.example"},
		Rcpts:  []dlp.Address{{Local: "records", Domain: "partner.example"}},
		Open:   dlp.OpenBytes(body),
	}, body
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// CaseOf returns a full case of doc.
func CaseOf(doc *dlp.Document, body []byte) vault.Case {
	at := doc.Received.Add(time.Second)
	return vault.Case{
		Envelope: vault.Envelope{
			Sender: doc.Sender, Rcpts: doc.Rcpts, AllRcpts: append(slices.Clone(doc.Rcpts), dlp.Address{Local: "caf\xe9", Domain: "other.example"}),
			Params: dlp.MailParams{Body: "8BITMIME", UTF8: true, Ret: "HDRS", EnvID: "q 7+"}, RcptParams: []dlp.RcptParams{{Notify: "NEVER", ORcpt: "rfc822;r=x"}},
			Trace: []byte("Received: from a.example\r\n"),
		},
		Channel: doc.Channel, Decided: at, SHA256: sha256.Sum256(body), Size: int64(len(body)),
		Verdict: dlp.Verdict{
			Rcpts: []dlp.RcptVerdict{{
				Rcpt: doc.Rcpts[0], Action: dlp.Hold, Policy: "phi-leaves", Policies: []string{"phi-leaves", "late"},
				Rules: []dlp.RuleID{"us-ssn"}, Causes: []dlp.Cause{dlp.Encrypted}, Reason: dlp.ReasonGap, Notify: []string{"sender"},
				Monitored: dlp.Reject, MonitoredPolicy: "trial", MonitoredRules: []dlp.RuleID{"us-dea"},
			}},
			RuleSet: "4f1c", Policy: "99aa", Reader: "1",
		},
		Findings: []dlp.Finding{{
			Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{dlp.TagIdentifier}, Path: "2.1", Start: 104, End: 115, Line: 3,
			Confidence: dlp.High, Severity: dlp.SeverityMedium, ValueKey: dlp.ValueKey{1, 2, 3}, Group: 7,
		}},
		Gaps:          []dlp.Gap{{Path: "3/1", Name: "x.zip", Cause: dlp.Encrypted, Detail: "zip AES-256", Inline: true, Size: 99}},
		FindingsTotal: 1, GapsTotal: 1,
		Shown: vault.Shown{Parts: []vault.ShownPart{{Path: "2.1", MediaType: "text/plain", Ending: ".txt"}},
			Findings: []vault.ShownFinding{{Rule: "us-ssn", Part: "2.1", Start: 104, End: 115, Masked: "***-**-8145", Before: "**** SSN", After: "**",
				Steps: []vault.ShownStep{{Step: "evidence", Outcome: "raises", Why: "near"}}}}},
	}
}

func (b Backend) hold(t *testing.T, n int) (*dlp.Document, []byte) {
	t.Helper()
	doc, body := Document(n)
	item, err := b.vault().Seal(t.Context(), doc, CaseOf(doc, body))
	if err != nil {
		t.Fatalf("Seal(%d bytes): %v", n, err)
	}
	if err := b.Commit(t.Context(), []vault.Item{item}, nil, nil); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return doc, body
}

func (b Backend) move(t *testing.T, id dlp.ID, from, to vault.State) error {
	t.Helper()
	tr, err := b.vault().Transition(id, from, to, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), "officer", "known partner")
	if err != nil {
		t.Fatalf("Transition: %v", err)
	}
	return b.Commit(t.Context(), nil, nil, []vault.Transition{tr})
}

func (b Backend) read(t *testing.T, id dlp.ID) ([]byte, error) {
	t.Helper()
	r, err := b.vault().Open(t.Context(), id, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read from
	return io.ReadAll(r)
}

func content(t *testing.T, b Backend) {
	docs := make(map[dlp.ID][]byte)
	for _, n := range sizes {
		doc, body := b.hold(t, n)
		docs[doc.ID] = body
	}
	for range 2 {
		for id, want := range docs {
			got, err := b.read(t, id)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("content of %d bytes: got %d bytes, err %v", len(want), len(got), err)
			}
		}
		b = b.Reopen(t)
	}
}

func envelope(t *testing.T, b Backend) {
	doc, body := b.hold(t, 100)
	b = b.Reopen(t)
	want := CaseOf(doc, body)
	e, err := b.vault().Get(t.Context(), doc.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	row, err := b.Store.Hold(t.Context(), doc.ID)
	if err != nil {
		t.Fatalf("Hold: %v", err)
	}
	if row.Period == "" {
		t.Error("the store does not know whose key the content is sealed to")
	}
	if e.Version == "" {
		t.Error("the entry does not say which version of it this is")
	}
	wantEntry := vault.Entry{Period: row.Period, Version: e.Version,
		ID: doc.ID, Channel: dlp.Mail, State: vault.Held, Received: doc.Received, Policy: "phi-leaves",
		Rules: []dlp.RuleID{"us-ssn"}, Causes: []dlp.Cause{dlp.Encrypted}, Confidence: "high", Size: 100, SHA256: sha256.Sum256(body), Envelope: want.Envelope,
	}
	if !reflect.DeepEqual(e, wantEntry) {
		t.Errorf("entry:\ngot  %+v\nwant %+v", e, wantEntry)
	}
	c, err := b.vault().Case(t.Context(), doc.ID, nil)
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("case, err %v:\ngot  %+v\nwant %+v", err, c, want)
	}
}

func changed(t *testing.T, b Backend) {
	for _, n := range []int{10, 2 * vault.InlineMax} {
		doc, body := Document(n)
		c := CaseOf(doc, body)
		c.SHA256[0] ^= 1
		if _, err := b.vault().Seal(t.Context(), doc, c); !errors.Is(err, vault.ErrChanged) {
			t.Errorf("Seal of %d changed bytes: got %v, want ErrChanged", n, err)
		}
		if _, err := b.Contents.Open(t.Context(), doc.ID); err == nil {
			t.Errorf("%d changed bytes: a content was left behind", n)
		}
	}
}

func unreadable(t *testing.T, b Backend) {
	doc, body := Document(2 * vault.InlineMax)
	broken := errors.New("broken")
	doc.Open = func() (io.ReadSeekCloser, error) {
		return breaks{nopCloser{bytes.NewReader(body)}, vault.InlineMax + 100, broken}, nil
	}
	if _, err := b.vault().Seal(t.Context(), doc, CaseOf(doc, body)); !errors.Is(err, broken) {
		t.Errorf("Seal: got %v, want the reader's error", err)
	}
	if _, err := b.Contents.Open(t.Context(), doc.ID); err == nil {
		t.Error("a content was left behind")
	}
}

// breaks fails past a position. It hides what else its reader can do.
type breaks struct {
	io.ReadSeekCloser
	at  int64
	err error
}

// Read reads up to the position.
func (r breaks) Read(p []byte) (int, error) {
	if pos, err := r.Seek(0, io.SeekCurrent); err != nil || pos >= r.at {
		return 0, r.err
	}
	return r.ReadSeekCloser.Read(p)
}

func discard(t *testing.T, b Backend) {
	for _, n := range []int{10, 2 * vault.InlineMax} {
		doc, body := Document(n)
		item, err := b.vault().Seal(t.Context(), doc, CaseOf(doc, body))
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		if err := b.vault().Discard(t.Context(), item); err != nil {
			t.Errorf("Discard: %v", err)
		}
		if _, err := b.Contents.Open(t.Context(), doc.ID); err == nil {
			t.Errorf("%d bytes: a content was left behind", n)
		}
	}
}

func list(t *testing.T, b Backend) {
	var want []dlp.ID
	for range 7 {
		doc, _ := b.hold(t, 10)
		want = append(want, doc.ID)
	}
	if err := b.move(t, want[3], vault.Held, vault.Rejected); err != nil {
		t.Fatalf("move: %v", err)
	}
	held := slices.Delete(slices.Clone(want), 3, 4)
	newest := slices.Clone(held)
	slices.Reverse(newest)
	for _, c := range []struct {
		name string
		f    vault.Filter
		want []dlp.ID
	}{
		{"held", vault.Filter{}, held},
		{"all", vault.Filter{All: true}, want},
		{"first page", vault.Filter{Limit: 2}, held[:2]},
		{"next page", vault.Filter{Limit: 3, After: held[1]}, held[2:5]},
		{"past the end", vault.Filter{After: want[6]}, nil},
		{"after one that has moved", vault.Filter{After: want[3]}, want[4:]},
		{"newest first", vault.Filter{Newest: true, Limit: 2}, newest[:2]},
		{"newest first, next page", vault.Filter{Newest: true, After: newest[1]}, newest[2:]},
		{"all, newest first, past the end", vault.Filter{Newest: true, All: true, After: want[0]}, nil},
		{"of one state", vault.Filter{State: vault.Held, All: true}, held},
		{"of another state, newest first", vault.Filter{State: vault.Rejected, Newest: true}, want[3:4]},
	} {
		es, err := b.vault().List(t.Context(), c.f)
		var got []dlp.ID
		for _, e := range es {
			got = append(got, e.ID)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if _, err := b.vault().List(t.Context(), vault.Filter{After: dlp.NewID()}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("after an unknown id: got %v, want ErrNotFound", err)
	}
}

func found(t *testing.T, b Backend) {
	doc, _ := b.hold(t, 20)
	other, _ := b.hold(t, 30)
	if err := b.move(t, other.ID, vault.Held, vault.Rejected); err != nil {
		t.Fatalf("move: %v", err)
	}
	b = b.Reopen(t)
	for _, c := range []struct {
		q    vault.Query
		want []dlp.ID
	}{
		{vault.Query{}, []dlp.ID{other.ID, doc.ID}},
		{vault.Query{After: other.ID}, []dlp.ID{doc.ID}},
		{vault.Query{State: vault.Held, All: [][]vault.Field{{{Kind: vault.ByTo, Value: "partner.example"}}, {{Kind: vault.ByRule, Value: "x"}, {Kind: vault.ByRule, Value: "us-ssn"}}}}, []dlp.ID{doc.ID}},
		{vault.Query{State: vault.Rejected, All: [][]vault.Field{{{Kind: vault.BySender, Value: doc.Sender.String()}}}}, []dlp.ID{other.ID}},
		{vault.Query{All: [][]vault.Field{{{Kind: vault.ByCause, Value: "encrypted"}}, {{Kind: vault.ByFrom, Value: "clinic.example"}}, {{Kind: vault.ByConfidence, Value: "high"}}, {{Kind: vault.ByChannel, Value: "mail"}}}}, []dlp.ID{other.ID, doc.ID}},
		{vault.Query{All: [][]vault.Field{{{Kind: vault.ByWord, Value: "phi"}}, {{Kind: vault.ByWord, Value: "partner"}}}}, []dlp.ID{other.ID, doc.ID}},
		{vault.Query{All: [][]vault.Field{{{Kind: vault.ByWord, Value: "ward"}}}}, nil},        // whose address it is
		{vault.Query{All: [][]vault.Field{{{Kind: vault.ByTo, Value: "other.example"}}}}, nil}, // it is not held for them
		{vault.Query{IDs: []dlp.ID{doc.ID}, State: vault.Rejected}, nil},
		{vault.Query{Since: doc.Received.Add(time.Second)}, nil},
	} {
		es, next, err := b.vault().Find(t.Context(), c.q)
		var got []dlp.ID
		for _, e := range es {
			got = append(got, e.ID)
		}
		if err != nil || next != "" || !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, on from %q, %v; want %v", c.q, got, next, err, c.want)
		}
	}
	if _, _, err := b.vault().Find(t.Context(), vault.Query{After: dlp.NewID()}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("behind what is not there: %v, want ErrNotFound", err)
	}
	if n, err := b.vault().IndexSome(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("%d without terms, %v; want none", n, err)
	}
}

func transition(t *testing.T, b Backend) {
	doc, _ := b.hold(t, 10)
	if err := b.move(t, doc.ID, vault.Held, vault.Released); err != nil {
		t.Fatalf("first: %v", err)
	}
	if err := b.move(t, doc.ID, vault.Held, vault.Rejected); !errors.Is(err, vault.ErrState) {
		t.Errorf("second: got %v, want ErrState", err)
	}
	e, err := b.vault().Get(t.Context(), doc.ID)
	if err != nil || e.State != vault.Released || e.DecidedBy != "officer" || e.Reason != "known partner" || e.Decided.IsZero() {
		t.Errorf("entry: got %+v, %v", e, err)
	}
	if _, err := b.vault().Transition(doc.ID, vault.Released, vault.Held, time.Time{}, "", ""); !errors.Is(err, vault.ErrState) {
		t.Errorf("back to held: got %v, want ErrState", err)
	}
}

func atomic(t *testing.T, b Backend) {
	gone, _ := b.hold(t, 10)
	if err := b.move(t, gone.ID, vault.Held, vault.Rejected); err != nil {
		t.Fatalf("move: %v", err)
	}
	doc, body := Document(10)
	item, err := b.vault().Seal(t.Context(), doc, CaseOf(doc, body))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	other, _ := Document(0)
	rec, err := b.vault().SealCase(t.Context(), other.ID, CaseOf(other, nil))
	if err != nil {
		t.Fatalf("SealCase: %v", err)
	}
	tr, err := b.vault().Transition(gone.ID, vault.Held, vault.Released, doc.Received, "officer", "")
	if err != nil {
		t.Fatalf("Transition: %v", err)
	}
	err = b.Commit(t.Context(), []vault.Item{item}, []vault.Record{rec}, []vault.Transition{tr})
	if !errors.Is(err, vault.ErrState) {
		t.Errorf("Commit: got %v, want ErrState", err)
	}
	if _, err := b.vault().Get(t.Context(), doc.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the item: got %v, want ErrNotFound", err)
	}
	if _, err := b.vault().Case(t.Context(), other.ID, nil); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the case: got %v, want ErrNotFound", err)
	}
}

func expired(t *testing.T, b Backend) {
	for _, n := range []int{10, 2 * vault.InlineMax} {
		doc, _ := b.hold(t, n)
		if err := b.move(t, doc.ID, vault.Held, vault.Expired); err != nil {
			t.Fatalf("move: %v", err)
		}
		b = b.Reopen(t)
		if _, err := b.read(t, doc.ID); !errors.Is(err, vault.ErrNoContent) {
			t.Errorf("content of %d bytes: got %v, want ErrNoContent", n, err)
		}
		if _, err := b.Contents.Open(t.Context(), doc.ID); err == nil {
			t.Errorf("content of %d bytes: still kept", n)
		}
		if _, err := b.vault().Case(t.Context(), doc.ID, nil); err != nil {
			t.Errorf("case: %v", err)
		}
	}
}

func missing(t *testing.T, b Backend) {
	id := dlp.NewID()
	_, err1 := b.vault().Get(t.Context(), id)
	_, err2 := b.vault().Open(t.Context(), id, nil)
	_, err3 := b.vault().Case(t.Context(), id, nil)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	if err := b.move(t, id, vault.Held, vault.Released); !errors.Is(err, vault.ErrState) {
		t.Errorf("move: got %v, want ErrState", err)
	}
}

func twice(t *testing.T, b Backend) {
	doc, body := b.hold(t, 10)
	item, err := b.vault().Seal(t.Context(), doc, CaseOf(doc, body))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if err := b.Commit(t.Context(), []vault.Item{item}, nil, nil); err == nil {
		t.Error("a second hold of one id: got nil, want an error")
	}
	if got, err := b.read(t, doc.ID); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the first: got %d bytes, %v", len(got), err)
	}
}
