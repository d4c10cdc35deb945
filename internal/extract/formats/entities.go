package formats

import (
	"bytes"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of what a document declares for itself.
const (
	maxEntities = 1000    // declarations that are taken
	maxSpelled  = 1 << 20 // bytes of what they come to
	maxWithin   = 8       // one within another
)

var (
	entityDeclared = expression(`<!ENTITY[ \t\r\n]+([\pL_][\pL\d_.-]*)[ \t\r\n]+("[^"]*"|'[^']*')[ \t\r\n]*>`)
	entityUsed     = expression(`&[\pL_][\pL\d_.-]*;`)
	documentType   = expression(`(?s)<!DOCTYPE[^\[>]*\[.*?\][ \t\r\n]*>`)
)

// declared reads a document of XML once more with the entities put in that it
// declares, as a browser shows it, and returns the place with that reading counted.
// One past its bounds is TooLarge.
//
// Source: XML 1.0 4.2, 4.4.2: general, internal, parsed; parameter entities and
// external ones are not read by browsers.
func (j *job) declared(at place, b []byte) place {
	if len(b) > maxEncoded || !bytes.Contains(b, []byte("<!ENTITY")) {
		return at
	}
	e := entities{of: map[string][]byte{}, left: maxSpelled}
	for _, m := range entityDeclared().FindAllSubmatch(b, maxEntities) {
		if _, has := e.of[string(m[1])]; !has { // the first binds
			e.of[string(m[1])] = m[2][1 : len(m[2])-1]
		}
	}
	body := documentType().ReplaceAll(b, nil)
	spelled := e.spell(nil, body, 0)
	if e.left < 0 {
		j.gap(at, dlp.TooLarge, "entities", 0)
	}
	if len(e.of) == 0 || bytes.Equal(spelled, body) {
		return at
	}
	q := at.again()
	q.media = at.media
	j.leaf(q, memory(spelled))
	at.readings++
	return at
}

// entities are what a document declares, by name, and how many bytes they may still
// come to; below zero they would have come to more.
type entities struct {
	of   map[string][]byte
	left int
}

// spell appends b to out with its entities put in, within levels deep.
func (e *entities) spell(out, b []byte, within int) []byte {
	for {
		at := entityUsed().FindIndex(b)
		if at == nil {
			return append(out, b...)
		}
		out = append(out, b[:at[0]]...)
		name, value := b[at[0]:at[1]], []byte(nil)
		if within < maxWithin {
			value = e.of[string(name[1:len(name)-1])]
		}
		switch {
		case value == nil: // nobody's, XML's own, or one that speaks of itself
			out = append(out, name...)
		case e.left < len(value):
			e.left = -1
			return append(append(out, name...), b[at[1]:]...)
		default:
			e.left -= len(value)
			out = e.spell(out, value, within+1)
		}
		b = b[at[1]:]
	}
}
