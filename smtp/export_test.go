package smtp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ParsePath reads a whole path with its brackets, as MAIL and RCPT do.
func ParsePath(s string) (dlp.Address, error) {
	inner, rest, ok := cutPath(s)
	if !ok || rest != "" {
		return dlp.Address{}, errAddress
	}
	return parseInner(inner, true)
}

// Unstuff takes the body out of wire, handed over in pieces of the given sizes
// over and over, as a network would. rest is what follows the end mark.
func Unstuff(wire []byte, sizes []int) (body, rest []byte, done bool, err error) {
	var out bytes.Buffer
	u := newUnstuffer()
	at, have := 0, 0
	for i := 0; ; i++ {
		n, done, err := u.next(wire[at:have], func(p []byte) { out.Write(p) })
		at += n
		if err != nil || done {
			return out.Bytes(), wire[at:], done, err
		}
		if have == len(wire) {
			return out.Bytes(), wire[at:], false, nil
		}
		have = min(have+max(1, sizes[i%len(sizes)]), len(wire))
	}
}

// Stuff puts body, handed over in pieces of the given size, into its wire form.
func Stuff(body []byte, size int) ([]byte, error) {
	var out bytes.Buffer
	s := newStuffer()
	emit := func(p []byte) error {
		out.Write(p)
		return nil
	}
	for len(body) > 0 {
		n := min(max(1, size), len(body))
		if err := s.write(body[:n], emit); err != nil {
			return nil, err
		}
		body = body[n:]
	}
	mark, err := s.end()
	if err != nil {
		return nil, err
	}
	out.WriteString(mark)
	return out.Bytes(), nil
}

// Lines reads command lines from r until it ends.
func Lines(r io.Reader) ([]string, error) {
	in := reader{src: r, wait: func() error { return nil }, buf: make([]byte, smallBuffer)}
	var out []string
	for {
		line, err := in.line()
		if err != nil {
			return out, err
		}
		out = append(out, line)
	}
}

// Received counts the Received fields of a message handed over in pieces.
func Received(msg []byte, size int) int {
	var h headerScan
	for len(msg) > 0 {
		n := min(max(1, size), len(msg))
		h.add(msg[:n])
		msg = msg[n:]
	}
	return h.received
}

// ParseMail is the argument of MAIL read.
func ParseMail(arg string) (dlp.Address, MailOptions, error) { return parseMail(arg) }

// ParseRcpt is the argument of RCPT read.
func ParseRcpt(arg string, beyondASCII bool) (dlp.Address, dlp.RcptParams, error) {
	return parseRcpt(arg, beyondASCII)
}

// DSNParams are RET and ENVID as the client writes them.
func DSNParams(p dlp.MailParams) string {
	h := hop{ext: Extensions{DSN: true}}
	return strings.TrimPrefix(h.mailCommand(dlp.Address{}, MailOptions{MailParams: p}), "MAIL FROM:<>")
}

// RcptCommand is RCPT as the client writes it to a next hop with DSN.
func RcptCommand(rcpt dlp.Address, p dlp.RcptParams) string {
	h := hop{ext: Extensions{DSN: true}}
	return h.rcptCommand(rcpt, p)
}

// With is the clause of a trace field.
func With(lmtp, extended, secured, authenticated, utf8 bool) string {
	return with{lmtp, extended, secured, authenticated, utf8}.String()
}

// Attributes is the argument of XCLIENT or XFORWARD read.
func Attributes(arg, names string) (map[string]string, error) { return parseAttributes(arg, names, "") }

// ParseUsers reads a users file and returns the names.
func ParseUsers(b []byte) ([]string, error) {
	f, err := parseUsers(b)
	return f.names, err
}

// ParseBdat is the argument of BDAT read.
func ParseBdat(arg string) (int64, bool, error) { return parseBdat(arg) }

// Reply is an error as the client would be told.
func Reply(err error) dlp.Reply { return toReply(err) }

// WireReply is a reply as it goes on the wire.
func WireReply(r dlp.Reply) string { return string(appendReply(nil, r)) }

// Breaker is the circuit breaker.
type Breaker struct{ breaker }

// Allow reports whether breaker.ask lets connect.
func (b *Breaker) Allow(now time.Time) bool {
	ok, _ := b.ask(now)
	return ok
}

// Failure is breaker.failure.
func (b *Breaker) Failure(now time.Time) { b.failure(now) }

// Success is breaker.success.
func (b *Breaker) Success() { b.success() }

// ReadReply reads a next hop's reply.
func ReadReply(r io.Reader) (dlp.Reply, error) {
	return readReply(bufio.NewReaderSize(r, maxReplyLine+2))
}

// Learn reads the extensions out of the text of an EHLO reply.
func Learn(text string) Extensions {
	h := hop{}
	h.learn(text)
	return h.ext
}

// Tried has n tries of name counted.
func (s *Server) Tried(name string, n int) {
	g := s.gate.guesses
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried[name] = &tried{failing: failing{n: n, since: time.Now()}}
}

// Slowed is how many tries of name wait.
func (s *Server) Slowed(name string) int {
	g := s.gate.guesses
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.tried[name].slowed)
}

// Guesses are the tries of names.
type Guesses struct{ *guesses }

// NewGuesses returns one without tries.
func NewGuesses() Guesses { return Guesses{newGuesses()} }

// Slow is guesses.slow.
func (g Guesses) Slow(ctx context.Context, name string, client netip.Addr) error {
	return g.slow(ctx, name, client)
}

// Proved is guesses.proved.
func (g Guesses) Proved(name string, client netip.Addr) { g.proved(name, client) }

// ErrAuthSlowed says that a try is not looked at.
var ErrAuthSlowed = errAuthSlowed

// Quiet reports whether all idle connections are.
func (c *Client) Quiet() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, h := range c.pool.free {
		if !h.quiet() {
			return false
		}
	}
	return true
}

// Lent returns the buffers that s lends for bodies, from now on.
func (s *Server) Lent() func() [][]byte { return lent(&s.bodies) }

// Lent returns the buffers that c lends for bodies, from now on.
func (c *Client) Lent() func() [][]byte { return lent(&c.bodies) }

func lent(bodies *sync.Pool) func() [][]byte {
	var mu sync.Mutex
	var all [][]byte
	bodies.New = func() any {
		mu.Lock()
		defer mu.Unlock()
		b := new([largeBuffer]byte)
		all = append(all, b[:])
		return b
	}
	return func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// TxQuiet reports whether the next hop of tx, a Client's, has said nothing unasked.
func TxQuiet(tx Transaction) bool { return tx.(*clientTx).h.quiet() }

// AcknowledgeEnd has a session on conn, answered ids and told goodbye, wait for its
// client to close.
func (s *Server) AcknowledgeEnd(ctx context.Context, conn net.Conn, ids ...dlp.ID) {
	(&session{srv: s, conn: conn, unacked: ids, quit: true}).acknowledgeEnd(ctx)
}

// Unreceived is unreceived.
func Unreceived(conn net.Conn) bool { return unreceived(conn) }

// Sessions counts those that have not ended.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
