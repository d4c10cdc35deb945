package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// doubts are holds to whose commit stable storage gave no answer in time:
	// nobody knows yet whether they stand. Guarded by mu.
	doubts map[[32]byte]store.Repeat
}

func (r *repeats) load(left []store.Repeat) {
	r.byKey = make(map[[32]byte]store.Repeat, len(left))
	r.keyOf = make(map[dlp.ID][32]byte, len(left))
	r.busy, r.doubts = map[[32]byte]chan struct{}{}, map[[32]byte]store.Repeat{}
	for _, x := range left {
		r.byKey[x.Key], r.keyOf[x.ID] = x, x.Key
	}
}

func (r *repeats) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byKey) > 0 || len(r.doubts) > 0
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

// sought is find once it is known what became of a hold under key to whose
// commit there was no answer. Its error says that it is still not known.
func (g *Gateway) sought(ctx context.Context, key [32]byte) (store.Repeat, bool, error) {
	r := &g.repeats
	r.mu.Lock()
	x, doubtful := r.doubts[key]
	r.mu.Unlock()
	if doubtful {
		// Stable storage has come to all that was handed over before this.
		if err := g.Store.Commit(ctx, store.Change{}); err != nil {
			return store.Repeat{}, false, err
		}
		left, err := g.Store.Unacknowledged(ctx, x.At)
		if err != nil {
			return store.Repeat{}, false, err
		}
		stands := slices.ContainsFunc(left, func(y store.Repeat) bool { return y.Key == key && y.ID == x.ID })
		r.settle(x, stands)
	}
	x, ok := r.find(key, g.Now())
	return x, ok, nil
}

// settle ends the doubt about x.
func (r *repeats) settle(x store.Repeat, stands bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubts[x.Key] != x {
		return // another offer has settled it
	}
	delete(r.doubts, x.Key)
	if stands {
		r.byKey[x.Key], r.keyOf[x.ID] = x, x.Key
	}
}

// claim reserves key for one commit, once no other has it. If there is a hold
// that key repeats, claim returns it and reserves nothing. end must be called
// after a reservation.
func (g *Gateway) claim(ctx context.Context, key [32]byte) (x store.Repeat, found bool, err error) {
	if x, found, err = g.repeats.begin(ctx, key, g.Now()); err != nil || found {
		return x, found, err
	}
	if x, found, err = g.sought(ctx, key); err != nil || found {
		g.repeats.end(store.Repeat{Key: key}, errNotMade)
	}
	return x, found, err
}

// errNotMade says that a reservation ends without a hold.
var errNotMade = errors.New("gateway: nothing was held")

// begin reserves key, waiting for another that has it. If that other made a
// hold, begin returns it and reserves nothing.
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

// end ends the reservation of x's key. err is that of the commit: nil when x was
// made.
func (r *repeats) end(x store.Repeat, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.prune(x.At)
		r.byKey[x.Key], r.keyOf[x.ID] = x, x.Key
	case errors.Is(err, store.ErrUnknown):
		maps.DeleteFunc(r.doubts, func(_ [32]byte, y store.Repeat) bool { return x.At.Sub(y.At) > store.RepeatKept })
		r.doubts[x.Key] = x
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
	g.OnStep("acknowledged")
	g.repeats.forget(ids)
	return nil
}
