package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the ledger.
const (
	ledgerBatch = 256                    // states written at once
	ledgerDelay = 100 * time.Millisecond // that a state may wait for others
	ledgerRetry = time.Second            // after the store failed
	ledgerMax   = 16384                  // states kept while the store fails; files whose state is dropped are read again
)

// ledger reads states through those that are not written yet, so that results
// can share a sync without a file being read twice.
type ledger struct {
	store Store
	log   *slog.Logger
	wake  chan struct{}

	writing sync.Mutex // held while the store is written, so that writes keep their order

	mu    sync.Mutex
	fresh map[Key]State // not in the store yet; guarded by mu
}

func newLedger(store Store, log *slog.Logger) *ledger {
	return &ledger{store: store, log: log, wake: make(chan struct{}, 1), fresh: make(map[Key]State)}
}

func (l *ledger) get(ctx context.Context, key Key) (State, bool, error) {
	l.mu.Lock()
	st, ok := l.fresh[key]
	l.mu.Unlock()
	if ok {
		return st, true, nil
	}
	return l.store.State(ctx, key)
}

// put notes st, to be written soon. A lost one costs a second reading.
func (l *ledger) put(st State) {
	l.mu.Lock()
	if len(l.fresh) < ledgerMax {
		l.fresh[st.Key] = st
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// putNow writes st and returns when it is on stable storage.
func (l *ledger) putNow(ctx context.Context, st State) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	delete(l.fresh, st.Key)
	l.mu.Unlock()
	return step("write state", l.store.PutStates(ctx, []State{st}))
}

// run writes what put notes until ctx ends, and once more then.
func (l *ledger) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			l.flush(context.WithoutCancel(ctx))
			return
		case <-l.wake:
		}
		wait := ledgerDelay
		for !l.flush(ctx) {
			wait = ledgerRetry
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// flush writes everything noted; false when the store failed.
func (l *ledger) flush(ctx context.Context) bool {
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		l.mu.Lock()
		batch := make([]State, 0, min(len(l.fresh), ledgerBatch))
		for _, st := range l.fresh {
			if len(batch) == ledgerBatch {
				break
			}
			batch = append(batch, st)
		}
		l.mu.Unlock()
		if len(batch) == 0 {
			return true
		}
		if err := l.store.PutStates(ctx, batch); err != nil {
			if ctx.Err() == nil {
				l.log.LogAttrs(ctx, slog.LevelError, "file states not written", slog.Int("count", len(batch)))
			}
			return false
		}
		l.mu.Lock()
		for _, st := range batch {
			if l.fresh[st.Key] == st {
				delete(l.fresh, st.Key)
			}
		}
		l.mu.Unlock()
	}
}
