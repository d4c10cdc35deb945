package route_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// TestProved: a message for proved servers alone goes to one that proves to be the
// recipient's, on that connection, and to no other whatever else the route allows.
func TestProved(t *testing.T) {
	ca := newAuthority(t)
	good, self := ca.serving(t, nil, "mx.d.test"), (&authority{}).serving(t, nil, "mx.d.test")
	pin := "sha256:" + spki(leaf(good))
	for _, tc := range []struct {
		name  string
		route smtp.Route // "mx" and "host" stand for what is listening
		other bool       // the server shows another certificate than the one that is promised
		plain bool       // and offers no TLS
		by    string     // "": it need prove nothing
		want  bool
	}{
		{"dane", smtp.Route{NextHops: []string{"mx"}, TLS: smtp.TLSDANE}, false, false, "dane", true},
		{"dane, another key", smtp.Route{NextHops: []string{"mx"}, TLS: smtp.TLSDANE}, true, false, "dane", false},
		{"dane, stripped", smtp.Route{NextHops: []string{"mx"}, TLS: smtp.TLSDANE}, false, true, "dane", false},
		{"a pinned partner", smtp.Route{Recipients: []string{"d.test"}, NextHops: []string{"host"}, TLS: smtp.TLSVerified, TLSPins: []string{pin}}, false, false, "pin", true},
		{"a pinned partner, another key", smtp.Route{Recipients: []string{"d.test"}, NextHops: []string{"host"}, TLS: smtp.TLSVerified, TLSPins: []string{pin}}, true, false, "pin", false},
		{"a pinned smart host", smtp.Route{NextHops: []string{"host"}, TLS: smtp.TLSVerified, TLSPins: []string{pin}}, false, false, "", false},
		{"required", smtp.Route{NextHops: []string{"mx"}, TLS: smtp.TLSRequired}, false, false, "", false},
		{"opportunistic", smtp.Route{Recipients: []string{"d.test"}, NextHops: []string{"host"}, TLS: smtp.TLSOpportunistic}, false, false, "", false},
		{"a folder", smtp.Route{Recipients: []string{"d.test"}, NextHops: []string{"maildir:" + t.TempDir()}}, false, false, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := good
			switch {
			case tc.plain:
				cfg = nil
			case tc.other:
				cfg = self
			}
			s := (&server{}).listen(t, "127.0.0.1", "0", cfg)
			z := newZone(t, "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n_"+s.port()+"._tcp.mx.d.test. TLSA 3 1 1 "+spki(leaf(good))+"\n", "d.test")
			switch tc.route.NextHops[0] {
			case "mx":
				tc.route.NextHops = []string{"mx@" + s.port()}
			case "host":
				tc.route.NextHops = []string{s.addr}
			}
			r := router(t, route.Deps{}, asking(z), tc.route)
			by, err := r.Proves(t.Context(), ann, at("d.test"))
			if by != tc.by || (tc.by == "") != errors.Is(err, dlp.ErrNotProved) {
				t.Errorf("proves by %q, %v; want %q", by, err, tc.by)
			}
			for range 2 { // also over what is kept
				before := len(s.took())
				got := r.DeliverProved(t.Context(), ann, []dlp.Address{at("d.test")}, nil, smtp.MailOptions{}, open)[0]
				if got.Err == nil != tc.want || !tc.want && !errors.Is(got.Err, dlp.ErrNotProved) {
					t.Errorf("got %+v", got)
				}
				if n := len(s.took()) - before; (n == 1) != tc.want || s.inClear() > 0 {
					t.Errorf("took %d, %d in the clear", n, s.inClear())
				}
			}
			by, err = r.Prove(t.Context(), ann, at("d.test"))
			if (err == nil && by == tc.by) != tc.want || !tc.want && !errors.Is(err, dlp.ErrNotProved) {
				t.Errorf("has proved by %q, %v", by, err)
			}
		})
	}
}

// TestProvedBySTS: an enforced policy of the recipient's domain is a proof on the
// connection of which the server's certificate holds; any other policy is none.
func TestProvedBySTS(t *testing.T) {
	ca := newAuthority(t)
	good, self := ca.serving(t, nil, "mx.s.test"), (&authority{}).serving(t, nil, "mx.s.test")
	tried := strings.Replace(enforce, "enforce", "testing", 1)
	for _, tc := range []struct {
		name, policy string
		serves       *tls.Config
		by           string
		want         bool
	}{
		{"enforced", enforce, good, "mta-sts", true},
		{"enforced, another certificate", enforce, self, "mta-sts", false},
		{"enforced, stripped", enforce, nil, "mta-sts", false},
		{"enforced for other servers", strings.Replace(enforce, "mx.s.test", "mail.s.test", 1), good, "", false},
		{"testing", tried, good, "", false},
		{"none", "version: STSv1\nmode: none\nmax_age: 0\n", good, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := (&server{}).listen(t, "127.0.0.1", "0", tc.serves)
			z := newZone(t, "s.test. MX 10 mx.s.test.\nmx.s.test. A 127.0.0.1\nmta-sts.s.test. A 127.0.0.1\n_mta-sts.s.test. TXT \"v=STSv1; id=1\"\n")
			p := newPolicyHost(t, ca.serving(t, nil, "mta-sts.s.test"))
			p.says(tc.policy)
			r := router(t, route.Deps{Dial: p.dial, Pool: ca.pool(), Roots: ca.roots(t)}, asking(z), smtp.Route{NextHops: []string{"mx@" + s.port()}, TLS: smtp.TLSSTS})
			if by, err := r.Proves(t.Context(), ann, at("s.test")); by != tc.by || (tc.by == "") != errors.Is(err, dlp.ErrNotProved) {
				t.Errorf("proves by %q, %v; want %q", by, err, tc.by)
			}
			got := r.DeliverProved(t.Context(), ann, []dlp.Address{at("s.test")}, nil, smtp.MailOptions{}, open)[0]
			if (got.Err == nil) != tc.want || !tc.want && !errors.Is(got.Err, dlp.ErrNotProved) {
				t.Errorf("got %+v", got)
			}
			if n := len(s.took()); (n == 1) != tc.want || s.inClear() > 0 {
				t.Errorf("took %d, %d in the clear", n, s.inClear())
			}
		})
	}
}
