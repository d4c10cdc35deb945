package formats

import (
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// windowSize is how much text is sent at a time: half the most, so that a row
// of a table fits into the window at hand more often than not.
const windowSize = dlp.MaxWindow / 2

// lag is how much of a unit's time may pass before the parent hears that it was
// begun: only its clock needs to know while the child lives, and the least
// that a part may take is far longer.
const lag = 5 * time.Millisecond

// emitter writes parts, their text and gaps to the parent. After the first
// error of the pipe it writes no more; the error stays in err.
type emitter struct {
	w     *wire.Writer
	begun func(wire.Unit) // nil, or called when a unit is announced
	frame []byte
	text  []byte // of the open part, not yet sent
	spans []dlp.Span
	off   int64 // of text[0] in the part
	runs  runs
	depth int // units that are open
	err   error
}

func (e *emitter) send(op wire.Op, b []byte) {
	if e.err == nil {
		e.err = e.w.Put(op, b)
	}
	e.frame = b[:0]
}

// flush sends all that is buffered.
func (e *emitter) flush() {
	e.window()
	if e.err == nil {
		e.err = e.w.Flush()
	}
}

// window sends the text at hand.
func (e *emitter) window() {
	if len(e.text) == 0 && len(e.spans) == 0 {
		return
	}
	e.runs.look(e.text, false)
	e.send(wire.OpText, wire.AppendWindow(e.frame[:0], dlp.Window{Offset: e.off, Text: e.text, Spans: e.spans}))
	e.off += int64(len(e.text))
	e.text, e.spans = e.text[:0], e.spans[:0]
}

func (e *emitter) part(p dlp.PartInfo) {
	e.window()
	e.off = 0
	e.runs.close()
	e.runs.open(p.Path, e.depth)
	p.Name = validString(p.Name)
	e.send(wire.OpPart, wire.AppendPart(e.frame[:0], p))
}

func (e *emitter) gap(g dlp.Gap) {
	e.window()
	g.Name = validString(g.Name)
	e.send(wire.OpGap, wire.AppendGap(e.frame[:0], g))
}

// begin announces a unit before it is parsed: from then on the parent finds it
// told if the child breaks. It is sent at once where the parent's clock would
// else be another unit's.
func (e *emitter) begin(u wire.Unit) {
	e.window()
	e.depth++
	u.Name = validString(u.Name)
	e.send(wire.OpBegin, wire.AppendUnit(e.frame[:0], u))
	if u.Class == wire.Slow || e.w.Since() > lag {
		e.flush()
	}
	if e.begun != nil {
		e.begun(u)
	}
}

func (e *emitter) finish() {
	e.window()
	e.depth--
	e.send(wire.OpFinish, e.frame[:0])
}

// pos returns the offset of the next byte written into the open part.
func (e *emitter) pos() int64 { return e.off + int64(len(e.text)) }

// write adds text to the open part. b is valid UTF-8.
func (e *emitter) write(b []byte) {
	for len(b) > 0 {
		n := windowSize - len(e.text)
		if n >= len(b) {
			e.text = append(e.text, b...)
			return
		}
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		e.text = append(e.text, b[:n]...)
		b = b[n:]
		e.window()
	}
}

func (e *emitter) writeString(s string) {
	if len(s) <= windowSize-len(e.text) {
		e.text = append(e.text, s...)
		return
	}
	e.write([]byte(s))
}

// field adds s as one field. It sends the window at hand first where s does
// not fit into it, so that few fields lie across two.
func (e *emitter) field(s, label string, group uint32) {
	if len(s) > windowSize-len(e.text) || len(e.spans) >= wire.MaxSpans {
		e.window()
	}
	if s != "" {
		e.spans = append(e.spans, dlp.Span{Start: e.pos(), End: e.pos() + int64(len(s)), Label: label, Group: group})
	}
	e.writeString(s)
}

// row adds b with spans whose offsets are relative to b.
func (e *emitter) row(b []byte, spans []dlp.Span) {
	if len(b) > windowSize-len(e.text) || len(e.spans)+len(spans) > wire.MaxSpans {
		e.window()
	}
	if len(b) <= windowSize && len(spans) <= wire.MaxSpans {
		for _, s := range spans {
			s.Start += e.pos()
			s.End += e.pos()
			e.spans = append(e.spans, s)
		}
	}
	e.write(b)
}
