package formats

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// headSize is how much of a leaf is looked at to find what it is.
const headSize = 64 << 10

// job is the document at hand. It belongs to the goroutine of Serve.
type job struct {
	conn *conn
	out  *emitter
	lim  wire.Limits
	pdf  *pdfReader
	skip map[string]bool // units dealt with by an earlier child; true: one broke there
	ocr  *ocr
	most wire.Skill // what children there are can read

	logos  bool                         // they are read too
	burned bool                         // see wire.Job
	known  map[[sha256.Size]byte][]byte // words of pages that were read

	members int            // seen so far
	inner   map[string]int // members seen so far in each part that has any: the highest number
	decoded int64          // bytes unpacked so far
	held    int64          // bytes held for random access now
	peak    int64
	full    bool   // members passed their bound, and the gap was told
	whole   []byte // the document, where all of it is held

	scope *scope // of the message at hand, nil outside any
	pw    passwords
}

func newJob(c *conn, head *wire.Job, pdf *pdfReader, pages *ocr) *job {
	j := &job{conn: c, out: &emitter{w: c.w, begun: c.begun, frame: c.frame, text: c.text}, lim: head.Limits, pdf: pdf, ocr: pages, most: head.Most, logos: head.Logos, burned: head.Burned,
		skip: make(map[string]bool, len(head.Skip)), inner: map[string]int{}}
	j.out.runs.room = head.Limits.Memory / 2 // the document may be held as well
	j.pw = passwords{given: head.Passwords, perFile: head.Tries, left: head.TriesAll, tell: head.Names}
	for _, s := range head.Skip {
		j.skip[s.Path] = s.Broken
	}
	return j
}

// place says where a leaf stands.
type place struct {
	path  string
	name  string // declared
	depth int    // containers around it

	// What a mail declares of it; empty elsewhere.
	media    string // lower case, "" when nothing is declared
	charset  string
	cid      string // Content-ID without angle brackets
	mail     bool   // it is a part of a mail
	joined   bool   // lines that end in a space go on in the next, without the space
	unfolded bool   // it is what a calendar or card shows
	decoded  bool   // it is UTF-8, whatever it says of itself
	narrow   bool   // what looks like UTF-16 or UTF-32 is read as bytes
	searched bool   // a package within it is read
	helper   bool   // a program added it for itself: what is of no known kind is no gap

	alone   bool     // if it is a volume of several, the others are not there, or stand in further
	further [][]byte // volumes of the archive behind this first one

	opened bool // it was encrypted, and a password opened it

	readings int // further ones that are made by whoever reads this place: a reader of its own numbers on
}

// inside returns the place of the n-th member of the container at p.
func (p place) inside(n string) place {
	q := place{path: n, depth: p.depth + 1}
	if p.path != "" {
		q.path = p.path + "/" + n
	}
	return q
}

// again returns the place of another reading of p, numbered after those that
// were already given away. The numbers follow from the document alone, so that
// a second child gives the same.
func (p place) again() place {
	p.path += "~" + itoa(p.readings+2)
	p.depth++
	p.readings, p.further = 0, nil
	return p
}

// gapError is a Gap on its way up from a parser. Its words are constants.
type gapError struct {
	cause  dlp.Cause
	detail string
}

// Error returns the cause and the detail.
func (e *gapError) Error() string { return e.cause.String() + ": " + e.detail }

func gapOf(cause dlp.Cause, detail string) error { return &gapError{cause, detail} }

// unit announces what is about to be parsed, parses it and tells of what went
// wrong. It does nothing where an earlier child has dealt with the unit.
func (j *job) unit(at place, class wire.Class, parse func() error) {
	if _, dealt := j.skip[at.path]; dealt {
		return
	}
	j.out.begin(wire.Unit{Path: at.path, Name: at.name, Class: class})
	held := j.held
	j.guarded(at, parse)
	j.buried(at)
	j.held = held
	j.out.finish()
}

func (j *job) guarded(at place, parse func() error) {
	defer func() {
		if r := recover(); r != nil { // the panic's text may quote the document: it is dropped
			j.gap(at, dlp.Crashed, "", 0)
		}
	}()
	err := parse()
	if err == nil {
		return
	}
	if ge, ok := errors.AsType[*gapError](err); ok {
		j.gap(at, ge.cause, ge.detail, 0)
		return
	}
	j.gap(at, dlp.Corrupt, "", 0) // the error's text may quote the document: it is dropped
}

// buried reads what the texts of a unit that has ended hold in base64 or
// hexadecimal, as members numbered after all others of their part.
func (j *job) buried(at place) {
	j.out.window()
	j.out.runs.close()
	var mine []buried
	rest := j.out.runs.found[:0]
	for _, b := range j.out.runs.found {
		if b.depth == j.out.depth {
			mine = append(mine, b)
		} else {
			rest = append(rest, b)
		}
	}
	j.out.runs.found = rest
	var whole []buried
	for i, b := range mine {
		if firstPiece(mine, i) {
			j.out.runs.room += int64(len(b.data))
			continue
		}
		whole = append(whole, b)
		j.hold(int64(len(b.data)))
	}
	for _, b := range whole {
		n := j.inner[b.part] + 1
		in := place{path: b.part}.inside(itoa(n))
		in.depth = at.depth + 1
		if !b.over {
			j.leaf(in, memory(b.data))
		} else if j.admit(in) {
			j.part(in, "application/octet-stream")
			j.gap(in, dlp.TooLarge, "more than may be held", 0)
		}
		j.out.runs.room += int64(len(b.data))
	}
}

func (j *job) gap(at place, cause dlp.Cause, detail string, size int64) {
	j.out.gap(dlp.Gap{Path: at.path, Name: at.name, Cause: cause, Detail: detail, Size: size})
}

// admit counts one more member, at a place where it may stand. Where it may
// not, a gap is told; past the bound on members, only once.
func (j *job) admit(at place) bool {
	if j.full || j.out.err != nil {
		return false
	}
	j.members++
	if i := strings.LastIndexByte(at.path, '/'); i >= 0 || at.path != "" {
		if n, err := strconv.Atoi(at.path[i+1:]); err == nil {
			parent := at.path[:max(i, 0)]
			j.inner[parent] = max(j.inner[parent], n)
		}
	}
	if j.members > j.lim.Members {
		j.full = true
		j.gap(at, dlp.TooMany, "this part and all after it", 0)
		return false
	}
	if at.depth > j.lim.Depth || len(at.path) > wire.MaxPath-16 {
		at.path = at.path[:min(len(at.path), wire.MaxPath-16)]
		j.gap(at, dlp.TooDeep, "", 0)
		return false
	}
	return true
}

// stream is a leaf's bytes: all of them in mem, or to be read once from r.
type stream struct {
	mem  []byte
	r    *bufio.Reader
	size int64 // as far as known, else 0
}

func memory(b []byte) *stream { return &stream{mem: b, size: int64(len(b))} }

// head returns the first bytes.
func (s *stream) head() ([]byte, error) {
	if s.r == nil {
		return s.mem[:min(len(s.mem), headSize)], nil
	}
	b, err := s.r.Peek(headSize)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// keep holds the bytes in memory where they are at most that many.
func (s *stream) keep(most int) {
	if s.r == nil {
		return
	}
	b, err := io.ReadAll(io.LimitReader(s.r, int64(most)+1))
	switch {
	case err != nil:
		s.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(b), failed{err}), headSize)
	case len(b) > most:
		s.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(b), s.r), headSize)
	default:
		s.mem, s.r = b, nil
	}
}

// failed is a reader of an error that was seen.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

func failing(err error) *bufio.Reader { return bufio.NewReader(failed{err}) }

// reader reads the bytes from the first on.
func (s *stream) reader() io.Reader {
	if s.r == nil {
		return newBytesReader(s.mem)
	}
	return s.r
}

// load returns all bytes. It counts what it holds; unit gives it back.
func (j *job) load(s *stream) ([]byte, error) {
	if s.r == nil {
		return s.mem, nil
	}
	room := j.lim.Memory - j.held
	if s.size > room {
		return nil, gapOf(dlp.TooLarge, "more than may be held")
	}
	first := s.size + 1 // with which the end shows
	if s.size == 0 {
		first = headSize // not known
	}
	whole := s.r == j.conn.doc
	buf := j.conn.lend(first)
	for {
		n, err := s.r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > room {
			return nil, gapOf(dlp.TooLarge, "more than may be held")
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(buf) == cap(buf) {
			bigger := make([]byte, len(buf), 2*cap(buf))
			copy(bigger, buf)
			buf = bigger
		}
	}
	j.hold(int64(len(buf)))
	if whole {
		j.whole = buf
	}
	s.mem, s.r = buf, nil
	return buf, nil
}

func (j *job) hold(n int64) {
	j.held += n
	j.peak = max(j.peak, j.held)
}

// document reads the whole document.
func (j *job) document(head *wire.Job) {
	s := &stream{r: j.conn.document(), size: head.Size}
	if !head.Mail {
		j.leaf(place{}, s)
		return
	}
	j.unit(place{}, wire.Normal, func() error {
		b, err := j.load(s)
		if err != nil {
			return err
		}
		j.message(place{mail: true}, b)
		return nil
	})
}

// leaf finds what s is and reads it.
func (j *job) leaf(at place, s *stream) {
	if j.aVolume(at, s) {
		return
	}
	if !j.admit(at) {
		return
	}
	head, err := s.head()
	if err != nil && len(head) == 0 {
		j.part(at, "application/octet-stream")
		j.guarded(at, func() error { return err })
		return
	}
	k := sniff(head, at)
	switch k.format {
	case fImage:
		j.image(at, k, s)
		if _, ok := at.page(k); ok {
			j.gap(at, dlp.Ambiguous, "a picture declared as text", 0)
		}
		return
	case fEmpty:
		j.part(at, "text/plain")
		return
	case fHTML, fSVG:
		if broken, dealt := j.skip[at.path]; dealt && !broken && j.scope != nil {
			j.cidsOnly(at, s) // images behind it must know what it shows
			return
		}
	}
	class := wire.Normal
	switch k.format {
	case fPDF:
		class = wire.Slow
	case fText, fCSV:
		class = wire.Stream
	}
	j.unit(at, class, func() error { return j.read(at, k, s) })
}

// read reads a leaf of a known kind.
func (j *job) read(at place, k kind, s *stream) error {
	switch k.format {
	case fText, fCSV:
		return j.text(at, k, s)
	case fHTML, fSVG:
		return j.html(at, k, s)
	case fDICOM:
		return j.dicom(at, s)
	case fPDF:
		if j.pdf.pool == nil && j.most >= wire.PDF {
			j.want(wire.PDF) // before the part is opened: it is the other child's
			return nil
		}
	}
	b, err := j.load(s)
	if err != nil {
		j.part(at, k.media)
		return err
	}
	page, ok := at.page(k)
	if !ok {
		return j.readWhole(at, k, b)
	}
	shown := at.again()
	at.readings++
	j.guarded(at, func() error { return j.readWhole(at, k, b) })
	if page.format == fHTML {
		return j.html(shown, page, memory(b))
	}
	return j.text(shown, page, memory(b))
}

// page returns what programs take for text, by what a mail declares or by the
// name, where the first bytes say that it is something else: it is read as both.
// A format that is read by its own structure may have the words that are shown
// where that does not reach.
func (p place) page(k kind) (kind, bool) {
	switch k.format {
	case fBinary, fEmpty, fText, fCSV, fHTML, fSVG, fMail, fMbox: // what nothing here knows is a gap
		return kind{}, false
	}
	name := strings.ToLower(p.name)
	switch {
	case p.media == "text/html", strings.HasSuffix(name, ".html"), strings.HasSuffix(name, ".htm"), strings.HasSuffix(name, ".xhtml"):
		return kind{format: fHTML, media: "text/html"}, true
	case strings.HasPrefix(p.media, "text/") && p.media != "text/rtf" && p.media != "text/richtext", strings.HasSuffix(name, ".txt"):
		return kind{format: fText, media: "text/plain"}, true
	}
	return kind{}, false
}

// readWhole reads the bytes of a leaf of a known kind.
func (j *job) readWhole(at place, k kind, b []byte) error {
	switch k.format {
	case fMail:
		if at.path != "" {
			at.path += "/"
		}
		j.message(place{path: at.path, depth: at.depth + 1, mail: true}, b)
		return nil
	case fMbox:
		return j.mbox(at, b)
	case fZip:
		return j.zip(at, b)
	case f7z:
		return j.sevenZip(at, b)
	case fRar:
		return j.rar(at, b)
	case fTar:
		return j.tar(at, b)
	case fAr:
		return j.ar(at, b)
	case fCpio:
		return j.cpio(at, b)
	case fCab:
		return j.cab(at, b)
	case fISO:
		return j.iso(at, b)
	case fRPM:
		return j.rpm(at, b)
	case fGzip, fBzip2, fXz, fZstd, fLZ4, fLZMA, fLzip, fCompress, fSnappy, fZlib:
		return j.packed(at, k, b)
	case fPDF:
		return j.readPDF(at, b)
	case fCMS:
		return j.cms(at, b)
	case fRTF:
		return j.rtf(at, b)
	case fTNEF:
		return j.tnef(at, b)
	case fBinHex, fApple, fMacBinary:
		return j.macFile(at, k, b)
	case fOLE2:
		return j.ole2(at, b)
	case fBIFF:
		return j.biff(at, b)
	case fSQLite:
		return j.sqlite(at, b)
	case fOneNote:
		return j.oneNote(at, b)
	case fPlist:
		return j.propertyList(at, b)
	case fAccess:
		return j.access(at, b)
	case fPST:
		return j.pst(at, b)
	case fCHM:
		return j.chm(at, b)
	case fParquet:
		return j.parquet(at, b)
	case fDBF:
		return j.dbf(at, b)
	}
	return j.binary(at, k, b)
}

// part opens the part at a place.
func (j *job) part(at place, media string) {
	j.out.part(dlp.PartInfo{Path: at.path, Name: at.name, MediaType: media, Opened: at.opened})
}

// binary reads what no parser here knows: the words that stand in it, for a file
// that is not encrypted.
func (j *job) binary(at place, k kind, b []byte) error {
	if k.cause != dlp.Encrypted && hasZipEnd(b) { // a self-extractor, or junk in front
		return j.zip(at, b)
	}
	if k.detail == "executable" {
		if i, e, ok := embedded(b); ok {
			stub := at.again()
			at.readings++
			j.guarded(at, func() error { return j.read(at, e, memory(b[i:])) })
			return j.slice(stub, b[:i])
		}
	}
	j.part(at, k.media)
	if k.cause == dlp.Unsupported {
		j.looseWords(b)
	}
	if !at.helper || k.detail != "binary" {
		j.gap(at, k.cause, k.detail, int64(len(b)))
	}
	return nil
}

// budget counts what comes out of r against the job's bounds.
type budget struct {
	j      *job
	r      io.Reader
	packed int64 // bytes that r reads from
	out    int64
}

func (b *budget) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.out += int64(n)
	b.j.decoded += int64(n)
	if over := b.j.overspent(); over != nil {
		return 0, over
	}
	if b.out > wire.RatioFree && b.out > b.packed*b.j.lim.Ratio {
		return 0, gapOf(dlp.TooLarge, "unpacks beyond the ratio")
	}
	return n, err
}

// spend counts n bytes of text that a format makes out of fewer.
func (j *job) spend(n int) error {
	j.decoded += int64(n)
	return j.overspent()
}

// overspent is the error of a document that unpacks to more than it may.
func (j *job) overspent() error {
	if j.decoded > j.lim.Decoded {
		return gapOf(dlp.TooLarge, "unpacks to more than the document may")
	}
	return nil
}
