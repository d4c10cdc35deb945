package audit_test

import (
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
	for _, before := range []int64{3, 1 << 40} {
		if _, _, err := l.Search(t.Context(), audit.Query{}, before, 1); !errors.Is(err, audit.ErrPlace) {
			t.Errorf("from the byte %d: %v, want %v", before, err, audit.ErrPlace)
		}
	}
}
