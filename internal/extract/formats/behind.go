package formats

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/cab"
)

// Bounds of the search for a package behind other bytes.
const (
	packageHead = 4 << 10 // bytes by which one is known in a stream
	maxFalse    = 256     // headers of a kind that do not hold and are costly to look at: the next is taken for one
)

// packageMarks are what the packages begin with that programs open although
// something stands in front of them. rare is where the bytes begin that hardly any
// text has: the search is for those.
var packageMarks = []struct {
	magic  string
	rare   int
	begins func([]byte) bool // looks at packageHead bytes
	holds  func([]byte) bool // nil, or looks further
}{
	{"PK\x03\x04", 2, holdsLocal, nil},
	{"%PDF-", 3, beginsPDF, nil},
	{sevenMagic, 2, holdsSeven, nil},
	{rarMagic, 4, nil, holdsRar},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 2, holdsOLE, nil},
	{cab.Magic, 4, nil, holdsCab},
}

// findPackage returns where the first package begins in b[:to]: by its first bytes
// where b goes on behind what is here, else by all that is known of it.
func findPackage(b []byte, to int, goesOn bool) (at int, ok bool) {
	at = max(0, min(to, len(b)))
	for _, m := range packageMarks {
		rare, wrong := []byte(m.magic[m.rare:]), 0
		for from := m.rare; from < min(len(b), at-1+len(m.magic)); {
			i := bytes.Index(b[from:min(len(b), at-1+len(m.magic))], rare)
			if i < 0 {
				break
			}
			from += i + 1
			start := from - 1 - m.rare
			if string(b[start:start+m.rare]) != m.magic[:m.rare] || m.begins != nil && !m.begins(b[start:min(len(b), start+packageHead)]) {
				continue
			}
			if !goesOn && m.magic == "%PDF-" && !bytes.Contains(b[start:], []byte("startxref")) {
				break // what a text about PDF quotes rarely has an end; nor does what follows
			}
			if !goesOn && m.holds != nil && wrong < maxFalse && !m.holds(b[start:]) {
				wrong++
				continue
			}
			at, ok = start, true
			break
		}
	}
	return at, ok
}

// holdsLocal reports the header of a zip's member: a version, a method and flags
// that exist, and a name.
//
// Source: APPNOTE.TXT 4.3.7, 4.4.
func holdsLocal(b []byte) bool {
	if len(b) < 31 {
		return false
	}
	flags, method, name := binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:]), int(binary.LittleEndian.Uint16(b[26:]))
	if b[4] > 63 || flags&0xc780 != 0 || method > 20 && (method < 93 || method > 99) || name == 0 || name > packageHead/2 || 30+name > len(b) {
		return false
	}
	return !slices.ContainsFunc(b[30:30+name], func(c byte) bool { return c < ' ' || c == 0x7f })
}

// beginsPDF reports a version, a line end and an object behind the mark.
//
// Source: ISO 32000-1 7.5.2, 7.3.10.
func beginsPDF(b []byte) bool {
	b = b[:min(len(b), packageHead)]
	if len(b) < 16 || b[5] != '1' && b[5] != '2' || b[6] != '.' || !isDigit(b[7]) || !bytes.ContainsAny(b[8:min(len(b), 80)], "\r\n") {
		return false
	}
	for {
		i := bytes.Index(b, []byte(" obj"))
		if i < 0 {
			return false
		}
		k := i
		for k > 0 && isDigit(b[k-1]) {
			k--
		}
		if k < i && k > 1 && b[k-1] == ' ' && isDigit(b[k-2]) {
			return true
		}
		b = b[i+4:]
	}
}

// holdsOLE reports a byte order, a sector size and reserved bytes that fit.
//
// Source: [MS-CFB] 2.2.
func holdsOLE(b []byte) bool {
	return len(b) >= 512 && b[28] == 0xfe && b[29] == 0xff && (b[30] == 9 || b[30] == 12) && b[31] == 0 && bytes.Count(b[34:40], []byte{0}) == 6
}

// behind reads the package that begins somewhere within b, which was read as
// something else: programs that look for its mark, or for its end, open it.
func (j *job) behind(at *place, b []byte) {
	if at.searched {
		return
	}
	at.searched = true
	i, ok := findPackage(b, len(b), false)
	if !ok || !j.more() {
		return
	}
	p := at.again()
	p.media, p.searched = "", false
	at.readings++
	j.guarded(p, func() error { return j.slice(p, b[i:]) })
}

// watcher passes bytes on and keeps those from the mark of a package on.
type watcher struct {
	r    io.Reader
	room int64  // bytes that may be kept
	b    []byte // not looked at yet, or kept
	on   bool   // they are kept
	over bool   // they were more than may be kept
}

// watch returns a reader of s, and what it keeps where s is not in memory.
func (j *job) watch(s *stream) (io.Reader, *watcher) {
	if s.r == nil {
		return s.reader(), nil
	}
	w := &watcher{r: s.reader(), room: j.lim.Memory - j.held}
	return w, w
}

// Read implements io.Reader.
func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.over {
		return n, err
	}
	w.b = append(w.b, p[:n]...)
	if w.on {
		if int64(len(w.b)) > w.room {
			w.b, w.over = nil, true
		}
		return n, err
	}
	if to := len(w.b) - packageHead; err == nil && to < headSize {
		return n, nil
	}
	to := len(w.b)
	if err == nil {
		to -= packageHead
	}
	at, ok := findPackage(w.b, to, err == nil)
	w.b, w.on = w.b[:copy(w.b, w.b[at:])], ok
	return n, err
}

// watched reads the package in what was kept of a stream, or in s where it is
// in memory.
func (j *job) watched(at *place, w *watcher, s *stream) {
	switch {
	case w == nil:
		j.behind(at, s.mem)
	case w.over && !at.searched:
		at.searched = true
		j.gap(*at, dlp.TooLarge, "more than may be held", 0)
	case w.on:
		j.hold(int64(len(w.b)))
		j.behind(at, w.b)
	}
}
