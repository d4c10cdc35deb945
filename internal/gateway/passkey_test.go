package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
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
	for range pickup.MaxPasskeys {
		if err := b.SetPasskey(t.Context(), id, pickup.Credential{Key: []byte("k")}); err != nil {
			t.Fatal(err)
		}
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
