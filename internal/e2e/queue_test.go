package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// to makes recipients.
func to(addrs ...string) (out []spool.Rcpt) {
	for _, a := range addrs {
		local, domain, _ := strings.Cut(a, "@")
		out = append(out, spool.Rcpt{Addr: dlp.Address{Local: local, Domain: domain}})
	}
	return out
}

// queueBulk is how many messages to bulk.example stand before the others: more
// than one page of a list.
const queueBulk = spool.MaxList + 50

// mixedQueue fills the queue of g, which does not run, with messages of every
// kind and state. It returns a name for each but the bulk, in the order in
// which they were queued.
func mixedQueue(t *testing.T, g *gateway) (names []string, ids map[string]string) {
	t.Helper()
	later := time.Now().Add(2 * time.Hour)
	ids = map[string]string{}
	inSpool(t, g.data(), func(s *spool.Spool, db *sqlite.DB) {
		bulk := make([]spool.Message, queueBulk)
		for i := range bulk {
			bulk[i] = spool.Message{Next: later, Rcpts: to(fmt.Sprintf("n%d@bulk.example", i))}
		}
		putQueued(t, s, db, bulk...)
		for _, x := range []struct {
			name string
			m    spool.Message
			end  spool.State // what it becomes; "": nothing
		}{
			{"release", spool.Message{Rcpts: to("sam@partner.example")}, ""},
			{"copy", spool.Message{Kind: spool.Copy, Rcpts: to("ann@other.example", "bob@lab.partner.example")}, ""},
			{"notice", spool.Message{Kind: spool.Notice, Rcpts: to("ada@clinic.example")}, ""},
			{"dsn", spool.Message{Kind: spool.DSN, Rcpts: to("eve@other.example", "Zoe@Partner.example")}, ""},
			{"reading", spool.Message{Kind: spool.Reading, State: spool.ToRead, Rcpts: to("ian@other.example")}, ""},
			{"poison", spool.Message{Rcpts: to("kim@partner.example")}, spool.Poison},
			{"delivered", spool.Message{Rcpts: to("sam@partner.example")}, spool.Delivered},
			{"failed", spool.Message{Kind: spool.Copy, Rcpts: to("sam@partner.example")}, spool.Failed},
			{"dropped", spool.Message{Rcpts: to("ann@other.example")}, spool.Dropped},
			{"judged", spool.Message{Kind: spool.Reading, State: spool.ToRead, Rcpts: to("ian@other.example")}, spool.Judged},
		} {
			x.m.Next = later
			m := putQueued(t, s, db, x.m)[0]
			names, ids[string(m.ID)] = append(names, x.name), x.name
			if x.end == "" {
				continue
			}
			if m.State = x.end; m.State == spool.Poison {
				m.Why = spool.WhyBroke
			}
			u, err := s.Progress(m)
			if err == nil {
				err = db.Commit(t.Context(), store.Change{Progress: []spool.Update{u}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	return names, ids
}

// listed runs queue list and names what it prints; the bulk as one.
func listed(t *testing.T, g *gateway, ids map[string]string, args ...string) string {
	t.Helper()
	var qs []struct{ ID string }
	out := g.must(append([]string{"queue", "list", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &qs); err != nil {
		t.Fatalf("queue list: %v: %s", err, out)
	}
	var names []string
	bulk := 0
	for _, q := range qs {
		if name, ok := ids[q.ID]; ok {
			names = append(names, name)
			continue
		}
		bulk++
	}
	if bulk > 0 {
		names = append([]string{fmt.Sprint(bulk)}, names...)
	}
	return strings.Join(names, " ")
}

// TestQueueListFilters holds what each filter of queue list shows, in the order
// of arrival, while serve runs and while it does not.
func TestQueueListFilters(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: quietPolicy})
	g.start() // makes the keys
	g.stop()
	_, ids := mixedQueue(t, g)
	bulk := fmt.Sprint(queueBulk)
	check := func(when string) {
		for args, want := range map[string]string{
			"":                                   bulk + " release copy notice dsn reading poison",
			"--all":                              bulk + " release copy notice dsn reading poison delivered failed dropped judged",
			"--state queued":                     bulk + " release copy notice dsn",
			"--state reading":                    "reading",
			"--state poison":                     "poison",
			"--state delivered":                  "delivered",
			"--state failed":                     "failed",
			"--state dropped":                    "dropped",
			"--state judged":                     "judged",
			"--kind release":                     bulk + " release poison",
			"--kind copy":                        "copy",
			"--kind notice":                      "notice",
			"--kind dsn":                         "dsn",
			"--kind reading":                     "reading",
			"--kind copy --all":                  "copy failed",
			"--to partner.example":               "release dsn poison",
			"--to PARTNER.example":               "release dsn poison",
			"--to lab.partner.example":           "copy",
			"--to other.example":                 "copy dsn reading",
			"--to sam@partner.example":           "release",
			"--to am@partner.example":            "",
			"--to zoe@partner.example":           "dsn",
			"--to sam@partner.example --all":     "release delivered failed",
			"--to partner.example --kind dsn":    "dsn",
			"--to other.example --state reading": "reading",
			"--to partner.example --state failed --kind copy": "failed",
			"--limit 3":                    "3",
			"--limit 2 --to other.example": "copy dsn",
			"--limit 0 --to other.example": "copy dsn reading",
			"--limit 3 --to other.example": "copy dsn reading",
		} {
			if got := listed(t, g, ids, strings.Fields(args)...); got != want {
				t.Errorf("%s: queue list %s: got %q, want %q", when, args, got, want)
			}
		}
	}
	check("stopped")
	g.start()
	check("serving")

	table := g.must("queue", "list", "--to", "kim@partner.example")
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "kim@partner.example") || !strings.Contains(lines[1], "broke") {
		t.Errorf("the table of one: %q", table)
	}
	if got := g.must("queue", "list", "--kind", "notice", "--state", "poison"); got != "Nothing in the outbox fits.\n" {
		t.Errorf("none fits: %q", got)
	}
	at := []string{"--config", g.config}
	if r := shell(t, g.dir, "", append(at, "queue", "list", "--limit", "2", "--to", "other.example")...); !strings.Contains(r.errs, "only the first 2") {
		t.Errorf("cut short, and not told so: %q", r.errs)
	}
	if r := shell(t, g.dir, "", append(at, "queue", "list", "--limit", "3", "--to", "other.example")...); strings.Contains(r.errs, "only the first") {
		t.Errorf("told that it is cut short, and it is not: %q", r.errs)
	}
	for _, args := range []string{"list --state nowhere", "list --kind letter", "list --limit -1", "retry", "retry --to partner.example",
		"retry --all --state nowhere", "retry --all --kind letter", "retry " + dlpID(ids, "release") + " --all", "retry " + dlpID(ids, "release") + " --kind copy"} {
		if r := shell(t, g.dir, "", append(at, strings.Fields("queue "+args)...)...); r.code != 2 || r.errs == "" || r.out != "" {
			t.Errorf("queue %s: exit %d, %q, %q; want a refusal", args, r.code, r.out, r.errs)
		}
	}
	if got, want := listed(t, g, ids), bulk+" release copy notice dsn reading poison"; got != want {
		t.Errorf("after what was refused: %q, want %q", got, want)
	}
}

// dlpID is the id of what was given that name.
func dlpID(ids map[string]string, name string) string {
	for id, n := range ids {
		if n == name {
			return id
		}
	}
	return ""
}

// TestQueueRetryAll has retry --all make due what its filters mean, and nothing
// else.
func TestQueueRetryAll(t *testing.T) {
	t.Parallel()
	hop := newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	g.stop()
	_, ids := mixedQueue(t, g)
	g.start()
	bulk := fmt.Sprint(queueBulk)
	for _, x := range []struct {
		args, says, left string
		rcpts            []string // who gets something
	}{
		{"--to nobody.example", "0 due now", bulk + " release copy notice dsn reading poison", nil},
		{"--kind notice", "1 due now", bulk + " release copy dsn reading poison", []string{"ada@clinic.example"}},
		{"--to partner.example --kind release", "1 due now", bulk + " copy dsn reading poison", []string{"sam@partner.example"}},
		{"--to lab.partner.example", "1 due now", bulk + " dsn reading poison", []string{"ann@other.example", "bob@lab.partner.example"}},
		{"--to partner.example --state queued", "1 due now", bulk + " reading poison", []string{"Zoe@Partner.example", "eve@other.example"}},
		{"--to partner.example", "0 due now", bulk + " reading poison", nil},
		{"--state reading", "1 due now", bulk + " poison", []string{"ian@other.example"}},
		{"--state poison --to other.example", "0 due now", bulk + " poison", nil},
		{"--state poison", "1 due now", bulk, []string{"kim@partner.example"}},
	} {
		hop.drain()
		if got := g.must(strings.Fields("queue retry --all " + x.args)...); strings.TrimSpace(got) != x.says {
			t.Errorf("retry --all %s: %q, want %q", x.args, got, x.says)
		}
		eventually(t, "retry --all "+x.args+" leaves "+x.left, func() bool { return listed(t, g, ids) == x.left })
		var got []string
		for _, m := range hop.messages() {
			got = append(got, m.rcpts...)
		}
		if slices.Sort(got); !slices.Equal(got, x.rcpts) {
			t.Errorf("retry --all %s: %q got something, want %q", x.args, got, x.rcpts)
		}
	}
	hop.drain()
	if got := g.must("queue", "retry", "--all"); strings.TrimSpace(got) != bulk+" due now" {
		t.Errorf("retry --all: %q, want %s", got, bulk)
	}
	drained(t, g)
	if got := listed(t, g, ids); got != "" {
		t.Errorf("left: %q, want nothing", got)
	}
	if n := hop.count(); n != queueBulk {
		t.Errorf("%d at the next hop, want %d", n, queueBulk)
	}
	g.must("audit", "verify")
}

// TestADeliveryThatEndsTheProcess is set aside when the process has died in it
// three times in a row; what was in hand beside it is not, and what only waited
// neither.
func TestADeliveryThatEndsTheProcess(t *testing.T) {
	t.Parallel()
	for name, toml := range map[string]string{"one at a time": "[outbox]\nworkers = 1\nper_destination = 1\n", "many at once": ""} {
		t.Run(name, func(t *testing.T) {
			hop := newNextHop(t)
			hop.keep = false
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + toml})
			g.start()
			g.stop()
			const well = 60
			var bad spool.Message
			inSpool(t, g.data(), func(s *spool.Spool, db *sqlite.DB) {
				bad = putQueued(t, s, db, spool.Message{Rcpts: to("bad@partner.example")}, spool.Message{Rcpts: to("waits@partner.example"), Next: time.Now().Add(2 * time.Hour)})[0]
				ms := make([]spool.Message, well)
				for i := range ms {
					ms[i].Rcpts = to(fmt.Sprintf("n%d@partner.example", i))
				}
				putQueued(t, s, db, ms...)
			})
			serving := make(chan *os.Process, 1)
			t.Cleanup(func() { close(serving) })
			var tried atomic.Int32
			var harmless atomic.Bool
			hop.follow(func(verb, _ string, mail hopMail) string {
				if verb != "DATA" || !slices.Contains(mail.rcpts, "bad@partner.example") { // its content is open then
					return ""
				}
				tried.Add(1)
				if harmless.Load() {
					return ""
				}
				if p := <-serving; p != nil {
					_ = p.Kill() // nothing else ends a process so surely in the middle of a delivery
				}
				return drop
			})
			for range 3 {
				g.start()
				serving <- g.cmd.Process
				if !g.ended() {
					t.Fatal("the message is not tried")
				}
				g.kill()
			}
			g.start()
			var qs []struct{ ID, Why string }
			eventually(t, "it is set aside", func() bool {
				return json.Unmarshal([]byte(g.must("queue", "list", "--state", "poison", "--format", "json")), &qs) == nil && len(qs) == 1
			})
			if qs[0].ID != string(bad.ID) || qs[0].Why != "broke" {
				t.Errorf("set aside: %+v, want %s, broke", qs, bad.ID)
			}
			eventually(t, "the others are delivered", func() bool {
				return strings.Count(g.must("queue", "list"), "\n") == 3 // the title, what waits and what is set aside
			})
			times := map[string]int{}
			for _, m := range hop.messages() {
				times[m.rcpts[0]]++
			}
			for i := range well {
				n := times[fmt.Sprintf("n%d@partner.example", i)]
				if n < 1 || name == "one at a time" && n > 1 {
					t.Errorf("message %d arrived %d times", i, n)
				}
			}
			if n := tried.Load(); n != 3 {
				t.Errorf("tried %d times, want 3", n)
			}
			if strings.Contains(g.logged(), "partner.example") {
				t.Error("the log names a recipient")
			}
			harmless.Store(true)
			g.must("queue", "retry", string(bad.ID))
			eventually(t, "it is delivered once it is put back", func() bool { return strings.Count(g.must("queue", "list"), "\n") == 2 })
			if n := tried.Load(); n != 4 {
				t.Errorf("tried %d times, want 4", n)
			}
			g.must("audit", "verify")
		})
	}
}
