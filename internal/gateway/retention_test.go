package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

func newBenchWith(t *testing.T, change func(*gateway.Config)) *bench {
	t.Helper()
	return newBenchFor(t, age.PeriodsConfig{}, change)
}

// TestRetention: a period ends, its key stays as long as somebody has still to
// decide, and with the key go contents and, later, cases.
func TestRetention(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(24 * time.Hour), Keep: dlp.Duration(48 * time.Hour), KeepCases: dlp.Duration(96 * time.Hour)}
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	var ids []dlp.ID
	for range 2 {
		doc := mail(out)
		if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
			t.Fatalf("outcome %v, want held", got.Kind)
		}
		ids = append(ids, doc.ID)
		if err := b.Acknowledge(t.Context(), []dlp.ID{doc.ID}); err != nil {
			t.Fatal(err)
		}
	}
	opens := func(id dlp.ID) error {
		return b.Export(t.Context(), id, vault.Opened{}, "uid:0", &bytes.Buffer{})
	}
	after := func(d time.Duration) {
		t.Helper()
		b.skew.Store(int64(d))
		b.ran.Store(int64(d))
		if err := b.Retain(t.Context()); err != nil {
			t.Fatalf("after %v: %v", d, err)
		}
	}
	if _, err := b.Release(t.Context(), ids[0], vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	after(time.Hour)
	if n := len(b.keys.Stands(false).Periods); n != 2 {
		t.Fatalf("%d keys after an hour, want those of contents and cases", n)
	}
	after(25 * time.Hour)
	if n := len(b.keys.Stands(false).Periods); n != 4 {
		t.Fatalf("%d keys after a day, want two more", n)
	}
	after(80 * time.Hour)
	for _, id := range ids {
		if err := opens(id); err != nil {
			t.Errorf("%s, while somebody has still to decide about one: %v", id, err)
		}
	}
	if err := b.Reject(t.Context(), ids[1], vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	after(81 * time.Hour)
	after(88 * time.Hour)
	for _, id := range ids {
		if err := opens(id); !errors.Is(err, vault.ErrNoContent) {
			t.Errorf("%s, after its time: %v, want %v", id, err, vault.ErrNoContent)
		}
		d, err := b.ShowHeld(t.Context(), id, vault.Opened{}, "uid:0")
		if err != nil || d.State != string(vault.Expired) || d.DecidedBy != "uid:0" {
			t.Errorf("its case: %+v, %v; want it there, expired, with who decided", d, err)
		}
	}
	after(300 * time.Hour)
	after(307 * time.Hour)
	if _, err := b.ShowHeld(t.Context(), ids[0], vault.Opened{}, "uid:0"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("its case, after its time: %v, want %v", err, vault.ErrNotFound)
	}
	destroyed := slices.DeleteFunc(b.audit.of(audit.VaultKey), func(e audit.Event) bool { return e.Reason != audit.ReasonKeyDestroyed })
	if len(destroyed) < 2 {
		t.Errorf("%d keys destroyed on record, want two and more", len(destroyed))
	}
	doc := mail(out) // and all goes on
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held || opens(doc.ID) != nil {
		t.Errorf("a message after that: %v, %v", got.Kind, opens(doc.ID))
	}
}

// TestUndecidedKeepsItsCase: what says why something is held, and that it was to be
// encrypted, stays until somebody has decided, however short cases are kept.
func TestUndecidedKeepsItsCase(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(24 * time.Hour), KeepCases: dlp.Duration(24 * time.Hour)}
	})
	encrypting(t, b).to = nil
	id := b.Message(t.Context(), withText(labs, out), b.hop).ID
	cases := func() (out []vault.Period) {
		return slices.DeleteFunc(b.keys.Stands(false).Periods, func(p vault.Period) bool { return p.Kind != vault.KindCase })
	}
	after := func(days ...int) {
		t.Helper()
		for _, d := range days {
			b.skew.Store(int64(d) * int64(24*time.Hour))
			b.ran.Store(int64(d) * int64(24*time.Hour))
			if err := b.Retain(t.Context()); err != nil {
				t.Fatalf("after %d days: %v", d, err)
			}
		}
	}
	after(2, 4, 6)
	if ps := cases(); len(ps) < 2 || !ps[0].Destroyed.IsZero() || ps[0].Ended.IsZero() {
		t.Errorf("keys of cases: %+v; want the first ended, and not destroyed", ps)
	}
	if got, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, "uid:7", gateway.Review{Unencrypted: true}); err != nil || got.Unencrypted != 1 {
		t.Errorf("released: %+v, %v; want it said that it goes unencrypted", got, err)
	}
	after(7, 8)
	if ps := cases(); ps[0].Destroyed.IsZero() {
		t.Error("once it is decided about the key of its case stays")
	}
	if _, err := b.Vault.Case(t.Context(), id, nil); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("its case: %v, want %v", err, vault.ErrNotFound)
	}
}

// TestKeyGoesAtTheSecondLook: a clock that is wrong for a while destroys no key, nor does
// one look by a clock that is right; what cannot be put on record does not happen.
func TestKeyGoesAtTheSecondLook(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(10_000 * time.Hour), Keep: dlp.Duration(48 * time.Hour)}
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	id := b.Message(t.Context(), mail(out), b.hop).ID
	if err := errors.Join(b.Reject(t.Context(), id, vault.Opened{}, "uid:0"), b.RotateVault(t.Context(), "uid:0")); err != nil {
		t.Fatal(err)
	}
	broken := false
	for _, x := range []struct {
		what         string
		clock, ran   time.Duration
		record, gone bool
	}{
		{"a clock that is wrong", 900 * time.Hour, 0, true, false},
		{"set right", 7 * time.Hour, 7 * time.Hour, true, false},
		{"its time is over", 50 * time.Hour, 8 * time.Hour, true, false},
		{"five hours after that", 55 * time.Hour, 13 * time.Hour, true, false},
		{"six hours after that, without a record", 56 * time.Hour, 14 * time.Hour, false, false},
		{"six hours after that", 56 * time.Hour, 14 * time.Hour, true, true},
	} {
		b.skew.Store(int64(x.clock))
		b.ran.Store(int64(x.ran))
		if b.audit.breaksAt = ""; !x.record {
			b.audit.breaksAt, broken = audit.VaultKey, true
		}
		if err := b.Retain(t.Context()); (err == nil) != x.record {
			t.Errorf("%s: %v", x.what, err)
		}
		b.audit.breaksAt = ""
		err := b.Export(t.Context(), id, vault.Opened{}, "uid:0", &bytes.Buffer{})
		if x.gone != errors.Is(err, vault.ErrNoContent) || !x.gone && err != nil {
			t.Errorf("%s: %v, want it gone %v", x.what, err, x.gone)
		}
	}
	if !broken {
		t.Error("nothing was without a record")
	}
}

// TestKeysChangeOnRecord: without a record no period begins, and no key that was sealed
// anew is taken.
func TestKeysChangeOnRecord(t *testing.T) {
	b := newBench(t)
	before := b.keys.Stands(true).Periods
	b.audit.breaksAt = audit.VaultKey
	if err := b.RotateVault(t.Context(), "uid:0"); err == nil {
		t.Error("a period began without a record")
	}
	if err := b.ResealVault(t.Context(), map[dlp.ID][][]byte{before[0].ID: {[]byte("anew")}}, "uid:0"); err == nil {
		t.Error("a key was sealed anew without a record")
	}
	after := b.keys.Stands(true).Periods
	if len(after) != len(before) || !bytes.Equal(after[0].Sealed[0], before[0].Sealed[0]) {
		t.Errorf("keys %+v, want %+v", after, before)
	}
	b.audit.breaksAt = ""
	if err := b.ResealVault(t.Context(), map[dlp.ID][][]byte{before[0].ID: {[]byte("anew")}}, "uid:0"); err != nil || string(b.keys.Stands(true).Periods[0].Sealed[0]) != "anew" {
		t.Errorf("with one: %v", err)
	}
}

// copies is a Copier that does what it says.
type copies func() error

func (c copies) Copy(context.Context, io.Writer, []string) error { return c() }

// TestBackupIsOnRecord: a copy of everything is on record before its first byte, and one
// is made at a time.
func TestBackupIsOnRecord(t *testing.T) {
	b := newBench(t)
	made := 0
	var beside error
	b.Deps.Copy = copies(func() error {
		made++
		if made == 1 {
			beside = b.Backup(t.Context(), []string{"age1x"}, "uid:0", io.Discard)
		}
		return nil
	})
	b.audit.breaksAt = audit.Backup
	if err := b.Backup(t.Context(), []string{"age1x"}, "uid:0", io.Discard); err == nil || made != 0 {
		t.Errorf("without a record: %v, %d copies", err, made)
	}
	b.audit.breaksAt = ""
	if err := b.Backup(t.Context(), []string{"age1x"}, "uid:0", io.Discard); err != nil || made != 1 || !errors.Is(beside, gateway.ErrBusy) {
		t.Errorf("%v, %d copies, one beside it %v", err, made, beside)
	}
	if on := b.audit.of(audit.Backup); len(on) != 1 || on[0].Actor != "uid:0" || on[0].Rcpts != 1 {
		t.Errorf("on record: %+v", on)
	}
}

// TestLegalHold: what is under a legal hold outlasts its time, content and case,
// while all else of its periods goes; once it is lifted it goes too.
func TestLegalHold(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(24 * time.Hour), Keep: dlp.Duration(48 * time.Hour), KeepCases: dlp.Duration(96 * time.Hour)}
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	var ids []dlp.ID
	for range 2 {
		doc := mail(out)
		if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
			t.Fatalf("outcome %v, want held", got.Kind)
		}
		ids = append(ids, doc.ID)
		if err := errors.Join(b.Acknowledge(t.Context(), []dlp.ID{doc.ID}), b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:0")); err != nil {
			t.Fatal(err)
		}
	}
	kept, other := ids[0], ids[1]
	for name, c := range map[string]struct {
		id   dlp.ID
		why  string
		want error
	}{"without a reason": {kept, " ", gateway.ErrNoWhy}, "of what is not there": {dlp.NewID(), "subpoena", gateway.ErrLegalHold}} {
		if err := b.PlaceLegalHold(t.Context(), c.id, c.why, "uid:0"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := b.PlaceLegalHold(t.Context(), kept, "subpoena of 3 March", "uid:0"); err != nil {
		t.Fatal(err)
	}
	if err := b.PlaceLegalHold(t.Context(), kept, "again", "uid:0"); !errors.Is(err, gateway.ErrLegalHold) {
		t.Errorf("a second one: %v, want %v", err, gateway.ErrLegalHold)
	}
	if ls, err := b.LegalHolds(t.Context(), 0); err != nil || len(ls) != 1 || ls[0].ID != kept || ls[0].By != "uid:0" || ls[0].Why != "subpoena of 3 March" {
		t.Errorf("legal holds %+v, %v", ls, err)
	}
	if l, ok, err := b.LegalHoldOn(t.Context(), kept); err != nil || !ok || l.ID != kept || l.By != "uid:0" || l.Why != "subpoena of 3 March" {
		t.Errorf("legal hold %+v, %t, %v", l, ok, err)
	}
	if l, ok, err := b.LegalHoldOn(t.Context(), other); err != nil || ok {
		t.Errorf("legal hold of another: %+v, %v", l, err)
	}
	if err := b.RotateVault(t.Context(), "uid:0"); err != nil {
		t.Fatal(err)
	}
	at := time.Duration(0)
	pass := func(d time.Duration) {
		t.Helper()
		for range 2 { // what is due at two looks goes
			at += d / 2
			b.skew.Store(int64(at))
			b.ran.Store(int64(at))
			if err := b.Retain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	shows := func(id dlp.ID) (content, record error) {
		_, record = b.ShowHeld(t.Context(), id, vault.Opened{}, "uid:0")
		return b.Export(t.Context(), id, vault.Opened{}, "uid:0", &bytes.Buffer{}), record
	}
	pass(200 * time.Hour)
	pass(200 * time.Hour)
	if content, record := shows(kept); content != nil || record != nil {
		t.Errorf("under a legal hold: content %v, case %v", content, record)
	}
	if content, record := shows(other); !errors.Is(content, vault.ErrNoContent) || !errors.Is(record, vault.ErrNotFound) {
		t.Errorf("the other of its period: content %v, case %v", content, record)
	}
	if err := b.LiftLegalHold(t.Context(), kept, "", "uid:0"); !errors.Is(err, gateway.ErrNoWhy) {
		t.Errorf("lifted without a reason: %v, want %v", err, gateway.ErrNoWhy)
	}
	if err := b.LiftLegalHold(t.Context(), kept, "settled in May", "uid:7"); err != nil {
		t.Fatal(err)
	}
	if err := b.LiftLegalHold(t.Context(), kept, "again", "uid:0"); !errors.Is(err, gateway.ErrNoLegalHold) {
		t.Errorf("lifted twice: %v, want %v", err, gateway.ErrNoLegalHold)
	}
	if ls, err := b.LiftedHolds(t.Context(), 10); err != nil || len(ls) != 1 || ls[0].ID != kept || ls[0].Why != "subpoena of 3 March" || ls[0].By != "uid:0" ||
		ls[0].LiftedBy != "uid:7" || ls[0].LiftWhy != "settled in May" || ls[0].Lifted.IsZero() {
		t.Errorf("lifted legal holds %+v, %v", ls, err)
	}
	pass(20 * time.Hour)
	if content, record := shows(kept); !errors.Is(content, vault.ErrNoContent) || !errors.Is(record, vault.ErrNotFound) {
		t.Errorf("lifted: content %v, case %v", content, record)
	}
	var reasons []string
	for _, e := range b.audit.of(audit.LegalHold) {
		reasons = append(reasons, e.Reason+" "+e.Result)
	}
	if want := []string{"placed ", "placed failed", "placed ", "placed done", "placed ", "placed failed", "lifted ", "lifted done", "lifted ", "lifted failed"}; !slices.Equal(reasons, want) {
		t.Errorf("on record: %q, want %q", reasons, want)
	}
}

// refusing is a store that takes nothing.
type refusing struct {
	store.Store
	err error
}

func (r refusing) Commit(context.Context, store.Change) error { return r.err }

// TestLegalHoldIsOnRecord: without a record none is placed or lifted, and what came of
// one that the disk did not take is on record.
func TestLegalHoldIsOnRecord(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v, want held", got.Kind)
	}
	place := func() error { return b.PlaceLegalHold(t.Context(), doc.ID, "subpoena", "uid:0") }
	lift := func() error { return b.LiftLegalHold(t.Context(), doc.ID, "settled", "uid:0") }
	for i, c := range []struct {
		do     func() error
		stands bool // after it
	}{{place, true}, {lift, false}} {
		for _, broken := range []error{store.ErrNoRoom, store.ErrUnknown} {
			b.Store = refusing{b.db, broken}
			if err := c.do(); !errors.Is(err, broken) {
				t.Errorf("%d: the disk says %v: %v", i, broken, err)
			}
			b.Store = b.db
		}
		b.audit.breaksAt = audit.LegalHold
		if err := c.do(); !errors.Is(err, errBroken) {
			t.Errorf("%d: without a record: %v", i, err)
		}
		b.audit.breaksAt = ""
		if _, stands, err := b.LegalHoldOn(t.Context(), doc.ID); err != nil || stands == c.stands {
			t.Errorf("%d: without a record or a disk it was done: %v", i, err)
		}
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
	}
	var results []string
	for _, e := range b.audit.of(audit.LegalHold) {
		if e.Result != "" {
			results = append(results, e.Reason+" "+e.Result)
		}
	}
	if want := []string{"placed failed", "placed unknown", "placed done", "lifted failed", "lifted unknown", "lifted done"}; !slices.Equal(results, want) {
		t.Errorf("on record: %q, want %q", results, want)
	}
}

// TestLegalHoldAsAPeriodEnds: one that is placed while a period is ended keeps the
// key as one that stood before does.
func TestLegalHoldAsAPeriodEnds(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(24 * time.Hour), Keep: dlp.Duration(48 * time.Hour), KeepCases: dlp.Duration(96 * time.Hour)}
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(out)
	b.Message(t.Context(), doc, b.hop)
	if err := errors.Join(b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:0"), b.RotateVault(t.Context(), "uid:0")); err != nil {
		t.Fatal(err)
	}
	placed := false
	b.OnStep = func(step string) {
		if step != "end period" || placed {
			return
		}
		placed = true
		if err := b.PlaceLegalHold(t.Context(), doc.ID, "subpoena of 3 March", "uid:0"); err != nil {
			t.Error(err)
		}
	}
	for _, at := range []time.Duration{100 * time.Hour, 200 * time.Hour, 300 * time.Hour} {
		b.skew.Store(int64(at))
		b.ran.Store(int64(at))
		if err := b.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &bytes.Buffer{}); err != nil || !placed {
		t.Errorf("placed: %v; its content: %v", placed, err)
	}
}

// TestWrongClockDestroysNothing: a clock that is years ahead for some hours, at
// one look or several, takes no key, and when it is right again counts for
// nothing.
func TestWrongClockDestroysNothing(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Retention = vault.Config{Period: dlp.Duration(24 * time.Hour), Keep: dlp.Duration(48 * time.Hour), KeepCases: dlp.Duration(96 * time.Hour)}
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v, want held", got.Kind)
	}
	if err := b.Acknowledge(t.Context(), []dlp.ID{doc.ID}); err != nil {
		t.Fatal(err)
	}
	if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if err := b.RotateVault(t.Context(), "uid:0"); err != nil {
		t.Fatal(err)
	}
	look := func(ahead, ran time.Duration) {
		t.Helper()
		b.skew.Store(int64(ahead))
		b.ran.Store(int64(ran))
		if err := b.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const years = 87600 * time.Hour
	for _, ran := range []time.Duration{0, time.Hour, 5 * time.Hour} {
		look(years, ran)
	}
	look(0, 6*time.Hour) // it is right again
	look(years, 7*time.Hour)
	look(0, 20*time.Hour)
	if err := b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &bytes.Buffer{}); err != nil {
		t.Errorf("what is held, once the clock is right again: %v", err)
	}
	look(49*time.Hour, 49*time.Hour)
	look(56*time.Hour, 56*time.Hour)
	if err := b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &bytes.Buffer{}); !errors.Is(err, vault.ErrNoContent) {
		t.Errorf("after its time: %v, want %v", err, vault.ErrNoContent)
	}
}

// TestReviewersOnly: without its own key the server holds and rejects, and takes
// a reviewer's for all else; a release that is refused is not on record.
func TestReviewersOnly(t *testing.T) {
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchFor(t, age.PeriodsConfig{Reviewers: []string{id.Recipient().String()}, Only: true}, func(*gateway.Config) {})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p", Notify: []string{"sender"}}
	doc, other := mail(out), mail(out)
	for _, d := range []*dlp.Document{doc, other} {
		if got := b.Message(t.Context(), d, b.hop); got.Kind != dlp.Held {
			t.Fatalf("outcome %v, want held", got.Kind)
		}
		if err := b.Acknowledge(t.Context(), []dlp.ID{d.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if hs, err := b.ListHeld(t.Context(), false, "", "uid:0"); err != nil || len(hs) != 2 {
		t.Errorf("list: %d, %v; it takes no key", len(hs), err)
	}
	_, shown := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "uid:0")
	_, listed := b.ListHeld(t.Context(), false, "Subject", "uid:0")
	_, letGo := b.Release(t.Context(), doc.ID, vault.Opened{}, "uid:0")
	for name, err := range map[string]error{
		"release": letGo, "show": shown, "list with a header": listed,
		"export": b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &bytes.Buffer{}),
	} {
		if !errors.Is(err, vault.ErrLocked) {
			t.Errorf("%s: %v, want %v", name, err, vault.ErrLocked)
		}
	}
	if n := len(b.audit.of(audit.Release)); n != 0 {
		t.Errorf("%d releases on record, and none began", n)
	}
	l, err := b.Locks(t.Context(), doc.ID)
	if err != nil {
		t.Fatal(err)
	}
	var keys vault.Opened
	if keys.Content, err = age.FileKey(l.Content, []filippo.Identity{id}); err != nil {
		t.Fatal(err)
	}
	if keys.Case, err = age.FileKey(l.Case, []filippo.Identity{id}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Release(t.Context(), other.ID, keys, "uid:0"); err == nil {
		t.Error("the keys of one message released another")
	}
	var content bytes.Buffer
	if err := b.Export(t.Context(), doc.ID, keys, "uid:0", &content); err != nil || content.String() != text {
		t.Errorf("export: %q, %v", content.String(), err)
	}
	if d, err := b.ShowHeld(t.Context(), doc.ID, keys, "uid:0"); err != nil || d.ID != doc.ID {
		t.Errorf("show: %+v, %v", d, err)
	}
	if _, err := b.Release(t.Context(), doc.ID, keys, "uid:0"); err != nil {
		t.Errorf("release: %v", err)
	}
	before := b.queued(t)
	if err := b.Reject(t.Context(), other.ID, vault.Opened{}, "uid:0"); err != nil {
		t.Errorf("reject, which takes no key: %v", err)
	}
	if got := b.queued(t); got != before+1 {
		t.Errorf("%d messages more, want the sender told of the rejection", got-before)
	}
}
