package pixmeta

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// What segments of JPEG begin with.
const (
	exifSegment  = "Exif\x00"
	xmpSegment   = "http://ns.adobe.com/xap/1.0/\x00"
	xmpExtension = "http://ns.adobe.com/xmp/extension/\x00" // then 32 bytes GUID, 4 full length, 4 offset
	irbSegment   = "Photoshop 3.0\x00"
)

// jpegParts are properties of one JPEG that take several segments.
type jpegParts struct {
	exif, irb []byte
	more      []extension
}

type extension struct {
	guid string
	off  uint32
	data []byte
}

// jpeg reads the segments of a JPEG, those between its scans too, and of the
// pictures behind it (a preview, a second lens).
//
// Source: ITU-T T.81 annex B; XMP part 3, 1.1.3 (extended XMP); CIPA DC-007.
func (r *reader) jpeg(b []byte) error {
	p := &jpegParts{}
	for len(b) > 0 {
		i := bytes.IndexByte(b, 0xff)
		if i < 0 || i+1 >= len(b) {
			break
		}
		m := b[i+1]
		b = b[i+1:]
		switch {
		case m == 0xff: // fill
			continue
		case m <= 1, m >= 0xd0 && m <= 0xd8: // a byte of data, or a marker without a length
			b = b[1:]
			continue
		case m == 0xd9: // the end
			if err := r.joined(p); err != nil {
				return err
			}
			p = &jpegParts{}
			next := bytes.Index(b, []byte("\xff\xd8\xff"))
			if next < 0 {
				return nil
			}
			b = b[next:]
			continue
		}
		if len(b) < 3 {
			break
		}
		n := max(int(binary.BigEndian.Uint16(b[1:])), 2)
		seg := b[3:min(len(b), max(1+n, 3))]
		b = b[3+len(seg):]
		if err := r.segment(m, seg, p); err != nil {
			return err
		}
	}
	return r.joined(p)
}

// segment reads what one segment says, or keeps it for joined.
func (r *reader) segment(m byte, b []byte, p *jpegParts) error {
	switch {
	case m == 0xfe:
		return r.strings("Comment", b)
	case m == 0xe1 && bytes.HasPrefix(b, []byte(exifSegment)) && len(b) > 6:
		if !isTIFF(b[6:]) && p.exif != nil { // it goes on
			p.exif = append(p.exif, b[6:]...)
			return nil
		}
		if p.exif != nil {
			if err := r.block(p.exif); err != nil {
				return err
			}
		}
		p.exif = slices.Clone(b[6:])
	case m == 0xe1 && bytes.HasPrefix(b, []byte(xmpExtension)) && len(b) >= len(xmpExtension)+40:
		e := b[len(xmpExtension):]
		p.more = append(p.more, extension{string(e[:32]), binary.BigEndian.Uint32(e[36:]), e[40:]})
	case m == 0xe1:
		return r.block(b)
	case m == 0xed && bytes.HasPrefix(b, []byte(irbSegment)):
		p.irb = append(p.irb, b[len(irbSegment):]...)
	case m == 0xec && bytes.HasPrefix(b, []byte("Ducky")):
		return r.ducky(b[5:])
	case m == 0xe0, m == 0xe2, m == 0xeb: // JFIF, colour profile and list of pictures, C2PA
	case m >= 0xe3 && m <= 0xef:
		return r.runs("APP"+itoa(int(m-0xe0)), b)
	}
	return nil
}

func itoa(n int) string {
	if n >= 10 {
		return "1" + string(rune('0'+n-10))
	}
	return string(rune('0' + n))
}

// joined reads what took several segments.
func (r *reader) joined(p *jpegParts) error {
	for _, b := range [][]byte{p.exif, p.irb} {
		if len(b) > 0 {
			if err := r.block(b); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(p.more, func(a, b extension) int {
		if c := strings.Compare(a.guid, b.guid); c != 0 {
			return c
		}
		return int(int64(a.off) - int64(b.off))
	})
	for i := 0; i < len(p.more); {
		var packet []byte
		from := i
		for ; i < len(p.more) && p.more[i].guid == p.more[from].guid; i++ {
			packet = append(packet, p.more[i].data...)
		}
		if err := r.xmp(packet); err != nil {
			return err
		}
	}
	return nil
}

// ducky reads what Photoshop's "save for web" keeps: a kind, a length and a
// value, the texts in UTF-16 behind their length.
func (r *reader) ducky(b []byte) error {
	for len(b) >= 4 {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		v := b[4:][:min(n, len(b)-4)]
		b = b[4+len(v):]
		if kind == 0 {
			break
		}
		if (kind == 2 || kind == 3) && len(v) > 4 { // comment, copyright
			if err := r.words("Comment", decode16(v[4:], binary.BigEndian)); err != nil {
				return err
			}
		}
	}
	return nil
}

// photoshop reads the resources of a PSD file. Adobe Photoshop File Formats, 2019.
func (r *reader) photoshop(b []byte) error {
	if len(b) < 34 {
		return nil
	}
	colours := int64(binary.BigEndian.Uint32(b[26:]))
	if colours > int64(len(b)-34) {
		return nil
	}
	b = b[30+colours:]
	n := int64(binary.BigEndian.Uint32(b))
	return r.block(b[4:][:min(n, int64(len(b)-4))])
}

// resources reads Photoshop's image resource blocks.
func (r *reader) resources(b []byte) error {
	for len(b) >= 12 && (string(b[:4]) == "8BIM" || string(b[:4]) == "MeSa" || string(b[:4]) == "AgHg" || string(b[:4]) == "PHUT" || string(b[:4]) == "DCSR") {
		id := binary.BigEndian.Uint16(b[4:])
		name := int(b[6])
		at := 6 + (1+name+1)&^1
		if at+4 > len(b) {
			return nil
		}
		size := int64(binary.BigEndian.Uint32(b[at:]))
		v := b[at+4:][:min(size, int64(len(b)-at-4))]
		if err := r.spend(12); err != nil {
			return err
		}
		if err := r.line("ResourceName", b[7:7+name]); err != nil {
			return err
		}
		if err := r.resource(id, v); err != nil {
			return err
		}
		b = b[min(int64(len(b)), int64(at+4)+(size+1)&^1):]
	}
	return nil
}

func (r *reader) resource(id uint16, v []byte) error {
	if len(v) == 0 {
		return nil
	}
	switch id {
	case 0x0404, 0x0424, 0x0422, 0x0423: // IPTC-NAA, XMP, Exif
		return r.block(v)
	case 0x0409, 0x040c: // thumbnail
		if len(v) > 28 {
			return r.thumbnail(v[28:])
		}
	case 0x03f0: // caption: a length and text
		return r.line("Caption", v[1:min(len(v), 1+int(v[0]))])
	case 0x040b:
		return r.line("URL", v)
	case 0x041a, 0x0415, 0x041e: // slices, names of channels, list of URLs: in UTF-16 among numbers
		return r.words("Resource", letters(decode16(v, binary.BigEndian)))
	}
	return nil
}

// letters leaves out what is no text of those who wrote it.
func letters(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < ' ' || c == 0xfffd || c >= 0xe000 && c <= 0xf8ff }), " ")
}

func (r *reader) thumbnail(b []byte) error {
	if !bytes.HasPrefix(b, []byte("\xff\xd8")) {
		return nil
	}
	return r.picture(b)
}

// iptc reads data sets.
//
// Source: IPTC-NAA Information Interchange Model 4.2, 1.5 and chapters 5 and 6.
func (r *reader) iptc(b []byte) error {
	page := codepage.Latin1 // UTF-8 where it is that
	for len(b) >= 5 && b[0] == 0x1c {
		rec, set, n := b[1], b[2], int(binary.BigEndian.Uint16(b[3:]))
		b = b[5:]
		if n&0x8000 != 0 { // the length stands in so many bytes
			k := n & 0x7fff
			if k > 4 || k > len(b) {
				return nil
			}
			n = 0
			for _, c := range b[:k] {
				n = n<<8 | int(c)
			}
			b = b[k:]
		}
		v := b[:min(n, len(b))]
		b = b[len(v):]
		if err := r.spend(len(v)); err != nil {
			return err
		}
		switch {
		case rec == 1 && set == 90: // CodedCharacterSet, ISO 2022
			page = iptcPage(v)
			continue
		case rec == 2 && set == 202: // ObjectPreviewData
			if err := r.thumbnail(v); err != nil {
				return err
			}
			continue
		case rec > 2 && !isText(v), set == 0, rec == 1 && (set == 20 || set == 22), rec == 2 && (set == 200 || set == 201): // numbers
			continue
		}
		name := ""
		if rec == 2 {
			name = iptcNames[set]
		}
		if name == "" {
			name = "IPTC"
		}
		if err := r.words(name, codepage.Decode(page, v)); err != nil {
			return err
		}
	}
	return nil
}

// iptcPage returns the code page of an escape sequence.
func iptcPage(v []byte) int {
	switch string(v) {
	case "\x1b-A":
		return 28591
	case "\x1b-B":
		return 28592
	case "\x1b-F":
		return 28597
	case "\x1b-L":
		return 28595
	}
	return codepage.Latin1
}

// iptcNames are the data sets of the application record. IIM 4.2 chapter 6.
var iptcNames = map[byte]string{5: "ObjectName", 7: "EditStatus", 12: "SubjectReference", 15: "Category", 20: "SupplementalCategories", 22: "FixtureIdentifier",
	25: "Keywords", 26: "ContentLocationCode", 27: "ContentLocationName", 30: "ReleaseDate", 35: "ReleaseTime", 40: "SpecialInstructions",
	55: "DateCreated", 60: "TimeCreated", 62: "DigitalCreationDate", 63: "DigitalCreationTime", 65: "OriginatingProgram", 70: "ProgramVersion",
	80: "By-line", 85: "By-lineTitle", 90: "City", 92: "Sub-location", 95: "Province-State", 100: "Country-PrimaryLocationCode",
	101: "Country-PrimaryLocationName", 103: "OriginalTransmissionReference", 105: "Headline", 110: "Credit", 115: "Source", 116: "CopyrightNotice",
	118: "Contact", 120: "Caption-Abstract", 121: "LocalCaption", 122: "Writer-Editor", 187: "UniqueDocumentID"}
