package gateway_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestPasswordsOfThePair holds which mails are tried with what another named: those
// between the same two, either way, for an hour.
func TestPasswordsOfThePair(t *testing.T) {
	b := newBench(t)
	var got []string
	b.sees = func(doc *dlp.Document, sink dlp.Sink) {
		if s, ok := sink.(dlp.PasswordSink); ok {
			if got = s.Passwords(); len(got) == 0 {
				s.Named([]string{"Kolibri-77"})
			}
		} else {
			got = []string{"no mail"}
		}
	}
	first := mail(out)
	ada := first.Sender
	answer := mail(ada)
	answer.Sender = out
	stranger := mail(dlp.Address{Local: "eve", Domain: "elsewhere.example"})
	report := mail(out)
	report.Sender = dlp.Address{}
	want := func(name string, doc *dlp.Document, want ...string) {
		t.Helper()
		b.Message(t.Context(), doc, b.hop)
		if !slices.Equal(got, want) {
			t.Errorf("%s: tried with %q, want %q", name, got, want)
		}
	}
	want("the first", first)
	want("the next", mail(out), "Kolibri-77")
	want("to several", mail(in, out), "Kolibri-77")
	want("an answer", answer, "Kolibri-77")
	want("to somebody else", stranger)
	want("a report", report)
	b.File(t.Context(), file(), &claimed{})
	if !slices.Equal(got, []string{"no mail"}) {
		t.Errorf("a file: tried with %q", got)
	}
	b.skew.Store(int64(time.Hour - time.Minute))
	want("within the hour", mail(out), "Kolibri-77")
	b.skew.Store(int64(time.Hour))
	want("after it", mail(out))
}
