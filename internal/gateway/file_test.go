package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// claimed is a dlp.Claim on content that is always there.
type claimed struct {
	take func(context.Context) error
	back int
}

func (c *claimed) Take(ctx context.Context) error { return c.take(ctx) }
func (c *claimed) Open() (io.ReadSeekCloser, error) {
	return closer{bytes.NewReader([]byte(text))}, nil
}
func (c *claimed) Check(context.Context) error          { return nil }
func (c *claimed) Remove(context.Context, []byte) error { return nil }
func (c *claimed) Encrypt(context.Context) error        { return nil }
func (c *claimed) PutBack(context.Context) error        { c.back++; return nil }

func file() *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Name: "a.csv", Root: "/srv/share", Received: time.Now(),
		Size: int64(len(text)), File: &dlp.FileMeta{Mode: 0o644, ModTime: time.Now()},
		Open: func() (io.ReadSeekCloser, error) { return closer{bytes.NewReader([]byte(text))}, nil }}
}

// TestLargeFileIsTakenHoweverLongItLasts: a file that takes minutes to compare
// and seal must not be put back and tried again for ever.
func TestLargeFileIsTakenHoweverLongItLasts(t *testing.T) {
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		c := &claimed{take: func(ctx context.Context) error {
			select {
			case <-time.After(20 * time.Minute):
				return errors.New("read to its end")
			case <-ctx.Done():
				return errors.New("cut short")
			}
		}}
		start := time.Now()
		b.File(ctx, file(), c)
		if got := time.Since(start); got != 20*time.Minute {
			t.Errorf("taking was cut short after %v", got)
		}
		c.take = func(ctx context.Context) error {
			stop()
			<-ctx.Done()
			return ctx.Err()
		}
		start = time.Now()
		b.File(ctx, file(), c)
		if got := time.Since(start); got <= 0 || got > 20*time.Second {
			t.Errorf("told to stop, the act went on for %v, want up to 20 s", got)
		}
	})
}

// slowFiles puts files back, and tells when it has begun and waits.
type slowFiles struct{ begun, goOn chan struct{} }

func (f slowFiles) Restore(context.Context, string, string, dlp.FileMeta, dlp.ID, io.Reader, dlp.Released) (string, error) {
	close(f.begun)
	<-f.goOn
	return "a.csv", nil
}

// TestRejectDoesNotCrossARelease: what is being put back cannot be rejected,
// or it would stand in its place and on record as never released.
func TestRejectDoesNotCrossARelease(t *testing.T) {
	b := newBench(t)
	f := slowFiles{make(chan struct{}), make(chan struct{})}
	b.Files = f
	doc := file()
	got := b.File(t.Context(), doc, &claimed{take: func(context.Context) error { return nil }})
	if got.Kind != dlp.Held {
		t.Fatalf("outcome %v, want held", got.Kind)
	}
	var wg sync.WaitGroup
	var released error
	wg.Go(func() { _, released = b.Release(t.Context(), doc.ID, vault.Opened{}, "uid:0") })
	<-f.begun
	rejected := b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:1")
	close(f.goOn)
	wg.Wait()
	if !errors.Is(rejected, gateway.ErrBusy) || released != nil {
		t.Errorf("reject: %v, release: %v; want %v and none", rejected, released, gateway.ErrBusy)
	}
	if e, err := b.vault.Get(t.Context(), doc.ID); err != nil || e.State != vault.Released {
		t.Errorf("state %q, %v; want released", e.State, err)
	}
}

// TestFileWithoutAnAnswerIsHeldOnce: to the hold of a file stable storage gave no
// answer. If it stands the file is held, if not it is back in its place, and
// while nobody knows it is neither.
func TestFileWithoutAnAnswerIsHeldOnce(t *testing.T) {
	for _, tt := range []struct {
		name           string
		forgets, hangs bool
		kind           dlp.OutcomeKind
		back, held     int
		result         string
	}{
		{"it stands", false, false, dlp.Held, 0, 1, audit.ResultHeld},
		{"it does not", true, false, dlp.TryAgain, 1, 0, audit.ResultFailed},
		{"it stands, and the next has no answer either", false, true, dlp.Held, 0, 1, audit.ResultHeld},
		{"nobody knows", true, true, dlp.TryAgain, 0, 0, audit.ResultUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.db.forgets = tt.forgets
				b.db.unknown.Store(true)
				b.db.hangs.Store(tt.hangs)
				c := &claimed{take: func(context.Context) error { return nil }}
				doc := file()
				got := b.File(t.Context(), doc, c)
				results := b.audit.results()
				if got.Kind != tt.kind || c.back != tt.back || len(results) != 1 || results[0] != tt.result {
					t.Errorf("outcome %v, put back %d times, on record %q; want %v, %d, %s", got.Kind, c.back, results, tt.kind, tt.back, tt.result)
				}
				if tt.hangs && tt.forgets {
					if kept, _, err := b.Kept(t.Context(), doc.ID); err == nil {
						t.Errorf("while nobody knows: kept %v, want an error", kept)
					}
				}
				b.db.hung.Store(false)
				held, err := b.ListHeld(t.Context(), false, "", "uid:0")
				if err != nil || len(held) != tt.held {
					t.Errorf("%d held, %v; want %d", len(held), err, tt.held)
				}
				if kept, _, err := b.Kept(t.Context(), doc.ID); err != nil || kept != (tt.held > 0) {
					t.Errorf("in the end: kept %v, %v; want %v", kept, err, tt.held > 0)
				}
			})
		})
	}
}
