package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

// ClientConfig says how to reach a next hop over TCP.
type ClientConfig struct {
	Addr     string // host:port
	Hostname string // given in EHLO
	Route    string // what logs call the way to it; "" for nothing
	LMTP     bool   // it speaks LMTP, RFC 2033
	TLS      string // TLSOff, TLSOpportunistic, TLSRequired or TLSVerified

	ServerName  string       // asked for in the handshake; "": the host of Addr
	Proof       Proof        // what the certificate must prove under TLSVerified; nil: nothing passes
	Certificate *KeyPair     // shown to a next hop that asks for one; nil: none
	Auth        *Credentials // to log in with, over TLS only; nil: no login

	ConnectTimeout time.Duration // waiting for a turn to connect, connecting, greeting, TLS and EHLO together
	CommandTimeout time.Duration // MAIL, RCPT, DATA, RSET each
	BlockTimeout   time.Duration // writing a stretch of the message
	AnswerTimeout  time.Duration // the answer to the end of data
	MaxIdle        int           // connections kept for reuse
	IdleTimeout    time.Duration // how long one is kept
	MaxAge         time.Duration // how old one may get

	// Dial connects; nil: net.Dialer.DialContext.
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Log     *slog.Logger // nil: nothing is logged
	Metrics *metrics.Set // nil: nothing is counted
}

// DefaultClient returns timeouts that end before those of the client that
// waits for us: RFC 5321 4.5.3.2 gives it five minutes for MAIL and RCPT and ten
// for the end of data.
func DefaultClient() ClientConfig {
	return ClientConfig{
		TLS:            TLSOpportunistic,
		ConnectTimeout: 30 * time.Second,
		CommandTimeout: 2 * time.Minute,
		BlockTimeout:   3 * time.Minute, // RFC 5321 4.5.3.2.5
		AnswerTimeout:  5 * time.Minute,
		MaxIdle:        20,
		IdleTimeout:    30 * time.Second,
		MaxAge:         10 * time.Minute,
	}
}

// Client is a NextHop over TCP. It reuses connections whose last transaction
// has ended, and stops trying for a while when the next hop cannot be reached.
// It is safe for use by many goroutines.
type Client struct {
	cfg     ClientConfig
	pool    pool
	breaker breaker
	bodies  sync.Pool // *[largeBuffer]byte, lent while a body is sent
	learned learned
}

// NewClient returns a Client. Nothing is dialled before the first message or the
// first question for its Offers.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{
		cfg:    cfg,
		pool:   pool{max: cfg.MaxIdle, idle: cfg.IdleTimeout, age: cfg.MaxAge},
		bodies: sync.Pool{New: func() any { return new([largeBuffer]byte) }},
	}
}

// Close ends the idle connections. Transactions under way are not disturbed;
// their connections are not kept.
func (c *Client) Close() error {
	c.learned.close()
	c.pool.close()
	return nil
}

// Down reports whether the next hop counts as down: it is tried again now and
// then by one message at a time.
func (c *Client) Down() bool { return c.breaker.down() }

// Begin opens a transaction, on an idle connection if there is one, and returns
// the answer to its first recipient. Until MAIL is accepted a connection that
// turns out to be dead is replaced by a new one, and until a recipient is one
// whose next hop is elsewhere in the conversation. A message that the next hop
// says it cannot take is refused: by its size with 552 5.3.4, binary data with
// 554 5.6.3, SMTPUTF8 with 553 5.6.7.
func (c *Client) Begin(ctx context.Context, from dlp.Address, opt MailOptions, first Recipient) (Transaction, dlp.Reply, error) {
	if h := c.pool.get(); h != nil {
		h.kept = true
		tx, r, err := c.begin(ctx, h, from, opt, first)
		re, refused := errors.AsType[*ReplyError](err)
		lost := errors.Is(err, errRcptLost) && !errors.Is(err, errElsewhere)
		if err == nil || lost || refused && !ends(re.Reply) || ctx.Err() != nil {
			return tx, r, err
		}
		// Closed by the next hop while it was idle, or not between messages: it has
		// taken nothing of this one.
	}
	h, err := c.connect(ctx)
	if err != nil {
		return nil, dlp.Reply{}, err
	}
	return c.begin(ctx, h, from, opt, first)
}

// begin sends MAIL and the first RCPT over h, which it owns from then on: in
// one write where h offers PIPELINING. RFC 2920 3.1.
func (c *Client) begin(ctx context.Context, h *hop, from dlp.Address, opt MailOptions, first Recipient) (Transaction, dlp.Reply, error) {
	none := dlp.Reply{}
	if h.size > 0 && opt.Size > h.size {
		c.pool.put(h)
		return nil, none, &ReplyError{replyTooLarge}
	}
	if r := h.ext.unable(from, opt); r.Code != 0 {
		c.pool.put(h)
		return nil, none, &ReplyError{r}
	}
	if err := c.forward(ctx, h, opt.Origin); err != nil {
		h.close()
		return nil, none, err
	}
	tx := &clientTx{c: c, h: h, opt: opt, dsn: h.ext.DSN}
	line := h.mailCommand(from, opt)
	h.watch(ctx) // for both; ended where h goes elsewhere, and at the end
	ahead := h.offersPipelining && tx.takes(first.Addr)
	if ahead {
		line += "\r\n" + h.rcptCommand(first.Addr, first.Params)
	}
	r, err := h.command(ctx, c.cfg.CommandTimeout, line)
	switch {
	case err != nil:
	case noAnswer(r):
		err = errReply
	case !ahead && h.saidMore():
		err = errOutOfStep
	}
	if err != nil {
		h.close()
		return nil, none, c.failed(ctx, metrics.StageMail, err)
	}
	if !r.Positive() {
		c.refused(ctx, h, r, ahead)
		return nil, none, &ReplyError{r}
	}
	if !ahead {
		r, err = tx.Rcpt(ctx, first.Addr, first.Params)
	} else {
		r, err = tx.offered(ctx, h.answer)
	}
	if err != nil {
		return nil, none, fmt.Errorf("%w: %w", errRcptLost, err)
	}
	h.rest()
	return tx, r, nil
}

// errRcptLost says that MAIL was accepted and RCPT not answered.
var errRcptLost = errors.New("smtp: the next hop was lost after MAIL")

// refused keeps h for reuse after it refused MAIL with r; ahead says that the
// answer to a RCPT is still to come. A next hop that takes a recipient without a
// sender is not understood, and not asked again on this connection.
func (c *Client) refused(ctx context.Context, h *hop, r dlp.Reply, ahead bool) {
	if ahead && !ends(r) {
		after, err := h.answer(ctx, c.cfg.CommandTimeout)
		if err != nil || after.Positive() || after.Code == 421 {
			h.close()
			return
		}
	}
	c.release(h, r)
}

// ends reports an answer to MAIL after which a connection is of no more use: the
// next hop closes it (421, RFC 5321 3.8), or thinks that it is elsewhere in the
// conversation (503).
func ends(r dlp.Reply) bool { return r.Code == 421 || r.Code == 503 }

// release keeps h for reuse after r, unless r ends it.
func (c *Client) release(h *hop, r dlp.Reply) {
	if ends(r) {
		h.close()
		return
	}
	c.pool.put(h)
}

// turnShare is which part of ConnectTimeout somebody waits for their turn to
// connect: enough for the pauses before greetings that are in use (five seconds
// of Sendmail's greet_pause, six of postscreen_greet_wait), and what is left of
// ConnectTimeout is enough to connect.
const turnShare = 3

// connect opens a fresh connection up to EHLO, within ConnectTimeout.
func (c *Client) connect(ctx context.Context) (*hop, error) {
	dctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	if err := c.breaker.allow(dctx, c.cfg.ConnectTimeout/turnShare); err != nil {
		return nil, &dlp.StageError{At: "down", Err: err}
	}
	h, err := c.dial(dctx)
	switch {
	case err == nil:
		c.breaker.success()
		c.learned.note(h.ext)
		return h, nil
	case ctx.Err() != nil:
		c.breaker.pass() // given up by the caller: says nothing about the next hop
	case c.breaker.failure(time.Now()):
		c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "next hop is down, not trying for a while", slog.String("route", c.cfg.Route))
	}
	return nil, err
}

// dial connects, reads the greeting, says EHLO and secures the connection. Any
// failure, refusals included, is an error that is no ReplyError: a 554 greeting
// must not bounce mail (docs/contract.md, SMTP replies).
func (c *Client) dial(ctx context.Context) (*hop, error) {
	conn, err := c.cfg.Dial(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return nil, c.failed(ctx, metrics.StageConnect, err)
	}
	h := newHop(conn)
	if err := c.greet(ctx, h); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (c *Client) greet(ctx context.Context, h *hop) error {
	r, err := h.answer(ctx, c.cfg.ConnectTimeout)
	if err := positive(r, err); err != nil {
		return c.failed(ctx, metrics.StageGreeting, err)
	}
	if err := c.hello(ctx, h); err != nil {
		return err
	}
	secured := false
	switch {
	case c.cfg.TLS == TLSOff:
	case h.offersTLS:
		if err := c.secure(ctx, h); err != nil {
			return c.failed(ctx, metrics.StageTLS, err)
		}
		secured = true
		if err := c.hello(ctx, h); err != nil { // RFC 3207 4.2: what was said before counts for nothing
			return err
		}
	case c.cfg.TLS != TLSOpportunistic:
		return c.failed(ctx, metrics.StageTLS, errNoTLS)
	}
	if c.cfg.Auth == nil {
		return nil
	}
	if !secured {
		return c.failed(ctx, metrics.StageAuth, errNoTLS)
	}
	if err := c.login(ctx, h); err != nil {
		return c.failed(ctx, metrics.StageAuth, err)
	}
	return nil
}

var (
	errNoTLS    = errors.New("STARTTLS is required and not offered")
	errInjected = errors.New("more than an answer to STARTTLS came in the clear")
	errNoProof  = errors.New("nothing says what the certificate has to prove")
)

// hello says EHLO, and HELO to a server too old for it; LHLO to an LMTP server.
// RFC 5321 3.2, RFC 2033 4.1.
func (c *Client) hello(ctx context.Context, h *hop) error {
	verb := "EHLO "
	if c.cfg.LMTP {
		verb = "LHLO "
	}
	r, err := h.command(ctx, c.cfg.ConnectTimeout, verb+c.cfg.Hostname)
	if err == nil && r.Permanent() && r.Code != 554 && !c.cfg.LMTP {
		r, err = h.command(ctx, c.cfg.ConnectTimeout, "HELO "+c.cfg.Hostname)
		r.Text = ""
	}
	if err := positive(r, err); err != nil {
		return c.failed(ctx, metrics.StageHello, err)
	}
	h.learn(r.Text)
	return nil
}

// secure runs STARTTLS. Under TLSVerified nothing is said after the handshake
// unless Proof holds for this very connection; the other modes keep onlookers
// out and do not ask who the next hop is. No session is ever resumed.
func (c *Client) secure(ctx context.Context, h *hop) error {
	r, err := h.command(ctx, c.cfg.ConnectTimeout, "STARTTLS")
	if err := positive(r, err); err != nil {
		return err
	}
	if h.br.Buffered() > 0 {
		return errInjected
	}
	conn := tls.Client(h.conn, c.tlsConfig())
	h.arm(ctx, c.cfg.ConnectTimeout)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	h.use(conn)
	return nil
}

func (c *Client) tlsConfig() *tls.Config {
	name := c.cfg.ServerName
	if host, _, err := net.SplitHostPort(c.cfg.Addr); err == nil && name == "" {
		name = host
	}
	cfg := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // VerifyConnection is the check
	if c.cfg.TLS == TLSVerified {
		cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			if c.cfg.Proof == nil {
				return errNoProof
			}
			return c.cfg.Proof(cs)
		}
	}
	if c.cfg.Certificate != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.cfg.Certificate.Certificate(), nil
		}
	}
	return cfg
}

// positive turns anything but a 2yz reply into an error with its code alone.
func positive(r dlp.Reply, err error) error {
	if err == nil && !r.Positive() {
		return fmt.Errorf("replied %d", r.Code)
	}
	return err
}

// failed counts and logs a failure of the next hop, and names its stage.
func (c *Client) failed(ctx context.Context, at metrics.Stage, err error) error {
	c.cfg.Metrics.NextHopError(at)
	attrs := []slog.Attr{slog.String("route", c.cfg.Route), slog.String("stage", string(at))}
	if at == metrics.StageTLS || at == metrics.StageAuth {
		attrs = append(attrs, slog.String("cause", tlsCause(err)))
	}
	c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "next hop failed", attrs...)
	return &dlp.StageError{At: string(at), Err: err}
}

// hop is one connection to the next hop. One goroutine uses it at a time.
type hop struct {
	conn net.Conn
	br   *bufio.Reader
	bw   *bufio.Writer
	born time.Time
	kept bool // a message went over it before this one

	watched context.Context // whose end closes conn; nil: nobody's
	unwatch func() bool     // ends that; set while watched is
	limit   time.Time       // deadline of conn; zero: not known

	emitted int // bytes of the message that stuff has written; some may still be in bw

	offers8Bit, offersTLS, offersSize, offersPipelining bool
	ext                                                 Extensions
	size                                                int64 // the largest message it takes, 0 when it does not say

	auth     []string // ways to log in that it offers
	forwards []string // attributes of XFORWARD that it takes

	idle *time.Timer // set while in the pool, guarded by its mutex
}

func newHop(conn net.Conn) *hop {
	return &hop{
		conn: conn, born: time.Now(),
		br: bufio.NewReaderSize(conn, maxReplyLine+2),
		bw: bufio.NewWriterSize(conn, 16<<10),
	}
}

// use goes on over conn, forgetting what was read ahead.
func (h *hop) use(conn net.Conn) {
	h.conn, h.limit = conn, time.Time{}
	h.br.Reset(conn)
	h.bw.Reset(conn)
}

// learn reads the extensions out of an EHLO reply. RFC 5321 4.1.1.1.
func (h *hop) learn(text string) {
	h.offers8Bit, h.offersTLS, h.offersSize, h.offersPipelining, h.size = false, false, false, false, 0
	h.ext, h.auth, h.forwards = Extensions{}, nil, nil
	_, lines, _ := strings.Cut(text, "\n") // the first line is a name
	for line := range strings.SplitSeq(lines, "\n") {
		word, arg, _ := strings.Cut(line, " ")
		word = strings.ToUpper(word)
		h.ext.learnExtension(word)
		switch word {
		case "8BITMIME":
			h.offers8Bit = true
		case "PIPELINING":
			h.offersPipelining = true
		case "STARTTLS":
			h.offersTLS = true
		case "AUTH":
			h.auth = strings.Fields(strings.ToUpper(arg))
		case "XFORWARD":
			h.forwards = strings.Fields(strings.ToUpper(arg))
		case "SIZE":
			h.offersSize = true
			if n, err := parseSize(strings.TrimSpace(arg)); err == nil {
				h.size = n
			}
		}
	}
}

// arm bounds what is read and written next by d and by ctx. A deadline that is
// a little earlier already is left: each that is set moves two timers.
func (h *hop) arm(ctx context.Context, d time.Duration) {
	limit := time.Now().Add(d)
	if end, ok := ctx.Deadline(); ok {
		limit = earliest(limit, end)
	}
	if ahead := limit.Sub(h.limit); ahead >= 0 && ahead < d/early {
		return
	}
	h.limit = limit
	_ = h.conn.SetDeadline(limit) // fails only on a closed connection, as the next use will
}

// early is the part of a time-out by which it may end too soon.
const early = 128

// watch has the end of ctx interrupt reads and writes until rest, and reports
// whether nobody did for this ctx before: who began it ends it. A connection that
// is put back or closed is watched no longer.
func (h *hop) watch(ctx context.Context) (begun bool) {
	if h.watched == ctx {
		return false
	}
	h.rest()
	conn := h.conn
	h.watched, h.unwatch = ctx, context.AfterFunc(ctx, func() { _ = conn.Close() }) // there is nobody to tell
	return true
}

// rest ends the watch, if there is one.
func (h *hop) rest() {
	if h.watched != nil {
		h.unwatch()
		h.watched, h.unwatch = nil, nil
	}
}

// command sends a line, or several of which the first is answered, and reads
// that reply within d. It sends nothing to a next hop that has said more than
// was asked.
func (h *hop) command(ctx context.Context, d time.Duration, line string) (dlp.Reply, error) {
	if h.saidMore() {
		return dlp.Reply{}, errOutOfStep
	}
	if h.watch(ctx) {
		defer h.rest()
	}
	h.arm(ctx, d)
	_, _ = h.bw.WriteString(line) // the writer keeps its error for Flush
	_, _ = h.bw.WriteString("\r\n")
	if err := h.bw.Flush(); err != nil {
		return dlp.Reply{}, err
	}
	return h.reply()
}

// elsewhere reports an answer that is none to what was said: 503 on a
// connection that is used again tells that the next hop is elsewhere in the
// conversation, and nothing about the message. On a fresh one, on which nothing
// was said before, it is the answer to it.
func (h *hop) elsewhere(r dlp.Reply) bool { return h.kept && r.Code == 503 }

// noAnswer reports what no server can mean as an answer to MAIL, RCPT or a
// message: its greeting, or its goodbye. RFC 5321 4.2.3, 4.3.2.
func noAnswer(r dlp.Reply) bool { return r.Code == 220 || r.Code == 221 }

// answer reads a reply within d.
func (h *hop) answer(ctx context.Context, d time.Duration) (dlp.Reply, error) {
	if h.watch(ctx) {
		defer h.rest()
	}
	h.arm(ctx, d)
	return h.reply()
}

// reply reads a final reply; 3yz has a meaning after DATA only.
func (h *hop) reply() (dlp.Reply, error) {
	r, err := readReply(h.br)
	if err == nil && r.Code/100 == 3 {
		return r, errReply
	}
	return r, err
}

// close ends the connection without a word.
func (h *hop) close() {
	h.rest()
	_ = h.conn.Close()
}

// quit says goodbye without waiting for the answer.
func (h *hop) quit() {
	_ = h.conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = h.bw.WriteString("QUIT\r\n")
	_ = h.bw.Flush() // a courtesy
	h.close()
}
