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
	entityDeclared = expression(`<!ENTITY[ \t\r\n]+([\pL_:][\pL\pM\d_.:-]*)[ \t\r\n]+("[^"]*"|'[^']*')[ \t\r\n]*>`)
	entityUsed     = expression(`&[\pL_:][\pL\pM\d_.:-]*;`)
	documentType   = expression(`(?s)<!DOCTYPE[^\[>]*\[.*?\][ \t\r\n]*>`)
)

const entityMark = "<!ENTITY"

// declared reads a document of XML once more with the entities put in that it
// declares, as a browser shows it, and returns the place with that reading counted.
// What is past a bound is TooLarge.
//
// Source: XML 1.0 4.2, 4.4.2: general, internal, parsed entities. What parameter
// entities and external ones would bring is not put in.
func (j *job) declared(at place, b []byte) place {
	if !bytes.Contains(b, []byte(entityMark)) {
		return at
	}
	if len(b) > maxEncoded {
		j.tooManyEntities(at)
		return at
	}
	e := entities{of: map[string][]byte{}, left: maxSpelled}
	for i, m := range entityDeclared().FindAllSubmatch(b, maxEntities+1) {
		if i == maxEntities {
			e.over = true
			break
		}
		if _, has := e.of[string(m[1])]; !has { // the first binds
			e.of[string(m[1])] = m[2][1 : len(m[2])-1]
		}
	}
	body := documentType().ReplaceAll(b, nil)
	spelled := e.spell(nil, body, 0)
	if e.over {
		j.tooManyEntities(at)
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

func (j *job) tooManyEntities(at place) { j.gap(at, dlp.TooLarge, "entities", 0) }

// entities are what a document declares, by name.
type entities struct {
	of   map[string][]byte
	left int  // bytes that they may still come to
	over bool // a bound was met
}

// spell appends b to out with its entities put in, within levels deep.
func (e *entities) spell(out, b []byte, within int) []byte {
	for {
		at := entityUsed().FindIndex(b)
		if at == nil {
			return append(out, b...)
		}
		out = append(out, b[:at[0]]...)
		name := b[at[0]:at[1]]
		value, known := e.of[string(name[1:len(name)-1])]
		switch {
		case !known: // nobody's, or XML's own
			out = append(out, name...)
		case within == maxWithin: // or one that speaks of itself
			out, e.over = append(out, name...), true
		case e.left < len(value):
			e.left, e.over = 0, true
			return append(append(out, name...), b[at[1]:]...)
		default:
			e.left -= len(value)
			out = e.spell(out, value, within+1)
		}
		b = b[at[1]:]
	}
}
