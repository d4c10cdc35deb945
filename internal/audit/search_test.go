package audit_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func TestSearch(t *testing.T) {
	l, _ := open(t, place(t))
	defer closeLog(t, l)
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const ada, sam = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	doc := dlp.NewID()
	const n = 3000
	for i := range n {
		e := audit.Event{Time: start.Add(time.Duration(i) * time.Hour), Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow", Sender: sam}
		switch i {
		case 5:
			e.Doc, e.Sender, e.RcptKeys = doc, sam, []string{ada}
		case 2000:
			e = audit.Event{Time: e.Time, Kind: audit.Look, Doc: doc, Actor: "user:dana", Reason: "case"}
		case 2500:
			e.Sender = ada
		}
		appendEvent(t, l, e)
	}
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Hour) }
	for name, c := range map[string]struct {
		q    audit.Query
		want []uint64
	}{
		"of an item":         {audit.Query{Doc: doc}, []uint64{2001, 6}},
		"of a person":        {audit.Query{Persons: []string{ada}}, []uint64{2501, 6}},
		"by somebody":        {audit.Query{Actor: "user:dana"}, []uint64{2001}},
		"of a kind":          {audit.Query{Kinds: []audit.Kind{audit.Look, audit.Export}}, []uint64{2001}},
		"of a time":          {audit.Query{Since: at(100), Until: at(103)}, []uint64{103, 102, 101}},
		"of the beginning":   {audit.Query{Until: at(2)}, []uint64{2, 1}},
		"of a person before": {audit.Query{Persons: []string{ada}, Until: at(2500)}, []uint64{6}},
		"of the end":         {audit.Query{Since: at(n - 2)}, []uint64{n, n - 1}},
		"of later":           {audit.Query{Since: at(n + 9)}, nil},
		"of what is not":     {audit.Query{Doc: dlp.NewID()}, nil},
	} {
		for _, limit := range []int{1, 100} {
			var got []uint64
			var before int64
			for range n {
				found, more, err := l.Search(t.Context(), c.q, before, limit)
				if err != nil || len(found) > limit {
					t.Fatalf("%s: %d found, %v", name, len(found), err)
				}
				for _, x := range found {
					got = append(got, x.Seq)
				}
				if before = more; more == 0 {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d at a time: got %v, want %v", name, limit, got, c.want)
			}
		}
	}
	// What is older than what is asked for is not read, whatever else is asked for.
	rounds, q := 0, audit.Query{Doc: dlp.NewID(), Since: at(n - 10), MaxBytes: 32 << 10}
	for before := int64(-1); before != 0; rounds++ {
		_, more, err := l.Search(t.Context(), q, max(0, before), 1)
		if err != nil {
			t.Fatal(err)
		}
		before = more
	}
	if rounds < 2 || rounds > 10 { // of 19 that the whole log takes
		t.Errorf("what is of the last ten hours was looked for in %d pieces of the log", rounds)
	}
	for _, before := range []int64{3, 1 << 40} {
		if _, _, err := l.Search(t.Context(), audit.Query{}, before, 1); !errors.Is(err, audit.ErrPlace) {
			t.Errorf("from the byte %d: %v, want %v", before, err, audit.ErrPlace)
		}
	}
}

// TestPlaceBefore: following the log from there tells of all since a time, and of
// little before, however far back that is.
func TestPlaceBefore(t *testing.T) {
	at := place(t)
	l, _ := open(t, at)
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const n = 9000
	events := make([]audit.Event, 0, n)
	for i := range n {
		e := audit.Event{Time: start.Add(time.Duration(i) * time.Minute), Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"}
		if i%2 == 1 {
			e.Time = e.Time.Add(-50 * time.Second) // out of order, as groups are
		}
		events = append(events, e)
	}
	for i := range events {
		if err := l.Note(t.Context(), events[i]); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	for _, since := range []time.Time{{}, start, start.Add(time.Hour), start.Add(n / 2 * time.Minute), start.Add((n - 1) * time.Minute), start.AddDate(1, 0, 0)} {
		want := 0
		for i := range events {
			if !events[i].Time.Before(since) {
				want++
			}
		}
		from, err := audit.PlaceBefore(at.Dir, since)
		if err != nil {
			t.Fatalf("since %s: %v", since, err)
		}
		got, all := 0, 0
		_, ok, err := audit.FollowDir(t.Context(), at.Dir, from, func(line []byte, _ audit.Place) bool {
			all++
			var e struct {
				Time time.Time
				Kind string
			}
			if json.Unmarshal(line, &e) == nil && e.Kind == "decision" && !e.Time.Before(since) {
				got++
			}
			return true
		})
		if err != nil || !ok || got != want || all > want+2500 {
			t.Errorf("since %s: %d of %d found in %d lines, %v, %v", since, got, want, all, ok, err)
		}
	}
}
