package main

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestLockedHeader: a list that is refused says what and what to do, and nothing
// of the steps in between.
func TestLockedHeader(t *testing.T) {
	got := lockedHeader(wrapped{vault.ErrLocked})
	if got == nil || !strings.HasPrefix(got.Error(), "--header: the server has no release key") || strings.Contains(got.Error(), "gateway:") {
		t.Errorf("got %v", got)
	}
	if lockedHeader(nil) != nil {
		t.Error("an error of none")
	}
}

type wrapped struct{ error }

func (w wrapped) Error() string { return "gateway: open: vault: open: " + w.error.Error() }
func (w wrapped) Unwrap() error { return w.error }

// TestTwoKeysThatAreNotEnough: whose file is at fault is named.
func TestTwoKeysThatAreNotEnough(t *testing.T) {
	readers := []string{"age1ann", "age1ben"}
	for name, tc := range map[string]struct {
		files []string
		keys  [][]string
		want  string
	}{
		"one":                  {[]string{"ann.key"}, [][]string{{"age1ann"}}, "give --identity twice"},
		"a stranger and one":   {[]string{"stranger.key", "ann.key"}, [][]string{{"age1cid"}, {"age1ann"}}, "stranger.key: not the key of a reviewer"},
		"one, twice":           {[]string{"ann.key", "copy.key"}, [][]string{{"age1ann"}, {"age1ann"}}, "the files have the key of one reviewer only"},
		"one and the server's": {[]string{"ann.key", "b.key"}, [][]string{{"age1ann"}, {}}, "b.key: not the key of a reviewer"},
	} {
		if got := notEnough(tc.files, tc.keys, readers).Error(); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
