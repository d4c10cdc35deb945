package gateway_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestNextHopIsLetGoBeforeAMessageIsOurs: what becomes ours is sealed and
// synced, which takes as long as the disk does; the next hop's transaction is
// given up before, not after.
func TestNextHopIsLetGoBeforeAMessageIsOurs(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) *bench
		want dlp.OutcomeKind
	}{
		{"held", newBench, dlp.Held},
		{"read on", func(t *testing.T) *bench { b, _ := slowBench(t); return b }, dlp.Spooled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.make(t)
			b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
			resets := -1
			b.OnStep = func(step string) {
				if step == "commit" {
					resets = b.hop.resets
				}
			}
			if got := b.Message(t.Context(), mail(out), b.hop).Kind; got != tt.want {
				t.Fatalf("outcome %v, want %v", got, tt.want)
			}
			if resets != 1 || b.hop.resets != 1 {
				t.Errorf("the next hop's transaction was reset %d times before the commit, %d times in all; want 1 and 1", resets, b.hop.resets)
			}
		})
	}
}
