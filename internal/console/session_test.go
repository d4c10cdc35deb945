package console_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
)

// TestSessionEndsWhileInUse: who never pauses is signed out all the same, eight hours
// after they signed in, and not before.
func TestSessionEndsWhileInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	const step = 14 * time.Minute
	used := time.Duration(0)
	for ; used+step <= 8*time.Hour; used += step {
		s.pass(step)
		if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
			t.Fatalf("%v after the sign-in: %d, want 200", used+step, code)
		}
	}
	s.pass(8*time.Hour - used + time.Second)
	if code, _, to := v.do(http.MethodGet, "/queue", nil); code != http.StatusSeeOther || to != "/signin" {
		t.Errorf("eight hours after the sign-in: %d to %q, want the sign-in", code, to)
	}
}
