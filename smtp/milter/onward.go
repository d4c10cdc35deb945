package milter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	gomilter "github.com/d--j/go-milter"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// onward is the server's own copy of a message: orders about it go out at once,
// and count with the answer that ends the message.
type onward struct {
	m        gomilter.Modifier
	doc      *dlp.Document
	paths    map[dlp.Address][]string
	received []byte // the trace field that only what is ours carries
	working  *waiting
	ended    bool
	kept     bool // the server is to go on with the message
	failed   bool // an order was not given, or not wholly
}

var (
	errEnded    = errors.New("milter: the message was answered")
	errUnableTo = errors.New("milter: the server does not offer that")
)

// maxHeader is the longest header that can be changed, in bytes: Postfix keeps
// 100 KiB of one field, Sendmail 32 KiB of all.
const maxHeader = 1 << 20

// CanDrop reports whether the server takes recipients off a message, and knows
// these.
func (o *onward) CanDrop(rcpts []dlp.Address) bool {
	for _, r := range rcpts {
		if o.m.Actions()&gomilter.OptRemoveRcpt == 0 || len(o.paths[r]) == 0 {
			return false
		}
	}
	return true
}

// Keep has the server go on with the message.
func (o *onward) Keep(_ context.Context, header []byte, drop []dlp.Address) (dlp.Reply, error) {
	return o.order(func() error {
		if !o.CanDrop(drop) {
			return errUnableTo
		}
		for _, r := range drop {
			for _, p := range o.paths[r] {
				if err := o.m.DeleteRecipient(p); err != nil {
					return err
				}
			}
		}
		return o.insert(bytes.Replace(header, o.received, nil, 1))
	})
}

// Send has the server take header and the message at body in place of what it
// has.
func (o *onward) Send(_ context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	return o.order(func() error {
		const needed = gomilter.OptChangeHeader | gomilter.OptChangeBody
		if o.m.Actions()&needed != needed {
			return errUnableTo
		}
		if err := o.removeHeader(); err != nil {
			return err
		}
		head, body, err := cutHeader(body)
		if err != nil {
			return err
		}
		if err := o.insert(append(bytes.Replace(header, o.received, nil, 1), head...)); err != nil {
			return err
		}
		return o.replaceBody(body)
	})
}

// replaceBody has the server take r. It must be told of an empty body too.
func (o *onward) replaceBody(r io.Reader) error {
	br := bufio.NewReader(r)
	if _, err := br.Peek(1); errors.Is(err, io.EOF) {
		return o.m.ReplaceBodyRawChunk(nil)
	}
	return o.m.ReplaceBody(br)
}

// Reset leaves the message to the answer.
func (o *onward) Reset(context.Context) error {
	o.ended = true
	return nil
}

// order gives orders, once for a message. Whatever goes wrong then, the message
// is to be tried again.
func (o *onward) order(give func() error) (dlp.Reply, error) {
	if o.ended {
		return dlp.Reply{}, &dlp.SendError{Err: errEnded}
	}
	o.ended = true
	o.working.stop()
	if err := give(); err != nil {
		o.failed = true
		return dlp.Reply{}, &dlp.SendError{Err: fmt.Errorf("milter: order: %w", err)}
	}
	o.kept = true
	return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Left to the mail server"}, nil
}

// insert puts the fields of header, complete lines ended by CRLF, above all
// others, in their order: each goes to the very front, the last one first.
func (o *onward) insert(header []byte) error {
	fields, err := splitFields(header)
	if err != nil {
		return err
	}
	for i := len(fields) - 1; i >= 0; i-- {
		name, value, _ := strings.Cut(fields[i], ":")
		if o.m.Protocol()&gomilter.OptHeaderLeadingSpace == 0 {
			value = strings.TrimPrefix(value, " ") // the server puts one there
		}
		if err := o.m.InsertHeader(0, name, value); err != nil {
			return err
		}
	}
	return nil
}

// removeHeader takes every field of the message away, the last of a name first:
// Postfix counts anew after each, Sendmail does not.
func (o *onward) removeHeader() error {
	r, err := o.doc.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	fs, err := message.ReadHeader(r, maxHeader)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, f := range fs {
		count[strings.ToLower(f.Name())]++
	}
	for i := len(fs) - 1; i >= 0; i-- {
		name := fs[i].Name()
		if name == "" {
			continue
		}
		if err := o.m.ChangeHeader(count[strings.ToLower(name)], name, ""); err != nil {
			return err
		}
		count[strings.ToLower(name)]--
	}
	return nil
}

// cutHeader reads the header off the front of r, up to the empty line, which
// goes with it, and returns the body that follows.
func cutHeader(r io.Reader) (header []byte, body io.Reader, err error) {
	limited := &io.LimitedReader{R: r, N: maxHeader}
	br := bufio.NewReader(limited)
	for {
		line, err := br.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && limited.N == 0:
			return nil, nil, message.ErrTooLarge
		case errors.Is(err, io.EOF): // no body
			return append(header, line...), br, nil
		case err != nil:
			return nil, nil, err
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			limited.N = math.MaxInt64
			return header, br, nil
		}
		header = append(header, line...)
	}
}

// splitFields takes a header of complete lines apart: each field without its
// last line end.
func splitFields(header []byte) ([]string, error) {
	fs, err := message.ReadHeader(bytes.NewReader(header), maxHeader)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = strings.TrimRight(string(f.Raw), "\r\n")
	}
	return out, nil
}
