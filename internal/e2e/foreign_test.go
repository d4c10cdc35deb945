package e2e

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// program starts a server that stays in the foreground, and stops it when the
// test ends. What it writes is logged when the test fails.
func program(t *testing.T, path string, args ...string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed; see .ci/deps", filepath.Base(path))
	}
	if os.Getuid() != 0 {
		t.Skipf("%s starts as root only", filepath.Base(path))
	}
	var out strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", filepath.Base(path), tail(out.String(), 4000))
		}
	})
}

// shared makes a folder that every user may enter, under a path short enough
// for a socket.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// haproxy is a HAProxy in front of a door: one listener speaks version 1 of the
// PROXY protocol to it, one version 2.
type haproxy struct {
	t      *testing.T
	v1, v2 string // where clients connect
	socket string
}

func startHAProxy(t *testing.T, door string) *haproxy {
	t.Helper()
	dir := shared(t)
	h := &haproxy{t: t, v1: freeAddr(t), v2: freeAddr(t), socket: filepath.Join(dir, "stats")}
	config := filepath.Join(dir, "haproxy.cfg")
	write(t, config, fmt.Sprintf(`global
    stats socket %s mode 600 level user
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 5s
    option smtpchk EHLO haproxy.example
listen v1
    bind %s
    server gw %[4]s send-proxy check inter 300ms fall 2 rise 1
listen v2
    bind %[3]s
    server gw %[4]s send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl check inter 300ms fall 2 rise 1
`, h.socket, h.v1, h.v2, door), 0o600)
	program(t, "/usr/sbin/haproxy", "-db", "-f", config)
	eventually(t, "HAProxy listens", func() bool { return listens(h.v1) && listens(h.v2) })
	return h
}

// check is what HAProxy says of the door, by its health check: STATUS CHECK CODE,
// as "UP L7OK 221".
func (h *haproxy) check(listener string) string {
	h.t.Helper()
	c, err := net.Dial("unix", h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		h.t.Fatal(err)
	}
	rows, err := csv.NewReader(c).ReadAll()
	if err != nil || len(rows) == 0 {
		h.t.Fatalf("show stat: %v", err)
	}
	var out []string
	for _, row := range rows[1:] {
		if row[0] != listener || row[1] != "gw" {
			continue
		}
		for i, column := range rows[0] {
			if column == "status" || column == "check_status" || column == "check_code" {
				out = append(out, row[i])
			}
		}
	}
	return strings.Join(out, " ")
}

// TestBehindHAProxy: the door knows the client that a HAProxy in front of it
// names, in both versions, and answers its health checks though the proxy itself
// may send nothing.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	door := freeAddr(t)
	g := newGateway(t, options{
		smtp:  "networks = [\"127.0.0.77/32\", \"127.0.0.78/32\"]\nproxy_from = [\"127.0.0.1/32\"]",
		extra: fmt.Sprintf("[[smtp.doors]]\nlisten = %q\nproxy = true\n", door),
	})
	h := startHAProxy(t, door)
	g.start()
	healthy := func() {
		t.Helper()
		for _, v := range []string{"v1", "v2"} {
			eventually(t, "the health check of "+v+" is content", func() bool { return strings.HasPrefix(h.check(v), "UP L7OK ") })
		}
	}
	healthy()
	send := func(server, client string, more ...string) (string, error) {
		t.Helper()
		return swaksTries(t, append([]string{"--server", server, "--local-interface", client, "--from", "ada@clinic.example", "--to", "sam@partner.example",
			"--body", "by way of " + server}, more...)...)
	}
	arrived := func(by, client string, n int) {
		t.Helper()
		got := 0
		for _, m := range maildirTexts(t, g.maildir()) {
			if strings.Contains(m, "by way of "+by) && strings.Contains(m, "(["+client+"])") && !strings.Contains(m, "127.0.0.1]") {
				got++
			}
		}
		if got != n {
			t.Errorf("%d messages by %s from %s, want %d", got, by, client, n)
		}
	}
	for server, client := range map[string]string{h.v1: "127.0.0.77", h.v2: "127.0.0.78"} {
		if out, err := send(server, client); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		arrived(server, client, 1)
		if out, err := send(server, "127.0.0.79"); err == nil || !strings.Contains(out, "554 5.7.1") {
			t.Errorf("a client outside networks: %v: %s", err, out)
		}
		if out, err := send(server, "127.0.0.1"); err == nil || !strings.Contains(out, " 5.7.1 ") {
			t.Errorf("the proxy as a client: %v: %s", err, out)
		}
	}
	if strings.Contains(g.logged(), "without a PROXY header") {
		t.Error("a health check came without a header that the door can read")
	}

	// The same header from a client that writes its own.
	for version, family := range map[string]string{"1": "TCP4", "2": "AF_INET"} {
		more := []string{"--proxy-version", version, "--proxy-family", family, "--proxy-source-port", "1234", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25"}
		if out, err := send(door, "127.0.0.1", append(more, "--proxy-source", "127.0.0.77")...); err != nil {
			t.Errorf("swaks, version %s: %v: %s", version, err, out)
		}
		if out, err := send(door, "127.0.0.1", append(more, "--proxy-source", "127.0.0.79")...); err == nil || !strings.Contains(out, "554 5.7.1") {
			t.Errorf("swaks, version %s, a client outside networks: %v: %s", version, err, out)
		}
		if out, err := send(door, "127.0.0.77", append(more, "--proxy-source", "127.0.0.77")...); err == nil {
			t.Errorf("swaks, version %s, from an address whose header is not believed: %s", version, out)
		}
	}
	arrived(door, "127.0.0.77", 2)
	if out, err := send(door, "127.0.0.1", "--proxy", "TCP4 nonsense"); err == nil {
		t.Errorf("a header that is none: %s", out)
	}

	g.kill()
	for _, v := range []string{"v1", "v2"} {
		eventually(t, "the health check of "+v+" tells that nobody is there", func() bool { return strings.HasPrefix(h.check(v), "DOWN ") })
	}
	g.start()
	healthy()
	if out, err := send(h.v2, "127.0.0.78"); err != nil {
		t.Errorf("once it is back: %v: %s", err, out)
	}
}

// TestSCRAMByForeignClients: programs on GNU SASL and on Cyrus SASL log in by
// SCRAM-SHA-256, and not with a wrong password.
func TestSCRAMByForeignClients(t *testing.T) {
	t.Parallel()
	cert, key := selfMade(t)
	submission := freeAddr(t)
	const password = "correct horse battery"
	g := newGateway(t, options{
		smtp: fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key),
		extra: fmt.Sprintf("[[smtp.doors]]\nlisten = %q\nprotocol = \"submission\"\n[smtp.auth]\nusers = %q\nown_sender = true\n",
			submission, filepath.Join(t.TempDir(), "users")),
	})
	cmd := exec.Command(stanch, "smtp-user", "set", "ada@clinic.example", "--config", g.config)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("smtp-user: %v: %s", err, out)
	}
	g.start()
	arrived := func(text string) bool {
		for _, m := range maildirTexts(t, g.maildir()) {
			if strings.Contains(m, text) && strings.Contains(m, "with ESMTPSA id") {
				return true
			}
		}
		return false
	}
	t.Run("GNU SASL", func(t *testing.T) {
		exe, err := exec.LookPath("msmtp")
		if err != nil {
			t.Skip("msmtp is not installed; see .ci/deps")
		}
		host, port, _ := net.SplitHostPort(submission)
		send := func(password string) (string, error) {
			cmd := exec.Command(exe, "--host="+host, "--port="+port, "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "--auth=scram-sha-256",
				"--user=ada@clinic.example", "--passwordeval=echo "+password, "--from=ada@clinic.example", "sam@partner.example")
			cmd.Stdin = strings.NewReader("Subject: a\n\nby GNU SASL\n")
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := send("wrong and wrong again"); err == nil || !strings.Contains(out, "535") {
			t.Errorf("a wrong password: %v: %s", err, out)
		}
		if out, err := send(password); err != nil || !arrived("by GNU SASL") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("Cyrus SASL", func(t *testing.T) {
		secrets := filepath.Join(shared(t), "passwords")
		write(t, secrets, bracketed(submission)+" ada@clinic.example:"+password+"\n", 0o644)
		p := startPostfix(t, submission, fmt.Sprintf(`smtp_tls_security_level = encrypt
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:%s
smtp_sasl_security_options = noanonymous
smtp_sasl_mechanism_filter = scram-sha-256
`, secrets), "tlsmgr unix - - n 1000? 1 tlsmgr\n")
		p.submit("ada@clinic.example", "sam@partner.example", "Subject: a\n\nby Cyrus SASL\n")
		eventually(t, "Postfix has logged in and sent it", func() bool { return arrived("by Cyrus SASL") })
	})
}

// startDovecot starts Debian's Dovecot as an LMTP server with mailboxes for ada,
// sam and kim, and one for full in which there is no room.
func startDovecot(t *testing.T) (addr string, mailbox func(user string) []string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		t.Skip("dovecot-lmtpd is not installed; see .ci/deps")
	}
	dir := shared(t)
	addr = freeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	const owner = 8 // Debian's user and group mail; Dovecot delivers as anybody but root
	boxes := filepath.Join(dir, "mail")
	if err := errors.Join(os.Mkdir(boxes, 0o700), os.Chown(boxes, owner, owner)); err != nil {
		t.Fatal(err)
	}
	var users strings.Builder
	for _, u := range []string{"ada@clinic.example", "sam@partner.example", "kim@partner.example", "full@partner.example"} {
		room := ""
		if strings.HasPrefix(u, "full@") {
			room = "userdb_quota_rule=*:bytes=1"
		}
		fmt.Fprintf(&users, "%s:{PLAIN}x:%d:%[2]d::%[3]s/%[1]s::%[4]s\n", u, owner, boxes, room)
	}
	write(t, filepath.Join(dir, "users"), users.String(), 0o644)
	config := filepath.Join(dir, "dovecot.conf")
	write(t, config, fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = lmtp
listen = %[2]s
ssl = no
first_valid_uid = 1
mail_location = maildir:%[1]s/mail/%%u
mail_plugins = quota
plugin {
  quota = maildir:User quota
}
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = passwd-file
  args = %[1]s/users
}
service lmtp {
  inet_listener lmtp {
    port = %[3]s
  }
}
`, dir, host, port), 0o644)
	program(t, "/usr/sbin/dovecot", "-F", "-c", config)
	t.Cleanup(func() {
		if b, err := os.ReadFile(filepath.Join(dir, "log")); err == nil && t.Failed() {
			t.Logf("Dovecot's log:\n%s", tail(string(b), 4000))
		}
	})
	eventually(t, "Dovecot listens", func() bool { return listens(addr) })
	return addr, func(user string) []string { return maildirTexts(t, filepath.Join(dir, "mail", user)) }
}

// TestDovecotAsNextHop: several recipients at an LMTP server that nobody here
// wrote: one that does not exist is refused while the client listens, one without
// room is told to the sender, the others have the message whole and once.
func TestDovecotAsNextHop(t *testing.T) {
	t.Parallel()
	addr, mailbox := startDovecot(t)
	g := newGateway(t, options{nextHop: "lmtp:" + addr})
	g.start()
	b := newBooks(t)
	b.reports = true
	l := b.letter(cleanMail)
	l.back = []string{"full@partner.example"}
	rcpts := []string{"sam@partner.example", "kim@partner.example", "full@partner.example"}
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	for _, r := range rcpts {
		c.want("RCPT TO:<"+r+">", "250 2.1.5")
	}
	c.want("RCPT TO:<nobody@partner.example>", "550 5.1.1")
	c.want("DATA", "354")
	b.answered(l, rcpts, "dot", c.want(stuffed(l.text), "250 2.0.0 Accepted for delivery"))
	c.want("QUIT", "221")
	eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
	if got := mailbox("full@partner.example"); len(got) != 0 {
		t.Errorf("full has %q", got)
	}
	report := mailbox("ada@clinic.example")
	if len(report) != 1 || !strings.Contains(report[0], "Status: 5.2.2") || !strings.Contains(report[0], "full@partner.example") ||
		strings.Contains(report[0], "sam@") || strings.Contains(report[0], "nobody@") {
		t.Errorf("the sender has %q, want one report, about full alone", report)
	}
	// One recipient: inside the client's own transaction, its answer the server's own.
	if answer, err := b.send(g, []string{"sam@partner.example"}, cleanMail); err != nil || !strings.Contains(answer, "Saved") {
		t.Errorf("one recipient: answered %q, %v; want Dovecot's own", answer, err)
	}
	if _, err := b.send(g, []string{"full@partner.example"}, cleanMail); !strings.HasPrefix(refused(err), "552 5.2.2") {
		t.Errorf("one without room: %s, want Dovecot's own 552", refused(err))
	}
	for _, r := range append(rcpts, "ada@clinic.example") {
		for _, m := range mailbox(r) { // with LF, as Dovecot keeps it
			from := "ada@clinic.example"
			if strings.HasPrefix(m, "Return-Path: <>") {
				from = ""
			}
			b.took(hopMail{from, strings.ReplaceAll(m, "\n", "\r\n"), []string{r}}, "250")
		}
	}
	b.judge(g, false)
}
