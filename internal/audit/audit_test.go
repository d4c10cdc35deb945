package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// place returns Options for a log in a fresh folder.
func place(t testing.TB) audit.Options {
	t.Helper()
	return under(t.TempDir())
}

func under(root string) audit.Options {
	return audit.Options{
		Dir:        filepath.Join(root, "audit"),
		Key:        filepath.Join(root, "keys", "audit.key"),
		AnchorPath: filepath.Join(root, "state", "audit.head"),
		Reserve:    64 << 10,
	}
}

func open(t testing.TB, opt audit.Options) (*audit.Log, []audit.Pending) {
	t.Helper()
	l, pending, err := audit.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // a test that cares closes it itself
	return l, pending
}

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, opt audit.Options) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), opt.Dir, opt.AnchorPath, opt.Key)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return r
}

func appendEvent(t testing.TB, l *audit.Log, e audit.Event) uint64 {
	t.Helper()
	seq, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func decision() audit.Event {
	return audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"}
}

// lines returns the log's lines.
func lines(t testing.TB, opt audit.Options) []map[string]any {
	t.Helper()
	var b bytes.Buffer
	if err := audit.ExportDir(t.Context(), opt.Dir, &b, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

func TestLine(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	doc := dlp.NewID()
	seq := appendEvent(t, l, audit.Event{
		Time: time.Date(2026, 3, 1, 11, 0, 0, 123456789, time.FixedZone("x", 3600)), Kind: audit.Decision, Doc: doc,
		Channel: dlp.Mail, Action: "quarantine", Monitored: "reject", MonitoredPolicy: "trial", MonitoredRules: []dlp.RuleID{"us-dea"}, Policy: "phi-leaves",
		Rules: []dlp.RuleID{"us-ssn", "mrn"}, Causes: []string{"encrypted"}, Findings: 3, Gaps: 1, Rcpts: 2,
		Sender: "00112233445566778899aabbccddeeff", RcptKeys: []string{"ffeeddccbbaa99887766554433221100"},
		Actor: "uid:0", Reason: "no_way", RuleSet: "0123456789abcdef", PolicyDigest: "fedcba9876543210",
	})
	closeLog(t, l)
	if seq != 1 {
		t.Errorf("seq = %d, want 1", seq)
	}
	b, err := os.ReadFile(filepath.Join(opt.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(b), "\n")[1]
	got = got[:strings.LastIndex(got, `,"mac":"`)]
	want := `{"v":1,"seq":1,"time":"2026-03-01T10:00:00.123456Z","kind":"decision","doc":"` + string(doc) + `","channel":"mail",` +
		`"action":"quarantine","monitored":"reject","monitored_policy":"trial","monitored_rules":["us-dea"],"policy":"phi-leaves","rules":["us-ssn","mrn"],"causes":["encrypted"],` +
		`"findings":3,"gaps":1,"rcpts":2,"sender":"00112233445566778899aabbccddeeff",` +
		`"rcpt_keys":["ffeeddccbbaa99887766554433221100"],"actor":"uid:0","reason":"no_way","ruleset":"0123456789abcdef",` +
		`"policy_digest":"fedcba9876543210"`
	if got != want {
		t.Errorf("line\n%s\nwant\n%s", got, want)
	}
	for name, want := range map[string]os.FileMode{opt.Key: 0o600, opt.AnchorPath: 0o600, filepath.Join(opt.Dir, "log"): 0o600, opt.Dir: 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", name, got, want)
		}
	}
}

func TestOnlyWhatIsOurs(t *testing.T) {
	l, _ := open(t, place(t))
	for _, tc := range []struct {
		name   string
		change func(*audit.Event)
	}{
		{"kind", func(e *audit.Event) { e.Kind = "Quillon" }},
		{"no kind", func(e *audit.Event) { e.Kind = "" }},
		{"doc", func(e *audit.Event) { e.Doc = "Quillon.docx" }},
		{"of", func(e *audit.Event) { e.Of = "Quillon.docx" }},
		{"channel", func(e *audit.Event) { e.Channel = 9 }},
		{"action", func(e *audit.Event) { e.Action = "Quillon" }},
		{"monitored", func(e *audit.Event) { e.Monitored = "Quillon" }},
		{"monitored policy", func(e *audit.Event) { e.MonitoredPolicy = "Quillon Testperson" }},
		{"monitored rule", func(e *audit.Event) { e.MonitoredRules = []dlp.RuleID{"q@clinic.example"} }},
		{"policy with a space", func(e *audit.Event) { e.Policy = "Quillon Testperson" }},
		{"policy like a number", func(e *audit.Event) { e.Policy = "536-22-8145" }},
		{"policy with a number", func(e *audit.Event) { e.Policy = "p-536-22-8145" }},
		{"rule", func(e *audit.Event) { e.Rules = []dlp.RuleID{"q@clinic.example"} }},
		{"cause", func(e *audit.Event) { e.Causes = []string{"Quillon"} }},
		{"count", func(e *audit.Event) { e.Findings = -1 }},
		{"sender", func(e *audit.Event) { e.Sender = "q@clinic.example" }},
		{"recipient", func(e *audit.Event) { e.RcptKeys = []string{"q@clinic.example"} }},
		{"empty recipient", func(e *audit.Event) { e.RcptKeys = []string{""} }},
		{"actor", func(e *audit.Event) { e.Actor = "Dr. Quillon" }},
		{"for", func(e *audit.Event) { e.For = "Dr. Quillon" }},
		{"a deputy", func(e *audit.Event) { e.Actor = "user:dana for Dr. Quillon" }},
		{"reason", func(e *audit.Event) { e.Reason = "because of Quillon" }},
		{"digest", func(e *audit.Event) { e.RuleSet = "Quillon" }},
		{"policy digest", func(e *audit.Event) { e.PolicyDigest = `"` }},
		{"result", func(e *audit.Event) { e.Result = "quillon" }},
		{"year", func(e *audit.Event) { e.Time = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := decision()
			tc.change(&e)
			_, err := l.Append(t.Context(), e)
			if !errors.Is(err, audit.ErrNotOurs) || !errors.Is(l.Note(t.Context(), e), audit.ErrNotOurs) {
				t.Errorf("Append = %v, want ErrNotOurs", err)
			}
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "quillon") {
				t.Errorf("the error tells the value: %v", err)
			}
		})
	}
	if got := l.Status().Events; got != 0 {
		t.Errorf("%d events recorded, want 0", got)
	}
}

func TestListsAreBounded(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	e := decision()
	e.RcptKeys = make([]string, 100_000)
	for i := range e.RcptKeys {
		e.RcptKeys[i] = "ffeeddccbbaa99887766554433221100"
	}
	e.Rcpts = len(e.RcptKeys)
	appendEvent(t, l, e)
	closeLog(t, l)
	verify(t, opt)
	m := lines(t, opt)[1]
	if got := len(m["rcpt_keys"].([]any)); got != 200 {
		t.Errorf("%d keys of recipients, want 200", got)
	}
	if got := m["rcpts"]; got != 100_000.0 {
		t.Errorf("rcpts = %v, want 100000", got)
	}
}

func TestManyAtOnceAndAgainAfterReopen(t *testing.T) {
	opt := place(t)
	var total uint64
	for round := range 3 {
		l, _ := open(t, opt)
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seqs = map[uint64]dlp.ID{}
		)
		for range 20 {
			wg.Go(func() {
				for range 20 {
					e := decision()
					seq, err := l.Append(t.Context(), e)
					if err != nil {
						t.Error(err)
						return
					}
					if err := l.Note(t.Context(), audit.Event{Kind: audit.Outcome, Doc: e.Doc, Ref: seq, Result: audit.ResultPassed}); err != nil {
						t.Error(err)
					}
					mu.Lock()
					seqs[seq] = e.Doc
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		live := verify(t, opt) // while it is open
		if live.Events < total+400 {
			t.Errorf("round %d: %d events seen live, want at least %d", round, live.Events, total+400)
		}
		closeLog(t, l)
		total += 800
		r := verify(t, opt)
		if r.Events != total || r.Anchored != total || r.Torn != 0 || !r.Closed {
			t.Errorf("round %d: %+v, want %d events", round, r, total)
		}
		all := lines(t, opt)
		for seq, doc := range seqs {
			if got := all[seq]["doc"]; got != string(doc) {
				t.Errorf("event %d is of %v, want %v", seq, got, doc)
			}
		}
	}
}

func TestNoteIsSyncedSoon(t *testing.T) {
	opt := place(t)
	synctest.Test(t, func(t *testing.T) {
		l, _, err := audit.Open(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Note(t.Context(), audit.Event{Kind: audit.Start}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := l.Status().Events; got != 0 {
			t.Errorf("%d events at once, want the note to wait for company", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := l.Status().Events; got != 1 {
			t.Errorf("%d events after a second, want 1", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNoteKeepsItsPlace(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	if err := l.Note(t.Context(), audit.Event{Kind: audit.Start}); err != nil {
		t.Fatal(err)
	}
	if seq := appendEvent(t, l, decision()); seq != 2 {
		t.Errorf("seq after a note = %d, want 2", seq)
	}
	if err := l.Note(t.Context(), audit.Event{Kind: audit.Stop}); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	var got []string
	for _, m := range lines(t, opt)[1:] {
		got = append(got, m["kind"].(string))
	}
	if want := []string{"start", "decision", "stop"}; !slices.Equal(got, want) {
		t.Errorf("kinds = %q, want %q", got, want)
	}
}

func TestPending(t *testing.T) {
	opt := place(t)
	l, pending := open(t, opt)
	if len(pending) != 0 {
		t.Errorf("pending in a new log: %v", pending)
	}
	var want []uint64
	for i := range 50 {
		e := decision()
		if i%10 == 5 {
			e.Kind, e.Channel = audit.Release, dlp.File
		}
		seq := appendEvent(t, l, e)
		if i%10 == 5 {
			want = append(want, seq)
			continue
		}
		// a delivery speaks of a decision and is not its outcome
		for _, k := range []audit.Kind{audit.Deliver, audit.Outcome} {
			if err := l.Note(t.Context(), audit.Event{Kind: k, Doc: e.Doc, Ref: seq, Result: audit.ResultPassed}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 { // what is pending stays so from start to start
		closeLog(t, l)
		l, pending = open(t, opt)
		var got []uint64
		for _, p := range pending {
			got = append(got, p.Seq)
			if p.Kind != audit.Release || p.Channel != dlp.File || p.Doc == "" || p.Time.IsZero() {
				t.Errorf("pending = %+v", p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pending = %v, want %v", got, want)
		}
		appendEvent(t, l, audit.Event{Kind: audit.Start})
	}
	for _, p := range pending {
		if err := l.Note(t.Context(), audit.Event{Kind: audit.Outcome, Doc: p.Doc, Ref: p.Seq, Result: audit.ResultRecovered}); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	if _, pending = open(t, opt); len(pending) != 0 {
		t.Errorf("pending after their outcomes: %v", pending)
	}
}

func TestExport(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		appendEvent(t, l, audit.Event{Kind: audit.Start, Time: day.AddDate(0, 0, i)})
	}
	for _, tc := range []struct {
		name         string
		since, until time.Time
		want         int
	}{
		{"all, with line 0", time.Time{}, time.Time{}, 11},
		{"until", time.Time{}, day.AddDate(0, 0, 3), 3},
		{"a day", day, day.AddDate(0, 0, 1), 1},
		{"none", day, day, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := l.Export(&b, tc.since, tc.until); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(b.String(), "\n"); got != tc.want {
				t.Errorf("%d lines, want %d", got, tc.want)
			}
		})
	}
	if err := l.Export(failingWriter{}, time.Time{}, time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Export to a writer that fails: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestClosed(t *testing.T) {
	l, _ := open(t, place(t))
	closeLog(t, l)
	if _, err := l.Append(t.Context(), decision()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Append = %v, want ErrClosed", err)
	}
	if err := l.Note(t.Context(), decision()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Note = %v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestOneProcessHasIt(t *testing.T) {
	opt := place(t)
	open(t, opt)
	if _, _, err := audit.Open(t.Context(), opt); !errors.Is(err, audit.ErrInUse) {
		t.Errorf("second Open = %v, want ErrInUse", err)
	}
}

func TestCallerGivesUp(t *testing.T) {
	l, _ := open(t, place(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // either may be chosen when both are ready
		if _, err := l.Append(ctx, decision()); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Append = %v", err)
		}
	}
}

func TestPublicKeyVerifies(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	appendEvent(t, l, decision())
	closeLog(t, l)
	r, err := audit.Verify(t.Context(), opt.Dir, opt.AnchorPath, opt.Key+".pub")
	if err != nil || r.Events != 1 {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	opt.Key += ".pub"
	if _, _, err := audit.Open(t.Context(), opt); err == nil {
		t.Error("Open with the public key gave no error")
	}
}

func BenchmarkNote(b *testing.B) {
	opt := place(b)
	opt.Reserve = 0
	l, _ := open(b, opt)
	e := decision()
	e.Kind = audit.Look
	e.RuleSet, e.Sender = strings.Repeat("ab", 32), strings.Repeat("cd", 16)
	for b.Loop() {
		if err := l.Note(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	closeLog(b, l)
	b.ReportMetric(float64(l.Status().Events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, at := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d at once", at), func(b *testing.B) {
			l, _ := open(b, place(b))
			b.SetParallelism(at)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Append(b.Context(), decision()); err != nil {
						b.Error(err)
					}
				}
			})
			closeLog(b, l)
		})
	}
}

// TestAbout finds the lines of one document from the end of a log of several
// reads, and stops when told to.
func TestAbout(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	id, other := dlp.NewID(), dlp.NewID()
	var rcpts []string
	for i := range 100 {
		rcpts = append(rcpts, fmt.Sprintf("%064x", i))
	}
	add := func(e audit.Event) {
		t.Helper()
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	add(audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Of: id, Channel: dlp.Mail, Action: "allow", Reason: "before"})
	add(audit.Event{Kind: audit.BypassOn, Doc: id, Actor: "uid:7", Until: time.Now()})
	const passed = 400 // each with 7 KB
	for range passed {
		if err := l.Note(t.Context(), audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Of: id, Channel: dlp.Mail, Action: "allow", RcptKeys: rcpts}); err != nil {
			t.Fatal(err)
		}
		if err := l.Note(t.Context(), audit.Event{Kind: audit.Look, Doc: other, Actor: "uid:7", Reason: audit.ReasonCase}); err != nil {
			t.Fatal(err)
		}
	}
	add(audit.Event{Kind: audit.BypassOff, Doc: id, Actor: "uid:8", Reason: "stopped"})
	if size := l.Status().Bytes; size < 2<<20 {
		t.Fatalf("the log has %d bytes, too few for this test", size)
	}
	var got []audit.Mention
	about := func(id dlp.ID) {
		t.Helper()
		got = nil
		err := l.About(t.Context(), id, func(m audit.Mention) bool {
			got = append(got, m)
			return m.Kind != audit.BypassOn
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	about(id)
	if len(got) != passed+2 || got[0].Kind != audit.BypassOff || got[0].Actor != "uid:8" || got[0].Reason != "stopped" || got[0].Time.IsZero() ||
		got[len(got)-1].Kind != audit.BypassOn {
		t.Errorf("%d mentions, first %+v, want %d from bypass_off to bypass_on", len(got), got[0], passed+2)
	}
	about(other)
	if len(got) != passed {
		t.Errorf("%d mentions of the other, want %d", len(got), passed)
	}
	about(dlp.NewID())
	if len(got) != 0 {
		t.Errorf("%d mentions of nothing", len(got))
	}
}
