package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// urgentBench is a bench at which everybody@lab.clinic.example is urgent.
func urgentBench(t *testing.T, change func(*gateway.Config)) *bench {
	t.Helper()
	return newBenchWith(t, func(c *gateway.Config) {
		c.Urgent = gateway.UrgentConfig{Senders: []string{"*@lab.clinic.example"}, AnswerWithin: dlp.Duration(time.Second),
			Escalate: []string{"chief@clinic.example", "board@clinic.example"}}
		change(c)
	})
}

// from is mail of another sender.
func from(local, domain string, rcpts ...dlp.Address) *dlp.Document {
	doc := mail(rcpts...)
	doc.Sender = dlp.Address{Local: local, Domain: domain}
	return doc
}

// TestUrgentIsJudgedFirst: of those that wait, urgent mail is read before the
// others, but for one in five, so that nobody starves.
func TestUrgentIsJudgedFirst(t *testing.T) {
	b := urgentBench(t, func(c *gateway.Config) { c.Readers, c.ScanTimeout = 1, time.Minute })
	var mu sync.Mutex
	var order []string
	gate := make(chan struct{})
	first := make(chan struct{})
	b.begun = func(doc *dlp.Document) {
		mu.Lock()
		order = append(order, doc.Sender.Domain)
		if len(order) == 1 {
			close(first)
		}
		mu.Unlock()
		<-gate
	}
	var wg sync.WaitGroup
	offer := func(doc *dlp.Document) {
		wg.Go(func() { b.Message(t.Context(), doc, &hop{reply: dlp.Reply{Code: 250}}) })
	}
	waiting := func(n int) { // n documents wait for their turn
		for b.Waiting() != n {
			time.Sleep(time.Millisecond) // there is no other sign of it
		}
	}
	offer(from("ada", "first.example", out))
	<-first
	for i := range 3 {
		offer(from("ada", fmt.Sprint("clinic", i, ".example"), out))
		waiting(i + 1)
	}
	for i := range 6 {
		offer(from("lab", "lab.clinic.example", out))
		waiting(3 + i + 1)
	}
	close(gate)
	wg.Wait()
	const l = "lab.clinic.example"
	want := []string{"first.example", l, l, l, l, "clinic0.example", l, l, "clinic1.example", "clinic2.example"}
	if !slices.Equal(order, want) {
		t.Errorf("read in the order %v, want %v", order, want)
	}
}

// run runs the calls until done, or a minute has passed.
func runCalls(t *testing.T, g *gateway.Gateway, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.RunCalls(ctx) })
	for !done() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // calls have no other sign of life
	}
	if ctx.Err() != nil {
		t.Error("the calls did not come")
	}
	cancel()
	wg.Wait()
}

// TestUrgentHeldCallsUntilDecided: at once, and then further up each time; the
// decision ends it, and nothing else does.
func TestUrgentHeldCallsUntilDecided(t *testing.T) {
	b := urgentBench(t, func(*gateway.Config) {})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), from("nurse", "clinic.example", out), b.hop)
	doc := from("Zephyrine.Quillfeather", "lab.clinic.example", out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %v", got.Kind)
	}
	calls := func() []audit.Event { return b.audit.of(audit.Call) }
	runCalls(t, b.Gateway, func() bool { return len(calls()) >= 4 })
	for i, e := range calls()[:4] {
		if e.Doc != doc.ID || e.Reason != fmt.Sprint("level_", i) || e.Rcpts != min(i, 2)+1 {
			t.Errorf("call %d on record: %+v", i, e)
		}
	}
	hs, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if err != nil || len(hs) != 2 || hs[0].ID != doc.ID || !hs[0].Urgent || hs[0].Calls < 4 || hs[0].AnswerBy == nil || hs[1].Urgent {
		t.Errorf("list %+v, %v; want the urgent one first", hs, err)
	}
	drain(t, b)
	to := map[string]int{}
	for _, m := range b.hop.deliveredText {
		if strings.Contains(m, "Quillfeather") || strings.Contains(m, out.Local) || !strings.Contains(m, string(doc.ID)) {
			t.Errorf("notice: %s", m)
		}
		for _, who := range []string{"officer", "chief", "board"} {
			if strings.Contains(m, "To: <"+who+"@clinic.example>") {
				to[who]++
			}
		}
	}
	n := len(calls())
	if to["officer"] != n || to["chief"] != n-1 || to["board"] != n-2 {
		t.Errorf("%d calls wrote to %v", n, to)
	}
	if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if cs, err := b.db.Calls(t.Context(), store.Call{}, 10); err != nil || len(cs) != 0 {
		t.Errorf("calls after the decision: %+v, %v", cs, err)
	}
}

// TestCallsOutliveTheProcess: a gateway on the same store goes on where the one
// before it ended.
func TestCallsOutliveTheProcess(t *testing.T) {
	b := urgentBench(t, func(c *gateway.Config) { c.Urgent.AnswerWithin = dlp.Duration(time.Hour) })
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := from("lab", "lab.clinic.example", in, out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	// It died before anybody was called: the next one calls.
	again := func() *gateway.Gateway {
		cfg := gateway.Config{Urgent: gateway.UrgentConfig{Senders: []string{"*@lab.clinic.example"}, AnswerWithin: dlp.Duration(time.Hour)}}
		g, err := gateway.New(t.Context(), cfg, b.Deps, nil)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	calls := func() int { return len(b.audit.of(audit.Call)) }
	level := func(n int) func() bool {
		return func() bool {
			cs, err := b.db.Calls(t.Context(), store.Call{}, 10)
			return err == nil && len(cs) == 1 && cs[0].Level == n
		}
	}
	runCalls(t, again(), level(1))
	if calls() != 1 {
		t.Errorf("%d calls, want 1", calls())
	}
	b.skew.Add(int64(61 * time.Minute))
	runCalls(t, again(), level(2))
	// A clock put back by a day does not make the next call a day late.
	b.skew.Add(-int64(24 * time.Hour))
	runCalls(t, again(), level(3))
	if calls() != 3 {
		t.Errorf("%d calls, want 3", calls())
	}
}

// TestManyCalls: with more calls than are read at once each is made once, and the
// queue finds them all, a page at a time.
func TestManyCalls(t *testing.T) {
	b := urgentBench(t, func(c *gateway.Config) { c.Urgent.AnswerWithin = dlp.Duration(time.Hour) })
	const many = 450
	now, ch := b.Now(), store.Change{}
	for i := range many {
		id := dlp.NewID()
		item, err := b.Vault.Seal(t.Context(), &dlp.Document{ID: id, Channel: dlp.Mail, Sender: in, Rcpts: []dlp.Address{out}, Received: now, Size: 1, Open: dlp.OpenBytes([]byte("x"))}, vault.Case{})
		if err != nil {
			t.Fatal(err)
		}
		ch.Hold = append(ch.Hold, item)
		ch.Call = append(ch.Call, store.Call{ID: id, Since: now, Due: now.Add(-time.Duration(i%7) * time.Second)})
	}
	if err := b.db.Commit(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	called := func() map[dlp.ID]int {
		of := map[dlp.ID]int{}
		for _, e := range b.audit.of(audit.Call) {
			of[e.Doc]++
		}
		return of
	}
	runCalls(t, b.Gateway, func() bool { return len(called()) == many })
	for id, n := range called() {
		if n != 1 {
			t.Errorf("%s: called %d times, want once", id, n)
		}
	}
	found := map[dlp.ID]bool{}
	for q := (vault.Query{State: vault.Held, Calls: true}); ; {
		hs, next, err := b.FindHeld(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hs {
			found[h.ID] = h.Urgent && h.Calls == 1 && h.AnswerBy != nil
		}
		if q.After = next; next == "" {
			break
		}
	}
	for id, ok := range found {
		if !ok {
			t.Errorf("%s is found without its call", id)
		}
	}
	if len(found) != many {
		t.Errorf("found %d of %d", len(found), many)
	}
	if n, err := b.db.CountCalls(t.Context()); n != many || err != nil {
		t.Errorf("%d calls, %v", n, err)
	}
}

// TestCallThatCannotBeMade is made later: not without a record, and not when
// nothing can be kept.
func TestCallThatCannotBeMade(t *testing.T) {
	b := urgentBench(t, func(*gateway.Config) {})
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), from("lab", "lab.clinic.example", out), b.hop)
	rung := &pager{}
	b.Caller = rung
	b.audit.breaksAt = audit.Call
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.RunCalls(ctx); err != nil {
		t.Error(err)
	}
	if len(rung.env) != 0 || queueKinds(t, b) != "" {
		t.Error("a call without a record")
	}
	b.audit.breaksAt = ""
	b.db.broken = store.ErrNoRoom
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rung.rang = func() { time.AfterFunc(300*time.Millisecond, cancel) } // in which it might ring again
	if err := b.RunCalls(ctx); err != nil {
		t.Error(err)
	}
	if len(rung.env) != 1 || rung.env[0]["STANCH_LEVEL"] != "0" || rung.env[0]["STANCH_EVENT"] != "urgent_held" {
		t.Errorf("the pager rang %v, want once although the mail cannot be kept", rung.env)
	}
	if cs, err := b.db.Calls(t.Context(), store.Call{}, 10); err != nil || len(cs) != 1 || cs[0].Level != 0 {
		t.Errorf("calls %+v, %v; want the first still to be made", cs, err)
	}
}

type pager struct {
	env  []map[string]string
	rang func() // nil, or called each time
}

func (p *pager) Call(_ context.Context, env map[string]string) error {
	p.env = append(p.env, env)
	if p.rang != nil {
		p.rang()
	}
	return nil
}
