package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// txtServer answers questions for texts on loopback.
func txtServer(t testing.TB, texts map[string]string) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		name := strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")
		if text, ok := texts[name]; ok {
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
			for chunk := range slices.Chunk([]byte(text), 255) {
				rr.Txt = append(rr.Txt, string(chunk))
			}
			a.Answer = []dns.RR{rr}
		} else {
			a.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(a) // who asked asks again
	})}
	done := make(chan error, 1)
	go func() { done <- srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		_ = srv.Shutdown() // its end is waited for
		<-done
	})
	return conn.LocalAddr().String()
}

// partnerDomain is a mail server outside that signs what it sends by dkimpy, which
// knows nothing of stanch.
type partnerDomain struct {
	t   testing.TB
	dir string
	dns string
}

func newPartnerDomain(t testing.TB, names ...string) *partnerDomain {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import dkim").Run() != nil {
		t.Skip("python3-dkim is not installed: .ci/deps installs it")
	}
	p := &partnerDomain{t: t, dir: t.TempDir()}
	openssl(t, p.dir, "", "genrsa", "-traditional", "-out", "dkim.key", "2048")
	der := openssl(t, p.dir, "", "rsa", "-in", "dkim.key", "-pubout", "-outform", "DER")
	texts := map[string]string{}
	for _, n := range names {
		texts["mail._domainkey."+n] = "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString([]byte(der))
	}
	p.dns = txtServer(t, texts)
	return p
}

// signs is msg with the signature of domain over fields.
func (p *partnerDomain) signs(domain, msg string, fields ...string) string {
	p.t.Helper()
	cmd := exec.Command("/usr/bin/python3", append([]string{"-c", `
import dkim, sys
m = sys.stdin.buffer.read()
key = open(sys.argv[1], "rb").read()
sig = dkim.sign(m, b"mail", sys.argv[2].encode(), key, canonicalize=(b"relaxed", b"relaxed"), include_headers=[f.encode() for f in sys.argv[3:]])
sys.stdout.buffer.write(sig + m)`, filepath.Join(p.dir, "dkim.key"), domain}, fields...)...)
	cmd.Stdin = strings.NewReader(msg)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("dkimpy: %v: %s", err, errs.String())
	}
	return string(out)
}

// offering is a mail of from in which a key of GnuPG's is offered.
func offering(p *person, from, addr string, at time.Time) string {
	b := base64.StdEncoding.EncodeToString([]byte(p.gpg("", "--export")))
	var lines strings.Builder
	for chunk := range slices.Chunk([]byte(b), 72) {
		fmt.Fprintf(&lines, "\r\n %s", chunk)
	}
	return "From: Sam <" + from + ">\r\nTo: ada@clinic.example\r\nSubject: hello\r\nDate: " + at.Format(time.RFC1123Z) + "\r\nMessage-ID: <1@partner.example>\r\n" +
		"Autocrypt: addr=" + addr + "; prefer-encrypt=mutual; keydata=" + lines.String() + "\r\nContent-Type: text/plain\r\n\r\nHello.\r\n"
}

var everyField = []string{"from", "to", "subject", "date", "autocrypt", "content-type"}

// TestKeysSeenInMail: a key that a partner's server signed is kept, counts once the
// configuration says so, and a mail goes out by it that GnuPG opens. What is not signed so is not kept.
func TestKeysSeenInMail(t *testing.T) {
	t.Parallel()
	const addr = "sam@partner.example"
	sam, eve := newPerson(t, addr), newPerson(t, addr)
	d := newPartnerDomain(t, "partner.example", "evil.example")
	kept := t.TempDir()
	with := func(use bool) *gateway {
		return newGateway(t, options{smtp: fmt.Sprintf("resolver = %q\n", d.dns), extra: encryptMailPolicy + fmt.Sprintf("\n[encrypt]\nseen_dir = %q\nuse_seen = %t\n", kept, use)})
	}
	off := with(false)
	took := func(msg string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "in")
		write(t, file, msg, 0o600)
		out, code := runStanch(t, "keys", "import", "--seen", file, "--config", off.config)
		if code != 0 {
			t.Errorf("exit %d: %s", code, out)
		}
		if strings.Contains(out, "sam@") || strings.Contains(out, "eve@") {
			t.Errorf("an address is printed: %s", out)
		}
		return out
	}
	start := time.Now().Add(-time.Hour)
	hostile := offering(eve, addr, addr, start)
	for name, tc := range map[string]struct{ msg, want string }{
		"not signed":                 {hostile, "not_signed"},
		"signed by another":          {d.signs("evil.example", hostile, everyField...), "not_signed"},
		"the field is not signed":    {d.signs("partner.example", hostile, "from", "date", "subject"), "not_covered"},
		"another addr":               {d.signs("partner.example", offering(eve, "eve@partner.example", addr, start), everyField...), "other_address"},
		"another's From put in":      {strings.Replace(d.signs("partner.example", offering(eve, "eve@partner.example", "eve@partner.example", start), everyField...), "<eve@", "<sam@", 1), "not_signed"},
		"a second From":              {"From: " + addr + "\r\n" + d.signs("evil.example", offering(eve, "eve@evil.example", "eve@evil.example", start), everyField...), "not kept: from"},
		"a key that names another":   {d.signs("partner.example", offering(eve, "pat@partner.example", "pat@partner.example", start), everyField...), "other_person"},
		"of one of our own":          {"From: ada@clinic.example\r\n" + "X: y\r\n\r\n", "nothing"},
		"a mailbox with two of them": {"From x\n" + strings.ReplaceAll(hostile, "\r\n", "\n") + "\nFrom y\n" + strings.ReplaceAll(hostile, "\r\n", "\n"), "message 2: not kept: not_signed"},
	} {
		if out := took(tc.msg); !strings.Contains(out, tc.want) || strings.Contains(out, ": kept") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(kept, "*@*")); len(left) > 0 {
		t.Fatalf("kept: %v", left)
	}
	if out := took(d.signs("partner.example", offering(eve, addr, addr, start), everyField...)); !strings.Contains(out, "openpgp: kept") {
		t.Fatal(out)
	}
	if out := took(d.signs("partner.example", offering(sam, addr, addr, start.Add(time.Minute)), everyField...)); !strings.Contains(out, "in the place of") {
		t.Errorf("another key: %s", out)
	}
	if out := took(d.signs("partner.example", offering(eve, addr, addr, start), everyField...)); !strings.Contains(out, "a newer message was seen") {
		t.Errorf("the first once more: %s", out)
	}
	var keys []struct {
		Trust, Unfit string
		Usable       bool
		Seen         struct {
			Domain, Selector, Was string
			Mutual                bool
		}
	}
	if err := json.Unmarshal([]byte(off.must("keys", "list", "--format", "json")), &keys); err != nil || len(keys) != 1 {
		t.Fatalf("%+v, %v", keys, err)
	}
	if k := keys[0]; k.Trust != "seen" || k.Unfit != "seen_only" || k.Seen.Domain != "partner.example" || k.Seen.Selector != "mail" || k.Seen.Was == "" || !k.Seen.Mutual {
		t.Errorf("got %+v", k)
	}
	if out := off.must("keys", "list"); !strings.Contains(out, "seen, by partner.example on ") || !strings.Contains(out, ", changed ") {
		t.Errorf("keys list:\n%s", out)
	}
	if out, code := runStanch(t, "keys", "test", addr, "--config", off.config); code != 1 || !strings.Contains(out, "seen_only") {
		t.Errorf("switched off: exit %d: %s", code, out)
	}
	on := with(true)
	on.start()
	if _, err := on.send("ada@clinic.example", []string{addr}, secretMail); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is delivered", func() bool { return len(on.delivered()) == 1 })
	if got := sam.reads(on.delivered()[0]); !strings.Contains(got, "Labs of Mira Testcase") {
		t.Errorf("reads %q", got)
	}
}

// TestPostfixPipesWhatIsSeen: Postfix hands a copy of what comes in to stanch as
// docs/encryption.md says; a copy that is no good troubles nobody.
func TestPostfixPipesWhatIsSeen(t *testing.T) {
	t.Parallel()
	const addr = "sam@partner.example"
	sam := newPerson(t, addr)
	d := newPartnerDomain(t, "partner.example")
	base, err := os.MkdirTemp("", "seen") // who runs the command must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	kept, config, program := filepath.Join(base, "kept"), filepath.Join(base, "stanch.toml"), filepath.Join(base, "stanch")
	write(t, config, fmt.Sprintf("data_dir = \"data\"\n[smtp]\nlisten = []\nresolver = %q\n[encrypt]\nseen_dir = %q\n", d.dns, kept), 0o644)
	output(t, "cp", stanch, program)
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	addrSink, messages := startSMTPSink(t)
	p := startPostfix(t, addrSink, `always_bcc = keys@seen.invalid
transport_maps = inline:{seen.invalid=seen:}
seen_destination_concurrency_limit = 1
`, fmt.Sprintf("seen unix - n n - 1 pipe user=nobody argv=%s --config %s keys import --seen -\n", program, config))
	p.run("chown", "-R", "nobody", base)
	p.run("chmod", "755", base, program)
	p.submit("eve@evil.example", "ada@clinic.example", strings.ReplaceAll(offering(sam, addr, addr, time.Now()), "\r\n", "\n"))
	p.submit(addr, "ada@clinic.example", strings.ReplaceAll(d.signs("partner.example", offering(sam, addr, addr, time.Now()), everyField...), "\r\n", "\n"))
	file := filepath.Join(kept, addr+".asc")
	eventually(t, "the key is kept", func() bool { _, err := os.Stat(file); return err == nil })
	eventually(t, "both have arrived, and both copies are done with", func() bool {
		return len(messages()) == 2 && strings.Count(p.logged(), "relay=seen") == 2
	})
	if log := p.logged(); strings.Count(log, "status=sent (delivered via seen service") != 2 {
		t.Errorf("Postfix's log:\n%s", tail(log, 3000))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// bouncyCastle runs a Java program that S/MIME is tested with.
func bouncyCastle(t testing.TB, in, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("java is not installed: .ci/deps installs it")
	}
	const jars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar"
	for jar := range strings.SplitSeq(jars, ":") {
		if !exists(jar) {
			t.Skipf("Bouncy Castle is not installed (libbcmail-java): no %s", filepath.Base(jar))
		}
	}
	cmd := exec.Command("java", append([]string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars, filepath.Join("..", "crypt", "smime", "testdata", program)}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

// TestCapabilitiesSeenInMail: two partners' program signs that it reads AES-256-GCM
// and RSA-OAEP. What goes to them afterwards is that, and the program opens it; a
// third has signed with one that says nothing of it, and gets AES-256-CBC.
func TestCapabilitiesSeenInMail(t *testing.T) {
	t.Parallel()
	const rsa, ec, old = "sam@partner.example", "pat@partner.example", "kim@partner.example"
	d, dir, kept := newPartnerDomain(t, "partner.example"), t.TempDir(), t.TempDir()
	g := newGateway(t, options{smtp: fmt.Sprintf("resolver = %q\n", d.dns), extra: encryptMailPolicy + fmt.Sprintf("\n[encrypt]\nseen_dir = %q\nuse_seen = true\n", kept)})
	for addr, kind := range map[string][]string{rsa: {"rsa:2048"}, ec: {"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, old: {"rsa:2048"}} {
		openssl(t, dir, "", append([]string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=somebody", "-addext", "subjectAltName=email:" + addr, "-keyout", addr + ".key", "-out", addr + ".pem", "-newkey"}, kind...)...)
		openssl(t, dir, "", "pkcs8", "-topk8", "-nocrypt", "-in", addr+".key", "-outform", "DER", "-out", addr+".p8")
		openssl(t, dir, "", "x509", "-in", addr+".pem", "-outform", "DER", "-out", addr+".der")
		at := func(ext string) string { return filepath.Join(dir, addr+ext) }
		const text = "Content-Type: text/plain\r\n\r\nHello.\r\n"
		if addr == old {
			openssl(t, dir, text, "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", addr+".pem", "-inkey", addr+".key", "-out", addr+".p7m")
		} else {
			bouncyCastle(t, text, "Sign.java", at(".der"), at(".p8"), at(".p7m"))
		}
		msg := "From: <" + addr + ">\r\nTo: ada@clinic.example\r\nSubject: hello\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(read(t, at(".p7m")))) + "\r\n"
		write(t, at(".eml"), d.signs("partner.example", msg, "from", "to", "subject", "date", "content-type", "content-transfer-encoding"), 0o600)
		if out := g.must("keys", "import", "--seen", at(".eml")); !strings.Contains(out, "smime: kept") {
			t.Fatalf("%s: %s", addr, out)
		}
	}
	g.start()
	if _, err := g.send("ada@clinic.example", []string{rsa, ec, old}, strings.Replace(secretMail, "Bob <bob@partner.example>", strings.Join([]string{rsa, ec, old}, ", "), 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one message a class", func() bool { return len(g.delivered()) == 2 })
	bc := t.TempDir()
	for _, m := range g.delivered() {
		body := m[strings.Index(m, "\r\n\r\n")+4:]
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(body), "\r\n", ""))
		if err != nil {
			t.Fatalf("%v:\n%.2000s", err, m)
		}
		for _, who := range []string{rsa, ec, old} {
			if strings.Contains(m, "smime-type=authEnveloped-data") == (who == old) {
				continue
			}
			write(t, filepath.Join(bc, who+".p7m"), string(der), 0o600)
			write(t, filepath.Join(bc, who+".p8"), read(t, filepath.Join(dir, who+".p8")), 0o600)
		}
	}
	said := bouncyCastle(t, "", "Open.java", bc)
	for _, who := range []string{rsa, ec, old} {
		if out := filepath.Join(bc, who+".out"); !exists(out) || !strings.Contains(read(t, out), "number is 536-22-8145.") {
			t.Errorf("%s does not read it: %s", who, said)
		}
	}
}
