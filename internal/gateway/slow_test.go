package gateway_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestPlainMailFlowsPastPDFs: however many messages wait for a reader of PDF,
// mail without one is read and answered, before any of them is.
func TestPlainMailFlowsPastPDFs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowReader{each: time.Hour, pdf: true}
		g := newTimedGateway(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		var pdfs sync.WaitGroup
		var answered int
		var mu sync.Mutex
		for range 20 {
			pdfs.Go(func() {
				g.Message(ctx, from("pdf", "clinic.example", out), b)
				mu.Lock()
				defer mu.Unlock()
				answered++
			})
		}
		synctest.Wait() // none goes on by itself but by the clock, which stands
		var plain sync.WaitGroup
		kinds := make([]dlp.OutcomeKind, 20)
		for i := range kinds {
			plain.Go(func() { kinds[i] = g.Message(t.Context(), mail(out), b).Kind })
		}
		synctest.Wait()
		mu.Lock()
		if answered != 0 || b.most != 1 {
			t.Errorf("%d with a PDF were answered, %d read at once; want none and 1", answered, b.most)
		}
		mu.Unlock()
		for i, got := range kinds { // so far as they are answered
			if got != dlp.Passed {
				t.Errorf("message %d: %v, want %v", i, got, dlp.Passed)
			}
		}
		cancel()
		pdfs.Wait()
		plain.Wait()
		if n := g.Turns(); n != [2]int{2, 1} {
			t.Errorf("turns left %v, want all of them", n)
		}
	})
}

// TestWaitingForAPDFReaderIsNotReading: a message is not held for the time in
// which others with a PDF are read, but for its own before and after that.
func TestWaitingForAPDFReaderIsNotReading(t *testing.T) {
	for _, tt := range []struct {
		each time.Duration // of the time-out's 200 ms
		pass bool
	}{{150 * time.Millisecond, true}, {250 * time.Millisecond, false}} {
		synctest.Test(t, func(t *testing.T) {
			b := &slowReader{each: tt.each, pdf: true}
			g := newTimedGateway(t, b)
			var wg sync.WaitGroup
			kinds := make([]dlp.OutcomeKind, 8)
			for i := range kinds {
				wg.Go(func() { kinds[i] = g.Message(t.Context(), from("pdf", "clinic.example", out), b).Kind })
			}
			wg.Wait()
			for i, got := range kinds {
				if (got == dlp.Passed) != tt.pass {
					t.Errorf("%v each, message %d: %v", tt.each, i, got)
				}
			}
			if b.most != 1 {
				t.Errorf("%d were read at once, want 1", b.most)
			}
		})
	}
}
