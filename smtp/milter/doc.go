// Package milter is the mail door for servers that ask before they accept:
// Postfix and Sendmail hand over a copy of each message and do as they are told.
//
// It promises that a message is handed to the Handler whole, as the server will
// send it on, or the server is told to have its client try again; that a server
// goes on only with what was let through; and that nothing the other end sends
// makes the door use memory or time without bound, or break.
//
// The protocol is spoken by go-milter, behind a guard that lets through only
// packets of a proper form (docs/adr/0014-milter.md).
//
// Sources: libmilter and its protocol (sendmail 8.17, include/libmilter/mfdef.h);
// Postfix MILTER_README.
package milter

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Handler judges what came through the door.
type Handler interface {
	// Message leads doc down the road and says what became of it. onward is a
	// dlp.Keeper: the server that asks has the message. ctx outlives the client.
	Message(ctx context.Context, doc *dlp.Document, onward dlp.Onward) dlp.Outcome
	// Acknowledge records that the server has the answers to these documents. It
	// returns once that is durable; on an error the connection ends.
	Acknowledge(ctx context.Context, ids []dlp.ID) error
}
