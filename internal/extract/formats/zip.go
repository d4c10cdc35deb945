package formats

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
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
	return bytes.Contains(b[max(0, len(b)-tail):], zipEnd) && (bytes.Contains(b, zipLocal) || bytes.Contains(b, []byte("PK\x01\x02")))
}

// openZip reads a zip's directory, and returns where its end record ends. Junk
// behind that hides it from the library: then what stands before the junk is
// tried.
func openZip(b []byte) (z *zip.Reader, end int, err error) {
	z, end, err = findZip(b)
	if z != nil {
		free := &inflaters{}
		z.RegisterDecompressor(zip.Deflate, free.open)
	}
	return z, end, err
}

// inflaters keeps a reader of deflate, which serves one member after another.
type inflaters struct{ free io.ReadCloser }

// inflater is such a reader as long as its member is open.
type inflater struct {
	r  io.ReadCloser
	of *inflaters
}

func (f *inflaters) open(r io.Reader) io.ReadCloser {
	d := f.free
	f.free = nil
	if d == nil || d.(flate.Resetter).Reset(r, nil) != nil {
		d = flate.NewReader(r)
	}
	return &inflater{d, f}
}

// Read implements io.Reader.
func (d *inflater) Read(p []byte) (int, error) {
	if d.r == nil {
		return 0, io.ErrClosedPipe
	}
	return d.r.Read(p)
}

// Close implements io.Closer.
func (d *inflater) Close() error {
	if d.r != nil {
		d.of.free, d.r = d.r, nil
	}
	return nil
}

// findZip is openZip without a way to inflate.
func findZip(b []byte) (z *zip.Reader, end int, err error) {
	i := lastIndex(b, zipEnd)
	if i < 0 {
		return nil, len(b), zip.ErrFormat
	}
	z, err = zip.NewReader(bytes.NewReader(b), int64(len(b)))
	for n := 0; i >= 0 && n < 4; n++ {
		end := i + 22
		if end <= len(b) {
			end += int(binary.LittleEndian.Uint16(b[i+20:]))
		}
		if err == nil && end <= len(b) {
			return z, end, nil
		}
		end = min(end, len(b))
		if z, err2 := zip.NewReader(bytes.NewReader(b[:end]), int64(end)); err2 == nil {
			return z, end, nil
		}
		i = lastIndex(b[:i], zipEnd)
	}
	return z, len(b), err
}

// lastIndex is bytes.LastIndex at the speed of bytes.Index: a mark is looked for
// from the end, block by block.
func lastIndex(b, mark []byte) int {
	const block = 4 << 10
	for end := len(b); end > 0; end -= block {
		from := max(0, end-block)
		in := b[from:min(len(b), end+len(mark)-1)]
		if bytes.Contains(in, mark) {
			return from + bytes.LastIndex(in, mark)
		}
	}
	return -1
}

// zip reads a zip file: an office document where it is one, else its members.
func (j *job) zip(at place, b []byte) error { return j.zipOf(at, b, true) }

// zipOf is zip; beside says whether what stands in front and behind is read too.
func (j *job) zipOf(at place, b []byte, beside bool) error {
	z, end, err := openZip(b)
	if err != nil {
		j.part(at, "application/zip")
		return j.localZip(at, b)
	}
	if p := officeOf(z); p != nil {
		err = j.office(at, p, z)
	} else if isIWork(z) {
		err = j.iWork(at, z)
	} else if isEPUB(z) {
		err = j.epub(at, z)
	} else {
		err = j.zipMembers(at, z)
	}
	if err != nil {
		j.guarded(at, func() error { return err }) // and yet there is more to it
	}
	if unlisted(z, b) || slices.ContainsFunc(z.File, func(f *zip.File) bool { return !agrees(f, b) }) {
		j.gap(at, dlp.Ambiguous, "zip directory and local headers differ", 0)
	}
	if isZipVolume(b[:end]) {
		j.gap(at, dlp.Unsupported, "zip: one of several volumes", 0)
	}
	front := bytes.Index(b, zipLocal)
	if front < 0 || !beside {
		return nil
	}
	if err := j.beside(&at, b[:front], b[end:]); err != nil {
		return err
	}
	return j.asText(at, b[:front], b)
}

// zipMembers reads a zip's members, and the names and comments as its own text.
func (j *job) zipMembers(at place, z *zip.Reader) error {
	j.part(at, "application/zip")
	l := &list{j: j, at: at}
	for _, f := range z.File {
		l.name(f.Name, "name")
		l.name(f.Comment, "comment")
	}
	l.name(z.Comment, "comment")
	for i, f := range z.File {
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		if !j.more() {
			break
		}
		if err := j.overspent(); err != nil {
			return err
		}
		j.zipMember(in, f)
	}
	return nil
}

// asText reads a zip once more as the text that programs show of it: a page that
// the zip stands in, or what a mail declares to be text. Front is what stands in
// front of the zip, b all of it.
func (j *job) asText(at place, front, b []byte) error {
	k := kind{format: fText, media: "text/plain"}
	switch {
	case at.mail && (at.media == "text/html" || at.media == "application/xhtml+xml") || len(front) > 0 && sniff(front[:min(len(front), headSize)], at).format == fHTML:
		k = kind{format: fHTML, media: "text/html"}
	case at.mail && strings.HasPrefix(at.media, "text/"):
	default:
		return nil
	}
	at = at.again()
	at.searched = true // it is what was read
	if !j.admit(at) {
		return nil
	}
	if err := j.spend(len(b)); err != nil {
		return err
	}
	j.unit(at, wire.Normal, func() error { return j.read(at, k, memory(b)) })
	return nil
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
		i := lastIndex(before, zipLocal)
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
	headers, at, listed := 0, int64(0), len(z.File)
	for i, d := range data {
		if i > 0 && d.from == data[i-1].from { // two names of one member
			listed--
		}
		headers += bytes.Count(b[min(at, d.from):d.from], zipLocal)
		at = max(at, d.to)
	}
	return headers+bytes.Count(b[at:], zipLocal) > listed
}

// isZipVolume reports one of the files of a zip that was split: the first begins
// with a mark, the end record of the last tells its number.
//
// Source: APPNOTE.TXT 4.4.19, 8.5.3.
func isZipVolume(b []byte) bool {
	if bytes.HasPrefix(b, []byte("PK\x07\x08PK\x03\x04")) {
		return true
	}
	i := lastIndex(b, zipEnd)
	if i < 0 || len(b)-i < 22 {
		return false
	}
	disk, from := binary.LittleEndian.Uint16(b[i+4:]), binary.LittleEndian.Uint16(b[i+6:])
	return disk > 0 && disk < 10000 && from <= disk
}

// localZip reads a zip without a usable directory, header by header.
func (j *job) localZip(at place, b []byte) error {
	cause, detail := dlp.Corrupt, "zip directory"
	if isZipVolume(b) {
		cause, detail = dlp.Unsupported, "zip: one of several volumes"
	}
	if err := j.beside(&at, b[:max(0, bytes.Index(b, zipLocal))]); err != nil {
		return err
	}
	if i := lastIndex(b, zipEnd); i >= 0 && i+22 < len(b) {
		if err := j.beside(&at, b[min(len(b), i+22+int(binary.LittleEndian.Uint16(b[i+20:]))):]); err != nil {
			return err
		}
	}
	for n := 1; j.more(); n++ {
		i := bytes.Index(b, zipLocal)
		if i < 0 || len(b)-i < 30 {
			break
		}
		h := b[i:]
		names, extra := int(binary.LittleEndian.Uint16(h[26:])), int(binary.LittleEndian.Uint16(h[28:]))
		if 30+names+extra > len(h) {
			break
		}
		m := zipEntry{flags: binary.LittleEndian.Uint16(h[6:]), method: binary.LittleEndian.Uint16(h[8:]), time: binary.LittleEndian.Uint16(h[10:]),
			crc: binary.LittleEndian.Uint32(h[14:]), packed: int64(binary.LittleEndian.Uint32(h[18:])),
			size: int64(binary.LittleEndian.Uint32(h[22:])), extra: h[30+names : 30+names+extra]}
		in := at.inside(itoa(n))
		in.name = decodeText(h[30:30+names], "")
		data := h[30+names+extra:]
		used, err := j.localMember(in, &m, data)
		if err != nil {
			return err
		}
		b = data[used:]
	}
	return gapOf(cause, detail)
}

// localMember reads a member of which only its header is known, and returns how
// many bytes of data are its own.
func (j *job) localMember(at place, m *zipEntry, data []byte) (used int, err error) {
	m.sizes64()
	if m.flags&8 != 0 && m.packed == 0 { // the sizes stand behind it: APPNOTE.TXT 4.3.9
		m.crc, m.size = 0, 0
		if m.method == zip.Deflate && m.flags&1 == 0 {
			r := bytes.NewReader(data)
			j.member(at, flate.NewReader(r), int64(len(data)), 0, "zip member")
			return len(data) - r.Len(), nil
		}
		m.packed = int64(nextHeader(data))
	}
	used = int(min(m.packed, int64(len(data))))
	content := data[:used]
	switch {
	case strings.HasSuffix(at.name, "/") && used == 0:
	case m.flags&1 != 0:
		j.lockedMember(at, m, content)
	case m.method == zip.Store:
		return used, j.slice(at, content)
	default:
		j.unpackedMember(at, m, bytes.NewReader(content))
	}
	return used, j.overspent()
}

// sizes64 takes sizes from the extra field where 32 bits do not hold them.
// APPNOTE.TXT 4.5.3.
func (m *zipEntry) sizes64() {
	const full = 1<<32 - 1
	for x := m.extra; len(x) >= 4; {
		id, n := binary.LittleEndian.Uint16(x), int(binary.LittleEndian.Uint16(x[2:]))
		if n > len(x)-4 {
			return
		}
		if v := x[4 : 4+n]; id == 1 {
			for _, size := range []*int64{&m.size, &m.packed} {
				if *size == full && len(v) >= 8 {
					*size = int64(min(binary.LittleEndian.Uint64(v), 1<<40))
					v = v[8:]
				}
			}
			return
		}
		x = x[4+n:]
	}
}

// nextHeader returns how many bytes stand before the next header of any kind.
func nextHeader(data []byte) int {
	end := len(data)
	for _, sig := range [][]byte{[]byte("PK\x07\x08"), zipLocal, []byte("PK\x01\x02"), zipEnd} {
		if i := bytes.Index(data[:end], sig); i >= 0 {
			end = i
		}
	}
	return end
}
