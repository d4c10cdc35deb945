package pixmeta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

const maxIFDs = 20_000 // a page of a TIFF has one, and a few below it

// directory says by which list the tags of an IFD are named.
type directory uint8

const (
	dirImage directory = iota
	dirGPS
)

// Types of values. TIFF 6.0 section 2, Exif 3.0 4.6.2.
const (
	typeByte      = 1
	typeASCII     = 2
	typeSigned    = 6
	typeUndefined = 7
	typeIFD       = 13
	typeIFD8      = 18
	typeUTF8      = 129
)

var typeSizes = map[uint16]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}

// tiff is a TIFF file, or EXIF, which has its form.
type tiff struct {
	r     *reader
	b     []byte
	order binary.ByteOrder
	big   bool // BigTIFF: offsets and counts of 8 bytes
	seen  map[uint64]bool
	queue []ifd
	gps   [2][2]string // of the place where it was taken, and of the one in view: latitude and longitude
	refs  [2][2]string
	thumb [2]uint64
}

type ifd struct {
	off  uint64
	kind directory
}

func isTIFF(b []byte) bool {
	return len(b) >= 8 && (string(b[:4]) == "II*\x00" || string(b[:4]) == "MM\x00*" || string(b[:4]) == "II+\x00" || string(b[:4]) == "MM\x00+")
}

// tiff reads every directory that can be reached.
//
// Source: TIFF 6.0 section 2; BigTIFF; Exif 2.32 4.6.
func (r *reader) tiff(b []byte) error {
	if !isTIFF(b) {
		return nil
	}
	t := &tiff{r: r, b: b, order: binary.LittleEndian, seen: map[uint64]bool{}}
	if b[0] == 'M' {
		t.order = binary.BigEndian
	}
	t.big = bytes.IndexByte(b[2:4], '+') >= 0
	first := uint64(t.order.Uint32(b[4:]))
	if t.big {
		v := t.at(8, 8)
		if len(v) < 8 {
			return nil
		}
		first = t.order.Uint64(v)
	}
	if err := t.follow(first, dirImage); err != nil {
		return err
	}
	for len(t.queue) > 0 {
		next := t.queue[0]
		t.queue = t.queue[1:]
		if err := t.directory(next); err != nil {
			return err
		}
	}
	return nil
}

// at returns n bytes at off, fewer where the file ends, nil past it.
func (t *tiff) at(off, n uint64) []byte {
	size := uint64(len(t.b))
	if off >= size {
		return nil
	}
	return t.b[off:][:min(n, size-off)]
}

// follow notes a directory, once.
func (t *tiff) follow(off uint64, kind directory) error {
	if off == 0 || off >= uint64(len(t.b)) || t.seen[off] {
		return nil
	}
	if len(t.seen) >= maxIFDs {
		return ErrTooLarge
	}
	t.seen[off] = true
	t.queue = append(t.queue, ifd{off, kind})
	return nil
}

// number reads a whole number of as many bytes as v has.
func (t *tiff) number(v []byte) uint64 {
	switch {
	case len(v) >= 8:
		return t.order.Uint64(v)
	case len(v) >= 4:
		return uint64(t.order.Uint32(v))
	case len(v) >= 2:
		return uint64(t.order.Uint16(v))
	}
	return 0
}

func (t *tiff) directory(d ifd) error {
	counts, entry, inline := uint64(2), uint64(12), uint64(4)
	if t.big {
		counts, entry, inline = 8, 20, 8
	}
	head := t.at(d.off, counts)
	if uint64(len(head)) < counts {
		return nil
	}
	left := t.number(head)
	t.thumb = [2]uint64{}
	off := d.off + counts
	for ; left > 0; left, off = left-1, off+entry {
		e := t.at(off, entry)
		if uint64(len(e)) < entry {
			break
		}
		if err := t.r.spend(len(e)); err != nil {
			return err
		}
		tag, typ := t.order.Uint16(e), t.order.Uint16(e[2:])
		n := t.number(e[4 : 4+inline])
		v := e[4+inline:]
		each := typeSizes[typ]
		if each == 0 || n > uint64(len(t.b)) {
			continue
		}
		if size := each * n; size > inline {
			v = t.at(t.number(v), size)
		} else {
			v = v[:size]
		}
		if err := t.value(d.kind, tag, typ, v); err != nil {
			return err
		}
	}
	if err := t.follow(t.number(t.at(off, inline)), dirImage); err != nil {
		return err
	}
	if d.kind == dirGPS {
		return t.place()
	}
	if b := t.at(t.thumb[0], t.thumb[1]); len(b) > 0 {
		return t.r.picture(b)
	}
	return nil
}

// value reads one value.
func (t *tiff) value(kind directory, tag, typ uint16, v []byte) error {
	if len(v) == 0 {
		return nil
	}
	if kind == dirGPS && t.coordinate(tag, v) {
		return nil
	}
	switch {
	case typ == typeIFD || typ == typeIFD8:
		return t.directories(v, typ, dirImage)
	case kind == dirGPS:
	case tag == 0x8825: // GPSInfo
		return t.directories(v, typ, dirGPS)
	case tag == 0x8769 || tag == 0xa005 || tag == 0x014a || tag == 0x0190: // Exif, Interoperability, SubIFDs, GlobalParameters
		return t.directories(v, typ, dirImage)
	case tag == 0x02bc || tag == 0x83bb || tag == 0x8649: // XMP, IPTC-NAA, Photoshop
		if tag == 0x83bb && typ == 4 && t.order == binary.LittleEndian && v[0] != 0x1c && len(v) >= 4 && v[3] == 0x1c {
			v = turn4(v) // LONGs that a program has swapped
		}
		return t.r.block(v)
	case tag == 0x0201 && len(v) >= 4: // JPEGInterchangeFormat: the thumbnail
		t.thumb[0] = t.number(v[:4])
		return nil
	case tag == 0x0202 && len(v) >= 4:
		t.thumb[1] = t.number(v[:4])
		return nil
	case tag >= 0x9c9b && tag <= 0x9c9f: // XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject
		if err := t.r.spend(len(v)); err != nil {
			return err
		}
		return t.r.words(tagNames[tag], decode16(v, binary.LittleEndian))
	case tag == 0x8773 || tag == 0x015b || tag == 0x935c: // colour profile, JPEG tables, layers of Photoshop
		return nil
	}
	return t.text(kind, tag, typ, v)
}

// text reads a value that may hold words.
func (t *tiff) text(kind directory, tag, typ uint16, v []byte) error {
	name := tagName(kind, tag)
	switch typ {
	case typeASCII, typeUTF8, typeByte, typeSigned, typeUndefined:
		if err := t.r.spend(len(v)); err != nil {
			return err
		}
	}
	switch {
	case tag == 0x9286 && kind == dirImage, kind == dirGPS && (tag == 0x1b || tag == 0x1c): // UserComment, GPSProcessingMethod, GPSAreaInformation
		return t.coded(name, v)
	case typ == typeASCII || typ == typeUTF8:
		return t.r.strings(name, v)
	case tag == 0x927c && kind == dirImage: // MakerNote: of a form that each maker keeps to himself
		return t.r.runs(name, v)
	case (typ == typeByte || typ == typeUndefined || typ == typeSigned) && isText(v):
		return t.r.strings(name, v)
	case typ == typeByte && looks16(v):
		return t.r.words(name, decode16(v, t.order))
	}
	return nil
}

// looks16 reports bytes that are Latin text in UTF-16.
func looks16(v []byte) bool {
	if len(v) < 8 || len(v)%2 != 0 {
		return false
	}
	var zeros [2]int
	for i, c := range v {
		if c == 0 {
			zeros[i&1]++
		}
	}
	most, least := max(zeros[0], zeros[1]), min(zeros[0], zeros[1])
	return most*10 >= len(v)/2*9 && least*10 <= len(v)/2
}

// coded reads a text behind 8 bytes that say in which code it is.
//
// Source: Exif 2.32 4.6.5, table 9.
func (t *tiff) coded(name string, v []byte) error {
	if len(v) < 8 {
		return t.r.line(name, v)
	}
	code, text := strings.TrimRight(string(v[:8]), "\x00 "), v[8:]
	switch code {
	case "UNICODE", "Unicode":
		if isText(text) && !looks16(text) && bytes.IndexByte(text, 0) < 0 {
			if err := t.r.line(name, text); err != nil { // some programs write UTF-8
				return err
			}
		}
		return t.r.words(name, decode16(text, t.order))
	case "JIS":
		return t.r.words(name, codepage.Decode(50220, text))
	case "ASCII", "":
		if looks16(text) {
			return t.r.words(name, decode16(text, t.order))
		}
		return t.r.strings(name, text)
	}
	return t.r.strings(name, v)
}

// directories notes the directories that a value points at.
func (t *tiff) directories(v []byte, typ uint16, kind directory) error {
	each := int(typeSizes[typ])
	if each < 4 {
		return nil
	}
	if err := t.r.spend(len(v)); err != nil {
		return err
	}
	for ; len(v) >= each; v = v[each:] {
		if err := t.follow(t.number(v[:each]), kind); err != nil {
			return err
		}
	}
	return nil
}

// coordinate keeps a latitude or longitude; false for any other tag. Exif 2.32
// 4.6.6: degrees, minutes and seconds, each a numerator and a denominator.
func (t *tiff) coordinate(tag uint16, v []byte) bool {
	var which int
	switch {
	case tag >= 1 && tag <= 4:
		which, tag = 0, tag-1
	case tag >= 0x13 && tag <= 0x16:
		which, tag = 1, tag-0x13
	default:
		return false
	}
	if tag%2 == 0 {
		t.refs[which][tag/2] = string(v[:1])
		return true
	}
	degrees, part := 0.0, 1.0
	for ; len(v) >= 8 && part <= 3600; v, part = v[8:], part*60 {
		if d := t.order.Uint32(v[4:]); d != 0 {
			degrees += float64(t.order.Uint32(v)) / float64(d) / part
		}
	}
	t.gps[which][tag/2] = fmt.Sprintf("%.6f", degrees)
	return true
}

// place gives out the coordinates of a directory.
func (t *tiff) place() error {
	for i, name := range []string{"GPSPosition", "GPSDestPosition"} {
		at := t.gps[i]
		if at[0] == "" || at[1] == "" {
			continue
		}
		for k, minus := range []string{"S", "W"} {
			if t.refs[i][k] == minus {
				at[k] = "-" + at[k]
			}
		}
		if err := t.r.words(name, at[0]+", "+at[1]); err != nil {
			return err
		}
	}
	t.gps, t.refs = [2][2]string{}, [2][2]string{}
	return nil
}

func turn4(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for ; len(b) >= 4; b = b[4:] {
		out = append(out, b[3], b[2], b[1], b[0])
	}
	return out
}

func tagName(kind directory, tag uint16) string {
	names := tagNames
	if kind == dirGPS {
		names = gpsNames
	}
	if n := names[tag]; n != "" {
		return n
	}
	return fmt.Sprintf("0x%04x", tag)
}

// tagNames are the names of tags that hold words. TIFF 6.0, Exif 2.32 and 3.0,
// DNG 1.6, GeoTIFF.
var tagNames = map[uint16]string{0x010d: "DocumentName", 0x010e: "ImageDescription", 0x010f: "Make", 0x0110: "Model", 0x011d: "PageName",
	0x0131: "Software", 0x0132: "DateTime", 0x013b: "Artist", 0x013c: "HostComputer", 0x0151: "TargetPrinter", 0x014d: "InkNames",
	0x8298: "Copyright", 0x9003: "DateTimeOriginal", 0x9004: "DateTimeDigitized", 0x9010: "OffsetTime", 0x9011: "OffsetTimeOriginal",
	0x9012: "OffsetTimeDigitized", 0x9286: "UserComment", 0x9290: "SubSecTime", 0x9291: "SubSecTimeOriginal", 0x9292: "SubSecTimeDigitized",
	0x9c9b: "XPTitle", 0x9c9c: "XPComment", 0x9c9d: "XPAuthor", 0x9c9e: "XPKeywords", 0x9c9f: "XPSubject", 0xa004: "RelatedSoundFile",
	0xa401: "CustomRendered", 0xa420: "ImageUniqueID", 0xa430: "CameraOwnerName", 0xa431: "BodySerialNumber", 0xa433: "LensMake",
	0xa434: "LensModel", 0xa435: "LensSerialNumber", 0xa436: "ImageTitle", 0xa437: "Photographer", 0xa438: "ImageEditor",
	0x927c: "MakerNote", 0xc614: "UniqueCameraModel", 0xc62f: "CameraSerialNumber", 0xc68b: "OriginalRawFileName", 0x87b1: "GeoAsciiParams",
	0xa480: "GDALMetadata", 0x9000: "ExifVersion", 0xa000: "FlashpixVersion", 0x0001: "InteroperabilityIndex", 0x1000: "RelatedImageFileFormat"}

var gpsNames = map[uint16]string{0x08: "GPSSatellites", 0x12: "GPSMapDatum", 0x1b: "GPSProcessingMethod", 0x1c: "GPSAreaInformation", 0x1d: "GPSDateStamp",
	0x09: "GPSStatus", 0x0a: "GPSMeasureMode", 0x0c: "GPSSpeedRef", 0x0e: "GPSTrackRef", 0x10: "GPSImgDirectionRef", 0x17: "GPSDestBearingRef", 0x19: "GPSDestDistanceRef"}
