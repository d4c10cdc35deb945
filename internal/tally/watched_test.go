package tally_test

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// TestWatchedBy: what a policy on trial would have done is counted by its rules and
// by senders.
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
}

// TestDepartments: mail counts for the department that its line names, and senders of
// what was held; a line without one counts for none.
func TestDepartments(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	db, _ := openStore(t)
	const ada, sam, ward = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100", "aabbccddeeff00112233445566778899"
	event := func(action, sender, dept string) audit.Event {
		return audit.Event{Time: noon, Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: action, Sender: sender, Department: dept, Rules: []dlp.RuleID{"us-ssn"}}
	}
	record(t, l, event("allow", ada, ward), event("quarantine", ada, ward), event("quarantine", ada, ward), event("encrypt", sam, ward), event("quarantine", sam, ward), event("quarantine", sam, ""))
	c := tally.New(l, db, func() time.Time { return noon }, slog.New(slog.DiscardHandler), noDrill)
	day := tally.Day(noon)
	for what, want := range map[string]string{
		tally.Department:     "[" + ward + " 5]",
		tally.DepartmentHeld: "[" + ward + " 3]",
		tally.DepartmentRule: "[" + ward + " us-ssn 3]",
		tally.DepartmentSeen: "[" + ward + " 00 3 " + ward + " ff 2]",
	} {
		cs, err := c.By(t.Context(), what, store.Block(day), day)
		var got []string
		for _, x := range cs {
			got = append(got, x.Of+" "+strconv.FormatInt(x.N, 10))
		}
		if s := "[" + strings.Join(got, " ") + "]"; err != nil || s != want {
			t.Errorf("%s: got %s, %v; want %s", what, s, err, want)
		}
	}
	rs, err := c.Repeats(t.Context(), tally.DepartmentSender, day, day, 3)
	if err != nil || len(rs) != 1 || rs[0].Of != ward || rs[0].Members != 2 || rs[0].Twice != 1 || len(rs[0].Most) != 1 || rs[0].Most[0].Of != ada || rs[0].Most[0].N != 2 {
		t.Errorf("repeats: %+v, %v", rs, err)
	}
	if top, err := c.Top(t.Context(), tally.SenderHeld, day, day, 1); err != nil || len(top) != 1 || top[0].N != 2 {
		t.Errorf("top: %+v, %v", top, err)
	}
}
