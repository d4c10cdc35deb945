// Package watchtest holds what a watch.Store must pass, and a Store in memory
// that passes it.
package watchtest

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

func key(s string) (k watch.Key) {
	copy(k[:], s)
	return k
}

// Run checks what package watch relies on. newStore returns an empty store and
// a function that closes it and opens it again from stable storage; a store
// that lives in memory only returns itself.
func Run(t *testing.T, newStore func(t *testing.T) (s watch.Store, reopen func() watch.Store)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s watch.Store, reopen func() watch.Store)
	}{
		{"states are read back whole", states},
		{"a state replaces the one before", replaced},
		{"states of one root not seen lately are pruned", pruned},
		{"marks", marks},
		{"claims", claims},
		{"many goroutines", many},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := newStore(t)
			c.test(t, s, reopen)
		})
	}
}

func sample() watch.State {
	return watch.State{Key: key("k"), Root: key("r"), Inode: 1<<63 + 7, Size: 1 << 40, MTime: -5, CTime: 1_700_000_000_123_456_789,
		Digest: key("d"), RuleSet: "4f1c", Action: dlp.Encrypt, Ours: true, Doc: dlp.NewID(),
		Released: &dlp.Released{Rules: []dlp.RuleID{"us-ssn", "mrn"}, Causes: []dlp.Cause{dlp.Encrypted, dlp.Image}},
		Seen:     time.Unix(1_700_000_000, 0)}
}

func equal(a, b watch.State) bool {
	ra, rb := a.Released, b.Released
	if (ra == nil) != (rb == nil) || !a.Seen.Equal(b.Seen) {
		return false
	}
	if ra != nil && (!slices.Equal(ra.Rules, rb.Rules) || !slices.Equal(ra.Causes, rb.Causes)) {
		return false
	}
	a.Released, b.Released, a.Seen, b.Seen = nil, nil, time.Time{}, time.Time{}
	return a == b
}

func wantState(t *testing.T, s watch.Store, k watch.Key, want *watch.State) {
	t.Helper()
	got, ok, err := s.State(t.Context(), k)
	if err != nil || ok != (want != nil) {
		t.Fatalf("State: there %v, error %v; want there %v", ok, err, want != nil)
	}
	if want != nil && !equal(got, *want) {
		t.Fatalf("State:\n got %+v\nwant %+v", got, *want)
	}
}

func put(t *testing.T, s watch.Store, states ...watch.State) {
	t.Helper()
	if err := s.PutStates(t.Context(), states); err != nil {
		t.Fatal(err)
	}
}

func states(t *testing.T, s watch.Store, reopen func() watch.Store) {
	wantState(t, s, key("k"), nil)
	full := sample()
	bare := watch.State{Key: key("bare"), Root: key("r"), Seen: time.Unix(1, 0)}
	put(t, s, full, bare)
	wantState(t, s, full.Key, &full)
	s = reopen()
	wantState(t, s, full.Key, &full)
	wantState(t, s, bare.Key, &bare)
	put(t, s) // none is no error
}

func replaced(t *testing.T, s watch.Store, reopen func() watch.Store) {
	a := sample()
	b := a
	b.Released, b.Ours, b.Action, b.Size = nil, false, dlp.Hold, 3
	put(t, s, a)
	put(t, s, b)
	wantState(t, reopen(), a.Key, &b)
}

func pruned(t *testing.T, s watch.Store, reopen func() watch.Store) {
	at := time.Unix(1_700_000_000, 0)
	old, fresh, other := sample(), sample(), sample()
	old.Key, old.Seen = key("old"), at.Add(-time.Second)
	fresh.Key, fresh.Seen = key("fresh"), at
	other.Key, other.Root, other.Seen = key("other"), key("r2"), at.Add(-time.Hour)
	put(t, s, old, fresh, other)
	n, err := s.PruneStates(t.Context(), key("r"), at)
	if err != nil || n != 1 {
		t.Fatalf("PruneStates: %d, %v; want 1", n, err)
	}
	s = reopen()
	wantState(t, s, old.Key, nil)
	wantState(t, s, fresh.Key, &fresh)
	wantState(t, s, other.Key, &other)
}

func marks(t *testing.T, s watch.Store, reopen func() watch.Store) {
	first, second := dlp.NewID(), dlp.NewID()
	if id, ok, err := s.Marked(t.Context(), key("d")); ok || err != nil {
		t.Fatalf("Marked before Mark: %q %v %v", id, ok, err)
	}
	for _, id := range []dlp.ID{first, second} {
		if err := s.Mark(t.Context(), key("d"), id); err != nil {
			t.Fatal(err)
		}
	}
	if id, ok, err := reopen().Marked(t.Context(), key("d")); id != second || !ok || err != nil {
		t.Fatalf("Marked: %q %v %v; want %q", id, ok, err, second)
	}
}

func claims(t *testing.T, s watch.Store, reopen func() watch.Store) {
	a := watch.Claim{ID: dlp.NewID(), Root: key("r"), Phase: watch.Taken, Sealed: []byte("sealed")}
	b := watch.Claim{ID: dlp.NewID(), Root: key("r"), Phase: watch.Restoring, Sealed: []byte{0, 1}}
	other := watch.Claim{ID: dlp.NewID(), Root: key("r2"), Sealed: []byte("x")}
	again := a
	again.Phase, again.Sealed = watch.Kept, []byte("sealed anew")
	for _, c := range []watch.Claim{a, b, other, again} {
		if err := s.PutClaim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen()
	got, err := s.Claims(t.Context(), key("r"))
	if err != nil || len(got) != 2 {
		t.Fatalf("Claims: %d, %v; want 2", len(got), err)
	}
	for _, c := range got {
		want := again
		if c.ID == b.ID {
			want = b
		}
		if c.ID != want.ID || c.Root != want.Root || c.Phase != want.Phase || string(c.Sealed) != string(want.Sealed) {
			t.Errorf("claim:\n got %+v\nwant %+v", c, want)
		}
	}
	for range 2 { // the second finds nothing, and that is no error
		if err := s.DeleteClaim(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := reopen().Claims(t.Context(), key("r")); err != nil || len(got) != 1 || got[0].ID != b.ID {
		t.Fatalf("Claims after DeleteClaim: %+v, %v", got, err)
	}
}

func many(t *testing.T, s watch.Store, _ func() watch.Store) {
	const workers, each = 4, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				st := watch.State{Key: key(strconv.Itoa(w*each + i)), Root: key("r"), Seen: time.Unix(5, 0)}
				c := watch.Claim{ID: dlp.NewID(), Root: key("r"), Sealed: []byte("x")}
				if err := s.PutStates(t.Context(), []watch.State{st}); err != nil {
					t.Error(err)
				}
				if err := s.PutClaim(t.Context(), c); err != nil {
					t.Error(err)
				}
				if _, ok, err := s.State(t.Context(), st.Key); !ok || err != nil {
					t.Errorf("State: %v %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
	if got, err := s.Claims(t.Context(), key("r")); err != nil || len(got) != workers*each {
		t.Errorf("Claims: %d, %v; want %d", len(got), err, workers*each)
	}
}
