package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var ada = dlp.Address{Local: "ada", Domain: "clinic.example"}

// drilling is a bench with drills, whose policy holds what goes to out and tells
// the sender, and encrypts for out what is to be encrypted.
func drilling(t *testing.T) *bench {
	t.Helper()
	return drillingWith(t, func(*gateway.Config) {})
}

func drillingWith(t *testing.T, more func(*gateway.Config)) *bench {
	t.Helper()
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Sender = gateway.DefaultSender()
		c.Sender.Listen, c.Sender.URL = "127.0.0.1:1", "https://held.example/"
		c.InternalDomains = []string{"clinic.example"}
		c.Notices.AtOnce = "high"
		c.Urgent.Senders = []string{"ada@clinic.example"}
		more(c)
	})
	encrypting(t, b)
	b.verdict[out.String()] = holdIt
	b.found = []dlp.Finding{{Rule: "us-ssn", Severity: dlp.SeverityHigh}}
	reopen(t, b)
	return b
}

// reopen reads the book of drills as a new process does.
func reopen(t *testing.T, b *bench) {
	t.Helper()
	ring, err := crypt.Open(filepath.Join(b.dir, "keys"))
	if err == nil {
		b.Gateway.Deps.Drills, err = drill.Open(b.dir, ring)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, b *bench, k drill.Kind, senders ...dlp.Address) drill.Drill {
	t.Helper()
	d, err := b.StartDrill(t.Context(), drill.Plan{Name: "spring", Kind: k, Senders: senders, To: out, For: 24 * time.Hour}, "user:dana")
	if err != nil {
		t.Fatal(err)
	}
	b.StepDrills(t.Context())
	return drillNow(t, b, d.ID)
}

func drillNow(t *testing.T, b *bench, id dlp.ID) drill.Drill {
	t.Helper()
	d, err := b.Drill(t.Context(), id, "user:dana")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// nowhere fails where anything of a drill went to out, or to a next hop at all.
func nowhere(t *testing.T, b *bench) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.RunOutbox(ctx) }()
	for {
		ms, err := b.spool.List(t.Context(), spool.Filter{})
		if err != nil || len(ms) == 0 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := b.hop.domains[out.Domain]; n != 0 || len(b.hop.sent) != 0 {
		t.Errorf("%d deliveries to the recipient of a drill, %d sent on", n, len(b.hop.sent))
	}
}

// TestOfficersDrill: an item of a drill is judged and held as others are, is not
// told from them, and whatever is decided, it goes nowhere; who did what is noted.
func TestOfficersDrill(t *testing.T) {
	for name, tt := range map[string]struct {
		decide func(b *bench, id dlp.ID) error
		did    string
		state  vault.State
	}{
		"release": {func(b *bench, id dlp.ID) error {
			_, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, "user:eve", gateway.Review{Code: "consented"})
			return err
		}, drill.WouldRelease, vault.Released},
		"release encrypted": {func(b *bench, id dlp.ID) error {
			_, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, "user:eve", gateway.Review{Code: "consented", Encrypted: true})
			return err
		}, drill.WouldEncrypt, vault.Released},
		"reject": {func(b *bench, id dlp.ID) error {
			return b.RejectFor(t.Context(), id, vault.Opened{}, "user:eve", gateway.Review{Code: "consented", Note: "no"})
		}, drill.WouldReject, vault.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			b := drilling(t)
			d := begin(t, b, drill.Officers, ada)
			id := d.Items[0].ID
			if d.Items[0].State != drill.Held {
				t.Fatalf("item %+v", d.Items[0])
			}
			if kinds := queueKinds(t, b); kinds != "notice" {
				t.Errorf("queue %q, want the officers' notice at once alone", kinds)
			}
			if calls, err := b.db.Calls(t.Context(), store.Call{}, 10); err != nil || len(calls) != 0 {
				t.Errorf("calls %v, %v: nobody is called to a drill", calls, err)
			}
			held, err := b.ListHeld(t.Context(), false, "", "user:eve")
			if err != nil || len(held) != 1 || held[0].Drill || held[0].Sender != "ada@clinic.example" {
				t.Fatalf("held %+v, %v: it is told from others", held, err)
			}
			if _, err := b.ShowHeld(t.Context(), id, vault.Opened{}, "user:eve"); err != nil {
				t.Fatal(err)
			}
			if err := b.Note(t.Context(), audit.Event{Kind: audit.Claim, Doc: id, Actor: "user:eve", Reason: "taken"}); err != nil {
				t.Fatal(err)
			}
			if err := b.ReadHeld(t.Context(), id, vault.Opened{}, "user:eve", "reveal:to_decide", func(doc *dlp.Document) error {
				r, err := doc.Open()
				if err != nil {
					return err
				}
				defer r.Close()
				text, err := io.ReadAll(r)
				if !bytes.Contains(text, []byte("Social security number: ")) || bytes.Contains(text, []byte("probe")) || bytes.Contains(text, []byte("drill")) || bytes.Contains(text, []byte("invented")) {
					t.Errorf("the message tells what it is, or has nothing to find:\n%s", text)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			b.found = nil // nothing is found in what stands outside of an encrypted message
			if err := tt.decide(b, id); err != nil {
				t.Fatal(err)
			}
			if err := tt.decide(b, id); !errors.Is(err, gateway.ErrNotHeld) {
				t.Errorf("again: %v", err)
			}
			if _, err := b.ShowHeld(t.Context(), id, vault.Opened{}, "user:max"); err != nil { // which is no reaction any more
				t.Error(err)
			}
			reopen(t, b)
			b.StepDrills(t.Context())
			d = drillNow(t, b, d.ID)
			var did []string
			for _, r := range d.Report() {
				did = append(did, r.Who+" "+r.Did+" "+r.Code)
			}
			want := []string{"user:eve opened ", "user:eve claimed ", "user:eve revealed ", "user:eve " + tt.did + " consented"}
			if slices.Compare(did, want) != 0 {
				t.Errorf("report %q, want %q", did, want)
			}
			if d.Running() {
				t.Error("it runs on, and there is nobody left to react")
			}
			e, err := b.vault.Get(t.Context(), id)
			if h, herr := b.Listed(t.Context(), id); err != nil || herr != nil || e.State != tt.state || !h.Drill {
				t.Errorf("state %s, %v; want %s, told as a drill", e.State, err, tt.state)
			}
			nowhere(t, b)
			for _, e := range b.audit.events {
				if e.Kind == audit.Release || e.Kind == audit.Reject {
					t.Errorf("on record %+v: it would be counted", e)
				}
			}
		})
	}
}

// TestSendersDrill: people are told of a message that is not, choose by the link as
// they would, once, and nothing comes of it.
func TestSendersDrill(t *testing.T) {
	for name, tt := range map[string]struct {
		chosen gateway.Chosen
		did    string
	}{
		"cancel": {gateway.ChosenCancel, drill.ChoseCancel}, "encrypt": {gateway.ChosenEncrypted, drill.ChoseEncrypt}, "ask": {gateway.ChosenAsk, drill.ChoseAsk},
	} {
		t.Run(name, func(t *testing.T) {
			b := drilling(t)
			d := begin(t, b, drill.Senders, ada, in)
			if s := d.Items[0].State + d.Items[1].State; s != drill.Told+drill.Told {
				t.Fatalf("states %s", s)
			}
			if held, err := b.ListHeld(t.Context(), true, "", ""); err != nil || len(held) != 0 {
				t.Errorf("held %+v, %v: it is no work for officers", held, err)
			}
			token := linkOf(t, b, d.Items[0].ID)
			m, err := b.SendersMail(t.Context(), token)
			if err != nil || m.Chosen != gateway.ChosenNothing || m.Drill || !m.Encrypt || !slices.Equal(m.Domains, []string{"partner.example"}) || !slices.Equal(m.Rules, holdIt.Rules) {
				t.Errorf("before: %+v, %v", m, err)
			}
			choose := all(t, b)
			if err := choose[name](token); err != nil {
				t.Fatal(err)
			}
			for other, again := range choose {
				if err := again(token); !errors.Is(err, gateway.ErrChosen) {
					t.Errorf("%s after that: %v", other, err)
				}
			}
			reopen(t, b)
			if m, err := b.SendersMail(t.Context(), token); err != nil || m.Chosen != tt.chosen || !m.Drill {
				t.Errorf("after: %+v, %v", m, err)
			}
			b.skew.Store(int64(25 * time.Hour))
			b.StepDrills(t.Context())
			d = drillNow(t, b, d.ID)
			rows := d.Report()
			if len(rows) != 2 || rows[0].Who != "ada@clinic.example" || rows[0].Did != tt.did || rows[1].Did != "" || rows[1].State != drill.TimeOver || d.Running() {
				t.Errorf("report %+v", rows)
			}
			nowhere(t, b)
		})
	}
}

// linkOf is what stands in the link of the one notice about id.
func linkOf(t *testing.T, b *bench, id dlp.ID) string {
	t.Helper()
	ms, err := b.spool.Of(t.Context(), id)
	if err != nil || len(ms) != 1 || ms[0].Kind != spool.Notice {
		t.Fatalf("%+v, %v: want one notice", ms, err)
	}
	r, err := b.spool.Open(t.Context(), ms[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notice, err := io.ReadAll(r)
	m := heldLink.FindSubmatch(bytes.ReplaceAll(notice, []byte("=\r\n"), nil))
	if err != nil || m == nil {
		t.Fatalf("no link, %v:\n%s", err, notice)
	}
	return string(m[1])
}

// TestDrillThatNothingHolds: what policy would let go, encrypt, tag or refuse goes
// nowhere, and the report says so.
func TestDrillThatNothingHolds(t *testing.T) {
	for _, a := range []dlp.Action{dlp.Allow, dlp.AddTag, dlp.Encrypt, dlp.Reject} {
		for _, k := range []drill.Kind{drill.Officers, drill.Senders} {
			t.Run(a.String()+" "+string(k), func(t *testing.T) {
				b := drilling(t)
				b.verdict[out.String()] = dlp.RcptVerdict{Action: a, Policy: "p", Notify: []string{"sender"}}
				d := begin(t, b, k, ada)
				b.StepDrills(t.Context())
				d = drillNow(t, b, d.ID)
				if d.Items[0].State != drill.NotHeld || d.Running() {
					t.Errorf("%+v", d)
				}
				if kinds := queueKinds(t, b); kinds != "" {
					t.Errorf("queue %q", kinds)
				}
				nowhere(t, b)
			})
		}
	}
}

// TestDrillOfUntoldSenders: where no policy tells senders, a drill does not either.
func TestDrillOfUntoldSenders(t *testing.T) {
	b := drilling(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	d := begin(t, b, drill.Senders, ada)
	if d.Items[0].State != drill.NotTold || queueKinds(t, b) != "" {
		t.Errorf("%+v", d)
	}
}

// TestDrillEnds: by its time or by a person what is left of it goes out of the
// queue; [review] does not end it before.
func TestDrillEnds(t *testing.T) {
	for _, by := range []string{"", "user:dana"} {
		b := drilling(t)
		d := begin(t, b, drill.Officers, ada)
		if by != "" {
			if err := b.StopDrill(t.Context(), d.ID, by); err != nil {
				t.Fatal(err)
			}
			if err := b.StopDrill(t.Context(), d.ID, by); !errors.Is(err, drill.ErrEnded) {
				t.Errorf("stopped again: %v", err)
			}
		} else {
			b.skew.Store(int64(25 * time.Hour))
			b.StepDrills(t.Context())
		}
		d = drillNow(t, b, d.ID)
		e, err := b.vault.Get(t.Context(), d.Items[0].ID)
		if err != nil || e.State != vault.Expired || d.Running() || d.EndedBy != by || d.Items[0].State != drill.TimeOver {
			t.Errorf("by %q: %s, %v, %+v", by, e.State, err, d)
		}
		nowhere(t, b)
	}
}

// TestDrillDoesNotExpire: review.expires shortens a drill of officers, and ends no
// item of it: the drill does.
func TestDrillDoesNotExpire(t *testing.T) {
	b := drillingWith(t, func(c *gateway.Config) {
		c.Review = gateway.ReviewConfig{Expires: dlp.Duration(5 * time.Hour), Outcome: "reject"}
	})
	d := begin(t, b, drill.Officers, ada)
	if most := d.Ends.Sub(d.Begun); most != 5*time.Hour {
		t.Errorf("it lasts %v", most)
	}
	real := b.Message(t.Context(), mail(out), b.hop).ID
	expire := func() {
		t.Helper()
		if err := b.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	expire()
	b.skew.Store(int64(6 * time.Hour))
	expire()
	b.ran.Store(int64(14 * time.Hour))
	expire()
	for id, want := range map[dlp.ID]vault.State{real: vault.Rejected, d.Items[0].ID: vault.Held} {
		if e, err := b.vault.Get(t.Context(), id); err != nil || e.State != want {
			t.Errorf("%s is %s, %v; want %s", id, e.State, err, want)
		}
	}
}

// TestDrillIsNotSampled: neither one that is released nor one that no policy holds.
func TestDrillIsNotSampled(t *testing.T) {
	b := drilling(t)
	passes := dlp.RcptVerdict{Action: dlp.Allow}
	b.verdict[out.String()] = passes
	sampled(t, b)
	b.verdict[out.String()] = holdIt
	before, err := b.Sampled(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d := begin(t, b, drill.Officers, ada)
	if _, err := b.ReleaseFor(t.Context(), d.Items[0].ID, vault.Opened{}, "user:eve", gateway.Review{Code: "consented"}); err != nil {
		t.Fatal(err)
	}
	b.verdict[out.String()] = passes
	if d := begin(t, b, drill.Officers, ada); d.Items[0].State != drill.NotHeld {
		t.Fatalf("item %+v", d.Items[0])
	}
	b.Message(t.Context(), mail(out), b.hop) // it is offered after all of the drills were
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		kept, err := b.Sampled(t.Context(), time.Time{})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d kept, %v", len(kept), err)
		}
		for _, e := range kept {
			if b.IsDrill(e.ID) {
				t.Fatalf("a document of a drill is in the sample: %s", e.ID)
			}
		}
		if len(kept) > len(before) {
			return
		}
	}
}

// TestDrillNamesWhoWasAsked: who could decide when it began, but for who began it.
func TestDrillNamesWhoWasAsked(t *testing.T) {
	b := drilling(t)
	p := &people{}
	b.People = p
	if d := begin(t, b, drill.Officers, ada); !slices.Equal(d.Asked, []string{"user:eve"}) || !slices.Equal(d.Silent(), d.Asked) {
		t.Errorf("asked %q, silent %q", d.Asked, d.Silent())
	}
	if d := begin(t, b, drill.Senders, in); len(d.Asked) != 0 {
		t.Errorf("of senders: asked %q", d.Asked)
	}
	p.broken = errBroken
	if _, err := b.StartDrill(t.Context(), drill.Plan{Name: "spring", Kind: drill.Officers, Senders: []dlp.Address{ada}, To: out, For: time.Hour}, "user:dana"); !errors.Is(err, errBroken) {
		t.Errorf("where accounts cannot be read: %v", err)
	}
}

// TestDrillsAreNotReplayed, and are no disclosure.
func TestDrillsAreNotReplayed(t *testing.T) {
	b := drilling(t)
	d := begin(t, b, drill.Officers, ada)
	if r, err := b.Replay(t.Context(), gateway.ReplayQuery{}, holding(b, "old"), holding(b, "new"), "user:ann"); err != nil || r.Read != 0 {
		t.Errorf("replayed: %+v, %v", r, err)
	}
	if err := b.StopDrill(t.Context(), d.ID, "user:dana"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.BeginDossier(t.Context(), "x", []dlp.ID{d.Items[0].ID}, nil, "user:dana"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a dossier of a drill: %v", err)
	}
	o := b.Message(t.Context(), mail(out), b.hop) // of the same sender
	if o.Kind != dlp.Held {
		t.Fatalf("outcome %v", o.Kind)
	}
	if f, err := b.HeldFrom(t.Context(), o.ID, b.Now().Add(-time.Hour), 10); err != nil || f.Count != 0 {
		t.Errorf("others of this sender: %+v, %v", f, err)
	}
}

// TestDrillInTheOutbox: should a message of a drill come there after all, it is
// dropped before a connection is made.
func TestDrillInTheOutbox(t *testing.T) {
	b := drilling(t)
	d := begin(t, b, drill.Officers, ada)
	for _, kind := range []spool.Kind{spool.Copy, spool.Release, spool.Encrypted, spool.DSN} {
		m := spool.Message{ID: dlp.NewID(), Doc: d.Items[0].ID, Kind: kind, State: spool.Queued, From: ada, Created: b.Now(), Next: b.Now(), Expires: b.Now().Add(time.Hour),
			Rcpts: []spool.Rcpt{{Addr: out}}}
		e, err := b.spool.Seal(t.Context(), m, strings.NewReader(text))
		if err == nil {
			err = b.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	nowhere(t, b)
}

// errDied stands for the end of the process.
var errDied = errors.New("died")

// dying runs do, and ends it as kill -9 does before its nth step. It reports whether
// there were as many.
func dying(b *bench, n int, do func()) (died bool) {
	defer func() {
		b.Gateway.OnStep = func(string) {}
		if p := recover(); p != nil {
			if p != errDied {
				panic(p)
			}
			died = true
		}
	}()
	b.Gateway.OnStep = func(string) {
		if n--; n == 0 {
			panic(errDied)
		}
	}
	do()
	return false
}

// TestDrillOutlivesTheProcess: killed at each step, a drill is there afterwards, is
// held or told of once, and goes nowhere.
func TestDrillOutlivesTheProcess(t *testing.T) {
	for _, k := range []drill.Kind{drill.Officers, drill.Senders} {
		for n := 1; ; n++ {
			b := drilling(t)
			d, err := b.StartDrill(t.Context(), drill.Plan{Name: "spring", Kind: k, Senders: []dlp.Address{ada}, To: out, For: time.Hour}, "user:dana")
			if err != nil {
				t.Fatal(err)
			}
			died := dying(b, n, func() { b.StepDrills(t.Context()) })
			again(t, b)
			b.StepDrills(t.Context())
			d = drillNow(t, b, d.ID)
			id, want := d.Items[0].ID, drill.Held
			if k == drill.Senders {
				want = drill.Told
				linkOf(t, b, id) // one notice
			} else if _, err := b.vault.Get(t.Context(), id); err != nil {
				t.Errorf("killed at step %d: %v", n, err)
			}
			if d.Items[0].State != want {
				t.Errorf("%s, killed at step %d: %+v", k, n, d.Items[0])
			}
			if died2 := dying(b, n, func() { decideAny(t, b, k, id) }); died2 {
				again(t, b)
				decideAny(t, b, k, id)
			}
			again(t, b)
			b.StepDrills(t.Context())
			d = drillNow(t, b, d.ID)
			if r, over := d.Items[0].Ended(); !over || !drill.Ends(r.Did) {
				t.Errorf("%s, killed at step %d: the report lacks the end: %+v", k, n, d.Report())
			}
			nowhere(t, b)
			if !died {
				if n < 4 {
					t.Errorf("only %d steps: the crash test tests nothing", n)
				}
				break
			}
		}
	}
}

// again is b as a new process finds it.
func again(t *testing.T, b *bench) {
	t.Helper()
	reopen(t, b)
	b.Gateway.Forget()
}

// decideAny decides, or chooses; that it was done before is no error.
func decideAny(t *testing.T, b *bench, k drill.Kind, id dlp.ID) {
	t.Helper()
	var err error
	if k == drill.Officers {
		_, err = b.Release(t.Context(), id, vault.Opened{}, "user:eve")
	} else {
		err = b.SenderCancels(t.Context(), linkOf(t, b, id))
	}
	if err != nil && !errors.Is(err, gateway.ErrNotHeld) && !errors.Is(err, gateway.ErrChosen) {
		t.Error(err)
	}
}

// TestDrillsNeedWhatTheyNeed.
func TestDrillsNeedWhatTheyNeed(t *testing.T) {
	b := newBench(t)
	p := drill.Plan{Name: "spring", Kind: drill.Senders, Senders: []dlp.Address{ada}, To: out, For: time.Hour}
	if _, err := b.StartDrill(t.Context(), p, "user:dana"); !errors.Is(err, gateway.ErrNoDrills) {
		t.Errorf("without a book: %v", err)
	}
	reopen(t, b)
	if _, err := b.StartDrill(t.Context(), p, "user:dana"); !errors.Is(err, gateway.ErrDrillNoLink) {
		t.Errorf("without pages: %v", err)
	}
	p.Kind = drill.Officers
	if _, err := b.StartDrill(t.Context(), p, "user:dana"); !errors.Is(err, drill.ErrForm) {
		t.Errorf("of no internal sender: %v", err)
	}
	b = drilling(t)
	b.audit.breaksAt = audit.Drill
	if _, err := b.StartDrill(t.Context(), p, "user:dana"); !errors.Is(err, errBroken) {
		t.Errorf("without a record: %v", err)
	}
	if ds, err := b.Drills(t.Context(), "user:dana"); err != nil || len(ds) != 0 {
		t.Errorf("drills %v, %v", ds, err)
	}
}
