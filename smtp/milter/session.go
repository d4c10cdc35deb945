package milter

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	gomilter "github.com/d--j/go-milter"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// session is one connection of a mail server, over which come the messages of
// one client and perhaps of more after it. The library calls it from one
// goroutine.
type session struct {
	gomilter.NoOpMilter
	srv     *Server
	ctx     context.Context // of the Handler; kept since the library has none
	conn    *guard
	helo    string
	client  netip.Addr // zero: not known
	tx      *envelope
	unacked []dlp.ID // answered, not yet known to have been read
}

// envelope is one message while it comes in.
type envelope struct {
	from   dlp.Address
	params dlp.MailParams
	rcpts  []dlp.Address
	of     []dlp.RcptParams
	paths  map[dlp.Address][]string // as the server writes them
	body   *incoming                // nil before the first of it
}

func newSession(ctx context.Context, srv *Server, conn net.Conn) *session {
	x := &session{srv: srv, ctx: ctx}
	x.conn = newGuard(conn, srv.cfg.IdleTimeout.D(), srv.cfg.PacketTimeout.D(), x.command)
	return x
}

// command runs before each packet is read: a later packet says that the server
// has our answers.
func (x *session) command(byte) error {
	if len(x.unacked) == 0 {
		return nil
	}
	ids := x.unacked
	x.unacked = nil
	ctx, cancel := context.WithTimeout(x.ctx, x.srv.cfg.PacketTimeout.D())
	defer cancel()
	if err := x.srv.d.Handler.Acknowledge(ctx, ids); err != nil {
		x.srv.d.Log.LogAttrs(ctx, slog.LevelWarn, "acknowledgement not recorded", slog.String("doc", string(ids[0])))
		return err
	}
	return nil
}

// end forgets the message under way.
func (x *session) end() {
	if x.tx != nil && x.tx.body != nil {
		x.tx.body.close()
	}
	x.tx = nil
}

// NewConnection begins with another client.
func (x *session) NewConnection(gomilter.Modifier) error {
	x.end()
	x.helo, x.client = "", netip.Addr{}
	return nil
}

// Connect learns who the client is.
func (x *session) Connect(_, _ string, _ uint16, addr string, _ gomilter.Modifier) (*gomilter.Response, error) {
	x.client = netip.Addr{}
	if a, err := netip.ParseAddr(addr); err == nil {
		x.client = a.Unmap().WithZone("")
	}
	return gomilter.RespContinue, nil
}

// Helo learns what the client calls itself.
func (x *session) Helo(name string, _ gomilter.Modifier) (*gomilter.Response, error) {
	x.helo = name
	return gomilter.RespContinue, nil
}

// MailFrom begins a message.
func (x *session) MailFrom(from, args string, _ gomilter.Modifier) (*gomilter.Response, error) {
	x.end()
	a, p, err := smtp.ReadSender(from, strings.Fields(args))
	if err != nil {
		return respond(smtp.ReplyTo(err)), nil
	}
	x.tx = &envelope{from: a, params: p, paths: map[dlp.Address][]string{}}
	return gomilter.RespContinue, nil
}

// RcptTo adds a recipient. One that cannot be read the same way by everybody is
// refused: it could not be judged.
func (x *session) RcptTo(to, args string, _ gomilter.Modifier) (*gomilter.Response, error) {
	if x.tx == nil {
		return gomilter.RespTempFail, nil
	}
	a, p, err := smtp.ReadRcpt(to, strings.Fields(args), x.tx.params.UTF8)
	if err != nil {
		return respond(smtp.ReplyTo(err)), nil
	}
	paths, again := x.tx.paths[a]
	switch {
	case again && len(paths) >= maxPaths, !again && len(x.tx.rcpts) >= x.srv.limits.MaxRcpts:
		return respond(dlp.Reply{Code: 452, Enhanced: "4.5.3", Text: "Too many recipients"}), nil
	case !again:
		x.tx.rcpts, x.tx.of = append(x.tx.rcpts, a), append(x.tx.of, p)
	}
	x.tx.paths[a] = append(paths, to)
	return gomilter.RespContinue, nil
}

// maxPaths is in how many ways one message may write the same recipient.
const maxPaths = 16

// Data does nothing yet.
func (x *session) Data(gomilter.Modifier) (*gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// intake returns where the message goes, or nil outside of one.
func (x *session) intake() *incoming {
	if x.tx == nil {
		return nil
	}
	if x.tx.body == nil {
		x.tx.body = newIncoming(x.srv.d.Buffers.New(), x.srv.limits.MaxMessageSize)
	}
	return x.tx.body
}

// Header takes one field; past all bounds it ends the connection.
func (x *session) Header(name, value string, m gomilter.Modifier) (*gomilter.Response, error) {
	b := x.intake()
	if b == nil {
		return gomilter.RespContinue, nil
	}
	if b.field(name, value, m.Protocol()&gomilter.OptHeaderLeadingSpace != 0); b.in.TooMuch() {
		return nil, net.ErrClosed // what the library says nothing about
	}
	return gomilter.RespContinue, nil
}

// Headers ends the header.
func (x *session) Headers(gomilter.Modifier) (*gomilter.Response, error) {
	if b := x.intake(); b != nil {
		b.endHeader()
	}
	return gomilter.RespContinue, nil
}

// BodyChunk takes a stretch of the body. A message far beyond what is taken
// ends the connection.
func (x *session) BodyChunk(chunk []byte, _ gomilter.Modifier) (*gomilter.Response, error) {
	b := x.intake()
	if b == nil {
		return gomilter.RespContinue, nil
	}
	b.endHeader()
	if b.in.Add(chunk); b.in.TooMuch() {
		return nil, net.ErrClosed // what the library says nothing about
	}
	return gomilter.RespContinue, nil
}

// Abort forgets the message under way.
func (x *session) Abort(gomilter.Modifier) error {
	x.end()
	return nil
}

// Unknown answers nothing.
func (x *session) Unknown(string, gomilter.Modifier) (*gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// EndOfMessage has the message judged and tells the server what to do.
func (x *session) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	tx, b := x.tx, x.intake()
	defer x.end()
	if b == nil || len(tx.rcpts) == 0 { // no such message was begun
		return gomilter.RespTempFail, nil
	}
	b.endHeader()
	if err := b.done(); err != nil {
		return respond(smtp.ReplyTo(err)), nil
	}
	now, id := x.srv.d.Now(), dlp.NewID()
	received := x.received(m, id, now)
	doc := &dlp.Document{
		ID: id, Channel: dlp.Mail, Sender: tx.from, Params: tx.params, Rcpts: tx.rcpts, RcptParams: tx.of,
		Received: now, Size: b.buf.Size(), Trace: append(bytes.Clone(received), "X-Stanch-Id: "+string(id)+"\r\n"...), Open: b.buf.Open,
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.srv.cfg.AnswerTimeout.D())
	defer cancel()
	o := &onward{m: m, doc: doc, paths: tx.paths, received: received, working: keepWaiting(m)}
	out := x.handle(ctx, doc, o)
	o.working.stop()
	return x.answer(out, o, m), nil
}

// handle calls the Handler. One that breaks costs its message a "try again".
func (x *session) handle(ctx context.Context, doc *dlp.Document, o *onward) (out dlp.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			x.srv.d.Log.LogAttrs(ctx, slog.LevelError, "handling a message broke",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			out = dlp.Outcome{Kind: dlp.TryAgain, ID: doc.ID}
			o.failed = true
		}
	}()
	return x.srv.d.Handler.Message(ctx, doc, o)
}

// answer words what became of a message as the server's orders. It goes on
// with the message only if it was told to keep it; what is ours by now it
// discards; all else its client is told.
func (x *session) answer(out dlp.Outcome, o *onward, m gomilter.Modifier) *gomilter.Response {
	r := smtp.Wording(out, o.kept, x.srv.limits.Contact)
	switch {
	case !r.Positive():
		return respond(r)
	case o.failed: // part of our orders may be with the server: none of them is to count
		return gomilter.RespTempFail
	}
	order := gomilter.RespDiscard
	switch {
	case o.kept:
		order = gomilter.RespAccept
	case out.Kind == dlp.Held && x.srv.cfg.Held == HeldQuarantine && m.Actions()&gomilter.OptQuarantine != 0:
		mark := o.insert([]byte("X-Stanch-Id: " + string(out.ID) + "\r\n")) // Postfix says no reason
		if mark != nil || m.Quarantine("stanch "+string(out.ID)) != nil {
			return gomilter.RespTempFail
		}
		order = gomilter.RespAccept
	}
	if out.Acknowledge && out.ID != "" {
		x.unacked = append(x.unacked, out.ID)
	}
	return order
}

// respond words a reply of 4yz or 5yz; anything else is to be tried again.
func respond(r dlp.Reply) *gomilter.Response {
	resp, err := gomilter.RejectWithCodeAndReason(uint16(r.Code), strings.TrimSpace(r.Enhanced+" "+r.Text))
	if err != nil {
		return gomilter.RespTempFail
	}
	return resp
}

// received is the trace field of what becomes ours. The server that keeps a
// message writes its own.
//
// Source: RFC 5321 4.4.
func (x *session) received(m gomilter.Modifier, id dlp.ID, at time.Time) []byte {
	from := "from " + smtp.HeloName(x.helo, x.client)
	if x.client.IsValid() {
		literal := "[" + x.client.String() + "]"
		if x.client.Is6() {
			literal = "[IPv6:" + x.client.String() + "]"
		}
		from += " (" + literal + ")"
	}
	queue := ""
	if q := m.Get(gomilter.MacroQueueId); isWord(q) {
		queue = ", queue id " + q
	}
	return fmt.Appendf(nil, "Received: %s\r\n\tby %s (milter%s) id %s;\r\n\t%s\r\n",
		from, x.srv.limits.Hostname, queue, id, at.UTC().Format(time.RFC1123Z))
}

// isWord reports whether s is what a queue id is made of.
func isWord(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return s != "" && len(s) <= 40 && strings.Trim(s, letters) == ""
}

// waiting tells a server every few seconds that its message is being worked on.
type waiting struct {
	end  chan struct{} // closed to end it
	over chan struct{} // closed when it has ended
}

const progressEvery = 10 * time.Second // Sendmail and Postfix wait 5 minutes at most, or what an administrator made of it

func keepWaiting(m gomilter.Modifier) *waiting {
	w := &waiting{end: make(chan struct{}), over: make(chan struct{})}
	if m.Version() < 6 { // there is no word for it
		close(w.over)
		return w
	}
	go func() {
		defer close(w.over)
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if m.Progress() != nil {
					return
				}
			case <-w.end:
				return
			}
		}
	}()
	return w
}

// stop ends it and waits, so that nothing is written between our orders.
func (w *waiting) stop() {
	select {
	case <-w.end:
	default:
		close(w.end)
	}
	<-w.over
}
