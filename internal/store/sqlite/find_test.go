package sqlite_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

// asking marks entries of many whose senders ask for their release.
const asking = "their sender asks"

// many holds n documents of a few senders, recipients, rules and states, and
// returns them in the order they came.
func many(t *testing.T, in *install, n int) []vault.Entry {
	t.Helper()
	r := rand.New(rand.NewPCG(8, 8))
	begun := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	states := []vault.State{vault.Held, vault.Held, vault.Released, vault.Rejected}
	var out []vault.Entry
	for i := range n {
		doc, body := vaulttest.Document(i % 50)
		doc.Received = begun.Add(time.Duration(i)*time.Hour - time.Duration(r.IntN(3))*time.Hour) // not quite in order
		c := vaulttest.CaseOf(doc, body)
		c.Envelope.Sender = dlp.Address{Local: "w", Domain: fmt.Sprintf("ward%d.clinic.example", r.IntN(3))}
		c.Envelope.Rcpts = []dlp.Address{{Local: "r", Domain: fmt.Sprintf("Partner%d.example", r.IntN(20))}}
		c.Verdict.Rcpts[0].Rules = []dlp.RuleID{dlp.RuleID([]string{"us-ssn", "mrn", "icd10"}[r.IntN(3)])}
		it, err := in.vault.Seal(t.Context(), doc, c)
		if err != nil {
			t.Fatal(err)
		}
		ch := store.Change{Hold: []vault.Item{it}}
		e := vault.Entry{ID: doc.ID, State: states[r.IntN(len(states))], Received: doc.Received, Rules: c.Verdict.Rcpts[0].Rules, Envelope: c.Envelope}
		if i%9 == 0 {
			a, err := in.vault.Ask(doc.ID, doc.Received, asking)
			if err != nil {
				t.Fatal(err)
			}
			ch.Ask, e.DecidedBy = []vault.Ask{a}, asking
			commit(t, in, ch)
			ch = store.Change{}
		}
		if e.State != vault.Held {
			tr, err := in.vault.Transition(doc.ID, vault.Held, e.State, begun, "a", "b")
			if err != nil {
				t.Fatal(err)
			}
			ch.Decide = []vault.Transition{tr}
		}
		commit(t, in, ch)
		if i%7 == 0 && e.State == vault.Held {
			e.Proposal = &vault.Proposal{By: "user:ann", At: doc.Received}
			a, err := in.vault.Propose(doc.ID, *e.Proposal)
			if err != nil {
				t.Fatal(err)
			}
			commit(t, in, store.Change{Amend: []vault.Amendment{a}})
			if i%14 == 0 { // which does not stand any more
				if a, err = in.vault.Narrow(e, e.Envelope.Rcpts); err != nil {
					t.Fatal(err)
				}
				commit(t, in, store.Change{Amend: []vault.Amendment{a}})
				e.Proposal = nil
			}
		}
		out = append(out, e)
	}
	return out
}

// queries are questions, and whether an entry is an answer.
func queries(es []vault.Entry) map[string]struct {
	q  vault.Query
	is func(vault.Entry) bool
} {
	type query = struct {
		q  vault.Query
		is func(vault.Entry) bool
	}
	to := func(n int) vault.Field {
		return vault.Field{Kind: vault.ByTo, Value: fmt.Sprintf("partner%d.example", n)}
	}
	goes := func(e vault.Entry, n int) bool {
		return e.Envelope.Rcpts[0].Domain == fmt.Sprintf("Partner%d.example", n)
	}
	rule := func(id string) vault.Field { return vault.Field{Kind: vault.ByRule, Value: id} }
	since := es[len(es)/2].Received
	asked := map[dlp.ID]bool{}
	for _, e := range es {
		asked[e.ID] = e.DecidedBy == asking
	}
	some := []dlp.ID{es[3].ID, es[len(es)-2].ID, dlp.NewID(), es[40].ID}
	return map[string]query{
		"all":            {vault.Query{}, func(vault.Entry) bool { return true }},
		"held":           {vault.Query{State: vault.Held}, func(e vault.Entry) bool { return e.State == vault.Held }},
		"expired":        {vault.Query{State: vault.Expired}, func(vault.Entry) bool { return false }},
		"no state":       {vault.Query{State: "lost"}, func(vault.Entry) bool { return false }},
		"one domain":     {vault.Query{All: [][]vault.Field{{to(3)}}}, func(e vault.Entry) bool { return goes(e, 3) }},
		"held, a domain": {vault.Query{State: vault.Held, All: [][]vault.Field{{to(3)}}}, func(e vault.Entry) bool { return e.State == vault.Held && goes(e, 3) }},
		"either of two":  {vault.Query{All: [][]vault.Field{{to(3), to(4)}}}, func(e vault.Entry) bool { return goes(e, 3) || goes(e, 4) }},
		"both": {vault.Query{State: vault.Rejected, All: [][]vault.Field{{rule("mrn")}, {to(1), to(2), to(5)}}}, func(e vault.Entry) bool {
			return e.State == vault.Rejected && e.Rules[0] == "mrn" && (goes(e, 1) || goes(e, 2) || goes(e, 5))
		}},
		"contradictory":   {vault.Query{All: [][]vault.Field{{rule("mrn")}, {rule("icd10")}}}, func(vault.Entry) bool { return false }},
		"none of nothing": {vault.Query{All: [][]vault.Field{{}}}, func(vault.Entry) bool { return false }},
		"nobody":          {vault.Query{All: [][]vault.Field{{to(99)}}}, func(vault.Entry) bool { return false }},
		"young":           {vault.Query{Since: since}, func(e vault.Entry) bool { return !e.Received.Before(since) }},
		"young, a rule": {vault.Query{Since: since, State: vault.Held, All: [][]vault.Field{{rule("us-ssn")}}}, func(e vault.Entry) bool {
			return !e.Received.Before(since) && e.State == vault.Held && e.Rules[0] == "us-ssn"
		}},
		"old": {vault.Query{Until: since}, func(e vault.Entry) bool { return !e.Received.After(since) }},
		"of one day": {vault.Query{Since: since, Until: since.Add(24 * time.Hour), State: vault.Held}, func(e vault.Entry) bool {
			return !e.Received.Before(since) && !e.Received.After(since.Add(24*time.Hour)) && e.State == vault.Held
		}},
		"of last year":     {vault.Query{Until: since.Add(-1e9 * time.Second)}, func(vault.Entry) bool { return false }},
		"decided once":     {vault.Query{Noted: true}, func(e vault.Entry) bool { return e.Proposal != nil }},
		"asked for":        {vault.Query{Asked: true}, func(e vault.Entry) bool { return asked[e.ID] }},
		"asked for, held":  {vault.Query{Asked: true, State: vault.Held}, func(e vault.Entry) bool { return asked[e.ID] && e.State == vault.Held }},
		"asked and noted":  {vault.Query{Asked: true, Noted: true}, func(e vault.Entry) bool { return asked[e.ID] && e.Proposal != nil }},
		"noted, of a rule": {vault.Query{Noted: true, All: [][]vault.Field{{rule("mrn")}}}, func(e vault.Entry) bool { return e.Proposal != nil && e.Rules[0] == "mrn" }},
		"of tomorrow":      {vault.Query{Since: since.Add(1e9 * time.Second)}, func(vault.Entry) bool { return false }},
		"by id":            {vault.Query{IDs: some}, func(e vault.Entry) bool { return slices.Contains(some, e.ID) }},
		"by id, held":      {vault.Query{IDs: some, State: vault.Held}, func(e vault.Entry) bool { return e.State == vault.Held && slices.Contains(some, e.ID) }},
		"no id":            {vault.Query{IDs: []dlp.ID{}}, func(vault.Entry) bool { return false }},
		"words": {vault.Query{All: [][]vault.Field{{{Kind: vault.ByWord, Value: "ward1"}}, {{Kind: vault.ByWord, Value: "ssn"}}}}, func(e vault.Entry) bool {
			return e.Envelope.Sender.Domain == "ward1.clinic.example" && e.Rules[0] == "us-ssn"
		}},
	}
}

// answers are what looking on until the end gives: sure says that each is asked for.
func answers(t *testing.T, in *install, q vault.Query, is func(vault.Entry) bool) (got []dlp.ID, sure bool) {
	t.Helper()
	sure = true
	for pages := 0; ; pages++ {
		es, next, err := in.vault.Find(t.Context(), q)
		if err != nil || pages > 1000 {
			t.Fatalf("page %d: %v", pages, err)
		}
		if q.Limit > 0 && len(es) > q.Limit {
			t.Errorf("%d entries, want at most %d", len(es), q.Limit)
		}
		for _, e := range es {
			switch {
			case e.Damaged:
				t.Errorf("%s does not open", e.ID)
			case is(e):
				got = append(got, e.ID)
			default:
				sure = false
			}
		}
		if next == "" {
			return got, sure
		}
		q.After = next
	}
}

// TestFind: what is found is all that is asked for, the newest first, in pages of
// whatever size, with terms and, as an earlier version kept it, without.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	in := open(t, dir, sqlite.Options{})
	es := many(t, in, 300)
	check := func(indexed bool) {
		t.Helper()
		for name, c := range queries(es) {
			var want []dlp.ID
			for _, e := range slices.Backward(es) {
				if c.is(e) {
					want = append(want, e.ID)
				}
			}
			for _, limit := range []int{0, 1, 7, 50} {
				c.q.Limit = limit
				got, sure := answers(t, in, c.q, c.is)
				if !slices.Equal(got, want) {
					t.Errorf("%s, %d at a time: %d answers, want %d", name, limit, len(got), len(want))
				}
				if indexed && !sure && c.q.Since.IsZero() && c.q.Until.IsZero() {
					t.Errorf("%s: others came with the answers", name)
				}
			}
			if !indexed || !c.q.Since.IsZero() || !c.q.Until.IsZero() {
				continue
			}
			for _, most := range []int{4, 1000} {
				c.q.Limit = most
				n, whole, err := in.vault.Count(t.Context(), c.q)
				if err != nil || n != min(len(want), most) || whole != (len(want) <= most) {
					t.Errorf("%s: counted %d up to %d, all of them %v, %v; want %d", name, n, most, whole, err, len(want))
				}
			}
		}
	}
	check(true)
	in.close(t)

	db, err := sql.Open("sqlite", filepath.Join(dir, "stanch.db"))
	if err == nil {
		_, err = db.Exec("UPDATE holds SET terms = NULL; DELETE FROM hold_terms")
	}
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	in = open(t, dir, sqlite.Options{})
	check(false)
	total := 0
	for {
		n, err := in.vault.IndexSome(t.Context(), 70)
		if err != nil {
			t.Fatal(err)
		}
		if total += n; n == 0 {
			break
		}
	}
	if total != len(es) {
		t.Errorf("%d were given terms, want %d", total, len(es))
	}
	check(true)
	n, err := in.vault.CountFrom(t.Context(), vault.Field{Kind: vault.ByRule, Value: "mrn"}, es[100].Received, 1000)
	want := 0
	for _, e := range es {
		if e.Rules[0] == "mrn" && !e.Received.Before(es[100].Received) {
			want++
		}
	}
	if err != nil || n != want {
		t.Errorf("counted %d, %v; want %d", n, err, want)
	}
}

// TestFindLooksOn: what takes long is broken off, and looked on from there.
func TestFindLooksOn(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{FindReads: 13})
	es := many(t, in, 600)
	for name, c := range queries(es) {
		want := 0
		for _, e := range es {
			if c.is(e) {
				want++
			}
		}
		c.q.Limit = 200
		if got, _ := answers(t, in, c.q, c.is); len(got) != want {
			t.Errorf("%s: %d answers, want %d", name, len(got), want)
		}
	}
}
