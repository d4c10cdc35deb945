package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp/scram"
)

const (
	writeTimeout  = 2 * time.Minute        // for one write of replies
	firstMessage  = 3 * time.Second        // from its opening a session may begin its first message, though the server stops
	tlsTimeout    = time.Minute            // for a handshake
	lingerTimeout = 2 * time.Second        // for a client to read the last reply
	quietTimeout  = 200 * time.Millisecond // for a client that has all answers to close by itself
	lingerBytes   = 256 << 10              // of what it still sends meanwhile
	resetTimeout  = 10 * time.Second       // for giving up a transaction with the next hop
)

// session is one connection of a client. Its goroutine owns all but what mu
// guards.
type session struct {
	srv        *Server
	door       Door
	client     netip.Addr // the connection's, or whom a trusted proxy names
	name, port string     // of the client, as a proxy named them
	origin     Origin     // of the next message, as a filter named it
	user       string     // who logged in; "" before
	vouched    bool       // a proxy said so
	logins     int        // that failed
	in         reader
	small      []byte // the reader's own buffer while it has a large one
	out        *bufio.Writer
	opened     time.Time
	limit      time.Time // end of the command or message under way; zero: set at the next wait
	body       *bodyClock
	helo       string // name the client gave itself; "" before EHLO or HELO
	esmtp      bool
	secured    bool
	linger     bool // let the client read the last reply before the connection closes
	faults     int
	tx         *mailTx
	unacked    []dlp.ID // answered 250, not yet known to have been read
	due        int      // the first of unacked whose answer went out while the client had sent nothing further
	quit       bool     // the client has said goodbye

	uncounted bool // not among its client's sessions any more; guarded by srv.mu

	mu       sync.Mutex // guards all below
	conn     net.Conn
	busy     bool // inside a transaction: not to be stopped
	used     bool // has had a transaction
	stopping bool
}

func newSession(srv *Server, conn net.Conn, client netip.Addr, d Door) *session {
	x := &session{srv: srv, door: d, client: client, conn: conn, opened: time.Now()}
	x.out = bufio.NewWriterSize(toClient{x}, 1<<10)
	x.in = reader{src: conn, wait: x.wait, buf: make([]byte, smallBuffer)}
	return x
}

// run leads the session from greeting to close.
func (x *session) run(ctx context.Context) {
	defer x.close(ctx)
	defer func() {
		if p := recover(); p != nil {
			x.srv.d.Log.LogAttrs(ctx, slog.LevelError, "session broke", slog.String("stack", string(debug.Stack())))
			x.reply(replyBroken)
		}
	}()
	if !x.open(ctx) {
		return
	}
	x.reply(x.greeting())
	for {
		x.limit = time.Time{}
		line, err := x.in.line()
		if err != nil {
			x.broken(ctx, err)
			return
		}
		if !x.acknowledge(ctx) || !x.command(ctx, line) {
			return
		}
		if len(x.in.buf) > smallBuffer && x.in.buffered() <= smallBuffer {
			x.returnBuffer()
		}
	}
}

// open does what comes before the greeting.
func (x *session) open(ctx context.Context) bool {
	if !x.proxied(ctx) {
		return false
	}
	if x.door.TLS == DoorTLSImplicit {
		return x.srv.d.TLS != nil && x.handshake(ctx)
	}
	if spokeEarly(x.conn) {
		x.reply(replyEarly)
		x.linger = true
		return false
	}
	return true
}

func (x *session) greeting() dlp.Reply {
	if x.door.Protocol == DoorLMTP {
		return dlp.Reply{Code: 220, Text: x.srv.cfg.Hostname + " LMTP"}
	}
	return dlp.Reply{Code: 220, Text: x.srv.cfg.Hostname + " ESMTP"}
}

// broken answers a failed read of a command.
func (x *session) broken(ctx context.Context, err error) {
	switch ne, _ := errors.AsType[net.Error](err); {
	case errors.Is(err, errBareLine), errors.Is(err, errLongCmd):
		x.srv.d.Log.LogAttrs(ctx, slog.LevelInfo, "command line refused")
		x.reply(toReply(err))
		x.linger = true
	case x.isStopping():
		x.reply(replyStopping)
	case ne != nil && ne.Timeout():
		x.reply(replyIdle)
	}
}

// wait runs before each read that may block: what was answered goes out, and
// the read gets its deadline.
func (x *session) wait() error {
	silent := len(x.unacked) > x.due && x.silent()
	if err := x.flush(); err != nil {
		return err
	}
	if silent {
		x.due = len(x.unacked)
	}
	limit := x.limit
	switch {
	case x.body != nil:
		limit = x.body.deadline(time.Now())
	case limit.IsZero():
		limit = time.Now().Add(x.srv.cfg.CommandTimeout.D())
		end := x.opened.Add(x.srv.cfg.SessionTimeout.D())
		switch { // a message may still be finished, but not kept open by commands for ever
		case x.tx != nil && x.tx.chunks != nil:
			end = x.tx.since.Add(x.srv.cfg.DataTimeout.D())
		case x.tx != nil:
			end = x.tx.began.Add(x.srv.cfg.SessionTimeout.D())
		}
		limit = earliest(limit, end)
		x.limit = limit
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopping && !x.busy {
		if limit = earliest(limit, x.stopsBy()); !limit.After(time.Now()) {
			return os.ErrDeadlineExceeded
		}
	}
	return x.conn.SetReadDeadline(limit)
}

func (x *session) flush() error { return x.out.Flush() }

// toClient writes to x's connection as it is now. Each write has its time from
// when it begins: also what goes out because the buffer is full, long after the
// last flush.
type toClient struct{ x *session }

func (c toClient) Write(p []byte) (int, error) {
	if err := c.x.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.x.conn.Write(p)
}

// reply puts r in line for the client; it goes out with the next wait.
func (x *session) reply(r dlp.Reply) {
	if r.Code >= 400 {
		x.srv.d.Metrics.Refusal(r.Code)
	}
	_, _ = x.out.Write(appendReply(x.out.AvailableBuffer(), r)) // the writer keeps its error for flush
}

// fault answers a faulty command, and ends the session when there were too
// many.
func (x *session) fault(r dlp.Reply) bool {
	x.reply(r)
	if x.faults++; x.faults >= x.srv.cfg.MaxErrors {
		x.reply(replyErrors)
		x.linger = true
		return false
	}
	return true
}

// command answers one command. It returns false when the session is to end.
func (x *session) command(ctx context.Context, line string) bool {
	verb, arg, err := parseCommand(line)
	if err != nil {
		return x.fault(toReply(err))
	}
	if arg != "" && (verb == "RSET" || verb == "DATA" || verb == "QUIT") { // RFC 5321 4.1.1: these take none
		return x.fault(replyArgument)
	}
	switch verb {
	case "EHLO", "HELO", "LHLO":
		return x.hello(ctx, verb, arg)
	case "AUTH":
		return x.auth(ctx, arg)
	case "XCLIENT":
		return x.xclient(ctx, arg)
	case "XFORWARD":
		return x.xforward(arg)
	case "MAIL":
		return x.mail(ctx, arg)
	case "RCPT":
		return x.rcpt(ctx, arg)
	case "DATA":
		return x.data(ctx)
	case "BDAT":
		return x.bdat(ctx, arg)
	case "RSET":
		x.endTx(ctx)
		x.reply(replyOK)
	case "NOOP":
		x.reply(replyOK)
	case "QUIT":
		x.srv.giveUp(x)
		x.reply(replyBye)
		x.linger, x.quit = true, true
		return false
	case "STARTTLS":
		return x.startTLS(ctx, arg)
	case "VRFY":
		x.reply(dlp.Reply{Code: 252, Enhanced: "2.5.0", Text: "Not verified; send mail to find out"})
	case "HELP":
		x.reply(dlp.Reply{Code: 214, Enhanced: "2.0.0", Text: "See RFC 5321"})
	case "EXPN", "ETRN", "TURN", "SEND", "SOML", "SAML":
		return x.fault(replyNotHere)
	case "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS":
		// A web browser was talked into sending a request here: nothing of it
		// may be read as a command.
		x.reply(replyUnknown)
		x.linger = true
		return false
	default:
		return x.fault(replyUnknown)
	}
	return true
}

// hello answers EHLO and HELO, which also end a transaction, and LHLO, which
// alone is known where LMTP is spoken. RFC 5321 4.1.1.1, 4.1.4; RFC 2033 4.1.
func (x *session) hello(ctx context.Context, verb, arg string) bool {
	if (verb == "LHLO") != (x.door.Protocol == DoorLMTP) {
		return x.fault(replyUnknown)
	}
	name, err := parseHello(arg)
	if err != nil {
		return x.fault(toReply(err))
	}
	x.endTx(ctx)
	x.helo, x.esmtp = name, verb != "HELO"
	lines := []string{x.srv.cfg.Hostname}
	if x.esmtp {
		lines = append(lines, x.extensions()...)
	}
	x.reply(dlp.Reply{Code: 250, Text: strings.Join(lines, "\n")})
	return true
}

// extensions are what EHLO offers.
func (x *session) extensions() []string {
	var lines []string
	lines = append(lines, "PIPELINING", "SIZE "+strconv.FormatInt(int64(x.srv.cfg.MaxMessageSize), 10),
		"8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN")
	offers := offersOf(x.srv.d.NextHop)
	if offers.UTF8 {
		lines = append(lines, "SMTPUTF8")
	}
	if offers.Binary && offers.Chunking {
		lines = append(lines, "BINARYMIME")
	}
	if x.srv.d.TLS != nil && !x.secured {
		lines = append(lines, "STARTTLS")
	}
	if x.mayLogIn() {
		lines = append(lines, "AUTH PLAIN "+scram.Mechanism)
	}
	if x.speaksForOthers() {
		lines = append(lines, "XCLIENT "+xclientNames, "XFORWARD "+xforwardNames)
	}
	return lines
}

// startTLS secures the connection. Whatever the client sent in the clear after
// the command ends the session: it may be somebody else's. RFC 3207 4.2, 6.
func (x *session) startTLS(ctx context.Context, arg string) bool {
	switch {
	case x.srv.d.TLS == nil:
		return x.fault(replyNotHere)
	case arg != "":
		return x.fault(replyArgument)
	case x.secured, x.tx != nil:
		return x.fault(replySequence)
	case x.in.buffered() > 0:
		x.reply(dlp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Commands after STARTTLS in the clear"})
		x.linger = true
		return false
	}
	x.reply(dlp.Reply{Code: 220, Enhanced: "2.0.0", Text: "Ready for TLS"})
	return x.flush() == nil && x.handshake(ctx)
}

// handshake secures the connection.
func (x *session) handshake(ctx context.Context) bool {
	conn := tls.Server(x.conn, x.srv.d.TLS)
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	if conn.HandshakeContext(ctx) != nil {
		x.srv.d.Log.LogAttrs(ctx, slog.LevelInfo, "TLS handshake failed")
		x.out.Reset(io.Discard)
		return false
	}
	x.mu.Lock()
	x.conn = conn
	x.mu.Unlock()
	x.in.src = conn
	x.out.Reset(toClient{x})
	x.secured, x.helo, x.user, x.vouched, x.origin = true, "", "", false, Origin{} // RFC 3207 4.2: start over, knowing nothing
	return true
}

// endTx gives up the transaction, if there is one.
func (x *session) endTx(ctx context.Context) {
	tx := x.tx
	if tx == nil {
		return
	}
	x.tx = nil
	if tx.chunks != nil {
		tx.chunks.close()
	}
	if tx.onward != nil && !tx.onward.over() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resetTimeout)
		defer cancel()
		_ = tx.onward.Reset(ctx) // a connection that cannot be reset is closed
	}
	x.setBusy(false)
}

func (x *session) setBusy(busy bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy = busy
	x.used = x.used || busy
}

func (x *session) isStopping() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stopping
}

// stopsBy is until when a session that is to stop may wait for a transaction: a
// client that has just been let in is not turned away before its first. The
// caller holds mu.
func (x *session) stopsBy() time.Time {
	if x.used {
		return time.Unix(1, 0)
	}
	return x.opened.Add(firstMessage)
}

// stop asks the session to end between messages; one that waits for a command
// is woken. Called by another goroutine.
func (x *session) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopping = true
	if !x.busy {
		_ = x.conn.SetReadDeadline(x.stopsBy()) // fails only when it is closed already
	}
}

// cut closes the connection under the session. Called by another goroutine.
func (x *session) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c, ok := x.conn.(*tls.Conn); ok {
		_ = c.NetConn().Close() // without waiting to say goodbye
		return
	}
	_ = x.conn.Close()
}

// close ends the transaction and the connection.
func (x *session) close(ctx context.Context) {
	awaited := x.quit && len(x.unacked) > 0 && x.silent()
	err := x.flush()
	x.endTx(ctx)
	x.returnBuffer()
	if err == nil && awaited {
		x.acknowledgeEnd(ctx)
	}
	if err == nil && x.linger {
		x.lingerClose()
	}
	_ = x.conn.Close() // whatever was to be said has been flushed
}

// lingerClose tells the client that nothing more will come and lets it read the
// last reply: a connection closed with data unread is reset, and the reply with
// it.
func (x *session) lingerClose() {
	half, ok := x.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = x.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.CopyN(io.Discard, x.conn, lingerBytes) // read to be forgotten
}
