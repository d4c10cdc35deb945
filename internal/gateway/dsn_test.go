package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestReportsAsAskedFor: what NOTIFY asks for decides whether a sender is told
// what became of a queued copy.
func TestReportsAsAskedFor(t *testing.T) {
	refuse := dlp.Delivery{Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
	relay := dlp.Delivery{Reply: dlp.Reply{Code: 250}, Relayed: true}
	report := dlp.Delivery{Reply: dlp.Reply{Code: 250}}
	for _, tc := range []struct {
		name, notify string
		get          dlp.Delivery
		want         string // the action reported, "" for no report
	}{
		{"refused", "", refuse, "failed"},
		{"refused, asked for", "FAILURE", refuse, "failed"},
		{"refused, not to be told", "NEVER", refuse, ""},
		{"refused, other things asked for", "SUCCESS,DELAY", refuse, ""},
		{"taken", "", relay, ""},
		{"taken, success asked for", "SUCCESS", relay, "relayed"},
		{"taken by who reports, success asked for", "SUCCESS", report, ""},
		{"taken, not to be told", "NEVER", relay, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.hop.deliver = func(a dlp.Address) dlp.Delivery {
				if a != out {
					return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
				}
				d := tc.get
				d.Rcpt = a
				return d
			}
			b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
			doc := mail(in, out)
			doc.Params.EnvID = "q 7"
			doc.RcptParams = []dlp.RcptParams{{}, {Notify: tc.notify, ORcpt: "rfc822;list@x.test"}}
			b.Message(t.Context(), doc, b.hop)
			texts := 1
			if tc.want != "" {
				texts = 2
			}
			runOutboxUntil(t, b, func() bool {
				q, err := b.ListQueue(t.Context(), false)
				return err == nil && len(q) == 0 && len(b.hop.texts()) >= texts
			})
			got := b.hop.texts()
			if len(got) != texts {
				t.Fatalf("got %d messages out, want %d: %q", len(got), texts, got)
			}
			if tc.want == "" {
				return
			}
			for _, want := range []string{"Action: " + tc.want, "Original-Envelope-Id: q 7", "Original-Recipient: rfc822; list@x.test", "Final-Recipient: rfc822; " + out.String()} {
				if !strings.Contains(got[1], want) {
					t.Errorf("the report lacks %q:\n%s", want, got[1])
				}
			}
		})
	}
}

// TestReportOnReleasedMail: it tells when the message came, not when somebody let
// it go. RFC 3464 2.2.5.
func TestReportOnReleasedMail(t *testing.T) {
	b := newBench(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a == out {
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(out)
	doc.Received = b.Now()
	b.Message(t.Context(), doc, b.hop)
	b.skew.Add(int64(50 * time.Hour))
	if _, err := b.Release(t.Context(), doc.ID, vault.Opened{}, "uid:7"); err != nil {
		t.Fatal(err)
	}
	runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) > 1 }) // what is refused, and the report
	if got, want := b.hop.texts()[1], "Arrival-Date: "+doc.Received.Format("Mon, 02 Jan 2006 15:04:05 -0700"); !strings.Contains(got, want) {
		t.Errorf("the report lacks %q:\n%s", want, got)
	}
}

// TestReportsRepeatNoText: what the rules find in an envelope stands in no report
// on the message and no notice; where they find nothing it does.
func TestReportsRepeatNoText(t *testing.T) {
	from, local := dlp.Address{Local: "SSN 536-22-8145", Domain: "clinic.example"}, dlp.Address{Local: "John 536-22-8145", Domain: "x.test"}
	domain := dlp.Address{Local: "john", Domain: "536-22-8145.test"}
	ssn := []dlp.Finding{{Rule: "us-ssn"}}
	for _, tc := range []struct {
		name  string
		to    dlp.Address
		found []dlp.Finding
		told  string
	}{
		{"found", local, ssn, "redacted@x.test"}, {"found in the domain", domain, ssn, "redacted@redacted.invalid"},
		{"clean", local, nil, ""}, {"clean domain", domain, nil, ""},
	} {
		to, found := tc.to, tc.found
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.found = found
			b.hop.deliver = func(a dlp.Address) dlp.Delivery {
				if a == to {
					return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
				}
				return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
			}
			b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p", Notify: []string{"sender"}}
			doc := mail(in, to)
			doc.Sender, doc.Params.EnvID = from, "q 536-22-8145"
			doc.RcptParams = []dlp.RcptParams{{}, {ORcpt: "rfc822;536-22-8145"}}
			b.Message(t.Context(), doc, b.hop)
			runOutboxUntil(t, b, func() bool {
				q, err := b.ListQueue(t.Context(), false)
				return err == nil && len(q) == 0 && len(b.hop.texts()) >= 3
			})
			report, notice := "", ""
			for _, text := range b.hop.texts() {
				switch {
				case strings.Contains(text, "Action: failed"):
					report = text
				case strings.Contains(text, "held for review"):
					notice = text
				}
			}
			if report == "" || notice == "" {
				t.Fatalf("no report or no notice among %q", b.hop.texts())
			}
			if got := strings.Contains(report+notice, "536-22-8145"); got != (found == nil) {
				t.Errorf("the number is repeated: %v\n%s\n%s", got, report, notice)
			}
			if found != nil && (!strings.Contains(report, "Final-Recipient: rfc822; "+tc.told+"\r\n") || !strings.Contains(notice, "To: undisclosed-recipients:;")) {
				t.Errorf("got\n%s\n%s", report, notice)
			}
		})
	}
}

// TestDelayIsToldOnce: a sender hears of a delay after four hours, once.
func TestDelayIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a == out {
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(in, out), b.hop)
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 {
		t.Fatal(q, err)
	}
	for i, wait := range []time.Duration{0, 4*time.Hour + time.Minute, 8 * time.Hour} {
		b.skew.Store(int64(wait))
		runOutboxUntil(t, b, func() bool {
			m, err := b.ShowQueued(t.Context(), q[0].ID)
			left, lerr := b.ListQueue(t.Context(), false)
			return err == nil && lerr == nil && m.Tries == i+1 && len(left) == 1
		})
		if got := strings.Count(strings.Join(b.hop.texts(), ""), "Action: delayed"); got != min(i, 1) {
			t.Errorf("after %v: told %d times, want %d", wait, got, min(i, 1))
		}
	}
}

// onwardWithoutDSN is a live transaction with a next hop that reports nothing.
type onwardWithoutDSN struct{ *hop }

func (onwardWithoutDSN) PassesDSN() bool { return false }

// TestPassedOnIsTold: who asked for success hears that the mail went on; that it
// cannot be said changes nothing.
func TestPassedOnIsTold(t *testing.T) {
	for _, tc := range []struct {
		name   string
		set    func(*bench, *dlp.Document)
		onward func(*bench) dlp.Onward
		queue  string
	}{
		{"asked for", func(*bench, *dlp.Document) {}, func(b *bench) dlp.Onward { return onwardWithoutDSN{b.hop} }, "dsn"},
		{"the next hop reports", func(*bench, *dlp.Document) {}, func(b *bench) dlp.Onward { return b.hop }, ""},
		{"not asked for", func(_ *bench, d *dlp.Document) { d.RcptParams = nil }, func(b *bench) dlp.Onward { return onwardWithoutDSN{b.hop} }, ""},
		{"from nobody", func(_ *bench, d *dlp.Document) { d.Sender = dlp.Address{} }, func(b *bench) dlp.Onward { return onwardWithoutDSN{b.hop} }, ""},
		{"no room", func(b *bench, _ *dlp.Document) { b.db.broken = errBroken }, func(b *bench) dlp.Onward { return onwardWithoutDSN{b.hop} }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			doc := mail(out)
			doc.RcptParams = []dlp.RcptParams{{Notify: "SUCCESS"}}
			tc.set(b, doc)
			if got := b.Message(t.Context(), doc, tc.onward(b)); got.Kind != dlp.Passed || !got.Reply.Positive() {
				t.Errorf("outcome %+v", got)
			}
			if got := queueKinds(t, b); got != tc.queue {
				t.Errorf("queue holds %q, want %q", got, tc.queue)
			}
		})
	}
}
