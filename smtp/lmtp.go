package smtp

import (
	"context"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

// EachSender is a Transaction whose next hop may answer for each recipient by
// itself.
type EachSender interface {
	// SendEach is Send with one reply for each recipient that was accepted, in
	// their order. After an error those that were answered before it have their
	// reply; the Code of the others is 0.
	SendEach(ctx context.Context, header []byte, body io.Reader) ([]dlp.Reply, error)
}

// Scatterer is a Transaction that may be unable to answer for all its
// recipients at once: they have different next hops, or one that answers for
// each by itself.
type Scatterer interface {
	// Scattered reports whether that is so of those accepted until now. Then
	// the message is not sent inside the client's transaction; see
	// dlp.Document.Scattered.
	Scattered() bool
}

// Scattered reports whether the next hop will give more than one answer. A
// client has one reply: with it, what some recipients got and others did not
// would be lost for these or come twice to those. RFC 2033 4.2.
func (t *clientTx) Scattered() bool { return t.c.cfg.LMTP && t.accepted > 1 }

// SendEach passes the message on and returns an answer for each recipient.
func (t *clientTx) SendEach(ctx context.Context, header []byte, body io.Reader) ([]dlp.Reply, error) {
	r, err := t.Send(ctx, header, body)
	if t.replies != nil || err != nil {
		return t.replies, err
	}
	out := make([]dlp.Reply, t.accepted)
	for i := range out {
		out[i] = r
	}
	return out, nil
}

// final reads what settles the message: one reply, or by LMTP one for each
// recipient. Of several, the one reply returned is a refusal if any is, a
// temporary one first: who has but one to give must not lose a recipient. A 503
// on a connection used before (see elsewhere) settles nothing for its recipient
// alone. A refusal for good counts only once it is known to be meant: else
// nothing that was read does.
func (t *clientTx) final(ctx context.Context) (dlp.Reply, error) {
	n := 1
	if t.c.cfg.LMTP {
		n = t.accepted
	}
	t.replies = make([]dlp.Reply, max(n, t.accepted))
	last, worst := dlp.Reply{}, dlp.Reply{}
	var open error // why some have no reply
	doubtful := false
	for i := range n {
		r, err := t.h.answer(ctx, t.c.cfg.AnswerTimeout)
		switch {
		case err != nil:
		case noAnswer(r):
			err = errReply
		case r.Positive() && t.h.unread():
			clear(t.replies) // what it said before was no answer either
			err = errOutOfStep
		}
		if err != nil {
			if doubtful && (!hungUp(err) || ctx.Err() != nil) { // nor can it be asked now
				clear(t.replies)
			}
			return t.uncertain(ctx, err)
		}
		last, doubtful = r, doubtful || r.Permanent()
		if t.h.elsewhere(r) {
			open = errElsewhere
			continue
		}
		t.replies[i] = r
		if worst.Code == 0 || !r.Positive() && (worst.Positive() || worst.Permanent()) {
			worst = r
		}
	}
	if doubtful && !t.h.meant(ctx) {
		clear(t.replies)
		open = errOutOfStep
	}
	if open != nil {
		return t.uncertain(ctx, open)
	}
	if n == 1 {
		for i := range t.replies {
			t.replies[i] = last
		}
	}
	switch {
	case doubtful || last.Code == 421:
		t.drop()
	case worst.Positive():
		t.keep()
	default:
		t.clear(ctx)
	}
	return worst, nil
}

// uncertain closes the connection after the end of a message that err left
// without an answer for some.
func (t *clientTx) uncertain(ctx context.Context, err error) (dlp.Reply, error) {
	t.drop()
	return dlp.Reply{}, &dlp.SendError{AfterDot: true, Err: t.c.failed(ctx, metrics.StageDot, err)}
}

// clear has the next hop forget a message that it refused for now. The
// standard has it do so by itself (RFC 5321 4.1.1.4), but Postfix goes on with
// the transaction when its smtpd_end_of_data_restrictions refuse, and the next
// message on this connection would be told 503 5.5.1.
func (t *clientTx) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	_ = t.Reset(ctx) // a connection that cannot be reset is closed
}
