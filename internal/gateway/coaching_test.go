package gateway_test

import (
	"bytes"
	"context"
	"io"
	"regexp"
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

// noticeOf is the text of the newest notice to the sender of id.
func noticeOf(t *testing.T, b *bench, id dlp.ID) string {
	t.Helper()
	ms, err := b.spool.Of(t.Context(), id)
	ms = slices.DeleteFunc(ms, func(m spool.Message) bool { return m.Kind != spool.Notice })
	if err != nil || len(ms) == 0 {
		t.Fatalf("%+v, %v: want a notice", ms, err)
	}
	return textOf(t, b, ms[len(ms)-1].ID)
}

// textOf is the text of a message of the spool, each of its paragraphs on one line.
func textOf(t *testing.T, b *bench, id dlp.ID) string {
	t.Helper()
	r, err := b.spool.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("=\r\n"), nil) // RFC 2045 6.7: soft line breaks
	return softLine.ReplaceAllString(string(text), "$1 $2")
}

// softLine is where notices wrap a paragraph.
var softLine = regexp.MustCompile(`(\S)\r\n(\S)`)

// TestSendersAreCoached: by the notice of a hold, the page behind its link and
// the notice of a reviewer's refusal, with the words of the rules that counted,
// each once and not without bound; and of no other rule.
func TestSendersAreCoached(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Sender = gateway.DefaultSender()
		c.Sender.Listen, c.Sender.URL = "127.0.0.1:1", "https://held.example/"
	})
	words := map[dlp.RuleID]dlp.Coaching{"us-ssn": {Text: "Use member numbers.", URL: "https://intranet.clinic.example/ssn"}, "us-itin": {Text: "Use member numbers.", URL: "https://intranet.clinic.example/ssn"},
		"mrn": {Text: "Never to payers."}, "dea": {Text: "Call."}, "npi": {Text: "One too many."}, "us-mbi": {Text: "Of another rule."}}
	b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{found: b.found, parts: &b.parts} }, Policy: b, Coaching: words})
	hold := holdIt
	hold.Rules = []dlp.RuleID{"us-ssn", "us-itin", "mrn", "dea"}
	b.verdict[out.String()] = hold
	id, token := holds(t, b, labs)
	first := noticeOf(t, b, id)
	for text, want := range map[string]int{"Use member numbers.": 1, "https://intranet.clinic.example/ssn": 1, "Never to payers.": 1, "Call.": 1, "Of another rule.": 0} {
		if got := strings.Count(first, text); got != want {
			t.Errorf("the notice says %q %d times, want %d:\n%s", text, got, want, first)
		}
	}
	m, err := b.SendersMail(t.Context(), token)
	if err != nil || len(m.Coaching) != 3 {
		t.Errorf("the page is given %+v, %v; want three", m.Coaching, err)
	}
	if err := b.Reject(t.Context(), id, vault.Opened{}, "user:ann"); err != nil {
		t.Fatal(err)
	}
	if last := noticeOf(t, b, id); last == first || !strings.Contains(last, "Never to payers.") {
		t.Errorf("the notice of the refusal does not say it:\n%s", last)
	}

	hold.Rules = append(hold.Rules, "npi")
	b.verdict[out.String()] = hold
	_, token = holds(t, b, labs+" once more")
	if m, err := b.SendersMail(t.Context(), token); err != nil || len(m.Coaching) != 3 {
		t.Errorf("the page is given %+v, %v; want three of four", m.Coaching, err)
	}
	b.SetRules(nil)
	if m, err := b.SendersMail(t.Context(), token); err != nil || m.Coaching != nil {
		t.Errorf("without rules the page is given %+v, %v", m.Coaching, err)
	}
}

// coachedRules are rules with kinds of data and words for senders.
func coachedRules(b *bench) *gateway.Rules {
	return &gateway.Rules{Detect: func() gateway.Detection { return &detection{found: b.found, parts: &b.parts} }, Policy: b,
		Coaching: map[dlp.RuleID]dlp.Coaching{"us-ssn": {Text: "Use member numbers."}, "mrn": {Text: "Never to payers."}, "dea": {Text: "Call."}},
		Types:    map[dlp.RuleID]dlp.Type{"us-ssn": "SSN", "mrn": "MRN", "dea": "DEA"}}
}

func wants(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
}

// TestRulesOfAllRecipients: an item has the rules and the causes of all for whom it
// is held, and of nobody else; so has the record of its decision, and what its sender
// is told after a refusal.
func TestRulesOfAllRecipients(t *testing.T) {
	b := newBench(t)
	b.SetRules(coachedRules(b))
	third := dlp.Address{Local: "third", Domain: "other.example"}
	hold := func(cause dlp.Cause, rules ...dlp.RuleID) dlp.RcptVerdict {
		v := holdIt
		v.Rules, v.Causes = rules, []dlp.Cause{cause}
		return v
	}
	b.verdict[out.String()] = hold(dlp.Image, "us-ssn")
	b.verdict[second.String()] = hold(dlp.Encrypted, "mrn", "us-ssn")
	b.verdict[third.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "r", Rules: []dlp.RuleID{"dea"}}
	o := b.Message(t.Context(), withText(labs, out, second, third), b.hop)
	e, err := b.vault.Get(t.Context(), o.ID)
	if err != nil || !slices.Equal(e.Rules, []dlp.RuleID{"mrn", "us-ssn"}) || !slices.Equal(e.Causes, []dlp.Cause{dlp.Encrypted, dlp.Image}) && !slices.Equal(e.Causes, []dlp.Cause{dlp.Image, dlp.Encrypted}) {
		t.Fatalf("outcome %v: the item has %v and %v, %v", o.Kind, e.Rules, e.Causes, err)
	}
	wants(t, "the notice of the hold", noticeOf(t, b, o.ID), "Use member numbers.", "Never to payers.", "an encrypted part", "a picture")
	if err := b.Reject(t.Context(), o.ID, vault.Opened{}, "user:ann"); err != nil {
		t.Fatal(err)
	}
	last := noticeOf(t, b, o.ID)
	wants(t, "the notice of the refusal", last, "Your message was refused", "a Social Security number", "a medical record number", "an encrypted part", "a picture", "Use member numbers.", "Never to payers.")
	if strings.Contains(last, "DEA") || strings.Contains(last, "Call.") {
		t.Errorf("it speaks of what was refused for another:\n%s", last)
	}
	ms, err := b.spool.Of(t.Context(), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(ms, func(m spool.Message) bool { return m.Kind == spool.DSN }); i < 0 {
		t.Errorf("%+v: no report about whom it was refused for", ms)
	} else {
		wants(t, "the report", textOf(t, b, ms[i].ID), "Call.")
	}

	b.verdict = map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Rules: []dlp.RuleID{"mrn"}}, second.String(): {Action: dlp.Hold, Rules: []dlp.RuleID{"dea"}}}
	b.Message(t.Context(), withText(labs+" again", out, second), b.hop)
	var decided []dlp.RuleID
	for _, e := range b.audit.events {
		if e.Kind == audit.Decision {
			decided = e.Rules
		}
	}
	if !slices.Equal(decided, []dlp.RuleID{"dea", "mrn"}) {
		t.Errorf("the record of the decision has %v", decided)
	}
}

// TestReportSaysWhatWasNotRead: who is refused for a part that could not be read is
// told so.
func TestReportSaysWhatWasNotRead(t *testing.T) {
	b := newBench(t)
	b.SetRules(coachedRules(b))
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "r", Causes: []dlp.Cause{dlp.Encrypted}}
	b.verdict[second.String()] = holdIt
	o := b.Message(t.Context(), withText(labs, out, second), b.hop)
	ms, err := b.spool.Of(t.Context(), o.ID)
	i := slices.IndexFunc(ms, func(m spool.Message) bool { return m.Kind == spool.DSN })
	if err != nil || i < 0 {
		t.Fatalf("%+v, %v: want a report", ms, err)
	}
	wants(t, "the report", textOf(t, b, ms[i].ID), "It was refused, because something in it could not be read: an encrypted part.")
}

// TestExpiryIsToldWithCoaching: who is told that nobody decided in time is told of
// what, and how such data may be sent.
func TestExpiryIsToldWithCoaching(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Review = gateway.ReviewConfig{Expires: dlp.Duration(24 * time.Hour), Outcome: "reject"}
	})
	b.SetRules(coachedRules(b))
	v := holdIt
	v.Notify = nil
	b.verdict[out.String()] = v
	doc := withText(labs, out)
	doc.Received = b.now()
	o := b.Message(t.Context(), doc, b.hop)
	for _, ran := range []time.Duration{25 * time.Hour, 32 * time.Hour} {
		b.skew.Store(int64(ran))
		b.ran.Store(int64(ran))
		if err := b.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, "the notice", noticeOf(t, b, o.ID), "nobody decided about it in time", "a Social Security number", "Use member numbers.")
}

// TestWhatWaitsIsCoached: at the pickup pages, whether it went there at once or
// after a hold.
func TestWhatWaitsIsCoached(t *testing.T) {
	b := telling(t)
	c := encrypting(t, b)
	c.to[out.String()] = dlp.Portal
	r := coachedRules(b)
	found := []dlp.Finding{{Rule: "us-ssn", Type: "SSN", Path: "1", End: 1}}
	r.Ways, r.Detect = c, func() gateway.Detection { // nothing is in what goes encrypted
		d := &detection{found: found, parts: &b.parts}
		found = nil
		return d
	}
	b.SetRules(r)
	v := encryptIt
	v.Rules = []dlp.RuleID{"us-ssn"}
	b.verdict[out.String()] = v
	id, _ := sits(t, b, labs, out)
	text := noticeOf(t, b, id)
	wants(t, "the notice", text, "went encrypted, because it appears to contain a Social Security number.", "Use member numbers.")

	b.verdict[out.String()] = holdIt
	id, held := holds(t, b, strings.Replace(labs, "labs", "held", 1))
	if err := b.SenderEncrypts(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	wants(t, "the notice after a hold", noticeOf(t, b, id), "went encrypted, because it appears to contain a Social Security number.", "Use member numbers.")
}

// TestStubOfASweepIsCoached: a stub that a later start leaves says what the vault
// tells of its file; that of one that it does not know says where it is.
func TestStubOfASweepIsCoached(t *testing.T) {
	b := newBench(t)
	b.SetRules(coachedRules(b))
	doc := file()
	it, err := b.vault.Seal(t.Context(), doc, vault.Case{Envelope: vault.Envelope{Root: doc.Root, Path: doc.Name}, Channel: dlp.File,
		Verdict: dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: dlp.Hold, Rules: []dlp.RuleID{"us-ssn"}, Causes: []dlp.Cause{dlp.Encrypted}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.db.Commit(t.Context(), store.Change{Hold: []vault.Item{it}}); err != nil {
		t.Fatal(err)
	}
	wants(t, "the stub", string(b.StubText(t.Context(), doc.ID)), "a Social Security number", "an encrypted part", "Use member numbers.", string(doc.ID))
	other := dlp.NewID()
	wants(t, "the stub of another", string(b.StubText(t.Context(), other)), "held for review", string(other))
}

// TestOnePersonInTheLog: however an address is written, it has one pseudonym, as it is
// one person's to policies and departments.
func TestOnePersonInTheLog(t *testing.T) {
	b := newBench(t)
	for _, local := range []string{"ada", "ADA"} {
		doc := withText(labs, dlp.Address{Local: local, Domain: out.Domain})
		doc.Sender.Local = local
		b.Message(t.Context(), doc, b.hop)
	}
	seen := map[string]int{}
	for _, e := range b.audit.events {
		if e.Kind == audit.Decision {
			seen[e.Sender+" "+strings.Join(e.RcptKeys, " ")]++
		}
	}
	if len(seen) != 1 {
		t.Errorf("on record: %v", seen)
	}
}

// TestDepartmentOnRecord: a decision about mail has what stands for its sender's
// department, also for none; one about a file, and where there are no departments, has not.
func TestDepartmentOnRecord(t *testing.T) {
	b := newBench(t)
	last := func() string {
		var dept string
		for _, e := range b.audit.events {
			if e.Kind == audit.Decision {
				dept = e.Department
			}
		}
		return dept
	}
	b.Message(t.Context(), withText(labs, out), b.hop)
	if got := last(); got != "" {
		t.Errorf("without departments: %q", got)
	}
	for _, name := range []string{"Ward 7", ""} {
		r := coachedRules(b)
		r.Department = func(a dlp.Address) string {
			if a.String() != "ada@clinic.example" {
				t.Errorf("asked for %v", a)
			}
			return name
		}
		b.SetRules(r)
		b.Message(t.Context(), withText(labs+name, out), b.hop)
		if got, want := last(), b.Names.Pseudonym(gateway.DepartmentKind, name); got != want || got == "" {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	b.File(t.Context(), file(), &claimed{take: func(context.Context) error { return nil }})
	if got := last(); got != "" {
		t.Errorf("a file: %q", got)
	}
}
