package resolve_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// serve answers each question with what answer makes of it; nil: not at all.
func serve(t *testing.T, answer func(network string, q *dns.Msg) *dns.Msg) string {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for { // the port has to be free both ways
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	addr := pc.LocalAddr().String()
	handler := func(network string) dns.Handler {
		return dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if a := answer(network, q); a != nil {
				w.WriteMsg(a)
			}
		})
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler("udp")}, {Listener: l, Handler: handler("tcp")}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		var wg sync.WaitGroup
		wg.Go(func() { s.ActivateAndServe() })
		<-up
		t.Cleanup(func() { s.Shutdown(); wg.Wait() })
	}
	return addr
}

func rrs(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// long: a table
func TestMX(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(network string, q *dns.Msg) *dns.Msg
		want   string
		err    error
	}{
		{"sorted, lower case", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Answer = rrs(t, "d.test. MX 20 B.test.", "d.test. MX 10 a.test.")
			return a
		}, "[{10 a.test} {20 b.test}]", nil},
		{"none", func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }, "[]", nil},
		{"null MX", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Answer = rrs(t, "d.test. MX 0 .")
			return a
		}, "[{0 }]", nil},
		{"an alias", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Answer = rrs(t, "e.test. MX 10 a.test.", "d.test. CNAME e.test.", "f.test. MX 5 evil.test.")
			return a
		}, "[{10 a.test}]", nil},
		{"aliases in a circle", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Answer = rrs(t, "d.test. CNAME e.test.", "e.test. CNAME d.test.")
			return a
		}, "[]", nil},
		{"no such domain", func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNameError) }, "[]", resolve.ErrNoDomain},
		{"SERVFAIL", func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) }, "[]", resolve.ErrFailed},
		{"REFUSED", func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) }, "[]", resolve.ErrFailed},
		{"an answer to another question", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Question[0].Name = "other.test."
			a.Answer = rrs(t, "d.test. MX 10 evil.test.")
			return a
		}, "[]", resolve.ErrFailed},
		{"too long for UDP", func(network string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			if network == "udp" {
				a.Truncated = true
				return a
			}
			a.Answer = rrs(t, "d.test. MX 10 a.test.")
			return a
		}, "[{10 a.test}]", nil},
		{"too long for TCP as well", func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Truncated = true
			return a
		}, "[]", resolve.ErrFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &resolve.Resolver{Servers: []string{serve(t, tc.answer)}}
			got, _, err := r.MX(t.Context(), "d.test")
			if fmt.Sprint(got) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, tc.want, tc.err)
			}
		})
	}
	t.Run("the second server answers", func(t *testing.T) {
		bad := serve(t, func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) })
		good := serve(t, func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			a.Answer = rrs(t, "d.test. MX 10 a.test.")
			return a
		})
		r := &resolve.Resolver{Servers: []string{bad, good}}
		if got, _, err := r.MX(t.Context(), "d.test"); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("no name at all", func(t *testing.T) {
		r := &resolve.Resolver{Servers: []string{"127.0.0.1:1"}}
		for _, name := range []string{"", strings.Repeat("x", 64) + ".test"} {
			if _, _, err := r.MX(t.Context(), name); !errors.Is(err, resolve.ErrNoDomain) {
				t.Errorf("%q: got %v, want %v", name, err, resolve.ErrNoDomain)
			}
		}
	})
}

// TestProved: the AD bit counts only where the resolver is trusted, and is asked
// for.
func TestProved(t *testing.T) {
	for _, tc := range []struct{ trusted, ad, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		addr := serve(t, func(_ string, q *dns.Msg) *dns.Msg {
			a := new(dns.Msg).SetReply(q)
			if !q.AuthenticatedData {
				return nil
			}
			a.AuthenticatedData = tc.ad
			a.Answer = rrs(t, "_25._tcp.d.test. 60 TLSA 3 1 1 AABB")
			return a
		})
		r := &resolve.Resolver{Servers: []string{addr}, Proves: tc.trusted}
		got, meta, err := r.TLSA(t.Context(), "_25._tcp.d.test")
		if err != nil || meta.Proved != tc.want || fmt.Sprint(got) != "[{3 1 1 aabb}]" || meta.TTL.Seconds() != 60 {
			t.Errorf("trusted %v, AD %v: got %v, %+v, %v", tc.trusted, tc.ad, got, meta, err)
		}
	}
}

// TestAddrs: one kind of address is enough.
func TestAddrs(t *testing.T) {
	for _, tc := range []struct {
		name      string
		four, six string // record, "fail", or "" for none
		want      string
		err       error
	}{
		{"both", "d.test. A 192.0.2.1", "d.test. AAAA 2001:db8::1", "[2001:db8::1 192.0.2.1]", nil},
		{"IPv4", "d.test. A 192.0.2.1", "", "[192.0.2.1]", nil},
		{"IPv4, the other fails", "d.test. A 192.0.2.1", "fail", "[192.0.2.1]", nil},
		{"none", "", "", "[]", nil},
		{"none, and one fails", "fail", "", "[]", resolve.ErrFailed},
		{"none, and the other fails", "", "fail", "[]", resolve.ErrFailed},
		{"both fail", "fail", "fail", "[]", resolve.ErrFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &resolve.Resolver{Servers: []string{serve(t, func(_ string, q *dns.Msg) *dns.Msg {
				rr := tc.four
				if q.Question[0].Qtype == dns.TypeAAAA {
					rr = tc.six
				}
				a := new(dns.Msg).SetReply(q)
				switch rr {
				case "":
				case "fail":
					a.Rcode = dns.RcodeServerFailure
				default:
					a.Answer = rrs(t, rr)
				}
				return a
			})}}
			got, _, err := r.Addrs(t.Context(), "d.test")
			if fmt.Sprint(got) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, tc.want, tc.err)
			}
		})
	}
}
