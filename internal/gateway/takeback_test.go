package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var sentLink = regexp.MustCompile(`https://held\.example/sent/(\S+)`)

// second is another recipient who picks mail up.
var second = dlp.Address{Local: "carol", Domain: "Other.example"}

// telling is a bench whose mail for out and second waits at the pickup pages, and
// whose senders have links.
func telling(t *testing.T, change ...func(*gateway.Config)) *bench {
	t.Helper()
	b := newBenchWith(t, func(c *gateway.Config) {
		c.Portal = pickup.Default()
		c.Portal.URL, c.Portal.Site, c.Portal.Contact = "https://pickup.example", "Clinic", "555-0142"
		c.Sender = gateway.DefaultSender()
		c.Sender.Listen, c.Sender.URL = "127.0.0.1:1", "https://held.example/"
		for _, f := range change {
			f(c)
		}
	})
	b.Pickup = pickup.New(b.db, b.db.PickupContents(), b.Names.(*crypt.Ring))
	to := encrypting(t, b).to
	to[out.String()], to[second.String()] = dlp.Portal, dlp.Portal
	b.verdict[second.String()] = encryptIt
	return b
}

// sentLinks are the links to take mail back in the notices about doc.
func sentLinks(t *testing.T, b *bench, doc dlp.ID) (tokens []string) {
	t.Helper()
	ms, err := b.spool.Of(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if m.Kind != spool.Notice {
			continue
		}
		r, err := b.spool.Open(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		_ = r.Close() // only read from
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("=\r\n"), nil) // RFC 2045 6.7: soft line breaks
		if found := sentLink.FindSubmatch(text); found != nil {
			if len(m.Rcpts) != 1 || m.Rcpts[0].Addr.String() != "ada@clinic.example" || bytes.Contains(text, []byte(out.Domain)) {
				t.Errorf("to %v:\n%s", m.Rcpts, text)
			}
			tokens = append(tokens, string(found[1]))
		}
	}
	return tokens
}

// sits has b keep text for all of rcpts to pick up, and returns its sender's link.
func sits(t *testing.T, b *bench, text string, rcpts ...dlp.Address) (dlp.ID, string) {
	t.Helper()
	o := b.Message(t.Context(), withText(text, rcpts...), b.hop)
	if o.Kind != dlp.Split {
		t.Fatalf("outcome %v", o.Kind)
	}
	tokens := sentLinks(t, b, o.ID)
	if len(tokens) != 1 {
		t.Fatalf("%d links, want one", len(tokens))
	}
	return o.ID, tokens[0]
}

// TestSenderTakesBack: by one link all that waits of a message ends, once, on
// record; looking changes nothing.
func TestSenderTakesBack(t *testing.T) {
	b := telling(t)
	doc, token := sits(t, b, labs, out, second)
	ps, err := b.ListPickups(t.Context(), false)
	if err != nil || len(ps) != 2 {
		t.Fatalf("parcels %+v, %v", ps, err)
	}
	opened := ps[slices.IndexFunc(ps, func(p gateway.Picked) bool { return p.Recipient == out.String() })].ID
	if _, _, err := b.OpenPickup(t.Context(), opened, codeOf(t, b, opened)); err != nil {
		t.Fatal(err)
	}
	before := len(b.audit.events)
	for range 3 {
		m, err := b.SendersSent(t.Context(), token)
		if err != nil || m.Rcpts != 2 || m.Waiting != 2 || m.Opened != 1 || !slices.Equal(m.Domains, []string{"other.example", out.Domain}) || !m.Until.Equal(ps[0].Expires.Truncate(time.Second)) {
			t.Fatalf("looked: %+v, %v", m, err)
		}
	}
	if len(b.audit.events) != before {
		t.Error("looking is an event")
	}
	if err := b.SenderTakesBack(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	events := b.audit.events[before:]
	for _, p := range ps {
		if n := len(slices.DeleteFunc(slices.Clone(events), func(e audit.Event) bool {
			return e.Kind != audit.Pickup || e.Doc != p.ID || e.Of != doc || e.Reason != audit.ReasonRevoked || e.Actor != "sender"
		})); n != 1 {
			t.Errorf("%d records of %s, want 1: %+v", n, p.ID, events)
		}
		if _, err := b.Pickup.Content(t.Context(), p.ID); !errors.Is(err, pickup.ErrNotFound) {
			t.Errorf("its content is still there: %v", err)
		}
	}
	if m, err := b.SendersSent(t.Context(), token); err != nil || m.Waiting != 0 || m.Revoked != 2 || m.Opened != 1 {
		t.Errorf("then: %+v, %v", m, err)
	}
	if err := b.SenderTakesBack(t.Context(), token); !errors.Is(err, gateway.ErrChosen) || len(b.audit.events) != before+2 {
		t.Errorf("once more: %v, %d events", err, len(b.audit.events)-before)
	}
}

// TestTakeBackInPieces: what fails at the second parcel leaves that one waiting,
// and the link good.
func TestTakeBackInPieces(t *testing.T) {
	b := telling(t)
	_, token := sits(t, b, labs, out, second)
	b.audit.breaksAt = audit.Pickup
	if err := b.SenderTakesBack(t.Context(), token); err == nil {
		t.Error("taken back without a record")
	}
	if m, err := b.SendersSent(t.Context(), token); err != nil || m.Waiting != 2 {
		t.Errorf("without a record: %+v, %v", m, err)
	}
	b.audit.breaksAt = ""
	ps, err := b.ListPickups(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.RevokePickup(t.Context(), ps[0].ID, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if m, err := b.SendersSent(t.Context(), token); err != nil || m.Waiting != 1 || m.Revoked != 1 {
		t.Errorf("after an officer took one back: %+v, %v", m, err)
	}
	if err := b.SenderTakesBack(t.Context(), token); err != nil {
		t.Error(err)
	}
}

// TestTakeBackLinks: a link is good for one message, one purpose and its time.
func TestTakeBackLinks(t *testing.T) {
	b := telling(t)
	_, token := sits(t, b, labs, out)
	b.verdict[out.String()] = holdIt
	_, held := holds(t, b, strings.Replace(labs, "labs", "others", 1))
	other := telling(t)
	_, foreign := sits(t, other, labs, out)
	flipped := []byte(token)
	flipped[len(flipped)-10] ^= 1
	for name, bad := range map[string]string{"a hold's link": held, "another gateway's": foreign, "a changed one": string(flipped), "nothing": "", "dots": "...",
		"a longer one": token + "A", "much": strings.Repeat("a", 10_000)} {
		_, look := b.SendersSent(t.Context(), bad)
		if act := b.SenderTakesBack(t.Context(), bad); !errors.Is(look, gateway.ErrNoChoice) || !errors.Is(act, gateway.ErrNoChoice) {
			t.Errorf("%s: %v, %v", name, look, act)
		}
	}
	if _, err := b.SendersMail(t.Context(), token); !errors.Is(err, gateway.ErrNoChoice) {
		t.Errorf("it chooses about held mail: %v", err)
	}
	end := pickup.Default()
	b.skew.Store(int64(end.Expiry.D() + time.Minute))
	if err := b.SenderTakesBack(t.Context(), token); !errors.Is(err, gateway.ErrNoChoice) {
		t.Errorf("after its time: %v", err)
	}
}

// TestTwoLinksOfOneMessage: of a message that is held for one recipient and waits for
// another, each link is good on its own page alone.
func TestTwoLinksOfOneMessage(t *testing.T) {
	b := telling(t)
	b.verdict[out.String()] = holdIt
	o := b.Message(t.Context(), withText(labs, out, second), b.hop)
	ms, err := b.spool.Of(t.Context(), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	var held string
	for _, m := range ms {
		r, err := b.spool.Open(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		_ = r.Close() // only read from
		if err != nil {
			t.Fatal(err)
		}
		if found := heldLink.FindSubmatch(bytes.ReplaceAll(text, []byte("=\r\n"), nil)); found != nil { // RFC 2045 6.7: soft line breaks
			held = string(found[1])
		}
	}
	sent := sentLinks(t, b, o.ID)
	if held == "" || len(sent) != 1 {
		t.Fatalf("outcome %v, links %q and %q, want one of each", o.Kind, held, sent)
	}
	for name, do := range all(t, b) {
		if err := do(sent[0]); !errors.Is(err, gateway.ErrNoChoice) {
			t.Errorf("%s by the link to take it back: %v", name, err)
		}
	}
	if err := b.SenderTakesBack(t.Context(), held); !errors.Is(err, gateway.ErrNoChoice) {
		t.Errorf("taken back by the link of the hold: %v", err)
	}
	if got := chosen(t, b, held); got != "" {
		t.Errorf("then it is %q", got)
	}
	if err := b.SenderTakesBack(t.Context(), sent[0]); err != nil {
		t.Errorf("taken back by its own: %v", err)
	}
}

// TestWhoIsToldOfWhatWaits: a sender is told where that is configured, at most 20
// times an hour, never in answer to a program, and when held mail goes that way.
func TestWhoIsToldOfWhatWaits(t *testing.T) {
	for name, off := range map[string]func(*gateway.Config){
		"tell_sender = false": func(c *gateway.Config) { c.Portal.TellSender = false },
		"no [sender]":         func(c *gateway.Config) { c.Sender.Listen = "" },
	} {
		b := telling(t, off)
		if o := b.Message(t.Context(), withText(labs, out), b.hop); o.Kind != dlp.Split || len(sentLinks(t, b, o.ID)) != 0 {
			t.Errorf("%s: outcome %v, links %v", name, o.Kind, sentLinks(t, b, o.ID))
		}
	}
	b := telling(t)
	if o := b.Message(t.Context(), withText("Auto-Submitted: auto-generated\r\n"+labs, out), b.hop); o.Kind != dlp.Split || len(sentLinks(t, b, o.ID)) != 0 {
		t.Errorf("a program is told: %v", o.Kind)
	}
	told := 0
	for i := range 25 {
		o := b.Message(t.Context(), withText(strings.Replace(labs, "labs", "labs "+strings.Repeat("x", i+1), 1), out), b.hop)
		if o.Kind != dlp.Split {
			t.Fatalf("outcome %v", o.Kind)
		}
		told += len(sentLinks(t, b, o.ID))
	}
	if told != 20 {
		t.Errorf("told %d times, want 20", told)
	}
	b.skew.Store(int64(2 * time.Hour))
	b.verdict[out.String()] = holdIt
	id, held := holds(t, b, strings.Replace(labs, "labs", "held", 1))
	if err := b.SenderEncrypts(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	tokens := sentLinks(t, b, id)
	if len(tokens) != 1 {
		t.Fatalf("held mail that goes encrypted: %d links", len(tokens))
	}
	if m, err := b.SendersSent(t.Context(), tokens[0]); err != nil || m.Waiting != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if e, err := b.vault.Get(t.Context(), id); err != nil || e.State != vault.Released {
		t.Errorf("state %v, %v", e.State, err)
	}
}
