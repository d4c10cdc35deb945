package route_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// TestEqualServersComeInAnyOrder: of servers with one preference every order is
// as likely as the others; those of another keep their place.
func TestEqualServersComeInAnyOrder(t *testing.T) {
	var mu sync.Mutex
	order := ""
	busy := func(name string) func() error {
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			order += name
			return &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 3, 1}, Message: "full"}
		}
	}
	zone, port := "", "0"
	for i, name := range []string{"1", "a", "b", "c", "9"} {
		ip := fmt.Sprintf("127.0.0.%d", 31+i)
		port = (&server{mail: busy(name)}).listen(t, ip, port, nil).port()
		pref := map[string]int{"1": 5, "9": 20}[name]
		if pref == 0 {
			pref = 10
		}
		zone += fmt.Sprintf("d.test. MX %d mx%s.d.test.\nmx%s.d.test. A %s\n", pref, name, name, ip)
	}
	z := newZone(t, zone)
	r := router(t, route.Deps{Shuffle: rand.New(rand.NewPCG(1, 2)).Shuffle}, asking(z), smtp.Route{NextHops: []string{"mx@" + port}})
	const rounds, orders = 600, 6
	seen := map[string]int{}
	for range rounds {
		order = ""
		answers, _, _ := live(t, r, ann, at("d.test"))
		same(t, "answers", answers, []string{"452 4.3.1"})
		seen[order]++
	}
	if len(seen) != orders {
		t.Errorf("got the orders %v, want all %d of the three in the middle", seen, orders)
	}
	for o, n := range seen {
		if !strings.HasPrefix(o, "1") || !strings.HasSuffix(o, "9") || len(o) != 5 || n < rounds/orders*7/10 || n > rounds/orders*13/10 {
			t.Errorf("%s came %d times of %d, want 1, the three others, 9, about %d times", o, n, rounds, rounds/orders)
		}
	}
}

// TestForgottenHosts: past a number of hosts the one that was used least
// recently is forgotten, its connections with it; the others keep theirs.
func TestForgottenHosts(t *testing.T) {
	var servers []*server
	zone, port := "", "0"
	for i := range 3 {
		s := (&server{}).listen(t, fmt.Sprintf("127.0.0.%d", 41+i), port, nil)
		servers, port = append(servers, s), s.port()
		zone += fmt.Sprintf("d%d.test. A 127.0.0.%d\n", i, 41+i)
	}
	z := newZone(t, zone)
	r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx@" + port}})
	send := func(i int) {
		t.Helper()
		if _, sent, _ := live(t, r, ann, at(fmt.Sprintf("d%d.test", i))); sent != "250 2.0.0" {
			t.Fatalf("to %d: got %q", i, sent)
		}
	}
	send(0)
	send(1)
	r.Fill(route.MaxClients - 2)
	send(0)
	send(2) // one too many: 1 is forgotten
	if _, clients := r.Known(); clients != route.MaxClients {
		t.Errorf("%d hosts are known, want %d", clients, route.MaxClients)
	}
	until(t, "the connections of the host that is forgotten end", func() bool { _, gone := servers[1].conns(); return gone == 1 })
	send(0)
	send(1)
	for i, want := range []int{1, 2, 1} {
		if came, _ := servers[i].conns(); came != want {
			t.Errorf("%d has seen %d connections, want %d", i, came, want)
		}
	}
}

// TestForgottenDestinations: what DNS said of other destinations is forgotten
// when it is too much, and of those asked for since it is not.
func TestForgottenDestinations(t *testing.T) {
	z := newZone(t, "x.test. A 127.0.0.1")
	r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx"}})
	r.Fill(route.MaxPlans)
	for range 2 {
		same(t, "answers", later(t, r, ann, at("missing.test")), []string{"550 5.1.2"})
	}
	if plans, _ := r.Known(); plans != 1 || z.questions("missing.test") != 1 {
		t.Errorf("%d destinations are known and %d questions were asked, want 1 and 1", plans, z.questions("missing.test"))
	}
}

// TestLegsAreGivenBack: the connection to a next hop that has no recipient of
// the message is there for the next one, whatever became of this.
func TestLegsAreGivenBack(t *testing.T) {
	refuses := func(to string) error {
		if strings.HasPrefix(to, "no@") {
			return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
		}
		return nil
	}
	a, b := (&server{rcpt: refuses}).listen(t, "127.0.0.1", "0", nil), (&server{rcpt: refuses}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil,
		smtp.Route{Recipients: []string{"a.example"}, NextHops: []string{a.addr}},
		smtp.Route{Recipients: []string{"b.example"}, NextHops: []string{b.addr}})
	no := dlp.Address{Local: "no", Domain: "b.example"}
	for what, rcpts := range map[string][]dlp.Address{
		"sent to one":    {no, at("a.example")},
		"sent to nobody": {no, {Local: "no", Domain: "a.example"}},
		"sent to both":   {at("a.example"), at("b.example")},
	} {
		for range 3 {
			tx, _, err := r.Begin(t.Context(), ann, smtp.MailOptions{}, smtp.Recipient{Addr: rcpts[0]})
			if err == nil {
				_, err = tx.Rcpt(t.Context(), rcpts[1], dlp.RcptParams{})
			}
			if err != nil {
				t.Fatal(what, err)
			}
			_, _ = tx.Send(t.Context(), nil, strings.NewReader(text)) // what comes of it is not looked at here
		}
		for name, s := range map[string]*server{"a": a, "b": b} {
			if came, gone := s.conns(); came != 1 || gone != 0 {
				t.Errorf("%s: %s has seen %d connections, of which %d ended; want one for all", what, name, came, gone)
			}
		}
	}
}

// until waits for ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
