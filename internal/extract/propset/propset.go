// Package propset reads property sets: the summary of a document, and the
// properties that people define themselves.
//
// It costs time and memory in proportion to the stream handed in: no value is
// read twice.
//
// Source: [MS-OLEPS].
package propset

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// ErrCorrupt is returned for a damaged stream, beside what could be read.
var ErrCorrupt = errors.New("propset: damaged property set")

// Names of the streams in a compound file.
const (
	Summary         = "\x05SummaryInformation"
	DocumentSummary = "\x05DocumentSummaryInformation"
)

// maxProperties is how many are read of one set.
const maxProperties = 1 << 14

// Property is one property, or one value of a property with several.
type Property struct {
	Name  string // as the user called it; a word of ours for those of a summary; "" for others
	Value string // UTF-8
}

// Identifiers of the sets that are known. [MS-OLEPS] 3.1.2, [MS-OSHARED] 2.3.3.2.
var (
	summaryID  = [16]byte{0xe0, 0x85, 0x9f, 0xf2, 0xf9, 0x4f, 0x68, 0x10, 0xab, 0x91, 0x08, 0x00, 0x2b, 0x27, 0xb3, 0xd9}
	documentID = [16]byte{0x02, 0xd5, 0xcd, 0xd5, 0x9c, 0x2e, 0x1b, 0x10, 0x93, 0x97, 0x08, 0x00, 0x2b, 0x2c, 0xf9, 0xae}
)

func summaryName(id uint32) string {
	switch id {
	case 2:
		return "title"
	case 3:
		return "subject"
	case 4:
		return "author"
	case 5:
		return "keywords"
	case 6:
		return "comments"
	case 8:
		return "last author"
	}
	return ""
}

func documentName(id uint32) string {
	switch id {
	case 2:
		return "category"
	case 14:
		return "manager"
	case 15:
		return "company"
	}
	return ""
}

// set is one set at hand.
type set struct {
	b      []byte
	page   int
	names  map[uint32]string
	all    bool // numbers and dates too: they are somebody's own
	name   func(uint32) string
	left   int // bytes and values that may still be read
	out    []Property
	failed bool
}

// Read returns the properties of a stream.
func Read(b []byte) ([]Property, error) {
	if len(b) < 48 || binary.LittleEndian.Uint16(b) != 0xfffe {
		return nil, ErrCorrupt
	}
	n := binary.LittleEndian.Uint32(b[24:])
	var out []Property
	failed := n == 0
	for i := 0; i < int(min(n, 8)) && 48+20*i <= len(b); i++ {
		at := binary.LittleEndian.Uint32(b[44+20*i:])
		if int64(at) >= int64(len(b)) {
			failed = true
			continue
		}
		s := &set{b: b[at:], page: 1252, names: map[uint32]string{}, left: len(b)}
		switch [16]byte(b[28+20*i:]) {
		case summaryID:
			s.name = summaryName
		case documentID:
			s.name = documentName
		default:
			s.name, s.all = func(uint32) string { return "" }, true
		}
		s.read()
		out, failed = append(out, s.out...), failed || s.failed
	}
	if failed {
		return out, ErrCorrupt
	}
	return out, nil
}

// read reads one set. [MS-OLEPS] 2.20.
func (s *set) read() {
	if len(s.b) < 8 {
		s.failed = true
		return
	}
	n := int(min(binary.LittleEndian.Uint32(s.b[4:]), maxProperties))
	if n > (len(s.b)-8)/8 {
		n, s.failed = (len(s.b)-8)/8, true
	}
	value := func(i int) (id uint32, b []byte) {
		e := s.b[8+8*i:]
		if at := binary.LittleEndian.Uint32(e[4:]); int64(at)+4 <= int64(len(s.b)) {
			return binary.LittleEndian.Uint32(e), s.b[at:]
		}
		s.failed = true
		return 0, nil
	}
	for i := range n { // the code page before what is written in it
		if id, b := value(i); id == 1 && len(b) >= 6 {
			s.page = int(binary.LittleEndian.Uint16(b[4:]))
		}
	}
	for i := range n {
		if id, b := value(i); id == 0 && b != nil {
			s.dictionary(b)
		}
	}
	for i := range n {
		id, b := value(i)
		if id < 2 || id >= 0x80000000 || len(b) < 4 {
			continue
		}
		name := s.names[id]
		if name == "" {
			name = s.name(id)
		}
		s.value(name, binary.LittleEndian.Uint16(b), b[4:], 0)
	}
}

// dictionary reads the names that the user gave. [MS-OLEPS] 2.17.
func (s *set) dictionary(b []byte) {
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for range min(n, maxProperties) {
		if len(b) < 8 {
			s.failed = true
			return
		}
		id, size := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		pad := int64(0)
		if s.page == codepage.UTF16 {
			size *= 2
			pad = -size & 3
		}
		if size > int64(len(b)) || size > int64(s.left) {
			s.failed = true
			return
		}
		s.left -= int(size)
		s.names[id] = s.text(b[:size], s.page)
		b = b[min(size+pad, int64(len(b))):]
	}
}

// text decodes b up to its ending NUL.
func (s *set) text(b []byte, page int) string {
	out := codepage.Decode(page, b)
	for i, r := range out {
		if r == 0 {
			return out[:i]
		}
	}
	return out
}

// value reads one value and returns what stands behind it; nil at the end.
// [MS-OLEPS] 2.15; types in [MS-OLEPS] 2.2.
//
// long: a case a type
func (s *set) value(name string, kind uint16, b []byte, depth int) []byte {
	const vector, variant = 0x1000, 12
	if s.left--; s.left < 0 { // values that take no bytes take one of these
		s.failed = true
		return nil
	}
	if kind&vector != 0 && depth < 2 {
		if len(b) < 4 {
			s.failed = true
			return nil
		}
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		for range min(n, maxProperties) {
			k := kind &^ vector
			if k == variant {
				if len(b) < 4 {
					break
				}
				k, b = binary.LittleEndian.Uint16(b), b[4:]
			}
			if b = s.value(name, k, b, depth+1); b == nil {
				break
			}
		}
		return b
	}
	fixed := func(n int) ([]byte, []byte) {
		if len(b) < n {
			s.failed = true
			return nil, nil
		}
		return b[:n], b[min(len(b), (n+3)&^3):]
	}
	sized := func(unit, page int) []byte {
		head, rest := fixed(4)
		if head == nil {
			return nil
		}
		size := int64(binary.LittleEndian.Uint32(head)) * int64(unit)
		if size > int64(len(rest)) || size > int64(s.left) {
			s.failed = true
			return nil
		}
		s.left -= int(size)
		if page != 0 {
			s.add(name, s.text(rest[:size], page))
		}
		if aligned := (size + 3) &^ 3; depth == 0 || size < int64(len(rest)) && rest[size] == 0 {
			size = aligned // in vectors Office pads nothing, others do; what follows begins with a length or a type
		}
		return rest[min(int64(len(rest)), size):]
	}
	switch kind {
	case 8, 30:
		return sized(1, s.page)
	case 31:
		return sized(2, codepage.UTF16)
	case 65, 70, 71:
		return sized(1, 0)
	case 2, 18, 11, 16, 17:
		v, rest := fixed(2)
		if v != nil && s.all {
			s.add(name, strconv.Itoa(int(int16(binary.LittleEndian.Uint16(v)))))
		}
		return rest
	case 3, 19, 22, 23, 10, 4:
		v, rest := fixed(4)
		if v != nil && s.all && kind != 4 { // a short fraction is nobody's number
			s.add(name, strconv.Itoa(int(int32(binary.LittleEndian.Uint32(v)))))
		}
		return rest
	case 5, 7, 20, 21, 6, 64:
		v, rest := fixed(8)
		if v != nil && s.all {
			s.add(name, number(kind, binary.LittleEndian.Uint64(v)))
		}
		return rest
	case 0, 1:
		return b
	}
	return nil // what follows has no known place
}

// number writes a value of eight bytes.
func number(kind uint16, v uint64) string {
	switch kind {
	case 5:
		return strconv.FormatFloat(math.Float64frombits(v), 'f', -1, 64)
	case 7: // days since 1899-12-30
		if d := math.Float64frombits(v); d > 0 && d < 2958466 {
			return time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(d)).Format("2006-01-02")
		}
		return ""
	case 64: // FILETIME: 100 ns since 1601
		if secs := int64(v / 1e7); secs > 0 && secs < 265046774400 { // the year 9999
			return time.Unix(secs-11644473600, 0).UTC().Format("2006-01-02")
		}
		return ""
	}
	return strconv.FormatInt(int64(v), 10)
}

func (s *set) add(name, value string) {
	if value != "" {
		s.out = append(s.out, Property{name, value})
	}
}
