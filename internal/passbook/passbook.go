// Package passbook keeps for an hour, in memory only, the passwords that mails
// between two correspondents named, so that they open what another mail between
// the same two carries.
package passbook

import (
	"bytes"
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Kept is how long a word stays in a Book after the last mail that named it.
const Kept = time.Hour

// Bounds of a Book. A word that finds no room pushes the oldest out.
const (
	maxPair  = 32    // words of one pair of correspondents
	maxWords = 20000 // words in all: 8 MB with all that is around them
	maxRcpts = 100   // recipients of one mail that are looked at
	maxWord  = 256   // bytes of a word
	maxAsked = 100   // words that are returned for one mail
)

// sweepEach is how often words are looked for whose hour is over. None is
// returned past it, whenever they are wiped.
const sweepEach = time.Minute

// pair names two correspondents, whichever of them sends. It is a keyed digest
// of their addresses, under a key that ends with the process.
type pair [sha256.Size]byte

// entry is one word that was named between two correspondents.
type entry struct {
	pair pair
	at   time.Time
	word []byte
}

// Book holds words. It is used by many goroutines. It writes nothing anywhere.
type Book struct {
	now func() time.Time
	key [sha256.Size]byte

	mu    sync.Mutex
	order *list.List               // guarded by mu: of *entry, the oldest first
	pairs map[pair][]*list.Element // guarded by mu: of order, the oldest first; none is empty
}

// New returns an empty Book. An hour is what now counts: a time.Now's is that of
// the monotonic clock.
func New(now func() time.Time) *Book {
	b := &Book{now: now, order: list.New(), pairs: map[pair][]*list.Element{}}
	rand.Read(b.key[:]) // never fails: crypto/rand.Read ends the program instead
	return b
}

// Note keeps the words that a mail named as passwords, the likeliest first.
func (b *Book) Note(from dlp.Address, to []dlp.Address, words []string) {
	if len(words) == 0 {
		return
	}
	pairs := b.between(from, to)
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.now()
	b.sweep(at)
	for _, p := range pairs {
		for i := min(len(words), maxPair) - 1; i >= 0; i-- { // so that the likeliest is the youngest
			if w := words[i]; w != "" && len(w) <= maxWord {
				b.add(&entry{pair: p, at: at, word: []byte(w)})
			}
		}
	}
}

// Words returns what was named within the hour between the sender of a mail and
// any of its recipients, by whomever: the youngest first. The strings are copies,
// and secret.
func (b *Book) Words(from dlp.Address, to []dlp.Address) []string {
	b.mu.Lock()
	empty := b.order.Len() == 0
	b.mu.Unlock()
	if empty {
		return nil
	}
	pairs := b.between(from, to)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(b.now())
	var words []string
	seen := map[string]bool{}
	for i := 1; i <= maxPair; i++ { // each pair has its turn
		for _, p := range pairs {
			es := b.pairs[p]
			if i > len(es) {
				continue
			}
			w := string(es[len(es)-i].Value.(*entry).word)
			if !seen[w] && len(words) < maxAsked {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	return words
}

// Run wipes what is over until ctx ends, and then all.
func (b *Book) Run(ctx context.Context) {
	t := time.NewTicker(sweepEach)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.mu.Lock()
			b.sweep(b.now())
			b.mu.Unlock()
		case <-ctx.Done():
			b.mu.Lock()
			for b.order.Len() > 0 {
				b.drop(b.order.Front())
			}
			b.mu.Unlock()
			return
		}
	}
}

// between returns the pairs of a mail. The null reverse-path is nobody's.
func (b *Book) between(from dlp.Address, to []dlp.Address) []pair {
	if from.IsNull() {
		return nil
	}
	pairs := make([]pair, 0, min(len(to), maxRcpts))
	for _, r := range to[:min(len(to), maxRcpts)] {
		x, y := name(from), name(r)
		if y < x {
			x, y = y, x
		}
		h := hmac.New(sha256.New, b.key[:])
		h.Write([]byte(x + "\x00" + y))
		pairs = append(pairs, pair(h.Sum(nil)))
	}
	return pairs
}

// name is an address as two ways to write it have in common. A local part is its
// host's to read (RFC 5321 2.4), but no host is known by which Ada is not ada.
func name(a dlp.Address) string { return strings.ToLower(a.Local + "@" + a.Domain) }

// add puts e in, as the youngest of its pair and of all. b.mu is held.
func (b *Book) add(e *entry) {
	es := b.pairs[e.pair]
	for _, old := range es {
		if bytes.Equal(old.Value.(*entry).word, e.word) {
			b.drop(old)
			break
		}
	}
	if es = b.pairs[e.pair]; len(es) >= maxPair {
		b.drop(es[0])
	}
	if b.order.Len() >= maxWords {
		b.drop(b.order.Front())
	}
	b.pairs[e.pair] = append(b.pairs[e.pair], b.order.PushBack(e))
}

// sweep drops what is over. b.mu is held.
func (b *Book) sweep(now time.Time) {
	for el := b.order.Front(); el != nil && now.Sub(el.Value.(*entry).at) >= Kept; el = b.order.Front() {
		b.drop(el)
	}
}

// drop wipes one word. b.mu is held.
func (b *Book) drop(el *list.Element) {
	e := b.order.Remove(el).(*entry)
	clear(e.word)
	es := b.pairs[e.pair]
	for i, o := range es {
		if o == el {
			es = append(es[:i], es[i+1:]...)
			break
		}
	}
	if len(es) == 0 {
		delete(b.pairs, e.pair)
		return
	}
	b.pairs[e.pair] = es
}
