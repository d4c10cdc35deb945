package e2e

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// idle opens n connections from one address that read the greeting and then
// say nothing.
func idle(t *testing.T, addr string, from net.IP, n int) []net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: waitWithin, LocalAddr: &net.TCPAddr{IP: from}}
	conns := make([]net.Conn, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 50 {
		wg.Go(func() {
			for i := range next {
				c, err := dialer.Dial("tcp", addr)
				if err == nil {
					_ = c.SetReadDeadline(time.Now().Add(waitWithin)) // fails only once it is closed
					var line string
					if line, err = bufio.NewReaderSize(c, 128).ReadString('\n'); err == nil && !strings.HasPrefix(line, "220 ") {
						err = fmt.Errorf("greeted with %q", line)
					}
				}
				conns[i], errs[i] = c, err
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// idleCost opens n idle connections to a gateway and returns what each has
// added to its memory, and what it takes in all.
func idleCost(t *testing.T, n int) (each, all int64) {
	t.Helper()
	hop := newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr, smtp: fmt.Sprintf("max_connections = %d\nmax_per_client = %d", 2*n, 2*n)})
	g.start()
	before := resident(g.cmd.Process.Pid)
	idle(t, g.addr, net.IPv4(127, 0, 0, 1), n)
	all = resident(g.cmd.Process.Pid)
	return (all - before) / int64(n), all
}

// TestIdleConnections: ten thousand clients that say nothing cost little, one
// address cannot take the last places, and a client that has none gets one.
func TestIdleConnections(t *testing.T) { // by itself: it measures
	n := 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if most := int(files.Max) - 1000; most < n {
		t.Logf("only %d file handles: %d connections instead of %d", files.Max, most, n)
		n = most
	}
	b := newBooks(t)
	all := (n + 10) * 10 / 9 // the last tenth is for clients that have no session
	g := newGateway(t, options{nextHop: b.hop().addr, smtp: fmt.Sprintf("max_connections = %d\nmax_per_client = %d", all, all)})
	g.start()
	before := resident(g.cmd.Process.Pid)
	idle(t, g.addr, net.IPv4(127, 0, 0, 1), n)
	each := (resident(g.cmd.Process.Pid) - before) / int64(n)
	t.Logf("%d connections, %d bytes each", n, each)
	if each > 64<<10 {
		t.Errorf("%d bytes a connection, want at most 64 KiB", each)
	}
	refused := ""
	for range 20 { // up to the last tenth and beyond
		conn := dialRaw(t, g.addr)
		c := &client{t: t}
		c.use(conn)
		if refused = c.reply(); !strings.HasPrefix(refused, "220") {
			break
		}
	}
	if !strings.HasPrefix(refused, "421 4.3.2") {
		t.Errorf("beyond the limit: %q, want 421 4.3.2", refused)
	}
	other := net.Dialer{Timeout: waitWithin, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := other.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: t}
	c.use(conn)
	if got := c.reply(); !strings.HasPrefix(got, "220") {
		t.Fatalf("a relay that has no session: %q, want 220", got)
	}
	c.want("EHLO relay.example", "250")
	b.mail(c, cleanMail)
	b.settle(g)
}

// TestSlowClients: clients that send a byte a second, in a command or in a
// message, are closed by the ceilings on each, and hold up nobody meanwhile: of
// the messages of others most are answered before the first of them is closed.
func TestSlowClients(t *testing.T) { // by itself: it measures
	const slow, mails = 200, 300
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, smtp: "max_per_client = 1000\ncommand_timeout = \"10s\"\ndata_timeout = \"10s\""})
	g.start()
	begun := time.Now()
	alone := latencies(g, b, mails)
	// The ceilings are far above what the messages take on this machine.
	ceiling := 10*time.Second + 5*time.Since(begun).Round(time.Second)
	g.stop()
	g.change(t, `command_timeout = "10s"`, fmt.Sprintf("command_timeout = %q", ceiling))
	g.change(t, `data_timeout = "10s"`, fmt.Sprintf("data_timeout = %q", ceiling))
	g.start()
	var started, ended sync.WaitGroup
	var first sync.Once
	answered := -1 // messages of others, when the first slow client is closed
	started.Add(2 * slow)
	closed := make([]string, 2*slow)
	for i := range 2 * slow {
		c := dial(t, g)
		line := strings.Repeat("x", 2000)
		if i%2 == 1 {
			c.want("MAIL FROM:<ada@clinic.example>", "250")
			c.want("RCPT TO:<sam@partner.example>", "250")
			c.want("DATA", "354")
		}
		ended.Go(func() {
			closed[i] = drip(c.conn, line, sync.OnceFunc(started.Done))
			first.Do(func() { answered = hop.count() - mails })
		})
	}
	started.Wait()
	beside := latencies(g, b, mails)
	ended.Wait()
	for i, got := range closed {
		if !strings.HasPrefix(got, "421 ") {
			t.Errorf("slow client %d: closed with %q, want 421", i, got)
		}
	}
	b.settle(g)
	if answered < mails/2 {
		t.Errorf("%d of %d messages of others were answered before the first slow client was closed, want %d at least", answered, mails, mails/2)
	}
	was, is := percentile(alone, 99), percentile(beside, 99)
	t.Logf("99 of 100 messages within %v without slow clients, %v beside %d", was, is, 2*slow)
}

// drip sends a byte a second until the other side ends the connection, and
// returns what it said.
func drip(conn net.Conn, line string, begun func()) string {
	defer begun()
	gone := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(conn).ReadString('\n') // "" when it ends without a word
		gone <- answer
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range line {
		if _, err := conn.Write([]byte{line[i]}); err != nil {
			break
		}
		begun()
		select {
		case answer := <-gone:
			return answer
		case <-tick.C:
		}
	}
	return <-gone
}

// latencies sends n messages over ten connections and returns what each took.
func latencies(g *gateway, b *books, n int) []time.Duration {
	g.t.Helper()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	conns := make([]*client, 10)
	for i := range conns {
		conns[i] = dial(g.t, g)
	}
	for _, c := range conns {
		wg.Go(func() {
			for range n / len(conns) {
				start := time.Now()
				b.mail(c, cleanMail)
				mu.Lock()
				took = append(took, time.Since(start))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, c := range conns {
		c.cut()
	}
	return took
}

func percentile(ds []time.Duration, p int) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[min(len(ds)-1, len(ds)*p/100)]
}

// TestHostileSizes: what is huge in one way or another is refused, held or
// passed; the process lives, in bounded memory, and goes on.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	const most = 1 << 30
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + "[defaults]\nnotify = []\n"})
	g.start()
	pid := g.cmd.Process.Pid
	stop, peak := make(chan struct{}), make(chan int64, 1)
	go func() { peak <- watchMemory(pid, stop) }()

	ssn := "Her social security number is 536-22-8145.\r\n"
	for _, tt := range []struct {
		name  string
		write func(w io.Writer) // the message; no line begins with a dot
		want  []string          // ways the answer may begin
	}{
		{"a line of a gigabyte", func(w io.Writer) {
			if c, ok := w.(*bufio.Writer); ok { // and no text that is kept
				_, _ = io.CopyN(c, endless("x"), 1<<30) // refused on the way
			}
		}, []string{"554 5.6.0"}},
		{"a million header fields", func(w io.Writer) {
			_, _ = io.WriteString(w, strings.Repeat("X-Field: value\r\n", 1_000_000)+"\r\n"+ssn)
		}, []string{"250 2.0.0 Held", "250 2.0.0 Accepted for reading", "552", "550"}},
		{"ten thousand parts", func(w io.Writer) {
			_, _ = io.WriteString(w, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
				strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n", 10_000)+"--b\r\n\r\n"+ssn+"--b--\r\n")
		}, []string{"250 2.0.0 Held", "250 2.0.0 Accepted for reading"}},
		{"thirty deep", func(w io.Writer) { _, _ = io.WriteString(w, nested(30, ssn)) }, []string{"250 2.0.0 Held"}},
		{"deeper than is read", func(w io.Writer) { _, _ = io.WriteString(w, nested(60, "nothing\r\n")) }, []string{"250 2.0.0 Held"}},
		{"a zip bomb", func(w io.Writer) { _, _ = io.WriteString(w, withFile("bomb.zip", zipBomb(t, 256<<20))) },
			[]string{"250 2.0.0 Held", "250 2.0.0 Accepted for reading"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, g)
			c.want("MAIL FROM:<ada@clinic.example>", "250")
			c.want("RCPT TO:<sam@partner.example>", "250")
			c.want("DATA", "354")
			var text strings.Builder
			tt.write(&text)
			l := b.letter(text.String())
			w := bufio.NewWriterSize(c.conn, 256<<10)
			_, _ = w.WriteString(l.text) // all may fail: the answer says why
			if text.Len() == 0 {
				tt.write(w)
				_, _ = w.WriteString("\r\n")
			}
			_, _ = w.WriteString(".\r\n")
			_ = w.Flush()
			got := c.reply()
			b.answered(l, outside, "dot", got)
			if !slices.ContainsFunc(tt.want, func(p string) bool { return strings.HasPrefix(got, p) }) {
				t.Errorf("answered %q, want one of %q", got, tt.want)
			}
		})
	}
	t.Run("a hundred thousand recipients", func(t *testing.T) { manyRecipients(t, g, b, hop, 100_000) })

	eventually(t, "all is read", func() bool { return len(g.queue()) == 0 })
	close(stop)
	got := <-peak
	t.Logf("at most %d MiB, gateway and readers", got>>20)
	if got > most {
		t.Errorf("took %d MiB, want at most %d", got>>20, most>>20)
	}
	before := hop.count()
	if answer, err := b.send(g, outside, cleanMail); err != nil || hop.count() != before+1 {
		t.Errorf("a clean mail afterwards: %q, %v", answer, err)
	}
	if g.cmd.Process.Pid != pid || g.cmd.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("the process is gone")
	}
	for _, m := range hop.messages() {
		if strings.Contains(m.text, "536-22-8145") {
			t.Error("what is to be held was passed on")
		}
	}
	if n := b.settle(g); n != 0 {
		t.Errorf("%d second copies, want none", n)
	}
}

// manyRecipients offers n recipients in one transaction: as many as may be are
// taken, and the message goes to those.
func manyRecipients(t *testing.T, g *gateway, b *books, hop *nextHop, n int) {
	t.Helper()
	const taken = 1000 // max_rcpts
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	go func() {
		w := bufio.NewWriterSize(c.conn, 64<<10)
		for i := range n {
			_, _ = fmt.Fprintf(w, "RCPT TO:<r%d@partner.example>\r\n", i) // the reader below sees it end
		}
		_ = w.Flush()
	}()
	count := map[string]int{}
	for range n {
		count[c.reply()[:9]]++
	}
	if count["250 2.1.5"] != taken || count["452 4.5.3"] != n-taken {
		t.Errorf("answered %v, want %d taken and the others told to come again", count, taken)
	}
	c.want("DATA", "354")
	l, rcpts := b.letter(cleanMail), make([]string, taken)
	for i := range rcpts {
		rcpts[i] = fmt.Sprintf("r%d@partner.example", i)
	}
	b.answered(l, rcpts, "dot", c.want(stuffed(l.text), "250"))
	for _, m := range hop.messages() {
		if strings.Contains(m.text, l.id+"\r\n") && len(m.rcpts) != taken {
			t.Errorf("the next hop has it for %d recipients, want %d", len(m.rcpts), taken)
		}
	}
	if n := hop.with("X-Load-Id: " + l.id + "\r\n"); n != 1 {
		t.Errorf("the next hop has it %d times, want once", n)
	}
}

// endless reads as s over and over.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

// nested is a message of so many multiparts, each within the one before, with
// text in the last.
func nested(depth int, text string) string {
	var s strings.Builder
	s.WriteString("MIME-Version: 1.0\r\n")
	for i := range depth {
		fmt.Fprintf(&s, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	s.WriteString("Content-Type: text/plain\r\n\r\n" + text)
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&s, "--b%d--\r\n", i)
	}
	return s.String()
}

// withFile is a message with one file, of whatever kind.
func withFile(name string, content []byte) string {
	var s strings.Builder
	s.WriteString("MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=" + name + "\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	b := base64.StdEncoding.EncodeToString(content)
	for len(b) > 76 {
		s.WriteString(b[:76] + "\r\n")
		b = b[76:]
	}
	s.WriteString(b + "\r\n")
	return s.String()
}

// zipBomb is a zip with one member of n zero bytes.
func zipBomb(t *testing.T, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("zeros.txt")
	if err == nil {
		_, err = io.CopyN(w, endless("\x00"), n)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestExactLimit: a message of just the size that is allowed passes, one byte
// more does not, nor does one that said it was smaller.
func TestExactLimit(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, smtp: fmt.Sprintf("max_message_size = %d", limit)})
	g.start()
	sized := func(n int) *letter { // of n bytes in all
		n -= len(b.letter("\r\n").text)
		return b.letter("\r\n" + strings.Repeat("x", n%16) + strings.Repeat("fourteen bytes\r\n", n/16))
	}
	for _, tt := range []struct {
		name, mail string
		size       int
		want       string
	}{
		{"the limit", "MAIL FROM:<ada@clinic.example> SIZE=65536", limit, "250"},
		{"the limit and one", "MAIL FROM:<ada@clinic.example>", limit + 1, "552 5.3.4"},
		{"a size that is a lie", "MAIL FROM:<ada@clinic.example> SIZE=100", 2 * limit, "552 5.3.4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, g)
			c.want(tt.mail, "250")
			c.want("RCPT TO:<sam@partner.example>", "250")
			c.want("DATA", "354")
			l := sized(tt.size)
			if len(l.text) != tt.size {
				t.Fatalf("%d bytes are sent, want %d", len(l.text), tt.size)
			}
			b.answered(l, outside, "dot", c.want(l.text+".", tt.want))
		})
	}
	if n := b.settle(g); n != 0 || hop.count() != 1 {
		t.Errorf("%d at the next hop, want the one of the limit", hop.count())
	}
}

// TestClientVanishes: of a message that was never finished nothing is
// delivered, held or left. It stands in nobody's books: what came of it would be
// unknown to account.
func TestClientVanishes(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	for _, tt := range []struct{ name, text string }{
		{"in DATA", "DATA\r\n" + phiMail},
		{"in DATA, after a dot", "DATA\r\n" + phiMail + "\r\n."},
		{"in a chunk", "BDAT 100000 LAST\r\n" + phiMail},
		{"between chunks", fmt.Sprintf("BDAT %d\r\n%s", len(phiMail), phiMail)},
		{"in a large message", "DATA\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 50_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, g)
			c.want("MAIL FROM:<ada@clinic.example>", "250")
			c.want("RCPT TO:<sam@partner.example>", "250")
			c.put(tt.text)
			c.cut()
		})
	}
	eventually(t, "the messages were seen to end", func() bool { return strings.Count(g.logged(), "message cut short") >= 4 })
	if got := hop.count(); got != 0 {
		t.Errorf("%d at the next hop, want 0", got)
	}
	if got := len(g.held()); got != 0 {
		t.Errorf("%d held, want 0", got)
	}
	noneLeft(t, filepath.Join(g.data(), "tmp"))
	if _, err := b.send(g, outside, cleanMail); err != nil {
		t.Error(err)
	}
	b.settle(g)
}
