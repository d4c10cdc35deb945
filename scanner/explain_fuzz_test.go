package scanner

import (
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// FuzzExplain: whatever the text, what the proofs come to is what a scan finds,
// and the first step told as stopping is the one that stopped.
func FuzzExplain(f *testing.F) {
	s := New(builtIn(f))
	f.Add("SSN 536-22-8145, MRN: 4829137; DOB 3/4/1961 x512441234 \u200b５３６－２２－８１４５")
	f.Add("a.b@c.example 4111 1111 1111 1111 DE89370400440532013000 $512441234 /x/512441234")
	f.Add("1EG4-TE5-MK73\n\tNPI\t1234567893 é漢 order 512-44-1234 \xff")
	f.Fuzz(func(t *testing.T, text string) {
		if text = strings.ToValidUTF8(text, "?"); len(text) == 0 || len(text) > 4096 {
			return
		}
		agree(t, s, text, nil, false)
	})
}

// TestExplainersShare: Explainers of one Scanner share what they are made from.
func TestExplainersShare(t *testing.T) {
	s := New(builtIn(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			x := s.Explain(ExplainOptions{Rules: []dlp.RuleID{"us-ssn", "dob"}, Near: true})
			if err := Feed(x, dlp.PartInfo{}, []byte("his number 536228145, 536-22-814, born 3/4/1961, x536-22-8145")); err != nil {
				t.Error(err)
			}
			if e := x.Finish(); len(e.Candidates) < 4 || len(e.Near) == 0 {
				t.Errorf("%d candidates, %d near misses", len(e.Candidates), len(e.Near))
			}
		})
	}
	wg.Wait()
}
