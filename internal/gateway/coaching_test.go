package gateway_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
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
	r, err := b.spool.Open(t.Context(), ms[len(ms)-1].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(text, []byte("=\r\n"), nil)) // RFC 2045 6.7: soft line breaks
}

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
