package sqlite_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

// TestAsk: one about a held item is kept until it expires, a second one or one
// about anything else undoes its Change.
func TestAsk(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	doc, body := vaulttest.Document(10)
	item, err := in.vault.Seal(t.Context(), doc, vaulttest.CaseOf(doc, body))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Hold: []vault.Item{item}})
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	ask := func(id dlp.ID, words string) error {
		a, err := in.vault.Ask(id, at, words)
		if err != nil {
			t.Fatal(err)
		}
		return in.db.Commit(t.Context(), store.Change{Ask: []vault.Ask{a}})
	}
	move := func(from, to vault.State) {
		tr, err := in.vault.Transition(doc.ID, from, to, at, "user:ann", "")
		if err != nil {
			t.Fatal(err)
		}
		commit(t, in, store.Change{Decide: []vault.Transition{tr}})
	}
	is := func(want string) {
		t.Helper()
		a, yes, err := in.vault.AskOf(t.Context(), doc.ID)
		if err != nil || a.Words != want || yes != (want != "") || yes && !a.At.Equal(at) {
			t.Errorf("asked %+v, %v, %v; want %q", a, yes, err, want)
		}
		ids, err := in.vault.Wanted(t.Context(), []dlp.ID{dlp.NewID(), doc.ID})
		if err != nil || slices.Contains(ids, doc.ID) != yes || len(ids) > 1 {
			t.Errorf("wanted %v, %v", ids, err)
		}
	}
	is("")
	if err := ask(dlp.NewID(), "x"); !errors.Is(err, store.ErrState) {
		t.Errorf("about nothing: %v", err)
	}
	if err := ask(doc.ID, "the plan asks for it"); err != nil {
		t.Fatal(err)
	}
	is("the plan asks for it")
	if err := ask(doc.ID, "again"); !errors.Is(err, store.ErrState) {
		t.Errorf("a second time: %v", err)
	}
	is("the plan asks for it")
	move(vault.Held, vault.Rejected)
	is("the plan asks for it")
	move(vault.Rejected, vault.Expired)
	is("")
	if err := ask(doc.ID, "late"); !errors.Is(err, store.ErrState) {
		t.Errorf("about what is not held: %v", err)
	}
}
