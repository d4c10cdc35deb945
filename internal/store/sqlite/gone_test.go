package sqlite_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestAnUndoneExpiryKeepsItsContent: a Change that ends a document and then fails
// ends nothing: the file of its content stays.
func TestAnUndoneExpiryKeepsItsContent(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	large, other := item(t, in, 2*vault.InlineMax), item(t, in, 10)
	commit(t, in, store.Change{Hold: []vault.Item{large, other}})
	move := func(id vault.Item, from, to vault.State) vault.Transition {
		t.Helper()
		tr, err := in.vault.Transition(id.ID, from, to, time.Now(), "officer", "")
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	commit(t, in, store.Change{Decide: []vault.Transition{move(large, vault.Held, vault.Released)}})
	err := in.db.Commit(t.Context(), store.Change{Decide: []vault.Transition{
		move(large, vault.Released, vault.Expired), move(other, vault.Released, vault.Expired)}})
	if !errors.Is(err, store.ErrState) {
		t.Fatalf("got %v, want ErrState: the second was not released", err)
	}
	commit(t, in, store.Change{}) // what is done after a group is over
	r, err := in.vault.Open(t.Context(), large.ID, nil)
	if err != nil {
		t.Fatalf("the content: %v", err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n < 2*vault.InlineMax {
		t.Errorf("the content: %d bytes, %v", n, err)
	}
}
