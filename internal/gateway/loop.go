package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// identity is what the header of a message says that marks are bound to: its
// Message-ID, and the marks it came with.
func identity(r io.Reader) (messageID string, marks []string, err error) {
	h, err := message.ReadHead(r, maxHeader)
	if err != nil {
		return "", nil, err
	}
	messageID, marks = identityIn(h)
	return messageID, marks, nil
}

// identityIn is identity of the message whose header h is.
func identityIn(h message.Head) (messageID string, marks []string) {
	got := h.Pick("Message-ID", loop.Name)
	if len(got[0]) > 0 {
		messageID = got[0][0]
	}
	return messageID, got[1]
}

// identify reads the message's Message-ID, once, and returns the marks that it
// came with the first time.
func (m *mail) identify() (marks []string, err error) {
	if m.Loop == nil || m.identified {
		return nil, nil
	}
	h, err := m.header()
	if err != nil {
		return nil, err
	}
	m.messageID, marks = identityIn(h)
	m.identified = true
	return marks, nil
}

// header returns the message's header, which is read once.
func (m *mail) header() (message.Head, error) {
	if m.head == nil {
		h, err := headOf(m.doc)()
		if err != nil {
			return h, err
		}
		m.head = &h
	}
	return *m.head, nil
}

// looped reports whether the message has been here as often as it may.
func (m *mail) looped() (bool, error) {
	marks, err := m.identify()
	if err != nil || m.Loop == nil {
		return false, err
	}
	return m.Loop.Loops(m.messageID, m.doc.Rcpts, marks), nil
}

// refuseLoop refuses a message that goes round in circles, whatever else it
// is: neither policies nor a bypass are asked.
func (m *mail) refuseLoop(ctx context.Context) dlp.Outcome {
	m.j = judgement{verdict: forAll(m.doc, dlp.RcptVerdict{Action: dlp.Reject, Reason: dlp.ReasonLoop})}
	seq, err := m.decide(ctx, m.doc, m.j)
	if err != nil {
		m.warn(ctx, "decision not recorded", m.doc.ID, err)
		return dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	}
	m.reset(ctx)
	m.outcome(ctx, m.doc, seq, audit.ResultRejected)
	return dlp.Outcome{Kind: dlp.Looped, ID: m.doc.ID}
}

// mark is the field by which the message is known when it comes back.
func (g *Gateway) mark(messageID string, rcpts []dlp.Address) ([]byte, error) {
	if g.Loop == nil {
		return nil, nil
	}
	b, err := g.Loop.Mark(messageID, rcpts)
	if err != nil {
		return nil, fmt.Errorf("gateway: loop mark: %w", err)
	}
	return b, nil
}

// identityOf returns the Message-ID of a held message, whose own key key is.
func (g *Gateway) identityOf(ctx context.Context, id dlp.ID, key []byte) (string, error) {
	r, err := g.Vault.Open(ctx, id, key)
	if err != nil {
		return "", fmt.Errorf("gateway: open %s: %w", id, err)
	}
	defer r.Close()
	messageID, _, err := identity(r)
	if err != nil {
		return "", fmt.Errorf("gateway: read header of %s: %w", id, err)
	}
	return messageID, nil
}

// sealOwn seals a message that the gateway itself wrote, about doc, for one
// reader.
func (g *Gateway) sealOwn(ctx context.Context, kind spool.Kind, doc dlp.ID, to dlp.Address, text []byte) (spool.Entry, error) {
	rcpts := []dlp.Address{to}
	messageID, _, err := identity(bytes.NewReader(text))
	if err != nil {
		return spool.Entry{}, err
	}
	mark, err := g.mark(messageID, rcpts)
	if err != nil {
		return spool.Entry{}, err
	}
	signature := g.sign(ctx, doc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
	return g.Spool.Seal(ctx, g.outgoing(kind, doc, dlp.Address{}, rcpts, 0), bytes.NewReader(slices.Concat(mark, signature, text)))
}
