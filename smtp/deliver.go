package smtp

import (
	"context"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Deliver tries once to bring a message to its recipients over hop. open gives
// the whole message, trace fields included; it is called only when a recipient
// was accepted. The result has one Delivery for each of rcpts, in their order:
// the reply that settles it, or the error that left it open.
func Deliver(ctx context.Context, hop NextHop, from dlp.Address, rcpts []dlp.Address, opt MailOptions, open func() (io.ReadCloser, error)) []dlp.Delivery {
	out := make([]dlp.Delivery, len(rcpts))
	for i, r := range rcpts {
		out[i].Rcpt = r
	}
	if len(rcpts) == 0 {
		return out
	}
	tx, err := hop.Begin(ctx, from, opt)
	if err != nil {
		settle(out, err)
		return out
	}
	var accepted []int
	for i, r := range rcpts {
		reply, err := tx.Rcpt(ctx, r)
		if err != nil { // the transaction is lost, for those accepted too
			settle(out[i:], err)
			for _, j := range accepted {
				settle(out[j:j+1], err)
			}
			_ = tx.Reset(ctx) // it is lost already
			return out
		}
		out[i].Reply = reply
		if reply.Positive() {
			accepted = append(accepted, i)
		}
	}
	if len(accepted) == 0 {
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
	reply, err := tx.Send(ctx, nil, body)
	for _, i := range accepted {
		out[i].Reply, out[i].Err = reply, err
	}
	return out
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
