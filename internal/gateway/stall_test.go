package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// hangs is past all that is ever waited for one commit: what was under way has
// no answer, and to what was handed over after it storage did not come in time.
const hangs = 7 * time.Minute

// outlast waits until s hangs, for hangs, and then until all is at rest.
func outlast(s *stall) {
	<-s.hung
	time.Sleep(hangs)
	close(s.ends)
	time.Sleep(3 * time.Minute)
	synctest.Wait()
}

// TestHoldThatHangsKeepsItsContent: the disk hangs while the verdict on a
// message that was read on is committed, longer than anybody waits, and then
// takes it after all. The hold has its content, and is on record as one.
func TestHoldThatHangsKeepsItsContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, background := slowBench(t)
		b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
		large := bytes.Repeat([]byte(text), 2*max(spool.InlineMax, vault.InlineMax)/len(text))
		doc := mail(out)
		doc.Size = int64(len(large))
		doc.Open = func() (io.ReadSeekCloser, error) { return closer{bytes.NewReader(large)}, nil }
		if got := b.Message(t.Context(), doc, b.hop).Kind; got != dlp.Spooled {
			t.Fatalf("outcome %v, want %v", got, dlp.Spooled)
		}
		background.Store(true)
		s := stallAt(b, func(ch store.Change) bool { return len(ch.Hold) > 0 })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.RunReading(ctx) })
		outlast(s)
		cancel()
		wg.Wait()
		var content bytes.Buffer
		if err := b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &content); err != nil || !bytes.Equal(content.Bytes(), large) {
			t.Errorf("held %d bytes, %v; want all %d", content.Len(), err, len(large))
		}
		if n := b.unread(t); n != 0 {
			t.Errorf("%d still to be read, want 0", n)
		}
		if got := strings.Join(b.audit.results(), " "); got != "spooled held" {
			t.Errorf("outcomes on record %q", got)
		}
	})
}

// TestDeliveryThatHangsIsReportedOnce: the disk hangs while it is recorded that
// a recipient was refused, and then takes it after all. The sender has one report.
func TestDeliveryThatHangsIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		gone := dlp.Address{Local: "gone", Domain: out.Domain}
		b.hop.deliver = func(a dlp.Address) dlp.Delivery {
			if a == gone {
				return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
			}
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
		}
		b.put(t, gone, out)
		s := stallAt(b, func(ch store.Change) bool { return len(ch.Progress) > 0 && len(ch.Out) > 0 })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.RunOutbox(ctx) })
		outlast(s)
		cancel()
		wg.Wait()
		q, err := b.ListQueue(t.Context(), true)
		reports := slices.DeleteFunc(q, func(m gateway.Queued) bool { return m.Kind != "dsn" })
		if err != nil || len(reports) != 1 {
			t.Errorf("%d reports, %v; want 1", len(reports), err)
		}
	})
}

// TestDecisionWithoutAnAnswerIsOnRecordAsItIs: to an officer's decision stable
// storage gave no answer. The officer and the audit log are told what came of it,
// and "unknown" only if that could not be found out.
func TestDecisionWithoutAnAnswerIsOnRecordAsItIs(t *testing.T) {
	release := func(b *bench, ctx context.Context, id dlp.ID) error {
		_, err := b.Release(ctx, id, vault.Opened{}, "uid:0")
		return err
	}
	reject := func(b *bench, ctx context.Context, id dlp.ID) error {
		return b.Reject(ctx, id, vault.Opened{}, "uid:0")
	}
	for _, tt := range []struct {
		name           string
		act            func(*bench, context.Context, dlp.ID) error
		forgets, hangs bool
		result         string
		state          vault.State
		done, unknown  bool // what the officer is told
	}{
		{"a release stands", release, false, false, "released", vault.Released, true, false},
		{"a release does not", release, true, false, "failed", vault.Held, false, false},
		{"a release stands, and the next has no answer either", release, false, true, "released", vault.Released, true, false},
		{"nobody knows of a release", release, true, true, "unknown", vault.Held, false, true},
		{"a rejection stands", reject, false, false, "rejected", vault.Rejected, true, false},
		{"a rejection does not", reject, true, false, "failed", vault.Held, false, false},
		{"nobody knows of a rejection", reject, true, true, "unknown", vault.Held, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
				id := b.Message(t.Context(), mail(out), b.hop).ID
				b.db.forgets = tt.forgets
				b.db.hangs.Store(tt.hangs)
				b.db.unknown.Store(true)
				err := tt.act(b, t.Context(), id)
				if (err == nil) != tt.done || errors.Is(err, store.ErrUnknown) != tt.unknown {
					t.Errorf("the officer is told %v", err)
				}
				b.db.hung.Store(false)
				if e, err := b.vault.Get(t.Context(), id); err != nil || e.State != tt.state {
					t.Errorf("it is %s, %v; want %s", e.State, err, tt.state)
				}
				if got := b.audit.results(); len(got) != 2 || got[1] != tt.result {
					t.Errorf("outcomes on record %q, want %q last", got, tt.result)
				}
			})
		})
	}
}
