package gateway_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var holdFor = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p", Rules: []dlp.RuleID{"us-ssn"}}

// waiting says what the outbox has for whom, sorted.
func (b *bench) waiting(t *testing.T) string {
	t.Helper()
	ms, err := b.spool.List(t.Context(), spool.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range ms {
		for _, r := range m.Rcpts {
			if m.Kind != spool.Notice {
				out = append(out, string(m.Kind)+" "+r.Addr.Local)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestReleaseToSome: a release may be for some, or encrypted; then nobody gets it
// who is not named, and nobody in the clear.
func TestReleaseToSome(t *testing.T) {
	pat := dlp.Address{Local: "pat", Domain: "partner.example"}
	for _, c := range []struct {
		name  string
		rv    gateway.Review
		err   error
		queue string // what goes to whom
		held  string // for whom it still is
	}{
		{"to one", gateway.Review{Only: []string{"SAM@partner.example"}}, nil, "release sam", "nurse@clinic.example pat@partner.example"},
		{"to all by name", gateway.Review{Only: []string{"sam@partner.example", "pat@partner.example", "nurse@clinic.example"}}, nil, "release nurse, release pat, release sam", ""},
		{"to a stranger too", gateway.Review{Only: []string{"sam@partner.example", "eve@elsewhere.example"}}, gateway.ErrNotFor, "", "nurse@clinic.example pat@partner.example sam@partner.example"},
		{"encrypted to one with a way", gateway.Review{Encrypted: true, Only: []string{"sam@partner.example"}}, nil, "encrypted sam", "nurse@clinic.example pat@partner.example"},
		{"encrypted to all, one without a way", gateway.Review{Encrypted: true}, gateway.ErrNoWay, "", "nurse@clinic.example pat@partner.example sam@partner.example"},
		{"encrypted to one without a way", gateway.Review{Encrypted: true, Only: []string{"pat@partner.example"}}, gateway.ErrNoWay, "", "nurse@clinic.example pat@partner.example sam@partner.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			encrypting(t, b)
			b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor, in.String(): holdFor, pat.String(): holdFor}
			doc := withText(labs, out, pat, in)
			doc.RcptParams = []dlp.RcptParams{{Notify: "NEVER"}, {Notify: "FAILURE"}, {}}
			b.Message(t.Context(), doc, b.hop)
			_, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", c.rv)
			if !errors.Is(err, c.err) {
				t.Errorf("release: %v, want %v", err, c.err)
			}
			if got := b.waiting(t); got != c.queue {
				t.Errorf("the outbox has %q, want %q", got, c.queue)
			}
			if got := strings.Join(b.heldFor(t), " "); got != c.held {
				t.Errorf("held for %q, want %q", got, c.held)
			}
			if c.held == "" || c.err != nil {
				return
			}
			e, err := b.vault.Get(t.Context(), doc.ID)
			if err != nil || len(e.Envelope.RcptParams) != 2 || e.Envelope.RcptParams[0].Notify != "FAILURE" || len(e.Envelope.Released) != 1 {
				t.Errorf("the rest: %+v, %v", e.Envelope, err)
			}
			if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "user:dana"); err != nil {
				t.Errorf("reject the rest: %v", err)
			}
			if _, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", gateway.Review{}); !errors.Is(err, gateway.ErrNotHeld) {
				t.Errorf("release after that: %v", err)
			}
			if got := b.waiting(t); got != c.queue {
				t.Errorf("then the outbox has %q, want %q", got, c.queue)
			}
		})
	}
}

// TestRecoverPartRelease: of a release for some that was committed and has no
// outcome it is known after a restart that it was carried out.
func TestRecoverPartRelease(t *testing.T) {
	b := newBench(t)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor, in.String(): holdFor}
	doc := withText(labs, out, in)
	b.Message(t.Context(), doc, b.hop)
	if _, err := b.ReleaseFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", gateway.Review{Only: []string{out.String()}}); err != nil {
		t.Fatal(err)
	}
	ms, err := b.spool.Of(t.Context(), doc.ID)
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	for _, m := range ms {
		if m.Kind == spool.Release {
			seq = m.Seq
		}
	}
	for _, c := range []struct {
		seq  uint64
		want string
	}{{seq, audit.ResultRecovered}, {seq + 1, audit.ResultFailed}} {
		if err := b.Recover(t.Context(), []audit.Pending{{Seq: c.seq, Kind: audit.Release, Doc: doc.ID, Channel: dlp.Mail}}); err != nil {
			t.Fatal(err)
		}
		if got := b.audit.results(); got[len(got)-1] != c.want {
			t.Errorf("event %d: %q, want %q", c.seq, got[len(got)-1], c.want)
		}
	}
}

// TestSecondDecision: above the threshold two people decide the same, and neither
// twice.
func TestSecondDecision(t *testing.T) {
	found := []dlp.Finding{}
	for i := range 3 {
		found = append(found, dlp.Finding{Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{dlp.TagIdentifier}, Confidence: dlp.High, Severity: dlp.SeverityMedium,
			Path: "1", Start: int64(20 * i), End: int64(20*i + 11), ValueKey: dlp.ValueKey{byte(i + 1)}})
	}
	release := func(b *bench, id dlp.ID, actor string, rv gateway.Review) error {
		_, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, actor, rv)
		return err
	}
	for _, c := range []struct {
		name   string
		config gateway.ReviewConfig
		two    bool
	}{
		{"no threshold", gateway.ReviewConfig{}, false},
		{"fewer patients", gateway.ReviewConfig{SecondPatients: 4}, false},
		{"as many patients", gateway.ReviewConfig{SecondPatients: 3}, true},
		{"less severe", gateway.ReviewConfig{SecondSeverity: "high"}, false},
		{"as severe", gateway.ReviewConfig{SecondSeverity: "medium"}, true},
		{"more severe", gateway.ReviewConfig{SecondSeverity: "low"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBenchWith(t, func(cfg *gateway.Config) { cfg.Review = c.config })
			b.found = found
			b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor, in.String(): holdFor}
			doc := withText(labs, out, in)
			b.Message(t.Context(), doc, b.hop)
			d, err := b.ShowHeld(t.Context(), doc.ID, vault.Opened{}, "user:ann")
			if err != nil || d.Two != c.two || d.Patients != 3 {
				t.Errorf("shown: two %v, %d patients, %v", d.Two, d.Patients, err)
			}
			some := gateway.Review{Code: "payment", Words: "as agreed", Only: []string{out.String()}}
			if !c.two {
				if err := release(b, doc.ID, "user:ann", some); err != nil {
					t.Error(err)
				}
				return
			}
			for i, step := range []struct {
				actor string
				rv    gateway.Review
				want  error
			}{
				{"user:ann", some, gateway.ErrSecond},
				{"user:ann", some, gateway.ErrSame},
				{"user:bob", gateway.Review{Code: "payment"}, gateway.ErrSecond}, // to all: that is another decision
				{"user:ann", some, gateway.ErrSecond},
				{"user:bob", some, nil},
				{"user:bob", gateway.Review{Code: "payment"}, gateway.ErrSecond}, // the rest takes two again
			} {
				if err := release(b, doc.ID, step.actor, step.rv); !errors.Is(err, step.want) {
					t.Errorf("step %d, %s: %v, want %v", i+1, step.actor, err, step.want)
				}
				want := ""
				if i >= 4 {
					want = "release sam"
				}
				if got := b.waiting(t); got != want {
					t.Errorf("step %d: the outbox has %q, want %q", i+1, got, want)
				}
			}
			h, _, err := b.FindHeld(t.Context(), vault.Query{})
			if err != nil || len(h) != 1 || h[0].Proposed == nil || h[0].Proposed.By != "user:bob" {
				t.Errorf("listed: %+v, %v", h, err)
			}
			var kinds, reviews []string
			for _, e := range b.audit.events {
				if e.Kind == audit.Review {
					reviews = append(reviews, e.Actor+" "+e.Result)
				}
				if e.Kind == audit.Propose {
					kinds = append(kinds, fmt.Sprint(e.Actor, " ", e.Reason, " ", e.Rcpts))
				}
			}
			if want := []string{"user:ann release 1", "user:bob release 2", "user:ann release 1", "user:bob release 1"}; !slices.Equal(kinds, want) {
				t.Errorf("recorded %q, want %q", kinds, want)
			}
			if want := []string{"user:ann held", "user:bob held", "user:ann held", "user:bob ", "user:bob held"}; !slices.Equal(reviews, want) {
				t.Errorf("reasons recorded %q, want %q: who decides first leaves it held", reviews, want)
			}
			if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "user:ann"); err != nil {
				t.Errorf("one person rejects: %v", err)
			}
			events := len(b.audit.events)
			if err := b.RejectFor(t.Context(), doc.ID, vault.Opened{}, "user:bob", gateway.Review{Code: "payment"}); !errors.Is(err, gateway.ErrNotHeld) || len(b.audit.events) != events {
				t.Errorf("once more: %v, and %d events more, want %v and none", err, len(b.audit.events)-events, gateway.ErrNotHeld)
			}
		})
	}
}

// TestReasonIsTheSites: a person's reason is one of the site's.
func TestReasonIsTheSites(t *testing.T) {
	b := newBenchWith(t, func(cfg *gateway.Config) { cfg.Reasons = []string{"payment"} })
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	doc := withText(labs, out)
	b.Message(t.Context(), doc, b.hop)
	if err := b.RejectFor(t.Context(), doc.ID, vault.Opened{}, "uid:0", gateway.Review{Code: "nonsense"}); !errors.Is(err, gateway.ErrReason) {
		t.Errorf("got %v, want %v", err, gateway.ErrReason)
	}
	if got := b.heldFor(t); len(got) != 1 {
		t.Errorf("held for %q", got)
	}
}

// TestExpiry: what waits too long ends as configured and never leaves, and a clock
// that is wrong for a while ends nothing.
func TestExpiry(t *testing.T) {
	for outcome, want := range map[string]vault.State{"reject": vault.Rejected, "discard": vault.Expired} {
		t.Run(outcome, func(t *testing.T) {
			b := newBenchWith(t, func(cfg *gateway.Config) {
				cfg.Review = gateway.ReviewConfig{Expires: dlp.Duration(5 * 24 * time.Hour), Outcome: outcome}
				cfg.Reasons = []string{"payment"}
			})
			b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
			doc := withText(labs, out)
			doc.Received = b.now()
			b.Message(t.Context(), doc, b.hop)
			state := func(want vault.State) {
				t.Helper()
				if err := b.Expire(t.Context()); err != nil {
					t.Fatal(err)
				}
				e, err := b.vault.Get(t.Context(), doc.ID)
				if err != nil || e.State != want {
					t.Fatalf("it is %v, %v; want %v", e.State, err, want)
				}
			}
			state(vault.Held)
			b.skew.Store(int64(6 * 24 * time.Hour)) // a wrong clock, for a while
			state(vault.Held)
			b.skew.Store(0)
			b.ran.Store(int64(7 * time.Hour))
			state(vault.Held)
			b.skew.Store(int64(6 * 24 * time.Hour))
			state(vault.Held)
			b.ran.Store(int64(14 * time.Hour))
			if err := b.PlaceLegalHold(t.Context(), doc.ID, "a suit", "user:root"); err != nil {
				t.Fatal(err)
			}
			state(vault.Held)
			if err := b.LiftLegalHold(t.Context(), doc.ID, "settled", "user:root"); err != nil {
				t.Fatal(err)
			}
			state(vault.Held) // its time begins to be over now
			b.ran.Store(int64(21 * time.Hour))
			state(want)
			if got := b.waiting(t); got != "" {
				t.Errorf("the outbox has %q", got)
			}
		})
	}
}

// TestExpiryOfWhatDoesNotOpen: what is damaged stays for somebody to look at, and
// each look at the clock is not on record as a decision about it.
func TestExpiryOfWhatDoesNotOpen(t *testing.T) {
	b := newBenchWith(t, func(cfg *gateway.Config) {
		cfg.Review = gateway.ReviewConfig{Expires: dlp.Duration(5 * 24 * time.Hour), Outcome: "reject"}
	})
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	doc := withText(labs, out)
	doc.Received = b.now()
	b.Message(t.Context(), doc, b.hop)
	if err := b.Store.Commit(t.Context(), store.Change{Amend: []vault.Amendment{{ID: doc.ID, Sealed: []byte("no envelope")}}}); err != nil {
		t.Fatal(err)
	}
	b.skew.Store(int64(6 * 24 * time.Hour))
	for _, ran := range []time.Duration{0, 7 * time.Hour, 14 * time.Hour} {
		b.ran.Store(int64(ran))
		if err := b.Expire(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if es := b.audit.of(audit.Review); len(es) > 0 {
		t.Errorf("%d reasons of decisions on record, and nothing was decided", len(es))
	}
	if h, _, err := b.FindHeld(t.Context(), vault.Query{}); err != nil || len(h) != 1 || !h[0].Damaged || h[0].Ends != nil {
		t.Errorf("the list says %+v, %v", h, err)
	}
}

// TestExpiryBeforeTheClockWasSet: of what came while the clock stood in 1970 nobody
// knows how long it waits, so time does not end it.
func TestExpiryBeforeTheClockWasSet(t *testing.T) {
	b := newBenchWith(t, func(cfg *gateway.Config) {
		cfg.Review = gateway.ReviewConfig{Expires: dlp.Duration(5 * 24 * time.Hour), Outcome: "discard"}
	})
	b.verdict = map[string]dlp.RcptVerdict{out.String(): holdFor}
	doc := withText(labs, out)
	doc.Received = time.Unix(60, 0)
	b.Message(t.Context(), doc, b.hop)
	for _, ran := range []time.Duration{0, 7 * time.Hour, 14 * time.Hour} {
		b.ran.Store(int64(ran))
		if err := b.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.vault.Get(t.Context(), doc.ID)
	if err != nil || e.State != vault.Held {
		t.Errorf("it is %v, %v; want it held", e.State, err)
	}
	if h, err := b.Listed(t.Context(), doc.ID); err != nil || h.Ends != nil {
		t.Errorf("it is said to end at %v, %v", h.Ends, err)
	}
}

func TestReviewConfig(t *testing.T) {
	good := gateway.DefaultReview()
	if err := good.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, set := range map[string]func(*gateway.ReviewConfig){
		"review.second_patients": func(c *gateway.ReviewConfig) { c.SecondPatients = -1 },
		"review.second_severity": func(c *gateway.ReviewConfig) { c.SecondSeverity = "grave" },
		"review.expires":         func(c *gateway.ReviewConfig) { c.Expires = dlp.Duration(time.Minute) },
		"review.outcome":         func(c *gateway.ReviewConfig) { c.Outcome = "release" },
	} {
		c := gateway.DefaultReview()
		set(&c)
		if k, ok := errors.AsType[*dlp.KeyError](c.Validate()); !ok || k.Key != name {
			t.Errorf("%s: %v", name, c.Validate())
		}
	}
}
