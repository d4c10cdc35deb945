package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// books are what a test's clients sent and what its next hop took, in the forms
// of the load generator's ledger and of the sink's, so that account, which knows
// nothing of the test, says what was lost, doubled or mangled.
type books struct {
	t          *testing.T
	dir        string
	sent, sunk string // the ledgers' paths
	reports    bool   // reports to the senders may arrive, which none of them sent
	// opens is what was sent, of what arrives; nil where that is the same.
	opens func(text string) string

	mu      sync.Mutex // guards all below
	letters int
	kept    []string            // ids of letters that somebody decided not to let go
	open    map[string]*os.File // the ledgers that are written to, by path
}

// letter is one message, which its sender may send again.
type letter struct {
	id, text string
	tries    int      // guarded by the books' mu
	back     []string // recipients of whose refusal the sender is told in a report: they must not have it
}

// newBooks makes empty books. It skips the test where account is absent.
func newBooks(t *testing.T) *books {
	t.Helper()
	if tools == "" {
		t.Skip("account, the load generator and the sink are not beside the checkout")
	}
	dir := t.TempDir()
	b := &books{t: t, dir: dir, sent: filepath.Join(dir, "load.jsonl"), sunk: filepath.Join(dir, "sink.jsonl"), open: map[string]*os.File{}}
	for _, path := range []string{b.sent, b.sunk} {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		b.open[path] = f
	}
	return b
}

// hop is a next hop that writes into the books.
func (b *books) hop() *nextHop {
	b.t.Helper()
	h := newNextHop(b.t)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.books = b
	return h
}

// letter makes a message of msg, to be sent: with an id ahead, and its last line
// ended.
func (b *books) letter(msg string) *letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters++
	id := fmt.Sprintf("letter-%06d", b.letters)
	return &letter{id: id, text: "X-Load-Id: " + id + "\r\n" + strings.TrimSuffix(msg, "\r\n") + "\r\n"}
}

// answered notes how l was answered: at which stage of the generator's, and with
// what, "" for a connection that was lost.
func (b *books) answered(l *letter, rcpts []string, stage, answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rcpts = slices.DeleteFunc(slices.Clone(rcpts), func(r string) bool { return slices.Contains(l.back, r) })
	code, _ := strconv.Atoi(answer[:min(3, len(answer))]) // what is none is no answer
	_, header, body := hashes(l.text)
	b.write(b.sent, map[string]any{"t": time.Now(), "id": l.id, "try": l.tries, "code": code, "stage": stage, "reply": answer,
		"from": "ada@clinic.example", "rcpts": rcpts, "size": len(l.text), "hsha": header, "bsha": body})
	l.tries++
}

// unrecorded is the one excuse that a test gives, since neither client nor next
// hop can know of it: the gateway had answered 250 for l, gave it to the next hop,
// and was killed before the hop's answer was on record. It is l's sender then and
// has no answer, so it sends again; account excuses one more copy, and counts it.
func (b *books) unrecorded(l *letter, rcpts []string) {
	b.answered(l, rcpts, "dot", "")
}

// keeps notes that the letter with that id is not to go out: a person rejected or
// dropped it, or its sender was told that it did not.
func (b *books) keeps(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, id)
}

// took notes what the next hop was given, and whether it took it: outcome is 250,
// drop for taken without an answer, or how it was not taken.
func (b *books) took(tx hopMail, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opens != nil {
		tx.text = b.opens(tx.text)
	}
	id, header, body := hashes(tx.text)
	if b.reports && id == "" && tx.from == "" {
		return
	}
	b.write(b.sunk, map[string]any{"t": time.Now(), "id": id, "from": tx.from, "rcpts": tx.rcpts, "size": len(tx.text),
		"hsha": header, "bsha": body, "committed": outcome == "250" || outcome == "drop", "outcome": outcome})
}

// write adds a line to a ledger. b.mu is held.
func (b *books) write(path string, line map[string]any) {
	text, err := json.Marshal(line)
	if err == nil {
		_, err = b.open[path].Write(append(text, '\n'))
	}
	if err != nil {
		b.t.Errorf("books: %v", err)
	}
}

// hashes are those that the tools make: the message's id, and the sums of its
// header from the id on and of its body.
func hashes(text string) (id, header, body string) {
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:12])
	}
	head, rest, _ := strings.Cut(text, "\r\n\r\n")
	head += "\r\n"
	if i := strings.Index("\r\n"+head, "\r\nX-Load-Id: "); i >= 0 {
		head = head[i:]
		id, _, _ = strings.Cut(strings.TrimPrefix(head, "X-Load-Id: "), "\r\n")
		header = sum(head)
	}
	return id, header, sum(rest)
}

// send gives msg to the mail door, as a message of its own, and returns the answer
// to it.
func (b *books) send(g *gateway, rcpts []string, msg string) (answer string, err error) {
	return b.give(g, rcpts, b.letter(msg))
}

// give is send for a message that may have been sent before.
func (b *books) give(g *gateway, rcpts []string, l *letter) (answer string, err error) {
	answer, _, err = b.offer(g, rcpts, l)
	return answer, err
}

// offer is give for a caller to whom it matters at which stage it failed: at
// "quit" the message had its 250.
func (b *books) offer(g *gateway, rcpts []string, l *letter) (answer, stage string, err error) {
	answer, stage, err = g.offer("ada@clinic.example", rcpts, l.text)
	switch {
	case err == nil, stage == "quit":
		b.answered(l, rcpts, "dot", "250 "+answer)
	default:
		b.answered(l, rcpts, stage, refused(err))
	}
	return answer, stage, err
}

// mail sends msg for outside over a connection that is there, and wants it taken.
func (b *books) mail(c *client, msg string) {
	c.t.Helper()
	l := b.letter(msg)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<"+outside[0]+">", "250")
	c.want("DATA", "354")
	b.answered(l, outside, "dot", c.want(stuffed(l.text), "250"))
}

// settle has all that is held go out, and account judge. It returns how many
// second copies account excused.
func (b *books) settle(g *gateway) (excused int) {
	b.t.Helper()
	b.release(g)
	return b.judge(g, false)
}

// release waits until the outbox is empty, and lets go what is held, which nobody
// must have got before.
func (b *books) release(g *gateway) {
	b.t.Helper()
	emptyOutbox(b.t, g)
	releaseHeld(g, sentCopies(b.t, b.sunk))
	emptyOutbox(b.t, g)
}

// judge has account find every message that was answered 250 at the next hop, once
// and as it was sent, none of the others, and nothing else. With doubled the test
// itself knows which second copies are excused. excused is how many account does.
func (b *books) judge(g *gateway, doubled bool) (excused int) {
	b.t.Helper()
	b.mu.Lock()
	kept := slices.Clone(b.kept)
	b.mu.Unlock()
	for key := range sentCopies(b.t, b.sunk) {
		if id, rcpt, _ := strings.Cut(key, " "); slices.Contains(kept, id) {
			b.t.Errorf("%s went to %s, and was not to go out", id, rcpt)
		}
	}
	found, err := accounted(b.t, b.dir, b.sunk, kept, []string{b.sent})
	if err != nil && (!doubled || !onlyDoubled(found)) {
		b.t.Errorf("account: %v", err)
	}
	noneLeft(b.t, filepath.Join(g.data(), "tmp"))
	g.must("audit", "verify")
	_, n, _ := strings.Cut(found, "\ndup-excused")
	_, _ = fmt.Sscan(n, &excused) // 0 where account names none
	return excused
}

// releaseHeld lets all mail go that is held, no message twice and none for a
// recipient who has it already, by the copies that the next hops took; n says how
// many they were.
func releaseHeld(g *gateway, copies map[string][]sentCopy) (n int) {
	g.t.Helper()
	var ids []string
	seen := map[string]bool{}
	for _, it := range g.held("--header", "X-Load-Id") {
		if it.Channel != "mail" {
			continue
		}
		if seen[it.Header] {
			g.t.Errorf("%s is held twice", it.Header)
		}
		seen[it.Header] = true
		for _, r := range it.Recipients {
			if n := len(copies[it.Header+" "+r]); n > 0 {
				g.t.Errorf("%s is held for %s, who got it %d times", it.Header, r, n)
			}
		}
		ids = append(ids, it.ID)
	}
	g.t.Logf("%d held in the end, and released", len(ids))
	for batch := range slices.Chunk(ids, 100) {
		g.must(append([]string{"quarantine", "release"}, batch...)...)
	}
	return len(ids)
}

// TestBooksTell: by the books account finds what is lost, doubled, mangled in
// header or body, or let out though refused, and excuses a second copy only where
// the first was taken without an answer.
func TestBooksTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		want string // what account finds; "" for nothing
		more func(b *books, l *letter, tx hopMail)
	}{
		{"nothing", "", func(*books, *letter, hopMail) {}},
		{"lost", "LOST", func(b *books, _ *letter, _ hopMail) { b.answered(b.letter(cleanMail), outside, "dot", "250 ok") }},
		{"not for all", "LOST-rcpt", func(b *books, _ *letter, tx hopMail) {
			l := b.letter(cleanMail)
			b.answered(l, append(outside, "kim@partner.example"), "dot", "250 ok")
			b.took(hopMail{tx.from, l.text, outside}, "250")
		}},
		{"doubled", "DUPLICATE", func(b *books, _ *letter, tx hopMail) { b.took(tx, "250") }},
		{"taken without an answer", "dup-excused", func(b *books, _ *letter, tx hopMail) { b.took(tx, "drop") }},
		{"not taken", "", func(b *books, _ *letter, tx hopMail) { b.took(tx, "hang") }},
		{"another body", "mangled", func(b *books, l *letter, tx hopMail) {
			b.took(hopMail{tx.from, strings.Replace(l.text, "Kind", "kind", 1), tx.rcpts}, "drop")
		}},
		{"another header", "header-changed", func(b *books, l *letter, tx hopMail) {
			b.took(hopMail{tx.from, strings.Replace(l.text, "Subject", "subject", 1), tx.rcpts}, "drop")
		}},
		{"refused and taken", "refused-but-delivered", func(b *books, _ *letter, tx hopMail) {
			l := b.letter(cleanMail)
			b.answered(l, outside, "dot", "554 5.0.0 no")
			b.took(hopMail{tx.from, l.text, outside}, "250")
		}},
		{"not sent by anybody", "unknown", func(b *books, _ *letter, _ hopMail) { b.took(hopMail{"", cleanMail, outside}, "250") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBooks(t)
			l := b.letter(cleanMail)
			b.answered(l, outside, "dot", "250 ok")
			tx := hopMail{"ada@clinic.example", "Received: from a\r\n" + l.text, outside}
			b.took(tx, "250")
			tt.more(b, l, tx)
			var found bytes.Buffer
			cmd := exec.Command(filepath.Join(tools, "account"), "-sink", b.sunk, "-load", b.sent, "-strict-header")
			cmd.Stdout, cmd.Stderr = &found, &found
			err := cmd.Run()
			if fails := tt.want != "" && tt.want != "dup-excused"; fails != (err != nil) || !strings.Contains(found.String(), tt.want) {
				t.Errorf("account: %v; want %q in\n%s", err, tt.want, found.String())
			}
		})
	}
}
