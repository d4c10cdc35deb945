package iso

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Tags of UDF's descriptors. ECMA-167 3/7.2.1, 4/7.2.1.
const (
	tagAnchor     = 2
	tagPartition  = 5
	tagLogical    = 6
	tagTerminator = 8
	tagFileSet    = 256
	tagFileIdent  = 257
	tagMoreAllocs = 258
	tagFile       = 261
	tagExtended   = 266
)

// udf is a volume of UDF.
type udf struct {
	w     *walk
	block int64
	parts map[uint16]int64 // where each partition begins, by its number
	refs  []uint16         // partitions by the number that addresses have
	odd   bool             // refs holds one of a kind that is not read
}

// tag returns the n bytes of a descriptor at an offset, nil where there is
// none of one of these kinds.
func (w *walk) tag(at, n int64, kinds ...uint16) []byte {
	b, cut := w.piece(at, n)
	if cut || len(b) < 16 {
		return nil
	}
	sum := byte(0)
	for i, c := range b[:16] {
		if i != 4 {
			sum += c
		}
	}
	if sum != b[4] {
		return nil
	}
	for _, k := range kinds {
		if binary.LittleEndian.Uint16(b) == k {
			return b
		}
	}
	return nil
}

// udf finds a volume by its anchor, and walks its tree.
//
// Source: ECMA-167, parts 3 and 4; UDF 2.60, 2.2.
func (w *walk) udf() error {
	size := int64(len(w.b))
	end := w.end
	for _, block := range []int64{2048, 512, 4096, 1024} {
		last := size / block
		for _, at := range []int64{256, last - 1, last - 257, last - 256, 512} {
			a := w.tag(at*block, 512, tagAnchor)
			w.end = end // what was only looked at lies nowhere
			if a == nil {
				continue
			}
			w.reach(at*block, 512)
			le := binary.LittleEndian
			for _, seq := range [][]byte{a[16:24], a[24:32]} { // main and reserve
				u := &udf{w: w, block: block, parts: map[uint16]int64{}}
				if root := u.sequence(int64(le.Uint32(seq[4:]))*block, int64(le.Uint32(seq))); root != nil {
					w.any = true
					for _, at := range []int64{last - 257, last - 256, last - 1} { // others at its end
						if end := w.end; w.tag(at*block, 512, tagAnchor) == nil {
							w.end = end
						}
					}
					return u.fileSet(root)
				}
			}
		}
	}
	return ErrDamaged
}

// sequence reads the volume's descriptors, and returns where its file set is.
func (u *udf) sequence(at, size int64) (set []byte) {
	le := binary.LittleEndian
	for end := at + min(size, 64*u.block); at < end; at += u.block {
		d := u.w.tag(at, 512, tagPartition, tagLogical, tagTerminator)
		if d == nil {
			continue
		}
		switch le.Uint16(d) {
		case tagTerminator:
			return set
		case tagPartition:
			start := int64(le.Uint32(d[188:])) * u.block
			u.parts[le.Uint16(d[22:])] = start
			u.w.reach(start, int64(le.Uint32(d[192:]))*u.block)
		case tagLogical:
			if int64(le.Uint32(d[212:])) != u.block {
				return nil
			}
			u.w.word(dString(d[84:212]))
			set = d[248:264]
			maps, n := d[440:], int(le.Uint32(d[268:]))
			u.refs = nil
			for ; n > 0 && len(maps) >= 6 && int(maps[1]) >= 6 && int(maps[1]) <= len(maps); n-- {
				m := maps[:maps[1]]
				maps = maps[maps[1]:]
				switch {
				case m[0] == 1:
					u.refs = append(u.refs, le.Uint16(m[4:]))
				case len(m) == 64 && strings.HasPrefix(string(m[5:]), "*UDF Sparable Partition"):
					u.refs = append(u.refs, le.Uint16(m[38:]))
				default:
					u.odd = true
					u.refs = append(u.refs, 0xffff)
				}
			}
		}
	}
	return set
}

// dString reads characters behind their compression, of which the last byte of
// the field tells the length. UDF 2.1.3.
func dString(f []byte) string {
	n := int(f[len(f)-1])
	if n == 0 || n >= len(f) {
		return ""
	}
	return characters(f[:n])
}

// characters reads characters behind their compression. UDF 2.1.1.
func characters(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if b[0] == 16 || b[0] == 255 {
		return utf16BE(b[1:])
	}
	var s strings.Builder
	for _, c := range b[1:] {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// locate turns an address into an offset, -1 where it is none.
func (u *udf) locate(block uint32, ref uint16) int64 {
	if int(ref) >= len(u.refs) {
		return -1
	}
	start, ok := u.parts[u.refs[ref]]
	if !ok {
		return -1
	}
	return start + int64(block)*u.block
}

func (u *udf) long(ad []byte) int64 {
	return u.locate(binary.LittleEndian.Uint32(ad[4:]), binary.LittleEndian.Uint16(ad[8:]))
}

func (u *udf) fileSet(ad []byte) error {
	d := u.w.tag(u.long(ad), 512, tagFileSet)
	if d == nil {
		if u.odd {
			return ErrPartition
		}
		return ErrDamaged
	}
	u.w.word(dString(d[112:240]))
	u.w.word(dString(d[304:336]))
	u.w.word(dString(d[336:368]))
	u.w.word(dString(d[368:400]))
	u.dir("", d[400:416], 0)
	return nil
}

// dir reads a directory. ECMA-167 4/14.4.
func (u *udf) dir(path string, icb []byte, depth int) {
	w := u.w
	key := [2]int64{u.long(icb), 2}
	if w.stopped || w.dirs[key] {
		return
	}
	w.dirs[key] = true
	e, kind, _ := u.file(icb)
	w.walked += e.Size
	if depth > maxDepth || w.walked > maxDirs || kind != 4 || e.Cut || len(e.Pieces) == 0 && e.Size > 0 {
		w.damaged()
		return
	}
	var b []byte
	if len(e.Pieces) == 1 {
		b = e.Pieces[0]
	} else {
		b = bytes.Join(e.Pieces, nil)
	}
	le := binary.LittleEndian
	for len(b) >= 38 && !w.stopped {
		n := 38 + int(le.Uint16(b[36:])) + int(b[19])
		if le.Uint16(b) != tagFileIdent || n > len(b) {
			w.damaged()
			return
		}
		flags, id, at := b[18], b[n-int(b[19]):n], b[20:36]
		b = b[min((n+3)&^3, len(b)):]
		if flags&8 != 0 { // the one above
			continue
		}
		name := path + characters(id)
		switch {
		case flags&4 != 0: // deleted
			w.found(Entry{Name: name, Dir: true}, 0)
		case flags&2 != 0:
			w.found(Entry{Name: name, Dir: true}, 0)
			u.dir(name+"/", at, depth+1)
		default:
			f, kind, from := u.file(at)
			if kind < 0 {
				f.Cut = true
			}
			f.Name = name
			if kind == 12 { // a symbolic link
				for _, p := range f.Pieces {
					f.Link += pathComponents(p[:min(len(p), 4096)])
				}
				f.Pieces, f.Size = nil, 0
			}
			w.found(f, from)
		}
	}
}

// pathComponents reads a link's target. ECMA-167 4/14.16.
func pathComponents(b []byte) string {
	var parts []string
	for len(b) >= 4 && int(b[1]) <= len(b)-4 {
		switch b[0] {
		case 3:
			parts = append(parts, "..")
		case 5:
			parts = append(parts, characters(b[4:4+int(b[1])]))
		}
		b = b[4+int(b[1]):]
	}
	return strings.Join(parts, "/")
}

// file reads a file entry: its content, its kind (-1: it is none) and where the
// content begins. ECMA-167 4/14.6, 14.9, 14.17.
func (u *udf) file(icb []byte) (e Entry, kind int, from int64) {
	w, le := u.w, binary.LittleEndian
	at := u.long(icb)
	d := w.tag(at, u.block, tagFile, tagExtended)
	if d == nil {
		w.damaged()
		if u.odd {
			w.err = ErrPartition
		}
		return e, -1, 0
	}
	kind, e.Size = int(d[27]), int64(min(le.Uint64(d[56:]), 1<<40))
	head := int64(176)
	if le.Uint16(d) == tagExtended {
		head = 216
	}
	attrs, allocs := int64(le.Uint32(d[head-8:])), int64(le.Uint32(d[head-4:]))
	if head+attrs+allocs > int64(len(d)) {
		w.damaged()
		return e, -1, 0
	}
	ads := d[head+attrs : head+attrs+allocs]
	form := le.Uint16(d[34:]) & 7
	if form == 3 { // it stands here
		e.Pieces, e.Cut = [][]byte{ads[:min(int64(len(ads)), e.Size)]}, e.Size > int64(len(ads))
		return e, kind, at + head + attrs
	}
	step := map[uint16]int{0: 8, 1: 16, 2: 20}[form]
	if step == 0 {
		w.damaged()
		return e, -1, 0
	}
	from = -1
	left := e.Size
	for n := 0; len(ads) >= step && n < maxPiece; n++ {
		size, block := le.Uint32(ads), le.Uint32(ads[4:])
		ref := le.Uint16(icb[8:])
		switch form {
		case 1:
			ref = le.Uint16(ads[8:])
		case 2:
			block, ref = le.Uint32(ads[12:]), le.Uint16(ads[16:])
		}
		ads = ads[step:]
		length := int64(size & (1<<30 - 1))
		if length == 0 {
			break
		}
		where := u.locate(block, ref)
		if size>>30 == 3 { // more of these stand there
			more := w.tag(where, u.block, tagMoreAllocs)
			if more == nil || 24+int64(le.Uint32(more[20:])) > int64(len(more)) {
				e.Cut = true
				break
			}
			ads = more[24 : 24+le.Uint32(more[20:])]
			continue
		}
		length = min(length, left)
		left -= length
		if size>>30 != 0 { // zeros
			continue
		}
		p, cut := w.piece(where, length)
		e.Pieces, e.Cut = append(e.Pieces, p), e.Cut || cut
		if from < 0 {
			from = where
		}
	}
	e.Cut = e.Cut || left > 0
	return e, kind, from
}
