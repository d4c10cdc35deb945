package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// person is somebody outside with a key of GnuPG's.
type person struct {
	t    testing.TB
	home string
	key  string // armoured, public
}

func newPerson(t testing.TB, addr string) *person {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed: .ci/deps installs it")
	}
	home, err := os.MkdirTemp("", "gpg") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, home: home}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // what it leaves ends with its folder
		_ = os.RemoveAll(home)
	})
	// It returns once the agent answers; gpg gives one that it starts itself 5 s for that.
	if err := exec.Command("gpg-agent", "--homedir", home, "--daemon").Run(); err != nil {
		t.Fatalf("gpg-agent: %v", err)
	}
	p.gpg("", "--quick-generate-key", addr, "future-default", "default", "1y")
	p.key = p.gpg("", "--armor", "--export", addr)
	return p
}

func (p *person) gpg(in string, args ...string) string {
	p.t.Helper()
	out, err := p.run(in, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *person) run(in string, args ...string) (string, error) {
	cmd := exec.Command("gpg", append([]string{"--homedir", p.home, "--batch", "--yes", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("gpg %v: %w: %s", args, err, errs.String())
	}
	return string(out), err
}

var armour = regexp.MustCompile(`(?s)-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----`)

// reads opens a PGP/MIME message.
func (p *person) reads(msg string) string {
	p.t.Helper()
	return p.gpg(armour.FindString(msg), "--decrypt")
}

// opens is the message that was encrypted, as it was sent: without what header
// protection adds to it (RFC 9788: HP-Outer, and the subject ahead of the text for
// who does not know of that). What p cannot open stays as it is.
func (p *person) opens(msg string) string {
	in, err := p.run(armour.FindString(msg), "--decrypt")
	if err != nil {
		p.t.Error(err)
		return msg
	}
	head, body, _ := strings.Cut(in, "\r\n\r\n")
	if strings.Contains(head, `hp-legacy-display="1"`) {
		_, body, _ = strings.Cut(body, "\r\n\r\n")
	}
	_, head, _ = strings.Cut(head, "X-Load-Id: ")
	head, _, _ = strings.Cut(head, "\r\nHP-Outer: ") // they are the last
	return "X-Load-Id: " + head + "\r\n\r\n" + body
}

// encryptMailPolicy encrypts what is told apart by a social security number.
const encryptMailPolicy = `
[[policies]]
id = "encrypt-phi"
where = { channels = ["mail"], recipients = "external" }
all = [ { type = "SSN" } ]
action = "encrypt"
`

// withKeys is that, and an [encrypt] with a folder of these people's keys.
func withKeys(t testing.TB, keys map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for addr, key := range keys {
		if err := os.WriteFile(filepath.Join(dir, addr+".asc"), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%s\n[encrypt]\nopenpgp_dir = %q\n", encryptMailPolicy, dir)
}

const secretMail = "From: Ada Example <ada@clinic.example>\r\nTo: Bob <bob@partner.example>, nurse@clinic.example\r\nSubject: Labs of Mira Testcase\r\n" +
	"Message-ID: <s-1@clinic.example>\r\nX-Demo-Id: s-1\r\n\r\nHer social security number is 536-22-8145.\r\n.a dot\r\n"

var inClear = []string{"536-22-8145", "Mira Testcase", "X-Demo-Id"}

// TestEncryptedMail: of one mail the nurse inside has a copy as it came, Bob one
// that his key opens, Dora, whom it does not name, one of her own, and Carol's is
// held.
func TestEncryptedMail(t *testing.T) {
	t.Parallel()
	bob, dora := newPerson(t, "bob@partner.example"), newPerson(t, "dora@partner.example")
	g := newGateway(t, options{extra: withKeys(t, map[string]string{"Bob@Partner.example": bob.key, "dora@partner.example": dora.key})})
	g.start()
	rcpts := []string{"nurse@clinic.example", "bob@partner.example", "dora@partner.example", "carol@partner.example"}
	answer, err := g.send("ada@clinic.example", rcpts, secretMail)
	if err != nil || !strings.Contains(answer, ", id ") {
		t.Fatalf("%q, %v", answer, err)
	}
	items := g.held("--header", "X-Demo-Id")
	if len(items) != 1 || !slices.Equal(items[0].Recipients, []string{"carol@partner.example"}) || items[0].Header != "s-1" {
		t.Fatalf("held %+v, want Carol's alone", items)
	}
	if show := g.must("quarantine", "show", items[0].ID); !strings.Contains(show, "no_way") {
		t.Errorf("show does not say why:\n%s", show)
	}
	eventually(t, "three copies", func() bool { return len(g.delivered()) == 3 })
	var ciphers []string
	for _, m := range g.delivered() {
		if strings.HasSuffix(m, secretMail) {
			continue
		}
		ciphers = append(ciphers, m)
		for _, w := range inClear {
			if strings.Contains(m, w) {
				t.Errorf("%q stands outside:\n%s", w, m)
			}
		}
		for _, w := range []string{"Subject: [...]\r\n", "From: Ada Example <ada@clinic.example>\r\n", "Message-ID: <s-1@clinic.example>\r\n"} {
			if !strings.Contains(m, w) {
				t.Errorf("%q is not outside:\n%s", w, m)
			}
		}
	}
	if len(ciphers) != 2 {
		t.Fatalf("%d encrypted, want 2", len(ciphers))
	}
	if strings.Contains(ciphers[0], "Delivered-To: dora") || strings.Contains(ciphers[0], "<dora@") { // the order is that of file names
		ciphers[0], ciphers[1] = ciphers[1], ciphers[0]
	}
	for i, p := range []*person{bob, dora} {
		if got := p.reads(ciphers[i]); !strings.Contains(got, "Subject: Labs of Mira Testcase\r\n") || !strings.Contains(got, "number is 536-22-8145.\r\n.a dot\r\n") {
			t.Errorf("reads %q", got)
		}
		if n := strings.Count(p.packets(ciphers[i]), ":pubkey enc packet"); n != 1 {
			t.Errorf("encrypted to %d keys, want 1: who is not named is nobody's business", n)
		}
	}
	g.must("audit", "verify")
	noneLeft(t, filepath.Join(g.data(), "tmp"))
}

func (p *person) packets(msg string) string {
	return p.gpg(armour.FindString(msg), "--list-packets")
}

// TestEncryptedMailSurvivesKillAtEachStep: whatever moment the gateway dies at,
// the one copy that arrives is encrypted, and nothing lies about.
func TestEncryptedMailSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	bob := newPerson(t, "bob@partner.example")
	large := secretMail + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000)
	for i, tt := range []struct {
		step, msg string
		taken     bool // answered 250 before it died
		twice     bool // the next hop had it: the one duplicate that SMTP cannot avoid
	}{
		{step: "encrypt", msg: secretMail},
		{step: "encrypted", msg: secretMail},
		{step: "decision", msg: secretMail},
		{step: "seal encrypted", msg: secretMail},
		{step: "put: create", msg: large},
		{step: "put: write", msg: large},
		{step: "put: name", msg: large},
		{step: "put: named", msg: large},
		{step: "commit", msg: secretMail},
		{step: "commit: begin", msg: secretMail},
		{step: "commit: sync", msg: secretMail},
		{step: "commit: answer", msg: secretMail},
		{step: "committed", msg: secretMail},
		{step: "deliver", msg: secretMail, taken: true},
		{step: "delivered", msg: secretMail, taken: true, twice: true},
	} {
		t.Run(tt.step, func(t *testing.T) {
			eachSecond(t, i)
			b, to := newBooks(t), []string{"bob@partner.example"}
			b.opens = bob.opens
			hop, l := b.hop(), b.letter(tt.msg)
			g := newGateway(t, options{nextHop: hop.addr, extra: withKeys(t, map[string]string{"bob@partner.example": bob.key})})
			g.start("STANCH_CRASH_AT=" + tt.step)
			answer, stage, err := b.offer(g, to, l)
			if stage == "quit" { // it has its answer: no mail server sends again
				err = nil
			}
			if !g.ended() {
				t.Fatalf("the step was never reached: answered %q, %v", answer, err)
			}
			if err == nil && !tt.taken {
				t.Fatalf("answered %q by a process that died before it", answer)
			}
			g.start()
			if err != nil { // as every mail server does
				if answer, err = b.give(g, to, l); err != nil {
					t.Fatalf("second try: %q, %v", answer, err)
				}
			}
			want := 1
			if tt.twice {
				want = 2
				b.unrecorded(l, to)
			}
			if n := len(g.held()); n != 0 {
				t.Errorf("%d held, want 0", n)
			}
			if n := b.settle(g); n != want-1 || hop.count() != want {
				t.Errorf("%d copies, of which account excused %d; want %d", hop.count(), n, want)
			}
			for _, m := range hop.messages() {
				if strings.Contains(m.text, "536-22-8145") {
					t.Errorf("delivered %.300q", m.text)
				}
			}
			for _, f := range filesWith(t, g.data(), inClear...) {
				t.Error(f)
			}
		})
	}
}

// TestAskedForEncryption: a sender asks by the subject, and nobody inside has it
// encrypted for that; without a way it is held, and scan says so too.
func TestAskedForEncryption(t *testing.T) {
	t.Parallel()
	bob := newPerson(t, "bob@partner.example")
	g := newGateway(t, options{extra: withKeys(t, map[string]string{"bob@partner.example": bob.key})})
	g.start()
	mail := func(to, subject string) string {
		return "From: ada@clinic.example\r\nTo: " + to + "\r\nSubject: " + subject + "\r\n\r\nthe meeting is at three\r\n"
	}
	for i, subject := range []string{"[ SECURE ] the meeting", "=?utf-8?q?=5Bencrypt=5D_the_meeting?="} {
		if answer, err := g.send("ada@clinic.example", []string{"bob@partner.example", "nurse@clinic.example"}, mail("bob@partner.example", subject)); err != nil {
			t.Fatalf("%q: %q, %v", subject, answer, err)
		}
		eventually(t, "two more copies", func() bool { return len(g.delivered()) == 2*(i+1) })
		sealed := 0
		for _, m := range g.delivered() {
			if !armour.MatchString(m) {
				continue
			}
			sealed++
			if got := bob.reads(m); !strings.Contains(got, "\r\nSubject: the meeting\r\n") {
				t.Errorf("%q: reads %q", subject, got)
			}
		}
		if sealed != i+1 {
			t.Errorf("%q: %d are encrypted, want %d", subject, sealed, i+1)
		}
	}
	answer, err := g.send("ada@clinic.example", []string{"carol@partner.example"}, mail("carol@partner.example", "[secure] the meeting"))
	if err != nil || !strings.Contains(answer, "Held for review, id ") {
		t.Errorf("without a way: %q, %v; want it held", answer, err)
	}
	for to, want := range map[string]string{"bob@partner.example": "encrypt", "carol@partner.example": "quarantine", "nurse@clinic.example": "allow"} {
		file := filepath.Join(g.dir, "one.eml")
		write(t, file, mail(to, "[secure] the meeting"), 0o600)
		out, _ := g.cli("scan", "--format", "jsonl", file)
		var got struct{ Verdict string }
		if err := json.Unmarshal([]byte(out), &got); err != nil || got.Verdict != want {
			t.Errorf("scan of a mail to %s: %s, %v; want %s", to, out, err, want)
		}
	}
}

// openssl runs it in dir.
func openssl(t testing.TB, dir, in string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: .ci/deps installs it")
	}
	cmd := exec.Command("openssl", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v: %s", args, err, errs.String())
	}
	return string(out)
}

// certificate makes NAME.pem and NAME.key in dir.
func certificate(t testing.TB, dir, name, names string) {
	t.Helper()
	openssl(t, dir, "", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=somebody", "-addext", "subjectAltName="+names,
		"-addext", "keyUsage=keyEncipherment,digitalSignature", "-addext", "extendedKeyUsage=emailProtection", "-out", name+".pem", "-keyout", name+".key")
}

// TestEverybodyTheirWay sends one mail through Postfix to somebody inside, to two
// by S/MIME, of whom one's program reads newer ciphers, to one by the certificate
// of their domain, to one by OpenPGP and to one without any. openssl and gpg open
// what each has.
func TestEverybodyTheirWay(t *testing.T) {
	t.Parallel()
	bob := newPerson(t, "bob@pgp.example")
	certs, keys, site := t.TempDir(), t.TempDir(), t.TempDir()
	certificate(t, certs, "sam@partner.example", "email:sam@partner.example")
	certificate(t, certs, "new@partner.example", "email:new@partner.example")
	certificate(t, certs, "big.example", "DNS:big.example")
	certificate(t, site, "site", "email:ada@clinic.example")
	if err := os.Chmod(filepath.Join(site, "site.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	print := openssl(t, certs, "", "x509", "-in", "new@partner.example.pem", "-noout", "-fingerprint", "-sha256")
	_, print, _ = strings.Cut(strings.TrimSpace(print), "=")
	write(t, filepath.Join(certs, "trust.txt"), "modern "+print+"\n", 0o600)
	write(t, filepath.Join(keys, "bob@pgp.example.asc"), bob.key, 0o600)
	next, messages := startSMTPSink(t)
	g := newGateway(t, options{nextHop: next, extra: fmt.Sprintf("%s\n[encrypt]\nsmime_dir = %q\nopenpgp_dir = %q\nsmime_sign_cert = %q\nsmime_sign_key = %q\n",
		encryptMailPolicy, certs, keys, filepath.Join(site, "site.pem"), filepath.Join(site, "site.key"))})
	g.start()
	p := startPostfix(t, g.addr)
	p.submit("ada@clinic.example", "nurse@clinic.example sam@partner.example new@partner.example who@big.example bob@pgp.example carol@elsewhere.test",
		strings.ReplaceAll(strings.Replace(secretMail, "To: ", "To: sam@partner.example, new@partner.example, who@big.example, bob@pgp.example, ", 1), "\r\n", "\n"))
	of := func(mark string) (out []string) {
		for _, m := range messages() {
			if strings.Contains(m, mark) {
				out = append(out, m)
			}
		}
		return out
	}
	eventually(t, "all have theirs", func() bool {
		return strings.Contains(g.must("queue", "list"), "empty") && len(of("X-Rcpt-Args: <nurse@clinic.example>")) == 1 && len(of("-----END PGP MESSAGE-----")) == 1 && len(of("pkcs7-mime")) == 2
	})
	if items := g.held(); len(items) != 1 || !slices.Equal(items[0].Recipients, []string{"carol@elsewhere.test"}) {
		t.Errorf("held %+v, want Carol's alone", items)
	}
	good := func(who, plain string) {
		t.Helper()
		if !strings.Contains(plain, "Subject: Labs of Mira Testcase") || !strings.Contains(plain, "number is 536-22-8145.") {
			t.Errorf("%s reads %q", who, plain)
		}
	}
	good("Bob", bob.reads(of("-----END PGP MESSAGE-----")[0]))
	for who, mark := range map[string]string{"sam@partner.example": "smime-type=enveloped-data", "big.example": "smime-type=enveloped-data", "new@partner.example": "smime-type=authEnveloped-data"} {
		m := of(mark)
		if len(m) != 1 {
			t.Fatalf("%d messages of %s, want 1", len(m), mark)
		}
		plain := openssl(t, certs, m[0], "cms", "-decrypt", "-recip", who+".pem", "-inkey", who+".key")
		good(who, openssl(t, site, plain, "cms", "-verify", "-CAfile", "site.pem"))
	}
	for _, m := range append(of("pkcs7-mime"), of("-----END PGP MESSAGE-----")...) {
		for _, w := range inClear {
			if strings.Contains(m, w) {
				t.Errorf("%q stands outside:\n%.2000s", w, m)
			}
		}
	}
}

// TestKeysCommands imports, tries, pins and revokes a key by the command line.
func TestKeysCommands(t *testing.T) {
	t.Parallel()
	bob := newPerson(t, "bob@partner.example")
	keys := t.TempDir()
	g := newGateway(t, options{extra: fmt.Sprintf("[encrypt]\nopenpgp_dir = %q\n", keys)})
	file := filepath.Join(g.dir, "bob.key")
	write(t, file, bob.key, 0o600)
	tried := func(to string) (way string, unfit string, code int) {
		t.Helper()
		out, code := g.cli("keys", "test", to, "--format", "json")
		var got struct {
			Way  string
			Ways []struct{ Way, Unfit string }
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, w := range got.Ways {
			if w.Way == "openpgp" {
				unfit = w.Unfit
			}
		}
		return got.Way, unfit, code
	}
	want := func(to, way, unfit string) {
		t.Helper()
		code := 0
		if way == "" {
			code = 1
		}
		if w, u, c := tried(to); w != way || u != unfit || c != code {
			t.Errorf("%s: got way %q, unfit %q, exit %d; want %q, %q, %d", to, w, u, c, way, unfit, code)
		}
	}
	want("bob@partner.example", "", "no_key")
	g.must("keys", "import", file)
	want("Bob@partner.example", "openpgp", "")
	if _, code := g.cli("keys", "import", file, "--for", "office@partner.example"); code != 1 {
		t.Errorf("a key of another's: exit %d, want 1", code)
	}
	want("office@partner.example", "", "other_person")
	var list []struct{ For, Fingerprint string }
	if err := json.Unmarshal([]byte(g.must("keys", "list", "--format", "json")), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v: %+v", err, list)
	}
	g.must("keys", "pin", "office@partner.example", strings.ToUpper(list[0].Fingerprint))
	want("office@partner.example", "openpgp", "")
	other := newPerson(t, "bob@partner.example")
	write(t, file, other.key, 0o600)
	if _, code := g.cli("keys", "import", file); code != 2 {
		t.Errorf("another key in its place: exit %d, want 2", code)
	}
	g.must("keys", "revoke", list[0].Fingerprint)
	want("bob@partner.example", "", "revoked")
	g.must("keys", "import", file, "--replace")
	want("bob@partner.example", "openpgp", "")
	if _, code := g.cli("keys", "revoke", "1234"); code != 2 {
		t.Errorf("no fingerprint: exit %d, want 2", code)
	}
	if out := g.must("keys", "list"); !strings.Contains(out, "no: revoked") || strings.Count(out, "\n") != 3 {
		t.Errorf("list:\n%s", out)
	}
}

// TestEncryptedCanary: of a large mail that was encrypted nothing lies on disk in
// the clear: not in the data folder, not in what the process has open, while it
// waits in the outbox, and after.
func TestEncryptedCanary(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(t *testing.T) (keys string, opens func(msg string) string){
		"OpenPGP": func(t *testing.T) (string, func(string) string) {
			bob := newPerson(t, "bob@partner.example")
			return withKeys(t, map[string]string{"bob@partner.example": bob.key}), bob.reads
		},
		"S/MIME": func(t *testing.T) (string, func(string) string) {
			certs, site := t.TempDir(), t.TempDir()
			certificate(t, certs, "bob@partner.example", "email:bob@partner.example")
			certificate(t, site, "site", "email:ada@clinic.example")
			keys := fmt.Sprintf("%s\n[encrypt]\nsmime_dir = %q\nsmime_sign_cert = %q\nsmime_sign_key = %q\n",
				encryptMailPolicy, certs, filepath.Join(site, "site.pem"), filepath.Join(site, "site.key"))
			return keys, func(msg string) string {
				signed := openssl(t, certs, msg, "cms", "-decrypt", "-recip", "bob@partner.example.pem", "-inkey", "bob@partner.example.key")
				return openssl(t, site, signed, "cms", "-verify", "-CAfile", "site.pem")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, opens := way(t)
			checkEncryptedCanary(t, keys, opens)
		})
	}
}

func checkEncryptedCanary(t *testing.T, keys string, opens func(msg string) string) {
	t.Helper()
	hop := newNextHop(t)
	hop.follow(func(verb, _ string, _ hopMail) string {
		if verb == "DOT" {
			return "451 4.2.0 later"
		}
		return ""
	})
	g := newGateway(t, options{nextHop: hop.addr, extra: keys + "[buffer]\nmemory_each = \"64KiB\"\n[defaults]\non_gap = \"allow\"\n"})
	temp := t.TempDir()
	made := madeIn(t, temp)
	g.start("TMPDIR=" + temp)
	mail := strings.Replace(canaryMail("labs"), "<zq-correspondent@partner.example>", "bob@partner.example", 1)
	mail = strings.Replace(mail, "--b\r\nContent-Type: application", strings.Repeat(canaryText, 20_000)+"--b\r\nContent-Type: application", 1)
	mail = strings.Replace(mail, "From: Zephyrine Quillfeather <quillfeather.zephyrine@clinic.example>", "From: ada@clinic.example", 1)
	done, looks, seen := make(chan error, 1), 0, 0
	go func() {
		_, err := g.send("ada@clinic.example", []string{"bob@partner.example"}, mail)
		done <- err
	}()
	for sending := true; sending; looks++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			sending = false
		default:
			seen += noCanaryOpen(t, g, temp) // files come and go: those with names are searched below
		}
	}
	eventually(t, "it was tried", func() bool { return strings.Contains(g.must("queue", "list"), "451") })
	noCanaryOnDisk(t, g, temp)
	if n := len(g.held()); n != 0 || looks < 2 || seen == 0 {
		t.Errorf("%d held, %d looks at %d open files", n, looks, seen)
	}
	for what, text := range map[string]string{"the log": g.logged(), "standard output": g.printed(), "audit export": g.must("audit", "export")} {
		noCanary(t, what, text)
	}
	hop.follow(nil)
	g.must("queue", "retry", "--all")
	eventually(t, "it is delivered", func() bool { return hop.count() == 1 })
	m := hop.messages()[0].text
	noCanary(t, "what was delivered", m)
	if !strings.Contains(opens(m), canary[0]) {
		t.Error("Bob does not read it")
	}
	if names := made(); len(names) != 0 {
		t.Errorf("made in the folder for temporary files: %q", names)
	}
	g.kill()
	noCanaryInFiles(t, "after kill -9", g.data(), temp)
}
