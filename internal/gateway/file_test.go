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
	wg.Go(func() { released = b.Release(t.Context(), doc.ID, "uid:0") })
	<-f.begun
	rejected := b.Reject(t.Context(), doc.ID, "uid:1")
	close(f.goOn)
	wg.Wait()
	if !errors.Is(rejected, gateway.ErrBusy) || released != nil {
		t.Errorf("reject: %v, release: %v; want %v and none", rejected, released, gateway.ErrBusy)
	}
	if e, err := b.vault.Get(t.Context(), doc.ID); err != nil || e.State != vault.Released {
		t.Errorf("state %q, %v; want released", e.State, err)
	}
}
