package formats

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/requests"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of what a PDF holds as XML.
const (
	maxPackets  = 256     // of a form
	maxCaptions = 1 << 13 // of fields, that are kept for their values
	maxXMP      = 64      // descriptions in a file that are looked at
	maxXMPBytes = 1 << 20 // of one
)

// forms reads the form of an XFA document: what stands in its template, then the
// values of its fields under their captions. An error means that pdfium broke.
func (d *pdfDoc) forms(at place) error {
	count := 0
	n, err := d.in.FPDF_GetXFAPacketCount(&requests.FPDF_GetXFAPacketCount{Document: d.doc})
	switch {
	case trapped(err):
		return err
	case err == nil:
		count = n.Count
	}
	x := &xfaText{w: &pictureText{j: d.j, packed: int64(len(d.b))}, captions: map[string]string{}}
	whole := count <= maxPackets
	for _, values := range []bool{false, true} { // captions come first, wherever they stand
		x.values, x.names, x.deep, x.area, x.ended = values, nil, 0, "", false
		for i := range min(count, maxPackets) {
			p, err := d.in.FPDF_GetXFAPacketContent(&requests.FPDF_GetXFAPacketContent{Document: d.doc, Index: i})
			if trapped(err) {
				return err
			}
			if err != nil {
				whole = false
				continue
			}
			err = scanXML(bytes.NewReader(p.Content), x)
			x.flush()
			if x.err != nil {
				return x.err
			}
			if ge, ok := errors.AsType[*gapError](err); ok && ge.cause != dlp.Corrupt {
				return ge
			}
			whole = whole && err == nil
			d.j.out.window()
		}
	}
	f, err := d.in.FPDF_GetFormType(&requests.FPDF_GetFormType{Document: d.doc})
	switch {
	case trapped(err):
		return err
	case x.pictures:
		d.j.gap(at, dlp.Image, "pictures of a pdf XFA form", 0)
	case err == nil && f.FormType == enums.FPDF_FORMTYPE_XFA_FULL && (!whole || x.odd || !x.template):
		d.j.gap(at, dlp.Unsupported, "pdf XFA form", 0)
	}
	return nil
}

// xfaText writes what an XFA form says: at first its template and what else
// stands beside the values, then the values.
//
// Source: XML Forms Architecture 3.3, chapters 2, 4 and 17.
type xfaText struct {
	w        *pictureText
	names    []string // open elements
	deep     int      // open ones past those
	area     string   // the packet at hand
	field    string   // of the template
	captions map[string]string
	values   bool // they are written, else the template
	template bool // there is one
	pictures bool // it has some
	odd      bool // there is what the form may show in another way than it is read
	ended    bool // an element has ended, and none begun since
	buf      []byte
	err      error
}

func (x *xfaText) start(name string, a attrs) {
	if x.breaks(name) {
		x.mixed(x.buf)
		x.flush()
	}
	x.ended = false
	if len(x.names) == 0 || len(x.names) == 1 && x.names[0] == "xdp" {
		if x.deep == 0 && name != "xdp" {
			x.area = name
			x.template = x.template || name == "template"
			x.odd = x.odd || name == "pdf" // a file in base64
		}
	}
	switch name {
	case "field", "draw", "exclGroup":
		if x.area == "template" {
			x.field = a.get("name")
		}
	case "image":
		x.pictures = x.pictures || x.area == "template" && a.get("href") != ""
	}
	if len(x.names) < maxXMPNames {
		x.names = append(x.names, name)
	} else {
		x.deep++
		x.odd = true
	}
	if x.values && x.area == "datasets" {
		x.attributes(a)
	}
}

// attributes writes those of a value: they may be bound to fields as well.
func (x *xfaText) attributes(a attrs) {
	for _, v := range a {
		if s := strings.TrimSpace(v.value); x.err == nil && s != "" && !isNamespace().MatchString(s) && !(v.name == "style" && x.within("body")) {
			x.line(v.name, s)
		}
	}
}

// isNamespace matches the namespaces of forms and their texts, which attributes declare.
var isNamespace = expression(`^http://(www\.xfa\.org|www\.w3\.org|ns\.adobe\.com)/[A-Za-z./#-]{0,40}(\d{4}|\d\.\d)?[A-Za-z./#-]{0,40}$`)

// breaks reports whether a line ends where an element of that name begins or
// ends: within rich text only paragraphs and their like do that.
func (x *xfaText) breaks(name string) bool {
	if !x.within("body") {
		return true
	}
	switch name {
	case "b", "i", "u", "span", "sub", "sup", "a", "font", "em", "strong":
		return false
	case "body", "html", "p", "div", "br", "ul", "ol", "li", "table", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6":
	default:
		x.odd = true
	}
	return true
}

// mixed notes text that stands beside elements, where a form has no rich text:
// it may be shown with theirs.
func (x *xfaText) mixed(b []byte) {
	switch x.area {
	case "datasets", "template", "form":
		x.odd = x.odd || !x.within("body") && len(bytes.TrimSpace(b)) > 0
	}
}

func (x *xfaText) end(name string) {
	if x.breaks(name) {
		x.flush()
	}
	x.ended = true
	if x.deep > 0 {
		x.deep--
		return
	}
	if len(x.names) == 0 || x.names[len(x.names)-1] != name {
		x.odd = true
	}
	if len(x.names) > 0 {
		x.names = x.names[:len(x.names)-1]
	}
}

func (x *xfaText) text(b []byte) {
	if x.ended {
		x.mixed(b)
	}
	if x.values != (x.area == "datasets") || x.area == "config" || x.area == "localeSet" || x.area == "pdf" {
		return
	}
	if len(x.buf) == 0 {
		b = bytes.TrimLeft(b, " \t\r\n")
	}
	if x.buf = append(x.buf, b...); len(x.buf) >= textChunk {
		again := strings.ToValidUTF8(string(x.buf[len(x.buf)-seamed:]), "") // what the cut goes through is told whole
		x.flush()
		x.buf = append(x.buf, again...)
	}
}

const seamed = 256 // bytes of a long text that are told with its next piece as well

// within reports an open element of that name.
func (x *xfaText) within(name string) bool { return slices.Contains(x.names, name) }

// flush writes the text at hand.
func (x *xfaText) flush() {
	s := strings.TrimSpace(string(x.buf))
	x.buf = x.buf[:0]
	if s == "" || x.err != nil {
		return
	}
	if x.values {
		x.line(x.name(), s)
		return
	}
	switch {
	case x.within("script"):
		s = x.script(s)
	case x.within("image"):
		x.pictures = true
		return
	case x.within("caption") && x.field != "" && x.area == "template":
		if len(x.captions) < maxCaptions || x.captions[x.field] != "" {
			x.captions[x.field] = strings.TrimSuffix(strings.TrimSpace(cutLabel(strings.TrimSpace(x.captions[x.field]+" "+s))), ":")
		}
	}
	if x.err = x.w.j.spend(len(s) + 1); x.err == nil {
		x.w.j.out.writeString(validString(s))
		x.w.j.out.writeString("\n")
		x.err = x.w.j.out.err
	}
}

// line writes a value under the caption of its field.
func (x *xfaText) line(name, s string) {
	if c := x.captions[name]; c != "" {
		name = c
	}
	x.err = x.w.Line(name, s)
}

var (
	joinedText  = expression(`"\s*\+\s*"|'\s*\+\s*'`)
	escapedRune = expression(`\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))`)
	unreadable  = expression(`\b(?:fromCharCode|unescape|eval|atob)\b`)
)

// script returns a program with its texts as they are shown: a form fills its
// fields by them. What puts a text together from codes is told as not read.
func (x *xfaText) script(s string) string {
	x.odd = x.odd || unreadable().MatchString(s)
	s = escapedRune().ReplaceAllStringFunc(s, func(e string) string {
		n, err := strconv.ParseUint(e[2:], 16, 16)
		if err != nil {
			return e
		}
		return string(rune(n))
	})
	return joinedText().ReplaceAllString(s, "")
}

// name returns what the value at hand is called: by the innermost element that
// is none of a text's form.
func (x *xfaText) name() string {
	for i := len(x.names) - 1; i >= 0; i-- {
		switch x.names[i] {
		case "body", "html", "p", "div", "span", "b", "i", "br", "sub", "sup", "ul", "ol", "li", "value":
		default:
			return x.names[i]
		}
	}
	return "value"
}

// xmp writes the descriptions in XMP that lie open in the file: the document's,
// and those of its pictures. Each is told once.
//
// Source: ISO 32000-1 14.3.2; ISO 16684-1 7.3.
func (d *pdfDoc) xmp() error {
	w := &pictureText{j: d.j, packed: int64(len(d.b))}
	told := map[[sha256.Size]byte]bool{}
	rest := d.b
	for range maxXMP {
		i := bytes.Index(rest, []byte("<x:xmpmeta"))
		if i < 0 {
			break
		}
		rest = rest[i:]
		n := bytes.Index(rest[:min(len(rest), maxXMPBytes)], []byte("</x:xmpmeta>"))
		if n < 0 {
			rest = rest[1:]
			continue
		}
		packet := rest[:n+len("</x:xmpmeta>")]
		rest = rest[len(packet):]
		sum := sha256.Sum256(packet)
		if told[sum] {
			continue
		}
		told[sum] = true
		if err := w.XMP(packet); err != nil {
			return err
		}
	}
	return nil
}
