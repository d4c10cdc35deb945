package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
)

// backMain and backMaster make the Postfix to which mail comes back, at the port
// that is put in; what it has leaves to the relayhost.
const (
	backMain = "myhostname = back.clinic.example\nsmtpd_authorized_xforward_hosts = 127.0.0.0/8\nrelayhost = %s\n"
	// its smtpd as the guides have it behind stanch
	backMaster = "%s inet n - n - - smtpd\n    -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"
)

// returnSite is a site whose mail comes back to a Postfix of its own, which can
// be stopped.
type returnSite struct {
	*site
	back *postfix
	addr string // of back
}

func newReturnSite(t *testing.T, set, next string) *returnSite {
	t.Helper()
	r := &returnSite{site: newSite(t, set, next, "proxy", "", ""), addr: freeAddr(t)}
	own := r.replaced.Replace("127.0.0.1:10026") // the listener in the same Postfix
	if !strings.Contains(r.toml, own) {
		t.Fatalf("the guide does not say where mail comes back to:\n%s", r.toml)
	}
	r.toml = strings.Replace(r.toml, own, r.addr, 1)
	write(t, r.config, r.toml, 0o600)
	r.back = runPostfix(t, fmt.Sprintf(backMain, bracketed(next)), fmt.Sprintf(backMaster, r.addr))
	r.back.listensAt(r.addr)
	r.start()
	return r
}

// ends ends the Postfix behind stanch: how is "stop", or "abort" for at once. It
// does not listen any more a while before its master is gone, and before that it
// cannot be started.
func (r *returnSite) ends(how string) {
	r.t.Helper()
	r.back.run("postfix", "-c", r.back.dir, how)
	eventually(r.t, "the Postfix behind stanch does not listen", func() bool { return !listens(r.addr) })
	eventually(r.t, "its master is gone", func() bool {
		return exec.Command("/usr/sbin/postfix", "-c", r.back.dir, "status").Run() != nil
	})
}

// started starts it, with one more parameter for its smtpd.
func (r *returnSite) started(parameter string) {
	r.t.Helper()
	write(r.t, filepath.Join(r.back.dir, "main.cf"), mainCF(read(r.t, filepath.Join(r.back.dir, "main.cf"))+"smtpd_end_of_data_restrictions = "+parameter+"\n"), 0o644)
	r.back.start()
	r.back.listensAt(r.addr)
}

// queuesEmpty waits until nothing is on its way any more. How much is, nobody
// bounds: what clients gave to a queue while the one behind us was away, and we
// ask that one twice a minute at least. So it is too long only once none has
// arrived for longer than the outbox may wait before it tries again.
func (r *returnSite) queuesEmpty(hop *nextHop) {
	r.t.Helper()
	var ours, front, back string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("our queue:\n%s\nbefore us:\n%s\nbehind us:\n%s", ours, front, back)
		}
	}()
	begun := hop.count()
	arrived, last := begun, time.Now()
	for {
		ours, front, back = r.must("queue", "list"), r.postfix.queue(), r.back.queue()
		if strings.Contains(ours, "empty") && strings.Contains(front, "empty") && strings.Contains(back, "empty") {
			return
		}
		if n := hop.count(); n != arrived {
			arrived, last = n, time.Now()
		}
		if time.Since(last) > waitWithin+spool.Backoff(1, 0) {
			r.t.Fatalf("never: all queues are empty; %d have arrived meanwhile", arrived-begun)
		}
		time.Sleep(50 * time.Millisecond) // other processes have nothing to wait on
	}
}

// with counts the messages at the next hop with text.
func (h *nextHop) with(text string) (n int) {
	for _, m := range h.messages() {
		if strings.Contains(m.text, text) {
			n++
		}
	}
	return n
}

// TestReturnPathFails: the Postfix behind stanch, to which mail comes back, is
// stopped, or takes nothing, and is there again: nothing is lost, nothing
// is sent twice, what is held is held once.
func TestReturnPathFails(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"proxy", "content"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			hop := b.hop()
			s := newReturnSite(t, set, hop.addr)
			door := &gateway{t: t, addr: s.mta}
			before := set == "proxy" // the client is answered by what stanch says
			clean := func(id string) string { return strings.Replace(guideClean, "guide-clean", id, 1) }
			phi := func(id string) string { return strings.Replace(guidePHI, "guide-phi", id, 1) }
			both := []string{"sam@partner.example", "nurse@clinic.example"} // phi is held for sam
			// offer gives a message over; what is refused for now is sent again later, by
			// Postfix's own queue where it has it.
			var again []func()
			offer := func(rcpts []string, msg string) {
				t.Helper()
				l := b.letter(msg)
				_, err := b.give(door, rcpts, l)
				switch {
				case !before && err != nil:
					t.Errorf("Postfix did not take it: %v", err)
				case before && code(err)/100 == 4:
					again = append(again, func() {
						eventually(t, "it is taken", func() bool { _, err := b.give(door, rcpts, l); return err == nil })
					})
				case err != nil:
					t.Errorf("got %v, want 4yz or 250", err)
				}
			}

			s.ends("stop")
			offer(outside, clean("gone-clean"))
			offer(both, phi("gone-split"))
			local := b.letter(guideHead + "Message-ID: <gone-local@clinic.example>\r\n\r\nthe meeting is at three.\r\n")
			s.postfix.submit("ada@clinic.example", outside[0], strings.ReplaceAll(local.text, "\r\n", "\n"))
			b.answered(local, outside, "dot", "250 in the queue")
			if before && len(again) != 2 {
				t.Errorf("%d messages were refused for now, want 2: where would they have gone?", len(again))
			}
			eventually(t, "Postfix defers", func() bool { return strings.Contains(s.postfix.logged(), "status=deferred") })

			s.started("defer")
			offer(outside, clean("failing-clean"))
			offer(both, phi("failing-split")) // sam's is held and nurse's waits, or all of it waits in Postfix's queue
			if n := hop.with("Message-ID: "); n != 0 {
				t.Errorf("%d messages went round the listener", n)
			}

			s.ends("stop")
			s.started("")
			for _, f := range again {
				f()
			}
			for _, id := range []string{"gone-clean", "gone-split", "gone-local", "failing-clean", "failing-split"} {
				eventually(t, id+" is at the next hop", func() bool {
					s.cli("queue", "retry", "--all") // what is ours waits its minute otherwise
					return hop.with(id) > 0
				})
			}
			s.queuesEmpty(hop)
			if n := hop.with("536-22-8145"); n != 2 { // nurse's two
				t.Errorf("%d messages with PHI at the next hop, want those for the nurse", n)
			}
			if items := s.held(); len(items) != 2 {
				t.Errorf("%d held, want 2", len(items))
			}
			b.release(s.gateway)
			s.queuesEmpty(hop)
			b.judge(s.gateway, false)
		})
	}
}

// TestReturnPathBreaksUnderLoad: the Postfix behind stanch is killed and started
// while mail flows. A message comes twice only where the reply to its end of data
// was lost.
func TestReturnPathBreaksUnderLoad(t *testing.T) {
	t.Parallel()
	const clients, breaks = 3, 2
	for _, set := range []string{"proxy", "content"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			hop := b.hop()
			s := newReturnSite(t, set, hop.addr)
			door := &gateway{t: t, addr: s.mta}
			var (
				wg   sync.WaitGroup
				mu   sync.Mutex
				sent = map[string]bool{} // guarded by mu: by id, whether a client was refused it before
				done = make(chan struct{})
			)
			for range clients {
				wg.Go(func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(200 * time.Millisecond): // a steady flow
						}
						l := b.letter(guideClean)
						again := b.insist(door, l)
						mu.Lock()
						sent[l.id] = again
						mu.Unlock()
					}
				})
			}
			for range breaks {
				flowed := hop.count()
				eventually(t, "mail flows", func() bool { return hop.count() > flowed+clients })
				s.ends("abort")
				s.started("")
			}
			close(done)
			wg.Wait()
			s.queuesEmpty(hop)
			b.judge(s.gateway, true)
			// What the Postfix behind stanch took once and sent on twice is its own: it
			// was killed too.
			got, seen := map[string]int{}, map[string]bool{}
			for _, m := range hop.messages() {
				queued := backID.FindString(m.text)
				if queued == "" {
					t.Errorf("a message went round it: %q", m.text)
				}
				if !seen[queued] {
					seen[queued] = true
					got[loadID.FindString(m.text)]++
				}
			}
			inLedger := sentCopies(t, b.sunk) // what account judged is what the next hop has
			for name := range sent {
				if n, has := len(inLedger[name+" "+outside[0]]), hop.with("X-Load-Id: "+name+"\r\n"); n != has {
					t.Errorf("%s stands %d times in the ledger, and the next hop has it %d times", name, n, has)
				}
			}
			again, doubled := 0, 0
			for name, refused := range sent {
				if refused {
					again++
				}
				if got[name] > 1 {
					doubled++
				}
				if got[name] > 1 && set == "proxy" && !refused {
					t.Errorf("%s is %d times at the next hop, and was answered 250 at once", name, got[name])
				}
			}
			// Between the queues it is Postfix whose answer is lost, and who tells in its log.
			lost := strings.Count(s.postfix.logged(), "end of DATA command")
			if set == "content" && doubled > lost {
				t.Errorf("%d messages came twice, %d answers were lost", doubled, lost)
			}
			t.Logf("%d messages, %d refused for now, %d answers lost, %d came twice and are excused", len(sent), again, lost, doubled)
		})
	}
}

// loadID is in each message of a load; backID in what came by the Postfix behind
// stanch, with its queue id.
var (
	loadID = regexp.MustCompile(`letter-\d+`)
	backID = regexp.MustCompile(`by back\.clinic\.example \(Postfix\) with \S+ id \w+`)
)

// insist gives l over until it is taken, and reports whether it was refused for now
// before.
func (b *books) insist(door *gateway, l *letter) (again bool) {
	until := time.Now().Add(2 * waitWithin) // a next hop that was down is not asked for half a minute
	for {
		_, err := b.give(door, outside, l)
		if err == nil {
			return again
		}
		if code(err)/100 == 5 || time.Now().After(until) {
			b.t.Errorf("not taken: %v", err)
			return again
		}
		again = true
		time.Sleep(100 * time.Millisecond) // as a client that tries again
	}
}
