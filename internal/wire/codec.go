package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of single fields, in bytes unless said otherwise. Encoders cut what
// is longer; decoders refuse it.
const (
	MaxPath   = 1 << 10 // depth × the longest number, generously
	MaxName   = 1 << 10 // a declared file name
	MaxLabel  = 256     // a column's header
	MaxSpans  = 8192    // spans in one Window
	MaxSkips  = 100000  // units in one Job's skip set
	maxDetail = 64      // a Gap's Detail

	// MaxPasswords is how many candidates a Job carries, MaxPassword how long
	// one is.
	MaxPasswords = 1000
	MaxPassword  = 256
	MaxNamed     = 16  // words that a mail is said to name as passwords
	maxType      = 127 // RFC 6838 4.2: type and subtype names of at most 127
)

// Class says how long a unit may take.
type Class uint8

// The classes of unit.
const (
	Normal Class = iota // the ordinary deadline of a part
	Slow                // a PDF: the longer one
	Stream              // a text read in one pass whatever its size: the deadline is for each window
)

// Unit is a leaf or a container that a child is about to parse.
type Unit struct {
	Path  string
	Name  string // declared file name. PHI
	Class Class
}

// Skip names a unit that an earlier child has dealt with.
type Skip struct {
	Path   string
	Broken bool // it broke that child; otherwise it was read to its end
}

// Limits bound what one document may unpack into. All are positive.
type Limits struct {
	Depth   int   // containers within containers, the document itself being 0
	Members int   // parts, members and embedded files in all
	Decoded int64 // bytes unpacked in all
	Memory  int64 // bytes held at one time for random access
	Pixels  int64 // of a page whose words are read
	Pages   int   // of a picture whose words are read
	Ratio   int64 // unpacked bytes for one packed byte, once RatioFree bytes have come out
}

// RatioFree is what a member may unpack to before its ratio counts, in bytes.
const RatioFree = 16 << 20

// Job is the head of a document.
type Job struct {
	Size   int64 // of the document in bytes, as far as known; 0 when not
	Mail   bool  // it came as a mail, whatever it looks like
	Logos  bool  // words of the small pictures that HTML shows are read too
	Burned bool  // a DICOM file is believed that no text is burnt into its pixels
	Most   Skill // of the children there are: what needs more is a gap
	Limits Limits
	Skip   []Skip

	// Passwords are what encrypted parts are tried with, beside what the
	// document itself says, the likeliest first. Each is secret.
	Passwords []string
	Tries     int  // of passwords, for one encrypted file
	TriesAll  int  // for the document
	Names     bool // it is to be told what the document names as passwords
}

// AppendJob appends the encoding of j to b.
func AppendJob(b []byte, j *Job) []byte {
	b = binary.AppendUvarint(b, uint64(max(j.Size, 0)))
	b = append(b, flag(j.Mail), flag(j.Logos), flag(j.Names), flag(j.Burned), byte(j.Most))
	for _, v := range []int64{int64(j.Limits.Depth), int64(j.Limits.Members), j.Limits.Decoded, j.Limits.Memory, j.Limits.Ratio, j.Limits.Pixels, int64(j.Limits.Pages)} {
		b = binary.AppendUvarint(b, uint64(max(v, 0)))
	}
	b = binary.AppendUvarint(b, uint64(min(len(j.Skip), MaxSkips)))
	for _, s := range j.Skip[:min(len(j.Skip), MaxSkips)] {
		b = append(appendString(b, s.Path, MaxPath), flag(s.Broken))
	}
	b = binary.AppendUvarint(b, uint64(min(len(j.Passwords), MaxPasswords)))
	for _, pw := range j.Passwords[:min(len(j.Passwords), MaxPasswords)] {
		b = appendString(b, pw, MaxPassword)
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(max(j.Tries, 0))), uint64(max(j.TriesAll, 0)))
}

// DecodeJob is the inverse of AppendJob.
func DecodeJob(b []byte) (*Job, error) {
	d := decoder{b: b}
	j := &Job{Size: d.int()}
	j.Mail, j.Logos, j.Names, j.Burned, j.Most = d.byte() == 1, d.byte() == 1, d.byte() == 1, d.byte() == 1, Skill(d.byte())
	if j.Most >= Skills {
		d.bad = true
	}
	j.Limits = Limits{Depth: int(d.int()), Members: int(d.int()), Decoded: d.int(), Memory: d.int(), Ratio: d.int(), Pixels: d.int(), Pages: int(d.int())}
	n := d.count(MaxSkips, 2)
	j.Skip = make([]Skip, 0, n)
	for range n {
		j.Skip = append(j.Skip, Skip{Path: d.string(MaxPath), Broken: d.byte() == 1})
	}
	for range d.count(MaxPasswords, 1) {
		j.Passwords = append(j.Passwords, d.string(MaxPassword))
	}
	j.Tries, j.TriesAll = int(d.int()), int(d.int())
	return j, d.end("job")
}

// AppendNamed appends the encoding of words, which are at most MaxNamed.
func AppendNamed(b []byte, words []string) []byte {
	words = words[:min(len(words), MaxNamed)]
	b = binary.AppendUvarint(b, uint64(len(words)))
	for _, w := range words {
		b = appendString(b, w, MaxPassword)
	}
	return b
}

// DecodeNamed is the inverse of AppendNamed.
func DecodeNamed(b []byte) ([]string, error) {
	d := decoder{b: b}
	var words []string
	for range d.count(MaxNamed, 1) {
		words = append(words, d.string(MaxPassword))
	}
	return words, d.end("names")
}

// AppendUnit appends the encoding of u to b.
func AppendUnit(b []byte, u Unit) []byte {
	b = append(b, byte(u.Class))
	return appendString(appendString(b, u.Path, MaxPath), u.Name, MaxName)
}

// DecodeUnit is the inverse of AppendUnit.
func DecodeUnit(b []byte) (Unit, error) {
	d := decoder{b: b}
	u := Unit{Class: Class(d.byte())}
	u.Path, u.Name = d.path(), d.string(MaxName)
	if u.Class > Stream {
		d.bad = true
	}
	return u, d.end("unit")
}

// AppendPart appends the encoding of p to b.
func AppendPart(b []byte, p dlp.PartInfo) []byte {
	b = appendString(b, p.Path, MaxPath)
	return append(appendString(appendString(b, p.MediaType, maxType), p.Name, MaxName), flag(p.Opened))
}

// DecodePart is the inverse of AppendPart.
func DecodePart(b []byte) (dlp.PartInfo, error) {
	d := decoder{b: b}
	p := dlp.PartInfo{Path: d.path(), MediaType: d.word(maxType), Name: d.string(MaxName), Opened: d.byte() == 1}
	return p, d.end("part")
}

// AppendGap appends the encoding of g to b.
func AppendGap(b []byte, g dlp.Gap) []byte {
	b = append(b, byte(g.Cause), flag(g.Inline))
	b = binary.AppendUvarint(b, uint64(max(g.Size, 0)))
	b = appendString(b, g.Path, MaxPath)
	return appendString(appendString(b, g.Detail, maxDetail), g.Name, MaxName)
}

// DecodeGap is the inverse of AppendGap.
func DecodeGap(b []byte) (dlp.Gap, error) {
	d := decoder{b: b}
	g := dlp.Gap{Cause: dlp.Cause(d.byte()), Inline: d.byte() == 1, Size: d.int()}
	g.Path, g.Detail, g.Name = d.path(), d.word(maxDetail), d.string(MaxName)
	if int(g.Cause) >= len(dlp.Causes()) {
		d.bad = true
	}
	return g, d.end("gap")
}

// AppendWindow appends the encoding of w to b. Labels and types stand once
// each in a table that the spans point into. w has at most MaxSpans spans.
func AppendWindow(b []byte, w dlp.Window) []byte {
	b = binary.AppendUvarint(b, uint64(w.Offset))
	spans := w.Spans[:min(len(w.Spans), MaxSpans)]
	var few [8]string           // the first of the table's strings
	var index map[string]uint64 // the others
	var known int
	table := make([]byte, 0, 128)
	ref := func(s string) uint64 {
		s = cut(s, MaxLabel)
		for i, k := range few[:min(known, len(few))] {
			if k == s {
				return uint64(i)
			}
		}
		i, ok := index[s]
		if ok {
			return i
		}
		if i = uint64(known); known < len(few) {
			few[known] = s
		} else {
			if index == nil {
				index = make(map[string]uint64, 16)
			}
			index[s] = i
		}
		known++
		table = appendString(table, s, MaxLabel)
		return i
	}
	body := make([]byte, 0, 128)
	if len(spans)*8 > cap(body) {
		body = make([]byte, 0, len(spans)*8)
	}
	for _, s := range spans {
		body = binary.AppendUvarint(body, uint64(s.Start-w.Offset))
		body = binary.AppendUvarint(body, uint64(s.End-s.Start))
		body = binary.AppendUvarint(body, ref(s.Label))
		body = binary.AppendUvarint(body, ref(string(s.Type)))
		body = binary.AppendUvarint(body, uint64(s.Group))
	}
	b = binary.AppendUvarint(b, uint64(known))
	b = append(b, table...)
	b = binary.AppendUvarint(b, uint64(len(spans)))
	b = append(b, body...)
	return append(b, w.Text...)
}

// DecodeWindow is the inverse of AppendWindow. Text aliases b. It checks that
// Text is valid UTF-8 of at most dlp.MaxWindow bytes and that the spans start
// inside it, in order.
func DecodeWindow(b []byte) (dlp.Window, error) {
	d := decoder{b: b}
	w := dlp.Window{Offset: d.int()}
	n := d.count(2*MaxSpans, 1)
	table := make([]string, 0, n)
	for range n {
		table = append(table, d.string(MaxLabel))
	}
	n = d.count(MaxSpans, 5)
	if n > 0 {
		w.Spans = make([]dlp.Span, 0, n)
	}
	for range n {
		var s dlp.Span
		s.Start = w.Offset + d.int()
		s.End = s.Start + d.int()
		s.Label, s.Type = d.ref(table), dlp.Type(d.ref(table))
		g := d.int()
		if g > 1<<32-1 || s.Start < w.Offset || s.End < s.Start {
			d.bad = true
		}
		s.Group = uint32(g)
		w.Spans = append(w.Spans, s)
	}
	w.Text = d.b
	d.b = nil
	if len(w.Text) > dlp.MaxWindow || !utf8.Valid(w.Text) {
		d.bad = true
	}
	last := w.Offset
	for _, s := range w.Spans {
		if s.Start < last || s.Start > w.Offset+int64(len(w.Text)) {
			d.bad = true
		}
		if s.Type != "" && s.Type != dlp.Definition && !dlp.KnownType(s.Type) {
			d.bad = true
		}
		last = s.Start
	}
	return w, d.end("window")
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// cut shortens s to at most n bytes at a rune's edge.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func appendString(b []byte, s string, most int) []byte {
	s = cut(s, most)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decoder takes fields off b. After a field that cannot be, bad is set and
// every later field is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) end(what string) error {
	if d.bad || len(d.b) > 0 {
		return fmt.Errorf("%w: bad %s", ErrFrame, what)
	}
	return nil
}

func (d *decoder) byte() byte {
	if d.bad || len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// int takes a uvarint of at most 62 bits, so that sums of two stay positive.
func (d *decoder) int() int64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v >= 1<<62 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int64(v)
}

// count takes a number of items, each of at least size bytes.
func (d *decoder) count(most int64, size int) int {
	n := d.int()
	if n > most || n*int64(size) > int64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string(most int) string {
	n := d.int()
	if d.bad || n > int64(most) || n > int64(len(d.b)) {
		d.bad = true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	if !utf8.ValidString(s) {
		d.bad = true
	}
	return s
}

func (d *decoder) ref(table []string) string {
	i := d.int()
	if i >= int64(len(table)) {
		d.bad = true
		return ""
	}
	return table[i]
}

// path takes a part's path. Its letters are those that part numbers have, so
// that a child that was taken over cannot hand on text in it.
func (d *decoder) path() string {
	s := d.string(MaxPath)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c == '.', c == '/', c == '~':
		default:
			d.bad = true
		}
	}
	return s
}

// word takes a media type or a Gap's Detail: printable ASCII. Both are written
// to places where no text of a document may stand.
func (d *decoder) word(most int) string {
	s := d.string(most)
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			d.bad = true
		}
	}
	return s
}
