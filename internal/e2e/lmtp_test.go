package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
)

// partialHop is an LMTP server that takes the message for sam, does not for late
// at the first time, and never for full. What cut returns comes before that. b is
// its books, and l what it is to be given.
func partialHop(t *testing.T, cut func(rcpt string) string) (b *books, hop *nextHop, l *letter) {
	t.Helper()
	b = newBooks(t)
	b.reports = true
	hop, l = b.hop(), b.letter(cleanMail)
	l.back = []string{"full@partner.example"}
	hop.lmtp = true
	var late atomic.Bool
	hop.follow(func(verb, rcpt string, _ hopMail) string {
		if verb != "DOT" {
			return ""
		}
		who, _, _ := strings.Cut(rcpt, "@")
		if reply := cut(who); reply != "" {
			return reply
		}
		switch {
		case who == "full":
			return "552 5.2.2 mailbox full"
		case who == "late" && late.CompareAndSwap(false, true):
			return "451 4.2.0 mailbox busy"
		}
		return ""
	})
	return b, hop, l
}

var partialRcpts = []string{"sam@partner.example", "late@partner.example", "full@partner.example"}

// copies counts what an LMTP next hop took, by recipient, and reports whether
// each is whole: the message, or a report to its sender about full alone.
func copies(t *testing.T, hop *nextHop) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, m := range hop.messages() {
		who, _, _ := strings.Cut(m.rcpts[0], "@")
		n[who]++
		whole := m.from == "ada@clinic.example" && strings.HasSuffix(m.text, cleanMail)
		if who == "ada" {
			whole = m.from == "" && strings.Contains(m.text, "Status: 5.2.2") && strings.Contains(m.text, "full@partner.example") &&
				!strings.Contains(m.text, "sam@") && !strings.Contains(m.text, "late@")
		}
		if !whole {
			t.Errorf("for %s it took what is neither the message nor the report: from <%s>, %q", who, m.from, m.text)
		}
	}
	return n
}

// TestPartialAnswersSurviveKillAtEachStep: an LMTP next hop takes a message for
// one recipient, not now for a second and never for a third. Whatever step the
// process dies at, who is to have it has it, and the sender hears once of who has
// not; twice comes only what was answered and not yet recorded.
func TestPartialAnswersSurviveKillAtEachStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ step, twice string }{
		// What retry --all commits may be among the commits that are counted, also
		// ahead of what is said of sam.
		{"decision", ""},
		{"commit: begin", ""},
		{"commit: answer", ""},
		{"committed", ""},
		{"deliver", ""},
		{"delivered", "sam"}, // with the answers for all three
		{"commit#2", "sam"},
		{"committed#2", "sam"},
		{"deliver#2", ""},
		{"delivered#2", "ada late"}, // the report or the next try, whichever is first
		{"commit#3", "sam ada late"},
		{"committed#3", "sam ada late"},
		{"deliver#3", "ada late"}, // both are on their way at once: the other may be answered
		{"delivered#3", "ada late"},
		{"committed#4", "sam ada late"},
	} {
		t.Run(tt.step, func(t *testing.T) {
			t.Parallel()
			b, hop, l := partialHop(t, func(string) string { return "" })
			g := newGateway(t, options{nextHop: "lmtp:" + hop.addr})
			g.start("STANCH_CRASH_AT=" + tt.step)
			send := func() string { // the answer to the dot, whatever becomes of QUIT
				answer, _ := b.give(g, partialRcpts, l)
				return answer
			}
			answer := send()
			eventually(t, "the process dies at the step", func() bool {
				select {
				case <-g.waited:
					return true
				default:
				}
				g.cli("queue", "retry", "--all") // what is not taken now waits its minute otherwise
				return false
			})
			g.start()
			if answer == "" && send() == "" { // as every mail server does
				t.Fatal("the second try was refused")
			}
			endsWith(t, g, b, hop, l, tt.twice)
		})
	}
}

// endsWith waits until the outbox is empty and finds sam and late served and the
// sender told, once each, but those in twice, who may be so twice: of two that are
// under way at once both may be answered and neither recorded.
func endsWith(t *testing.T, g *gateway, b *books, hop *nextHop, l *letter, twice string) {
	t.Helper()
	eventually(t, "the outbox is empty", func() bool {
		g.cli("queue", "retry", "--all")
		return strings.Contains(g.must("queue", "list"), "empty")
	})
	n, excused := copies(t, hop), 0
	for _, who := range []string{"sam", "late", "ada"} {
		switch {
		case n[who] == 1:
		case n[who] == 2 && strings.Contains(twice, who):
			if who != "ada" { // reports are in nobody's books
				excused++
				b.unrecorded(l, partialRcpts)
			}
		default:
			t.Errorf("%s: %d copies, want 1 (%v)", who, n[who], n)
		}
	}
	if n["full"] != 0 || len(n) != 3 {
		t.Errorf("got %v, want sam, late and the report alone", n)
	}
	if got := b.settle(g); got != excused {
		t.Errorf("%d second copies are excused, want %d", got, excused)
	}
}

// TestCutBetweenAnswers: the connection, or the process, ends when one recipient
// has been answered for and the others not. What was heard is not asked for
// again; what a process that dies had not recorded may come twice.
func TestCutBetweenAnswers(t *testing.T) {
	t.Parallel()
	t.Run("the next hop drops the connection", func(t *testing.T) {
		t.Parallel()
		var cut atomic.Bool
		b, hop, l := partialHop(t, func(who string) string {
			if who == "late" && cut.CompareAndSwap(false, true) {
				return drop
			}
			return ""
		})
		g := newGateway(t, options{nextHop: "lmtp:" + hop.addr})
		g.start()
		if _, err := b.give(g, partialRcpts, l); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection is cut", cut.Load)
		endsWith(t, g, b, hop, l, "")
	})
	t.Run("the process is killed", func(t *testing.T) {
		t.Parallel()
		asked := make(chan struct{})
		var cut atomic.Bool
		b, hop, l := partialHop(t, func(who string) string {
			if who == "late" && cut.CompareAndSwap(false, true) {
				close(asked)
				return hang
			}
			return ""
		})
		g := newGateway(t, options{nextHop: "lmtp:" + hop.addr})
		g.start()
		if _, err := b.give(g, partialRcpts, l); err != nil {
			t.Fatal(err)
		}
		<-asked
		g.kill()
		g.start()
		endsWith(t, g, b, hop, l, "sam")
	})
}
