package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// startPostfixHop starts a Postfix that takes mail for everybody but
// away@ and E1234567@partner.example, reports on deliveries, throws mail away, and keeps only
// what comes to clinic.example.
func startPostfixHop(t *testing.T) (p *postfix, addr string) {
	t.Helper()
	addr = freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	p = startPostfix(t, "127.0.0.1:9", `relayhost =
default_transport = discard:
relay_transport = discard:
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{away@partner.example = 450 4.2.1 Sam (SSN 536-22-8145) is away}, {e1234567@partner.example = 450 away}}, permit_mynetworks, reject
virtual_mailbox_domains = clinic.example
virtual_mailbox_base = $queue_directory/../mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_authorized_xforward_hosts = 127.0.0.0/8
smtputf8_enable = yes
notify_classes =
`, fmt.Sprintf("127.0.0.1:%s inet n - n - - smtpd\nvirtual unix - n n - - virtual\n", port))
	p.listensAt(addr)
	if err := os.Mkdir(p.mailbox(), 0o700); err != nil {
		t.Fatal(err)
	}
	p.run("chown", "65534", p.mailbox())
	return p, addr
}

// mailbox is the folder above what startPostfixHop keeps.
func (p *postfix) mailbox() string { return filepath.Join(p.base(), "mail") }

// python runs a script of the standard library's smtplib.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	out, err := exec.Command(exe, append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v: %s", err, out)
	}
	return string(out)
}

// TestPostfixAsNextHop: what clients that nobody here wrote ask for reaches a
// next hop that nobody here wrote: delivery reports, addresses outside ASCII,
// and by XFORWARD who the client is.
func TestPostfixAsNextHop(t *testing.T) {
	t.Parallel()
	p, next := startPostfixHop(t)
	g := newGateway(t, options{nextHop: next, smtp: `xclient_from = ["127.0.0.1"]`})
	g.start()
	python(t, `
import smtplib, sys, time
host, port = sys.argv[1].rsplit(":", 1)
for i in range(200):  # the door learns what the next hop offers while it starts
    c = smtplib.SMTP(host, int(port))
    c.ehlo()
    if c.has_extn("smtputf8"): break
    c.quit(); time.sleep(.1)
assert c.has_extn("dsn") and c.has_extn("smtputf8"), c.esmtp_features
c.sendmail("ada@clinic.example", ["sam@partner.example"], b"Subject: a\r\n\r\nthe meeting is at three.\r\n",
    mail_options=["RET=HDRS", "ENVID=visit+2B7"], rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;old+2Bsam@partner.example"])
c.sendmail("ad\u00e4@clinic.example", ["s\u00e4m@b\u00fccher.example"], "Subject: gr\u00fcn\r\n\r\nthe meeting is at three.\r\n".encode(),
    mail_options=["SMTPUTF8", "BODY=8BITMIME"])
try:
    c.sendmail("ada@clinic.example", ["s\u00e4m@partner.example"], b"Subject: a\r\n\r\nb\r\n")
    assert False, "taken without SMTPUTF8"
except (smtplib.SMTPRecipientsRefused, UnicodeEncodeError):
    pass
c.quit()
`, g.addr)
	for what, want := range map[string]string{
		"the recipient outside ASCII":       "to=<s\u00e4m@xn--bcher-kva.example>",
		"a report of success to the sender": "sender delivery status notification",
	} {
		eventually(t, what+" is in Postfix's log", func() bool { return strings.Contains(p.logged(), want) })
	}
	swaks(t, "--server", g.addr, "--from", "ada@clinic.example", "--to", "sam@partner.example", "--body", "the meeting is at three.",
		"--xclient-addr", "127.0.0.77", "--xclient-name", "pc.clinic.example")
	eventually(t, "Postfix logs the true client", func() bool { return strings.Contains(p.logged(), "orig_client=pc.clinic.example[127.0.0.77]") })
	reportsExpiry(t, g, p)
}

// reportsExpiry: what the next hop p does not take until its time is over comes back
// to its sender's mailbox there, as a report that programs read.
func reportsExpiry(t *testing.T, g *gateway, p *postfix) {
	t.Helper()
	g.stop()
	inSpool(t, g.data(), func(s *spool.Spool, db *sqlite.DB) {
		m := spool.Message{Rcpts: to("away@partner.example", "E1234567@partner.example"), Params: dlp.MailParams{EnvID: "visit7", Ret: "FULL"}, Expires: time.Now()}
		m.Rcpts[0].Params = dlp.RcptParams{ORcpt: "rfc822;sam@partner.example", Notify: "FAILURE"}
		putTexts(t, s, db, func(int) string { return phiMail }, []spool.Message{m})
	})
	g.start()
	report := ""
	eventually(t, "the report is in the sender's mailbox", func() bool {
		for _, m := range maildirTexts(t, filepath.Join(p.mailbox(), "all")) {
			if strings.Contains(m, "could not be delivered") {
				report = m
			}
		}
		return report != ""
	})
	for _, leak := range []string{"536-22-8145", "E1234567", "is away", "RET"} {
		if strings.Contains(report, leak) {
			t.Errorf("the report has %q:\n%s", leak, report)
		}
	}
	got := python(t, `
import email, sys
m = email.message_from_string(sys.argv[1])
print(m["Return-Path"], m["To"], m["Auto-Submitted"], m.get_content_type(), m.get_param("report-type"))
print(*[p.get_content_type() for p in m.get_payload()])
for f in m.get_payload(1).get_payload(): # a block for the message, then one for each recipient
    print(*["%s: %s" % (k, v) for k, v in f.items() if k not in ("Arrival-Date", "Content-Type")], sep="; ")
`, report)
	want := `<> <ada@clinic.example> auto-replied multipart/report delivery-status
text/plain message/delivery-status text/rfc822-headers
Original-Envelope-Id: visit7; Reporting-Mta: dns; gw.example
Original-Recipient: rfc822; sam@partner.example; Final-Recipient: rfc822; away@partner.example; Action: failed; Status: 4.4.7; Diagnostic-Code: smtp; 450 4.2.1
Final-Recipient: rfc822; redacted@partner.example; Action: failed; Status: 4.4.7; Diagnostic-Code: smtp; 450 4.7.1
`
	if got != want {
		t.Errorf("a program reads in the report:\n%swant:\n%s", got, want)
	}
}

// TestTextInTheEnvelope: what a client may write beside the message is held as
// the message would be and does not go on before, nor does what it calls itself.
func TestTextInTheEnvelope(t *testing.T) {
	t.Parallel()
	hop := newNextHop(t)
	var mu sync.Mutex
	said := ""
	hop.follow(func(verb, arg string, _ hopMail) string {
		mu.Lock()
		defer mu.Unlock()
		said += verb + " " + arg + "\n"
		if verb == "EHLO" {
			return "250-hop.example\r\n250-DSN\r\n250 XFORWARD NAME ADDR HELO"
		}
		return ""
	})
	numbers := strings.Replace(quietPolicy, `all = [ { type = "SSN" } ]`, `any = [ { type = "SSN" }, { type = "MRN" }, { type = "MBI" } ]`, 1)
	g := newGateway(t, options{nextHop: hop.addr, extra: numbers})
	g.start()
	const phi = "SSN 536-22-8145"
	held := 0
	for _, tt := range []struct{ name, from, to string }{
		{"nothing", "<ada@clinic.example> ENVID=visit-7", "<sam@partner.example> ORCPT=rfc822;sam@partner.example"},
		{"nothing: a year", "<ada.1960@clinic.example>", "<e123456+ann.smith1960@partner.example>"},
		{"a record number of the site's", "<ada@clinic.example>", "<E1234567@partner.example>"},
		{"one as a tag", "<ada@clinic.example>", "<sam+E1234567@partner.example>"},
		{"one as a sender", "<E1234567@clinic.example>", "<sam@partner.example>"},
		{"an MBI", "<ada@clinic.example>", "<1EG4TE5MK73@partner.example>"},
		{"a short number by its name", "<ada@clinic.example>", "<mrn48291@partner.example>"},
		{"a quoted local part", "<ada@clinic.example>", `<"` + phi + `"@partner.example>`},
		{"with a backslash in it", "<ada@clinic.example>", `<"SSN 53\6-22-8\145"@partner.example>`},
		{"a quoted sender", `<"` + phi + `"@clinic.example>`, "<sam@partner.example>"},
		{"ENVID", "<ada@clinic.example> ENVID=SSN+20536-22-8145", "<sam@partner.example>"},
		{"ORCPT", "<ada@clinic.example>", `<sam@partner.example> ORCPT=rfc822;"SSN+2053\6-22-8145"@partner.example`},
	} {
		c := dial(t, g)
		c.want("EHLO JohnSmithMRN12345678", "250")
		c.want("MAIL FROM:"+tt.from, "250")
		c.want("RCPT TO:"+tt.to, "250")
		c.want("DATA", "354")
		want := "250 2.0.0 Held"
		if strings.HasPrefix(tt.name, "nothing") {
			want = "250 2.0.0 taken"
		} else {
			held++
		}
		c.want(stuffed(cleanMail), want)
		c.want("QUIT", "221")
		if n := len(g.held()); n != held {
			t.Errorf("%s: %d held, want %d", tt.name, n, held)
		}
	}
	if ms := hop.messages(); len(ms) != 2 || strings.Contains(ms[0].text, "JohnSmith") {
		t.Errorf("the next hop has %q, want the two, without what their client calls itself", ms)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(said, "visit-7") || strings.Contains(said, "SSN") || strings.Contains(said, "8145") || strings.Contains(said, "E1234567") || strings.Contains(said, "1EG4") || strings.Contains(said, "mrn48291") {
		t.Errorf("the next hop was told %q", said)
	}
}

// swaks runs the Swiss Army Knife for SMTP and returns what it prints.
func swaks(t *testing.T, args ...string) string {
	t.Helper()
	out, err := swaksTries(t, args...)
	if err != nil {
		t.Fatalf("swaks: %v: %s", err, out)
	}
	return out
}

func swaksTries(t *testing.T, args ...string) (string, error) {
	t.Helper()
	exe, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("swaks is not installed; see .ci/deps")
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSubmitters: people's programs log in, over STARTTLS and over TLS from the
// first byte, and nobody sends without.
func TestSubmitters(t *testing.T) {
	t.Parallel()
	cert, key := selfMade(t)
	users := filepath.Join(t.TempDir(), "users")
	submission, implicit := freeAddr(t), freeAddr(t)
	const password = "correct horse battery"
	g := newGateway(t, options{
		smtp: fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key),
		extra: fmt.Sprintf("[[smtp.doors]]\nlisten = %q\nprotocol = \"submission\"\n[[smtp.doors]]\nlisten = %q\nprotocol = \"submission\"\ntls = \"implicit\"\n"+
			"[smtp.auth]\nusers = %q\nown_sender = true\n", submission, implicit, users),
	})
	cmd := exec.Command(stanch, "smtp-user", "set", "ada@clinic.example", "--config", g.config)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("smtp-user: %v: %s", err, out)
	}
	g.start()
	python(t, `
import smtplib, ssl, sys
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
host, port = sys.argv[1].rsplit(":", 1)
c = smtplib.SMTP(host, int(port)); c.ehlo()
assert not c.has_extn("auth")
assert c.mail("ada@clinic.example")[0] == 530
c.starttls(context=ctx); c.ehlo()
assert c.mail("ada@clinic.example")[0] == 530
try:
    c.login("ada@clinic.example", "not the password at all"); assert False
except smtplib.SMTPAuthenticationError as e:
    assert e.smtp_code == 535, e
c.login("ada@clinic.example", sys.argv[3])
assert c.mail("bob@clinic.example")[0] == 553
c.rset()
c.sendmail("ada@clinic.example", ["sam@partner.example"], b"Subject: a\r\n\r\nby STARTTLS\r\n")
host, port = sys.argv[2].rsplit(":", 1)
c = smtplib.SMTP_SSL(host, int(port), context=ctx)
c.login("ada@clinic.example", sys.argv[3])
c.sendmail("ada@clinic.example", ["sam@partner.example"], b"Subject: b\r\n\r\nby TLS from the first byte\r\n")
`, submission, implicit, password)
	eventually(t, "both are delivered", func() bool {
		all := strings.Join(maildirTexts(t, g.maildir()), "")
		return strings.Contains(all, "by STARTTLS") && strings.Contains(all, "by TLS from the first byte") && strings.Count(all, "with ESMTPSA id") == 2
	})
	swaks(t, "--server", submission, "--tls", "--auth", "PLAIN", "--auth-user", "ada@clinic.example", "--auth-password", password,
		"--from", "ada@clinic.example", "--to", "sam@partner.example", "--body", "by swaks")
	if out, err := swaksTries(t, "--server", submission, "--tls", "--auth", "PLAIN", "--auth-user", "ada@clinic.example", "--auth-password", "wrong and wrong again",
		"--from", "ada@clinic.example", "--to", "sam@partner.example"); err == nil || !strings.Contains(out, "535 5.7.8") {
		t.Errorf("a wrong password: %v: %s", err, out)
	}
	if strings.Contains(g.logged(), password) || strings.Contains(g.logged(), "ada@") {
		t.Error("a name or a password stands in the log")
	}
}

// maildirTexts are the messages in dir.
func maildirTexts(t *testing.T, dir string) (texts []string) {
	t.Helper()
	es, err := os.ReadDir(filepath.Join(dir, "new"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range es {
		texts = append(texts, read(t, filepath.Join(dir, "new", e.Name())))
	}
	return texts
}

// TestLMTPBothWays: Postfix hands over by LMTP, and a next hop takes by LMTP.
// One recipient goes through live, for several the outbox has their answers.
func TestLMTPBothWays(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t, "-L")
	lmtp := freeAddr(t)
	g := newGateway(t, options{nextHop: "lmtp:" + next, extra: fmt.Sprintf("[[smtp.doors]]\nlisten = %q\nprotocol = \"lmtp\"\n", lmtp)})
	g.start()
	p := startPostfix(t, g.addr, "relayhost =\ndefault_transport = lmtp:inet:"+lmtp+"\n", "lmtp unix - - n - - lmtp\n")
	for i, to := range []string{"sam@partner.example", "kim@partner.example,lou@partner.example"} {
		p.submit("ada@clinic.example", strings.ReplaceAll(to, ",", " "), fmt.Sprintf("Subject: a\n\nvisit %d is at three.\n", i))
	}
	for i := range 2 {
		eventually(t, "the next hop has it", func() bool {
			return strings.Contains(strings.Join(messages(), ""), fmt.Sprintf("visit %d is at three.", i))
		})
	}
	eventually(t, "Postfix has an answer for each", func() bool { return strings.Count(p.logged(), "status=sent") == 3 })
	if !strings.Contains(strings.Join(messages(), ""), "with LMTP id") {
		t.Error("the trace does not say how it came")
	}
}
