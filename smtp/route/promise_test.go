package route_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// judged says what became of a message: "tls", "clear" or the reply.
func judged(t *testing.T, r *route.Router, s *server, domain string) string {
	t.Helper()
	n, c := len(s.took()), s.inClear()
	answers, sent, _ := live(t, r, ann, at(domain))
	switch {
	case s.inClear() > c:
		return "clear"
	case len(s.took()) == n+1 && strings.HasPrefix(sent, "250"):
		return "tls"
	case len(s.took()) > n:
		t.Errorf("taken, but answered %v, %q", answers, sent)
	}
	return answers[0]
}

// TestDANE: what a domain says about its servers' certificates in DNS, proved,
// holds; what is not proved counts for nothing.
func TestDANE(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.serving(t, nil, "mx.d.test")
	self := (&authority{}).serving(t, nil, "whatever.test")
	selfOld := (&authority{}).serving(t, synth.Expired, "whatever.test")
	full := func(b []byte) string { return hex.EncodeToString(b) }
	sha2 := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	sha5 := func(b []byte) string { s := sha512.Sum512(b); return hex.EncodeToString(s[:]) }
	l := leaf(good)
	zero := strings.Repeat("00", 32)
	const unproved = "unproved"
	for _, tc := range []struct {
		name   string
		tls    *tls.Config // nil: STARTTLS is not offered
		tlsa   []string    // after "_port._tcp.mx.d.test. TLSA"; unproved: these are; a name: what it has is
		signed bool
		breaks bool // the TLSA lookup fails
		want   string
	}{
		{"3 1 1", good, []string{"3 1 1 " + spki(l)}, true, false, "tls"},
		{"3 1 1, upper case", good, []string{"3 1 1 " + strings.ToUpper(spki(l))}, true, false, "tls"},
		{"3 1 2", good, []string{"3 1 2 " + sha5(l.RawSubjectPublicKeyInfo)}, true, false, "tls"},
		{"3 0 1", good, []string{"3 0 1 " + sha2(l.Raw)}, true, false, "tls"},
		{"3 1 0", good, []string{"3 1 0 " + full(l.RawSubjectPublicKeyInfo)}, true, false, "tls"},
		{"3 1 1 of a certificate with another name, signed by itself", self, []string{"3 1 1 " + spki(leaf(self))}, true, false, "tls"},
		{"3 1 1 of an expired one", selfOld, []string{"3 1 1 " + spki(leaf(selfOld))}, true, false, "tls"},
		{"another key", self, []string{"3 1 1 " + spki(l)}, true, false, "451 4.4.1"},
		{"one of two fits", good, []string{"3 1 1 " + zero, "3 1 1 " + spki(l)}, true, false, "tls"},
		{"a weaker digest fits, the stronger does not", good, []string{"3 1 1 " + spki(l), "3 1 2 " + strings.Repeat("00", 64)}, true, false, "451 4.4.1"},
		{"2 0 1", good, []string{"2 0 1 " + sha2(ca.cert.Raw)}, true, false, "tls"},
		{"2 1 1", good, []string{"2 1 1 " + spki(ca.cert)}, true, false, "tls"},
		{"2 1 1 of another authority", good, []string{"2 1 1 " + spki(other.cert)}, true, false, "451 4.4.1"},
		{"2 1 1, another name", ca.serving(t, nil, "evil.test"), []string{"2 1 1 " + spki(ca.cert)}, true, false, "451 4.4.1"},
		{"2 1 1, the domain's name", ca.serving(t, nil, "d.test"), []string{"2 1 1 " + spki(ca.cert)}, true, false, "tls"},
		{"2 1 1, expired", ca.serving(t, synth.Expired, "mx.d.test"), []string{"2 1 1 " + spki(ca.cert)}, true, false, "451 4.4.1"},
		{"2 1 1, the authority's certificate sent along by a stranger", stranger(t, ca), []string{"2 1 1 " + spki(ca.cert)}, true, false, "451 4.4.1"},
		{"STARTTLS stripped", nil, []string{"3 1 1 " + spki(l)}, true, false, "451 4.4.1"},
		{"PKIX records only: TLS, unproved", self, []string{"0 0 1 " + zero, "1 1 1 " + zero}, true, false, "tls"},
		{"PKIX records only, STARTTLS stripped", nil, []string{"1 1 1 " + zero}, true, false, "451 4.4.1"},
		{"a digest of the wrong length is none", self, []string{"3 1 1 00"}, true, false, "tls"},
		{"no records", self, nil, true, false, "tls"},
		{"no records, no TLS: opportunistic", nil, nil, true, false, "clear"},
		{"the lookup fails", good, nil, true, true, "451 4.4.3"},
		{"not proved", self, []string{"3 1 1 " + zero}, false, false, "tls"},
		{"the servers proved, their records not", self, []string{"3 1 1 " + zero, unproved}, true, false, "tls"},
		{"so, and STARTTLS stripped", nil, []string{"3 1 1 " + zero, unproved}, true, false, "clear"},
		{"the server's address not proved: nobody asks for records", self, []string{"mx.d.test"}, true, true, "tls"}, // RFC 7672 2.2.2
		{"the server not proved: nobody asks for records", self, []string{"d.test"}, true, true, "tls"},              // RFC 7672 2.2.1
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := (&server{}).listen(t, "127.0.0.1", "0", tc.tls)
			name := "_" + s.port() + "._tcp.mx.d.test"
			zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n"
			var bare []string
			for _, r := range tc.tlsa {
				switch {
				case r == unproved:
					bare = append(bare, name)
				case strings.HasSuffix(r, ".test"):
					bare = append(bare, r)
				default:
					zone += name + ". TLSA " + r + "\n"
				}
			}
			var signed []string
			if tc.signed {
				signed = []string{"d.test"}
			}
			z := newZone(t, zone, signed...)
			if tc.breaks {
				z.breaks(name)
			}
			for _, n := range bare {
				z.unsigns(n)
			}
			r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE})
			for range 2 { // also over what is kept
				if got := judged(t, r, s, "d.test"); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

// stranger shows a certificate of its own with somebody else's authority behind
// it.
func stranger(t *testing.T, ca *authority) *tls.Config {
	t.Helper()
	c := newAuthority(t).serving(t, nil, "mx.d.test")
	c.Certificates[0].Certificate[1] = ca.cert.Raw
	return c
}

// TestDANEChange: a connection that proved itself under records that are no more
// is not used again.
func TestDANEChange(t *testing.T) {
	good := (&authority{}).serving(t, nil, "x.test")
	s := (&server{}).listen(t, "127.0.0.1", "0", good)
	zone := "d.test. 1 MX 10 mx.d.test.\nmx.d.test. 1 A 127.0.0.1\n_" + s.port() + "._tcp.mx.d.test. 1 TLSA 3 1 1 "
	z := newZone(t, zone+spki(leaf(good)), "d.test")
	use := func(c *smtp.Config) { asking(z)(c) }
	cfg := smtp.Default()
	cfg.Hostname, cfg.NextHop = "gw.example", "127.0.0.1:1"
	cfg.Routes = []smtp.Route{{Name: "r0", NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE}}
	use(&cfg)
	r, err := route.New(&cfg, route.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := judged(t, r, s, "d.test"); got != "tls" {
		t.Fatalf("got %s", got)
	}
	z.set(t, zone+strings.Repeat("00", 32))
	again, err := r.Prepare(&cfg) // forgets what DNS said, as its time does
	if err != nil {
		t.Fatal(err)
	}
	again()
	if got := judged(t, r, s, "d.test"); got != "451 4.4.1" {
		t.Errorf("got %s, want 451 4.4.1", got)
	}
}

// TestDANEOfEachDomain: two domains have one server, whose authority DNS names. A
// certificate that bears the name of one is no proof to the other, nor is the
// connection on which it was shown.
func TestDANEOfEachDomain(t *testing.T) {
	ca := newAuthority(t)
	s := (&server{}).listen(t, "127.0.0.1", "0", ca.serving(t, nil, "one.test"))
	z := newZone(t, "one.test. MX 10 mx.d.test.\ntwo.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n_"+s.port()+"._tcp.mx.d.test. TLSA 2 1 1 "+spki(ca.cert)+"\n",
		"one.test", "two.test", "d.test")
	r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE})
	for _, tc := range []struct {
		domain string
		want   bool
	}{{"one.test", true}, {"two.test", false}, {"one.test", true}} {
		got := r.DeliverProved(t.Context(), ann, []dlp.Address{at(tc.domain)}, nil, smtp.MailOptions{}, open)[0]
		if (got.Err == nil) != tc.want || !tc.want && !errors.Is(got.Err, dlp.ErrNotProved) {
			t.Errorf("%s: got %+v", tc.domain, got)
		}
	}
	if n := len(s.took()); n != 2 {
		t.Errorf("took %d messages, want 2", n)
	}
}

// TestDANEOfAnAlias: a server whose name leads out of a signed zone has its TLSA
// records where its name is.
func TestDANEOfAnAlias(t *testing.T) {
	good, self := (&authority{}).serving(t, nil, "x.test"), (&authority{}).serving(t, nil, "x.test")
	for _, tc := range []struct {
		name  string
		tls   *tls.Config
		alias bool   // the alias itself is signed
		want  string // how it went over; "" for not at all
	}{
		{"fits", good, true, "tls"},
		{"another key", self, true, ""},
		{"STARTTLS stripped", nil, true, ""},
		{"the alias is not proved: anybody could have written it", self, false, "tls"},
		{"so, and STARTTLS stripped", nil, false, "clear"},
	} {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, by name %v", tc.name, named), func(t *testing.T) {
				s := (&server{}).listen(t, "127.0.0.1", "0", tc.tls)
				z := newZone(t, "d.test. MX 10 mx.d.test.\nmx.d.test. CNAME host.plain.test.\nhost.plain.test. A 127.0.0.1\n"+
					"_"+s.port()+"._tcp.mx.d.test. TLSA 3 1 1 "+spki(leaf(good))+"\n", "d.test")
				if !tc.alias {
					z.unsigns("mx.d.test")
				}
				hop := "mx@" + s.port()
				if named {
					hop = "mx.d.test:" + s.port()
				}
				r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{hop}, TLS: smtp.TLSDANE})
				_, sent, _ := live(t, r, ann, at("d.test"))
				got := ""
				switch {
				case s.inClear() > 0:
					got = "clear"
				case strings.HasPrefix(sent, "250"):
					got = "tls"
				}
				if got != tc.want {
					t.Errorf("went over by %q, want %q", got, tc.want)
				}
			})
		}
	}
}

// TestDANENamedHost: a host of the configuration proves itself by DANE too.
func TestDANENamedHost(t *testing.T) {
	good, bad := (&authority{}).serving(t, nil, "x.test"), (&authority{}).serving(t, nil, "x.test")
	s := (&server{}).listen(t, "127.0.0.1", "0", good)
	for _, tc := range []struct {
		name string
		of   *tls.Config
		want bool
	}{{"fits", good, true}, {"does not", bad, false}} {
		t.Run(tc.name, func(t *testing.T) {
			z := newZone(t, "smart.d.test. A 127.0.0.1\n_"+s.port()+"._tcp.smart.d.test. TLSA 3 1 1 "+spki(leaf(tc.of)), "d.test")
			r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"smart.d.test:" + s.port()}, TLS: smtp.TLSDANE})
			_, sent, _ := live(t, r, ann, at("far.example"))
			if got := strings.HasPrefix(sent, "250"); got != tc.want {
				t.Errorf("got %q, want sent %v", sent, tc.want)
			}
		})
	}
}

// policyHost serves MTA-STS policies over HTTPS.
type policyHost struct {
	addr  string
	serve atomic.Pointer[http.HandlerFunc]
	asked atomic.Int32
}

func newPolicyHost(t *testing.T, cfg *tls.Config) *policyHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &policyHost{addr: l.Addr().String()}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if h := p.serve.Load(); h != nil && r.URL.Path == "/.well-known/mta-sts.txt" {
			(*h)(w, r)
			return
		}
		http.NotFound(w, r)
	}), ErrorLog: quiet()}
	done := make(chan struct{})
	go func() { s.Serve(tls.NewListener(l, cfg)); close(done) }()
	t.Cleanup(func() { s.Close(); <-done })
	return p
}

func (p *policyHost) says(text string) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, text)
	})
	p.serve.Store(&h)
}

// dial takes port 443 of anybody for the policy host.
func (p *policyHost) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	if strings.HasSuffix(addr, ":443") {
		addr = p.addr
	}
	return d.DialContext(ctx, network, addr)
}

const enforce = "version: STSv1\r\nmode: enforce\r\nmx: mx.s.test\r\nmx: *.wild.test\r\nmax_age: 86400\r\n"

// TestSTS: an enforced policy binds the servers' names and certificates; what is
// no policy binds nothing.
//
// long: a table
func TestSTS(t *testing.T) {
	ca := newAuthority(t)
	const zone = "s.test. MX 10 %s.\nmx.s.test. A 127.0.0.1\nother.s.test. A 127.0.0.1\na.wild.test. A 127.0.0.1\na.b.wild.test. A 127.0.0.1\nmta-sts.s.test. A 127.0.0.1\n"
	const record = "_mta-sts.s.test. TXT \"v=STSv1; id=1\"\n"
	good := ca.serving(t, nil, "mx.s.test", "other.s.test", "a.wild.test", "a.b.wild.test")
	for _, tc := range []struct {
		name   string
		tls    *tls.Config
		mx     string
		txt    string
		policy string
		host   *tls.Config // of the policy; nil: a good one
		want   string
	}{
		{"fits", good, "mx.s.test", record, enforce, nil, "tls"},
		{"fits a pattern", good, "a.wild.test", record, enforce, nil, "tls"},
		{"two labels are not one", good, "a.b.wild.test", record, enforce, nil, "451 4.7.5"},
		{"a server the policy does not name", good, "other.s.test", record, enforce, nil, "451 4.7.5"},
		{"another name in the certificate", ca.serving(t, nil, "evil.test"), "mx.s.test", record, enforce, nil, "451 4.4.1"},
		{"expired", ca.serving(t, synth.Expired, "mx.s.test"), "mx.s.test", record, enforce, nil, "451 4.4.1"},
		{"signed by itself", (&authority{}).serving(t, nil, "mx.s.test"), "mx.s.test", record, enforce, nil, "451 4.4.1"},
		{"STARTTLS stripped", nil, "mx.s.test", record, enforce, nil, "451 4.4.1"},
		{"testing", nil, "other.s.test", record, strings.Replace(enforce, "enforce", "testing", 1), nil, "clear"},
		{"none", nil, "other.s.test", record, "version: STSv1\nmode: none\nmax_age: 0\n", nil, "clear"},
		{"no record", nil, "mx.s.test", "", enforce, nil, "clear"},
		{"two records", nil, "mx.s.test", record + record[:len(record)-3] + "2\"\n", enforce, nil, "clear"},
		{"not a policy", nil, "mx.s.test", record, "<html>", nil, "clear"},
		{"too large a policy", nil, "mx.s.test", record, enforce + strings.Repeat("x: y\n", 20_000), nil, "clear"},
		{"the policy host proves another name", nil, "mx.s.test", record, enforce, ca.serving(t, nil, "evil.test"), "clear"},
		{"the policy host's certificate is expired", nil, "mx.s.test", record, enforce, ca.serving(t, synth.Expired, "mta-sts.s.test"), "clear"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := (&server{}).listen(t, "127.0.0.1", "0", tc.tls)
			host := tc.host
			if host == nil {
				host = ca.serving(t, nil, "mta-sts.s.test")
			}
			p := newPolicyHost(t, host)
			p.says(tc.policy)
			z := newZone(t, fmt.Sprintf(zone, tc.mx)+tc.txt)
			r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z),
				smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSSTS})
			for range 2 {
				if got := judged(t, r, s, "s.test"); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
			if n := p.asked.Load(); n > 1 {
				t.Errorf("the policy was asked for %d times", n)
			}
		})
	}
	t.Run("a redirect is not followed", func(t *testing.T) {
		s := (&server{}).listen(t, "127.0.0.1", "0", nil)
		p := newPolicyHost(t, ca.serving(t, nil, "mta-sts.s.test"))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts.s.test/x", http.StatusFound)
		})
		p.serve.Store(&h)
		z := newZone(t, fmt.Sprintf(zone, "mx.s.test")+record)
		r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSSTS})
		if got := judged(t, r, s, "s.test"); got != "clear" || p.asked.Load() != 1 {
			t.Errorf("got %s after %d questions", got, p.asked.Load())
		}
	})
	t.Run("DANE comes first", func(t *testing.T) {
		self := (&authority{}).serving(t, nil, "x.test") // no policy would take it
		s := (&server{}).listen(t, "127.0.0.1", "0", self)
		p := newPolicyHost(t, ca.serving(t, nil, "mta-sts.s.test"))
		p.says(enforce)
		z := newZone(t, fmt.Sprintf(zone, "other.s.test")+record+"_"+s.port()+"._tcp.other.s.test. TLSA 3 1 1 "+spki(leaf(self)), "s.test")
		r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE})
		if got := judged(t, r, s, "s.test"); got != "tls" {
			t.Errorf("got %s, want tls", got)
		}
	})
	t.Run("records of which none can be used leave the policy in force", func(t *testing.T) {
		for want, cfg := range map[string]*tls.Config{"451 4.4.1": (&authority{}).serving(t, nil, "mx.s.test"), "tls": good} {
			s := (&server{}).listen(t, "127.0.0.1", "0", cfg)
			p := newPolicyHost(t, ca.serving(t, nil, "mta-sts.s.test"))
			p.says(enforce)
			z := newZone(t, fmt.Sprintf(zone, "mx.s.test")+record+"_"+s.port()+"._tcp.mx.s.test. TLSA 1 1 1 "+strings.Repeat("00", 32), "s.test")
			r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE})
			if got := judged(t, r, s, "s.test"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("without DANE its route keeps to MTA-STS", func(t *testing.T) {
		s := (&server{}).listen(t, "127.0.0.1", "0", nil)
		p := newPolicyHost(t, ca.serving(t, nil, "mta-sts.s.test"))
		p.says(enforce)
		z := newZone(t, fmt.Sprintf(zone, "mx.s.test")+record, "s.test")
		r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSDANE})
		if got := judged(t, r, s, "s.test"); got != "451 4.4.1" {
			t.Errorf("got %s, want 451 4.4.1", got)
		}
	})
}

// TestVerifiedByMX: a name that DNS gave unproved says nothing about the domain.
func TestVerifiedByMX(t *testing.T) {
	ca := newAuthority(t)
	for _, tc := range []struct {
		name   string
		mx     string
		tls    *tls.Config
		signed bool
		want   string
	}{
		{"a host of the domain", "mx.v.test", ca.serving(t, nil, "mx.v.test"), false, "tls"},
		{"the domain's name", "mx.host.test", ca.serving(t, nil, "v.test"), false, "tls"},
		{"a host elsewhere, unproved", "mx.host.test", ca.serving(t, nil, "mx.host.test"), false, "451 4.4.1"},
		{"a host elsewhere, proved", "mx.host.test", ca.serving(t, nil, "mx.host.test"), true, "tls"},
		{"STARTTLS stripped", "mx.v.test", nil, false, "451 4.4.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := (&server{}).listen(t, "127.0.0.1", "0", tc.tls)
			var signed []string
			if tc.signed {
				signed = []string{"v.test"}
			}
			z := newZone(t, "v.test. MX 10 "+tc.mx+".\n"+tc.mx+". A 127.0.0.1\n", signed...)
			r := router(t, route.Deps{}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSVerified, TLSCA: ca.file(t)})
			if got := judged(t, r, s, "v.test"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
