package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/chunk"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

// sendChunks passes header and body on by BDAT, byte for byte: no dot is
// doubled, no line end added. Every chunk but the last is answered before the
// next is sent, so that no server needs to understand pipelined chunks. A chunk
// is a promise of its length: when the message cannot be read to its end, the
// last one is never sent. RFC 3030 2.
func (t *clientTx) sendChunks(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	buf := t.c.bodies.Get().(*[largeBuffer]byte)
	defer func() {
		clear(buf[:]) // it held mail
		t.c.bodies.Put(buf)
	}()
	n := copy(buf[:], header)
	rest := header[n:] // trace fields are a few hundred bytes; a longer header takes more chunks
	for {
		for n < len(buf) && len(rest) > 0 {
			m := copy(buf[n:], rest)
			n, rest = n+m, rest[m:]
		}
		m, last, err := chunk.Read(buf[n:], body)
		n += m
		if err != nil {
			t.drop()
			return dlp.Reply{}, &dlp.SendError{Err: fmt.Errorf("%w: %w", errUnreadable, err)}
		}
		if last {
			return t.lastChunk(ctx, buf[:n])
		}
		r, err := t.chunk(ctx, buf[:n], "")
		if err != nil {
			t.drop()
			return dlp.Reply{}, &dlp.SendError{Err: t.c.failed(ctx, metrics.StageBody, err)}
		}
		if !r.Positive() {
			return t.refused(ctx, metrics.StageBody, r)
		}
		n = 0
	}
}

// chunk sends one BDAT and reads its reply.
func (t *clientTx) chunk(ctx context.Context, p []byte, last string) (dlp.Reply, error) {
	if err := t.writeChunk(ctx, p, last); err != nil {
		return dlp.Reply{}, err
	}
	r, err := t.h.answer(ctx, t.c.cfg.CommandTimeout)
	if err == nil && t.h.elsewhere(r) {
		err = errElsewhere
	}
	return r, err
}

func (t *clientTx) writeChunk(ctx context.Context, p []byte, last string) error {
	h := t.h
	if !h.inStep() { // what it says before the chunk is no answer to it
		return errOutOfStep
	}
	if h.watch(ctx) {
		defer h.rest()
	}
	h.arm(ctx, t.c.cfg.BlockTimeout)
	_, _ = h.bw.WriteString("BDAT " + strconv.Itoa(len(p)) + last + "\r\n") // the writer keeps its error for Flush
	_, _ = h.bw.Write(p)                                                    // as above
	return h.bw.Flush()
}

// lastChunk sends the chunk that makes the message one, and reads the final
// reply.
func (t *clientTx) lastChunk(ctx context.Context, p []byte) (dlp.Reply, error) {
	if err := t.writeChunk(ctx, p, " LAST"); err != nil {
		t.drop()
		return dlp.Reply{}, &dlp.SendError{AfterDot: !errors.Is(err, errOutOfStep), Err: t.c.failed(ctx, metrics.StageDot, err)}
	}
	return t.final(ctx)
}
