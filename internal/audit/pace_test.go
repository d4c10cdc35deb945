package audit_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// syncTime is what a sync takes here, by the bubble's clock.
const syncTime = time.Millisecond

// slowFile is a file whose syncs take their time, and are counted.
type slowFile struct {
	audit.File
	each  time.Duration
	syncs *int
}

func (f slowFile) Datasync() error {
	time.Sleep(f.each)
	*f.syncs++
	return f.File.Datasync()
}

// openSlow opens a log whose syncs take each, and counts them from then on.
func openSlow(t *testing.T, opt audit.Options, each time.Duration, syncs *int) *audit.Log {
	t.Helper()
	l, _, err := audit.OpenWith(t.Context(), opt, func(path string) (audit.File, error) {
		f, err := audit.OpenOS(path)
		if err == nil && strings.HasSuffix(path, "/log") {
			f = slowFile{f, each, syncs}
		}
		return f, err
	})
	if err != nil {
		t.Fatal(err)
	}
	*syncs = 0
	return l
}

// TestNobodyWaitsLongForWhoWent: of two senders one goes. However long a sync
// takes, the other waits for it for two milliseconds once, and then no more.
func TestNobodyWaitsLongForWhoWent(t *testing.T) {
	const slow = 100 * time.Millisecond
	opt := place(t)
	synctest.Test(t, func(t *testing.T) {
		syncs := 0
		l := openSlow(t, opt, slow, &syncs)
		start := time.Now()
		send := func() {
			if _, err := l.Append(t.Context(), decision()); err != nil {
				t.Error(err)
			}
		}
		var both sync.WaitGroup
		both.Go(send)
		both.Go(send)
		both.Wait()
		for range 5 {
			send()
		}
		if waited := time.Since(start) - time.Duration(syncs)*slow; waited > 2*time.Millisecond {
			t.Errorf("waited %v beside %d syncs, want 2 ms at most", waited, syncs)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestThoseWhoComeTogetherShareASync: senders whose events come shortly after
// each other, round for round, come to share one sync; one by itself never
// waits for another.
func TestThoseWhoComeTogetherShareASync(t *testing.T) {
	const rounds = 40
	for _, tc := range []struct {
		name    string
		senders int
		apart   time.Duration // of one sender from the next
		most    int           // syncs
	}{
		{"one", 1, 0, rounds},
		{"five", 5, syncTime / 10, rounds * 5 / 4}, // twice the rounds, where who comes first goes at once
		{"five, the last when a sync would be over", 5, 3 * syncTime / 8, rounds * 5 / 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := place(t)
			synctest.Test(t, func(t *testing.T) {
				syncs := 0
				l := openSlow(t, opt, syncTime, &syncs)
				start := time.Now()
				var all sync.WaitGroup
				for i := range tc.senders {
					all.Go(func() {
						for range rounds {
							time.Sleep(time.Duration(i) * tc.apart)
							if _, err := l.Append(t.Context(), decision()); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.Wait()
				if syncs > tc.most {
					t.Errorf("got %d syncs for %d rounds, want at most %d", syncs, rounds, tc.most)
				}
				if took := time.Since(start); tc.senders == 1 && took != rounds*syncTime {
					t.Errorf("one sender took %v, want its %d syncs and no more", took, rounds)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			if r := verify(t, opt); !r.Closed || r.Events != uint64(rounds*tc.senders) {
				t.Errorf("got %+v, want %d events in a closed log", r, rounds*tc.senders)
			}
		})
	}
}
