package smtp

import (
	"context"
	"errors"
	"io"
	"slices"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Deliver tries once to bring a message to its recipients over hop. open gives
// the whole message, trace fields included, and may be called twice; size and
// 8-bit data that opt does not declare are found by reading it. The result has
// one Delivery for each of rcpts, in their order: the reply that settles it, or
// the error that left it open. params are parallel to rcpts, or nil.
func Deliver(ctx context.Context, hop NextHop, from dlp.Address, rcpts []dlp.Address, params []dlp.RcptParams,
	opt MailOptions, open func() (io.ReadCloser, error)) []dlp.Delivery {
	out := make([]dlp.Delivery, len(rcpts))
	for i, r := range rcpts {
		out[i].Rcpt = r
	}
	if len(rcpts) == 0 {
		return out
	}
	opt, err := declare(from, rcpts, opt, open)
	if err != nil {
		settle(out, &dlp.SendError{Err: err})
		return out
	}
	with := func(i int) (p dlp.RcptParams) {
		if params != nil {
			p = params[i]
		}
		return p
	}
	tx, first, err := hop.Begin(ctx, from, opt, Recipient{rcpts[0], with(0)})
	if err != nil {
		settle(out, err)
		return out
	}
	accepted, err := offerAll(ctx, tx, first, out, with)
	if err != nil || len(accepted) == 0 {
		_ = tx.Reset(ctx) // a connection that cannot be reset is closed
		return out
	}
	body, err := open()
	if err != nil {
		_ = tx.Reset(ctx) // as above
		for _, i := range accepted {
			settle(out[i:i+1], &dlp.SendError{Err: err})
		}
		return out
	}
	defer body.Close()
	passes, ok := tx.(DSNPasser)
	relayed := ok && !passes.PassesDSN()
	replies, err := sendEach(ctx, tx, body, len(accepted))
	for j, i := range accepted {
		out[i].Reply, out[i].Err = replies[j], nil
		if replies[j].Code == 0 {
			out[i].Err = err
		}
		out[i].Relayed = relayed && replies[j].Positive()
	}
	return out
}

// sendEach sends the message to the n accepted recipients and returns a reply
// for each; the Code of those that were not answered is 0.
func sendEach(ctx context.Context, tx Transaction, body io.Reader, n int) ([]dlp.Reply, error) {
	out := make([]dlp.Reply, n)
	if each, ok := tx.(EachSender); ok {
		replies, err := each.SendEach(ctx, nil, body)
		copy(out, replies)
		if err == nil && len(replies) < n {
			err = &dlp.SendError{AfterDot: true, Err: errReply}
		}
		return out, err
	}
	r, err := tx.Send(ctx, nil, body)
	if err == nil {
		for i := range out {
			out[i] = r
		}
	}
	return out, err
}

// offerAll offers the recipients of ds after the first, whose answer is first,
// and returns which were accepted. When the next hop is lost, those it has not
// refused get the error.
func offerAll(ctx context.Context, tx Transaction, first dlp.Reply, ds []dlp.Delivery, with func(int) dlp.RcptParams) (accepted []int, err error) {
	for i := range ds {
		reply, err := first, error(nil)
		if i > 0 {
			reply, err = tx.Rcpt(ctx, ds[i].Rcpt, with(i))
		}
		if err != nil {
			settle(ds[i:], err)
			for _, j := range accepted {
				settle(ds[j:j+1], err)
			}
			return nil, err
		}
		ds[i].Reply = reply
		if reply.Positive() {
			accepted = append(accepted, i)
		}
	}
	return accepted, nil
}

// declare fills in what opt does not say about the message. RFC 6152 2: 8-bit
// data is to be declared. SMTPUTF8 that nothing in message and envelope needs is
// dropped, so that every next hop can take it.
func declare(from dlp.Address, rcpts []dlp.Address, opt MailOptions, open func() (io.ReadCloser, error)) (MailOptions, error) {
	outside := func(a dlp.Address) bool { return !a.IsASCII() }
	needed := outside(from) || slices.ContainsFunc(rcpts, outside)
	opt.UTF8 = opt.UTF8 || needed
	if opt.Size > 0 && opt.Body != "" && opt.UTF8 == needed {
		return opt, nil
	}
	body, err := open()
	if err != nil {
		return opt, err
	}
	defer body.Close()
	eight := false
	n, err := io.Copy(writerFunc(func(p []byte) (int, error) {
		eight = eight || !is7Bit(p)
		return len(p), nil
	}), body)
	if err != nil {
		return opt, err
	}
	if opt.Size == 0 {
		opt.Size = n
	}
	opt.UTF8 = needed || opt.UTF8 && eight
	if opt.Body == "" && eight {
		opt.Body = string(gosmtp.Body8BitMIME)
	}
	return opt, nil
}

// settle gives every one of ds the refusal or failure err.
func settle(ds []dlp.Delivery, err error) {
	for i := range ds {
		if re, ok := errors.AsType[*ReplyError](err); ok {
			ds[i].Reply = re.Reply
			continue
		}
		ds[i].Reply, ds[i].Err = dlp.Reply{}, err
	}
}
