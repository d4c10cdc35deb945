// Package cases writes labelled text from a fixed seed: for each type, as many
// texts that hold one as texts that only look as if they did.
//
// It promises to know identifiers from what their issuers publish and never
// from the rules that look for them: every check digit is computed here anew,
// by a second hand, and what a text's label or column calls a number decides
// whether that number counts. It scans nothing itself.
package cases

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold"
	"github.com/stanch-dlp/stanch/internal/synth"
)

// each is how many texts of a type hold one, and how many look as if.
const each = 300

// kind is what is known of a type. A type that two kinds of number belong to
// has two.
//
// Texts are templates: [[v]] is a value of the type, [[x]] what looks like
// one, [[L]] its label, and other words in double brackets are filled in by
// page.fill.
type kind struct {
	typ    dlp.Type
	value  func(p *page) string // as written after a label
	record func(p *page) string // as written in a column; nil: value
	field  func(p *page) string // as written in a line of fields; nil: record
	labels []string             // what forms and letters call it
	keys   []string             // what columns and fields call it
	prose  []string             // sentences that say what it is
	fields []string             // lines of HL7 v2 and X12 whose place says what it is

	alone []string             // sentences that do not say what it is, of types whose form is enough
	form  func(p *page) string // that form

	wrong func(p *page) string // breaks what the issuer publishes; nil where no published rule can be broken
	other func(p *page) string // of the form, to stand under another label; nil: value
	looks []string             // whole texts that hold none
}

// Types returns the types there are cases of.
func Types() []dlp.Type {
	var out []dlp.Type
	for _, k := range kinds() {
		if !slices.Contains(out, k.typ) {
			out = append(out, k.typ)
		}
	}
	return out
}

// Of returns the labelled texts of typ, the same on every call: half hold one
// or more, half none. Only typ is labelled in them.
func Of(typ dlp.Type) []gold.Doc {
	var docs []gold.Doc
	for i, k := range kinds() {
		if k.typ != typ {
			continue
		}
		p := &page{
			Rand:   rand.New(rand.NewPCG(synth.Seed, uint64(i))),
			people: synth.New(synth.Seed + uint64(i)),
			kind:   k,
		}
		for n := range each {
			docs = append(docs, p.doc(fmt.Sprintf("%s-%d-hit-%03d", typ, i, n), p.hit), p.doc(fmt.Sprintf("%s-%d-look-%03d", typ, i, n), p.look))
		}
	}
	return docs
}

// Write writes the texts of every type as `stanch rules eval` reads them, a
// JSON object a line.
func Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, typ := range Types() {
		for _, d := range Of(typ) {
			if err := enc.Encode(d); err != nil {
				return fmt.Errorf("cases: %w", err)
			}
		}
	}
	return nil
}

// page is one text in the making.
type page struct {
	*rand.Rand
	people *synth.Source
	kind   kind
	who    synth.Patient

	label string
	value func(p *page) string // what stands at [[v]]
	marks bool                 // whether that is of the type
	text  strings.Builder
	spans []gold.Span
}

// doc returns the text that body writes, between the lines of a letter.
func (p *page) doc(id string, body func()) gold.Doc {
	p.text.Reset()
	p.spans, p.who = nil, p.people.Patient()
	body()
	return gold.Doc{
		ID: id, Source: "cases", Text: p.text.String(), Spans: p.spans,
		Meta: gold.Meta{Labels: gold.Single, Tested: string(p.kind.typ)},
	}
}

// hit writes a text that holds one.
func (p *page) hit() {
	k := p.kind
	p.marks = true
	switch n := p.IntN(100); {
	case n < 12 && len(k.alone) > 0:
		p.value = k.form
		p.letter(p.one(k.alone))
	case n < 24 && len(k.fields) > 0:
		p.value = k.fielded()
		p.write(p.one(k.fields))
	case n < 45:
		p.value = k.recorded()
		p.table(p.one(k.keys))
	case n < 65:
		p.value = k.value
		p.letter(p.one(k.prose))
	default:
		p.value = k.value
		p.label = p.one(k.labels)
		p.letter(p.one(lines()))
	}
}

// look writes a text that holds none.
func (p *page) look() {
	k := p.kind
	p.marks = false
	n := p.IntN(100)
	if n < 30 && k.wrong == nil {
		n += 30
	}
	switch {
	case n < 16:
		p.value = k.wrong
		p.label = p.one(k.labels)
		p.letter(p.one(lines()))
	case n < 22:
		p.value = k.wrong
		p.letter(p.one(k.prose))
	case n < 30:
		p.value = k.wrong
		p.table(p.one(k.keys))
	case n < 48:
		p.value = k.others()
		p.label = p.one(otherLabels())
		p.letter(p.one(lines()))
	case n < 60:
		p.value = k.others()
		p.table(p.one(otherKeys()))
	case n < 85:
		p.value = k.others()
		p.letter(p.one(k.looks))
	default:
		p.letter(p.one(noise()))
	}
}

func (k *kind) recorded() func(p *page) string {
	if k.record != nil {
		return k.record
	}
	return k.value
}

func (k *kind) fielded() func(p *page) string {
	if k.field != nil {
		return k.field
	}
	return k.recorded()
}

func (k *kind) others() func(p *page) string {
	if k.other != nil {
		return k.other
	}
	return k.value
}

// one draws one of from.
func (p *page) one(from []string) string { return from[p.IntN(len(from))] }

// letter writes tmpl, mostly between lines that hold nothing of note.
func (p *page) letter(tmpl string) {
	n := p.IntN(10)
	if n < 7 {
		p.write(p.one(openings()))
	}
	p.write(tmpl)
	if n > 1 {
		p.write(p.one(closings()))
	}
}

// write fills in tmpl.
func (p *page) write(tmpl string) {
	for {
		before, rest, more := strings.Cut(tmpl, "[[")
		p.text.WriteString(before)
		if !more {
			return
		}
		word, after, _ := strings.Cut(rest, "]]")
		p.fill(word)
		tmpl = after
	}
}

// fill writes what word stands for.
func (p *page) fill(word string) {
	switch word {
	case "v":
		p.mark(p.value(p))
	case "routing": // the second number of a sentence about a bank account
		p.mark(routing(p))
	case "mrz":
		p.zone()
	case "x":
		p.text.WriteString(p.kind.others()(p))
	case "L":
		p.text.WriteString(p.label)
	case "l":
		p.text.WriteString(strings.ToLower(p.label))
	case "U":
		p.text.WriteString(strings.ToUpper(p.label))
	default:
		p.text.WriteString(p.filler(word))
	}
}

// mark writes v as a value of the type, or as what only looks like one.
func (p *page) mark(v string) {
	if start := int64(p.text.Len()); p.marks {
		p.spans = append(p.spans, gold.Span{Start: start, End: start + int64(len(v)), Type: p.kind.typ})
	}
	p.text.WriteString(v)
}

// filler returns what word stands for in a sentence, or digits: n and how many.
func (p *page) filler(word string) string {
	switch word {
	case "name":
		return p.who.Name()
	case "given":
		return p.who.Given
	case "family":
		return p.who.Family
	case "NAME":
		return strings.ToUpper(p.who.Family + "^" + p.who.Given)
	case "doc":
		return p.who.Physician
	case "town":
		return p.who.Town
	case "street":
		return p.who.Street
	case "day":
		return p.who.Admitted.Format("01/02/2006")
	case "iso":
		return p.who.Admitted.Format("2006-01-02")
	case "ymd":
		return p.who.Admitted.Format("20060102")
	case "hex":
		return p.of("0123456789abcdef", 8)
	case "HEX":
		return p.of("0123456789ABCDEF", 1)
	case "AZ":
		return p.of(letters, 1)
	case "uuid":
		h := p.of("0123456789abcdef", 32)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	case "sha":
		return p.of("0123456789abcdef", 40)
	}
	n := 0
	if _, err := fmt.Sscanf(word, "n%d", &n); err != nil {
		panic("cases: no such word: " + word)
	}
	return p.digits(n)
}
