package formats

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a clinical document's tags.
const (
	maxCDATag = 8 << 10 // bytes of a tag that is read; a longer one is passed on unread
	maxNames  = 256     // of open elements that are remembered
)

// Roots of identifiers in clinical documents: each is the OID under which its
// issuer registered it with HL7.
const (
	oidSSN = "2.16.840.1.113883.4.1"
	oidNPI = "2.16.840.1.113883.4.6"
	oidMBI = "2.16.840.1.113883.4.927"
)

// cda passes a clinical document on unchanged and marks what its elements say
// of the patient: ids by their root, birth, telephone, ZIP and street.
//
// Source: HL7 CDA R2, and Consolidated CDA R2.1, 1.1 (US realm header).
type cda struct {
	out   *emitter
	tag   []byte // of the tag at hand, from "<" on
	open  []string
	text  []byte // of the element at hand, where text tells something
	spans []dlp.Span
	group uint32
}

// looksCDA reports a clinical document by its first element.
func looksCDA(head []byte) bool {
	i := bytes.Index(head, []byte("ClinicalDocument"))
	return i > 0 && (head[i-1] == '<' || head[i-1] == ':') && bytes.Contains(head, []byte("urn:hl7-org:v3"))
}

// write takes the next piece of the document.
func (c *cda) write(b []byte) {
	for len(b) > 0 {
		if len(c.tag) == 0 {
			i := bytes.IndexByte(b, '<')
			if i < 0 {
				c.between(b)
				return
			}
			c.between(b[:i])
			c.tag, b = append(c.tag, '<'), b[i+1:]
			continue
		}
		i := bytes.IndexByte(b, '>')
		n := i + 1
		if i < 0 {
			n = len(b)
		}
		c.tag, b = append(c.tag, b[:n]...), b[n:]
		if i >= 0 || len(c.tag) > maxCDATag {
			c.endTag()
		}
	}
}

// end takes the end of the document.
func (c *cda) end() {
	c.flushText()
	c.out.write(c.tag)
	c.tag = c.tag[:0]
}

// between takes what stands outside tags.
func (c *cda) between(b []byte) {
	if len(b) == 0 {
		return
	}
	if c.name(0) != "streetAddressLine" && c.name(0) != "postalCode" || len(c.text)+len(b) > maxCDATag {
		c.flushText()
		c.out.write(b)
		return
	}
	c.text = append(c.text, b...)
}

// flushText passes the text at hand on, marked.
func (c *cda) flushText() {
	if len(c.text) == 0 {
		return
	}
	c.spans = c.spans[:0]
	value := bytes.TrimSpace(c.text)
	from := bytes.Index(c.text, value)
	switch c.name(0) {
	case "postalCode":
		c.mark(from, from+len(value), "postalCode", "ZIP")
	case "streetAddressLine":
		c.mark(from, from+len(value), "streetAddressLine", "ADDRESS")
	}
	c.out.row(c.text, c.spans)
	c.text = c.text[:0]
}

// name returns the n-th open element from within, "" for none.
func (c *cda) name(n int) string {
	if n >= len(c.open) {
		return ""
	}
	return c.open[len(c.open)-1-n]
}

// endTag takes the end of the tag at hand.
func (c *cda) endTag() {
	c.flushText()
	t := c.tag
	c.spans = c.spans[:0]
	switch {
	case bytes.HasPrefix(t, []byte("<!--")) && !bytes.HasSuffix(t, []byte("-->")) && len(t) <= maxCDATag:
		return // a comment goes on behind a ">"
	case len(t) < 3 || t[1] == '!' || t[1] == '?':
	case t[1] == '/':
		if i := slices.Index(c.open, localName(t[2:])); i >= 0 && c.open[len(c.open)-1] == c.open[i] {
			c.open = c.open[:len(c.open)-1]
		} else if i >= 0 {
			c.open = c.open[:i]
		}
	default:
		name := localName(t[1:])
		c.element(name)
		if !bytes.HasSuffix(t, []byte("/>")) && len(c.open) < maxNames {
			c.open = append(c.open, name)
		}
	}
	c.out.row(t, c.spans)
	c.tag = c.tag[:0]
}

// element marks the attributes of the tag at hand, which opens name.
func (c *cda) element(name string) {
	switch name {
	case "patientRole":
		c.group++
	case "birthTime":
		from, to := c.attribute("value")
		c.mark(from, to, "birthTime", "DOB")
	case "telecom":
		from, to := c.attribute("value")
		if v := string(c.tag[from:to]); strings.HasPrefix(v, "tel:") || strings.HasPrefix(v, "fax:") {
			c.mark(from+4, to, "telecom", "PHONE")
		}
	case "id":
		rf, rt := c.attribute("root")
		from, to := c.attribute("extension")
		value := string(c.tag[from:to])
		switch root := string(c.tag[rf:rt]); {
		case root == oidNPI:
			c.mark(from, to, "id NPI", "NPI")
		case root == oidMBI:
			c.mark(from, to, "id MBI", "MBI")
		case root == oidSSN && nineDigits(value):
			c.mark(from, to, "id SSN", "SSN")
		case c.name(0) == "patientRole":
			c.mark(from, to, "patientRole id", "MRN")
		}
	}
}

// mark marks tag or text[from:to].
func (c *cda) mark(from, to int, label string, typ dlp.Type) {
	if from < to {
		c.spans = append(c.spans, dlp.Span{Start: int64(from), End: int64(to), Label: label, Type: typ, Group: c.group})
	}
}

// attribute returns where the value of an attribute stands in the tag at hand;
// both are 0 without one.
func (c *cda) attribute(name string) (from, to int) {
	for i := 0; ; {
		k := bytes.Index(c.tag[i:], []byte(name))
		if k < 0 {
			return 0, 0
		}
		k += i
		i = k + len(name)
		if c.tag[k-1] > ' ' { // within another name
			continue
		}
		rest := bytes.TrimLeft(c.tag[i:], " \t\r\n")
		if len(rest) < 2 || rest[0] != '=' {
			continue
		}
		rest = bytes.TrimLeft(rest[1:], " \t\r\n")
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			continue
		}
		from = len(c.tag) - len(rest) + 1
		n := bytes.IndexByte(c.tag[from:], rest[0])
		if n < 0 {
			return 0, 0
		}
		return from, from + n
	}
}

// localName is the name that b begins with, without its prefix.
func localName(b []byte) string {
	n := bytes.IndexAny(b, " \t\r\n/>")
	if n < 0 {
		n = len(b)
	}
	name := string(b[:n])
	return name[strings.LastIndexByte(name, ':')+1:]
}

// nineDigits reports an SSN's number of digits and separators.
func nineDigits(s string) bool {
	d := strings.NewReplacer("-", "", " ", "", ".", "").Replace(s)
	return len(d) == 9 && strings.Trim(d, "0123456789") == ""
}
