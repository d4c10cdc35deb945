package route

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// maxLegs is how many next hops one message of a client may have at once; for
// those beyond it the client comes again. RFC 5321 4.5.3.1.10.
const maxLegs = 20

// What answers a recipient of whom no host could be asked.
var (
	replyUnreached = dlp.Reply{Code: 451, Enhanced: "4.4.1", Text: "The next mail server does not answer, try again later"}
	replyLegs      = dlp.Reply{Code: 452, Enhanced: "4.5.3", Text: "Too many different next hops in one message, send the others again"}
)

// transaction offers each recipient to its own next hop. One goroutine uses it
// at a time.
type transaction struct {
	t    *table
	from dlp.Address
	opt  smtp.MailOptions
	legs []*leg
}

// leg is the transaction with one next hop.
type leg struct {
	dest     *destination
	tx       smtp.Transaction // nil: there is none yet, or none any more
	accepted int              // recipients
	reply    dlp.Reply        // to every further recipient, once there will be no tx; its Code is 0 before
	noDSN    bool             // the next hop reports on nothing
}

// Rcpt offers a recipient to its next hop. The refusal of MAIL there, and its
// not being reached, answer the recipient: others have other hops.
func (x *transaction) Rcpt(ctx context.Context, rcpt dlp.Address, p dlp.RcptParams) (dlp.Reply, error) {
	l := x.leg(rcpt)
	if l == nil {
		return replyLegs, nil
	}
	var r dlp.Reply
	var err error
	switch {
	case l.reply.Code != 0:
		return l.reply, nil
	case l.tx == nil:
		r = l.begin(ctx, x, smtp.Recipient{Addr: rcpt, Params: p})
	default:
		r, err = l.tx.Rcpt(ctx, rcpt, p)
	}
	switch {
	case err != nil && l.accepted > 0 && !x.Scattered():
		return r, err // those who were accepted are lost with it
	case err != nil:
		_ = l.tx.Reset(ctx) // the connection is closed already
		l.tx, l.reply = nil, replyUnreached
		return replyUnreached, nil
	case r.Code == 421 && len(x.legs) > 1: // this hop closes: to the client it would mean that we do
		r.Code = 451
	}
	if r.Positive() {
		l.accepted++
	}
	return r, nil
}

// leg returns the leg to rcpt's next hop; nil when there are too many.
func (x *transaction) leg(rcpt dlp.Address) *leg {
	dest := x.t.of(x.from, rcpt)
	for _, l := range x.legs {
		if l.dest.same(dest) {
			return l
		}
	}
	if len(x.legs) >= maxLegs {
		return nil
	}
	l := &leg{dest: dest}
	x.legs = append(x.legs, l)
	return l
}

// begin opens l's transaction and returns the answer to its first recipient.
func (l *leg) begin(ctx context.Context, x *transaction, first smtp.Recipient) dlp.Reply {
	tx, r, err := l.dest.Begin(ctx, x.from, x.opt, first)
	if err != nil {
		l.reply = answer(err)
		return l.reply
	}
	l.tx = tx
	if p, ok := tx.(smtp.DSNPasser); ok {
		l.noDSN = !p.PassesDSN()
	}
	return r
}

// PassesDSN reports whether every next hop that took a recipient reports on
// deliveries.
func (x *transaction) PassesDSN() bool {
	return !slices.ContainsFunc(x.legs, func(l *leg) bool { return l.accepted > 0 && l.noDSN })
}

// answer words for a waiting client why there is no transaction.
func answer(err error) dlp.Reply {
	if u, ok := errors.AsType[*unroutable](err); ok {
		return u.now
	}
	re, ok := errors.AsType[*smtp.ReplyError](err)
	if !ok {
		return replyUnreached
	}
	r := re.Reply
	if r.Code == 421 { // said to our MAIL; the client's connection stays
		r.Code = 451
	}
	return r
}

// Scattered reports whether the recipients that were accepted have different
// next hops, or one that answers for each by itself: then the message cannot go
// on inside the client's transaction.
func (x *transaction) Scattered() bool {
	n := 0
	for _, l := range x.legs {
		if l.accepted == 0 {
			continue
		}
		if s, ok := l.tx.(smtp.Scatterer); ok && s.Scattered() {
			return true
		}
		n++
	}
	return n > 1
}

var (
	errScattered = errors.New("route: the recipients have different next hops")
	errNobody    = errors.New("route: no recipient was accepted")
)

// Send passes the message on to the one next hop of all accepted recipients.
// It is an error where there are several: then the message is the caller's.
func (x *transaction) Send(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	var one *leg
	for _, l := range x.legs {
		if l.accepted == 0 {
			continue
		}
		if one != nil {
			_ = x.Reset(ctx) // a connection that cannot be reset is closed
			return dlp.Reply{}, &dlp.SendError{Err: errScattered}
		}
		one = l
	}
	if one == nil || one.tx == nil {
		_ = x.Reset(ctx) // as above
		return dlp.Reply{}, &dlp.SendError{Err: errNobody}
	}
	tx := one.tx
	one.tx = nil
	_ = x.Reset(ctx) // those that took nobody
	return tx.Send(ctx, header, body)
}

// Reset gives every leg up.
func (x *transaction) Reset(ctx context.Context) error {
	var errs []error
	for _, l := range x.legs {
		if l.tx != nil {
			errs = append(errs, l.tx.Reset(ctx))
			l.tx = nil
		}
	}
	return errors.Join(errs...)
}
