package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/passbook"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var errBroken = errors.New("broken on purpose")

// bench is a gateway on real stores, between a scripted reader and a scripted
// next hop.
type bench struct {
	*gateway.Gateway
	dir     string
	db      *breakable
	vault   *vault.Vault
	keys    *age.Periods
	spool   *spool.Spool
	audit   *recorder
	hop     *hop
	verdict map[string]dlp.RcptVerdict // by recipient
	found   []dlp.Finding
	readErr error
	hang    bool                            // reading takes for ever
	read    func(ctx context.Context) error // nil, or what reading does
	begun   func(*dlp.Document)             // nil, or called when reading begins
	sees    func(*dlp.Document, dlp.Sink)   // nil, or what reading does with the sink
	panics  bool
	bypass  *bypass.Switch
	parts   atomic.Int64 // that were read
	skew    atomic.Int64 // how far the clock is ahead, in nanoseconds
	ran     atomic.Int64 // how long the process runs, in nanoseconds
}

// ListQueue lists the whole queue.
func (b *bench) ListQueue(ctx context.Context, all bool) ([]gateway.Queued, error) {
	var qs []gateway.Queued
	var after dlp.ID
	for {
		page, err := b.QueuePage(ctx, all, after)
		if err != nil || len(page) == 0 {
			return qs, err
		}
		qs, after = append(qs, page...), page[len(page)-1].ID
	}
}

// recorder is an audit log that can be broken.
type recorder struct {
	mu       sync.Mutex
	events   []audit.Event
	breaksAt audit.Kind
	breaksOn dlp.ID // of an event's document
}

func (r *recorder) Append(_ context.Context, e audit.Event) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind == r.breaksAt || r.breaksOn != "" && e.Doc == r.breaksOn {
		return 0, errBroken
	}
	r.events = append(r.events, e)
	return uint64(len(r.events)), nil
}

func (r *recorder) Note(ctx context.Context, e audit.Event) error {
	_, err := r.Append(ctx, e)
	return err
}

func (r *recorder) results() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == audit.Outcome {
			out = append(out, e.Result)
		}
	}
	return out
}

// breakable is the store, until it breaks.
type breakable struct {
	*sqlite.DB
	broken     error
	noProgress atomic.Int32 // how many more records of a delivery fail
	misheard   atomic.Bool  // the next such verdict is carried out, and answered as not
	noVerdict  atomic.Int32 // how many more verdicts on messages of the spool are not carried out
	unknown    atomic.Bool  // the next hold, copy or decision has no answer
	unheard    atomic.Bool  // nor the next record of a delivery
	forgets    bool         // and is not made
	hangs      atomic.Bool  // once one had no answer, none has
	hung       atomic.Bool  // so it is now
	stall      atomic.Pointer[stall]
}

// stall is a disk that hangs while the first change that it is for is synced.
type stall struct {
	of   func(store.Change) bool
	hit  atomic.Bool   // the change is handed over
	once sync.Once     // it hangs once
	hung chan struct{} // closed when it hangs
	ends chan struct{} // closed when it is to go on
}

// stallAt has the disk of b hang at a change, until ends is closed.
func stallAt(b *bench, of func(store.Change) bool) *stall {
	s := &stall{of: of, hung: make(chan struct{}), ends: make(chan struct{})}
	b.db.stall.Store(s)
	return s
}

// step is called by the store before each of its durable steps.
func (b *breakable) step(name string) {
	if s := b.stall.Load(); s != nil && s.hit.Load() && name == "commit: sync" {
		s.once.Do(func() { close(s.hung); <-s.ends })
	}
}

func (b *breakable) Commit(ctx context.Context, ch store.Change) error {
	if b.broken != nil && (len(ch.Hold) > 0 || len(ch.Out) > 0) {
		return b.broken
	}
	if b.hung.Load() {
		return store.ErrUnknown
	}
	if s := b.stall.Load(); s != nil && s.of(ch) {
		s.hit.Store(true)
	}
	if len(ch.Hold)+len(ch.Out)+len(ch.Decide) > 0 && b.unknown.CompareAndSwap(true, false) || len(ch.Progress) > 0 && b.unheard.CompareAndSwap(true, false) {
		b.hung.Store(b.hangs.Load())
		if b.forgets {
			return store.ErrUnknown
		}
		return errors.Join(store.ErrUnknown, b.DB.Commit(ctx, ch))
	}
	if len(ch.Progress) > 0 && ch.Progress[0].State == spool.Judged && b.misheard.CompareAndSwap(true, false) {
		return errors.Join(store.ErrNoRoom, b.DB.Commit(ctx, ch))
	}
	if len(ch.Progress) > 0 && ch.Progress[0].State == spool.Judged && b.noVerdict.Add(-1) >= 0 {
		return store.ErrNoRoom
	}
	if len(ch.Progress) > 0 && b.noProgress.Add(-1) >= 0 {
		return store.ErrNoRoom
	}
	return b.DB.Commit(ctx, ch)
}

// hop is the next hop: a live transaction, and where the outbox delivers to.
type hop struct {
	mu            sync.Mutex
	sent          []string
	resets        int
	reply         dlp.Reply
	err           error
	deliver       func(rcpt dlp.Address) dlp.Delivery
	opened        func()        // called when the content of a delivery is open
	answers       chan struct{} // nil, or closed when deliveries are answered
	deliveredText []string
	domains       map[string]int // recipients that were delivered to, by domain
}

func (h *hop) Send(_ context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return dlp.Reply{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, string(header)+string(b))
	return h.reply, h.err
}

func (h *hop) Reset(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resets++
	return nil
}

func (h *hop) Deliver(ctx context.Context, m spool.Message, open func() (io.ReadCloser, error)) []dlp.Delivery {
	r, err := open()
	if err != nil {
		return nil
	}
	defer r.Close()
	if h.opened != nil {
		h.opened()
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	h.mu.Lock()
	h.deliveredText = append(h.deliveredText, string(b))
	h.mu.Unlock()
	if h.answers != nil {
		select {
		case <-h.answers:
		case <-ctx.Done():
		}
	}
	var out []dlp.Delivery
	for _, rc := range m.Rcpts {
		if ctx.Err() != nil {
			out = append(out, dlp.Delivery{Rcpt: rc.Addr, Err: &dlp.SendError{AfterDot: true, Err: ctx.Err()}})
			continue
		}
		d := h.deliver(rc.Addr)
		h.mu.Lock()
		if h.domains == nil {
			h.domains = map[string]int{}
		}
		h.domains[rc.Addr.Domain]++
		h.mu.Unlock()
		out = append(out, d)
	}
	return out
}

// The scripted reader: extractor, detection and policy in one.
func (b *bench) Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error {
	if b.begun != nil {
		b.begun(doc)
	}
	if b.panics {
		panic("on purpose")
	}
	if b.read != nil {
		if err := b.read(ctx); err != nil {
			return err
		}
	}
	if b.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if b.readErr != nil {
		return b.readErr
	}
	if b.sees != nil {
		b.sees(doc, sink)
	}
	return sink.Part(dlp.PartInfo{Path: "1"})
}

type detection struct {
	found []dlp.Finding
	gaps  []dlp.Gap
	parts *atomic.Int64
}

func (d *detection) Part(dlp.PartInfo) error            { d.parts.Add(1); return nil }
func (d *detection) Text(dlp.Window) error              { return nil }
func (d *detection) Gap(g dlp.Gap) error                { d.gaps = append(d.gaps, g); return nil }
func (d *detection) Finish() ([]dlp.Finding, []dlp.Gap) { return d.found, d.gaps }
func (b *bench) Decide(doc *dlp.Document, _ []dlp.Finding, gaps []dlp.Gap) dlp.Verdict {
	v := dlp.Verdict{RuleSet: "aa", Policy: "bb"}
	for _, r := range doc.Rcpts {
		x, ok := b.verdict[r.String()]
		if !ok {
			x = dlp.RcptVerdict{Action: dlp.Allow}
		}
		if len(gaps) > 0 {
			x = dlp.RcptVerdict{Action: dlp.Hold, Reason: dlp.ReasonTimeout}
		}
		x.Rcpt = r
		v.Rcpts = append(v.Rcpts, x)
	}
	return v
}

func newBench(t *testing.T) *bench { return newBenchWith(t, func(*gateway.Config) {}) }

// newBenchFor is newBench with keys of the vault for those that keys names.
func newBenchFor(t *testing.T, keys age.PeriodsConfig, change func(*gateway.Config)) *bench {
	t.Helper()
	dir := t.TempDir()
	lock, err := safefile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypt.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	breaks := &breakable{}
	db, err := sqlite.Open(t.Context(), dir, sqlite.Options{Lock: lock, KeyID: ring.ID(), Steps: breaks.step})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), lock.Unlock()); err != nil {
			t.Error(err)
		}
	})
	breaks.DB = db
	b := &bench{dir: dir, db: breaks, audit: &recorder{}, verdict: map[string]dlp.RcptVerdict{},
		hop: &hop{reply: dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "taken"}}}
	b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}} }
	keys.Path, keys.Server = filepath.Join(dir, "keys", "vault.keys"), ring.Release()
	if b.keys, err = age.OpenPeriods(keys, nil); err != nil {
		t.Fatal(err)
	}
	b.vault = vault.New(db, db.VaultContents(), ring, b.keys)
	b.spool = spool.New(db, db.SpoolContents(), ring, age.NewSealer(ring.Work()))
	if b.bypass, err = bypass.Open(bypass.Options{Dir: filepath.Join(dir, "bypass"), Keys: ring, Clock: b,
		Config: bypass.Config{Enabled: true, Max: dlp.Duration(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	cfg := gateway.Config{ScanTimeout: time.Minute, ScanEnabled: true, // more than any stall of a busy machine
		DeliveryWorkers: 2, DeliverTimeout: time.Minute, OutboxExpiry: 24 * time.Hour, Hostname: "gw.example",
		Notices: notify.Config{Officers: []string{"officer@clinic.example"}}}
	change(&cfg)
	b.Gateway, err = gateway.New(t.Context(), cfg,
		gateway.Deps{Extract: b, Audit: b.audit, Store: b.db, Vault: b.vault, Keys: b.keys, Spool: b.spool, Names: ring, Deliver: b.hop, Bypass: b.bypass,
			Passwords: passbook.New(b.now), Metrics: metrics.New(), Log: safelog.Discard(), Now: b.now, Elapsed: func() time.Duration { return time.Duration(b.ran.Load()) }},
		&gateway.Rules{Detect: func() gateway.Detection { return &detection{found: b.found, parts: &b.parts} }, Policy: b})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	in  = dlp.Address{Local: "nurse", Domain: "clinic.example"}
	out = dlp.Address{Local: "sam", Domain: "partner.example"}
)

const text = "Subject: x\r\n\r\nbody\r\n"

func mail(rcpts ...dlp.Address) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Sender: dlp.Address{Local: "ada", Domain: "clinic.example"},
		Rcpts: rcpts, Received: time.Now(), Size: int64(len(text)), Trace: []byte("X-Stanch-Id: t\r\n"),
		Open: func() (io.ReadSeekCloser, error) { return closer{bytes.NewReader([]byte(text))}, nil }}
}

type closer struct{ io.ReadSeeker }

func (closer) Close() error { return nil }

func TestMessageStaysOnTheSafeSide(t *testing.T) {
	const takesTooLong = "reading takes too long"
	hold := map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Policy: "p"}}
	tests := []struct {
		name         string
		set          func(*bench)
		want         dlp.OutcomeKind
		sent, resets int
		held         int
		results      string
	}{
		{"clean goes on inside the transaction", func(*bench) {}, dlp.Passed, 1, 0, 0, "passed"},
		{"next hop refuses at the dot", func(b *bench) { b.hop.reply = dlp.Reply{Code: 550} }, dlp.Passed, 1, 0, 0, "refused"},
		{"next hop lost before the dot", func(b *bench) { b.hop.err = &dlp.SendError{Err: errBroken} }, dlp.Unreached, 1, 0, 0, "unreached"},
		{"next hop lost after the dot", func(b *bench) { b.hop.err = &dlp.SendError{AfterDot: true, Err: errBroken} }, dlp.Unreached, 1, 0, 0, "unknown"},
		{"hold", func(b *bench) { b.verdict = hold }, dlp.Held, 0, 1, 1, "held"},
		{"reject", func(b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject} }, dlp.Rejected, 0, 1, 0, "rejected"},
		{"encrypt without a way holds", func(b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Encrypt} }, dlp.Held, 0, 1, 1, "held"},
		{"an action nobody knows holds", func(b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: 99} }, dlp.Held, 0, 1, 1, "held"},
		{"nothing can be read", func(b *bench) { b.readErr = errBroken }, dlp.TryAgain, 0, 1, 0, ""},
		{takesTooLong, func(b *bench) { b.hang = true }, dlp.Held, 0, 1, 1, "held"},
		{"reading panics", func(b *bench) { b.panics = true }, dlp.Held, 0, 1, 1, "held"},
		{"decision not recorded, clean", func(b *bench) { b.audit.breaksAt = audit.Decision }, dlp.TryAgain, 0, 1, 0, ""},
		{"decision not recorded, hold", func(b *bench) { b.audit.breaksAt, b.verdict = audit.Decision, hold }, dlp.TryAgain, 0, 1, 0, ""},
		{"outcome not recorded", func(b *bench) { b.audit.breaksAt = audit.Outcome }, dlp.Passed, 1, 0, 0, ""},
		{"vault has no room, hold", func(b *bench) { b.db.broken, b.verdict = store.ErrNoRoom, hold }, dlp.NoRoom, 0, 1, 0, "failed"},
		{"vault has no room, clean", func(b *bench) { b.db.broken = store.ErrNoRoom }, dlp.Passed, 1, 0, 0, "passed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBenchWith(t, func(c *gateway.Config) {
				if tt.name == takesTooLong {
					c.ScanTimeout = time.Millisecond
				}
			})
			tt.set(b)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got := b.Message(ctx, mail(out), b.hop)
			if got.Kind != tt.want {
				t.Errorf("outcome %v, want %v", got.Kind, tt.want)
			}
			if len(b.hop.sent) != tt.sent || b.hop.resets != tt.resets {
				t.Errorf("sent %d and reset %d times, want %d and %d", len(b.hop.sent), b.hop.resets, tt.sent, tt.resets)
			}
			if tt.sent == 1 && b.hop.sent[0] != "X-Stanch-Id: t\r\n"+text {
				t.Errorf("sent %q", b.hop.sent[0])
			}
			held, err := b.ListHeld(t.Context(), false, "", "uid:0")
			if err != nil || len(held) != tt.held {
				t.Errorf("%d held, %v; want %d", len(held), err, tt.held)
			}
			if got := strings.Join(b.audit.results(), " "); got != tt.results {
				t.Errorf("outcomes on record %q, want %q", got, tt.results)
			}
		})
	}
}

// TestMessageThatCannotBeToldFromOthersIsNotTaken: without a key of its own it
// would count as a repeat of the next such message, which would be lost.
func TestMessageThatCannotBeToldFromOthersIsNotTaken(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := openFails(mail(out), 1)
	got := b.Message(t.Context(), doc, b.hop)
	held, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if got.Kind != dlp.TryAgain || got.Acknowledge || err != nil || len(held) != 0 || len(b.audit.of(audit.Decision)) != 0 || b.hop.resets != 1 {
		t.Errorf("%+v, %d held, %v, %d decisions; want it to be tried again, and nothing decided", got, len(held), err, len(b.audit.of(audit.Decision)))
	}
	if again := b.Message(t.Context(), doc, b.hop); again.Kind != dlp.Held {
		t.Errorf("second try: %v, want it held", again.Kind)
	}
}

func TestSplit(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(in, out)
	got := b.Message(t.Context(), doc, b.hop)
	if got.Kind != dlp.Split || got.ID != doc.ID || !got.Acknowledge {
		t.Fatalf("outcome %+v", got)
	}
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 || q[0].Kind != "copy" || q[0].Recipients[0] != in.String() {
		t.Errorf("queue %+v, %v; want one copy for %s", q, err, in)
	}
	held, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if err != nil || len(held) != 1 || len(held[0].Recipients) != 1 || held[0].Recipients[0] != out.String() {
		t.Errorf("held %+v, %v; want one for %s", held, err, out)
	}
}

func TestSplitRejectTellsTheSender(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "p"}
	if got := b.Message(t.Context(), mail(in, out), b.hop); got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	kinds := queueKinds(t, b)
	if kinds != "copy dsn" {
		t.Errorf("queue holds %q, want a copy and a DSN", kinds)
	}
	b2 := newBench(t)
	b2.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "p"}
	doc := mail(in, out)
	doc.Sender = dlp.Address{}
	b2.Message(t.Context(), doc, b2.hop)
	if kinds := queueKinds(t, b2); kinds != "copy" {
		t.Errorf("queue holds %q for the null reverse-path, want a copy only", kinds)
	}
}

func queueKinds(t *testing.T, b *bench) string {
	t.Helper()
	q, err := b.ListQueue(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, m := range q {
		kinds = append(kinds, m.Kind)
	}
	return strings.Join(kinds, " ")
}

func TestRepeatOfAnUnacknowledgedHold(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	first := b.Message(t.Context(), mail(out), b.hop)
	again := b.Message(t.Context(), mail(out), b.hop)
	if again.Kind != dlp.Held || again.ID != first.ID {
		t.Errorf("repeat: %+v, want the id %s of the first", again, first.ID)
	}
	if err := b.Acknowledge(t.Context(), []dlp.ID{first.ID}); err != nil {
		t.Fatal(err)
	}
	other := b.Message(t.Context(), mail(out), b.hop)
	if other.Kind != dlp.Held || other.ID == first.ID {
		t.Errorf("after acknowledgement: %+v, want a hold of its own", other)
	}
}

func TestRepeatsAtOnceMakeOneHold(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	ids := make([]dlp.ID, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i] = b.Message(t.Context(), mail(out), &hop{}).ID })
	}
	wg.Wait()
	held, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if err != nil || len(held) != 1 {
		t.Fatalf("%d held, %v; want 1", len(held), err)
	}
	for _, id := range ids {
		if id != held[0].ID {
			t.Errorf("answered %s, want %s", id, held[0].ID)
		}
	}
}

func TestReleaseGoesOutAsItCame(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	id := b.Message(t.Context(), mail(out), b.hop).ID
	if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:0"); !errors.Is(err, gateway.ErrNotHeld) {
		t.Errorf("second release: %v, want %v", err, gateway.ErrNotHeld)
	}
	runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) == 1 })
	if got := b.hop.texts()[0]; got != "X-Stanch-Id: t\r\n"+text {
		t.Errorf("delivered %q", got)
	}
}

func (h *hop) texts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.deliveredText...)
}

func TestOutboxReportsWhatIsRefused(t *testing.T) {
	b := newBench(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a == out {
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(in, out), b.hop)
	runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) == 2 })
	dsn := b.hop.texts()[1]
	for _, want := range []string{"multipart/report", "Status: 5.1.1", out.String(), "Auto-Submitted: auto-replied"} {
		if !strings.Contains(dsn, want) {
			t.Errorf("the report lacks %q:\n%s", want, dsn)
		}
	}
	if strings.Contains(dsn, "body\r\n") {
		t.Error("the report holds the message")
	}
}

func TestOutboxTriesAgainLater(t *testing.T) {
	b := newBench(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}} }
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(in, out), b.hop)
	runOutboxUntil(t, b, func() bool {
		q, err := b.ListQueue(t.Context(), false)
		return err == nil && len(q) == 1 && q[0].Tries == 1
	})
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 || q[0].State != "queued" || !q[0].Next.After(time.Now()) || q[0].LastCode != 451 {
		t.Errorf("queue %+v, %v; want one message due later", q, err)
	}
}
