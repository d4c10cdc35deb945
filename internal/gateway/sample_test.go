package gateway_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/sample"
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
	for deadline := time.Now().Add(10 * time.Second); len(kept) < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
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
