package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// daneWorld is a mail server that proves itself by DANE, and a gateway for whose
// mail to it that is enough.
type daneWorld struct {
	*gateway
	t    *testing.T
	hop  *tlsHop
	dns  string
	zone string
	stop func() // of the resolver
}

// newDANEServer is that without a gateway.
func newDANEServer(t *testing.T) *daneWorld {
	t.Helper()
	cert, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
	if err != nil {
		t.Fatal(err)
	}
	w := &daneWorld{t: t, hop: newTLSHop(t, cert), dns: freeAddr(t)}
	sum := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo)
	w.zone = fmt.Sprintf("$ORIGIN dane.example.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n@ IN MX 10 mx\nmx IN A 127.0.0.1\n"+
		"_%s._tcp.mx IN TLSA 3 1 1 %s\n", w.port(), hex.EncodeToString(sum[:]))
	w.resolve(w.zone)
	return w
}

func (w *daneWorld) port() string {
	_, port, _ := net.SplitHostPort(w.hop.addr)
	return port
}

// route is the [smtp] by which mail for the server goes there, and nowhere else.
func (w *daneWorld) route() string {
	return fmt.Sprintf("resolver = %q\n[[smtp.routes]]\nname = \"world\"\nrecipients = [\"dane.example\"]\nnext_hops = [\"mx@%s\"]\ntls = \"dane\"\n", w.dns, w.port())
}

// newDANEWorld has the gateway encrypt to key, for sam@dane.example, where no
// server proves to be theirs; "": there is none.
func newDANEWorld(t *testing.T, key string) *daneWorld {
	t.Helper()
	w, dir := newDANEServer(t), t.TempDir()
	if key != "" {
		write(t, filepath.Join(dir, "sam@dane.example.asc"), key, 0o600)
	}
	w.gateway = newGateway(t, options{smtp: w.route(),
		extra: fmt.Sprintf("%s\n[encrypt]\norder = [\"tls\", \"openpgp\"]\nopenpgp_dir = %q\n[encrypt.tls]\ndomains = [\"*\"]\n", encryptMailPolicy, dir)})
	return w
}

// resolve has DNS say zone, signed.
func (w *daneWorld) resolve(zone string) {
	w.t.Helper()
	if w.stop != nil {
		w.stop()
	}
	w.stop = unboundAt(w.t, w.dns, "dane.example", zone, func(s string) string { return s })
}

func (w *daneWorld) submit() (stage string, err error) {
	_, stage, err = w.offer("ada@clinic.example", []string{"sam@dane.example"}, secretMail)
	return stage, err
}

// empty waits until nothing is in the outbox.
func (w *daneWorld) empty() {
	w.t.Helper()
	eventually(w.t, "the outbox is empty", func() bool { return strings.Contains(w.must("queue", "list"), "empty") })
}

// TestProvedTLS: what is to be encrypted goes as it is over a connection on which
// the server has proved by DANE to be the recipient's; keys test says so, and the
// audit log does.
func TestProvedTLS(t *testing.T) {
	t.Parallel()
	w := newDANEWorld(t, "")
	w.start()
	tested := func() (way, by, unfit string) {
		t.Helper()
		out, _ := w.cli("keys", "test", "sam@dane.example", "--format", "json")
		var got struct {
			Way  string
			Ways []struct{ Way, By, Unfit string }
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return got.Way, got.Ways[0].By, got.Ways[0].Unfit
	}
	if way, by, unfit := tested(); way != "tls" || by != "dane" || unfit != "" {
		t.Errorf("keys test: %q by %q, %q", way, by, unfit)
	}
	if _, err := w.submit(); err != nil {
		t.Fatal(err)
	}
	w.empty()
	if overTLS, all := w.hop.count(); overTLS != 1 || all != 1 {
		t.Fatalf("took %d messages, %d over TLS", all, overTLS)
	}
	if got := w.hop.messages()[0]; !strings.HasSuffix(got, "\n"+strings.ReplaceAll(secretMail, "\r\n", "\n")) && !strings.HasSuffix(got, "\r\n"+secretMail) {
		t.Errorf("it came as %q", got)
	}
	eventually(t, "the way and the delivery are on the audit log", func() bool {
		log := w.must("audit", "export")
		return strings.Contains(log, `"ways":["tls"]`) && strings.Contains(log, `"reason":"proved"`)
	})
	bad, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
	if err != nil {
		t.Fatal(err)
	}
	w.hop.shows(bad)
	if way, _, unfit := tested(); way != "" || unfit != "not_proved" {
		t.Errorf("keys test of another certificate: %q, %q", way, unfit)
	}
	w.must("audit", "verify")
}

// TestProvedByPin: a partner whose key a route pins gets what is to be encrypted as it
// is, over the connection that shows that key; one that shows another gets nothing, and
// the sender tries again later.
func TestProvedByPin(t *testing.T) {
	t.Parallel()
	cert, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
	if err != nil {
		t.Fatal(err)
	}
	hop := newTLSHop(t, cert)
	pin := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo)
	g := newGateway(t, options{
		smtp:  fmt.Sprintf("[[smtp.routes]]\nname = \"partner\"\nrecipients = [\"partner.example\"]\nnext_hops = [%q]\ntls = \"verified\"\ntls_pins = [%q]\n", hop.addr, "sha256:"+base64.StdEncoding.EncodeToString(pin[:])),
		extra: encryptMailPolicy + "\n[encrypt]\norder = [\"tls\"]\n[encrypt.tls]\ndomains = [\"partner.example\"]\n",
	})
	g.start()
	if out := g.must("keys", "test", "bob@partner.example"); !strings.Contains(out, "pin") {
		t.Errorf("keys test: %s", out)
	}
	mail := strings.Replace(secretMail, ", nurse@clinic.example", "", 1)
	if _, err := g.send("ada@clinic.example", []string{"bob@partner.example"}, mail); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it arrives", func() bool { overTLS, all := hop.count(); return overTLS == 1 && all == 1 })
	other, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
	if err != nil {
		t.Fatal(err)
	}
	g.stop() // the connection that has proved itself is used again
	hop.shows(other)
	g.start()
	if answer, err := g.send("ada@clinic.example", []string{"bob@partner.example"}, mail); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("to a server with another key: %q, %v", answer, err)
	}
	if _, all := hop.count(); all != 1 || len(g.held()) != 0 {
		t.Errorf("%d messages came, want the first alone; held %+v", all, g.held())
	}
}

// TestProvedTLSSurvivesKillAtEachStep: whatever moment the gateway dies at, the
// message arrives once, and over TLS.
func TestProvedTLSSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	longTest(t)
	for _, tt := range []struct {
		step  string
		taken bool // answered 250 before it died
		twice bool // the next hop had it: the one duplicate that SMTP cannot avoid
	}{
		{step: "encrypted"}, {step: "decision"}, {step: "seal encrypted"}, {step: "commit"}, {step: "commit: sync"}, {step: "committed"},
		{step: "deliver", taken: true}, {step: "delivered", taken: true, twice: true},
	} {
		t.Run(tt.step, func(t *testing.T) {
			w := newDANEWorld(t, "")
			w.start("STANCH_CRASH_AT=" + tt.step)
			stage, err := w.submit()
			if stage == "quit" { // it has its answer: no mail server sends again
				err = nil
			}
			if !w.ended() {
				t.Fatal("the step was never reached")
			}
			if err == nil && !tt.taken {
				t.Fatal("answered by a process that died before it")
			}
			w.start()
			if err != nil { // as every mail server does
				if _, err := w.submit(); err != nil {
					t.Fatal(err)
				}
			}
			w.empty()
			overTLS, all := w.hop.count()
			if overTLS != all || all == 0 || all > 1 && !tt.twice || all > 2 || len(w.held()) != 0 {
				t.Errorf("took %d messages, %d over TLS, %d held", all, overTLS, len(w.held()))
			}
			w.must("audit", "verify")
			noneLeft(t, filepath.Join(w.data(), "tmp"))
			for _, f := range filesWith(t, w.data(), inClear...) {
				t.Error(f)
			}
		})
	}
}

// TestProofVanishes: where the server's proof is gone when a message is to leave,
// the message goes the next way, or is held, whatever moment the gateway dies at;
// never in the clear, and never twice.
func TestProofVanishes(t *testing.T) {
	t.Parallel()
	sam := newPerson(t, "sam@dane.example")
	for _, tt := range []struct {
		name, key, step string
		cert            bool // another certificate, instead of no record
		except          bool // encrypt.tls.except names the domain by then, instead
		long            bool
	}{
		{name: "the next way", key: sam.key},
		{name: "no other way"},
		{name: "excepted since", key: sam.key, except: true},
		{name: "no other way, another certificate", cert: true},
		{name: "dies before it turns", key: sam.key, step: "turn", long: true},
		{name: "dies once it has turned", key: sam.key, step: "turned", long: true},
		{name: "dies as it is judged again", key: sam.key, step: "read on", long: true},
		{name: "dies before the second decision", key: sam.key, step: "decision", long: true},
		{name: "dies after the second decision", key: sam.key, step: "judged", long: true},
		{name: "dies as it is encrypted", key: sam.key, step: "seal encrypted", long: true},
		{name: "dies after the commit of the hold", step: "judged", long: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.long {
				longTest(t)
			}
			w := newDANEWorld(t, tt.key)
			w.start("STANCH_CRASH_AT=deliver")
			_, _ = w.submit() // it is taken when it is to be delivered, whether or not that was answered
			if !w.ended() {
				t.Fatal("it was never delivered")
			}
			if tt.except {
				write(t, w.config, strings.Replace(read(t, w.config), "domains = [\"*\"]", "domains = [\"*\"]\nexcept = [\"dane.example\"]", 1), 0o600)
			} else if tt.cert {
				bad, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
				if err != nil {
					t.Fatal(err)
				}
				w.hop.shows(bad)
			} else {
				zone, _, _ := strings.Cut(w.zone, "_")
				w.resolve(zone)
			}
			if tt.step != "" {
				w.start("STANCH_CRASH_AT=" + tt.step)
				eventually(t, "it dies", w.ended)
			}
			w.start()
			w.empty()
			got := w.hop.messages()
			if tt.key == "" {
				items := w.held()
				if len(got) != 0 || len(items) != 1 {
					t.Fatalf("took %q, held %+v", got, items)
				}
				if show := w.must("quarantine", "show", items[0].ID); !strings.Contains(show, "no_way") {
					t.Errorf("show does not say why:\n%s", show)
				}
			} else if len(got) != 1 || strings.Contains(got[0], "536-22-8145") || !strings.Contains(sam.reads(got[0]), "536-22-8145") {
				t.Fatalf("took %q", got)
			}
			if log := w.must("audit", "export"); !strings.Contains(log, `"result":"turned"`) {
				t.Errorf("on the audit log:\n%s", tail(log, 3000))
			}
			w.must("audit", "verify")
			noneLeft(t, filepath.Join(w.data(), "tmp"))
		})
	}
}
