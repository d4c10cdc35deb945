// Package spooltest is what every store of the outbox must pass.
//
// It promises that a store which passes Run keeps what spool.Store and
// spool.Contents say, over a reopening too.
package spooltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// Backend is one store under test.
type Backend struct {
	Store    spool.Store
	Contents spool.Contents
	Keys     spool.Keys
	Sealer   spool.Sealer

	// Commit makes all of it durable, or nothing. An error of an Update whose
	// message is not queued wraps spool.ErrState.
	Commit func(ctx context.Context, out []spool.Entry, progress []spool.Update) error
	// Reopen ends the store and opens it again over the same data.
	Reopen func(t *testing.T) Backend
}

// Run runs the suite. open makes an empty store.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"a message comes back as it was, before and after a reopening", roundTrip},
		{"a content that cannot be read leaves nothing", unreadable},
		{"discarded entries leave no content", discard},
		{"due ones come oldest first, and no others", due},
		{"each state has its own line, and destinations can be left out", lines},
		{"past a backlog for one destination the others are found", elsewhere},
		{"what has not ended is kept and can come back", notEnded},
		{"what comes of a document is found by it", ofDocument},
		{"a clock put back delays nothing without bound", clock},
		{"progress is kept for each recipient", progress},
		{"an ended message has no content and changes no more", ended},
		{"a change happens wholly or not at all", atomic},
		{"lists come in order and in pages", list},
		{"a message that is not there is not found", missing},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func (b Backend) spool() *spool.Spool { return spool.New(b.Store, b.Contents, b.Keys, b.Sealer) }

// start is when every message of the suite was made.
var start = time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.UTC)

// Message returns a full message that is due after wait.
func Message(wait time.Duration) spool.Message {
	return spool.Message{
		ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Release, From: dlp.Address{Local: "ward 3", Domain: "clinic.example"},
		Params: dlp.MailParams{Body: "BINARYMIME", UTF8: true, Ret: "FULL", EnvID: "q 7+"},
		Rcpts: []spool.Rcpt{
			{Addr: dlp.Address{Local: "records", Domain: "partner.example"}, State: spool.RcptPending,
				Params: dlp.RcptParams{Notify: "SUCCESS,DELAY", ORcpt: "rfc822;caf\xe9"}},
			{Addr: dlp.Address{Local: "caf\xe9", Domain: "other.example"}, State: spool.RcptPending},
		},
		Created: start, Next: start.Add(wait), Expires: start.Add(spool.Lifetime), State: spool.Queued, Seq: 1<<63 + 5, DelayTold: true,
	}
}

func (b Backend) queue(t *testing.T, m spool.Message, body string) spool.Message {
	t.Helper()
	e, err := b.spool().Seal(t.Context(), m, strings.NewReader(body))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if err := b.Commit(t.Context(), []spool.Entry{e}, nil); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	m.Size = int64(len(body))
	return m
}

func (b Backend) progress(t *testing.T, m spool.Message) error {
	t.Helper()
	u, err := b.spool().Progress(m)
	if err != nil {
		t.Fatalf("Progress: %v", err)
	}
	return b.Commit(t.Context(), nil, []spool.Update{u})
}

func (b Backend) read(t *testing.T, id dlp.ID) (string, error) {
	t.Helper()
	r, err := b.spool().Open(t.Context(), id)
	if err != nil {
		return "", err
	}
	defer r.Close() // only read from
	got, err := io.ReadAll(r)
	return string(got), err
}

func roundTrip(t *testing.T, b Backend) {
	want := make(map[dlp.ID]string)
	messages := make(map[dlp.ID]spool.Message)
	for _, n := range []int{0, 1, spool.InlineMax, 3 * spool.InlineMax} {
		body := strings.Repeat("x", n)
		m := b.queue(t, Message(0), body)
		want[m.ID], messages[m.ID] = body, m
	}
	for range 2 {
		for id, body := range want {
			got, err := b.read(t, id)
			if err != nil || got != body {
				t.Errorf("content of %d bytes: got %d, %v", len(body), len(got), err)
			}
			m, err := b.spool().Get(t.Context(), id)
			if err != nil || !reflect.DeepEqual(m, messages[id]) {
				t.Errorf("message, err %v:\ngot  %+v\nwant %+v", err, m, messages[id])
			}
		}
		b = b.Reopen(t)
	}
}

func unreadable(t *testing.T, b Backend) {
	broken := errors.New("broken")
	m := Message(0)
	src := io.MultiReader(bytes.NewReader(make([]byte, 2*spool.InlineMax)), errReader{broken})
	if _, err := b.spool().Seal(t.Context(), m, src); !errors.Is(err, broken) {
		t.Errorf("Seal: got %v, want the reader's error", err)
	}
	if _, err := b.Contents.Open(t.Context(), m.ID); err == nil {
		t.Error("a content was left behind")
	}
}

type errReader struct{ err error }

// Read fails.
func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func discard(t *testing.T, b Backend) {
	for _, n := range []int{10, 2 * spool.InlineMax} {
		m := Message(0)
		e, err := b.spool().Seal(t.Context(), m, strings.NewReader(strings.Repeat("x", n)))
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		if err := b.spool().Discard(t.Context(), e); err != nil {
			t.Errorf("Discard: %v", err)
		}
		if _, err := b.Contents.Open(t.Context(), m.ID); err == nil {
			t.Errorf("%d bytes: a content was left behind", n)
		}
	}
}

func due(t *testing.T, b Backend) {
	late := b.queue(t, Message(2*time.Minute), "late")
	early := b.queue(t, Message(time.Minute), "early")
	b.queue(t, Message(time.Hour), "not yet")
	for _, c := range []struct {
		name  string
		after time.Duration
		limit int
		want  []dlp.ID
	}{
		{"none", 0, 10, nil},
		{"one", time.Minute, 10, []dlp.ID{early.ID}},
		{"both", 3 * time.Minute, 10, []dlp.ID{early.ID, late.ID}},
		{"limited", 3 * time.Minute, 1, []dlp.ID{early.ID}},
		{"no room", 3 * time.Minute, 0, nil},
	} {
		got, err := b.spool().Due(t.Context(), spool.Queued, start.Add(c.after), c.limit)
		if err != nil || !slices.Equal(ids(got), c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, ids(got), err, c.want)
		}
	}
	next, ok, err := b.spool().NextDue(t.Context(), spool.Queued)
	if err != nil || !ok || !next.Equal(early.Next) {
		t.Errorf("NextDue: got %v, %v, %v; want %v", next, ok, err, early.Next)
	}
}

func ids(ms []spool.Message) []dlp.ID {
	var out []dlp.ID
	for _, m := range ms {
		out = append(out, m.ID)
	}
	return out
}

func lines(t *testing.T, b Backend) {
	var of [3]spool.Message
	for i, dest := range []int64{-7, -7, 9} {
		m := Message(time.Duration(i) * time.Second)
		m.Dest = dest
		of[i] = b.queue(t, m, "12345")
	}
	unread := Message(0)
	unread.Kind, unread.State, unread.Trace = spool.Reading, spool.ToRead, []byte("X-Stanch-Id: t\r\n")
	unread = b.queue(t, unread, "1234567")
	at := start.Add(time.Minute)
	for _, c := range []struct {
		name   string
		state  spool.State
		except []int64
		want   []dlp.ID
	}{
		{"queued", spool.Queued, nil, ids(of[:])},
		{"without one destination", spool.Queued, []int64{-7, 3}, ids(of[2:])},
		{"without any", spool.Queued, []int64{9, -7}, nil},
		{"to be read", spool.ToRead, nil, []dlp.ID{unread.ID}},
	} {
		got, err := b.spool().Due(t.Context(), c.state, at, 10, c.except...)
		if err != nil || !slices.Equal(ids(got), c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, ids(got), err, c.want)
		}
	}
	for st, want := range map[spool.State]int64{spool.Queued: 15, spool.ToRead: 7, spool.Poison: 0} {
		if _, bytes, err := b.spool().Size(t.Context(), st); err != nil || bytes != want {
			t.Errorf("%s: got %d bytes, %v; want %d", st, bytes, err, want)
		}
	}
	if got, err := b.spool().Get(t.Context(), unread.ID); err != nil || !reflect.DeepEqual(got, unread) {
		t.Errorf("err %v:\ngot  %+v\nwant %+v", err, got, unread)
	}
}

// elsewhere holds that past any number of messages for one destination those
// for the others are found, some of each, and each gets its turn.
func elsewhere(t *testing.T, b Backend) {
	queue := func(dest int64, n int) {
		for i := range n {
			m := Message(time.Duration(i) * time.Second)
			m.Dest = dest
			b.queue(t, m, "x")
		}
	}
	const full = 5
	queue(full, 40)
	want := map[int64]bool{math.MinInt64: true, -1: true, 0: true, math.MaxInt64: true}
	for dest := range want {
		queue(dest, 20)
	}
	m := Message(time.Hour) // not due
	m.Dest = 77
	b.queue(t, m, "x")
	seen := map[int64]int{}
	for _, limit := range []int{1, 2, 8, 100} {
		for range 200 {
			got, err := b.spool().Due(t.Context(), spool.Queued, start.Add(time.Minute), limit, full)
			if err != nil || len(got) == 0 || len(got) > limit || !slices.IsSortedFunc(got, func(a, b spool.Message) int { return a.Next.Compare(b.Next) }) {
				t.Fatalf("at most %d: %d, %v; want some, the oldest first", limit, len(got), err)
			}
			for _, m := range got {
				if seen[m.Dest]++; !want[m.Dest] {
					t.Fatalf("got one for %d", m.Dest)
				}
			}
			if limit >= 8 && len(got) < min(limit, 80) {
				t.Fatalf("at most %d: only %d", limit, len(got))
			}
		}
	}
	for dest := range want {
		if seen[dest] == 0 {
			t.Errorf("%d never had its turn", dest)
		}
	}
}

func notEnded(t *testing.T, b Backend) {
	m := b.queue(t, Message(0), strings.Repeat("x", 2*spool.InlineMax))
	for _, st := range []spool.State{spool.Poison, spool.ToRead, spool.Queued} {
		m.State, m.Why, m.Expires = st, spool.WhyBroke, m.Expires.Add(time.Hour)
		if err := b.progress(t, m); err != nil {
			t.Fatalf("%s: %v", st, err)
		}
		b = b.Reopen(t)
		if got, err := b.spool().Get(t.Context(), m.ID); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s, err %v:\ngot  %+v\nwant %+v", st, err, got, m)
		}
		if got, err := b.read(t, m.ID); err != nil || int64(len(got)) != m.Size {
			t.Errorf("%s: content: got %d bytes, %v", st, len(got), err)
		}
		if got, err := b.spool().List(t.Context(), spool.Filter{}); err != nil || len(got) != 1 {
			t.Errorf("%s: listed %d, %v; want it", st, len(got), err)
		}
	}
	m.Damaged, m.State = true, spool.Poison // its state does not open, and stays as it is
	if err := b.progress(t, m); err != nil {
		t.Fatal(err)
	}
	if got, err := b.spool().Get(t.Context(), m.ID); err != nil || got.From != m.From || got.State != spool.Poison {
		t.Errorf("got %+v, %v; want what was sealed before", got, err)
	}
}

func ofDocument(t *testing.T, b Backend) {
	one, other := Message(0), Message(0)
	again := Message(0)
	again.Doc = one.Doc
	one, _, again = b.queue(t, one, "x"), b.queue(t, other, "x"), b.queue(t, again, "x")
	one.State = spool.Delivered
	if err := b.progress(t, one); err != nil {
		t.Fatal(err)
	}
	if got, err := b.spool().Of(t.Context(), one.Doc); err != nil || !slices.Equal(ids(got), []dlp.ID{one.ID, again.ID}) {
		t.Errorf("got %v, %v; want both", ids(got), err)
	}
	if got, err := b.spool().Of(t.Context(), dlp.NewID()); err != nil || len(got) != 0 {
		t.Errorf("another document's: got %v, %v; want none", ids(got), err)
	}
}

func clock(t *testing.T, b Backend) {
	m := b.queue(t, Message(spool.MaxBackoff), "x")
	got, err := b.spool().Due(t.Context(), spool.Queued, start.Add(-24*time.Hour), 10)
	if err != nil || !slices.Equal(ids(got), []dlp.ID{m.ID}) {
		t.Errorf("a day back: got %v, %v; want it due", ids(got), err)
	}
	got, err = b.spool().Due(t.Context(), spool.Queued, start, 10)
	if err != nil || len(got) != 0 {
		t.Errorf("in its time: got %v, %v; want none", ids(got), err)
	}
}

func progress(t *testing.T, b Backend) {
	m := b.queue(t, Message(0), "x")
	m.Rcpts[0] = spool.Rcpt{Addr: m.Rcpts[0].Addr, State: spool.RcptDelivered, Code: 250, Enhanced: "2.1.5", Tries: 1}
	m.Rcpts[1] = spool.Rcpt{Addr: m.Rcpts[1].Addr, State: spool.RcptPending, Code: 451, Enhanced: "4.4.1", At: "dot", Tries: 1}
	m.Tries, m.Next = 1, start.Add(time.Minute)
	if err := b.progress(t, m); err != nil {
		t.Fatalf("progress: %v", err)
	}
	b = b.Reopen(t)
	got, err := b.spool().Get(t.Context(), m.ID)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("err %v:\ngot  %+v\nwant %+v", err, got, m)
	}
}

func ended(t *testing.T, b Backend) {
	for _, n := range []int{10, 2 * spool.InlineMax} {
		for _, end := range []spool.State{spool.Delivered, spool.Failed, spool.Dropped} {
			m := b.queue(t, Message(0), strings.Repeat("x", n))
			m.State = end
			if err := b.progress(t, m); err != nil {
				t.Fatalf("%s: %v", end, err)
			}
			if _, err := b.read(t, m.ID); !errors.Is(err, spool.ErrNoContent) {
				t.Errorf("%s: content of %d bytes: got %v, want ErrNoContent", end, n, err)
			}
			m.State = spool.Queued
			if err := b.progress(t, m); !errors.Is(err, spool.ErrState) {
				t.Errorf("%s: queued again: got %v, want ErrState", end, err)
			}
		}
	}
	b = b.Reopen(t)
	if got, err := b.spool().Due(t.Context(), spool.Queued, start.Add(time.Hour), 10); err != nil || len(got) != 0 {
		t.Errorf("due: got %v, %v; want none", ids(got), err)
	}
	if got, err := b.spool().List(t.Context(), spool.Filter{All: true}); err != nil || len(got) != 6 {
		t.Errorf("all: got %d, %v; want 6", len(got), err)
	}
}

func atomic(t *testing.T, b Backend) {
	over := b.queue(t, Message(0), "x")
	over.State = spool.Delivered
	if err := b.progress(t, over); err != nil {
		t.Fatalf("progress: %v", err)
	}
	m := Message(0)
	e, err := b.spool().Seal(t.Context(), m, strings.NewReader("x"))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	u, err := b.spool().Progress(over)
	if err != nil {
		t.Fatalf("Progress: %v", err)
	}
	if err := b.Commit(t.Context(), []spool.Entry{e}, []spool.Update{u}); !errors.Is(err, spool.ErrState) {
		t.Errorf("Commit: got %v, want ErrState", err)
	}
	if _, err := b.spool().Get(t.Context(), m.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("the entry: got %v, want ErrNotFound", err)
	}
}

func list(t *testing.T, b Backend) {
	var want []dlp.ID
	for range 5 {
		want = append(want, b.queue(t, Message(0), "x").ID)
	}
	first, err := b.spool().List(t.Context(), spool.Filter{Limit: 2})
	if err != nil || !slices.Equal(ids(first), want[:2]) {
		t.Errorf("first page: got %v, %v; want %v", ids(first), err, want[:2])
	}
	rest, err := b.spool().List(t.Context(), spool.Filter{After: want[1]})
	if err != nil || !slices.Equal(ids(rest), want[2:]) {
		t.Errorf("the rest: got %v, %v; want %v", ids(rest), err, want[2:])
	}
	m, err := b.spool().Get(t.Context(), want[3])
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		one, err := b.spool().List(t.Context(), spool.Filter{All: all, Doc: m.Doc})
		if err != nil || !slices.Equal(ids(one), want[3:4]) {
			t.Errorf("of one document: got %v, %v; want %v", ids(one), err, want[3:4])
		}
	}
}

func missing(t *testing.T, b Backend) {
	m := Message(0)
	if _, err := b.spool().Get(t.Context(), m.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Get: got %v, want ErrNotFound", err)
	}
	if _, err := b.spool().Open(t.Context(), m.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Open: got %v, want ErrNotFound", err)
	}
	if err := b.progress(t, m); !errors.Is(err, spool.ErrState) {
		t.Errorf("progress: got %v, want ErrState", err)
	}
}
