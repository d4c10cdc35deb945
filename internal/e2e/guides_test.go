package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// guide returns the fenced blocks of a page in docs that are marked with file
// and one of sets, as they stand there: what the guides say is what the tests
// run.
func guide(t testing.TB, page, file string, sets ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	taking := false
	sc := bufio.NewScanner(strings.NewReader(string(b)))
	for sc.Scan() {
		info, fence := strings.CutPrefix(sc.Text(), "```")
		switch {
		case fence && !taking:
			f := strings.Fields(info)
			for _, set := range sets {
				taking = taking || len(f) == 3 && f[1] == file && f[2] == set
			}
		case fence:
			taking = false
		case taking:
			out.WriteString(sc.Text() + "\n")
		}
	}
	return out.String()
}

// site is a mail server by a guide, stanch beside it, and where mail leaves to.
type site struct {
	t *testing.T
	*gateway
	mta      string   // where clients send to: smtpd
	postfix  *postfix // nil for another server
	folder   string   // of a Sendmail
	next     string   // where mail leaves to
	replaced addresses
	toml     string // the guide's configuration, with more of the test's
}

// ports of the guides, and whose they are in a test.
func (s *site) replace(next string) {
	relay, milter, back := freeAddr(s.t), freeAddr(s.t), freeAddr(s.t)
	s.gateway.addr = relay
	s.replaced = addresses{"[127.0.0.1]:2525": bracketed(relay), "127.0.0.1:2525": relay, "127.0.0.1:8892": milter,
		"127.0.0.1:10026": back, "smarthost.provider.example:25": next}
}

// addresses are those of a test by those of the guides.
type addresses map[string]string

var address = regexp.MustCompile(`(?:\[127\.0\.0\.1\]|127\.0\.0\.1|smarthost\.provider\.example):\d+`)

// Replace puts a test's addresses in. One that only begins like a guide's, which a
// test's own may, stays.
func (a addresses) Replace(s string) string {
	return address.ReplaceAllStringFunc(s, func(old string) string {
		if own, ok := a[old]; ok {
			return own
		}
		return old
	})
}

func bracketed(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return "[" + host + "]:" + port
}

// guidePolicies holds what has an SSN and refuses what has an NPI. It tells
// nobody, so that every message that leaves is one that was sent.
const guidePolicies = `
[[policies]]
id = "hold"
where = { channels = ["mail"], recipients = "external" }
all = [ { type = "SSN" } ]
action = "quarantine"

[[policies]]
id = "refuse"
where = { channels = ["mail"], recipients = "external" }
all = [ { type = "NPI" } ]
action = "reject"
`

// newSite makes a Postfix by the guide's blocks named set, with stanch as the
// guide has it. Mail leaves to next.
func newSite(t *testing.T, set, next, tomlSet, extraMain, extraTOML string) *site {
	t.Helper()
	s := &site{t: t, gateway: newGateway(t, options{}), next: next}
	s.replace(next)
	conf := s.replaced.Replace(guide(t, "postfix.md", "stanch.toml", tomlSet))
	if strings.Contains(extraTOML, "[milter]") { // the test's own
		conf = conf[strings.Index(conf, "[smtp]"):]
	}
	s.toml = fmt.Sprintf("data_dir = %q\n", s.data()) + conf +
		guidePolicies + "[metrics]\nlisten = \"\"\n" + extraTOML
	write(t, s.config, s.toml, 0o600)

	s.mta = freeAddr(t)
	main := guide(t, "postfix.md", "main.cf", set)
	if !strings.Contains(main, "relayhost") {
		main += "relayhost = " + bracketed(next) + "\n"
	}
	master := guide(t, "postfix.md", "master.cf", set)
	if strings.Contains(master, "smtp            inet") {
		master = strings.Replace(master, "smtp            inet", s.mta+" inet", 1)
	} else {
		master += s.mta + " inet n - n - - smtpd\n"
	}
	master = chrooted.ReplaceAllString(master, "$1 n $3") // the test's queue folder is no chroot
	s.postfix = runPostfix(t, s.replaced.Replace(main+extraMain), s.replaced.Replace(master))
	s.postfix.listensAt(s.mta)
	return s
}

// chrooted matches the fifth field of a service in master.cf.
var chrooted = regexp.MustCompile(`(?m)^(\S+ +(?:inet|unix) +\S+ +\S+ +)(y)( +\S+ +\S+)`)

// submit gives a message to the mail server and returns the answer to the dot,
// or to the command that was refused.
func (s *site) submit(rcpts []string, msg string) (string, error) {
	via := &gateway{t: s.t, addr: s.mta}
	return via.send("ada@clinic.example", rcpts, msg)
}

// code is the SMTP code of an error, 250 without one.
func code(err error) int {
	if err == nil {
		return 250
	}
	if e, ok := err.(*gosmtp.SMTPError); ok {
		return e.Code
	}
	return 0
}

// sinkHas waits until the sink has a message with text, and returns it with LF
// as line ends, as the sink keeps it.
func sinkHas(t *testing.T, messages func() []string, text string) (found string) {
	t.Helper()
	eventually(t, "at the sink: "+text, func() bool {
		for _, m := range messages() {
			if m = strings.ReplaceAll(m, "\r\n", "\n"); strings.Contains(m, text) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// runPostfix starts Debian's Postfix with main and master added to what a test
// needs.
func runPostfix(t *testing.T, main, master string) *postfix {
	t.Helper()
	p := newPostfix(t)
	write(t, filepath.Join(p.dir, "main.cf"), mainCF(fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.clinic.example
mydomain = clinic.example
myorigin = clinic.example
mydestination =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks,reject
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtp_tls_security_level = none
maillog_file_prefixes = %[1]s/log
maillog_file = %[2]s
minimal_backoff_time = 1s
queue_run_delay = 1s
maximal_backoff_time = 2s
import_environment = MAIL_CONFIG
%[3]s`, p.base(), p.log, main)), 0o644)
	text := `cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 2 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
proxymap  unix  - - n - - proxymap
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
showq     unix  n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
`
	if !strings.Contains(master, "pickup") {
		text += "pickup unix n - n 1 1 pickup\n"
	}
	write(t, filepath.Join(p.dir, "master.cf"), text+master, 0o644)
	p.start()
	t.Cleanup(func() {
		out, err := exec.Command("/usr/sbin/postfix", "-c", p.dir, "stop").CombinedOutput()
		if err != nil {
			t.Logf("postfix stop: %v: %s", err, out)
		}
		if t.Failed() {
			t.Logf("postfix's log:\n%s", tail(p.logged(), 6000))
		}
	})
	return p
}
