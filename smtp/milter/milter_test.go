package milter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/smtp/milter"
)

// handler is a scripted gateway that remembers what it was given.
type handler struct {
	mu     sync.Mutex
	docs   []*dlp.Document
	text   []string
	acked  []dlp.ID
	ackErr error
	act    func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome
}

func (h *handler) Message(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
	r, err := doc.Open()
	if err != nil {
		return dlp.Outcome{}
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return dlp.Outcome{}
	}
	h.mu.Lock()
	h.docs, h.text = append(h.docs, doc), append(h.text, string(b))
	h.mu.Unlock()
	return h.act(ctx, doc, o)
}

func (h *handler) Acknowledge(_ context.Context, ids []dlp.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = append(h.acked, ids...)
	return h.ackErr
}

func (h *handler) acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.acked)
}

// door is a running milter door.
type door struct {
	*milter.Server
	addr string
}

func open(t testing.TB, h *handler, change func(*milter.Config)) *door {
	t.Helper()
	pool, err := buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 1 << 26, DiskAll: 1 << 26, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := milter.Default()
	if change != nil {
		change(&cfg)
	}
	s, err := milter.NewServer(cfg, milter.Limits{Hostname: "gw.example", Contact: "help@clinic.example", MaxMessageSize: 1 << 20, MaxRcpts: 3},
		milter.Deps{Handler: h, Buffers: pool, Log: safelog.Discard(), Now: func() time.Time { return time.Unix(1e9, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // sessions that are still open are cut
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &door{s, ln.Addr().String()}
}

// mta is a mail server's side of one connection.
type mta struct {
	t testing.TB
	*gomilter.ClientSession
}

// allActions is what Postfix and Sendmail offer.
const allActions = gomilter.OptAddHeader | gomilter.OptChangeBody | gomilter.OptAddRcpt | gomilter.OptRemoveRcpt |
	gomilter.OptChangeHeader | gomilter.OptQuarantine

func (d *door) dial(t testing.TB, opts ...gomilter.Option) *mta {
	t.Helper()
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, "4XyZ12")
	opts = append([]gomilter.Option{gomilter.WithActions(allActions), gomilter.WithReadTimeout(2 * time.Minute)}, opts...)
	s, err := gomilter.NewClient("tcp", d.addr, opts...).Session(macros)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	m := &mta{t, s}
	m.ok(s.Conn("client.example", gomilter.FamilyInet, 4025, "192.0.2.7"))
	m.ok(s.Helo("client.example"))
	return m
}

func (m *mta) ok(a *gomilter.Action, err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
	if a.StopProcessing() {
		m.t.Fatalf("got %v, want continue", a)
	}
}

// send leads one message through and returns the orders and the answer.
func (m *mta) send(from string, rcpts []string, fields [][2]string, chunks ...string) (orders []string, answer string) {
	m.t.Helper()
	m.ok(m.Mail(from, "BODY=8BITMIME SIZE=100 AUTH=<>"))
	for _, r := range rcpts {
		m.ok(m.Rcpt(r, "NOTIFY=NEVER"))
	}
	m.ok(m.DataStart())
	for _, f := range fields {
		m.ok(m.HeaderField(f[0], f[1], nil))
	}
	m.ok(m.HeaderEnd())
	for _, c := range append(chunks, "") { // the client wants one before the end
		m.ok(m.BodyChunk([]byte(c)))
	}
	return m.end()
}

func (m *mta) end() (orders []string, answer string) {
	m.t.Helper()
	mods, a, err := m.End()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, x := range mods {
		s := x.String()
		if x.Type == gomilter.ActionReplaceBody {
			s = fmt.Sprintf("ReplaceBody %q", x.Body)
		}
		orders = append(orders, s)
	}
	return orders, a.String()
}

// pass lets everything go on.
func pass(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
	r, err := o.(dlp.Keeper).Keep(context.Background(), doc.Trace, nil)
	if err != nil {
		return dlp.Outcome{Kind: dlp.Unreached}
	}
	return dlp.Outcome{Kind: dlp.Passed, ID: doc.ID, Reply: r}
}

func become(kind dlp.OutcomeKind) func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome {
	return func(_ context.Context, doc *dlp.Document, _ dlp.Onward) dlp.Outcome {
		return dlp.Outcome{Kind: kind, ID: doc.ID, Acknowledge: kind == dlp.Held, Types: []dlp.Type{"SSN"}}
	}
}

var aField = [][2]string{{"Subject", " hello"}}

func TestDocument(t *testing.T) {
	h := &handler{act: pass}
	m := open(t, h, nil).dial(t)
	fields := [][2]string{
		{"Received", " from a\n\tby b; now"},
		{"Subject", "  two  spaces \xe9"},
		{"X-None", ""},
		{"x-folded", "\tone\n two\r\n three"},
	}
	if _, got := m.send("<ada@clinic.example>", []string{"<sam@partner.example>", `<"a b"@PARTNER.example>`}, fields,
		"line\r\n..dots\r\n", "\xff\x00bare\nlf\rcr"); got != "Accept" {
		t.Fatalf("answer %s", got)
	}
	want := "Received: from a\r\n\tby b; now\r\nSubject:  two  spaces \xe9\r\nX-None:\r\nx-folded:\tone\r\n two\r\n three\r\n\r\n" +
		"line\r\n..dots\r\n\xff\x00bare\nlf\rcr"
	if h.text[0] != want {
		t.Errorf("document %q, want %q", h.text[0], want)
	}
	doc := h.docs[0]
	if got := doc.Sender.String(); got != "ada@clinic.example" {
		t.Errorf("sender %s", got)
	}
	if got := fmt.Sprint(doc.Rcpts); got != `[sam@partner.example "a b"@partner.example]` {
		t.Errorf("recipients %s", got)
	}
	if doc.Size != int64(len(want)) || len(doc.RcptParams) != 2 {
		t.Errorf("size %d, %d recipients' parameters", doc.Size, len(doc.RcptParams))
	}
	wantTrace := "Received: from client.example ([192.0.2.7])\r\n\tby gw.example (milter, queue id 4XyZ12) id " + string(doc.ID) +
		";\r\n\tSun, 09 Sep 2001 01:46:40 +0000\r\nX-Stanch-Id: " + string(doc.ID) + "\r\n"
	if got := string(doc.Trace); got != wantTrace {
		t.Errorf("trace %q, want %q", got, wantTrace)
	}
}

// TestMessagesOfOneConnection holds that nothing of one message reaches the
// next, whether it was ended, aborted or left.
func TestMessagesOfOneConnection(t *testing.T) {
	h := &handler{act: pass}
	m := open(t, h, nil).dial(t)
	m.send("<>", []string{"<a@partner.example>"}, aField)
	m.ok(m.Mail("<left@clinic.example>", ""))
	m.ok(m.Rcpt("<b@partner.example>", ""))
	if err := m.Abort(nil); err != nil {
		t.Fatal(err)
	}
	m.send("<ada@clinic.example>", []string{"<c@partner.example>"}, nil, "x\r\n")
	if len(h.docs) != 2 {
		t.Fatalf("%d documents, want 2", len(h.docs))
	}
	if !h.docs[0].Sender.IsNull() || h.text[0] != "Subject: hello\r\n\r\n" {
		t.Errorf("first: %v %q", h.docs[0].Sender, h.text[0])
	}
	if got := fmt.Sprint(h.docs[1].Sender, h.docs[1].Rcpts); got != "ada@clinic.example [c@partner.example]" || h.text[1] != "\r\nx\r\n" {
		t.Errorf("second: %s %q", got, h.text[1])
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		act    func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome
		change func(*milter.Config)
		opts   []gomilter.Option
		orders string
		answer string
	}{
		{"let through", pass, nil, nil, `InsertHeader 0 "X-Stanch-Id" " ID"`, "Accept"},
		{"let through, tagged", func(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			r, _ := o.(dlp.Keeper).Keep(context.Background(), append([]byte("X-Stanch-Tag: p\r\n"), doc.Trace...), nil)
			return dlp.Outcome{Kind: dlp.Passed, Reply: r}
		}, nil, nil, `InsertHeader 0 "X-Stanch-Id" " ID"; InsertHeader 0 "X-Stanch-Tag" " p"`, "Accept"},
		{"let through, by a server that puts a space itself", pass, nil,
			[]gomilter.Option{gomilter.WithMaximumVersion(2), gomilter.WithProtocols(0)}, `InsertHeader 0 "X-Stanch-Id" "ID"`, "Accept"},
		{"held for some", func(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			r, _ := o.(dlp.Keeper).Keep(context.Background(), doc.Trace, doc.Rcpts[:1])
			return dlp.Outcome{Kind: dlp.Split, Reply: r}
		}, nil, nil, `DelRcpt "<SAM@Partner.example>"; DelRcpt "<SAM@partner.example>"; InsertHeader 0 "X-Stanch-Id" " ID"`, "Accept"},
		{"said to be let through, and was not", become(dlp.Passed), nil, nil, "", `RejectWithCode 451 "451 4.3.0 Try again later"`},
		{"held", become(dlp.Held), nil, nil, "", "Discard"},
		{"held, with a copy at the server", become(dlp.Held), func(c *milter.Config) { c.Held = milter.HeldQuarantine }, nil,
			`InsertHeader 0 "X-Stanch-Id" " ID"; Quarantine "stanch ID"`, "Accept"},
		{"held, and the server keeps no copies", become(dlp.Held), func(c *milter.Config) { c.Held = milter.HeldQuarantine },
			[]gomilter.Option{gomilter.WithoutAction(gomilter.OptQuarantine)}, "", "Discard"},
		{"split and ours", become(dlp.Split), nil, nil, "", "Discard"},
		{"rejected", become(dlp.Rejected), nil, nil, "", `RejectWithCode 550 "550 5.7.1 Refused by policy: this message holds social security ` +
			`or taxpayer numbers; for help turn to help@clinic.example"`},
		{"to be tried again", become(dlp.TryAgain), nil, nil, "", `RejectWithCode 451 "451 4.3.0 Try again later"`},
		{"no room", become(dlp.NoRoom), nil, nil, "", `RejectWithCode 452 "452 4.3.1 No room for this message, try again later"`},
		{"broken", func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome { panic("on purpose") }, nil, nil, "",
			`RejectWithCode 451 "451 4.3.0 Try again later"`},
		{"broken after the orders", func(c context.Context, d *dlp.Document, o dlp.Onward) dlp.Outcome { pass(c, d, o); panic("on purpose") },
			nil, nil, `InsertHeader 0 "X-Stanch-Id" " ID"`, `RejectWithCode 451 "451 4.3.0 Try again later"`},
		{"changed", func(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			r, err := o.Send(context.Background(), doc.Trace, strings.NewReader("Subject: new\r\n folded\r\nTo: x\r\n\r\nnew body\r\n"))
			if err != nil {
				return dlp.Outcome{}
			}
			return dlp.Outcome{Kind: dlp.Passed, Reply: r}
		}, nil, nil, `ChangeHeader 2 "subject" ""; ChangeHeader 1 "X" ""; ChangeHeader 1 "Subject" ""; ` +
			`InsertHeader 0 "To" " x"; InsertHeader 0 "Subject" " new\n folded"; InsertHeader 0 "X-Stanch-Id" " ID"; ReplaceBody "new body\r\n"`, "Accept"},
		{"changed, and no body is left", func(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			r, err := o.Send(context.Background(), doc.Trace, strings.NewReader("Subject: new\r\n\r\n"))
			if err != nil {
				return dlp.Outcome{}
			}
			return dlp.Outcome{Kind: dlp.Passed, Reply: r}
		}, nil, nil, `ChangeHeader 2 "subject" ""; ChangeHeader 1 "X" ""; ChangeHeader 1 "Subject" ""; ` +
			`InsertHeader 0 "Subject" " new"; InsertHeader 0 "X-Stanch-Id" " ID"; ReplaceBody ""`, "Accept"},
		{"changed, for a server that lets nothing be changed", func(_ context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			_, err := o.Send(context.Background(), doc.Trace, strings.NewReader("\r\n"))
			if err == nil {
				return dlp.Outcome{Kind: dlp.Held}
			}
			return dlp.Outcome{Kind: dlp.Unreached}
		}, nil, []gomilter.Option{gomilter.WithoutAction(gomilter.OptChangeBody)}, "",
			`RejectWithCode 451 "451 4.4.1 The next mail server does not answer, try again later"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &handler{act: tt.act}
			m := open(t, h, tt.change).dial(t, tt.opts...)
			orders, answer := m.send("<ada@clinic.example>", []string{"<SAM@Partner.example>", "<SAM@partner.example>", "<nurse@clinic.example>"},
				[][2]string{{"Subject", " a"}, {"X", " b"}, {"subject", " c"}}, "body\r\n")
			got := strings.ReplaceAll(strings.Join(orders, "; "), string(h.docs[0].ID), "ID")
			if got != tt.orders {
				t.Errorf("orders %s\nwant   %s", got, tt.orders)
			}
			if answer != tt.answer {
				t.Errorf("answer %s, want %s", answer, tt.answer)
			}
		})
	}
}

func TestAcknowledge(t *testing.T) {
	h := &handler{act: become(dlp.Held)}
	d := open(t, h, nil)
	m := d.dial(t)
	m.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField)
	if n := h.acknowledged(); n != 0 {
		t.Errorf("%d acknowledged before a later command", n)
	}
	m.ok(m.Mail("<ada@clinic.example>", ""))
	if n := h.acknowledged(); n != 1 {
		t.Errorf("%d acknowledged after a later command, want 1", n)
	}

	h.ackErr = os.ErrDeadlineExceeded
	m = d.dial(t)
	m.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField)
	if _, err := m.Mail("<ada@clinic.example>", ""); err == nil {
		t.Error("the connection went on without a record")
	}
}

func TestRefused(t *testing.T) {
	h := &handler{act: pass}
	m := open(t, h, nil).dial(t)
	a, err := m.Mail("<ada>", "")
	if err != nil || a.SMTPCode != 501 {
		t.Errorf("a sender without a domain: %v %v", a, err)
	}
	if err := m.Abort(nil); err != nil {
		t.Fatal(err)
	}
	m.ok(m.Mail("<ada@clinic.example>", ""))
	for path, want := range map[string]uint16{
		"<sam@partner.example>": 250, "sam@partner.example": 250, `<"evil@evil.test> x"@partner.example>`: 501, "<@partner.example>": 501,
		"<a%b@partner.example>": 550, "<>": 501, "<sam@partner.example> X=Y": 555,
	} {
		a, err := m.Rcpt(path, "")
		if err != nil || a.SMTPCode != want {
			t.Errorf("%s: %v %v, want %d", path, a, err, want)
		}
	}
	m.ok(m.Rcpt("<b@partner.example>", ""))
	m.ok(m.Rcpt("<c@partner.example>", ""))
	if a, err := m.Rcpt("<d@partner.example>", ""); err != nil || a.SMTPCode != 452 {
		t.Errorf("one too many: %v %v", a, err)
	}

	big := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 64)
	for name, tt := range map[string]struct {
		fields [][2]string
		chunks []string
		want   string
	}{
		"too large": {aField, slicesRepeat(big, 17), "552 5.3.4"},
		"long line": {aField, []string{strings.Repeat("x", 40<<10), strings.Repeat("x", 40<<10)}, "554 5.6.0"},
		"a loop":    {slicesRepeat([2]string{"Received", " from x"}, 100), nil, "554 5.4.6"},
	} {
		m := open(t, h, nil).dial(t)
		if _, got := m.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, tt.fields, tt.chunks...); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func slicesRepeat[T any](x T, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = x
	}
	return s
}

// raw speaks to the door byte by byte and reports whether it closed the
// connection.
func (d *door) raw(t *testing.T, b []byte) (closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // fails only once it is closed
	_, _ = c.Write(b)                                  // it may be closed in the middle
	_ = c.(*net.TCPConn).CloseWrite()
	_, err = io.Copy(io.Discard, c)
	return err == nil || strings.Contains(err.Error(), "reset")
}

func packet(code byte, data string) []byte {
	n := len(data) + 1
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), code}, data...)
}

var options = packet('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

func TestHostile(t *testing.T) {
	h := &handler{act: pass}
	d := open(t, h, nil)
	begun := func(more ...[]byte) []byte {
		return append(bytes.Clone(options), bytes.Join(more, nil)...)
	}
	mail, rcpt := packet('M', "<a@b.example>\x00"), packet('R', "<c@d.example>\x00")
	for name, b := range map[string][]byte{
		"an empty packet":                     {0, 0, 0, 0},
		"a gigabyte":                          {0x40, 0, 0, 0, 'O'},
		"a web browser":                       []byte("GET / HTTP/1.1\r\n\r\n"),
		"no negotiation":                      packet('M', "<a@b.example>\x00"),
		"short options":                       packet('O', "\x00\x00"),
		"version 1":                           packet('O', "\x00\x00\x00\x01\x00\x00\x01\xff\x00\x1f\xff\xff"),
		"no fields may be added":              packet('O', "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x1f\xff\xff"),
		"negotiation twice":                   begun(options),
		"mail without an end":                 begun(packet('M', "<a@b.example>")),
		"empty mail":                          begun(packet('M', "")),
		"connect without family":              begun(packet('C', "host\x00")),
		"connect without end":                 begun(packet('C', "host")),
		"connect with a bad address":          begun(packet('C', "host\x004\x00\x19not an address\x00")),
		"helo of two":                         begun(packet('H', "a\x00b\x00")),
		"field of one":                        begun(mail, rcpt, packet('L', "a\x00")),
		"field of three":                      begun(mail, rcpt, packet('L', "a\x00b\x00c\x00")),
		"an end with data, which no one saw":  begun(mail, rcpt, packet('L', "a\x00b\x00"), packet('N', ""), packet('E', "SSN")),
		"an end of nothing":                   begun(packet('E', "")),
		"a body of nothing":                   begun(packet('B', "x"), packet('E', "")),
		"macros of nothing":                   begun(packet('D', "")),
		"macros without bound":                begun(packet('D', "M"+strings.Repeat("i\x00Q\x00", 20_000)), mail, rcpt, packet('L', "a\x00b\x00"), packet('N', ""), packet('B', "x"), packet('E', "")),
		"a field below the header":            begun(mail, rcpt, packet('L', "a\x00b\x00"), packet('N', ""), packet('L', "c\x00d\x00"), packet('E', "")),
		"a field below the body":              begun(mail, rcpt, packet('B', "x"), packet('L', "c\x00d\x00"), packet('E', "")),
		"macros of no command":                begun(packet('D', "\xff")),
		"an unknown command":                  begun(packet('Z', "")),
		"fields far beyond all bounds":        begun(append([][]byte{mail, rcpt}, slicesRepeat(packet('B', strings.Repeat("x\r\n", 20000)), 60)...)...),
		"header fields far beyond all bounds": begun(append([][]byte{mail, rcpt}, slicesRepeat(packet('L', "X\x00"+strings.Repeat("x", 60000)+"\x00"), 60)...)...),
		"cut short":                           begun(mail, rcpt, packet('B', "half")[:7]),
	} {
		if !d.raw(t, b) {
			t.Errorf("%s: the connection stayed open", name)
		}
	}
	if len(h.docs) != 0 {
		t.Errorf("%d documents reached the gateway, want none", len(h.docs))
	}
	if _, got := d.dial(t).send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField); got != "Accept" {
		t.Errorf("afterwards: %s", got)
	}
}

func TestConnections(t *testing.T) {
	h := &handler{act: pass}
	d := open(t, h, func(c *milter.Config) { c.MaxConnections = 2 })
	first, second := d.dial(t), d.dial(t)
	if _, err := gomilter.NewClient("tcp", d.addr).Session(gomilter.NewMacroBag()); err == nil {
		t.Error("a third connection was served, want two")
	}
	second.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField)
	first.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField)

	d = open(t, h, func(c *milter.Config) { c.Networks = []string{"192.0.2.0/24"} })
	if _, err := gomilter.NewClient("tcp", d.addr).Session(gomilter.NewMacroBag()); err == nil {
		t.Error("a host outside the networks was served")
	}
}

// TestShutdown holds that a message under way is answered, and a connection
// between messages is not waited for.
func TestShutdown(t *testing.T) {
	judging, answer := make(chan struct{}), make(chan struct{})
	h := &handler{act: func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
		close(judging)
		<-answer
		return pass(ctx, doc, o)
	}}
	d := open(t, h, nil)
	idle, busy := d.dial(t), d.dial(t)
	got := make(chan string, 1)
	go func() {
		_, a := busy.send("<ada@clinic.example>", []string{"<sam@partner.example>"}, aField)
		got <- a
	}()
	<-judging
	ended := make(chan error, 1)
	go func() { ended <- d.Shutdown(context.Background()) }()
	if _, err := idle.Mail("<ada@clinic.example>", ""); err == nil {
		// The door may have read it before it was told to stop; the next ends it.
		if _, err = idle.Rcpt("<sam@partner.example>", ""); err == nil {
			t.Log("the idle connection had begun a message")
		}
		_ = idle.Close()
	}
	close(answer)
	if a := <-got; a != "Accept" {
		t.Errorf("the message under way: %s", a)
	}
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}
