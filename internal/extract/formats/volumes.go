package formats

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// volume is an attachment that is, by its name, one of the volumes of an archive.
type volume struct {
	at     place
	b      []byte
	set    string // the name that they share, and how they are named
	number int
}

// volumeNames are the ways in which archivers name the volumes of an archive, by the
// way: what they share, and their number.
var volumeNames = sync.OnceValue(func() map[byte]*regexp.Regexp {
	return map[byte]*regexp.Regexp{
		'p': regexp.MustCompile(`^(.+)\.part(\d{1,5})\.rar$`),
		'r': regexp.MustCompile(`^(.+)\.(?:rar|[r-z]\d\d)$`),
		'z': regexp.MustCompile(`^(.+)\.(?:zip|z(\d\d{1,2}))$`),
		'0': regexp.MustCompile(`^(.+)\.(\d{3,5})$`),
	}
})

// volumeOf tells which volume a name is that of. The last one of a zip has the number
// lastVolume.
func volumeOf(name string) (set string, number int, ok bool) {
	name = strings.ToLower(name)
	for _, kind := range []byte("pzr0") {
		m := volumeNames()[kind].FindStringSubmatch(name)
		if m == nil {
			continue
		}
		ext := name[strings.LastIndexByte(name, '.')+1:]
		switch {
		case ext == "zip":
			number = lastVolume
		case kind != 'r':
			number, _ = strconv.Atoi(m[2]) // five digits at most
		case ext == "rar":
			number = 1
		default: // r00 to r99, s00 …
			n, _ := strconv.Atoi(ext[1:])
			number = 2 + 100*int(ext[0]-'r') + n
		}
		return string(kind) + m[1], number, true
	}
	return "", 0, false
}

// lastVolume is the number of the last volume of a zip, which has none in its name.
const lastVolume = 1 << 20

// aVolume keeps an attachment that is a volume of several for the end of its message;
// false where it is to be read now.
func (j *job) aVolume(at place, s *stream) bool {
	if !at.mail || s.r != nil || j.scope == nil || at.alone || strings.Contains(at.path, "~") {
		return false
	}
	set, number, ok := volumeOf(at.name)
	switch {
	case !ok, j.held+s.size > j.lim.Memory,
		number == lastVolume && !isZipVolume(s.mem),
		set[0] == 'r' && number == 1 && !isRarVolume(s.mem),
		set[0] == '0' && number == 1 && !joinable(s.mem):
		return false
	}
	j.hold(s.size)
	j.scope.volumes = append(j.scope.volumes, volume{at: at, b: s.mem, set: set, number: number})
	return true
}

// joinable reports the first volume of an archive that is cut at any place.
func joinable(b []byte) bool {
	return bytes.HasPrefix(b, []byte(sevenMagic)) || bytes.HasPrefix(b, zipLocal) || bytes.HasPrefix(b, []byte(rarMagic))
}

// volumes reads the volumes of a message: together where all are there, else each
// alone, which tells that there are others.
func (j *job) volumes() {
	all := j.scope.volumes
	j.scope.volumes = nil
	var sets []string
	by := map[string][]volume{}
	for _, v := range all {
		if by[v.set] == nil {
			sets = append(sets, v.set)
		}
		by[v.set] = append(by[v.set], v)
	}
	for _, name := range sets {
		set := by[name]
		slices.SortStableFunc(set, func(a, b volume) int { return cmp.Compare(a.number, b.number) })
		if !j.together(set) {
			for _, v := range set {
				v.at.alone = true
				j.leaf(v.at, memory(v.b))
			}
		}
	}
}

// together reads a set of volumes as the archive that they are, at the place of the
// first; false where they are none.
func (j *job) together(set []volume) bool {
	if len(set) < 2 {
		return false
	}
	size := int64(0)
	for i, v := range set {
		if size += int64(len(v.b)); v.number != i+1 && (v.number != lastVolume || i+1 < len(set)) {
			return false
		}
	}
	at, whole := set[0].at, set[0].b
	switch at.alone = true; {
	case bytes.HasPrefix(whole, []byte(rarMagic)) && set[0].set[0] != '0':
		for _, v := range set[1:] {
			at.further = append(at.further, v.b)
		}
	case j.held+size > j.lim.Memory:
		return false
	default:
		whole = make([]byte, 0, size)
		var starts []int
		for _, v := range set {
			starts, whole = append(starts, len(whole)), append(whole, v.b...)
		}
		if set[0].set[0] == 'z' {
			if set[len(set)-1].number != lastVolume {
				return false
			}
			if whole = joinZip(whole, starts); whole == nil {
				return false
			}
		}
		j.hold(size)
	}
	j.leaf(at, memory(whole))
	for _, v := range set[1:] {
		v.at.alone = true
		switch k := sniff(v.b[:min(len(v.b), headSize)], v.at); k.format {
		case fBinary, fZip, fRar, f7z:
			if j.admit(v.at) {
				j.part(v.at, k.media)
			}
		default: // what is more than a piece of the archive
			v.at.searched = true // with the whole
			j.leaf(v.at, memory(v.b))
		}
	}
	return true
}

// joinZip makes one zip of the volumes of one, which are in b and begin at starts: its
// directory tells places by volume. nil: they do not make one.
//
// Source: APPNOTE.TXT 4.3.12, 4.3.16, 8.5.
func joinZip(b []byte, starts []int) []byte {
	const full = 1<<32 - 1 // the place stands elsewhere, as 64 bits
	end := lastIndex(b, zipEnd)
	if end < 0 || len(b)-end < 22 {
		return nil
	}
	place := func(disk uint16, offset uint32) (int, bool) {
		if int(disk) >= len(starts) || offset == full {
			return 0, false
		}
		at := starts[disk] + int(offset)
		return at, at < end
	}
	e := b[end:]
	le := binary.LittleEndian
	at, ok := place(le.Uint16(e[6:]), le.Uint32(e[16:]))
	if !ok || int(le.Uint16(e[4:])) != len(starts)-1 {
		return nil
	}
	le.PutUint32(e[16:], uint32(at))
	le.PutUint16(e[4:], 0)
	le.PutUint16(e[6:], 0)
	copy(e[8:10], e[10:12])
	for range le.Uint16(e[10:]) {
		if end-at < 46 || !bytes.HasPrefix(b[at:], []byte("PK\x01\x02")) {
			return nil
		}
		h := b[at:]
		to, ok := place(le.Uint16(h[34:]), le.Uint32(h[42:]))
		if !ok {
			return nil
		}
		le.PutUint16(h[34:], 0)
		le.PutUint32(h[42:], uint32(to))
		at += 46 + int(le.Uint16(h[28:])) + int(le.Uint16(h[30:])) + int(le.Uint16(h[32:]))
		if at > end {
			return nil
		}
	}
	if bytes.HasPrefix(b, []byte("PK\x07\x08PK\x03\x04")) { // the mark of a first volume
		copy(b, "\x00\x00\x00\x00")
	}
	return b
}

// rarFS gives the library the volumes of an archive by the names that it asks for.
type rarFS [][]byte

// rarFirst is the name of the first volume.
const rarFirst = "v.part0001.rar"

// Open implements fs.FS.
func (v rarFS) Open(name string) (fs.File, error) {
	n := -1
	if s, ok := strings.CutSuffix(name, ".rar"); ok {
		n, _ = strconv.Atoi(strings.TrimPrefix(s, "v.part"))
		n--
	} else if _, number, ok := volumeOf(name); ok {
		n = number - 1
	}
	if n < 0 || n >= len(v) {
		return nil, fs.ErrNotExist
	}
	return &rarVolume{Reader: bytes.NewReader(v[n]), info: rarInfo(len(v[n]))}, nil
}

type rarVolume struct {
	*bytes.Reader
	info rarInfo
}

// Stat implements fs.File.
func (v *rarVolume) Stat() (fs.FileInfo, error) { return v.info, nil }

// Close implements fs.File.
func (v *rarVolume) Close() error { return nil }

// rarInfo is the size of a volume, which is all that is known of it.
type rarInfo int64

func (i rarInfo) Name() string       { return "" }
func (i rarInfo) Size() int64        { return int64(i) }
func (i rarInfo) Mode() fs.FileMode  { return 0o400 }
func (i rarInfo) ModTime() time.Time { return time.Time{} }
func (i rarInfo) IsDir() bool        { return false }
func (i rarInfo) Sys() any           { return nil }

var _ io.Seeker = (*rarVolume)(nil)
