package web

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// limitSlots is how many keys a row of a Limiter tells apart: 16 Ki of 8 bytes,
// two rows, 256 KiB. Keys that share a slot in both rows wait for one another.
const limitSlots = 16 << 10

// Limiter bounds attempts by key. What it keeps has a fixed size: no flood of
// keys makes it grow or forget. All methods may be called at the same time.
type Limiter struct {
	every time.Duration
	burst time.Duration
	now   func() time.Time
	seed  maphash.Seed

	mu   sync.Mutex
	rows [2][limitSlots]int64 // guarded by mu; when each slot is at rest, Unix ns
}

// NewLimiter allows burst attempts at once and one more each every.
func NewLimiter(burst int, every time.Duration, now func() time.Time) *Limiter {
	return &Limiter{every: every, burst: time.Duration(burst) * every, now: now, seed: maphash.MakeSeed()}
}

func (l *Limiter) slots(key string) [2]*int64 {
	sum := maphash.String(l.seed, key)
	return [2]*int64{&l.rows[0][sum%limitSlots], &l.rows[1][sum>>32%limitSlots]}
}

// Allow counts an attempt and reports whether it may be made; if not, it is not
// counted and wait says when one may.
func (l *Limiter) Allow(key string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().UnixNano()
	at := l.slots(key)
	wait = time.Duration(min(max(*at[0], now), max(*at[1], now))-now) + l.every - l.burst
	if wait > 0 {
		return wait, false
	}
	for _, s := range at {
		*s = max(*s, now) + int64(l.every)
	}
	return 0, true
}

// Refund takes an attempt back that did no harm, as a sign-in that held.
func (l *Limiter) Refund(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.slots(key) {
		*s -= int64(l.every)
	}
}

// ClientKey names who asks for a Limiter: the address, of IPv6 its network of
// 64 bits, which is what one customer has.
func ClientKey(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip := at.Addr().Unmap()
	if ip.Is6() {
		p, err := ip.WithZone("").Prefix(64)
		if err != nil {
			return ""
		}
		return p.String()
	}
	return ip.String()
}
