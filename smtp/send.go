package smtp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

// clientTx is a transaction over one connection, which it gives back or closes
// when it ends.
type clientTx struct {
	c        *Client
	h        *hop // nil once given back or closed
	opt      MailOptions
	dsn      bool        // the next hop offers it
	accepted int         // recipients
	replies  []dlp.Reply // once answered: one for each of them
}

// Rcpt offers a recipient. A 421 ends the connection.
func (t *clientTx) Rcpt(ctx context.Context, rcpt dlp.Address, p dlp.RcptParams) (dlp.Reply, error) {
	if t.h == nil {
		return dlp.Reply{}, errEnded
	}
	if !t.takes(rcpt) {
		return replyNoUTF8, nil
	}
	return t.offered(ctx, func(ctx context.Context, d time.Duration) (dlp.Reply, error) {
		return t.h.command(ctx, d, t.h.rcptCommand(rcpt, p))
	})
}

// takes reports whether rcpt can be said to the next hop.
func (t *clientTx) takes(rcpt dlp.Address) bool { return t.h.ext.UTF8 || rcpt.IsASCII() }

// offered takes in what ask brings: the answer to a RCPT.
func (t *clientTx) offered(ctx context.Context, ask func(context.Context, time.Duration) (dlp.Reply, error)) (dlp.Reply, error) {
	r, err := ask(ctx, t.c.cfg.CommandTimeout)
	switch {
	case err != nil:
	case t.h.elsewhere(r):
		err = errElsewhere
	case noAnswer(r):
		err = errReply
	case t.h.saidMore(): // one of the two is not the answer
		err = errOutOfStep
	}
	if err != nil || r.Code == 421 {
		t.drop()
	}
	if err != nil {
		return dlp.Reply{}, t.c.failed(ctx, metrics.StageRcpt, err)
	}
	if r.Positive() {
		t.accepted++
	}
	return r, nil
}

// Reset gives the transaction up.
func (t *clientTx) Reset(ctx context.Context) error {
	if t.h == nil {
		return nil
	}
	r, err := t.h.command(ctx, t.c.cfg.CommandTimeout, "RSET")
	if err != nil || !r.Positive() {
		t.drop()
		return t.c.failed(ctx, metrics.StageReset, positive(r, err))
	}
	t.keep()
	return nil
}

// drop closes the connection: whatever the next hop had of this transaction it
// forgets.
func (t *clientTx) drop() {
	t.h.close()
	t.h = nil
}

// keep gives the connection back.
func (t *clientTx) keep() {
	t.c.pool.put(t.h)
	t.h = nil
}

// Send passes header and body on. A message that this next hop cannot take, or
// that could be read as more than one, gets a 5yz reply and does not leave:
// larger than its SIZE 552 5.3.4, 8-bit data without 8BITMIME 554 5.6.3, a dot
// alone between bare CR or LF 554 5.6.0. Size and 8-bit data are looked for
// before DATA when body is an io.Seeker, else on the way. The connection is
// closed, and no end mark sent, when the message cannot be sent to its end.
func (t *clientTx) Send(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	if t.h == nil {
		return dlp.Reply{}, &dlp.SendError{Err: errEnded}
	}
	t.h.watch(ctx) // until the connection is put back or closed
	if r, err := t.unfit(header, body); err != nil || r.Code != 0 {
		return t.refuse(ctx, r, err)
	}
	if !t.h.inStep() {
		t.drop()
		return dlp.Reply{}, &dlp.SendError{Err: t.c.failed(ctx, metrics.StageData, errOutOfStep)}
	}
	if t.opt.Body == string(gosmtp.BodyBinaryMIME) {
		return t.sendChunks(ctx, header, body) // RFC 3030 3: DATA cannot carry it
	}
	r, err := t.h.data(ctx, t.c.cfg.CommandTimeout)
	switch {
	case err == nil && t.h.elsewhere(r):
		err = errElsewhere
	case err == nil && t.h.saidMore(): // nothing of the message has left
		err = errOutOfStep
	}
	switch {
	case err != nil:
		t.drop()
		return dlp.Reply{}, &dlp.SendError{Err: t.c.failed(ctx, metrics.StageData, err)}
	case r.Code != 354:
		return t.refused(ctx, metrics.StageData, r)
	}
	return t.transfer(ctx, header, body)
}

// refuse ends the transaction with RSET and returns what was found before any
// of the message left.
func (t *clientTx) refuse(ctx context.Context, r dlp.Reply, err error) (dlp.Reply, error) {
	_ = t.Reset(ctx) // a connection that cannot be reset is closed
	if err != nil {
		return dlp.Reply{}, &dlp.SendError{Err: err}
	}
	return r, nil
}

// refused ends the transaction after the next hop refused, at a stage before the
// end of the message, with r. A refusal for good counts only if it was meant.
func (t *clientTx) refused(ctx context.Context, at metrics.Stage, r dlp.Reply) (dlp.Reply, error) {
	switch {
	case r.Permanent():
		meant := t.h.meant(ctx)
		t.drop()
		if !meant {
			return dlp.Reply{}, &dlp.SendError{Err: t.c.failed(ctx, at, errOutOfStep)}
		}
		return r, nil
	case r.Code == 421:
		t.drop()
		return r, nil
	}
	return t.refuse(ctx, r, nil)
}

// unfit looks for what the next hop cannot take. The zero Reply means nothing.
func (t *clientTx) unfit(header []byte, body io.Reader) (dlp.Reply, error) {
	s, ok := body.(io.ReadSeeker)
	if !ok {
		return dlp.Reply{}, nil
	}
	if t.h.size > 0 {
		n, err := s.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = s.Seek(0, io.SeekStart)
		}
		if err != nil {
			return dlp.Reply{}, fmt.Errorf("smtp: read message: %w", err)
		}
		if n+int64(len(header)) > t.h.size {
			return replyTooLarge, nil
		}
	}
	if t.h.offers8Bit {
		return dlp.Reply{}, nil
	}
	found := false
	_, err := io.Copy(writerFunc(func(p []byte) (int, error) {
		found = found || !is7Bit(p)
		return len(p), nil
	}), s)
	if err == nil {
		_, err = s.Seek(0, io.SeekStart)
	}
	if err != nil {
		return dlp.Reply{}, fmt.Errorf("smtp: read message: %w", err)
	}
	if found || !is7Bit(header) {
		return replyNo8Bit, nil
	}
	return dlp.Reply{}, nil
}

// data sends DATA and reads its reply, the only one that may be 354.
func (h *hop) data(ctx context.Context, d time.Duration) (dlp.Reply, error) {
	r, err := h.command(ctx, d, "DATA")
	switch {
	case errors.Is(err, errReply) && r.Code == 354:
		return r, nil
	case err == nil && r.Positive():
		return r, errReply
	}
	return r, err
}

// errUnreadable wraps a failure to read our own copy of the message.
var errUnreadable = errors.New("smtp: message cannot be read")

// transfer sends the wire form after 354, under Send's watch, and reads the final
// reply.
func (t *clientTx) transfer(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	h, c := t.h, t.c
	mark, err := h.stuff(ctx, c.cfg.BlockTimeout, header, body, &c.bodies)
	if err == nil && !h.inStep() { // what it says before the end is no answer to the message
		err = errOutOfStep
	}
	if err != nil {
		return t.broken(ctx, err)
	}
	_, _ = h.bw.WriteString(mark) // the writer keeps its error for Flush
	if err := h.flush(ctx, c.cfg.BlockTimeout); err != nil {
		t.drop()
		return dlp.Reply{}, &dlp.SendError{AfterDot: true, Err: c.failed(ctx, metrics.StageDot, err)}
	}
	return t.final(ctx)
}

// PassesDSN reports whether the next hop takes on reporting what the client
// asked for.
func (t *clientTx) PassesDSN() bool { return t.dsn }

// broken closes a connection in the middle of a message. What the message was
// stopped for is the answer where it has one; a next hop that stopped reading
// may have said why. What it says before any of the message has left is no
// answer to it.
func (t *clientTx) broken(ctx context.Context, err error) (dlp.Reply, error) {
	defer t.drop()
	switch {
	case errors.Is(err, errEndMark):
		return toReply(errEndMark), nil
	case errors.Is(err, err8Bit):
		return replyNo8Bit, nil
	case errors.Is(err, errUnreadable):
		return dlp.Reply{}, &dlp.SendError{Err: err}
	}
	if t.h.emitted > t.h.bw.Buffered() { // before the first byte there is nothing to refuse
		if r, rerr := t.h.answer(ctx, time.Second); rerr == nil && !r.Positive() && !t.h.elsewhere(r) {
			return r, nil
		}
	}
	return dlp.Reply{}, &dlp.SendError{Err: t.c.failed(ctx, metrics.StageBody, err)}
}

// err8Bit stops a message with 8-bit data to a next hop without 8BITMIME.
var err8Bit = errors.New("smtp: 8-bit data to a next hop that takes none")

// stuff writes the wire form of header and body, and returns the end mark that
// is still to be written. RFC 5321 4.5.2.
func (h *hop) stuff(ctx context.Context, d time.Duration, header []byte, body io.Reader, bufs *sync.Pool) (string, error) {
	s := newStuffer()
	h.emitted = 0
	emit := func(p []byte) error {
		n, err := h.bw.Write(p)
		h.emitted += n
		return err
	}
	write := func(p []byte) error {
		if !h.offers8Bit && !is7Bit(p) {
			return err8Bit
		}
		h.arm(ctx, d)
		return s.write(p, emit)
	}
	if err := write(header); err != nil {
		return "", err
	}
	buf := bufs.Get().(*[largeBuffer]byte)
	used := 0
	defer func() {
		clear(buf[:used]) // it held mail
		bufs.Put(buf)
	}()
	for {
		n, err := body.Read(buf[:])
		used = max(used, n)
		if werr := write(buf[:n]); werr != nil {
			return "", werr
		}
		switch {
		case err == io.EOF: // not one that wraps it: that body has not ended
			return s.end()
		case err != nil:
			return "", fmt.Errorf("%w: %w", errUnreadable, err)
		}
	}
}

// flush sends what is buffered within d.
func (h *hop) flush(ctx context.Context, d time.Duration) error {
	if h.watch(ctx) {
		defer h.rest()
	}
	h.arm(ctx, d)
	return h.bw.Flush()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// is7Bit reports whether no byte of p has its high bit set. NUL passes: it is a
// byte like others on this road.
func is7Bit(p []byte) bool {
	for len(p) >= 8 {
		if binary.NativeEndian.Uint64(p)&0x8080808080808080 != 0 {
			return false
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
