package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestAllWaysAtOnce sends one mail to somebody inside and to one recipient of each
// way. Each has one copy, and opens it by their own program. Once the portal is
// taken out of the order, whoever had nothing else has the mail held.
func TestAllWaysAtOnce(t *testing.T) {
	t.Parallel()
	need(t, "qpdf")
	gina, w, hop := newPerson(t, "gina@pgp.example"), newDANEServer(t), newNextHop(t)
	certs, keys, words := t.TempDir(), t.TempDir(), t.TempDir()
	certificate(t, certs, "sam@partner.example", "email:sam@partner.example")
	certificate(t, certs, "new@partner.example", "email:new@partner.example")
	print := openssl(t, certs, "", "x509", "-in", "new@partner.example.pem", "-noout", "-fingerprint", "-sha256")
	_, print, _ = strings.Cut(strings.TrimSpace(print), "=")
	write(t, filepath.Join(certs, "trust.txt"), "modern "+print+"\n", 0o600)
	write(t, filepath.Join(keys, "gina@pgp.example.asc"), gina.key, 0o600)
	write(t, filepath.Join(words, "pat@home.example.pass"), agreed+"\n", 0o600)
	pages := freeAddr(t)
	const order = `order = ["smime", "openpgp", "tls", "pdf", "portal"]`
	p := &pickupPages{newGateway(t, options{nextHop: hop.addr, smtp: w.route(), extra: fmt.Sprintf(`%s
[portal]
listen = %q
url = "http://%s/"
site = "Harbor Vale Clinic"
contact = "555-0142"
[encrypt]
%s
smime_dir = %q
openpgp_dir = %q
pdf_dir = %q
[encrypt.tls]
domains = ["dane.example"]
`, encryptMailPolicy, pages, pages, order, certs, keys, words)}), "http://" + pages, hop}
	b := webtest.Chromium(t, 390, 844)
	p.start()

	rcpts := []string{"nurse@clinic.example", "sam@partner.example", "new@partner.example", "gina@pgp.example", "dan@dane.example", "pat@home.example", "bob@partner.example"}
	// send has the mail go out, and returns who has which copy of it by the open door.
	send := func(msg string, want int) map[string]string {
		t.Helper()
		if answer, err := p.send("ada@clinic.example", rcpts, msg); err != nil {
			t.Fatalf("%q, %v", answer, err)
		}
		eventually(t, "all have theirs", func() bool {
			return hop.count() == want && strings.Contains(p.must("queue", "list"), "empty")
		})
		got := map[string]string{}
		for _, m := range hop.messages() {
			if len(m.rcpts) != 1 || got[m.rcpts[0]] != "" {
				t.Fatalf("one copy went to %v, who may have had one before", m.rcpts)
			}
			got[m.rcpts[0]] = m.text
			for _, never := range inClear {
				if m.rcpts[0] != "nurse@clinic.example" && strings.Contains(m.text, never) {
					t.Errorf("%s: %q stands outside:\n%.2000s", m.rcpts[0], never, m.text)
				}
			}
		}
		return got
	}
	good := func(who, plain, subject string) {
		t.Helper()
		if !strings.Contains(plain, subject+"Labs of Mira Testcase") || !strings.Contains(plain, "number is 536-22-8145.") {
			t.Errorf("%s reads %q", who, plain)
		}
	}
	opened := func(got map[string]string) {
		t.Helper()
		for who, kind := range map[string]string{"sam@partner.example": "smime-type=enveloped-data", "new@partner.example": "smime-type=authEnveloped-data"} {
			if !strings.Contains(got[who], kind) {
				t.Errorf("%s has not %s: %.800q", who, kind, got[who])
			}
			good(who, openssl(t, certs, got[who], "cms", "-decrypt", "-recip", who+".pem", "-inkey", who+".key"), "Subject: ")
		}
		good("Gina", gina.reads(got["gina@pgp.example"]), "Subject: ")
		good("Pat", readsPDF(t, got["pat@home.example"], agreed), "")
		good("the nurse", got["nurse@clinic.example"], "Subject: ")
	}

	got := send(secretMail, len(rcpts)-1) // Dan's goes by another door
	opened(got)
	p.opens(b, p.link(slices.IndexFunc(hop.messages(), func(m hopMail) bool { return m.rcpts[0] == "bob@partner.example" })), hop.count())
	for what, want := range map[string]string{"subject": "Labs of Mira Testcase", "body": "number is 536-22-8145."} {
		if got := webtest.Eval[string](b, `document.getElementById("`+what+`").textContent`); !strings.Contains(got, want) {
			t.Errorf("%s = %q, want %q in it", what, got, want)
		}
	}
	b.Do(chromedp.Navigate("about:blank"))
	if items := p.held(); len(items) != 0 {
		t.Errorf("held %+v, want nothing", items)
	}

	write(t, p.config, strings.Replace(read(t, p.config), order, `order = ["smime", "openpgp", "tls", "pdf"]`, 1), 0o600)
	p.stop()
	p.start()
	hop.drain()
	opened(send(strings.Replace(secretMail, "s-1@", "s-2@", 1), len(rcpts)-2))
	items := p.held()
	if len(items) != 1 || !slices.Equal(items[0].Recipients, []string{"bob@partner.example"}) {
		t.Fatalf("held %+v, want Bob's alone", items)
	}
	if show := p.must("quarantine", "show", items[0].ID); !strings.Contains(show, "no_way") {
		t.Errorf("show does not say why:\n%s", show)
	}

	if overTLS, all := w.hop.count(); overTLS != 2 || all != 2 {
		t.Errorf("Dan's server took %d messages, %d over TLS; want 2", all, overTLS)
	}
	for _, m := range w.hop.messages() {
		good("Dan", m, "Subject: ")
	}
	log := p.must("audit", "export")
	for _, way := range []string{"smime", "openpgp", "tls", "pdf", "portal"} {
		if !strings.Contains(log, `"`+way+`"`) {
			t.Errorf("the audit log names no way %s", way)
		}
	}
	p.must("audit", "verify")
	for _, f := range filesWith(t, p.data(), inClear...) {
		t.Error(f)
	}
	noneLeft(t, filepath.Join(p.data(), "tmp"))
}
