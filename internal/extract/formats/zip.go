package formats

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// zipEnd is the signature of a zip's end record, zipLocal of a member's header.
// APPNOTE.TXT 4.3.7, 4.3.16.
var (
	zipEnd   = []byte("PK\x05\x06")
	zipLocal = []byte("PK\x03\x04")
)

// hasZipEnd reports a zip that something stands in front of.
func hasZipEnd(b []byte) bool {
	const tail = 64<<10 + 22
	return bytes.Contains(b[max(0, len(b)-tail):], zipEnd) && bytes.Contains(b, zipLocal)
}

// openZip reads a zip's directory. Junk behind the end record hides it from
// the library: then what stands before the junk is tried.
func openZip(b []byte) (*zip.Reader, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		return z, nil
	}
	for range 4 {
		i := bytes.LastIndex(b, zipEnd)
		if i < 0 || len(b)-i < 22 {
			break
		}
		end := min(i+22+int(binary.LittleEndian.Uint16(b[i+20:])), len(b))
		if z, err2 := zip.NewReader(bytes.NewReader(b[:end]), int64(end)); err2 == nil {
			return z, nil
		}
		b = b[:i]
	}
	return nil, err
}

// zip reads a zip file: an office document where it is one, else its members.
func (j *job) zip(at place, b []byte) error {
	z, err := openZip(b)
	if err != nil {
		j.part(at, "application/zip")
		return j.localZip(at, b)
	}
	z.RegisterDecompressor(12, func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(r)) }) // APPNOTE.TXT 4.4.5
	if p := officeOf(z); p != nil {
		return j.office(at, p, z)
	}
	j.part(at, "application/zip")
	for _, f := range z.File {
		if len(f.Name) > 0 {
			j.out.field(decodeText([]byte(f.Name), ""), "name", 0)
			j.out.writeString("\n")
		}
		if f.Comment != "" {
			j.out.field(decodeText([]byte(f.Comment), ""), "comment", 0)
			j.out.writeString("\n")
		}
		if j.out.pos() > maxAside {
			j.gap(at, dlp.TooLarge, "names", 0)
			break
		}
	}
	if z.Comment != "" {
		j.out.field(decodeText([]byte(z.Comment), ""), "comment", 0)
	}
	doubt := unlisted(z, b)
	for i, f := range z.File {
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		if j.full || j.out.err != nil {
			break
		}
		if j.decoded > j.lim.Decoded {
			return gapOf(dlp.TooLarge, "unpacks to more than the document may")
		}
		doubt = !agrees(f, b) || doubt
		j.zipMember(in, f)
	}
	if doubt {
		return gapOf(dlp.Ambiguous, "zip directory and local headers differ")
	}
	return nil
}

// zipMember reads one member.
func (j *job) zipMember(at place, f *zip.File) {
	if strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0 && f.CompressedSize64 == 0 {
		return
	}
	if f.Flags&1 != 0 {
		if j.admit(at) {
			j.part(at, "application/octet-stream")
			j.gap(at, dlp.Encrypted, zipCipher(f), int64(f.CompressedSize64))
		}
		return
	}
	r, err := f.Open()
	if err != nil {
		if j.admit(at) {
			j.part(at, "application/octet-stream")
			cause, detail := dlp.Corrupt, "zip member"
			if f.Method != zip.Store && f.Method != zip.Deflate && f.Method != 12 {
				cause, detail = dlp.Unsupported, "zip method"
			}
			j.gap(at, cause, detail, int64(f.CompressedSize64))
		}
		return
	}
	defer r.Close() // it was only read
	j.member(at, r, int64(f.CompressedSize64), int64(f.UncompressedSize64), "zip member")
}

// zipCipher names what a member is encrypted with. APPNOTE.TXT 4.4.4, 7;
// WinZip AE-2 for the extra field 0x9901.
func zipCipher(f *zip.File) string {
	for x := f.Extra; len(x) >= 4; {
		id, n := binary.LittleEndian.Uint16(x), int(binary.LittleEndian.Uint16(x[2:]))
		if n > len(x)-4 {
			break
		}
		if id == 0x9901 && n >= 7 {
			switch x[4+4] {
			case 1:
				return "zip AES-128"
			case 2:
				return "zip AES-192"
			}
			return "zip AES-256"
		}
		x = x[4+n:]
	}
	if f.Method == 99 {
		return "zip AES-256"
	}
	if f.Flags&0x40 != 0 {
		return "zip strong encryption"
	}
	return "zip ZipCrypto"
}

// agrees reports whether a member's local header says what the directory says
// of its name, method and encryption: programs differ in which they believe.
func agrees(f *zip.File, b []byte) bool {
	off, err := f.DataOffset()
	if err != nil {
		return true // opening it tells
	}
	// The library does not tell where the header begins: it is the nearest one
	// before the data whose lengths lead there.
	for before := b[max(0, off-30-2*65535):min(off, int64(len(b)))]; ; {
		i := bytes.LastIndex(before, zipLocal)
		if i < 0 {
			return false
		}
		h := before[i:]
		before = before[:i]
		if len(h) < 30 {
			continue
		}
		h = h[:30:30]
		nameLen := int64(binary.LittleEndian.Uint16(h[26:]))
		start := max(0, off-30-2*65535) + int64(i)
		if start+30+nameLen+int64(binary.LittleEndian.Uint16(h[28:])) != off {
			continue
		}
		return string(b[start+30:start+30+nameLen]) == f.Name && binary.LittleEndian.Uint16(h[8:]) == f.Method &&
			binary.LittleEndian.Uint16(h[6:])&1 == f.Flags&1
	}
}

// unlisted reports members that the directory does not name, as where one zip
// stands behind another: what reads header by header, or takes another of the
// directories, finds those.
func unlisted(z *zip.Reader, b []byte) bool {
	type span struct{ from, to int64 }
	var data []span // what is packed may hold anything
	for _, f := range z.File {
		if off, err := f.DataOffset(); err == nil && off <= int64(len(b)) {
			data = append(data, span{off, off + int64(min(f.CompressedSize64, uint64(int64(len(b))-off)))})
		}
	}
	slices.SortFunc(data, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	headers, at := 0, int64(0)
	for _, d := range data {
		headers += bytes.Count(b[min(at, d.from):d.from], zipLocal)
		at = max(at, d.to)
	}
	return headers+bytes.Count(b[at:], zipLocal) > len(z.File)
}

// localZip reads a zip without a usable directory, header by header.
func (j *job) localZip(at place, b []byte) error {
	n := 0
	for {
		i := bytes.Index(b, zipLocal)
		if i < 0 || len(b)-i < 30 || j.full || j.out.err != nil {
			break
		}
		h := b[i:]
		nameLen, extraLen := int(binary.LittleEndian.Uint16(h[26:])), int(binary.LittleEndian.Uint16(h[28:]))
		size := int(binary.LittleEndian.Uint32(h[18:]))
		method, flags := binary.LittleEndian.Uint16(h[8:]), binary.LittleEndian.Uint16(h[6:])
		if 30+nameLen+extraLen > len(h) {
			break
		}
		n++
		in := at.inside(itoa(n))
		in.name = decodeText(h[30:30+nameLen], "")
		data := h[30+nameLen+extraLen:]
		used := min(size, len(data))
		switch {
		case flags&1 != 0:
			if j.admit(in) {
				j.part(in, "application/octet-stream")
				j.gap(in, dlp.Encrypted, "zip ZipCrypto", int64(used))
			}
		case method == zip.Store:
			if j.decoded += int64(used); j.decoded <= j.lim.Decoded {
				j.leaf(in, memory(data[:used]))
			}
		case method == zip.Deflate:
			r := bytes.NewReader(data)
			j.member(in, flate.NewReader(r), int64(len(data)), 0, "zip member")
			used = len(data) - r.Len()
		default:
			if j.admit(in) {
				j.part(in, "application/octet-stream")
				j.gap(in, dlp.Unsupported, "zip method", int64(used))
			}
		}
		b = data[max(used, 0):]
	}
	return gapOf(dlp.Corrupt, "zip directory")
}
