package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

// Whether a client has read the answer to a message can be seen only in what it
// does next. A command that it sent along with the end of the message (RFC 2920
// 3.1; Postfix sends QUIT so) was sent before there was an answer, and says
// nothing. So what counts is a command of which the first byte came after the
// answer had gone out, or, once it has said QUIT, that it ends the connection
// in good order, its machine having received all of the answers.

// acknowledge has the Handler record that the client read the answers it was
// given: it has sent a further command since. It returns false where that could
// not be recorded; the session is to end then.
func (x *session) acknowledge(ctx context.Context) bool {
	if x.due == 0 || unreceived(x.conn) {
		return true
	}
	if !x.acknowledgeFirst(ctx, x.due) {
		x.reply(replyBroken)
		return false
	}
	return true
}

// acknowledgeEnd waits for a client that has said QUIT together with the end of a
// message to close the connection, and acknowledges what it was answered. It is
// called with the answers flushed, and only where the client had not closed
// before that. What is sent to a client that has closed breaks the connection, and
// whether it had all would not be known; so we close our half first only where the
// client's machine has received all of the answers and it has not closed for
// quietTimeout since: it waits for us. That goes without TLS alone, of which the
// end is a record more.
func (x *session) acknowledgeEnd(ctx context.Context) {
	until := time.Now().Add(lingerTimeout)
	half, plain := x.conn.(*net.TCPConn)
	for left := int64(lingerBytes); left > 0 && time.Now().Before(until); {
		wait, received := until, !unreceived(x.conn)
		if plain {
			wait = time.Now().Add(quietTimeout)
		}
		_ = x.conn.SetReadDeadline(wait)
		n, err := io.CopyN(io.Discard, x.conn, left)
		left -= n
		switch {
		case errors.Is(err, io.EOF):
			if !unreceived(x.conn) {
				x.acknowledgeFirst(ctx, len(x.unacked))
			}
			return
		case !isTimeout(err):
			return
		case plain && received && n == 0:
			if half.CloseWrite() != nil {
				return
			}
			plain = false // and it has the rest of the time to do so too
		}
	}
}

// acknowledgeFirst acknowledges the first n of unacked.
func (x *session) acknowledgeFirst(ctx context.Context, n int) bool {
	ids := x.unacked[:n]
	x.unacked, x.due = x.unacked[n:], 0
	ctx, cancel := context.WithTimeout(ctx, x.srv.cfg.CommandTimeout.D())
	defer cancel()
	if err := x.srv.d.Handler.Acknowledge(ctx, ids); err != nil {
		x.srv.d.Log.LogAttrs(ctx, slog.LevelWarn, "acknowledgement not recorded", slog.String("doc", string(ids[0])))
		return false
	}
	return true
}

// silent reports whether the client has neither sent anything that was not taken
// yet nor closed, as far as that has come here. It looks and does not wait. What
// TLS holds back of what it has read is taken into the reader.
func (x *session) silent() bool {
	if _, said := peek(x.conn); said || x.in.buffered() > 0 {
		return false
	}
	if _, secured := x.conn.(*tls.Conn); !secured {
		return true
	}
	_ = x.conn.SetReadDeadline(time.Unix(1, 0)) // as in lookInside; the next read sets its own
	n, err := x.in.look()
	return n == 0 && isTimeout(err)
}
