// Package smtp is the mail door: it passes a client's messages on inside a live
// transaction with the next hop.
//
// It promises that a message is handed to the Handler whole or not at all, that
// nobody is told 250 before the next hop or the Handler has the message, and
// that a body goes on byte for byte. Whatever could be read as the end of a
// message by one server and not by another is refused, on the way in and on the
// way out. Every wait has an end, every buffer a bound.
//
// Sources: RFC 5321 (SMTP), RFC 1870 (SIZE), RFC 2034 and RFC 3463 (enhanced
// status codes), RFC 2920 (PIPELINING), RFC 3030 (CHUNKING), RFC 3207
// (STARTTLS), RFC 6152 (8BITMIME), RFC 3461 (DSN), RFC 6531 (SMTPUTF8), RFC 2033
// (LMTP), RFC 4954 (AUTH), RFC 6409 (submission).
package smtp

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Handler judges what came through the door.
type Handler interface {
	// Message leads doc down the road and says what became of it. onward is
	// the client's own transaction with the next hop; what the Handler has
	// neither sent nor reset when it returns is reset. ctx outlives the client.
	Message(ctx context.Context, doc *dlp.Document, onward dlp.Onward) dlp.Outcome
	// Acknowledge records that the client has seen the answers to these
	// documents. It returns once that is durable; on an error the connection
	// ends with 421.
	Acknowledge(ctx context.Context, ids []dlp.ID) error
}

// NextHop is where messages go on to.
type NextHop interface {
	// Begin opens a transaction for one message and offers its first
	// recipient; the reply is the next hop's to that. A refusal of MAIL is a
	// *ReplyError; any other error means that the next hop was not reached, or
	// lost again.
	Begin(ctx context.Context, from dlp.Address, opt MailOptions, first Recipient) (Transaction, dlp.Reply, error)
}

// Recipient is what one RCPT says.
type Recipient struct {
	Addr   dlp.Address
	Params dlp.RcptParams
}

// Transaction is a message's transaction with the next hop, MAIL accepted.
// Exactly one of Send and Reset ends it, also after an error of Rcpt.
type Transaction interface {
	dlp.Onward
	// Rcpt offers a recipient. The reply is the next hop's own; an error means
	// that there was none and will be none.
	Rcpt(ctx context.Context, rcpt dlp.Address, p dlp.RcptParams) (dlp.Reply, error)
}

// MailOptions are the parameters of MAIL that are passed on.
type MailOptions struct {
	Size int64 // SIZE=, bytes, 0 when not declared; RFC 1870
	dlp.MailParams
	Origin Origin // for the log of a next hop that takes XFORWARD
}
