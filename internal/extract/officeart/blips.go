package officeart

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
)

// Metafiles hands on the Windows metafiles among the pictures in b, a drawing or
// whatever holds some, which it finds by their heads; a WMF comes without the
// placeable header. A picture may unpack to room bytes, all of them together to
// four times as many; all is false where one was left out for that. An error of
// each ends the search and is returned as it is.
//
// Source: [MS-ODRAW] 2.2.24, 2.2.25, 2.2.31.
func Metafiles(b []byte, room int64, each func(metafile []byte) error) (all bool, err error) {
	all = true
	left := 4 * room
	for at := 2; at+8+16+34 <= len(b); {
		i := bytes.IndexByte(b[at:], 0xf0) // the high byte of a record's kind
		if i < 1 {
			if i < 0 {
				break
			}
			at++
			continue
		}
		at += i + 1
		if at < 4 || b[at-2] != 0x1a && b[at-2] != 0x1b {
			continue
		}
		head := b[at-4:]
		inst := binary.LittleEndian.Uint16(head)
		uids := 0
		switch inst {
		case 0x3d40, 0x2160:
			uids = 1
		case 0x3d50, 0x2170:
			uids = 2
		default:
			continue
		}
		if len(head) < 8+16*uids+34 {
			continue
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		m := head[8+16*uids:]
		plain, packed := int64(binary.LittleEndian.Uint32(m)), int64(binary.LittleEndian.Uint32(m[28:]))
		if packed > size || packed > int64(len(m)-34) {
			continue
		}
		data := m[34:][:packed]
		if m[32] == 0 { // deflated
			if plain > room || plain > left {
				all = false
				continue
			}
			left -= plain
			r, zerr := zlib.NewReader(bytes.NewReader(data))
			if zerr != nil {
				continue
			}
			data, _ = io.ReadAll(io.LimitReader(r, plain)) // of a damaged one comes what there is
		}
		if err := each(data); err != nil {
			return all, err
		}
		at += 4 + int(packed)
	}
	return all, nil
}
