package gateway_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// sides are of rules of which one holds what has the word that it knows.
type sides struct {
	detection
	word string
}

func (s *sides) Text(w dlp.Window) error {
	if strings.Contains(string(w.Text), s.word) {
		s.found = append(s.found, dlp.Finding{Rule: "word", Type: "CUSTOM", Confidence: dlp.High, Path: "1", End: int64(len(s.word))})
	}
	return nil
}

func (s *sides) Masked(found []dlp.Finding) []string {
	out := make([]string, len(found))
	for i := range out {
		out[i] = "****"
	}
	return out
}

func holding(b *bench, word string) gateway.Side {
	return gateway.Side{RuleSet: "aabbccddeeff0011", Detect: func() gateway.Masking { return &sides{detection{parts: &b.parts}, word} },
		Decide: func(doc *dlp.Document, found []dlp.Finding, _ []dlp.Gap) dlp.Verdict {
			v := dlp.RcptVerdict{Action: dlp.Allow}
			if len(found) > 0 {
				v = dlp.RcptVerdict{Action: dlp.Hold, Rules: []dlp.RuleID{"word"}}
			}
			return dlp.Verdict{Rcpts: []dlp.RcptVerdict{v}}
		}}
}

// TestReplay: each document is read once and judged by both sides; what differs is
// told, with what a reviewer decided, and the look is on record once.
func TestReplay(t *testing.T) {
	b := newBench(t)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	texts := map[dlp.ID]string{}
	reads := 0
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		reads++
		if err := errors.Join(sink.Part(dlp.PartInfo{Path: "1"}), sink.Text(dlp.Window{Text: []byte(texts[doc.ID])})); err != nil {
			t.Error(err)
		}
	}
	hold := func(text string) dlp.ID {
		doc := withText(strings.Replace(labs, "\r\n\r\n", "\r\n\r\n"+text+"\r\n", 1), out)
		texts[doc.ID] = text
		b.Message(t.Context(), doc, b.hop)
		return doc.ID
	}
	ids := map[string]dlp.ID{}
	for _, text := range []string{"old and new", "old", "new", "neither", "new, released", "old, rejected", "new, released for another reason"} {
		ids[text] = hold(text)
	}
	codes := map[dlp.ID]string{ids["new, released"]: "not_phi", ids["new, released for another reason"]: "payment"}
	for id, code := range codes {
		if _, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, "user:dana", gateway.Review{Code: code}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Reject(t.Context(), ids["old, rejected"], vault.Opened{}, "user:dana"); err != nil {
		t.Fatal(err)
	}
	reads = 0
	looks := len(b.audit.events)
	r, err := b.Replay(t.Context(), gateway.ReplayQuery{Codes: codes}, holding(b, "old"), holding(b, "new"), "user:ann")
	if err != nil {
		t.Fatal(err)
	}
	if reads != len(ids) || r.Read != len(ids) || r.Decided != 3 || r.Same != 2 || r.Cut {
		t.Errorf("%d extractions, %+v", reads, r)
	}
	events := b.audit.events[looks:]
	if len(events) != 1 || events[0].Kind != audit.Look || events[0].Reason != audit.ReasonReplay || events[0].Findings != len(ids) || events[0].Actor != "user:ann" {
		t.Errorf("on record: %+v", events)
	}
	want := map[string]string{"old": "no_longer_held", "new": "newly_held", "new, released": "newly_held contradicts_release",
		"old, rejected": "no_longer_held contradicts_reject", "new, released for another reason": "newly_held"}
	for _, c := range r.Changes {
		text := texts[c.ID]
		if got := strings.Join(c.What, " "); got != want[text] {
			t.Errorf("%s: %q, want %q", text, got, want[text])
		}
		if len(c.Findings) != 1 || c.Findings[0].Masked != "****" || c.Findings[0].Before+c.Findings[0].After != "high" {
			t.Errorf("%s: findings %+v", text, c.Findings)
		}
		delete(want, text)
	}
	if len(want) > 0 {
		t.Errorf("not told of: %v", want)
	}
	if len(r.Rules) != 1 || r.Rules[0] != (gateway.ReplayRule{Rule: "word", Before: 3, After: 4}) {
		t.Errorf("rules: %+v", r.Rules)
	}
	if r, err = b.Replay(t.Context(), gateway.ReplayQuery{Limit: 2}, holding(b, "old"), holding(b, "new"), ""); err != nil || !r.Cut || r.Read != 2 {
		t.Errorf("the newest two: %+v, %v", r, err)
	}
	if r, err = b.Replay(t.Context(), gateway.ReplayQuery{Since: b.Now().AddDate(0, 0, 1)}, holding(b, "old"), holding(b, "new"), ""); err != nil || r.Read != 0 {
		t.Errorf("what came since tomorrow: %+v, %v", r, err)
	}
	b.panics = true
	if r, err = b.Replay(t.Context(), gateway.ReplayQuery{}, holding(b, "old"), holding(b, "new"), ""); err != nil || r.Failed != len(ids) {
		t.Errorf("reading that breaks: %+v, %v", r, err)
	}
}

// TestReplayNeedsItsRecord: no record, no look.
func TestReplayNeedsItsRecord(t *testing.T) {
	b := newBench(t)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	b.Message(t.Context(), withText(labs, out), b.hop)
	reads := 0
	b.sees = func(*dlp.Document, dlp.Sink) { reads++ }
	b.audit.breaksAt = audit.Look
	if _, err := b.Replay(t.Context(), gateway.ReplayQuery{}, holding(b, "old"), holding(b, "new"), ""); !errors.Is(err, errBroken) || reads != 0 {
		t.Errorf("without a record: %v, %d read", err, reads)
	}
}

// TestReplayTellsWhatItDidNotRead: a part that a typed password had opened is not read
// again, and the document is not counted as one that is as before.
func TestReplayTellsWhatItDidNotRead(t *testing.T) {
	const right = "Kolibri-77"
	b := newBench(t)
	b.found = []dlp.Finding{{Rule: "mrn", Type: "MRN", Path: "1", End: 9, Confidence: dlp.Medium}}
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		gaps := []dlp.Gap{{Path: "3", Cause: dlp.Corrupt}}
		if !slices.Contains(doc.Passwords, right) {
			gaps = append(gaps, dlp.Gap{Path: "2", Cause: dlp.Encrypted})
		}
		for _, gap := range gaps {
			if err := sink.Gap(gap); err != nil {
				t.Error(err)
			}
		}
	}
	doc := mail(out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v", got.Kind)
	}
	replay := func() gateway.Replayed {
		t.Helper()
		r, err := b.Replay(t.Context(), gateway.ReplayQuery{}, holding(b, "old"), holding(b, "new"), "user:ann")
		if err != nil {
			t.Fatal(err)
		}
		if r.Read != 1 || r.Same != 0 || r.Found != 0 || r.Unread != 1 || len(r.Parts) != 1 || len(r.Changes) != 0 {
			t.Fatalf("replayed: %+v", r)
		}
		return r
	}
	if got := replay().Parts[0]; got.ID != doc.ID || got.State != "held" || got.After != "allow" || got.Parts != 2 || got.Typed != 0 || !slices.Equal(got.Causes, []string{"corrupt", "encrypted"}) {
		t.Errorf("not read: %+v", got)
	}
	if _, err := b.OpenEncrypted(t.Context(), doc.ID, vault.Opened{}, "user:dana", right); err != nil {
		t.Fatal(err)
	}
	if got := replay().Parts[0]; got.Typed != 1 || got.Parts != 2 {
		t.Errorf("after a password was typed: %+v", got)
	}
}
