package rtf

import (
	"bytes"

	"github.com/stanch-dlp/stanch/internal/extract/ole1"
)

// file decodes an embedded file and tells it.
func (p *parser) file(f blob) {
	data := decode(p.b[f.start:f.end])
	if len(data) == 0 {
		return
	}
	out := File{Kind: f.kind, Media: f.media, Data: data}
	if f.kind == Object {
		o := ole1.Read(data)
		if o.Link { // its path was told as text
			p.text([]byte(o.Name + "\n"))
			return
		}
		out.Name, out.Data, out.Cut = o.Name, o.Data, o.Cut
	}
	p.err = p.to.File(out)
}

// decode reads bytes that are written as hexadecimal digits or behind \bin.
// Whatever else stands between them is passed over, as Word does.
func decode(b []byte) []byte {
	out := make([]byte, 0, len(b)/2)
	high, depth, skipped := -1, 0, 0 // skipped: depth at which a group is passed over, 0: none
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '{':
			depth++
			if skipped == 0 && bytes.HasPrefix(b[i+1:], []byte(`\*`)) {
				skipped = depth
			}
		case '}':
			if depth == skipped {
				skipped = 0
			}
			depth--
		case '\\':
			w := parser{b: b, at: i + 1}
			for w.at < len(b) && isLetter(b[w.at]) {
				w.at++
			}
			word := string(b[i+1 : min(w.at, i+1+maxWord)])
			n, _ := w.number()
			if w.at < len(b) && b[w.at] == ' ' {
				w.at++
			}
			if word == "" {
				if w.at = i + 2; w.at < len(b) && b[i+1] == '\'' {
					w.at += 2
				}
			}
			if word == "bin" && n > 0 {
				end := min(len(b), w.at+n)
				if skipped == 0 {
					out = append(out, b[w.at:end]...)
				}
				w.at = end
			}
			i = w.at - 1
		default:
			v := hexDigit(c)
			switch {
			case v < 0 || skipped > 0:
			case high < 0:
				high = v
			default:
				out = append(out, byte(high<<4|v))
				high = -1
			}
		}
	}
	return out
}
