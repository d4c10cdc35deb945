package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// picking has b keep a message for out to pick up, and returns its parcel.
func picking(t *testing.T) (*bench, dlp.ID) { return pickingFor(t, out) }

func pickingFor(t *testing.T, to dlp.Address) (*bench, dlp.ID) {
	t.Helper()
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Portal = pickup.Default()
		c.Portal.URL, c.Portal.Site, c.Portal.Contact = "https://pickup.example", "Clinic", "555-0142"
	})
	b.Pickup = pickup.New(b.db, b.db.PickupContents(), b.Names.(*crypt.Ring))
	encrypting(t, b).to[to.String()] = dlp.Portal
	b.verdict[to.String()] = encryptIt
	if o := b.Message(t.Context(), withText(labs, to), b.hop); o.Kind != dlp.Split {
		t.Fatalf("outcome %v", o.Kind)
	}
	ps, err := b.ListPickups(t.Context(), false)
	if err != nil || len(ps) != 1 {
		t.Fatalf("parcels %+v, %v", ps, err)
	}
	return b, ps[0].ID
}

// codeOf has a code sent and reads it out of the outbox.
func codeOf(t *testing.T, b *bench, id dlp.ID) string {
	t.Helper()
	if _, err := b.SendPickupCode(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	ms, err := b.spool.Of(t.Context(), id)
	if err != nil || len(ms) == 0 || ms[len(ms)-1].Kind != spool.Notice {
		t.Fatalf("%+v, %v", ms, err)
	}
	r, err := b.spool.Open(t.Context(), ms[len(ms)-1].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	m := regexp.MustCompile(`Your code: ([0-9]{6})`).FindSubmatch(text)
	if err != nil || m == nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(m[1])
}

func TestPickupEnds(t *testing.T) {
	b, id := picking(t)
	code := codeOf(t, b, id)
	b.skew.Store(int64(16 * time.Minute))
	if _, _, err := b.OpenPickup(t.Context(), id, code); !errors.Is(err, pickup.ErrNoCode) {
		t.Errorf("a code after 16 minutes: %v", err)
	}
	code = codeOf(t, b, id)
	if p, _, err := b.OpenPickup(t.Context(), id, code); err != nil || p.Opened.IsZero() {
		t.Errorf("opened %v, %v", p.Opened, err)
	}
	b.skew.Store(int64(14*24*time.Hour + time.Minute))
	_, _, open := b.PickupContent(t.Context(), id)
	_, again := b.SendPickupCode(t.Context(), id, false)
	_, unknown := b.SendPickupCode(t.Context(), dlp.NewID(), false)
	if !errors.Is(open, pickup.ErrEnded) || !errors.Is(again, pickup.ErrEnded) || again.Error() != unknown.Error() {
		t.Errorf("after its time: %v, %v; never there: %v", open, again, unknown)
	}
	if err := b.ExpirePickups(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pickup.Content(t.Context(), id); !errors.Is(err, pickup.ErrNotFound) {
		t.Errorf("its content is still there: %v", err)
	}
	if ps, err := b.ListPickups(t.Context(), true); err != nil || len(ps) != 1 || ps[0].State != "expired" {
		t.Errorf("parcels %+v, %v", ps, err)
	}
	var reasons []string
	for _, e := range b.audit.events {
		if e.Kind == audit.Pickup {
			reasons = append(reasons, e.Reason)
		}
	}
	if got := strings.Join(reasons, " "); got != "code_sent code_sent opened expired" {
		t.Errorf("on record: %s", got)
	}
	rec := httptest.NewRecorder()
	b.Metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for event, want := range map[string]int{"code_sent": 2, "opened": 1, "expired": 1} {
		if line := fmt.Sprintf("stanch_pickup_total{event=%q} %d\n", event, want); !strings.Contains(rec.Body.String(), line) {
			t.Errorf("want %s", line)
		}
	}
	if n := counts(t, b.Metrics)["stanch_pickup_total"]; n != 4 {
		t.Errorf("counted %v in all, want 4", n)
	}
}

// TestLateCodeOpens: a code whose mail waits in the outbox opens when it comes, as long
// as its quarter of an hour is not over, and then no more.
func TestLateCodeOpens(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  error
	}{{pickup.CodeLasts - time.Minute, nil}, {pickup.CodeLasts + time.Second, pickup.ErrNoCode}} {
		b, id := picking(t)
		var down atomic.Bool
		var mu sync.Mutex
		var came []dlp.Address
		down.Store(true)
		b.hop.deliver = func(a dlp.Address) dlp.Delivery {
			if down.Load() {
				return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
			}
			mu.Lock()
			defer mu.Unlock()
			came = append(came, a)
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
		}
		if _, err := b.SendPickupCode(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		asked := b.now()
		tried := func() bool {
			q, err := b.ListQueue(t.Context(), false)
			return err == nil && len(q) == 2 && q[0].Tries > 0 && q[1].Tries > 0 // the notice's and the code's
		}
		runOutboxUntil(t, b, tried)
		down.Store(false)
		b.skew.Add(int64(c.after - b.now().Sub(asked)))
		runOutboxUntil(t, b, func() bool {
			q, err := b.ListQueue(t.Context(), false)
			return err == nil && len(q) == 0
		})
		b.hop.mu.Lock()
		var code string
		for _, m := range b.hop.deliveredText {
			if m := regexp.MustCompile(`Your code: ([0-9]{6})`).FindStringSubmatch(m); m != nil {
				code = m[1]
			}
		}
		b.hop.mu.Unlock()
		if len(came) != 2 || code == "" {
			t.Fatalf("came to %v, code %q", came, code)
		}
		if c.want == nil { // what the run took is not part of what is tested
			b.skew.Store(int64(time.Until(asked.Add(c.after))))
		}
		if _, _, err := b.OpenPickup(t.Context(), id, code); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%v after it was asked for: %v, want %v", c.after, err, c.want)
		}
	}
}

// TestRevokedIsNotToldOfAnyMore: of a parcel that was taken back before its notice went
// out nothing goes out any more, neither the notice nor a code; another's does.
func TestRevokedIsNotToldOfAnyMore(t *testing.T) {
	b, id := picking(t)
	if _, err := b.SendPickupCode(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if o := b.Message(t.Context(), withText(labs+"\r\nAnd more.\r\n", out), b.hop); o.Kind != dlp.Split {
		t.Fatalf("outcome %v", o.Kind)
	}
	if q, err := b.ListQueue(t.Context(), false); err != nil || len(q) != 3 {
		t.Fatalf("queued %+v, %v", q, err)
	}
	if err := b.RevokePickup(t.Context(), id, "user:dana"); err != nil {
		t.Fatal(err)
	}
	if q, err := b.ListQueue(t.Context(), false); err != nil || len(q) != 1 || q[0].Kind != string(spool.Encrypted) {
		t.Errorf("queued %+v, %v; want the other's notice", q, err)
	}
	runOutboxUntil(t, b, func() bool {
		q, err := b.ListQueue(t.Context(), false)
		return err == nil && len(q) == 0
	})
	ps, err := b.ListPickups(t.Context(), false)
	if err != nil || len(ps) != 1 {
		t.Fatalf("parcels %+v, %v", ps, err)
	}
	b.hop.mu.Lock()
	defer b.hop.mu.Unlock()
	if len(b.hop.deliveredText) != 1 || !strings.Contains(b.hop.deliveredText[0], "/p/"+string(ps[0].ID)) {
		t.Errorf("went out: %q", b.hop.deliveredText)
	}
}

// full is a store with no room left.
type full struct{ store.Store }

func (full) Commit(context.Context, store.Change) error { return store.ErrNoRoom }

// TestRevokeIsOnRecordBeforeAndAfter: without a record nothing is taken back; one that
// failed after it says so.
func TestRevokeIsOnRecordBeforeAndAfter(t *testing.T) {
	b, id := picking(t)
	results := func() (out []string) {
		for _, e := range b.audit.events {
			if e.Kind == audit.Pickup {
				out = append(out, e.Reason+" "+e.Result+" "+e.Actor)
			}
		}
		return out
	}
	whole := b.Store
	b.Store = full{whole}
	if err := b.RevokePickup(t.Context(), id, "user:dana"); err == nil {
		t.Error("taken back on a full disk")
	}
	b.Store = whole
	if got := results(); !slices.Equal(got, []string{"revoked  user:dana", "revoked failed user:dana"}) {
		t.Errorf("on record: %q", got)
	}
	if _, err := b.PickupOf(t.Context(), id); err != nil {
		t.Errorf("it does not wait any more: %v", err)
	}
	if err := b.RevokePickup(t.Context(), id, "user:dana"); err != nil {
		t.Error(err)
	}
	if got := results(); len(got) != 3 || got[2] != "revoked  user:dana" {
		t.Errorf("on record: %q", got)
	}
}

// TestRevokeWhatDoesNotOpen: a parcel whose row cannot be read any more opens for nobody,
// and is taken back all the same.
func TestRevokeWhatDoesNotOpen(t *testing.T) {
	b, id := picking(t)
	other, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	b.Pickup = pickup.New(b.db, b.db.PickupContents(), other)
	if _, err := b.PickupOf(t.Context(), id); !errors.Is(err, pickup.ErrTampered) {
		t.Fatalf("it opens: %v", err)
	}
	if err := b.RevokePickup(t.Context(), id, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pickup.Content(t.Context(), id); !errors.Is(err, pickup.ErrNotFound) {
		t.Errorf("its content is still there: %v", err)
	}
	if err := b.RevokePickup(t.Context(), id, "uid:0"); !errors.Is(err, pickup.ErrEnded) {
		t.Errorf("once more: %v", err)
	}
}

// TestPickupFlood: who has a link and asks and answers without end fills neither
// the audit log nor a mailbox.
func TestPickupFlood(t *testing.T) {
	b, id := picking(t)
	for range 30 {
		if _, err := b.SendPickupCode(t.Context(), id, false); err != nil && !errors.Is(err, pickup.ErrTooManyCodes) {
			t.Fatal(err)
		}
	}
	answered := 0
	for range 2 * pickup.MaxReplies {
		if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Text: "x"}); err == nil {
			answered++
		} else if !errors.Is(err, gateway.ErrNotSent) {
			t.Fatal(err)
		}
	}
	events := 0
	for _, e := range b.audit.events {
		if e.Kind == audit.Pickup {
			events++
		}
	}
	if answered != pickup.MaxReplies || events != 5+pickup.MaxReplies {
		t.Errorf("%d answers of %d, %d events", answered, pickup.MaxReplies, events)
	}
}

// TestPickupNoticeComesBack: where no notice reaches the recipient, the sender is
// told, and nothing waits any more.
func TestPickupNoticeComesBack(t *testing.T) {
	b, id := picking(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		d := dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
		if a == out {
			d.Reply = dlp.Reply{Code: 550, Enhanced: "5.1.1"}
		}
		return d
	}
	drain(t, b)
	ps, err := b.ListPickups(t.Context(), true)
	if err != nil || len(ps) != 1 || ps[0].State != "undelivered" {
		t.Errorf("parcels %+v, %v", ps, err)
	}
	if _, err := b.Pickup.Content(t.Context(), id); !errors.Is(err, pickup.ErrNotFound) {
		t.Errorf("its content is still there: %v", err)
	}
	qs, err := b.ListQueue(t.Context(), true)
	if err != nil || !slices.ContainsFunc(qs, func(q gateway.Queued) bool { return q.Kind == "dsn" }) {
		t.Errorf("the sender is not told: %+v, %v", qs, err)
	}
}

// TestPickupTriesAtOnce: however many try at the same time, a code has five tries.
func TestPickupTriesAtOnce(t *testing.T) {
	b, id := picking(t)
	code := codeOf(t, b, id)
	guess := "000000"
	if code == guess {
		guess = "000001"
	}
	var tried atomic.Int64
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			_, _, err := b.OpenPickup(t.Context(), id, guess)
			switch {
			case errors.Is(err, pickup.ErrCode):
				tried.Add(1)
			case !errors.Is(err, pickup.ErrNoCode) && !errors.Is(err, gateway.ErrBusy):
				t.Errorf("tried: %v", err)
			}
		})
	}
	wg.Wait()
	if n := tried.Load(); n > pickup.MaxTries || n == 0 {
		t.Errorf("%d tries, want at most %d", n, pickup.MaxTries)
	}
}

// TestPickupOnRecord: what cannot be put on record does not happen.
func TestPickupOnRecord(t *testing.T) {
	b, id := picking(t)
	code := codeOf(t, b, id)
	b.audit.breaksAt = audit.Pickup
	if _, _, err := b.OpenPickup(t.Context(), id, code); err == nil || errors.Is(err, pickup.ErrCode) {
		t.Errorf("opened without a record: %v", err)
	}
	if _, err := b.SendPickupCode(t.Context(), id, false); err == nil {
		t.Error("a code was sent without a record")
	}
	if err := b.RevokePickup(t.Context(), id, "uid:0"); err == nil {
		t.Error("taken back without a record")
	}
	if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Text: "x"}); err == nil {
		t.Error("answered without a record")
	}
	b.audit.breaksAt = ""
	if err := b.RevokePickup(t.Context(), id, "uid:0"); err != nil {
		t.Error(err)
	}
}

// TestPickupReply: an answer is judged as any mail.
func TestPickupReply(t *testing.T) {
	b, id := picking(t)
	if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Subject: "Re", Text: "x"}); err != nil {
		t.Fatal(err)
	}
	b.verdict["ada@clinic.example"] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Subject: "Re", Text: "y"}); err != nil {
		t.Fatal(err)
	}
	b.verdict["ada@clinic.example"] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "p"}
	if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Subject: "Re", Text: "z"}); !errors.Is(err, gateway.ErrNotSent) {
		t.Errorf("a reply that is refused: %v", err)
	}
	qs, err := b.ListQueue(t.Context(), false)
	held, err2 := b.ListHeld(t.Context(), false, "", "")
	if err != nil || err2 != nil || len(qs) != 2 || qs[1].Kind != "copy" || len(held) != 1 {
		t.Errorf("queue %+v, held %+v, %v, %v", qs, held, err, err2)
	}
}

// TestPickupReplyOutsideASCII: a reply whose header has such addresses is mail of
// SMTPUTF8.
func TestPickupReplyOutsideASCII(t *testing.T) {
	for local, want := range map[string]bool{"bjorn": false, "björn": true} {
		b, id := pickingFor(t, dlp.Address{Local: local, Domain: out.Domain})
		if err := b.ReplyPickup(t.Context(), id, pickup.Reply{Subject: "Re", Text: "x"}); err != nil {
			t.Fatal(err)
		}
		qs, err := b.ListQueue(t.Context(), false)
		if err != nil || len(qs) != 2 {
			t.Fatalf("queue %+v, %v", qs, err)
		}
		m, err := b.spool.Get(t.Context(), qs[1].ID)
		if err != nil || m.Kind != spool.Copy || m.Params.UTF8 != want {
			t.Errorf("%s: %+v, %v", local, m, err)
		}
	}
}

// TestPickupNotKept: a message that cannot be shown for certain is held.
func TestPickupNotKept(t *testing.T) {
	b, _ := picking(t)
	if o := b.Message(t.Context(), withText("Subject: a\r\nSubject: b\r\n\r\nx", out), b.hop); o.Kind != dlp.Held {
		t.Errorf("outcome %v", o.Kind)
	}
	b.Pickup = nil
	if o := b.Message(t.Context(), withText(strings.Replace(labs, "labs", "others", 1), out), b.hop); o.Kind != dlp.Held {
		t.Errorf("without pages: outcome %v", o.Kind)
	}
}
