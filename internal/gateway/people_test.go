package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// people are accounts: who is gone, and whose deputy whom.
type people struct {
	gone   map[string]bool
	deputy map[string]string
	own    map[string]string
	broken error
}

func (p *people) Counts(actor string, _ time.Time) (bool, error) { return !p.gone[actor], p.broken }

func (p *people) One(a, b string, _ time.Time) (bool, error) {
	return a == b || p.deputy[a] == b || p.deputy[b] == a, p.broken
}

func (p *people) Sent(actor string, from dlp.Address) (bool, error) {
	return strings.EqualFold(p.own[actor], from.String()), p.broken
}

func (p *people) Deciding() ([]string, error) { return []string{"user:dana", "user:eve"}, p.broken }

func (p *people) WithDeputies(to []dlp.Address) ([]dlp.Address, error) {
	return append(to, dlp.Address{Local: "luis", Domain: "clinic.example"}), p.broken
}

// TestTwoPeople: a deputy is no second person, who may decide no more is no first,
// and nobody releases their own mail. Where that is not known nothing goes.
func TestTwoPeople(t *testing.T) {
	p := &people{gone: map[string]bool{}, deputy: map[string]string{"user:luis": "user:ann"}, own: map[string]string{"user:sender": "WARD@clinic.example"}}
	b := newBenchWith(t, func(cfg *gateway.Config) { cfg.Review = gateway.ReviewConfig{SecondSeverity: "low"} })
	b.People = p
	b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN", Confidence: dlp.High, Severity: dlp.SeverityHigh, Path: "1", End: 11}}
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor, in.String(): holdFor}
	doc := withText(labs, out, in)
	doc.Sender = dlp.Address{Local: "Ward", Domain: "clinic.example"}
	b.Message(t.Context(), doc, b.hop)
	for i, step := range []struct {
		actor string
		do    func()
		want  error
	}{
		{"user:sender", nil, gateway.ErrOwn},
		{"user:ann", nil, gateway.ErrSecond},
		{"user:luis", nil, gateway.ErrSame},
		{"user:bob", func() { p.broken = errors.New("damaged") }, p.broken},
		{"user:bob", func() { p.broken, p.gone["user:ann"] = nil, true }, gateway.ErrSecond}, // ann's counts no more
		{"user:bob", nil, gateway.ErrSame},
		{"user:luis", nil, nil},
	} {
		if step.do != nil {
			step.do()
		}
		_, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, step.actor, gateway.Review{})
		if i == 3 {
			if err == nil || errors.Is(err, gateway.ErrSecond) {
				t.Errorf("where accounts cannot be read: %v", err)
			}
		} else if !errors.Is(err, step.want) {
			t.Errorf("step %d, %s: %v, want %v", i+1, step.actor, err, step.want)
		}
		if got := b.waiting(t); (got != "") != (i == 6) {
			t.Errorf("step %d: the outbox has %q", i+1, got)
		}
	}
}

// TestRecipientInAnotherCase: recipients that differ in the case of letters alone are
// one: a release to one of them is to both.
func TestRecipientInAnotherCase(t *testing.T) {
	sam, same := dlp.Address{Local: "sam", Domain: "partner.example"}, dlp.Address{Local: "Sam", Domain: "Partner.example"}
	for name, only := range map[string][]string{"one named": {"SAM@partner.example"}, "both named": {sam.String(), same.String()}} {
		b := newBench(t)
		b.verdict = map[string]dlp.RcptVerdict{sam.String(): holdFor, same.String(): holdFor, in.String(): holdFor}
		doc := withText(labs, sam, same, in)
		b.Message(t.Context(), doc, b.hop)
		if _, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, "user:ann", gateway.Review{Only: only}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h, err := b.Listed(t.Context(), doc.ID)
		if err != nil || len(h.Recipients) != 1 || h.Recipients[0] != in.String() {
			t.Errorf("%s: held still for %q, %v", name, h.Recipients, err)
		}
	}
}

// TestDeputiesAreTold what officers are told; where they are not known the officers
// are told all the same.
func TestDeputiesAreTold(t *testing.T) {
	b := officers(t, func(c *notify.Config) { c.AtOnce = "high" })
	p := &people{}
	b.People = p
	b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN"}}
	holdOne(t, b)
	if got := told(t, b); len(got) != 2 || !strings.HasPrefix(strings.Join(got, "\n"), "privacy@") || !strings.Contains(strings.Join(got, "\n"), "luis@clinic.example") {
		t.Errorf("told:\n%s", got)
	}
	p.broken = errors.New("damaged")
	holdOne(t, b)
	if n := len(told(t, b)); n != 3 {
		t.Errorf("told %d times, want the officer once more", n)
	}
}
