package route_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestChoice: the first route that fits decides; next_hop takes the rest.
func TestChoice(t *testing.T) {
	partner, below, alerts, rest := (&server{}).listen(t, "127.0.0.1", "0", nil), (&server{}).listen(t, "127.0.0.1", "0", nil),
		(&server{}).listen(t, "127.0.0.1", "0", nil), (&server{}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, func(c *smtp.Config) { c.NextHop = rest.addr },
		smtp.Route{Senders: []string{"alerts@clinic.example", "<>"}, NextHops: []string{alerts.addr}},
		smtp.Route{Recipients: []string{"Partner.example", "other.example"}, NextHops: []string{partner.addr}},
		smtp.Route{Recipients: []string{"*.partner.example"}, Senders: []string{"*.clinic.example", "clinic.example"}, NextHops: []string{below.addr}},
	)
	for _, tc := range []struct {
		name string
		from dlp.Address
		to   string
		want *server
	}{
		{"domain", ann, "partner.example", partner},
		{"below it", ann, "a.b.partner.example", below},
		{"below it, another sender", at("else.example"), "a.partner.example", rest},
		{"below it, a sender below", at("ward.clinic.example"), "a.partner.example", below},
		{"a name that only ends so", ann, "notpartner.example", rest},
		{"sender", dlp.Address{Local: "Alerts", Domain: "clinic.example"}, "partner.example", alerts},
		{"null sender", dlp.Address{}, "partner.example", alerts},
		{"nobody's", ann, "far.example", rest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(tc.want.took())
			answers, sent, _ := live(t, r, tc.from, at(tc.to))
			if len(answers) != 1 || !strings.HasPrefix(answers[0], "250") || !strings.HasPrefix(sent, "250") {
				t.Errorf("got %v, %q", answers, sent)
			}
			if got := len(tc.want.took()); got != before+1 {
				t.Errorf("the wrong server took it")
			}
		})
	}
}

// TestScattered: each recipient is offered to its own hop, whose refusal is its
// answer; with more than one hop left the message is not sent on.
func TestScattered(t *testing.T) {
	no := &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
	refusing := func(to string) error {
		if strings.HasPrefix(to, "no@") {
			return no
		}
		return nil
	}
	a, b := (&server{rcpt: refusing}).listen(t, "127.0.0.1", "0", nil), (&server{rcpt: refusing}).listen(t, "127.0.0.1", "0", nil)
	strict := (&server{mail: func() error {
		return &gosmtp.SMTPError{Code: 553, EnhancedCode: gosmtp.EnhancedCode{5, 1, 8}, Message: "not you"}
	}}).listen(t, "127.0.0.1", "0", nil)
	closing := (&server{mail: func() error {
		return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "bye"}
	}}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil,
		smtp.Route{Recipients: []string{"a.example"}, NextHops: []string{a.addr}},
		smtp.Route{Recipients: []string{"b.example"}, NextHops: []string{b.addr}},
		smtp.Route{Recipients: []string{"strict.example"}, NextHops: []string{strict.addr}},
		smtp.Route{Recipients: []string{"closing.example"}, NextHops: []string{closing.addr}},
	)
	nobody := func(d string) dlp.Address { return dlp.Address{Local: "no", Domain: d} }
	for _, tc := range []struct {
		name      string
		rcpts     []dlp.Address
		answers   []string
		sent      string
		scattered bool
	}{
		{"one hop", []dlp.Address{at("a.example"), {Local: "c", Domain: "a.example"}}, []string{"250 2.0.0", "250 2.0.0"}, "250 2.0.0", false},
		{"two hops", []dlp.Address{at("a.example"), at("b.example")}, []string{"250 2.0.0", "250 2.0.0"}, "", true},
		{"two hops, one refuses", []dlp.Address{nobody("b.example"), at("a.example")}, []string{"550 5.1.1", "250 2.0.0"}, "250 2.0.0", false},
		{"a hop that refuses the sender", []dlp.Address{at("strict.example"), at("a.example")}, []string{"553 5.1.8", "250 2.0.0"}, "250 2.0.0", false},
		{"a hop that closes", []dlp.Address{at("closing.example"), at("a.example")}, []string{"451 4.3.2", "250 2.0.0"}, "250 2.0.0", false},
		{"a hop that is down", []dlp.Address{at("down.example"), at("a.example")}, []string{"451 4.4.1", "250 2.0.0"}, "250 2.0.0", false},
		{"nobody", []dlp.Address{nobody("a.example")}, []string{"550 5.1.1"}, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			na, nb := len(a.took()), len(b.took())
			answers, sent, scattered := live(t, r, ann, tc.rcpts...)
			same(t, "answers", answers, tc.answers)
			if sent != tc.sent || scattered != tc.scattered {
				t.Errorf("got %q, scattered %v, want %q, %v", sent, scattered, tc.sent, tc.scattered)
			}
			if scattered && (len(a.took()) != na || len(b.took()) != nb) {
				t.Error("a message with two next hops was sent on")
			}
		})
	}
	t.Run("the outbox sends each its copy", func(t *testing.T) {
		na, nb := len(a.took()), len(b.took())
		rcpts := []dlp.Address{at("a.example"), at("b.example"), nobody("b.example"), {Local: "c", Domain: "a.example"}, at("down.example")}
		same(t, "answers", later(t, r, ann, rcpts...), []string{"250 2.0.0", "250 2.0.0", "550 5.1.1", "250 2.0.0", "unreached"})
		p := r.Destinations(ann, rcpts)
		if p[0] != p[3] || p[1] != p[2] || p[0] == p[1] || p[0] == p[4] || p[1] == p[4] {
			t.Errorf("got destinations %q", p)
		}
		if len(a.took()) != na+1 || len(b.took()) != nb+1 || !strings.HasPrefix(a.took()[na], "bob@a.example,c@a.example: ") {
			t.Errorf("got %v and %v", a.took()[na:], b.took()[nb:])
		}
	})
}

// TestRefusedSenderIsAskedForOnce: what a next hop says against the sender
// answers every recipient whose next hop it is, and no other.
func TestRefusedSenderIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	strict := (&server{mail: func() error {
		if asked.Add(1) > 1 {
			return nil
		}
		return &gosmtp.SMTPError{Code: 450, EnhancedCode: gosmtp.EnhancedCode{4, 1, 8}, Message: "not yet"}
	}}).listen(t, "127.0.0.1", "0", nil)
	a := (&server{}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil,
		smtp.Route{Recipients: []string{"strict.example"}, NextHops: []string{strict.addr}},
		smtp.Route{Recipients: []string{"a.example"}, NextHops: []string{a.addr}},
	)
	answers, sent, _ := live(t, r, ann, at("strict.example"), at("a.example"), dlp.Address{Local: "c", Domain: "strict.example"})
	same(t, "answers", answers, []string{"450 4.1.8", "250 2.0.0", "450 4.1.8"})
	if sent != "250 2.0.0" || asked.Load() != 1 || len(strict.took()) != 0 {
		t.Errorf("got %q, asked %d times, took %d; want it sent to the other alone", sent, asked.Load(), len(strict.took()))
	}
}

// TestFailover: a host that does not answer, or answers MAIL with 4yz, is passed
// over while nothing was accepted; never later.
func TestFailover(t *testing.T) {
	busy := func() error {
		return &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 3, 1}, Message: "full"}
	}
	no := func() error {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "no"}
	}
	const down = "127.0.0.1:1"
	for _, tc := range []struct {
		name  string
		first *server // nil: nobody there
		sent  string
		took  int // by the second
	}{
		{"down", nil, "250 2.0.0", 1},
		{"4yz to MAIL", &server{mail: busy}, "250 2.0.0", 1},
		{"5yz to MAIL", &server{mail: no}, "MAIL: 550 5.7.1", 0},
		{"4yz to the dot", &server{data: busy}, "452 4.3.1", 0},
		{"hangs up after the dot", &server{data: func() error { return errHangUp }}, "unreached", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first := down
			if tc.first != nil {
				first = tc.first.listen(t, "127.0.0.1", "0", nil).addr
			}
			second := (&server{}).listen(t, "127.0.0.1", "0", nil)
			r := router(t, route.Deps{}, nil, smtp.Route{NextHops: []string{first, second.addr}})
			_, sent, _ := live(t, r, ann, at("x.example"))
			if sent != tc.sent || len(second.took()) != tc.took {
				t.Errorf("got %q, the second took %d, want %q and %d", sent, len(second.took()), tc.sent, tc.took)
			}
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		r := router(t, route.Deps{}, nil, smtp.Route{NextHops: []string{down, "127.0.0.1:2"}})
		for range 5 { // also once they count as down
			if _, sent, _ := live(t, r, ann, at("x.example")); sent != "MAIL: unreached" {
				t.Errorf("got %q", sent)
			}
		}
		if got := r.Down()["r0"]; got != 2 {
			t.Errorf("got %d hosts down, want 2", got)
		}
	})
	t.Run("taking turns", func(t *testing.T) {
		a, b, backup := (&server{}).listen(t, "127.0.0.1", "0", nil), (&server{}).listen(t, "127.0.0.1", "0", nil), (&server{}).listen(t, "127.0.0.1", "0", nil)
		r := router(t, route.Deps{}, nil, smtp.Route{NextHops: []string{a.addr + ", " + b.addr, backup.addr}})
		for range 10 {
			live(t, r, ann, at("x.example"))
		}
		if len(a.took()) != 5 || len(b.took()) != 5 || len(backup.took()) != 0 {
			t.Errorf("got %d, %d and %d", len(a.took()), len(b.took()), len(backup.took()))
		}
	})
}

// TestReload: routes change for what begins after it; a broken configuration
// changes nothing.
func TestReload(t *testing.T) {
	a, b := (&server{}).listen(t, "127.0.0.1", "0", nil), (&server{}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil, smtp.Route{NextHops: []string{a.addr}})
	tx, reply, err := r.Begin(t.Context(), ann, smtp.MailOptions{}, smtp.Recipient{Addr: at("x.example")})
	if err != nil || !reply.Positive() {
		t.Fatal(reply, err)
	}
	next := smtp.Default()
	next.Hostname, next.NextHop = "gw.example", b.addr
	broken := next
	broken.NextHopTLS, broken.NextHopCA = smtp.TLSVerified, "/nowhere"
	if _, err := r.Prepare(&broken); err == nil {
		t.Error("a file that is not there was loaded")
	}
	use, err := r.Prepare(&next)
	if err != nil {
		t.Fatal(err)
	}
	use()
	if reply, err := tx.Send(t.Context(), nil, strings.NewReader(text)); err != nil || !reply.Positive() {
		t.Error(reply, err)
	}
	live(t, r, ann, at("x.example"))
	if len(a.took()) != 1 || len(b.took()) != 1 {
		t.Errorf("got %d and %d messages, want 1 each", len(a.took()), len(b.took()))
	}
}

// TestMX: where a domain's mail goes by DNS.
func TestMX(t *testing.T) {
	best := (&server{}).listen(t, "127.0.0.21", "0", nil)
	second := (&server{}).listen(t, "127.0.0.22", best.port(), nil)
	z := newZone(t, `
		two.test. MX 10 mx1.two.test.
		two.test. MX 20 mx2.two.test.
		mx1.two.test. A 127.0.0.21
		mx2.two.test. A 127.0.0.22
		first-down.test. MX 10 gone.two.test.
		first-down.test. MX 20 mx2.two.test.
		gone.two.test. A 127.0.0.29
		half.test. MX 10 nowhere.two.test.
		half.test. MX 20 mx1.two.test.
		implicit.test. A 127.0.0.21
		alias.test. CNAME two.test.
		null.test. MX 0 .
		text-only.test. TXT "no mail here"
		nowhere.test. MX 10 nothing.two.test.
		loop.test. MX 10 gw.example.
		loop.test. MX 20 mx1.two.test.
		looplater.test. MX 10 mx1.two.test.
		looplater.test. MX 10 GW.example.
		looplater.test. MX 20 mx2.two.test.
		loopbest.test. MX 5 mx2.two.test.
		loopbest.test. MX 10 gw.example.
		gw.example. A 127.0.0.29
		brokenmx.test. MX 10 broken.two.test.
		broken.two.test. A 127.0.0.21
	`)
	z.breaks("failing.test")
	z.breaks("broken.two.test")
	r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx@" + best.port()}})
	for _, tc := range []struct {
		name, domain string
		live, later  string
		at           *server
	}{
		{"the most preferred", "two.test", "250 2.0.0", "250 2.0.0", best},
		{"the next when it is down", "first-down.test", "250 2.0.0", "250 2.0.0", second},
		{"one has no address", "half.test", "250 2.0.0", "250 2.0.0", best},
		{"no MX: the domain itself", "implicit.test", "250 2.0.0", "250 2.0.0", best},
		{"an alias", "alias.test", "250 2.0.0", "250 2.0.0", best},
		{"an address", "[127.0.0.22]", "250 2.0.0", "250 2.0.0", second},
		{"null MX", "null.test", "556 5.1.10", "556 5.1.10", nil},
		{"no such domain", "missing.test", "451 4.4.4", "550 5.1.2", nil},
		{"neither MX nor address", "text-only.test", "451 4.4.4", "550 5.4.4", nil},
		{"MX without an address", "nowhere.test", "451 4.4.4", "550 5.4.4", nil},
		{"DNS fails", "failing.test", "451 4.4.3", "451 4.4.3", nil},
		{"DNS fails for the server", "brokenmx.test", "451 4.4.3", "451 4.4.3", nil},
		{"we are the best", "loop.test", "554 5.4.6", "554 5.4.6", nil},
		{"as good as the best", "looplater.test", "554 5.4.6", "554 5.4.6", nil},
		{"another is better", "loopbest.test", "250 2.0.0", "250 2.0.0", second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := 0
			if tc.at != nil {
				before = len(tc.at.took())
			}
			answers, _, _ := live(t, r, ann, at(tc.domain))
			same(t, "live", answers, []string{tc.live})
			same(t, "later", later(t, r, ann, at(tc.domain)), []string{tc.later})
			if tc.at != nil && len(tc.at.took()) != before+2 {
				t.Error("another server took it")
			}
		})
	}
	t.Run("two domains have two next hops", func(t *testing.T) {
		if _, _, scattered := live(t, r, ann, at("two.test"), at("implicit.test")); !scattered {
			t.Error("not scattered")
		}
	})
}

// TestOwnDoor: a server that DNS names by another name and is one of our doors.
func TestOwnDoor(t *testing.T) {
	z := newZone(t, "d.test. MX 10 other.name.test.\nother.name.test. A 127.0.0.1\n")
	for _, tc := range []struct{ door, want string }{
		{"127.0.0.1:2599", "554 5.4.6"},
		{"0.0.0.0:2599", "554 5.4.6"},
		{":2599", "554 5.4.6"},
		{"127.0.0.2:2599", "451 4.4.1"}, // nobody is there, but it is not us
		{"127.0.0.1:2598", "451 4.4.1"},
	} {
		r := router(t, route.Deps{}, func(c *smtp.Config) {
			c.Resolver, c.Doors = z.addr, []smtp.Door{{Listen: tc.door}}
		}, smtp.Route{NextHops: []string{"mx@2599"}})
		answers, _, _ := live(t, r, ann, at("d.test"))
		same(t, tc.door, answers, []string{tc.want})
	}
}

// TestFailingDNSIsAskedOnce: fifty sessions do not each wait.
func TestFailingDNSIsAskedOnce(t *testing.T) {
	z := newZone(t, "x.test. A 127.0.0.1")
	z.breaks("failing.test")
	r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx"}})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, reply, err := r.Begin(t.Context(), ann, smtp.MailOptions{}, smtp.Recipient{Addr: at("failing.test")})
			if _, ok := errors.AsType[*smtp.ReplyError](err); ok || err == nil && reply.Code != 451 {
				t.Error(reply, err)
			}
		})
	}
	wg.Wait()
	if got := z.questions("failing.test"); got != 2 { // two rounds of one lookup
		t.Errorf("got %d questions, want 2", got)
	}
}

// TestOffers: no more than every next hop offers, and nothing while one is not
// known.
func TestOffers(t *testing.T) {
	all := func(s *gosmtp.Server) { s.EnableSMTPUTF8, s.EnableBINARYMIME, s.EnableDSN = true, true, true }
	rich, poor := &server{extend: all}, &server{extend: func(s *gosmtp.Server) { s.EnableSMTPUTF8 = true }}
	rich.listen(t, "127.0.0.1", "0", nil)
	poor.listen(t, "127.0.0.1", "0", nil)
	z := newZone(t, "x.test. A 127.0.0.1")
	for _, tc := range []struct {
		name   string
		routes []smtp.Route
		want   smtp.Extensions
	}{
		{"the default alone", nil, smtp.Extensions{UTF8: true, Chunking: true, Binary: true, DSN: true}},
		{"a poorer one beside", []smtp.Route{{NextHops: []string{poor.addr}, Recipients: []string{"p.test"}}}, smtp.Extensions{UTF8: true, Chunking: true}},
		{"by MX", []smtp.Route{{NextHops: []string{"mx"}, Recipients: []string{"p.test"}}}, smtp.Extensions{}},
		{"a folder", []smtp.Route{{NextHops: []string{"maildir:" + t.TempDir()}, Recipients: []string{"p.test"}}}, smtp.Extensions{}},
		{"nobody there", []smtp.Route{{NextHops: []string{"127.0.0.1:1"}, Recipients: []string{"p.test"}}}, smtp.Extensions{}},
		{"one of two is down", []smtp.Route{{NextHops: []string{"127.0.0.1:1, " + rich.addr}, Recipients: []string{"p.test"}}}, smtp.Extensions{UTF8: true, Chunking: true, Binary: true, DSN: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := router(t, route.Deps{}, func(c *smtp.Config) { c.NextHop, c.Resolver = rich.addr, z.addr }, tc.routes...)
			for end := time.Now().Add(2 * time.Minute); r.Offers() != tc.want; time.Sleep(time.Millisecond) { // the answer comes from another goroutine
				if time.Now().After(end) {
					t.Fatalf("got %+v, want %+v", r.Offers(), tc.want)
				}
				live(t, r, ann, at("p.test")) // has a host that is down found out
			}
		})
	}
}

// TestAsk: what doctor wants to know, with no mail sent.
// TestAskOnlyLeavesNothing: looking at the next hops makes no folder, which
// whoever looks would own, and takes nothing from one that is in use.
func TestAskOnlyLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	r, err := route.New(&smtp.Config{NextHop: "maildir:" + dir}, route.Deps{AskOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Ask(t.Context())
	r.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want no folder", err)
	}
}

func TestAsk(t *testing.T) {
	ca := newAuthority(t)
	named := (&server{}).listen(t, "127.0.0.1", "0", ca.serving(t, nil, "mx.test"))
	byMX := (&server{}).listen(t, "127.0.0.1", "0", ca.serving(t, synth.Expired, "mx.d.test"))
	z := newZone(t, "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n")
	r := router(t, route.Deps{}, asking(z),
		smtp.Route{Name: "partner", Recipients: []string{"p.test"}, NextHops: []string{named.addr, "127.0.0.1:1"}, TLS: smtp.TLSVerified, TLSName: "mx.test", TLSCA: ca.file(t)},
		smtp.Route{Name: "world", Recipients: []string{"*"}, NextHops: []string{"mx@" + byMX.port()}, TLS: smtp.TLSVerified, TLSCA: ca.file(t)})
	all := r.Ask(t.Context())
	if len(all) != 3 || all[0].Route != "partner" || all[0].Err != nil || !all[0].Offer.TLS || all[0].Offer.Proof != nil || all[0].TLS != smtp.TLSVerified {
		t.Errorf("got %+v", all)
	}
	if all[1].Host != "127.0.0.1:1" || all[1].Err == nil || all[2].Route != smtp.DefaultName || all[2].Err == nil {
		t.Errorf("got %+v", all[1:])
	}
	if one := r.AskDomain(t.Context(), "d.test"); len(one) != 1 || one[0].Err != nil || one[0].Offer.Proof == nil {
		t.Errorf("got %+v", one)
	}
	if none := r.AskDomain(t.Context(), "missing.test"); len(none) != 1 || none[0].Err == nil {
		t.Errorf("got %+v", none)
	}
	if len(named.took())+len(byMX.took())+named.inClear()+byMX.inClear() != 0 {
		t.Error("mail was sent")
	}
}

// TestOriginIsForServersOfOurChoice: who our client is goes by XFORWARD to a next
// hop that the configuration names, never to the servers that DNS names for a
// recipient, though they ask for it.
func TestOriginIsForServersOfOurChoice(t *testing.T) {
	lines := make(chan string, 100)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				io.WriteString(conn, "220 mx.test\r\n")
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					lines <- strings.TrimSpace(line)
					answer := "250 ok\r\n"
					if strings.HasPrefix(line, "EHLO") {
						answer = "250-mx.test\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
					}
					io.WriteString(conn, answer)
				}
			})
		}
	})
	t.Cleanup(all.Wait)
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	z := newZone(t, "partner.test. MX 10 mx.partner.test.\nmx.partner.test. A 127.0.0.1")
	for _, tc := range []struct {
		hop  string
		told bool
	}{{l.Addr().String(), true}, {"mx@" + port, false}} {
		r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{tc.hop}})
		tx, _, err := r.Begin(t.Context(), ann, smtp.MailOptions{Origin: smtp.Origin{Addr: "192.0.2.7"}}, smtp.Recipient{Addr: at("partner.test")})
		if err != nil {
			t.Fatal(err)
		}
		tx.Reset(t.Context())
		said := ""
		for line := ""; line != "RSET"; said += line + "|" {
			line = <-lines
		}
		if told := strings.Contains(said, "ADDR=192.0.2.7"); told != tc.told || !strings.Contains(said, "MAIL FROM:<ann@clinic.example>") {
			t.Errorf("%s was told %q; of the client: %v, want %v", tc.hop, said, told, tc.told)
		}
	}
}
