package gateway_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/store"
)

func wrongKey([]pickup.Passkey) (pickup.Passkey, error) { return pickup.Passkey{}, pickup.ErrPasskey }

// rightKey is the first one, which has signed once more.
func rightKey(keys []pickup.Passkey) (pickup.Passkey, error) {
	if len(keys) == 0 {
		return pickup.Passkey{}, pickup.ErrPasskey
	}
	keys[0].Count++
	return keys[0], nil
}

// TestPasskeyTries: five tries, as of codes; a code that matches gives them back.
func TestPasskeyTries(t *testing.T) {
	b, id := picking(t)
	if err := b.SetPasskey(t.Context(), id, pickup.Credential{Handle: []byte("h"), Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	for left := 4; left >= 0; left-- {
		if got, err := b.OpenByPasskey(t.Context(), id, wrongKey); !errors.Is(err, pickup.ErrPasskey) || got != left {
			t.Errorf("%d left, %v; want %d", got, err, left)
		}
	}
	if _, err := b.OpenByPasskey(t.Context(), id, rightKey); !errors.Is(err, pickup.ErrNoCode) {
		t.Errorf("the right one after five wrong ones: %v", err)
	}
	if _, _, err := b.OpenPickup(t.Context(), id, codeOf(t, b, id)); err != nil {
		t.Fatal(err)
	}
	for want := range uint32(2) {
		keys, user, err := b.PickupPasskeys(t.Context(), id)
		if err != nil || len(keys) != 1 || keys[0].Count != want || keys[0].Of != out || string(keys[0].Handle) != "h" || len(user) != 32 {
			t.Errorf("%+v, %x, %v", keys, user, err)
		}
		if _, err := b.OpenByPasskey(t.Context(), id, rightKey); err != nil {
			t.Errorf("the right one: %v", err)
		}
	}
}

// TestPasskeysAreBounded: five of a mailbox; each is gone when its reader or an
// officer removes it, and when it was not used for long.
func TestPasskeysAreBounded(t *testing.T) {
	b, id := picking(t)
	var wg sync.WaitGroup
	var set atomic.Int32
	for range 3 * pickup.MaxPasskeys { // at once
		wg.Go(func() {
			switch err := b.SetPasskey(t.Context(), id, pickup.Credential{Key: []byte("k")}); {
			case err == nil:
				set.Add(1)
			case !errors.Is(err, pickup.ErrManyPasskeys):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := set.Load(); n != pickup.MaxPasskeys {
		t.Errorf("%d were set at once", n)
	}
	if err := b.SetPasskey(t.Context(), id, pickup.Credential{Key: []byte("k")}); !errors.Is(err, pickup.ErrManyPasskeys) {
		t.Errorf("one more: %v", err)
	}
	keys, _, err := b.PickupPasskeys(t.Context(), id)
	if err != nil || len(keys) != pickup.MaxPasskeys {
		t.Fatalf("%+v, %v", keys, err)
	}
	if err := b.ForgetPasskey(t.Context(), id, dlp.NewID()); !errors.Is(err, pickup.ErrNoPasskey) {
		t.Errorf("one that is none of theirs: %v", err)
	}
	if err := b.ForgetPasskey(t.Context(), id, keys[0].ID); err != nil {
		t.Error(err)
	}
	if err := b.RemovePasskey(t.Context(), keys[1].ID, "uid:0"); err != nil {
		t.Error(err)
	}
	if err := b.RemovePasskey(t.Context(), keys[1].ID, "uid:0"); !errors.Is(err, pickup.ErrNoPasskey) {
		t.Errorf("removed twice: %v", err)
	}
	if all, err := b.ListPasskeys(t.Context()); err != nil || len(all) != 3 || all[0].Of != out.String() {
		t.Errorf("listed %+v, %v", all, err)
	}
	b.skew.Store(int64(401 * 24 * time.Hour))
	all, err := b.ListPasskeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.audit.breaksOn = all[0].ID
	if err := b.ExpirePasskeys(t.Context()); err == nil {
		t.Error("nothing is said of one that could not be removed")
	}
	if left, err := b.ListPasskeys(t.Context()); err != nil || len(left) != 1 || left[0].ID != all[0].ID {
		t.Errorf("one that could not be removed leaves %+v, %v", left, err)
	}
	b.audit.breaksOn = ""
	if err := b.ExpirePasskeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := b.ListPasskeys(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after their time: %+v, %v", all, err)
	}
	var reasons []string
	for _, e := range b.audit.events {
		if e.Kind == audit.Pickup {
			reasons = append(reasons, strings.TrimPrefix(e.Reason, "passkey_"))
		}
	}
	if got := strings.Join(reasons, " "); got != "set set set set set removed removed expired expired expired" {
		t.Errorf("on record: %s", got)
	}
}

// TestPasskeysOfTwoMailboxes: a passkey opens what waits for its mailbox, and nothing
// of another's; the other's reader does not see it and cannot remove it; and a row
// that is copied to the other mailbox opens nothing there.
func TestPasskeysOfTwoMailboxes(t *testing.T) {
	b, _ := picking(t)
	pat := dlp.Address{Local: "pat", Domain: "partner.example"}
	encrypting(t, b).to = map[string]dlp.Way{out.String(): dlp.Portal, pat.String(): dlp.Portal}
	b.verdict[pat.String()] = encryptIt
	if o := b.Message(t.Context(), withText(strings.Replace(labs, "labs\r\n", "labs again\r\n", 1), out, pat), b.hop); o.Kind != dlp.Split {
		t.Fatalf("outcome %v", o.Kind)
	}
	ps, err := b.ListPickups(t.Context(), false)
	if err != nil || len(ps) != 3 {
		t.Fatalf("parcels %+v, %v", ps, err)
	}
	of := map[string][]dlp.ID{}
	for _, p := range ps {
		of[p.Recipient] = append(of[p.Recipient], p.ID)
	}
	sams, pats := of[out.String()], of[pat.String()]
	if len(sams) != 2 || len(pats) != 1 {
		t.Fatalf("parcels %+v", of)
	}
	if err := b.SetPasskey(t.Context(), sams[0], pickup.Credential{Handle: []byte("sam's"), Key: []byte("k"), Of: pat}); err != nil {
		t.Fatal(err)
	}
	keys, user, err := b.PickupPasskeys(t.Context(), sams[1])
	if err != nil || len(keys) != 1 || keys[0].Of != out {
		t.Fatalf("of the same mailbox: %+v, %v", keys, err)
	}
	none, other, err := b.PickupPasskeys(t.Context(), pats[0])
	if err != nil || len(none) != 0 || string(user) == string(other) {
		t.Errorf("of the other: %+v, %v; known as the same: %t", none, err, string(user) == string(other))
	}
	if _, err := b.OpenByPasskey(t.Context(), sams[1], rightKey); err != nil {
		t.Errorf("the same mailbox: %v", err)
	}
	if _, err := b.OpenByPasskey(t.Context(), pats[0], rightKey); !errors.Is(err, pickup.ErrPasskey) {
		t.Errorf("the other mailbox: %v", err)
	}
	if err := b.ForgetPasskey(t.Context(), pats[0], keys[0].ID); !errors.Is(err, pickup.ErrNoPasskey) {
		t.Errorf("removed by the other's reader: %v", err)
	}

	if err := b.SetPasskey(t.Context(), pats[0], pickup.Credential{Handle: []byte("pat's")}); err != nil {
		t.Fatal(err)
	}
	pats1, _, err := b.PickupPasskeys(t.Context(), pats[0])
	if err != nil || len(pats1) != 1 {
		t.Fatalf("%+v, %v", pats1, err)
	}
	theirs, err := b.db.Passkey(t.Context(), pats1[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := b.db.Passkey(t.Context(), keys[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	moved.Mailbox = theirs.Mailbox
	if err := b.db.Commit(t.Context(), store.Change{KeyGone: []dlp.ID{moved.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Commit(t.Context(), store.Change{KeySet: []pickup.PasskeyRow{moved}}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := b.PickupPasskeys(t.Context(), pats[0]); err != nil || len(got) != 1 || string(got[0].Handle) != "pat's" {
		t.Errorf("with a row that was copied: %+v, %v", got, err)
	}
	all, err := b.ListPasskeys(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("listed %+v, %v", all, err)
	}
	for _, k := range all {
		if want := map[dlp.ID]string{moved.ID: "", theirs.ID: pat.String()}[k.ID]; k.Of != want {
			t.Errorf("listed as %q's, want %q", k.Of, want)
		}
	}
	if err := b.RemovePasskey(t.Context(), moved.ID, "uid:0"); err != nil {
		t.Errorf("what is damaged is removed: %v", err)
	}
	if all, err := b.ListPasskeys(t.Context()); err != nil || len(all) != 1 || all[0].ID != theirs.ID {
		t.Errorf("left: %+v, %v", all, err)
	}
}
