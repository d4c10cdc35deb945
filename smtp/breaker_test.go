package smtp_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/smtp"
)

// TestBreakerOfManyAtOnce: of fifty sessions that come together few dial a next
// hop that swallows what they send, the others do not wait until these are given
// up, and none fails at one that answers. Those who give up in between leave
// their try to others.
func TestBreakerOfManyAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name          string
		answers       bool
		givesUp       int // of those who dial, before there is an answer
		most, reached int
	}{
		{"silent", false, 0, 3, 0},
		{"silent, and some give up", false, 2, 5, 0},
		{"healthy", true, 0, 50, 50},
		{"healthy, and some give up", true, 3, 53, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &wireHop{}
				cfg := smtp.DefaultClient()
				cfg.Addr, cfg.Hostname, cfg.TLS = "hop.test:25", "gw.example", smtp.TLSOff
				var dials, atOnce, most atomic.Int64
				answer := make(chan struct{})
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials.Add(1)
					if n := atOnce.Add(1); n > most.Load() {
						most.Store(n)
					}
					defer atOnce.Add(-1)
					select {
					case <-answer:
						return h.pipe(ctx, network, addr)
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				c := smtp.NewClient(cfg)
				var wg sync.WaitGroup
				var done, long atomic.Int64 // reached; waited more than their turn
				impatient, cancel := context.WithCancel(t.Context())
				begin := func(ctx context.Context) {
					wg.Go(func() {
						began := time.Now()
						tx, _, err := c.Begin(ctx, ann, smtp.MailOptions{}, toBob)
						if waited := time.Since(began); waited > cfg.ConnectTimeout {
							t.Errorf("waited %v, beyond the bound of %v", waited, cfg.ConnectTimeout)
						} else if waited > cfg.ConnectTimeout/2 {
							long.Add(1)
						}
						if err == nil {
							done.Add(1)
							_ = tx.Reset(t.Context())
						}
					})
				}
				for range tt.givesUp {
					begin(impatient)
				}
				synctest.Wait()
				for range 50 {
					begin(t.Context())
				}
				synctest.Wait()
				if n := dials.Load(); n != 3 {
					t.Errorf("%d dial at once, want 3", n)
				}
				cancel()
				synctest.Wait()
				if tt.answers {
					close(answer)
				}
				wg.Wait()
				if n := done.Load(); n != int64(tt.reached) || dials.Load() > int64(tt.most) {
					t.Errorf("%d of 50 reached it over %d dials, want %d over %d at most", n, dials.Load(), tt.reached, tt.most)
				}
				if n := most.Load(); !tt.answers && n > 3 {
					t.Errorf("%d dialled at once", n)
				}
				if n := long.Load(); n > int64(tt.most) {
					t.Errorf("%d waited as long as those who dialled, want %d at most", n, tt.most)
				}
				c.Close()
				h.wg.Wait()
			})
		})
	}
}

// TestBreakerOfAHopThatHangs: a next hop that answered a moment ago and hangs
// now is dialled by few at once, however many come. One that answers slowly is
// dialled by more as it answers, and fails nobody.
func TestBreakerOfAHopThatHangs(t *testing.T) {
	for _, tt := range []struct {
		name           string
		answers        bool
		reached, dials int
		atOnce, grown  int
	}{
		{"hangs", false, 0, 50, 50, 50},
		{"answers", true, 300, 300, 50, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &wireHop{}
				cfg := smtp.DefaultClient()
				cfg.Addr, cfg.Hostname, cfg.TLS, cfg.MaxIdle = "hop.test:25", "gw.example", smtp.TLSOff, 0
				var dials, atOnce, most atomic.Int64
				var hangs atomic.Bool
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if !hangs.Load() {
						return h.pipe(ctx, network, addr)
					}
					dials.Add(1)
					if n := atOnce.Add(1); n > most.Load() {
						most.Store(n)
					}
					defer atOnce.Add(-1)
					slow := make(<-chan time.Time)
					if tt.answers {
						slow = time.After(time.Second)
					}
					select {
					case <-slow:
						return h.pipe(ctx, network, addr)
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}
				c := smtp.NewClient(cfg)
				var done atomic.Int64
				var wg sync.WaitGroup
				begin := func() {
					wg.Go(func() {
						if tx, _, err := c.Begin(t.Context(), ann, smtp.MailOptions{}, toBob); err == nil {
							done.Add(1)
							_ = tx.Reset(t.Context())
						}
					})
				}
				begin()
				wg.Wait()
				done.Store(0)
				hangs.Store(true)
				for range 300 {
					begin()
				}
				synctest.Wait()
				if n := atOnce.Load(); n != int64(tt.atOnce) {
					t.Errorf("%d dial at once, want %d", n, tt.atOnce)
				}
				wg.Wait()
				if n := done.Load(); n != int64(tt.reached) || dials.Load() != int64(tt.dials) {
					t.Errorf("%d of 300 reached it over %d dials, want %d over %d", n, dials.Load(), tt.reached, tt.dials)
				}
				if n := most.Load(); !tt.answers && n > int64(tt.grown) || tt.answers && n < int64(tt.grown) {
					t.Errorf("%d dialled at once at most, want %d", n, tt.grown)
				}
				c.Close()
				h.wg.Wait()
			})
		})
	}
}
