package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// TestSignaturesSurvive: mail that passes keeps the signature that it came with,
// whatever it is made of and however it is canonicalised, by DATA and by BDAT;
// go-msgauth and, where lines end as they should, dkimpy say so.
func TestSignaturesSurvive(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	var passed []string // of which all verifiers should think the same
	const head = "From: Ada <ada@clinic.example>\r\nTo: <sam@partner.example>\r\nSubject:   two  spaces \r\n\tand a fold\r\n"
	for _, tc := range []struct {
		name, text string
		odd        bool // lines end in ways of which verifiers think differently
	}{
		{"plain", head + "\r\nHello there.\r\n", false},
		{"8-bit", head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus der Küche\r\n", false},
		{"white space", head + "\r\n a  b \t c \r\n\r\n  \r\n\r\n\r\n", false},
		{"dots", head + "\r\n.\r\n..\r\n.a\r\n...b\r\n", false},
		{"long lines", head + "\r\n" + strings.Repeat("x", 5000) + "\r\n" + strings.Repeat("y ", 20000) + "\r\n", false},
		{"large", head + "\r\n" + strings.Repeat("A line of prose about nothing at all.\r\n", 20000), false},
		{"no body", head + "\r\n", false},
		{"bare LF", head + "\r\none\ntwo\r\nthree\nfour\r\n", true},
		{"bare CR", head + "\r\none\rtwo\r\n", true},
	} {
		for i, can := range []dkim.Canonicalization{dkim.CanonicalizationRelaxed, dkim.CanonicalizationSimple} {
			var signed bytes.Buffer
			if err := dkim.Sign(&signed, strings.NewReader(tc.text), &dkim.SignOptions{Domain: "clinic.example", Selector: "s", Signer: key,
				HeaderCanonicalization: can, BodyCanonicalization: can}); err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{"DATA", "BDAT"}[:i+1] {
				t.Run(fmt.Sprint(tc.name, ", ", can, ", ", how), func(t *testing.T) {
					before := map[string]bool{}
					for _, m := range g.delivered() {
						before[m] = true
					}
					offerRaw(t, g.addr, how, signed.String())
					for _, m := range g.delivered() {
						if before[m] {
							continue
						}
						if err := verifies(m, record); err != nil {
							t.Errorf("go-msgauth: %v", err)
						}
						if !tc.odd {
							passed = append(passed, m)
						}
						return
					}
					t.Error("nothing was delivered")
				})
			}
		}
	}
	dkimpyAgrees(t, record, passed...)
}

// dkimpyAgrees has Debian's python3-dkim verify all of ms, where it is
// installed.
func dkimpyAgrees(t *testing.T, record string, ms ...string) {
	t.Helper()
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import dkim, nacl").Run() != nil {
		t.Log("python3-dkim is not installed")
		return
	}
	args := []string{"-c", `
import dkim, sys
record = sys.argv[1].encode()
for path in sys.argv[2:]:
    print(dkim.verify(open(path, "rb").read(), dnsfunc=lambda name, timeout=5: record))`, record}
	dir := t.TempDir()
	for i, m := range ms {
		path := filepath.Join(dir, fmt.Sprint(i))
		write(t, path, m, 0o600)
		args = append(args, path)
	}
	out, err := exec.Command(python, args...).Output()
	if err != nil {
		t.Fatalf("dkimpy: %v", err)
	}
	for i, said := range strings.Fields(string(out)) {
		if said != "True" {
			t.Errorf("dkimpy does not verify %.600s", ms[i])
		}
	}
}

// offerRaw sends msg as it is, but for the dots of DATA.
func offerRaw(t *testing.T, addr, how, msg string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := textproto.NewConn(conn)
	say := func(code int, format string, args ...any) {
		t.Helper()
		if format != "" {
			if err := c.PrintfLine(format, args...); err != nil {
				t.Fatal(err)
			}
		}
		if _, line, err := c.ReadResponse(code); err != nil {
			t.Fatalf("%.40s: %s %v", format, line, err)
		}
	}
	say(220, "")
	say(250, "EHLO client.example")
	say(250, "MAIL FROM:<ada@clinic.example> BODY=8BITMIME")
	say(250, "RCPT TO:<sam@partner.example>")
	if how == "BDAT" {
		half := len(msg) / 2
		for i, part := range []string{msg[:half], msg[half:]} {
			last := []string{"", " LAST"}[i]
			if _, err := fmt.Fprintf(conn, "BDAT %d%s\r\n%s", len(part), last, part); err != nil {
				t.Fatal(err)
			}
			say(250, "")
		}
	} else {
		say(354, "DATA")
		wire := regexp.MustCompile(`(^|\r\n)\.`).ReplaceAllString(msg, "$1..")
		if _, err := fmt.Fprintf(conn, "%s.\r\n", wire); err != nil {
			t.Fatal(err)
		}
		say(250, "")
	}
	say(221, "QUIT")
}

// verifies reports what is wrong with the one signature of m.
func verifies(m, record string) error {
	vs, err := dkim.VerifyWithOptions(strings.NewReader(m), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
	if err != nil {
		return err
	}
	if len(vs) != 1 {
		return fmt.Errorf("%d signatures, want 1", len(vs))
	}
	return vs[0].Err
}

// TestOwnMailIsSigned: the key that `dkim init` makes signs notices, which
// verify with the record that it prints; a key that others can read is refused.
func TestOwnMailIsSigned(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			key := filepath.Join(t.TempDir(), "dkim.pem")
			out, code := runStanch(t, "dkim", "init", "--domain", "gw.example", "--selector", "s1", "--type", kind, "--out", key)
			if code != 0 {
				t.Fatalf("dkim init: %d: %s", code, out)
			}
			zone, _, _ := strings.Cut(out, "\n\n")
			var record string
			for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(zone, -1) {
				record += m[1]
			}
			if !strings.HasPrefix(zone, "s1._domainkey.gw.example. IN TXT") || !strings.HasPrefix(record, "v=DKIM1; k="+kind) {
				t.Fatalf("dkim init printed %s", out)
			}
			g := newGateway(t, options{extra: fmt.Sprintf("[dkim]\ndomain = \"gw.example\"\nselector = \"s1\"\nkey = %q\n", key) +
				strings.Replace(quietPolicy, "action", "notify = [\"sender\"]\naction", 1)})
			if printed := g.must("dkim", "record"); strings.TrimSpace(printed) != strings.TrimSpace(zone) {
				t.Errorf("dkim record prints %s, want %s", printed, zone)
			}
			g.start()
			if _, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, canaryMail("held")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the sender is told", func() bool { return len(g.delivered()) == 1 })
			notice := g.delivered()[0]
			if err := verifies(notice, record); err != nil {
				t.Errorf("go-msgauth: %v: %s", err, notice)
			}
			dkimpyAgrees(t, record, notice)
			g.stop()
			if err := exec.Command("chmod", "640", key).Run(); err != nil {
				t.Fatal(err)
			}
			g.start()
			if !g.ended() || !strings.Contains(g.logged(), "dkim.key: "+key+": others than its owner can read it") {
				t.Error("serve starts with a key that others can read")
			}
		})
	}
}
