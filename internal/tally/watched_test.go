package tally_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// TestWatchedBy: what a policy on trial would have done is counted by its rules and
// by senders, apart from the figures that a dashboard reads.
func TestWatchedBy(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	db, _ := openStore(t)
	const ada, sam = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	for i, sender := range []string{ada, sam, ada, ""} {
		record(t, l, audit.Event{Time: noon.Add(time.Duration(i) * 24 * time.Hour), Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow", Sender: sender,
			Monitored: "quarantine", MonitoredPolicy: "new", MonitoredRules: []dlp.RuleID{"us-ssn"}})
	}
	c := tally.New(l, db, func() time.Time { return noon }, slog.New(slog.DiscardHandler), noDrill)
	day := tally.Day(noon)
	got, err := c.By(t.Context(), tally.WatchedBy, day, day+2)
	if err != nil || len(got) != 2 || got[0].Of != "new us-ssn "+ada || got[0].N != 2 || got[1].N != 1 {
		t.Errorf("three days: %+v, %v; want two of one sender, one of another", got, err)
	}
	all, err := c.Of(t.Context(), day, day+9)
	if err != nil || len(all) == 0 {
		t.Fatalf("figures: %d, %v", len(all), err)
	}
	for _, x := range all {
		if x.What == tally.WatchedBy {
			t.Errorf("the dashboard's figures have %+v", x)
		}
	}
}
