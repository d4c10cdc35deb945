package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// mailTx is a client's mail transaction.
type mailTx struct {
	from   dlp.Address
	opt    MailOptions
	began  time.Time
	hop    Transaction // nil before the first recipient
	onward *onward     // of hop
	// withheld says that nothing of this goes on before it is judged; hop is nobody
	withheld bool
	lost     bool      // the next hop was lost; nothing can become of this
	refusal  dlp.Reply // of the sender by the next hop; its Code is 0 for none

	rcpts  []dlp.Address
	params []dlp.RcptParams         // parallel to rcpts
	seen   map[dlp.Address]struct{} // of rcpts
	taken  []dlp.Address            // of the RCPT commands accepted, repeated ones too

	chunks *intake // of BDAT, once begun
	check  stuffer // over all chunks
	since  time.Time
}

// given returns the parameters of the recipients, nil when none had any.
func (tx *mailTx) given() []dlp.RcptParams {
	if slices.ContainsFunc(tx.params, func(p dlp.RcptParams) bool { return p != dlp.RcptParams{} }) {
		return tx.params
	}
	return nil
}

// binary reports a message that has no lines. RFC 3030 3.
func (tx *mailTx) binary() bool { return tx.opt.Body == string(gosmtp.BodyBinaryMIME) }

// mail answers MAIL for ourselves. The next hop hears of the sender together
// with the first recipient, which saves a round trip, and depends on it where
// there are several; what it says against the sender answers RCPT. RFC 5321
// 3.3, 4.1.1.2; a second MAIL inside a transaction: 4.1.4.
func (x *session) mail(ctx context.Context, arg string) bool {
	if x.helo == "" || x.tx != nil {
		return x.fault(replySequence)
	}
	if r := x.unwelcome(); r.Code != 0 {
		return x.fault(r)
	}
	from, opt, err := parseMail(arg)
	if err != nil {
		return x.fault(toReply(err))
	}
	if !x.ownSender(from) {
		x.reply(replyNotOwn)
		return true
	}
	if opt.Size > int64(x.srv.cfg.MaxMessageSize) {
		x.reply(replyTooLarge)
		return true
	}
	opt.Origin = x.takeOrigin()
	x.setBusy(true)
	x.tx = &mailTx{from: from, opt: opt, began: time.Now(), seen: map[dlp.Address]struct{}{}}
	x.reply(replySenderOK)
	return true
}

// rcpt answers RCPT with what the next hop says. RFC 5321 4.1.1.3.
func (x *session) rcpt(ctx context.Context, arg string) bool {
	tx := x.tx
	if tx == nil || tx.chunks != nil {
		return x.fault(replySequence)
	}
	rcpt, params, err := parseRcpt(arg, tx.opt.UTF8)
	if err != nil {
		return x.fault(toReply(err))
	}
	_, again := tx.seen[rcpt]
	switch {
	case tx.lost:
		x.reply(replyUnreached)
		return true
	case tx.refusal.Code != 0:
		x.reply(tx.refusal)
		return true
	case again:
		tx.taken = append(tx.taken, rcpt)
		x.reply(replyRcptOK)
		return true
	case len(tx.rcpts) >= x.srv.cfg.MaxRcpts:
		x.reply(replyTooMany)
		return true
	}
	r := x.offer(ctx, Recipient{rcpt, params})
	if r.Positive() {
		tx.taken = append(tx.taken, rcpt)
		tx.rcpts = append(tx.rcpts, rcpt)
		tx.params = append(tx.params, params)
		tx.seen[rcpt] = struct{}{}
	}
	x.reply(r)
	return r.Code != 421 // said by the next hop: to the client it means that we close too
}

// offerTimeout is how long a client waits for us to ask the next hop about one
// recipient, connecting and MAIL included; it gives up after five minutes.
// RFC 5321 4.5.3.2.3.
const offerTimeout = 4 * time.Minute

// offer asks the next hop about a recipient, and with the first about the
// sender.
func (x *session) offer(ctx context.Context, rcpt Recipient) dlp.Reply {
	ctx, cancel := context.WithTimeout(ctx, offerTimeout)
	defer cancel()
	tx := x.tx
	if x.withholds(ctx, rcpt) {
		x.withhold(ctx)
	}
	var r dlp.Reply
	var err error
	if tx.hop != nil {
		r, err = tx.hop.Rcpt(ctx, rcpt.Addr, rcpt.Params)
	} else if tx.hop, r, err = x.srv.d.NextHop.Begin(ctx, tx.from, tx.opt, rcpt); err == nil {
		tx.onward = &onward{tx: tx.hop}
	} else if re, ok := errors.AsType[*ReplyError](err); ok {
		tx.refusal = re.Reply
		return re.Reply
	}
	if err != nil {
		tx.lost = true
		return replyUnreached
	}
	return r
}

// sendable answers DATA and BDAT where no message may follow.
func (x *session) sendable() (dlp.Reply, bool) {
	switch {
	case x.tx == nil:
		return replySequence, false
	case x.tx.lost:
		return replyUnreached, false
	case len(x.tx.rcpts) == 0:
		return replyNoRcpt, false
	}
	return dlp.Reply{}, true
}

// unsendable answers r. A client that pipelines sends DATA before it knows that
// every recipient was refused: that is no fault of its own.
func (x *session) unsendable(r dlp.Reply) bool {
	if x.tx == nil {
		return x.fault(r)
	}
	x.reply(r)
	return true
}

// data answers DATA and reads the message. RFC 5321 4.1.1.4.
func (x *session) data(ctx context.Context) bool {
	if r, ok := x.sendable(); !ok {
		return x.unsendable(r)
	}
	if x.tx.chunks != nil || x.tx.binary() {
		return x.fault(replySequence) // RFC 3030 2: BDAT and DATA do not mix; 3: binary data is no DATA
	}
	x.reply(replyGoAhead)
	in := x.newIntake()
	defer in.close()
	x.borrowBuffer()
	x.body = newBodyClock(&x.srv.cfg, time.Now())
	defer func() { x.body = nil }()
	u := newUnstuffer()
	for {
		n, done, err := u.next(x.in.window(), in.add)
		x.in.take(n)
		x.body.read += int64(n)
		if err != nil {
			return x.abort(ctx, err)
		}
		if done {
			break
		}
		if in.tooMuch() {
			return x.abort(ctx, in.refused)
		}
		if err := x.in.fill(); err != nil {
			return x.cutShort(ctx, err)
		}
	}
	x.body = nil
	return x.finish(ctx, in)
}

// bdat answers BDAT and reads its chunk. What comes after the last byte of a
// chunk is the next command; a chunk that stops before it is no chunk.
// RFC 3030 2.
func (x *session) bdat(ctx context.Context, arg string) bool {
	size, last, err := parseBdat(arg)
	if err != nil { // how much of what follows is data cannot be known
		return x.abort(ctx, err)
	}
	r, ok := x.sendable()
	if !ok {
		if size > int64(x.srv.cfg.MaxMessageSize) {
			return x.abort(ctx, errTooLarge)
		}
		if err := x.chunk(size, time.Now(), func([]byte) {}); err != nil {
			return x.cutShort(ctx, err)
		}
		return x.unsendable(r)
	}
	tx := x.tx
	if tx.chunks == nil {
		tx.chunks, tx.check, tx.since = x.newIntake(), newStuffer(), time.Now()
	}
	in := tx.chunks
	if size > 2*in.max-in.size {
		return x.abort(ctx, errTooLarge)
	}
	var bad error
	err = x.chunk(size, tx.since, func(p []byte) {
		in.add(p)
		if bad == nil && !in.binary { // binary data goes on by BDAT, which has no end mark
			bad = tx.check.write(p, func([]byte) error { return nil })
		}
	})
	if err != nil {
		return x.cutShort(ctx, err)
	}
	if bad == nil && last && !in.binary {
		_, bad = tx.check.end()
	}
	switch {
	case bad != nil:
		return x.abort(ctx, bad)
	case in.refused != nil && !last:
		x.reply(toReply(in.refused))
		x.endTx(ctx)
	case last:
		return x.finish(ctx, in)
	default:
		x.reply(dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: fmt.Sprintf("%d octets received", size)})
	}
	return true
}

// chunk reads exactly size bytes of a message begun at since.
func (x *session) chunk(size int64, since time.Time, add func([]byte)) error {
	x.borrowBuffer()
	x.body = newBodyClock(&x.srv.cfg, since)
	defer func() { x.body = nil }()
	for size > 0 {
		if x.in.buffered() == 0 {
			if err := x.in.fill(); err != nil {
				return err
			}
		}
		p := x.in.window()
		p = p[:min(int64(len(p)), size)]
		add(p)
		x.in.take(len(p))
		x.body.read += int64(len(p))
		size -= int64(len(p))
	}
	return nil
}

// abort refuses a message of which the end cannot be found, or is not worth
// finding, and ends the session.
func (x *session) abort(ctx context.Context, why error) bool {
	x.reply(toReply(why))
	x.srv.d.Log.LogAttrs(ctx, slog.LevelInfo, "message refused while it was read", slog.Int("code", toReply(why).Code))
	x.linger = true
	return false
}

// cutShort ends a session whose message was never finished. Nothing of it is
// delivered, and nothing after it is read as a command.
func (x *session) cutShort(ctx context.Context, err error) bool {
	x.srv.d.Log.LogAttrs(ctx, slog.LevelInfo, "message cut short")
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		x.reply(replyIdle)
		x.linger = true
	}
	return false
}

func (x *session) newIntake() *intake {
	return &intake{buf: x.srv.d.Buffers.New(), max: int64(x.srv.cfg.MaxMessageSize), binary: x.tx.binary()}
}

// finish answers a whole message and ends its transaction.
func (x *session) finish(ctx context.Context, in *intake) bool {
	var r dlp.Reply
	var out dlp.Outcome
	if err := in.done(); err != nil {
		r = toReply(err)
	} else {
		out, r = x.judge(ctx, in)
	}
	replies := []dlp.Reply{r}
	if x.door.Protocol == DoorLMTP {
		replies = wordingEach(x.tx.taken, out, r) // RFC 2033 4.2
	}
	x.endTx(ctx)
	for _, r := range replies {
		x.reply(r)
	}
	return r.Code != 421
}

// judge gives the message to the Handler and words what became of it.
func (x *session) judge(ctx context.Context, in *intake) (dlp.Outcome, dlp.Reply) {
	tx, now := x.tx, x.srv.d.Now()
	id := dlp.NewID()
	scatterer, ok := tx.hop.(Scatterer)
	doc := &dlp.Document{
		ID: id, Channel: dlp.Mail, Sender: tx.from, Rcpts: tx.rcpts, Received: now, Size: in.buf.Size(),
		Params: tx.opt.MailParams, RcptParams: tx.given(), Scattered: ok && scatterer.Scattered(),
		Trace: traceHeader(x.srv.cfg.Hostname, x.helo, x.with(tx).String(), x.client, id, now),
		Open:  in.buf.Open,
	}
	ctx, cancel := context.WithTimeout(ctx, x.srv.cfg.AnswerTimeout.D())
	defer cancel()
	out := x.handle(ctx, doc, tx.onward)
	sent := tx.onward.answered()
	if out.Acknowledge && out.ID != "" {
		x.unacked = append(x.unacked, out.ID)
	}
	return out, wording(out, sent, x.srv.cfg.Contact)
}

// with tells how the message of tx came.
func (x *session) with(tx *mailTx) with {
	return with{lmtp: x.door.Protocol == DoorLMTP, extended: x.esmtp, secured: x.secured, authenticated: x.user != "", utf8: tx.opt.UTF8}
}

// handle calls the Handler. One that breaks costs its message a "try again".
func (x *session) handle(ctx context.Context, doc *dlp.Document, o *onward) (out dlp.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			x.srv.d.Log.LogAttrs(ctx, slog.LevelError, "handling a message broke",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			out = dlp.Outcome{Kind: dlp.TryAgain, ID: doc.ID}
		}
	}()
	return x.srv.d.Handler.Message(ctx, doc, o)
}

// borrowBuffer gives the reader the room of a body.
func (x *session) borrowBuffer() {
	if len(x.in.buf) < largeBuffer {
		x.small = x.in.swap(x.srv.bodies.Get().(*[largeBuffer]byte)[:])
	}
}

// returnBuffer gives it back; what was read ahead, if it is little, is kept.
func (x *session) returnBuffer() {
	if len(x.in.buf) < largeBuffer {
		return
	}
	if x.in.buffered() > smallBuffer {
		x.in.take(x.in.buffered()) // the session is over
	}
	old := x.in.swap(x.small)
	x.srv.bodies.Put((*[largeBuffer]byte)(old))
}

// bodyClock bounds the time a body may take: as a whole, and by the rate at
// which it comes.
type bodyClock struct {
	started time.Time // of this stretch of body
	end     time.Time // of the whole message
	rate    int64     // bytes per second, after the grace
	idle    time.Duration
	read    int64 // bytes of this stretch
}

const rateGrace = time.Minute // before the rate counts

// newBodyClock starts a stretch of the message begun at since.
func newBodyClock(cfg *Config, since time.Time) *bodyClock {
	return &bodyClock{started: time.Now(), end: since.Add(cfg.DataTimeout.D()), rate: int64(cfg.MinRate), idle: cfg.CommandTimeout.D()}
}

// deadline is when the next read must have given something.
func (c *bodyClock) deadline(now time.Time) time.Time {
	slow := c.started.Add(rateGrace + time.Duration(c.read/c.rate)*time.Second)
	return earliest(now.Add(c.idle), slow, c.end)
}

func earliest(t time.Time, more ...time.Time) time.Time {
	for _, u := range more {
		if u.Before(t) {
			t = u
		}
	}
	return t
}

// errEnded is what a transaction answers once it was sent or reset.
var errEnded = errors.New("smtp: transaction has ended")

// onward hands a transaction to the Handler and sees to it that it ends once.
type onward struct {
	tx Transaction

	mu    sync.Mutex // guards all below
	ended bool
	sent  bool // Send had an answer
}

// Send passes the message on, unless the transaction has ended.
func (o *onward) Send(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	if !o.begin() {
		return dlp.Reply{}, &dlp.SendError{Err: errEnded}
	}
	r, err := o.tx.Send(ctx, header, body)
	if err == nil {
		o.mu.Lock()
		o.sent = true
		o.mu.Unlock()
	}
	return r, err
}

// Reset gives the transaction up; one that has ended is left alone.
func (o *onward) Reset(ctx context.Context) error {
	if !o.begin() {
		return nil
	}
	return o.tx.Reset(ctx)
}

// PassesDSN reports whether the next hop reports on deliveries.
func (o *onward) PassesDSN() bool {
	d, ok := o.tx.(DSNPasser)
	return !ok || d.PassesDSN()
}

// begin claims the one end that the transaction has.
func (o *onward) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.ended
	o.ended = true
	return first
}

// over reports whether the transaction has ended.
func (o *onward) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// answered reports whether the next hop answered the message.
func (o *onward) answered() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent
}
