// Package mac reads the ways in which files of the Macintosh are packed for
// mail: BinHex 4.0, AppleSingle and AppleDouble, MacBinary.
//
// Sources: RFC 1741; RFC 1740; the MacBinary II and III standards.
package mac

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// ErrCorrupt is a packed file that is cut or damaged.
var ErrCorrupt = errors.New("mac: cut or damaged")

// File is what was packed.
type File struct {
	Name     string
	Comment  string
	Data     []byte // the file, as other systems know it
	Resource []byte // what only the Macintosh knows of it
	Bare     bool   // it says nothing of a file: AppleDouble goes beside it
}

const (
	notice = "(This file must be converted with BinHex"
	roman  = 10000 // the code page of names
)

// IsBinHex reports a text that says somewhere that BinHex follows.
func IsBinHex(text []byte) bool { return bytes.Contains(text, []byte(notice)) }

// IsApple reports AppleSingle or AppleDouble. RFC 1740 app. A, B.
func IsApple(head []byte) bool {
	return len(head) >= 26 && (string(head[:4]) == "\x00\x05\x16\x00" || string(head[:4]) == "\x00\x05\x16\x07")
}

// IsBinary reports MacBinary II or III, by its header's checksum.
func IsBinary(head []byte) bool {
	if len(head) < 128 || head[0] != 0 || head[74] != 0 || head[1] < 1 || head[1] > 63 {
		return false
	}
	sum := binary.BigEndian.Uint16(head[124:])
	return sum != 0 && crc(0, head[:124]) == sum
}

// crc goes on with the checksum of all of these formats: CRC-16 with the
// polynomial 0x1021.
func crc(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// Binary unpacks MacBinary: a file. It does not copy it.
func Binary(b []byte) (File, error) {
	if !IsBinary(b) {
		return File{}, ErrCorrupt
	}
	f := File{Name: codepage.Decode(roman, b[2:2+b[1]])}
	data, resource := int64(binary.BigEndian.Uint32(b[83:])), int64(binary.BigEndian.Uint32(b[87:]))
	rest := b[128:]
	extra := (int64(binary.BigEndian.Uint16(b[120:])) + 127) &^ 127 // a second header
	rest = rest[min(extra, int64(len(rest))):]
	f.Data = rest[:min(data, int64(len(rest)))]
	rest = rest[min((data+127)&^127, int64(len(rest))):]
	f.Resource = rest[:min(resource, int64(len(rest)))]
	if int64(len(f.Data)) < data || int64(len(f.Resource)) < resource {
		return f, ErrCorrupt
	}
	return f, nil
}

// Apple unpacks AppleSingle or AppleDouble. It does not copy the file.
func Apple(b []byte) (File, error) {
	if !IsApple(b) {
		return File{}, ErrCorrupt
	}
	f := File{Bare: b[3] == 7}
	n := int(binary.BigEndian.Uint16(b[24:]))
	var err error
	for i := range n {
		at := 26 + 12*i
		if at+12 > len(b) {
			return f, ErrCorrupt
		}
		id, from, size := binary.BigEndian.Uint32(b[at:]), int64(binary.BigEndian.Uint32(b[at+4:])), int64(binary.BigEndian.Uint32(b[at+8:]))
		from = min(from, int64(len(b)))
		v := b[from:min(from+size, int64(len(b)))]
		if int64(len(v)) < size {
			err = ErrCorrupt
		}
		switch id {
		case 1:
			f.Data, f.Bare = v, false
		case 2:
			f.Resource = v
		case 3:
			f.Name = codepage.Decode(roman, v)
		case 4:
			f.Comment = codepage.Decode(roman, v)
		case 9: // what the Finder knows, and behind it, on today's systems, attributes that programs add
			if len(v) > 32 {
				f.Resource = v[32:]
			}
		}
	}
	return f, err
}

// alphabet of BinHex 4.0. RFC 1741 app. A.
const alphabet = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"

// BinHex unpacks the first file in a text. What was there of a damaged one
// comes with ErrCorrupt. most bounds the bytes that come out.
func BinHex(b []byte, most int) (File, error) {
	i := bytes.Index(b, []byte(notice))
	if i < 0 {
		return File{}, ErrCorrupt
	}
	b = b[i:]
	i = bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return File{}, ErrCorrupt
	}
	if b = b[i:]; bytes.IndexByte(b, ':') < 0 {
		return File{}, ErrCorrupt
	}
	raw, err := unpack(b[bytes.IndexByte(b, ':')+1:], most)
	if len(raw) < 1 || len(raw) < int(raw[0])+22 {
		return File{}, ErrCorrupt
	}
	n := int(raw[0])
	f := File{Name: codepage.Decode(roman, raw[1:1+n])}
	head := raw[:n+22]
	data, resource := int64(binary.BigEndian.Uint32(head[n+12:])), int64(binary.BigEndian.Uint32(head[n+16:]))
	if crc(0, head[:n+20]) != binary.BigEndian.Uint16(head[n+20:]) {
		err = ErrCorrupt
	}
	rest := raw[n+22:]
	take := func(size int64) []byte {
		v := rest[:min(size, int64(len(rest)))]
		rest = rest[len(v):]
		if int64(len(v)) < size || len(rest) < 2 || crc(0, v) != binary.BigEndian.Uint16(rest) {
			err = ErrCorrupt
		}
		rest = rest[min(2, len(rest)):]
		return v
	}
	f.Data = take(data)
	f.Resource = take(resource)
	return f, err
}

// unpack decodes up to the closing colon, and repeats what is written once.
func unpack(b []byte, most int) ([]byte, error) {
	const again = 0x90
	var values [256]int8
	for i := range values {
		values[i] = -1
	}
	for i := range len(alphabet) {
		values[alphabet[i]] = int8(i)
	}
	var out []byte
	var acc uint32
	bits, marked := 0, false
	for _, c := range b {
		if c == ':' {
			return out, nil
		}
		v := values[c]
		if v < 0 {
			if c > ' ' {
				return out, ErrCorrupt
			}
			continue
		}
		acc, bits = acc<<6|uint32(v), bits+6
		if bits < 8 {
			continue
		}
		bits -= 8
		o := byte(acc >> bits)
		switch {
		case marked && o == 0:
			out = append(out, again)
		case marked && len(out) > 0:
			out = append(out, bytes.Repeat(out[len(out)-1:], int(o)-1)...)
		case o == again:
			marked = true
			continue
		default:
			out = append(out, o)
		}
		marked = false
		if len(out) > most {
			return out, ErrCorrupt
		}
	}
	return out, ErrCorrupt
}
