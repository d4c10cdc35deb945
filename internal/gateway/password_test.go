package gateway_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestOpenEncrypted: what a typed password opens joins the case and the row; a
// wrong one changes nothing; both are on record, the password is not.
func TestOpenEncrypted(t *testing.T) {
	const right = "Kolibri-77"
	b := newBench(t)
	b.found = []dlp.Finding{{Rule: "mrn", Type: "MRN", Path: "1", Start: 3, End: 9, Confidence: dlp.Medium}}
	var tried []string
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		tried = doc.Passwords
		if !slices.Contains(tried, right) {
			if err := sink.Gap(dlp.Gap{Path: "2", Cause: dlp.Encrypted}); err != nil {
				t.Error(err)
			}
		}
	}
	doc := mail(out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held || len(tried) > 0 {
		t.Fatalf("outcome %v, tried with %q; want held, with nothing", got.Kind, tried)
	}
	open := func(password string) (gateway.Opened, error) {
		return b.OpenEncrypted(t.Context(), doc.ID, vault.Opened{}, "user:dana", password)
	}
	for password, want := range map[string]error{"": gateway.ErrNoPassword, "\xff": gateway.ErrNoPassword, strings.Repeat("x", 257): gateway.ErrNoPassword, "wrong": gateway.ErrPassword} {
		if got, err := open(password); !errors.Is(err, want) || got != (gateway.Opened{}) {
			t.Errorf("%q: %+v, %v; want %v", password, got, err, want)
		}
	}
	before, err := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "user:dana")
	if err != nil || len(before.Gaps) != 1 || len(before.Findings) != 1 {
		t.Fatalf("after a wrong password: %+v, %v; want it as it was", before, err)
	}
	p, err := b.vault.Propose(doc.ID, vault.Proposal{By: "user:bob"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Store.Commit(t.Context(), store.Change{Amend: []vault.Amendment{p}}); err != nil {
		t.Fatal(err)
	}

	b.found = append(b.found, dlp.Finding{Rule: "us-ssn", Type: "SSN", Path: "2/1", Start: 12, End: 23, Confidence: dlp.High})
	b.verdict = map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Policy: "phi-leaves", Rules: []dlp.RuleID{"us-ssn"}}}
	if got, err := open(right); err != nil || got != (gateway.Opened{Parts: 1, Findings: 1}) {
		t.Fatalf("opened: %+v, %v", got, err)
	}
	d, err := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "user:dana")
	if err != nil {
		t.Fatal(err)
	}
	if d.State != "held" || len(d.Gaps) != 0 || len(d.Causes) != 0 || len(d.Findings) != 2 || !slices.Contains(d.Rules, "us-ssn") || d.Confidence != "high" || d.Proposed != nil {
		t.Errorf("opened, the item says %+v", d)
	}
	events := len(b.audit.events)
	for name, rv := range map[string]gateway.Review{"before a first decision": {Version: before.Version}, "none that there was": {Version: "-"}} { // who was shown less decides nothing
		_, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", rv)
		if again := b.RejectFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", rv); !errors.Is(err, gateway.ErrChanged) || !errors.Is(again, gateway.ErrChanged) || len(b.audit.events) != events {
			t.Errorf("by the page of %s: released %v, rejected %v, %d events; want ErrChanged, and none", name, err, again, len(b.audit.events)-events)
		}
	}
	hs, _, err := b.FindHeld(t.Context(), vault.Query{State: vault.Held, All: [][]vault.Field{{{Kind: vault.ByRule, Value: "us-ssn"}}}})
	if err != nil || len(hs) != 1 {
		t.Errorf("found by its new rule: %+v, %v", hs, err)
	}
	if hs, _, err := b.FindHeld(t.Context(), vault.Query{All: [][]vault.Field{{{Kind: vault.ByCause, Value: "encrypted"}}}}); err != nil || len(hs) != 0 {
		t.Errorf("found by a gap that it has not any more: %+v, %v", hs, err)
	}
	if got := b.waiting(t); got != "" {
		t.Errorf("the outbox has %q: opening is no decision", got)
	}
	var got []string
	for _, e := range b.audit.events {
		if e.Reason == audit.ReasonPassword || e.Result == audit.ResultOpened || e.Result == audit.ResultFailed {
			got = append(got, string(e.Kind)+" "+e.Reason+e.Result)
		}
		if strings.Contains(fmt.Sprintf("%+v", e), right) {
			t.Error("the password is in the audit log")
		}
	}
	if want := []string{"look password", "outcome failed", "look password", "outcome opened"}; !slices.Equal(got, want) {
		t.Errorf("on record: %q, want %q", got, want)
	}
	if !slices.Equal(d.Typed, []string{"2"}) {
		t.Errorf("opened by a password: %q", d.Typed)
	}
	if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "user:dana"); err != nil {
		t.Fatal(err)
	}
	if _, err := open(right); !errors.Is(err, gateway.ErrNotHeld) {
		t.Errorf("what is decided about: %v, want ErrNotHeld", err)
	}
}

// TestTwoPasswords: of two parts with a password each, the second one leaves the first
// read, with the gap that was in it.
func TestTwoPasswords(t *testing.T) {
	b := newBench(t)
	gap := func(sink dlp.Sink, path string, cause dlp.Cause) {
		if err := sink.Gap(dlp.Gap{Path: path, Cause: cause}); err != nil {
			t.Error(err)
		}
	}
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		if slices.Contains(doc.Passwords, "one") {
			gap(sink, "2/1", dlp.Corrupt)
		} else {
			gap(sink, "2", dlp.Encrypted)
		}
		if !slices.Contains(doc.Passwords, "two") {
			gap(sink, "21", dlp.Encrypted)
		}
	}
	doc := mail(out)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v", got.Kind)
	}
	for _, c := range []struct {
		password string
		gaps     []string
		typed    []string
	}{{"one", []string{"2/1 corrupt", "21 encrypted"}, []string{"2"}}, {"two", []string{"2/1 corrupt"}, []string{"2", "21"}}} {
		if got, err := b.OpenEncrypted(t.Context(), doc.ID, vault.Opened{}, "user:dana", c.password); err != nil || got.Parts != 1 {
			t.Fatalf("%s: %+v, %v", c.password, got, err)
		}
		d, err := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "user:dana")
		var gaps []string
		for _, g := range d.Gaps {
			gaps = append(gaps, g.Part+" "+g.Cause)
		}
		slices.Sort(gaps)
		if err != nil || !slices.Equal(gaps, c.gaps) || !slices.Equal(d.Typed, c.typed) {
			t.Errorf("%s: gaps %q, typed %q, %v; want %q, %q", c.password, gaps, d.Typed, err, c.gaps, c.typed)
		}
	}
	if _, err := b.OpenEncrypted(t.Context(), doc.ID, vault.Opened{}, "user:dana", "one"); !errors.Is(err, gateway.ErrPassword) {
		t.Errorf("once more: %v, want %v", err, gateway.ErrPassword)
	}
}
