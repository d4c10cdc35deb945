package spool

import "time"

// Lifetime is how long a message is tried before it fails.
//
// Source: RFC 5321 4.5.4.1: "generally needs to be at least 4-5 days".
const Lifetime = 5 * 24 * time.Hour

// MaxBackoff is the longest that Backoff waits.
const MaxBackoff = 4 * time.Hour

// schedule is the longest wait after each try; the last repeats. Most hops
// that are down come back within minutes: the first tries are close together,
// as RFC 5321 4.5.4.1 advises two in the first hour.
var schedule = [...]time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, MaxBackoff,
}

// Backoff returns how long to wait after the tries-th failed try, counted from
// 1: three quarters to the whole of 1m, 2m, 5m, 15m, 30m, 1h, 2h and then 4h.
// rnd in [0, 1) chooses within that range, so that messages that failed
// together do not come back together.
func Backoff(tries int, rnd float64) time.Duration {
	most := schedule[min(max(tries, 1), len(schedule))-1]
	rnd = min(max(rnd, 0), 1)
	return most - time.Duration(float64(most/4)*rnd)
}
