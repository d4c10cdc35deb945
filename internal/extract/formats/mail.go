package formats

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// scope is what one message shows: its HTML and its pictures meet here.
type scope struct {
	shown   map[string]bool // Content-IDs that HTML shows
	images  []shownPicture
	volumes []volume // attachments that are pieces of archives
	outer   *scope
}

type shownPicture struct {
	at   place
	gap  dlp.Gap
	told bool // its part was, with the words in it
}

// show notes a Content-ID as HTML writes it.
func (s *scope) show(cid string) {
	const most = 10000
	if len(s.shown) < most {
		s.shown[strings.Trim(string(percentDecode(strings.TrimSpace(cid))), "<>")] = true
	}
}

// sub returns the path of what stands as n in the message or multipart base.
func sub(base, n string) string {
	if base == "" || strings.HasSuffix(base, "/") {
		return base + n
	}
	return base + "." + n
}

// message reads a whole message. at.path is what its parts' numbers follow:
// "" for the document itself, "2" for a message/rfc822 part, "3/" for a
// member of a container.
//
// Source: RFC 9051 6.4.5.1 for the numbering.
func (j *job) message(at place, raw []byte) {
	j.scope = &scope{shown: map[string]bool{}, outer: j.scope}
	defer j.endMessage()
	j.pw.enter(raw)
	defer func() { j.pw.leave(j.out.err == nil) }()
	fields, body := splitHeader(raw)
	j.out.part(dlp.PartInfo{Path: sub(at.path, "HEADER"), MediaType: "text/rfc822-headers"})
	j.out.writeString(decodeText(postmarks(raw), ""))
	j.fields(fields, body)
	j.entity(at, fields, body, true)
	j.volumes()
}

// endMessage tells of the pictures, now that it is known which are shown.
func (j *job) endMessage() {
	s := j.scope
	for _, p := range s.images {
		p.gap.Inline = p.at.cid != "" && s.shown[p.at.cid]
		if !p.told {
			j.part(p.at, p.gap.Detail)
		}
		j.out.gap(p.gap)
	}
	j.scope = s.outer
}

// entityInfo is what an entity's header says of its body.
type entityInfo struct {
	types      []string // every distinct media type declared, in order
	boundaries []string
	charset    string
	encodings  []string // every distinct transfer encoding known, in order; empty: as it is
	unknown    bool     // a transfer encoding that nobody knows is declared
	name       string
	cid        string
	flowed     bool // format=flowed, RFC 3676
	delSp      bool // DelSp=yes with it
	telling    bool // the header holds more than a program writes by itself
}

// entityOf reads what a header says, every saying of it.
func entityOf(fields []field) entityInfo {
	var e entityInfo
	for i := range fields {
		f := &fields[i]
		switch {
		case f.is("Content-Type"):
			token, params := parseParams(f.value)
			if token != "" && !slices.Contains(e.types, token) {
				e.types = append(e.types, token)
			}
			for _, p := range params {
				switch p.name {
				case "boundary":
					b := strings.TrimRight(p.value, " \t")
					if len(b) <= maxBoundary && !slices.Contains(e.boundaries, b) {
						e.boundaries = append(e.boundaries, b)
					}
				case "charset":
					if e.charset == "" {
						e.charset = p.value
					}
				case "name":
					e.name, e.telling = p.value, true
				case "format":
					e.flowed = e.flowed || strings.EqualFold(p.value, "flowed")
				case "delsp":
					e.delSp = e.delSp || strings.EqualFold(p.value, "yes")
				}
			}
		case f.is("Content-Disposition"):
			_, params := parseParams(f.value)
			for _, p := range params {
				if p.name == "filename" {
					e.name, e.telling = p.value, true
				}
			}
		case f.is("Content-Transfer-Encoding"):
			e.addEncodings(f.value)
		case f.is("Content-ID"):
			e.cid = strings.Trim(strings.TrimSpace(string(f.value)), "<>")
		case f.is("MIME-Version"):
		default:
			e.telling = true
		}
	}
	return e
}

func (e *entityInfo) addEncodings(v []byte) {
	for _, t := range strings.FieldsFunc(strings.ToLower(string(stripComments(v))), func(r rune) bool { return strings.ContainsRune(" \t,;\"", r) }) {
		switch t {
		case "base64", "quoted-printable", "x-uuencode", "x-uue", "uuencode":
			if !slices.Contains(e.encodings, t) {
				e.encodings = append(e.encodings, t)
			}
		case "7bit", "8bit", "binary":
		default:
			e.unknown = true
		}
	}
}

func decodeTransfer(enc string, b []byte) []byte {
	switch enc {
	case "base64":
		out, _ := decodeBase64(b)
		return out
	case "quoted-printable":
		return decodeQP(b)
	case "x-uuencode", "x-uue", "uuencode":
		if f := inlineFiles(b); len(f) > 0 {
			return bytes.Join(f, nil)
		}
	}
	return b
}

// entity reads one entity's body. top: at.path is the message it is the body
// of; otherwise it is the entity's own.
func (j *job) entity(at place, fields []field, body []byte, top bool) {
	e := entityOf(fields)
	own := at
	if top {
		own.path = sub(at.path, "1")
	}
	own.name, own.charset, own.cid, own.mail, own.joined = e.name, e.charset, e.cid, true, e.flowed && e.delSp
	if len(e.types) > 0 {
		own.media = e.types[0]
	}
	multi := slices.ContainsFunc(e.types, func(t string) bool { return strings.HasPrefix(t, "multipart/") })
	if multi {
		if at.depth > j.lim.Depth {
			j.admit(own)
			return
		}
		if j.multipart(at, &e, body, top) {
			if k := slices.IndexFunc(e.types, func(t string) bool { return !strings.HasPrefix(t, "multipart/") }); k >= 0 {
				own.media = e.types[k] // another program takes it for a single part
				j.body(own.again(), &e, body)
			}
			return
		}
	}
	j.body(own, &e, body)
}

// multipart reads the parts of a body; false when no boundary stands in it.
func (j *job) multipart(at place, e *entityInfo, body []byte, top bool) bool {
	s := splitMultipart(body, e.boundaries)
	if len(s.parts) == 0 {
		for _, enc := range e.encodings { // RFC 2045 6.4 forbids it; programs decode it
			if d := decodeTransfer(enc, body); len(d) > 0 {
				if s = splitMultipart(d, e.boundaries); len(s.parts) > 0 {
					break
				}
			}
		}
	}
	if len(s.parts) == 0 {
		if b := guessBoundary(body); b != "" {
			s = splitMultipart(body, []string{b})
		}
		if len(s.parts) == 0 {
			return false
		}
		j.gap(at, dlp.Ambiguous, "multipart without its boundary", 0)
	}
	if s.used > 1 {
		j.gap(at, dlp.Ambiguous, "two boundaries", 0)
	}
	if len(s.around) > 0 {
		p := at
		if top {
			p.path = sub(at.path, "TEXT")
		}
		j.part(p, "text/plain")
		for _, b := range s.around {
			j.out.writeString(decodeText(b, ""))
			j.out.writeString("\n")
		}
	}
	for i, raw := range s.parts {
		p := place{path: sub(at.path, itoa(i+1)), depth: at.depth + 1, mail: true}
		if j.full || j.out.err != nil {
			break
		}
		fields, body := splitHeader(raw)
		if len(fields) == 0 && len(body) == 0 && len(raw) > 0 {
			body = raw
		}
		e := entityOf(fields)
		if marks := postmarks(raw); e.telling || len(marks) > 0 {
			p.name = e.name
			j.out.part(dlp.PartInfo{Path: p.path + ".MIME", Name: e.name, MediaType: "text/rfc822-headers"})
			j.out.writeString(decodeText(marks, ""))
			j.fields(fields, body)
		}
		j.entity(p, fields, body, false)
	}
	return true
}

// body reads what is not a multipart, in each way that its header may be read.
func (j *job) body(at place, e *entityInfo, raw []byte) {
	b := raw
	if len(e.encodings) > 0 {
		b = decodeTransfer(e.encodings[0], raw)
	}
	others := otherBodies(at, e, raw, b)
	at.readings = len(others)
	switch {
	case isMessage(at.media):
		if j.admit(at) {
			j.unit(at, wire.Normal, func() error {
				j.message(place{path: at.path, depth: at.depth + 1, mail: true}, b)
				return nil
			})
		}
	case at.media == "message/partial" || at.media == "message/external-body":
		if j.admit(at) {
			j.part(at, at.media)
			j.gap(at, dlp.Unsupported, at.media, int64(len(b)))
		}
	default:
		j.leaf(at, memory(b))
	}
	for i, o := range others {
		p := at
		p.readings, p.media = i, o.media
		j.leaf(p.again(), memory(o.body))
	}
}

func isMessage(media string) bool {
	return media == "message/rfc822" || media == "message/global" || media == "message/news"
}

// reading is a body as one more program takes it.
type reading struct {
	media string
	body  []byte
}

// otherBodies returns the ways to read a body beside b, which is raw decoded
// by the first encoding declared.
func otherBodies(at place, e *entityInfo, raw, b []byte) []reading {
	var others []reading
	add := func(media string, body []byte) {
		if len(bytes.TrimSpace(body)) > 0 && !slices.ContainsFunc(others, func(o reading) bool {
			return o.media == media && bytes.Equal(o.body, body)
		}) {
			others = append(others, reading{media, body})
		}
	}
	switch {
	case len(e.encodings) > 1: // programs take the first or the last
		for _, enc := range e.encodings[1:] {
			add(at.media, decodeTransfer(enc, raw))
		}
	case len(e.encodings) == 1 && e.unknown,
		len(e.encodings) == 1 && e.encodings[0] == "base64" && (len(b) == 0 || notBase64(raw)):
		add(at.media, raw)
	}
	if at.media == "message/partial" || at.media == "message/external-body" {
		add("text/plain", b)
	}
	if strings.Contains(at.path, "~") || strings.HasPrefix(at.media, "multipart/") {
		return others
	}
	for _, t := range e.types[min(1, len(e.types)):] {
		if t == "text/html" || isMessage(t) || isMessage(at.media) {
			add(t, b)
		}
	}
	return others
}

// notBase64 reports a body that is text or holds some, whatever its header says:
// signs that base64 lacks stand in its first or last lines, or words side by side.
func notBase64(raw []byte) bool {
	const look = 4096
	foreign := func(b []byte) int {
		_, junk := decodeBase64(b)
		return junk + wordGaps(b)
	}
	return (foreign(raw[:min(len(raw), look)]) >= 3 || foreign(raw[max(len(raw)-look, 0):]) >= 3) && textBytes(raw) == len(raw)
}

// wordGaps returns how many single blanks part what stands on one line.
func wordGaps(b []byte) (n int) {
	for i := 1; i+1 < len(b); i++ {
		if b[i] == ' ' && b[i-1] > ' ' && b[i+1] > ' ' {
			n++
		}
	}
	return n
}

// splitBody is a multipart cut at its boundaries.
type splitBody struct {
	parts  [][]byte
	around [][]byte // preamble and epilogues that hold anything
	used   int      // how many different boundaries stand in it
}

// splitMultipart cuts a body at every line that is a delimiter of one of the
// boundaries. After a close-delimiter it looks on: programs differ in whether
// a part that follows is shown.
//
// Source: RFC 2046 5.1.1.
func splitMultipart(body []byte, boundaries []string) splitBody {
	if bytes.Contains(body, []byte("\r--")) { // a bare CR ends a line for some
		body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
		body = bytes.ReplaceAll(body, []byte("\r"), []byte("\n"))
	}
	s := splitExact(body, boundaries, false)
	if len(s.parts) == 0 {
		s = splitExact(body, boundaries, true)
	}
	return s
}

// splitExact cuts at delimiters; loose takes lines that merely begin with one.
func splitExact(body []byte, boundaries []string, loose bool) (s splitBody) {
	used := map[string]bool{}
	from, inPart := 0, false // of the piece at hand
	end := func(to int) {
		piece := body[from:max(from, to)]
		if inPart {
			s.parts = append(s.parts, piece)
		} else if len(bytes.TrimSpace(piece)) > 0 {
			s.around = append(s.around, piece)
		}
	}
	for pos := 0; pos < len(body); {
		next := len(body)
		if i := bytes.IndexByte(body[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		line := body[pos:next]
		if len(line) >= 2 && line[0] == '-' && line[1] == '-' {
			if b, last, ok := delimiter(line[2:], boundaries, loose); ok {
				used[b] = true
				to := pos
				if to > 0 && body[to-1] == '\n' {
					to--
					if to > 0 && body[to-1] == '\r' {
						to--
					}
				}
				end(to)
				from, inPart = next, !last
			}
		}
		pos = next
	}
	if from < len(body) || inPart {
		end(len(body))
	}
	s.used = len(used)
	return s
}

// delimiter reports whether a line, without its two dashes, is a delimiter, and
// whether it closes.
func delimiter(line []byte, boundaries []string, loose bool) (boundary string, last, ok bool) {
	line = bytes.TrimRight(line, " \t\r\n")
	for _, b := range boundaries {
		rest, has := bytes.CutPrefix(line, []byte(b))
		switch {
		case !has:
		case len(rest) == 0:
			return b, false, true
		case string(rest) == "--":
			return b, true, true
		case loose && b != "":
			return b, bytes.HasPrefix(rest, []byte("--")), true
		}
	}
	return "", false, false
}

// guessBoundary finds what a multipart without a usable boundary is cut by: a
// line of two dashes and more with a header field after it.
func guessBoundary(body []byte) string {
	b := body
	for range 200 {
		line, rest := nextLine(b)
		if len(line) > 4 && len(line) < maxBoundary && bytes.HasPrefix(line, []byte("--")) {
			if bytes.HasPrefix(bytes.ToLower(rest[:min(len(rest), 8)]), []byte("content-")) {
				return strings.TrimRight(string(line[2:]), " \t")
			}
		}
		if rest == nil {
			break
		}
		b = rest
	}
	return ""
}

// mbox reads a file of messages, each a member.
//
// Source: RFC 4155.
func (j *job) mbox(at place, b []byte) error {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	n := 0
	for len(b) > 0 && !j.full && j.out.err == nil {
		msg := b // with its "From " line, which may be one of the text
		if end := bytes.Index(b, []byte("\nFrom ")); end < 0 {
			b = nil
		} else {
			msg, b = msg[:end+1], msg[end+1:]
		}
		n++
		p := at.inside(itoa(n))
		if !j.admit(p) {
			continue
		}
		j.unit(p, wire.Normal, func() error {
			j.message(place{path: p.path + "/", depth: p.depth, mail: true}, msg)
			return nil
		})
	}
	return nil
}
