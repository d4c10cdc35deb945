package formats

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
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
		x.values = values
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
	case err == nil && f.FormType == enums.FPDF_FORMTYPE_XFA_FULL && (!whole || !x.template):
		d.j.gap(at, dlp.Unsupported, "pdf XFA form", 0)
	}
	return nil
}

// xfaText writes what an XFA form says: at first its template, then its values.
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
	buf      []byte
	err      error
}

func (x *xfaText) start(name string, a attrs) {
	x.flush()
	switch name {
	case "template", "datasets", "config", "localeSet", "connectionSet", "form", "stylesheet", "xmpmeta", "sourceSet":
		if !x.within("datasets") && !x.within("template") {
			x.area = name
			x.template = x.template || name == "template"
		}
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
	}
}

func (x *xfaText) end(string) {
	x.flush()
	if x.deep > 0 {
		x.deep--
	} else if len(x.names) > 0 {
		x.names = x.names[:len(x.names)-1]
	}
}

func (x *xfaText) text(b []byte) {
	if x.values != (x.area == "datasets") || x.area != "datasets" && x.area != "template" {
		return
	}
	if len(x.buf) == 0 {
		b = bytes.TrimLeft(b, " \t\r\n")
	}
	if x.buf = append(x.buf, b...); len(x.buf) >= textChunk {
		x.flush()
	}
}

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
		name := x.name()
		if c := x.captions[name]; c != "" {
			name = c
		}
		x.err = x.w.Line(name, s)
		return
	}
	switch {
	case x.within("script") || x.within("event") || x.within("calculate") || x.within("validate") && !x.within("message"):
		return // programs
	case x.within("image"):
		x.pictures = true
		return
	case x.within("caption") && x.field != "":
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

// name returns what the value at hand is called: by the innermost element that
// is none of a text's form.
func (x *xfaText) name() string {
	for i := len(x.names) - 1; i >= 0; i-- {
		switch x.names[i] {
		case "body", "html", "p", "span", "b", "i", "br", "sub", "sup", "ul", "ol", "li", "value":
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
