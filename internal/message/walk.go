package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of the walk. Mail has tens of parts, a handful deep.
const (
	maxParts = 10_000
	maxDepth = 100
)

// visitor is told of the parts of a message, in their order.
type visitor interface {
	// part begins a part. header has its fields; raw is the header as it came
	// where it is no sound header. It returns where the body of a leaf goes.
	part(e entity) (func(p []byte) error, error)
	// end ends a leaf.
	end() error
	// structure gets what is between the parts: delimiter lines, preambles.
	structure(p []byte) error
}

// entity is a part as the walker meets it.
type entity struct {
	header Fields // the content fields are read from here
	raw    []byte // the header as it came, empty line included; nil for the root
	kind   string // media type, lower case; "" where the header is not sound
	params map[string]string
	coding string // content transfer encoding, lower case; "" is 7bit
	multi  bool   // its parts follow
	frozen bool   // its bytes mean something that a change would break, or are not understood
	main   bool   // what people read first: RFC 9787 7.1
}

// walker reads a message part by part, in the memory of a line and a header.
type walker struct {
	br    *bufio.Reader
	stack []string // boundaries, the innermost last
	count int
}

func newWalker(r io.Reader) *walker { return &walker{br: bufio.NewReaderSize(r, 64<<10)} }

// hit is the delimiter line that ended a body; level -1 is the end of the
// message.
type hit struct {
	level int
	close bool
	eol   []byte // the line end before it, which is its own: RFC 2046 5.1.1
}

// rootHeader reads the message's own header, which must be one. The empty line
// is read with it.
func (w *walker) rootHeader() (Fields, error) {
	var fs Fields
	var total int
	for {
		line, err := w.line(maxProtected - total)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		total += len(line)
		switch {
		case len(line) == 0 || endsHeader(line):
			return fs, nil
		case bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(bytes.TrimSuffix(line, []byte("\r\n")), '\r') >= 0:
			return nil, ErrAmbiguous // some read a bare CR as the end of a line
		case folded(line) && len(fs) > 0:
			last := &fs[len(fs)-1]
			last.Raw = append(last.Raw, line...)
		case fieldName(line) != nil:
			fs = append(fs, Field{Raw: line})
		default:
			return nil, ErrAmbiguous
		}
	}
}

// line reads one whole line of at most max bytes.
func (w *walker) line(max int) ([]byte, error) {
	var line []byte
	for {
		piece, err := w.br.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > max {
			return nil, ErrTooLarge
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("message: %w", err)
		}
		return line, err
	}
}

// entity walks the message whose header was read.
func (w *walker) entity(structural Fields, raw []byte, v visitor) error {
	e := describe(structural, raw)
	if e.kind == "" {
		return ErrAmbiguous
	}
	if e.kind == "message/partial" {
		return ErrNotWhole
	}
	_, err := w.body(e, v)
	return err
}

// describe reads the content fields of a part.
func describe(header Fields, raw []byte) entity {
	e := entity{header: header, raw: raw, kind: "text/plain"}
	seen := make(map[string]bool)
	attached := false
	for _, f := range header {
		name := strings.ToLower(f.Name())
		if strings.HasPrefix(name, "content-") && once[name] && seen[name] {
			return entity{header: header, raw: raw, frozen: true}
		}
		seen[name] = true
		switch name {
		case "content-type":
			kind, params, err := mediaType(f)
			if err != nil {
				return entity{header: header, raw: raw, frozen: true}
			}
			e.kind, e.params = kind, params
		case "content-transfer-encoding":
			word, _, _ := strings.Cut(f.Value(), "(")
			e.coding = strings.ToLower(strings.TrimSpace(word))
		case "content-disposition":
			word, _, _ := strings.Cut(f.Value(), ";")
			attached = !strings.EqualFold(strings.TrimSpace(word), "inline")
		}
	}
	identity := e.coding == "" || e.coding == "7bit" || e.coding == "8bit" || e.coding == "binary"
	switch {
	case e.kind == "multipart/signed" || e.kind == "multipart/encrypted" || strings.HasPrefix(e.kind, "message/"):
		e.frozen = true
	case strings.HasPrefix(e.kind, "multipart/"):
		boundary := e.params["boundary"]
		e.multi = identity && boundary != "" && len(boundary) <= 1000
		e.frozen = !e.multi
	case !identity && e.coding != "quoted-printable" && e.coding != "base64":
		e.frozen = true
	}
	e.main = !attached
	return e
}

// body walks what follows the header of e: its parts, or its bytes.
func (w *walker) body(e entity, v visitor) (hit, error) {
	if w.count++; w.count > maxParts || len(w.stack) > maxDepth {
		return hit{}, ErrTooMany
	}
	out, err := v.part(e)
	if err != nil {
		return hit{}, err
	}
	if !e.multi {
		h, err := w.pump(out)
		if err != nil {
			return hit{}, err
		}
		return h, v.end()
	}
	w.stack = append(w.stack, e.params["boundary"])
	level := len(w.stack) - 1
	h, err := w.pump(v.structure) // the preamble
	for n := 0; err == nil && h.level == level && !h.close; n++ {
		if err = w.delimiter(h, w.stack[level], "", v); err != nil {
			break
		}
		h, err = w.child(e, n, v)
	}
	w.stack = w.stack[:level]
	if err != nil || h.level != level {
		return h, err
	}
	if err := w.delimiter(h, e.params["boundary"], "--", v); err != nil {
		return hit{}, err
	}
	return w.pump(v.structure) // the epilogue
}

// child walks the nth part of the multipart e.
func (w *walker) child(e entity, n int, v visitor) (hit, error) {
	raw, fs, ended, err := w.partHeader()
	if err != nil {
		return hit{}, err
	}
	if ended != nil { // a header without a body
		if err := v.structure(raw); err != nil {
			return hit{}, err
		}
		return *ended, nil
	}
	c := describe(fs, raw)
	if fs == nil && len(raw) != len("\r\n") && len(raw) != len("\n") { // not sound
		c = entity{raw: raw, frozen: true}
	}
	if e.kind == "multipart/digest" && fs.Get("Content-Type") == "" { // RFC 2046 5.1.5: a message
		c.frozen, c.multi = true, false
	}
	c.main = c.main && e.main && (n == 0 || e.kind == "multipart/alternative")
	return w.body(c, v)
}

// partHeader reads the header of a part and the empty line after it. Where it
// is no sound header, fs is nil and raw is what was read. ended tells of a
// delimiter that came before the empty line.
func (w *walker) partHeader() (raw []byte, fs Fields, ended *hit, err error) {
	sound := true
	var eol []byte // of the last line, which may belong to a delimiter
	for {
		if h, ok, err := w.delim(); err != nil {
			return nil, nil, nil, err
		} else if ok {
			h.eol = eol
			return raw[:len(raw)-len(eol)], nil, &h, nil
		}
		line, err := w.line(maxProtected - len(raw))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, nil, err
		}
		raw = append(raw, line...)
		if len(line) == 0 {
			return raw, nil, &hit{level: -1}, nil
		}
		eol = lineEnd(line)
		switch {
		case endsHeader(line):
			if !sound {
				fs = nil
			}
			return raw, fs, nil, nil
		case folded(line) && len(fs) > 0:
			last := &fs[len(fs)-1]
			last.Raw = append(last.Raw, line...)
		case fieldName(line) != nil:
			fs = append(fs, Field{Raw: line})
		default:
			return raw, nil, nil, nil // its body began without an empty line
		}
		sound = sound && bytes.IndexByte(line, 0) < 0
	}
}

// delim looks whether the line that begins here is a delimiter, and reads it
// then.
func (w *walker) delim() (hit, bool, error) {
	if len(w.stack) == 0 {
		return hit{}, false, nil
	}
	head, err := w.br.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return hit{}, false, fmt.Errorf("message: %w", err)
	}
	if string(head) != "--" {
		return hit{}, false, nil
	}
	head, err = w.br.Peek(2048) // longer than any boundary that is read
	if err != nil && !errors.Is(err, io.EOF) {
		return hit{}, false, fmt.Errorf("message: %w", err)
	}
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i+1]
	} else if len(head) == 2048 {
		return hit{}, false, nil
	}
	text := strings.TrimRight(string(head), " \t\r\n")
	for level := len(w.stack) - 1; level >= 0; level-- {
		rest, ok := strings.CutPrefix(text[2:], w.stack[level])
		if ok && (rest == "" || rest == "--") {
			_, err := w.br.Discard(len(head))
			return hit{level: level, close: rest == "--"}, true, err
		}
	}
	return hit{}, false, nil
}

// pump hands on bytes up to a delimiter or the end, without the line end that
// belongs to the delimiter.
func (w *walker) pump(out func(p []byte) error) (hit, error) {
	var eol []byte // of the line before
	for mid := false; ; {
		if !mid {
			h, ok, err := w.delim()
			if err != nil {
				return hit{}, err
			}
			if ok {
				h.eol = eol
				return h, nil
			}
		}
		piece, err := w.br.ReadSlice('\n')
		mid = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !mid && !errors.Is(err, io.EOF) {
			return hit{}, fmt.Errorf("message: %w", err)
		}
		if string(eol) == "\r" && string(piece) == "\n" { // the buffer's end was between the two
			eol = eolCRLF
			continue
		}
		if err := out(eol); err != nil {
			return hit{}, err
		}
		eol = lineEnd(piece)
		if err := out(piece[:len(piece)-len(eol)]); err != nil {
			return hit{}, err
		}
		if errors.Is(err, io.EOF) {
			return hit{level: -1}, out(eol)
		}
	}
}

// eolCRLF is not changed: line ends are kept over reads.
var eolCRLF = []byte("\r\n")

// lineEnd returns the line end of a piece, or the CR that may become one.
func lineEnd(piece []byte) []byte {
	n := len(piece)
	switch {
	case bytes.HasSuffix(piece, eolCRLF):
		return eolCRLF
	case n > 0 && piece[n-1] == '\n':
		return eolCRLF[1:]
	case n > 0 && piece[n-1] == '\r':
		return eolCRLF[:1]
	}
	return nil
}

// delimiter writes the delimiter line h of the innermost multipart.
func (w *walker) delimiter(h hit, boundary, end string, v visitor) error {
	line := "--" + boundary + end + "\r\n"
	if len(h.eol) > 0 {
		line = "\r\n" + line
	}
	return v.structure([]byte(line))
}
