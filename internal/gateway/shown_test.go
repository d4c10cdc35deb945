package gateway_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// shower notes one finding, or breaks.
type shower struct{ breaks bool }

func (shower) Part(dlp.PartInfo) error { return nil }
func (shower) Text(dlp.Window) error   { return nil }
func (shower) Gap(dlp.Gap) error       { return nil }
func (s shower) Finish() vault.Shown {
	if s.breaks {
		panic("on purpose")
	}
	return vault.Shown{Parts: []vault.ShownPart{{Path: "1"}}, Findings: []vault.ShownFinding{{Rule: "us-ssn", Part: "1", Start: 1, End: 12, Masked: "***"}}}
}

// TestShownIsSealed: what reviewers see is sealed when a mail is held, and whatever
// goes wrong with it, the mail is held.
func TestShownIsSealed(t *testing.T) {
	for _, c := range []struct {
		name        string
		breaks      bool
		unreadAgain bool
		want        string
	}{{"it is there", false, false, "***"}, {"it breaks", true, false, ""}, {"the second reading fails", false, true, ""}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.verdict = map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Policy: "p", Rules: []dlp.RuleID{"us-ssn"}}}
			b.found = []dlp.Finding{{Rule: "us-ssn", Path: "1", Start: 1, End: 12}, {Rule: "us-ssn", Path: "1", Start: 20, End: 31}}
			reads := 0
			b.read = func(context.Context) error {
				if reads++; reads > 1 && c.unreadAgain {
					return errors.New("no")
				}
				return nil
			}
			b.sees = func(_ *dlp.Document, sink dlp.Sink) {
				if s, ok := sink.(dlp.SlowSink); reads > 1 && (!ok || !errors.Is(s.Slow(t.Context(), dlp.OCRReader), dlp.ErrWithout)) {
					t.Error("pictures would be read a second time")
				}
			}
			b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{found: b.found, parts: &b.parts} }, Policy: b,
				Show: func(found []dlp.Finding) gateway.Shower { return shower{c.breaks} }})
			doc := mail(out)
			if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
				t.Fatalf("outcome %v, want held", got.Kind)
			}
			d, err := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "user:dana")
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Findings) != 2 || d.Findings[0].Masked != c.want || d.Findings[1].Masked != "" || (len(d.Parts) == 1) != (c.want != "") {
				t.Errorf("shown: %+v, parts %+v", d.Findings, d.Parts)
			}
		})
	}
}
