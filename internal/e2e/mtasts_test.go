package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// stsDomain is one recipient's domain below sts.example.
type stsDomain struct {
	name   string
	policy string // its mode; "" for no record in DNS
	mx     string // what the policy names
	host   tls.Certificate
	forger bool   // its policy host shows a certificate of nobody's
	want   string // the refusal begins so; "" for delivered
}

// policyHost is the HTTPS server of every domain, on port 443 of an address of
// this machine that nobody else has. asked tells how often each policy was had.
func policyHost(t *testing.T, ca *synth.Authority, domains []stsDomain) (ip string, asked func(domain string) int, stop func()) {
	t.Helper()
	texts, certs, forged := map[string]string{}, []string{}, map[string]bool{}
	for _, d := range domains {
		host := "mta-sts." + d.name + ".sts.example"
		certs = append(certs, host)
		texts[host], forged[host] = fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 86400\r\n", d.policy, d.mx), d.forger
	}
	good, err := ca.Sign(nil, certs...)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := (*synth.Authority)(nil).Sign(nil, certs...)
	if err != nil {
		t.Fatal(err)
	}
	ip = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	ln, err := tls.Listen("tcp", ip+":443", &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if forged[h.ServerName] {
			return &bad, nil
		}
		return &good, nil
	}})
	if errors.Is(err, os.ErrPermission) {
		t.Skip("policies are fetched from port 443, on which only root may listen here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := map[string]int{} // guarded by mu
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		mu.Lock()
		count[r.Host]++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, texts[r.Host]) // the gateway says what it missed
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) }) // until Close
	stop = sync.OnceFunc(func() { ln.Close(); s.Close(); wg.Wait() })
	t.Cleanup(stop)
	return ip, func(domain string) int {
		mu.Lock()
		defer mu.Unlock()
		return count["mta-sts."+domain+".sts.example"]
	}, stop
}

// TestMTASTS: what a domain promises by MTA-STS, its policy fetched by HTTPS from
// its policy host and found by a real resolver, holds for the servers that MX
// names: mail goes to one that proves its name over TLS and to no other, and so it
// stays while the policy host is gone, over a restart. A policy that binds nothing,
// or comes from who cannot prove to be its host, changes nothing.
//
// The authority of hosts and policy hosts is the system's: SSL_CERT_FILE names it.
func TestMTASTS(t *testing.T) {
	t.Parallel()
	ca, err := synth.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by *synth.Authority, change func(*x509.Certificate), name string) tls.Certificate {
		t.Helper()
		c, err := by.Sign(change, name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	domains := []stsDomain{
		{name: "good", policy: "enforce", mx: "mx.good.sts.example", host: sign(ca, nil, "mx.good.sts.example")},
		{name: "star", policy: "enforce", mx: "*.star.sts.example", host: sign(ca, nil, "mx.star.sts.example")},
		{name: "other", policy: "enforce", mx: "mx.other.sts.example", host: sign(ca, nil, "mx.evil.example"), want: "451 4.4.1"},
		{name: "self", policy: "enforce", mx: "mx.self.sts.example", host: sign(nil, nil, "mx.self.sts.example"), want: "451 4.4.1"},
		{name: "expired", policy: "enforce", mx: "mx.expired.sts.example", host: sign(ca, synth.Expired, "mx.expired.sts.example"), want: "451 4.4.1"},
		{name: "stripped", policy: "enforce", mx: "mx.stripped.sts.example", want: "451 4.4.1"},
		{name: "moved", policy: "enforce", mx: "mail.moved.sts.example", host: sign(ca, nil, "mx.moved.sts.example"), want: "451 4.7.5"},
		{name: "testing", policy: "testing", mx: "mx.testing.sts.example", host: sign(nil, nil, "mx.evil.example")},
		{name: "forged", policy: "enforce", mx: "mail.forged.sts.example", host: sign(nil, nil, "mx.evil.example"), forger: true},
		{name: "silent", host: sign(nil, nil, "mx.evil.example")},
	}
	ip, asked, stop := policyHost(t, ca, domains)
	zone := "$ORIGIN sts.example.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n"
	var routes strings.Builder
	hops := map[string]*tlsHop{}
	for _, d := range domains {
		hop := newTLSHop(t, d.host)
		hops[d.name] = hop
		_, port, _ := net.SplitHostPort(hop.addr)
		zone += fmt.Sprintf("%[1]s IN MX 10 mx.%[1]s\nmx.%[1]s IN A 127.0.0.1\nmta-sts.%[1]s IN A %[2]s\n", d.name, ip)
		if d.policy != "" {
			zone += fmt.Sprintf("_mta-sts.%s IN TXT \"v=STSv1; id=20261126;\"\n", d.name)
		}
		fmt.Fprintf(&routes, "[[smtp.routes]]\nname = %q\nrecipients = [\"%s.sts.example\"]\nnext_hops = [\"mx@%s\"]\ntls = \"mta-sts\"\n", d.name, d.name, port)
	}
	resolver := unbound(t, "sts.example", zone, func(s string) string { return s })
	roots := filepath.Join(t.TempDir(), "roots.pem")
	write(t, roots, string(synth.CertificatePEM(ca.Certificate().Raw)), 0o644)
	g := newGateway(t, options{smtp: fmt.Sprintf("resolver = %q\n%s", resolver, routes.String())})
	g.start("SSL_CERT_FILE=" + roots)
	tell := func(when string) {
		t.Helper()
		for _, d := range domains {
			hop := hops[d.name]
			tlsBefore, allBefore := hop.count()
			_, err := g.send("ada@clinic.example", []string{"sam@" + d.name + ".sts.example"}, cleanMail)
			if got := refused(err); !strings.HasPrefix(got, d.want) || d.want == "" && err != nil {
				t.Errorf("%s%s: got %s, want %q", d.name, when, got, d.want)
			}
			overTLS, all := hop.count()
			taken := 0
			if d.want == "" {
				taken = 1
			}
			if all-allBefore != taken || overTLS-tlsBefore != taken {
				t.Errorf("%s%s: took %d messages, %d of them over TLS; want %d", d.name, when, all-allBefore, overTLS-tlsBefore, taken)
			}
		}
	}
	tell("")
	for _, d := range domains {
		want := 1
		if d.policy == "" || d.forger {
			want = 0
		}
		if got := asked(d.name); got != want {
			t.Errorf("the policy of %s was had %d times, want %d", d.name, got, want)
		}
	}
	stop()
	g.stop()
	g.start("SSL_CERT_FILE=" + roots)
	tell(", after a restart and without the policy host")
}
