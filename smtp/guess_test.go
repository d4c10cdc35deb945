package smtp_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/smtp"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// from is an address of many.
func from(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}) }

// TestGuessesAreSlowed: the tries of one name from ever new addresses wait
// longer and longer, up to a bound; another name's and those of an address from
// which the user has logged in do not.
func TestGuessesAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := smtp.NewGuesses()
		next := 0
		try := func(name string) time.Duration {
			t.Helper()
			next++
			at := time.Now()
			if err := g.Slow(t.Context(), name, from(next)); err != nil {
				t.Fatal(err)
			}
			return time.Since(at)
		}
		home := from(9999)
		if err := g.Slow(t.Context(), "ann", home); err != nil {
			t.Fatal(err)
		}
		g.Proved("ann", home)
		for i := range 10 {
			if d := try("ann"); d != 0 {
				t.Fatalf("try %d waits %v, want none", i, d)
			}
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			if d := try("ann"); d != want*time.Second {
				t.Errorf("waits %v, want %v", d, want*time.Second)
			}
		}
		if d := try("bob"); d != 0 {
			t.Errorf("another name waits %v, want none", d)
		}
		at := time.Now()
		if err := g.Slow(t.Context(), "ann", home); err != nil || time.Since(at) != 0 {
			t.Errorf("from where she has logged in: waits %v, %v, want none", time.Since(at), err)
		}
		// Where a login from a new address succeeds, that is known too.
		try("ann")
		g.Proved("ann", from(next))
		at = time.Now()
		if err := g.Slow(t.Context(), "ann", from(next)); err != nil || time.Since(at) != 0 {
			t.Errorf("from where she has logged in at last: waits %v, %v, want none", time.Since(at), err)
		}
		time.Sleep(time.Hour)
		if d := try("ann"); d != 0 {
			t.Errorf("an hour later: waits %v, want none", d)
		}
	})
}

// TestGuessesAtOnce: who opens many connections at a time gets no more tries;
// one client has one that waits, and all have four.
func TestGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := smtp.NewGuesses()
		const clients = 100
		var mu sync.Mutex
		free, slowed, refused := 0, 0, 0 // guarded by mu
		var wg sync.WaitGroup
		for i := range 2 * clients {
			wg.Go(func() {
				at := time.Now()
				err := g.Slow(t.Context(), "ann", from(i/2))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, smtp.ErrAuthSlowed):
					refused++
				case err != nil:
					t.Error(err)
				case time.Since(at) == 0:
					free++
				default:
					slowed++
				}
			})
		}
		wg.Wait()
		if free != 10 || slowed != 4 || refused != 2*clients-14 {
			t.Errorf("%d at once, %d after a wait, %d refused, want 10, 4 and %d", free, slowed, refused, 2*clients-14)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Slow(ctx, "ann", from(1000)); !errors.Is(err, context.Canceled) {
			t.Errorf("after its session has ended: %v, want that", err)
		}
	})
}

// TestGuessedNameIsNotLocked: while strangers try a name from many addresses,
// its user logs in from where they have before, and a stop waits for nobody.
func TestGuessedNameIsNotLocked(t *testing.T) {
	for _, way := range []string{"PLAIN", "SCRAM-SHA-256"} {
		t.Run(way, func(t *testing.T) {
			d := withUsers(t, smtp.Door{}, nil)
			c := d.secured(t)
			c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235 2.7.0")
			d.Tried(user, 1000)
			tries := func(i int) *client {
				t.Helper()
				conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}).Dial("tcp", d.addr)
				if err != nil {
					t.Fatal(err)
				}
				c := newClient(t, conn)
				c.want("220")
				c.say("EHLO x\r\n", "250")
				c.say("STARTTLS\r\n", "220")
				c = newClient(t, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}))
				c.say("EHLO x\r\n", "250")
				if way == "PLAIN" {
					c.send("AUTH PLAIN " + plain("", user, "wrong") + "\r\n")
					return c
				}
				first := c.say("AUTH SCRAM-SHA-256 "+b64("n,,n="+user+",r=abc")+"\r\n", "334")
				server, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(first, "334 "))
				if err != nil {
					t.Fatal(err)
				}
				nonce, _, _ := strings.Cut(strings.TrimPrefix(string(server), "r="), ",")
				c.send(b64(fmt.Sprintf("c=biws,r=%s,p=%s", nonce, b64(strings.Repeat("x", 32)))) + "\r\n")
				return c
			}
			var waiting []*client
			for i := range 4 {
				waiting = append(waiting, tries(i))
			}
			eventually(t, "four tries wait", func() bool { return d.Slowed(user) >= 4 })
			tries(4).want("454 4.7.0", "closed")
			c = d.secured(t)
			c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235 2.7.0")
			c.say("QUIT\r\n", "221")
			if err := d.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			for _, c := range waiting {
				c.want("421 4.3.2")
			}
		})
	}
}
