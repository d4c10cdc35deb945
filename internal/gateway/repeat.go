package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/store"
)

// repeats knows the holds and splits whose 250 may never have reached the
// client. A client that comes again with the same message gets the same id.
type repeats struct {
	mu    sync.Mutex
	byKey map[[32]byte]store.Repeat  // guarded by mu
	keyOf map[dlp.ID][32]byte        // guarded by mu
	busy  map[[32]byte]chan struct{} // guarded by mu: keys whose hold is being committed; closed when it is done
}

func (r *repeats) load(left []store.Repeat) {
	r.byKey = make(map[[32]byte]store.Repeat, len(left))
	r.keyOf = make(map[dlp.ID][32]byte, len(left))
	r.busy = map[[32]byte]chan struct{}{}
	for _, x := range left {
		r.byKey[x.Key], r.keyOf[x.ID] = x, x.Key
	}
}

func (r *repeats) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byKey) > 0
}

// find returns the unacknowledged hold that key repeats.
func (r *repeats) find(key [32]byte, now time.Time) (store.Repeat, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, ok := r.byKey[key]
	if ok && now.Sub(x.At) > store.RepeatKept {
		delete(r.byKey, key)
		delete(r.keyOf, x.ID)
		return store.Repeat{}, false
	}
	return x, ok
}

// begin reserves key for one commit, waiting for another that has it. If that
// other made a hold, begin returns it and reserves nothing. end must be called
// after a reservation: with the hold that was made, or with ok false.
func (r *repeats) begin(ctx context.Context, key [32]byte, now time.Time) (x store.Repeat, found bool, err error) {
	for {
		if x, found = r.find(key, now); found {
			return x, true, nil
		}
		r.mu.Lock()
		wait, taken := r.busy[key]
		if !taken {
			r.busy[key] = make(chan struct{})
			r.mu.Unlock()
			return store.Repeat{}, false, nil
		}
		r.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return store.Repeat{}, false, ctx.Err()
		}
	}
}

func (r *repeats) end(x store.Repeat, made bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if made {
		r.prune(x.At)
		r.byKey[x.Key], r.keyOf[x.ID] = x, x.Key
	}
	close(r.busy[x.Key])
	delete(r.busy, x.Key)
}

// pruneAbove is how many unacknowledged holds may be known before old ones are
// looked for: most are acknowledged by the client's next command.
const pruneAbove = 10_000

// prune forgets what is past the window. The caller holds mu.
func (r *repeats) prune(now time.Time) {
	if len(r.byKey) < pruneAbove {
		return
	}
	for key, x := range r.byKey {
		if now.Sub(x.At) > store.RepeatKept {
			delete(r.byKey, key)
			delete(r.keyOf, x.ID)
		}
	}
}

func (r *repeats) forget(ids []dlp.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if key, ok := r.keyOf[id]; ok {
			delete(r.byKey, key)
			delete(r.keyOf, id)
		}
	}
}

// repeatKey is equal for two offers of the same message: same reverse-path,
// same recipients, same bytes but for Received, Return-Path and X-Stanch-*.
func (g *Gateway) repeatKey(doc *dlp.Document) ([32]byte, error) { return g.keyOf("repeat", doc) }

// partKey is as repeatKey, apart from it: of messages that are ours only in
// part, the rest being with their mail server.
func (g *Gateway) partKey(doc *dlp.Document) ([32]byte, error) { return g.keyOf("repeat in part", doc) }

func (g *Gateway) keyOf(kind string, doc *dlp.Document) ([32]byte, error) {
	r, err := doc.Open()
	if err != nil {
		return [32]byte{}, fmt.Errorf("gateway: open %s: %w", doc.ID, err)
	}
	defer r.Close()
	digest, err := message.RepeatDigest(r)
	if err != nil {
		return [32]byte{}, fmt.Errorf("gateway: digest %s: %w", doc.ID, err)
	}
	rcpts := make([]string, len(doc.Rcpts))
	for i, a := range doc.Rcpts {
		rcpts[i] = a.String()
	}
	slices.Sort(rcpts)
	return g.Names.MAC(kind, []byte(doc.Sender.String()), []byte(strings.Join(rcpts, "\n")), digest[:]), nil
}

// Acknowledge marks holds and splits whose 250 the client has seen: from now
// on the same message is a new one. It is durable when it returns nil.
func (g *Gateway) Acknowledge(ctx context.Context, ids []dlp.ID) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	g.OnStep("acknowledge")
	if err := g.Store.Commit(ctx, store.Change{Acknowledge: ids}); err != nil {
		return fmt.Errorf("gateway: acknowledge: %w", err)
	}
	g.repeats.forget(ids)
	return nil
}
