package gateway_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestReplayOfWhatPassed: mail that passed is kept, mail that was held or that the next
// hop refused is not; and edited rules are tried on it, among what was held.
func TestReplayOfWhatPassed(t *testing.T) {
	b := newBench(t)
	c := sample.Default()
	c.OneIn = 1
	b.Sample = sample.Open(c, sample.Deps{Dir: filepath.Join(b.dir, "sample"), Seal: b.keys, Now: b.now, Log: safelog.Discard()})
	go func() { _ = b.Sample.Run(t.Context()) }()
	texts := map[dlp.ID]string{}
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		if err := errors.Join(sink.Part(dlp.PartInfo{Path: "1"}), sink.Text(dlp.Window{Text: []byte(texts[doc.ID])})); err != nil {
			t.Error(err)
		}
	}
	send := func(text string) dlp.ID {
		doc := withText(strings.Replace(labs, "\r\n\r\n", "\r\n\r\n"+text+"\r\n", 1), out)
		texts[doc.ID] = text
		b.Message(t.Context(), doc, b.hop)
		return doc.ID
	}
	passes, other := send("new"), send("neither")
	b.hop.reply = dlp.Reply{Code: 550}
	send("refused, new")
	b.hop.reply = dlp.Reply{Code: 250}
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	held := send("old")
	var kept []sample.Entry
	for deadline := time.Now().Add(time.Minute); len(kept) < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if kept, err = b.Sampled(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	ids := []dlp.ID{}
	for _, e := range kept {
		ids = append(ids, e.ID)
	}
	if len(ids) != 2 || !slices.Contains(ids, passes) || !slices.Contains(ids, other) {
		t.Fatalf("kept %v, want %v and %v", ids, passes, other)
	}
	if l, err := b.Locks(t.Context(), passes); err != nil || l.Content.Header == nil || l.Case.Header != nil {
		t.Errorf("locks: %+v, %v", l, err)
	}
	looks := len(b.audit.events)
	r, err := b.Replay(t.Context(), gateway.ReplayQuery{}, holding(b, "old"), holding(b, "new"), "user:ann")
	if err != nil {
		t.Fatal(err)
	}
	if r.Read != 3 || r.Sampled != 2 || r.Same != 1 || r.Failed+r.Gone+r.Locked != 0 || len(r.Changes) != 2 {
		t.Errorf("%+v", r)
	}
	for _, c := range r.Changes {
		switch c.ID {
		case passes:
			if c.State != gateway.StatePassed || !slices.Equal(c.What, []string{gateway.NewlyHeld}) {
				t.Errorf("what passed: %+v", c)
			}
		case held:
			if !slices.Equal(c.What, []string{gateway.NoMoreHeld}) {
				t.Errorf("what was held: %+v", c)
			}
		default:
			t.Errorf("%+v", c)
		}
	}
	if events := b.audit.events[looks:]; len(events) != 1 || events[0].Reason != audit.ReasonReplay || events[0].Findings != 3 {
		t.Errorf("on record: %+v", events)
	}
	if r, err = b.Replay(t.Context(), gateway.ReplayQuery{Limit: 1}, holding(b, "old"), holding(b, "new"), ""); err != nil || r.Read != 1 || !r.Cut {
		t.Errorf("the newest: %+v, %v", r, err)
	}
}

// TestSampleOfTwoReviewers: where it takes two reviewers' keys, one of them opens
// nothing of the sample for a replay, and both do.
func TestSampleOfTwoReviewers(t *testing.T) {
	ann, ben := identity(t), identity(t)
	b := newBenchFor(t, age.PeriodsConfig{Reviewers: []string{ann.Recipient().String(), ben.Recipient().String()}, Only: true, Needed: 2}, func(*gateway.Config) {})
	sampled(t, b)
	by := func(ids ...filippo.Identity) func(context.Context, dlp.ID) (vault.Opened, error) {
		return func(ctx context.Context, id dlp.ID) (keys vault.Opened, err error) {
			l, err := b.Locks(ctx, id)
			if err != nil {
				return keys, err
			}
			if keys.Content, err = age.FileKey(l.Content, ids); errors.Is(err, age.ErrNotEnough) {
				err = nil // the rest is left to the server's own, which has none
			}
			return keys, err
		}
	}
	for name, c := range map[string]struct {
		keys         func(context.Context, dlp.ID) (vault.Opened, error)
		read, locked int
	}{"none": {nil, 0, 1}, "one": {by(ann), 0, 1}, "both": {by(ann, ben), 1, 0}} {
		r, err := b.Replay(t.Context(), gateway.ReplayQuery{Keys: c.keys}, holding(b, "old"), holding(b, "new"), "user:ann")
		if err != nil || r.Read != c.read || r.Sampled != c.read || r.Locked != c.locked || r.Failed != 0 {
			t.Errorf("%s: %+v, %v; want %d read, %d locked", name, r, err, c.read, c.locked)
		}
	}
}

func identity(t *testing.T) *filippo.X25519Identity {
	t.Helper()
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// sampled sends a message that passes, with a sample of all that does, and waits until
// it is kept.
func sampled(t *testing.T, b *bench) dlp.ID {
	t.Helper()
	c := sample.Default()
	c.OneIn = 1
	b.Sample = sample.Open(c, sample.Deps{Dir: filepath.Join(b.dir, "sample"), Seal: b.keys, Now: b.now, Log: safelog.Discard()})
	go func() { _ = b.Sample.Run(t.Context()) }()
	b.sees = func(_ *dlp.Document, sink dlp.Sink) {
		if err := errors.Join(sink.Part(dlp.PartInfo{Path: "1"}), sink.Text(dlp.Window{Text: []byte("new")})); err != nil {
			t.Error(err)
		}
	}
	doc := withText(labs, out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Passed {
		t.Fatalf("outcome %v", got.Kind)
	}
	for {
		switch kept, err := b.Sampled(t.Context(), time.Time{}); {
		case err != nil:
			t.Fatal(err)
		case len(kept) == 1:
			return doc.ID
		}
		time.Sleep(time.Millisecond) // keeping has no other sign of life
	}
}

// evidence is an audit log that notes what it is asked for.
type evidence struct {
	asked []dlp.ID
	until time.Duration // that the look-up has
	lines []string
}

func (e *evidence) Evidence(ctx context.Context, ids []dlp.ID, _ time.Time, _ int) (audit.Evidence, error) {
	e.asked = slices.Sorted(slices.Values(ids))
	if at, ok := ctx.Deadline(); ok {
		e.until = time.Until(at)
	}
	out := audit.Evidence{Checkpoint: "signed"}
	for _, line := range e.lines {
		out.Events = append(out.Events, audit.Proof{Line: line})
	}
	return out, nil
}

// TestDossierOfWhatWasNeverHeld: with reviewers_only a dossier is about mail that
// passed, and is in the sample, beside what was held: of the one the log alone speaks,
// and it takes no key; of the other the case does, which takes one.
func TestDossierOfWhatWasNeverHeld(t *testing.T) {
	ann := identity(t)
	b := newBenchFor(t, age.PeriodsConfig{Reviewers: []string{ann.Recipient().String()}, Only: true}, func(*gateway.Config) {})
	log := &evidence{}
	b.Prove, b.Deps.Dossiers = log, dossier.OpenStore(b.dir, b.Names.(dossier.Keys))
	passed := sampled(t, b)
	log.lines = []string{`{"kind":"look","doc":"` + string(passed) + `","reason":"dossier"}`}
	if _, err := b.BeginDossier(t.Context(), "a mistyped id", []dlp.ID{passed}, nil, "user:ann"); !errors.Is(err, dossier.ErrItem) {
		t.Errorf("of what nobody knows: %v, want %v", err, dossier.ErrItem)
	}
	log.lines = append(log.lines, `{"kind":"decision","doc":"`+string(passed)+`"}`)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	doc := withText(labs, out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v", got.Kind)
	}
	if _, err := b.BeginDossier(t.Context(), "both", []dlp.ID{passed, doc.ID}, nil, "user:ann"); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("without a key: %v, want %v", err, vault.ErrLocked)
	}
	l, err := b.Locks(t.Context(), doc.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.FileKey(l.Case, []filippo.Identity{ann})
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.BeginDossier(t.Context(), "both", []dlp.ID{passed, doc.ID}, map[dlp.ID]vault.Opened{doc.ID: {Case: key}}, "user:ann")
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Dossier(t.Context(), id, 0, "user:ann")
	if err != nil || d.Record == nil || len(d.Record.Items) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, it := range d.Record.Items {
		if it.ID == passed && (it.Case || it.State != "" || it.Sender != "" || len(it.Rcpts) > 0) {
			t.Errorf("what passed: %+v; want nothing but what the log says", it)
		}
		if it.ID == doc.ID && (!it.Case || it.State != "held" || it.Sender == "") {
			t.Errorf("what was held: %+v", it)
		}
	}
	if want := slices.Sorted(slices.Values([]dlp.ID{passed, doc.ID, id})); !slices.Equal(log.asked, want) {
		t.Errorf("the log was asked for %v, want %v", log.asked, want)
	}
	if log.until <= 0 || log.until > 5*time.Minute {
		t.Errorf("looking up may take %v, want five minutes at most", log.until)
	}
	if _, err := b.BeginDossier(t.Context(), "what passed", []dlp.ID{passed}, nil, "user:ann"); err != nil {
		t.Errorf("of what passed alone, without a key: %v", err)
	}
	keys := map[dlp.ID]vault.Opened{doc.ID: {Case: key}}
	if err := b.GatherDossier(t.Context(), id, 1, []dlp.ID{dlp.NewID()}, keys, "user:ann"); !errors.Is(err, dossier.ErrItem) {
		t.Errorf("what nobody knows, added: %v, want %v", err, dossier.ErrItem)
	}
	log.lines = nil // the log does not go back as far any more
	if err := b.GatherDossier(t.Context(), id, 1, nil, keys, "user:ann"); err != nil {
		t.Errorf("looked up anew: %v", err)
	}
}
