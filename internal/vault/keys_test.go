package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestLeastKeep: keys are kept for good, or for long enough to be looked at twice.
func TestLeastKeep(t *testing.T) {
	for _, tc := range []struct {
		keep, cases time.Duration
		want        string // the key that is wrong
	}{
		{0, 0, ""},
		{time.Second, time.Second, ""},
		{365 * 24 * time.Hour, 0, ""},
		{time.Second - 1, 0, "vault.keep"},
		{0, time.Millisecond, "vault.keep_cases"},
	} {
		c := vault.DefaultConfig()
		c.Keep, c.KeepCases = dlp.Duration(tc.keep), dlp.Duration(tc.cases)
		got := ""
		if e, ok := errors.AsType[*dlp.KeyError](c.Validate()); ok {
			if got = e.Key; !strings.Contains(e.Want, "at least a second") {
				t.Errorf("%s: it wants %q", got, e.Want)
			}
		}
		if got != tc.want {
			t.Errorf("%v and %v: got %q, want %q", tc.keep, tc.cases, got, tc.want)
		}
	}
}
