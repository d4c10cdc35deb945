package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// postfix is a Postfix of its own: configuration, queue and ports apart from
// the machine's.
type postfix struct {
	t   *testing.T
	dir string // configuration
	log string
}

// newPostfix makes the folders of a Postfix that has no configuration yet.
func newPostfix(t *testing.T) *postfix {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/postfix"); err != nil {
		t.Skip("postfix is not installed; see .ci/deps")
	}
	if os.Getuid() != 0 {
		t.Skip("postfix starts as root only")
	}
	base, err := os.MkdirTemp("", "pf") // postfix's own users must be able to enter it, which t.TempDir forbids
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	p := &postfix{t: t, dir: filepath.Join(base, "etc"), log: filepath.Join(base, "log", "mail.log")}
	for _, d := range []string{p.dir, filepath.Dir(p.log), filepath.Join(base, "spool"), filepath.Join(base, "data")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	p.run("chown", "postfix", filepath.Join(base, "data"))
	return p
}

// base is the folder that holds all of p's.
func (p *postfix) base() string { return filepath.Dir(p.dir) }

// startPostfix starts Debian's Postfix as a sending server whose way out is
// relay. more are lines for main.cf and for master.cf.
func startPostfix(t *testing.T, relay string, more ...string) *postfix {
	t.Helper()
	host, port, err := net.SplitHostPort(relay)
	if err != nil {
		t.Fatal(err)
	}
	return runPostfix(t, fmt.Sprintf("relayhost = [%s]:%s\n", host, port)+at(more, 0), at(more, 1))
}

// at is ss[i], "" beyond its end.
func at(ss []string, i int) string {
	if i < len(ss) {
		return ss[i]
	}
	return ""
}

// mainCF returns a main.cf in which each parameter is set once, as the last
// line about it says. Postfix warns of a parameter that is set twice, in every
// process, and its log daemon, which writes its own warnings to the socket it
// reads, hangs once they are more than that takes (net.unix.max_dgram_qlen).
func mainCF(text string) string {
	var kept []string
	at := map[string]int{} // where in kept a parameter is
	key := ""
	for line := range strings.Lines(text) {
		if strings.TrimLeft(line, " \t") != line && key != "" { // goes on
			kept[at[key]] += line
			continue
		}
		name, _, set := strings.Cut(line, "=")
		if key = strings.TrimSpace(name); !set || strings.HasPrefix(line, "#") {
			key = ""
			kept = append(kept, line)
			continue
		}
		if i, twice := at[key]; twice {
			kept[i] = ""
		}
		at[key] = len(kept)
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}

// start starts Postfix and waits until it has opened the doors of its own programs.
func (p *postfix) start() {
	p.t.Helper()
	p.run("postfix", "-c", p.dir, "start")
	p.opens("its own doors", func() bool { return exists(filepath.Join(p.base(), "spool", "public", "showq")) })
}

// listensAt waits until Postfix listens at addr.
func (p *postfix) listensAt(addr string) {
	p.t.Helper()
	p.opens(addr, func() bool { return listens(addr) })
}

// opens waits until a door is open. One master in some hundreds starts, says so,
// and opens none: it is started again.
func (p *postfix) opens(door string, open func() bool) {
	p.t.Helper()
	const tries = 3
	for try := range tries {
		for end := time.Now().Add(waitWithin / tries); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // another process has nothing to wait on
			if open() {
				return
			}
		}
		p.t.Logf("Postfix was started %d times and does not open %s", try+1, door)
		p.run("postfix", "-c", p.dir, "stop")
		p.run("postfix", "-c", p.dir, "start")
	}
	p.t.Fatalf("never: Postfix opens %s", door)
}

func (p *postfix) run(name string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// submit hands a message to Postfix as a local program does; to may be several,
// with spaces between.
func (p *postfix) submit(from, to, msg string) {
	p.t.Helper()
	cmd := exec.Command("/usr/sbin/sendmail", append([]string{"-C", p.dir, "-f", from, "-i", "--"}, strings.Fields(to)...)...)
	cmd.Stdin = strings.NewReader(msg)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("sendmail: %v: %s", err, out)
	}
}

func (p *postfix) logged() string {
	b, _ := os.ReadFile(p.log) // not there before the first line
	return string(b)
}

// startSMTPSink starts Postfix's own test server, which keeps each message in
// a file.
func startSMTPSink(t *testing.T, flags ...string) (addr string, messages func() []string) {
	t.Helper()
	const sink = "/usr/sbin/smtp-sink"
	if _, err := os.Stat(sink); err != nil {
		t.Skip("smtp-sink is not installed; see .ci/deps")
	}
	dir := t.TempDir()
	addr = freeAddr(t)
	args := append([]string{"-d", "%M."}, flags...)
	if os.Getuid() == 0 {
		args = append(args, "-u", "root")
	}
	cmd := exec.Command(sink, append(args, addr, "100")...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()
	})
	eventually(t, "smtp-sink listens", func() bool { return listens(addr) })
	return addr, func() []string {
		es, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var ms []string
		for _, e := range es {
			ms = append(ms, read(t, filepath.Join(dir, e.Name())))
		}
		return ms
	}
}

func TestBehindPostfix(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	g := newGateway(t, options{nextHop: next, smtp: `max_message_size = "10MiB"`})
	g.start()
	p := startPostfix(t, g.addr)

	p.submit("ada@clinic.example", "sam@partner.example", strings.ReplaceAll(cleanMail, "\r\n", "\n"))
	eventually(t, "the clean mail is at the next hop", func() bool { // which makes its file before it has the text
		ms := messages()
		return len(ms) == 1 && strings.Contains(ms[0], "the meeting is at three.") && strings.Contains(ms[0], "X-Stanch-Id: ")
	})
	p.submit("ada@clinic.example", "sam@partner.example", "Subject: patient\n\nHer social security number is 536-22-8145.\n")
	eventually(t, "the mail with PHI is held", func() bool { return len(g.held()) == 1 })
	eventually(t, "Postfix has it off its hands", func() bool { return strings.Contains(p.logged(), "Held for review, id "+g.held()[0].ID) })
	before := len(messages())
	id := g.held()[0].ID
	g.must("quarantine", "release", id)
	eventually(t, "the released mail is at the next hop", func() bool {
		for _, m := range messages() {
			if strings.Contains(m, "X-Stanch-Id: "+id) && strings.Contains(m, "536-22-8145") {
				return true
			}
		}
		return false
	})
	if before > 2 { // the clean mail, and the notice to the sender
		t.Errorf("the next hop had %d messages before the release", before)
	}

	// A gateway that is down costs no mail: Postfix keeps it and sends again.
	g.kill()
	p.submit("ada@clinic.example", "sam@partner.example", "Subject: later\n\nsent while nobody listened\n")
	eventually(t, "Postfix defers", func() bool { return strings.Contains(p.logged(), "status=deferred") })
	g.start()
	eventually(t, "it arrives once the gateway is back", func() bool {
		for _, m := range messages() {
			if strings.Contains(m, "sent while nobody listened") {
				return true
			}
		}
		return false
	})
}
