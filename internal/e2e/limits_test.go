package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/metrics"
)

// selfMade writes a certificate for gw.example and its key.
func selfMade(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	return authorityFor(t, t.TempDir(), "gw.example", time.Hour)
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	cert, key := selfMade(t)
	g := newGateway(t, options{smtp: fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)})
	g.start()
	c := dial(t, g)
	if offer := c.want("EHLO client.example", "250"); !strings.Contains(offer, "STARTTLS") {
		t.Fatalf("offered %q, want STARTTLS", offer)
	}
	c.want("STARTTLS", "220")
	state := c.secure().ConnectionState()
	if got := state.PeerCertificates[0].Subject.CommonName; got != "gw.example" {
		t.Errorf("certificate of %s", got)
	}
	if offer := c.want("EHLO client.example", "250"); strings.Contains(offer, "STARTTLS") {
		t.Errorf("offered twice: %q", offer)
	}
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<sam@partner.example>", "250")
	c.want("DATA", "354")
	c.want(strings.ReplaceAll(cleanMail, "\r\n.", "\r\n..")+".", "250")
	got := g.delivered()
	if len(got) != 1 || !strings.Contains(got[0], "with ESMTPS") || !strings.HasSuffix(got[0], cleanMail) {
		t.Errorf("delivered %q, want it as sent, with ESMTPS on record", got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{smtp: "max_per_client = 3\nmax_message_size = \"64KiB\"\nmax_rcpts = 100\nmax_errors = 3"})
	g.start()

	c := dial(t, g)
	if offer := c.want("EHLO client.example", "250"); !strings.Contains(offer, "SIZE 65536") {
		t.Errorf("offered %q, want SIZE 65536", offer)
	}
	c.want("MAIL FROM:<ada@clinic.example> SIZE=65537", "552 5.3.4")
	c.want("MAIL FROM:<ada@clinic.example> SIZE=10", "250") // a lie
	for i := range 100 {
		c.want(fmt.Sprintf("RCPT TO:<r%d@partner.example>", i), "250")
	}
	c.want("RCPT TO:<one-more@partner.example>", "452 4.5.3")
	c.want("DATA", "354")
	c.want(strings.Repeat("eighteen octets.\r\n", 3700)+".", "552 5.3.4")

	// One client's share, then faults.
	first, second := dial(t, g), dial(t, g)
	fourth := &client{t: t}
	fourth.use(dialRaw(t, g.addr))
	if got := fourth.reply(); !strings.HasPrefix(got, "421 4.7.0") {
		t.Errorf("a fourth connection: %q, want 421 4.7.0", got)
	}
	for range 3 {
		first.want("NONSENSE", "500 5.5.1")
	}
	if got := first.reply(); !strings.HasPrefix(got, "421 4.7.0") {
		t.Errorf("after three faults: %q, want 421 4.7.0", got)
	}
	second.want("NOOP", "250")
	if n := len(g.delivered()); n != 0 {
		t.Errorf("%d delivered, want 0", n)
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{smtp: "max_connections = 2"}) // the last tenth is for clients that have none
	g.start()
	dial(t, g)
	c := &client{t: t}
	c.use(dialRaw(t, g.addr))
	if got := c.reply(); !strings.HasPrefix(got, "421 4.3.2") {
		t.Errorf("beyond the limit: %q, want 421 4.3.2", got)
	}
}

// TestLoop: a message that has been through too many servers is refused.
func TestLoop(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	_, err := g.send("ada@clinic.example", outside, strings.Repeat("Received: from a by b; now\r\n", 101)+cleanMail)
	if got := refused(err); !strings.HasPrefix(got, "554 5.4.6") {
		t.Errorf("answered %s, want 554 5.4.6", got)
	}
}

// TestStrangersMayNotRelay: only the configured networks may.
func TestStrangersMayNotRelay(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{smtp: `networks = ["192.0.2.0/24"]`})
	g.start()
	c := &client{t: t}
	c.use(dialRaw(t, g.addr))
	if got := c.reply(); !strings.HasPrefix(got, "554 5.7.1") {
		t.Errorf("greeted with %q, want 554 5.7.1", got)
	}
}

// TestStopUnderLoad: told to stop, serve ends by itself with 0, and every
// message it answered for is somewhere.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	g := newTrial(t, options{})
	g.start()
	load := g.load(300)
	for range 3 {
		sank := g.sank()
		eventually(t, "mail flows", func() bool {
			if load.done() { // before this stop: there is more of it
				load.wait(t)
				load = g.load(300)
			}
			return g.sank() > sank+20
		})
		g.stop()
		g.start()
	}
	load.wait(t)
	g.whole()
}

// TestStopWithHangingSessions: a client that stopped in the middle of a message
// and a next hop that does not answer are cut, which is no failure, and what
// was not answered is sent again.
func TestStopWithHangingSessions(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop, l := b.hop(), b.letter(cleanMail)
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	hop.follow(func(verb, _ string, _ hopMail) string {
		if verb != "DOT" {
			return ""
		}
		once()
		return hang
	})
	g := newGateway(t, options{nextHop: hop.addr})
	g.start()
	var c *client
	for _, text := range []string{"Subject: half of a message\r\n", stuffed(l.text) + "\r\n"} {
		c = dial(t, g)
		c.want("MAIL FROM:<ada@clinic.example>", "250")
		c.want("RCPT TO:<sam@partner.example>", "250")
		c.want("DATA", "354")
		c.put(text)
	}
	<-asked
	g.stop()
	answer, _ := c.in.ReadString('\n') // "" where the connection was just cut
	b.answered(l, outside, "dot", answer)
	hop.follow(nil)
	g.start()
	if _, err := b.give(g, outside, l); err != nil {
		t.Fatal(err)
	}
	if n := b.settle(g); n != 0 || hop.count() != 1 {
		t.Errorf("the next hop has %d, want the message once", hop.count())
	}
}

// TestAuditTells: the decision stands before its outcome, and a log that was
// cut or changed does not verify.
func TestAuditTells(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	for _, msg := range []string{cleanMail, phiMail} {
		if _, err := g.send("ada@clinic.example", outside, msg); err != nil {
			t.Fatal(err)
		}
	}
	id := g.held()[0].ID
	g.must("quarantine", "show", id)
	g.must("quarantine", "release", id)
	eventually(t, "it is delivered", func() bool { return len(g.delivered()) == 2 && len(g.queue()) == 0 })
	g.stop()

	var order []string
	seqs := map[float64]string{}
	for _, e := range g.auditEvents() {
		kind := fmt.Sprint(e["kind"])
		if ref, ok := e["ref"].(float64); ok && kind == "outcome" {
			kind += " of " + seqs[ref]
		}
		if seq, ok := e["seq"].(float64); ok {
			seqs[seq] = fmt.Sprint(e["kind"])
		}
		order = append(order, kind)
	}
	got := strings.Join(order, ", ")
	if !strings.Contains(got, "decision, outcome of decision, decision, outcome of decision, look, release, outcome of release") {
		t.Errorf("the log tells %s", got)
	}
	g.must("audit", "verify")

	path := filepath.Join(g.data(), "audit", "log")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	tests := []struct {
		name, text string
	}{
		{"the last event cut off", strings.Join(lines[:len(lines)-2], "")},
		{"half of the last event cut off", string(whole[:len(whole)-20])},
		{"all of it gone", ""},
		{"one byte changed", strings.Replace(string(whole), "quarantine", "quarantina", 1)},
		{"an event taken out", strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(t, path, tt.text, 0o600)
			if out, code := g.cli("audit", "verify"); code != 1 {
				t.Errorf("verify ends with %d, want 1: %s", code, out)
			}
		})
	}
	write(t, path, string(whole), 0o600)
	g.must("audit", "verify")
}

// TestMetricsDoorIsBounded: who keeps connections to the metrics door takes none
// of the file handles beyond its bound; the next caller is answered once one ends.
func TestMetricsDoorIsBounded(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	g := newGateway(t, options{extra: fmt.Sprintf("[metrics]\nlisten = %q\n", addr)})
	g.start()
	ask := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	var first net.Conn
	for range metrics.MaxConnections { // answered, and kept
		c, r := ask()
		if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		first = c
	}
	c, r := ask()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one more than the bound: got %q, %v", line, err)
	}
	first.Close()
	if err := c.SetReadDeadline(time.Now().Add(waitWithin)); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("after another has ended: got %q, %v", line, err)
	}
}
