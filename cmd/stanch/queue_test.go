package main

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestLastOf: the table says what came of the last try, and where no reply
// came the step, if it is known.
func TestLastOf(t *testing.T) {
	for want, q := range map[string]gateway.Queued{
		"":               {Kind: "copy"},
		"451":            {Kind: "copy", Tries: 1, LastCode: 451},
		"none":           {Kind: "copy", Tries: 1},
		"none: greeting": {Kind: "copy", Tries: 1, LastStage: "greeting"},
		"broke":          {Kind: "copy", Tries: 1, LastStage: "dot", Why: "broke"},
	} {
		if got := lastOf(q); got != want {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
	}
}
