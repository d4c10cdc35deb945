package formats

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a DICOM file.
const (
	maxDICOMElements = 500_000
	maxDICOMDepth    = 32      // of sequences
	maxDICOMValue    = 8 << 20 // bytes of a value that is read
	maxDICOMFiles    = 100     // documents within
)

// Tags and lengths that the reader knows. PS3.5 7.5, PS3.6 table 6-1.
const (
	dicomUndefined   = 1<<32 - 1
	tagItem          = 0xfffee000
	tagItemEnd       = 0xfffee00d
	tagSequenceEnd   = 0xfffee0dd
	tagSyntax        = 0x00020010
	tagRecordType    = 0x00041430
	tagCharset       = 0x00080005
	tagImageType     = 0x00080008
	tagCodeValue     = 0x00080100
	tagCodingScheme  = 0x00080102
	tagCodeMeaning   = 0x00080104
	tagBurnedIn      = 0x00280301
	tagRecognizable  = 0x00280302
	tagConceptName   = 0x0040a043
	tagDocument      = 0x00420011
	tagEncrypted     = 0x04000520
	syntaxDeflated   = "1.2.840.10008.1.2.1.99"
	dicomPixelGroup  = 0x7fe0
	dicomEncryptedBy = "dicom attributes"
)

// dicomItem is a data set: the file's, or an item of a sequence.
type dicomItem struct {
	up      *dicomItem
	of      uint32 // the sequence's tag
	depth   int
	charset string // as an encoding
	concept string // what the content item says it is
}

// dicom reads a DICOM file in one pass: a line for each element whose value is
// text, with its keyword as label, and what the dictionary says it is. Numbers
// are passed over.
//
// Source: DICOM PS3.5 chapter 7 (data set), PS3.10 chapter 7 (file).
type dicom struct {
	j        *job
	at       place
	r        *bufio.Reader
	size     int64 // of the file, as far as known
	pos      int64
	order    binary.ByteOrder
	explicit bool
	elements int
	group    uint32

	line  []byte
	spans []dlp.Span
	code  bool // line holds a code whose system is still to come

	syntax, imageType, burnedIn, recognizable string
	pixels, overlay, sealed, audio            bool // seen
	bad, deep, long                           bool // seen
	files                                     [][]byte
}

// dicom reads a DICOM file.
func (j *job) dicom(at place, s *stream) error {
	j.part(at, "application/dicom")
	d := &dicom{j: j, at: at, r: bufio.NewReaderSize(s.reader(), headSize), size: s.size, order: binary.LittleEndian, explicit: true, group: 1}
	err := d.file()
	d.flush()
	if d.pixels && !(j.burned && d.clean()) {
		j.gap(at, dlp.Image, "dicom pixel data", 0)
	}
	if d.overlay {
		j.gap(at, dlp.Image, "dicom overlay", 0)
	}
	for _, g := range []struct {
		seen   bool
		cause  dlp.Cause
		detail string
	}{
		{d.sealed, dlp.Encrypted, dicomEncryptedBy}, {d.audio, dlp.Unsupported, "dicom audio"}, {d.deep, dlp.TooDeep, "dicom sequence"},
		{d.long, dlp.TooLarge, "dicom value"}, {d.bad && err == nil, dlp.Corrupt, "dicom"},
	} {
		if g.seen {
			j.gap(at, g.cause, g.detail, 0)
		}
	}
	for i, f := range d.files {
		j.leaf(at.inside(itoa(i+1)), memory(f))
	}
	return err
}

// clean reports pixels of which the file says that no text is burnt in, and that
// they are as the detector gave them.
//
// Source: DICOM PS3.3 C.7.6.1.1.2 (Image Type), C.7.6.1 (Burned In Annotation).
func (d *dicom) clean() bool {
	return d.burnedIn == "NO" && d.recognizable != "YES" && strings.HasPrefix(d.imageType, `ORIGINAL\PRIMARY`)
}

// file reads all of it.
func (d *dicom) file() error {
	head, _ := d.r.Peek(132) // what is missing shows when it is read
	switch {
	case len(head) == 132 && string(head[128:]) == "DICM":
		if t := printable(head[:128]); t != "" {
			d.start(0, "preamble", "")
			d.text(t, "preamble", "")
			d.finish()
		}
		if err := d.skip(132); err != nil {
			return err
		}
	case bytes.HasPrefix(head, []byte("DICM")):
		if err := d.skip(4); err != nil {
			return err
		}
	}
	top := &dicomItem{}
	for { // group 2 is always explicit, little endian
		b, err := d.r.Peek(2)
		if err != nil || b[0] != 2 || b[1] != 0 {
			break
		}
		if _, err := d.element(-1, top); err != nil {
			return err
		}
	}
	if d.syntax == syntaxDeflated {
		d.r = bufio.NewReaderSize(&budget{j: d.j, r: flate.NewReader(d.r), packed: d.size}, headSize)
	}
	if b, err := d.r.Peek(6); err == nil { // what is there counts, not what is declared
		d.explicit = dicomVRs[string(b[4:6])] != 0
		if b[0] == 0 && b[1] != 0 {
			d.order = binary.BigEndian
		}
	}
	_, err := d.dataset(-1, top)
	return err
}

// dataset reads elements up to end, or where that is -1 to the item's or file's.
// over reports the end of the sequence around it.
func (d *dicom) dataset(end int64, in *dicomItem) (over bool, err error) {
	for end < 0 || d.pos < end {
		if d.j.out.err != nil {
			return true, nil
		}
		if in.depth == 0 {
			if _, err := d.r.Peek(1); errors.Is(err, io.EOF) {
				return true, nil
			}
		}
		tag, err := d.element(end, in)
		switch {
		case err != nil:
			return true, err
		case tag == tagItemEnd && in.depth > 0 && end < 0:
			return false, nil
		case tag == tagSequenceEnd && in.depth > 0:
			return true, nil
		}
	}
	return false, nil
}

// dicomVRs are the value representations: 't' is text in the file's character
// set, 'a' is ASCII, 'b' bytes, 'w' words of numbers, 'n' numbers, 's' a
// sequence. Those in capitals have a length of four bytes.
//
// Source: DICOM PS3.5 tables 6.2-1 and 7.1-1.
var dicomVRs = map[string]byte{
	"AE": 'a', "AS": 'a', "AT": 'n', "CS": 'a', "DA": 'a', "DS": 'a', "DT": 'a', "FD": 'n', "FL": 'n', "IS": 'a', "LO": 't', "LT": 't', "OB": 'B', "OD": 'W',
	"OF": 'W', "OL": 'W', "OV": 'W', "OW": 'W', "PN": 't', "SH": 't', "SL": 'n', "SQ": 'S', "SS": 'n', "ST": 't', "SV": 'N', "TM": 'a', "UC": 'T', "UI": 'a',
	"UL": 'n', "UN": 'B', "UR": 'A', "US": 'n', "UT": 'T', "UV": 'N',
}

// element reads one element, and returns its tag. A delimiter is one as well.
func (d *dicom) element(end int64, in *dicomItem) (uint32, error) {
	if d.elements++; d.elements > maxDICOMElements {
		return 0, gapOf(dlp.TooMany, "dicom elements")
	}
	b, err := d.bytes(8)
	if err != nil {
		return 0, err
	}
	tag := uint32(d.order.Uint16(b))<<16 | uint32(d.order.Uint16(b[2:]))
	vr, n := dicomTags[tag].vr, int64(d.order.Uint32(b[4:]))
	switch {
	case tag>>16 == 0xfffe:
		return tag, nil // in a data set only its end; an item that stands alone is read as if it were none
	case !d.explicit || b[4] < 'A' || b[4] > 'Z' || b[5] < 'A' || b[5] > 'Z':
	default:
		vr = string(b[4:6])
		n = int64(d.order.Uint16(b[6:]))
		if k := dicomVRs[vr]; k < 'a' { // also the ones to come: PS3.5 7.1.2
			if b, err = d.bytes(4); err != nil {
				return 0, err
			}
			n = int64(d.order.Uint32(b))
		}
	}
	if n != dicomUndefined && end >= 0 && n > end-d.pos {
		d.bad, n = true, max(0, end-d.pos)
	}
	return tag, d.value(tag, vr, n, in)
}

// value reads the value of an element.
func (d *dicom) value(tag uint32, vr string, n int64, in *dicomItem) error {
	even := tag>>16&1 == 0
	kind := dicomVRs[vr] | 0x20
	switch {
	case n == 0:
		return nil
	case tag>>16 == dicomPixelGroup && even:
		if low := tag & 0xffff; low == 8 || low == 9 || low == 0x10 {
			d.pixels = true
		}
		return d.data(n)
	case tag>>24 == 0x60 && even && tag&0xffff == 0x3000:
		d.overlay = true
		return d.data(n)
	case tag>>24 == 0x50 && even && tag&0xffff == 0x200c:
		d.audio = true
		return d.data(n)
	case tag == tagEncrypted:
		d.sealed = true
		return d.data(n)
	case n == dicomUndefined && (vr == "OB" || vr == "OW"): // fragments of what is no picture
		d.bad = true
		return d.data(n)
	case kind == 's' || n == dicomUndefined || (vr == "UN" || vr == "") && d.holdsItem(n):
		return d.sequence(tag, vr, n, in)
	case kind == 'n' || kind == 'w' && even:
		return d.skip(n)
	}
	most := int64(maxDICOMValue)
	if tag == tagDocument {
		most = d.j.lim.Memory - d.j.held
	}
	b, err := d.read(n, most)
	switch {
	case tag == tagDocument || (kind == 'b' || vr == "" || kind == 'w') && isDocument(b):
		d.attach(b)
	case kind == 't' || kind == 'a':
		d.emit(tag, vr, b, in)
	default: // bytes, and what has no VR: text, or words within data
		switch wide := guessWide(b); {
		case wide != "":
			b = []byte(decodeText(b, wide))
		case holdsUnseen(bytes.ReplaceAll(bytes.TrimRight(b, "\x00 "), []byte{0x1b}, nil)):
			b = []byte(printable(b))
		}
		d.emit(tag, vr, b, in)
	}
	return err
}

// isDocument reports bytes that are a file of a kind that is looked into.
func isDocument(b []byte) bool {
	k, ok := signature(b[:min(len(b), headSize)])
	switch {
	case bytes.Contains(b[:min(len(b), 1024)], []byte("%PDF-")):
		return true
	case !ok || len(b) < 32:
		return false
	}
	return k.format == fZip || k.format == fGzip || k.format == fOLE2 || k.media == "image/png" || k.media == "image/jpeg"
}

// attach keeps a document within for later.
func (d *dicom) attach(b []byte) {
	if len(d.files) >= maxDICOMFiles {
		d.long = true
		return
	}
	d.j.hold(int64(len(b)))
	d.files = append(d.files, b)
}

// data passes over data of n bytes, or fragments of it.
func (d *dicom) data(n int64) error {
	if n != dicomUndefined {
		return d.skip(n)
	}
	for d.j.out.err == nil {
		b, err := d.bytes(8)
		if err != nil {
			return err
		}
		switch tag := uint32(d.order.Uint16(b))<<16 | uint32(d.order.Uint16(b[2:])); {
		case tag == tagSequenceEnd:
			return nil
		case tag != tagItem || d.order.Uint32(b[4:]) == dicomUndefined:
			return gapOf(dlp.Corrupt, "dicom fragments")
		}
		if err := d.skip(int64(d.order.Uint32(b[4:]))); err != nil {
			return err
		}
	}
	return nil
}

// holdsItem reports a value of n bytes that begins as a sequence does.
func (d *dicom) holdsItem(n int64) bool {
	b, err := d.r.Peek(8)
	if err != nil || n < 8 || uint32(d.order.Uint16(b))<<16|uint32(d.order.Uint16(b[2:])) != tagItem {
		return false
	}
	k := int64(d.order.Uint32(b[4:]))
	return k == dicomUndefined || k <= n-8
}

// sequence reads the items of a sequence.
func (d *dicom) sequence(tag uint32, vr string, n int64, in *dicomItem) error {
	if in.depth >= maxDICOMDepth {
		if n == dicomUndefined {
			return gapOf(dlp.TooDeep, "dicom sequence")
		}
		d.deep = true
		return d.skip(n)
	}
	end := int64(-1)
	if n != dicomUndefined {
		end = d.pos + n
	}
	if vr == "UN" { // PS3.5 6.2.2, note 2: implicit, whatever the file is; some write it as the file is
		if b, err := d.r.Peek(14); err == nil && dicomVRs[string(b[12:14])] == 0 {
			order, explicit := d.order, d.explicit
			d.order, d.explicit = binary.LittleEndian, false
			defer func() { d.order, d.explicit = order, explicit }()
		}
	}
	for (end < 0 || d.pos < end) && d.j.out.err == nil {
		b, err := d.bytes(8)
		if err != nil {
			return err
		}
		k := int64(d.order.Uint32(b[4:]))
		switch t := uint32(d.order.Uint16(b))<<16 | uint32(d.order.Uint16(b[2:])); t {
		case tagSequenceEnd:
			return nil
		case tagItem:
		default:
			return gapOf(dlp.Corrupt, "dicom sequence")
		}
		last := int64(-1)
		if k != dicomUndefined {
			if last = d.pos + k; end >= 0 && last > end {
				d.bad, last = true, end
			}
		}
		over, err := d.dataset(last, &dicomItem{up: in, of: tag, depth: in.depth + 1, charset: in.charset})
		if err != nil || over {
			return err
		}
	}
	return nil
}

// emit writes the line of an element whose value is text.
func (d *dicom) emit(tag uint32, vr string, b []byte, in *dicomItem) {
	enc := in.charset
	if dicomVRs[vr]|0x20 == 'a' {
		enc = encUTF8
	}
	value := strings.TrimRight(dicomText(b, enc), " \x00\r\n")
	if strings.TrimSpace(value) == "" {
		return
	}
	t := dicomTags[tag]
	label := t.keyword
	switch tag {
	case tagSyntax:
		d.syntax = value
	case tagCharset:
		in.charset = dicomCharset(value)
	case tagImageType:
		if in.depth == 0 {
			d.imageType = value
		}
	case tagBurnedIn:
		d.burnedIn = value
	case tagRecognizable:
		d.recognizable = value
	case tagRecordType:
		if value == "PATIENT" {
			d.group++
		}
	case tagCodingScheme:
		if d.code {
			d.spans[len(d.spans)-1].Type = hl7Systems[value]
		}
	case tagCodeMeaning:
		if in.of == tagConceptName && in.up != nil {
			in.up.concept = value
		}
	}
	if tag>>8 == 0x0040a1 && in.concept != "" { // what a content item says: PS3.3 table C.17-5
		label = cutLabel(in.concept)
	}
	d.flush()
	d.start(tag, t.keyword, strings.Repeat(">", in.depth))
	d.values(value, vr, label, t.typ)
	d.finish()
	d.code = tag == tagCodeValue && len(d.spans) > 0
	if !d.code {
		d.flush()
	}
}

// values writes the values of an element, each with a span.
func (d *dicom) values(value, vr, label string, typ dlp.Type) {
	if vr == "ST" || vr == "LT" || vr == "UT" || vr == "UR" { // they hold one value: PS3.5 6.2
		d.text(value, label, typ)
		return
	}
	for i, v := range strings.Split(value, `\`) {
		if i > 0 {
			d.line = append(d.line, '\\')
		}
		switch {
		case vr == "PN" && typ != "":
			d.person(v, label, typ)
		case vr == "AS" && len(v) == 4 && v[3] == 'Y' && v[:3] >= "090": // PS3.5 6.2: nnnY
			d.text(v, label, "AGE_OVER_89")
		default:
			d.text(v, label, typ)
		}
	}
}

// person writes a name, of which family, given and middle name are what is said
// of the element. PS3.5 6.2.1.2.
func (d *dicom) person(v, label string, typ dlp.Type) {
	for g, group := range strings.Split(v, "=") { // in letters, ideographs, sounds
		if g > 0 {
			d.line = append(d.line, '=')
		}
		for i, c := range strings.Split(group, "^") {
			if i > 0 {
				d.line = append(d.line, '^')
			}
			if i < 3 {
				d.text(c, label, typ)
			} else {
				d.text(c, label, "")
			}
		}
	}
}

// start begins the line of an element: with its keyword, or the tag where it
// has none, in a form of which no part is taken for a number.
func (d *dicom) start(tag uint32, keyword, nest string) {
	if keyword == "" {
		h := strconv.FormatUint(uint64(tag)|1<<32, 16)[1:]
		keyword = "Tag_" + h[:4] + "_" + h[4:]
	}
	d.line, d.spans = append(append(append(d.line[:0], nest...), keyword...), ": "...), d.spans[:0]
}

// text adds a value to the line.
func (d *dicom) text(v, label string, typ dlp.Type) {
	from := len(d.line)
	d.line = append(d.line, v...)
	if s := strings.TrimSpace(v); s != "" && len(d.spans) < maxColumns {
		from += strings.Index(v, s)
		d.spans = append(d.spans, dlp.Span{Start: int64(from), End: int64(from + len(s)), Label: label, Type: typ, Group: d.group})
	}
}

// finish ends the line.
func (d *dicom) finish() { d.line = append(d.line, '\n') }

// flush passes the line on.
func (d *dicom) flush() {
	if len(d.line) > 0 && d.j.spend(len(d.line)) == nil {
		d.j.out.row(d.line, d.spans)
	} else if len(d.line) > 0 {
		d.long = true
	}
	d.line, d.spans, d.code = d.line[:0], d.spans[:0], false
}

// bytes reads n bytes, which are good until the next read. n is small.
func (d *dicom) bytes(n int) ([]byte, error) {
	b, err := d.r.Peek(n)
	if err != nil {
		return nil, cutShort(err)
	}
	d.pos += int64(n)
	_, err = d.r.Discard(n)
	return b, err
}

// read reads n bytes, of which it keeps at most that many. What is there before
// an error comes with it.
func (d *dicom) read(n, most int64) ([]byte, error) {
	keep := max(0, min(n, most))
	b, err := io.ReadAll(io.LimitReader(d.r, keep))
	d.pos += int64(len(b))
	if err == nil && int64(len(b)) < keep {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return b, cutShort(err)
	}
	if keep < n {
		d.long = true
		err = d.skip(n - keep)
	}
	return b, err
}

// skip passes over n bytes.
func (d *dicom) skip(n int64) error {
	k, err := d.r.Discard(int(n))
	d.pos += int64(k)
	if err != nil {
		return cutShort(err)
	}
	return nil
}

// cutShort turns the end of the file into the gap that it is.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return gapOf(dlp.Corrupt, "dicom cut short")
	}
	return err
}

// looksDICOM reports a DICOM file by its mark, or a data set without one by its
// first elements: in order, from group 2 or 8, with lengths that lead from one
// to the next.
//
// Source: DICOM PS3.10 7.1.
func looksDICOM(head []byte) bool {
	if len(head) >= 136 && string(head[128:134]) == "DICM\x02\x00" {
		return true
	}
	if len(head) > 4 && string(head[:4]) == "DICM" {
		head = head[4:]
	}
	if len(head) < 16 || !(head[1] == 0 && (head[0] == 2 || head[0] == 8) || head[0] == 0 && head[1] == 8) {
		return false
	}
	d := &dicom{r: bufio.NewReader(bytes.NewReader(head)), order: binary.LittleEndian}
	if head[0] == 0 {
		d.order = binary.BigEndian
	}
	explicit := dicomVRs[string(head[4:6])] != 0
	last, seen := uint32(0), 0
	for b := head; len(b) >= 8; seen++ {
		tag := uint32(d.order.Uint16(b))<<16 | uint32(d.order.Uint16(b[2:]))
		n, skip := int64(d.order.Uint32(b[4:])), 8
		k := dicomVRs[string(b[4:6])]
		switch {
		case explicit && k == 0 && tag>>16 > 2:
			return seen >= 3
		case explicit && k < 'a':
			if len(b) < 12 {
				return seen >= 2
			}
			n, skip = int64(d.order.Uint32(b[8:])), 12
		case explicit:
			n = int64(d.order.Uint16(b[6:]))
		}
		if tag <= last || seen >= 3 {
			return seen >= 3
		}
		if last = tag; n > int64(len(b)-skip) {
			return seen >= 2
		}
		b = b[skip+int(n):]
	}
	return seen >= 2
}
