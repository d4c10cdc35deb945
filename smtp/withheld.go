package smtp

import (
	"context"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// withheldRcpts is how many recipients of an envelope are looked at together, so
// that looking at each costs the same however many there are.
const withheldRcpts = 20

// withholds reports whether the envelope of this transaction may not go on once
// rcpt belongs to it.
func (x *session) withholds(ctx context.Context, rcpt Recipient) bool {
	tx := x.tx
	if x.srv.d.Withholds == nil || tx.withheld {
		return false
	}
	from := max(0, len(tx.rcpts)-withheldRcpts+1)
	doc := dlp.Document{Channel: dlp.Mail, Sender: tx.from, Params: tx.opt.MailParams, Received: x.srv.d.Now()}
	doc.Rcpts = append(append(doc.Rcpts, tx.rcpts[from:]...), rcpt.Addr)
	doc.RcptParams = append(append(doc.RcptParams, tx.params[from:]...), rcpt.Params)
	return x.srv.d.Withholds(ctx, &doc)
}

// withhold takes the transaction out of the next hop's hands: what it was
// offered it forgets, and nothing more of this envelope leaves until the message
// is judged. What may leave then is the Handler's to send.
func (x *session) withhold(ctx context.Context) {
	tx := x.tx
	tx.withheld = true
	if tx.hop != nil {
		_ = tx.hop.Reset(ctx) // a connection that cannot be reset is closed
	}
	tx.hop = withheld{}
	tx.onward = &onward{tx: tx.hop}
}

// withheld is a Transaction with nobody: it accepts each recipient, and takes no
// message. The Handler must make that its own, as that of a Scatterer.
type withheld struct{}

var errWithheld = errors.New("smtp: the envelope does not go on before its message is judged")

func (withheld) Rcpt(context.Context, dlp.Address, dlp.RcptParams) (dlp.Reply, error) {
	return replyRcptOK, nil
}

func (withheld) Send(context.Context, []byte, io.Reader) (dlp.Reply, error) {
	return dlp.Reply{}, &dlp.SendError{Err: errWithheld}
}

func (withheld) Reset(context.Context) error { return nil }

func (withheld) Scattered() bool { return true }
