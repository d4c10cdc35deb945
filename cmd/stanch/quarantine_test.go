package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestHeldTable: how a line of `quarantine list` says what stands about a hold.
func TestHeldTable(t *testing.T) {
	at := time.Date(2026, 11, 26, 9, 30, 0, 0, time.Local)
	base := func(change func(*gateway.Held)) gateway.Held {
		h := gateway.Held{ID: "abcdefghijklmnopqrstuvwxya", Channel: "mail", State: "held", Received: at, Policy: "phi",
			Rules: []dlp.RuleID{"us-ssn", "mrn"}, Sender: "ada@clinic.example", Recipients: []string{"sam@partner.example"}}
		change(&h)
		return h
	}
	for _, tc := range []struct {
		name   string
		change func(*gateway.Held)
		want   string // from state on
	}{
		{"mail", func(*gateway.Held) {}, "held 2026-11-26 09:30:00 mail ada@clinic.example sam@partner.example phi us-ssn,mrn"},
		{"urgent, one to many", func(h *gateway.Held) {
			h.Urgent, h.AnswerBy, h.Recipients = true, &at, []string{"sam@partner.example", "a@b.example", "c@d.example"}
		}, "held, urgent: answer by 09:30:00 2026-11-26 09:30:00 mail ada@clinic.example sam@partner.example and 2 more phi us-ssn,mrn"},
		{"released, and where it is", func(h *gateway.Held) { h.State, h.Delivery = "released", "queued" },
			"released, queued 2026-11-26 09:30:00 mail ada@clinic.example sam@partner.example phi us-ssn,mrn"},
		{"damaged", func(h *gateway.Held) { h.Damaged, h.Sender, h.Recipients = true, "", nil },
			"held, damaged 2026-11-26 09:30:00 mail ? phi us-ssn,mrn"},
		{"file, unread", func(h *gateway.Held) {
			h.Channel, h.Path, h.Sender, h.Recipients, h.Policy, h.Rules, h.Causes = "file", "a/b.zip", "", nil, "", nil, []string{"encrypted", "depth"}
		}, "held 2026-11-26 09:30:00 file a/b.zip (on_gap) encrypted,depth"},
		{"by nobody's policy, from nobody", func(h *gateway.Held) { h.Policy, h.Rules, h.Sender = "", nil, "" },
			"held 2026-11-26 09:30:00 mail <> sam@partner.example (none)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (&app{out: &out}).heldTable([]gateway.Held{base(tc.change)}, ""); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
			if len(lines) != 2 {
				t.Fatalf("got %q", out.String())
			}
			got := strings.Join(strings.Fields(lines[1])[1:], " ")
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	var out bytes.Buffer
	if err := (&app{out: &out}).heldTable([]gateway.Held{base(func(h *gateway.Held) { h.Header = "<a@b>" })}, "Message-ID"); err != nil ||
		!strings.Contains(out.String(), "MESSAGE-ID") || !strings.Contains(out.String(), "<a@b>") {
		t.Errorf("with a header field: %q, %v", out.String(), err)
	}
}
