package gateway_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
)

// told returns the notices in the outbox, each as it reads.
func told(t *testing.T, b *bench) (out []string) {
	t.Helper()
	q, err := b.ListQueue(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range q {
		if m.Kind != "notice" {
			continue
		}
		r, err := b.spool.Open(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close() // read whole
		out = append(out, strings.Join(m.Recipients, ",")+"\n"+string(text))
	}
	return out
}

func officers(t *testing.T, change func(*notify.Config)) *bench {
	t.Helper()
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Notices.Officers = []string{"privacy@clinic.example"}
		change(&c.Notices)
	})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p", Rules: []dlp.RuleID{"us-ssn"}}
	return b
}

func holdOne(t *testing.T, b *bench) dlp.ID {
	t.Helper()
	o := b.Message(t.Context(), withText("Message-ID: <"+string(dlp.NewID())+"@clinic.example>\r\nSubject: Quillfeather\r\n\r\nx\r\n", out), b.hop)
	if o.Kind != dlp.Held {
		t.Fatal(o.Kind)
	}
	return o.ID
}

// TestOfficersAreToldAtOnce of what is held for a finding as severe as they said,
// and of no more than a bound within an hour.
func TestOfficersAreToldAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		least string
		found dlp.Finding
		want  int
	}{
		{"as severe", "medium", dlp.Finding{Rule: "us-ssn", Type: "SSN", Severity: dlp.SeverityMedium}, 1},
		{"worse", "medium", dlp.Finding{Rule: "us-ssn", Type: "SSN", Severity: dlp.SeverityHigh}, 1},
		{"milder", "medium", dlp.Finding{Rule: "us-ssn", Type: "SSN", Severity: dlp.SeverityLow}, 0},
		{"not what it is held for", "low", dlp.Finding{Rule: "other", Type: "URL", Severity: dlp.SeverityHigh}, 0},
		{"not asked for", "", dlp.Finding{Rule: "us-ssn", Type: "SSN", Severity: dlp.SeverityHigh}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := officers(t, func(c *notify.Config) { c.AtOnce = tt.least })
			b.found = []dlp.Finding{tt.found}
			id := holdOne(t, b)
			got := told(t, b)
			if len(got) != tt.want {
				t.Fatalf("told %d times, want %d:\n%s", len(got), tt.want, got)
			}
			if tt.want == 1 && (!strings.HasPrefix(got[0], "privacy@clinic.example\n") || !strings.Contains(got[0], "a Social Security number") ||
				!strings.Contains(got[0], string(id)) || strings.Contains(got[0], "Quillfeather") || strings.Contains(got[0], out.Domain)) {
				t.Errorf("the notice reads\n%s", got[0])
			}
		})
	}
	b := officers(t, func(c *notify.Config) { c.AtOnce = "high" })
	b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN"}}
	for range notify.AtOnceTimes + 3 {
		holdOne(t, b)
	}
	if n := len(told(t, b)); n != notify.AtOnceTimes {
		t.Errorf("told %d times within an hour, want %d", n, notify.AtOnceTimes)
	}
	b.skew.Store(int64(time.Hour + time.Minute))
	holdOne(t, b)
	if n := len(told(t, b)); n != notify.AtOnceTimes+1 {
		t.Errorf("told %d times, want once more after an hour", n)
	}
}

// TestWhoWasNotToldMayBeTold holds that a hold that was not kept uses up none of the
// times that officers may be told.
func TestWhoWasNotToldMayBeTold(t *testing.T) {
	b := officers(t, func(c *notify.Config) { c.AtOnce = "high" })
	b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN"}}
	b.db.broken = errors.New("the disk is gone")
	for range notify.AtOnceTimes + 1 {
		if o := b.Message(t.Context(), mail(out), b.hop); o.Kind == dlp.Held {
			t.Fatal("held without a disk")
		}
	}
	b.db.broken = nil
	holdOne(t, b)
	if n := len(told(t, b)); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
}

// TestDigest goes out once at its time, says how much is held, and is left out
// while nothing is.
func TestDigest(t *testing.T) {
	begun := time.Now().Add(time.Hour).Format("15:04")
	b := officers(t, func(c *notify.Config) { c.Digest = []string{begun} })
	next := func(want int) {
		t.Helper()
		for range 2 {
			if err := b.Digest(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(told(t, b)); n != want {
			t.Fatalf("%d digests, want %d", n, want)
		}
	}
	next(0) // nothing is held
	b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN"}}
	holdOne(t, b)
	holdOne(t, b)
	next(0) // not its time
	b.skew.Store(int64(time.Hour + 2*time.Minute))
	next(1)
	b.skew.Store(int64(25*time.Hour + 3*time.Minute))
	holdOne(t, b)
	next(2)
	b.skew.Store(int64(400 * 24 * time.Hour)) // a clock that is wrong for a while
	next(3)
	b.skew.Store(int64(49*time.Hour + 4*time.Minute))
	next(4)
	got := told(t, b)[:2]
	for i, want := range [][]string{{"Subject: 2 held and waiting", "us-ssn: 2", "Held by gw.example: 2."}, {"Subject: 3 held and waiting", "us-ssn: 3"}} {
		for _, w := range want {
			if !strings.Contains(got[i], w) || strings.Contains(got[i], "Quillfeather") {
				t.Errorf("digest %d lacks %q:\n%s", i, w, got[i])
			}
		}
	}
}
