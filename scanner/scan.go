package scanner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of one Scan where Options give none.
const (
	DefaultMaxFindings = 100_000
	// A byte of proof is a byte that a match may span, weighed by the size of
	// its expression. Ordinary text needs some tens for each of its own, text
	// dense in patient data about a hundred.
	verifyPerByte = 512
	verifyFree    = 64 << 20 // bytes of proof that a document may have whatever its size
)

// lineLook is how far the end of a line is looked for when lines are counted.
const lineLook = 512

// maxKept is how many settled findings a Scan's memory is kept for.
const maxKept = 1 << 15

// Details of the Gaps a Scan makes.
const (
	DetailBudget   = "verification budget"
	DetailFindings = "findings"
)

// Options are how one Document is to be scanned. The zero value is the usual.
type Options struct {
	// OnFinding, if not nil, is called for each finding once it is settled,
	// with the matched bytes as they stand in the part's text, which are valid
	// during the call. Findings of a part come in the order of their Start,
	// but for those a few bytes apart.
	OnFinding func(f dlp.Finding, raw []byte)
	// OnProof, if not nil, is called for each match that was to be proved, with
	// the number of its pattern (see Scanner.Patterns) and what was in its way.
	// Not each match of an expression is: what cannot stand alone is passed over
	// before.
	OnProof func(pattern int, step Step)
	// Now decides which allowlist entries have ended; zero: the clock's time.
	Now time.Time
	// VerifyFree is how many bytes of proof the document may cost beside those
	// that its length allows; 0: the default. Passing it is a Gap.
	VerifyFree int64
	// MaxFindings bounds the findings kept; 0: DefaultMaxFindings. Passing it
	// is a Gap.
	MaxFindings int
	// Into is what findings are appended to, in its memory while there is room:
	// whoever scans one Document after another, and is done with the findings of
	// one before the next begins, hands in the list that Finish returned, cut to
	// no length. The memory is the caller's throughout; a Scan that has finished
	// knows nothing of it. nil: each Scan's list is new.
	Into []dlp.Finding

	testing bool // allowlists hold past their day
}

// Scan is the scanning of one Document. It is a dlp.Sink, for one goroutine.
type Scan struct {
	s   *Scanner
	opt Options
	*scratch

	part    dlp.PartInfo
	open    bool
	header  bool // the part is a mail's header
	pos     int64
	counted int64 // offset up to which lines are counted
	lineEnd int64 // offset up to which there is no further one
	lines   int
	done    int64 // normalised bytes of the parts before
	spent   int64 // bytes of proof so far
	stopped bool  // past a bound: nothing is looked for any more
	cause   dlp.Gap
	mac     *cmac    // under the random key of this Scan; nil until a value needs one
	paths   []string // of the parts with candidates
	named   bool     // the open part is the last of them
	gaps    []dlp.Gap
	found   []dlp.Finding // in the memory of Options.Into; what comes when it is full is in settled
	before  int           // how many of them it held
}

// scratch is what Scans of one Scanner hand on to each other.
type scratch struct {
	text    text
	rawText []byte // with OnFinding: the text as it came, from offset rawBase
	rawBase int64
	hits    hits
	fields  fields
	pending []candidate
	raws    [][]byte // with OnFinding: the matched bytes of pending
	field   dlp.Span // around the match in hand
	near    uint64   // wordsNear the matches in hand, if asked for them
	asked   bool
	settled []settled
	value   []byte // of the candidate in hand: its type, a zero byte, the canonical value
	ends    ends
	capture capture
	looking looking

	termsDone int                  // how many of hits.terms are proved
	termHits  []termHit            // scratch of termsAt
	termsSeen map[termKey]termMark // the terms reported from the part
	passed    passedTerm           // the last term that was not proved again

	runs    marks // digits of the chunk in hand
	special marks // bytes that something is looked for from
	words   marks // bytes of words

	dead [1 << deadBits]uint32 // of beginRest: four bytes each; 0 for none
}

var errOrder = errors.New("scanner: text without a part, or not where the text before it ended")

// Begin starts the scanning of one Document.
func (s *Scanner) Begin(opt Options) *Scan {
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	if opt.MaxFindings == 0 {
		opt.MaxFindings = DefaultMaxFindings
	}
	if opt.VerifyFree == 0 {
		opt.VerifyFree = verifyFree
	}
	c, _ := s.scans.Get().(*Scan)
	if c == nil {
		c = &Scan{scratch: &scratch{ends: ends{proved: make([]uint32, s.most)}}}
	}
	c.s, c.opt, c.found, c.before = s, opt, opt.Into, len(opt.Into)
	return c
}

// Part opens the next part and ends the one before.
func (c *Scan) Part(p dlp.PartInfo) error {
	c.endPart()
	c.part, c.open, c.header, c.named = p, true, isHeaderPart(p.Path), false
	return nil
}

// Text scans the next window of the open part. The only error is that of a
// window that does not follow the one before.
func (c *Scan) Text(w dlp.Window) error {
	if !c.open || w.Offset != c.text.came() {
		return errOrder
	}
	if c.stopped {
		c.text.raw += int64(len(w.Text))
		if len(w.Text) > 0 {
			c.stopGap()
		}
		return nil
	}
	c.fields.add(w.Spans)
	for b := w.Text; len(b) > 0; {
		piece := b[:min(len(b), dlp.MaxWindow)]
		for k := len(piece); k < len(b) && len(piece) > k-4 && b[len(piece)]&0xc0 == 0x80; {
			piece = piece[:len(piece)-1] // never inside a character
		}
		c.window(piece)
		b = b[len(piece):]
	}
	return nil
}

func (c *Scan) window(b []byte) {
	keep := c.pos - c.s.behind
	if keep > c.text.base {
		c.countLines(keep)
		c.text.slide(keep)
		c.fields.forget(c.text.rawStart(c.text.base))
	}
	if c.opt.OnFinding != nil {
		if k := c.text.rawStart(c.text.base) - c.rawBase; k > 0 && k <= int64(len(c.rawText)) {
			c.rawText = c.rawText[:copy(c.rawText, c.rawText[k:])]
			c.rawBase += k
		}
		c.rawText = append(c.rawText, b...)
	}
	c.text.add(b)
	c.advance((c.text.end() - c.s.ahead) &^ 63) // so that what chunk looks at together is in one block of hits
}

// Gap takes note of a piece that could not be read.
func (c *Scan) Gap(g dlp.Gap) error {
	c.gaps = append(c.gaps, g)
	return nil
}

// Finish ends the last part and returns what was found, in the order of parts
// and then by Start, behind what Options.Into held, and all gaps: those handed in
// and those of the scan itself. The Scan must not be used again: its memory goes
// to the next one.
func (c *Scan) Finish() ([]dlp.Finding, []dlp.Gap) {
	c.endPart()
	found := c.found
	if n := len(c.settled); n > 0 {
		from := len(found)
		found = append(make([]dlp.Finding, 0, from+n), found...)[:from+n]
		for i := range c.settled {
			c.finding(&c.settled[i], &found[from+i])
		}
	}
	if cap(c.settled) > maxKept {
		c.settled = nil
	}
	c.settled = c.settled[:0]
	gaps, scans := c.gaps, &c.s.scans
	*c = Scan{scratch: c.scratch}
	scans.Put(c)
	return found, gaps
}

func (c *Scan) endPart() {
	if c.open {
		c.text.flush()
		c.advance(c.text.end())
		c.settle(c.text.end(), true)
	}
	c.done += c.text.end()
	c.text.reset()
	c.rawText, c.rawBase = c.rawText[:0], 0
	c.hits.reset()
	c.fields.reset()
	c.pending, c.raws = c.pending[:0], c.raws[:0]
	clear(c.termsSeen)
	c.passed, c.termsDone = passedTerm{}, 0
	c.pos, c.counted, c.lineEnd, c.lines, c.open = 0, 0, 0, 0, false
}

// advance looks for candidates from pos up to limit.
func (c *Scan) advance(limit int64) {
	c.hits.sure = min(limit+c.s.longest+int64(c.s.words.reach), c.text.end())
	i, end := int(c.pos-c.text.base), int(limit-c.text.base)
	for i < end && !c.stopped {
		to := min(i+chunkBytes, end)
		c.chunk(i, to)
		i = to
		c.settle(c.text.base+int64(i), false)
	}
	c.pos = max(c.pos, limit)
}

// chunk looks for candidates from what stands in norm[from:to].
func (c *Scan) chunk(from, to int) {
	s, norm := c.s, c.text.norm
	words := (to - from + 63) / 64
	if s.digits != nil {
		digitMarker.mark(&c.runs, norm[from:to])
	}
	if s.special != nil {
		s.special.mark(&c.special, norm[from:to])
	}
	if s.lexicon != nil {
		c.hits.terms = c.hits.terms[:copy(c.hits.terms, c.hits.terms[c.termsDone:])]
		c.termsDone = 0
		c.hits.read(s.words, &c.text, c.text.base+int64(to), c.text.base+int64(from)-s.behind)
	}
	if s.long != nil {
		step := s.long.long.step
		for at := from + (step-int((c.text.base+int64(from))%int64(step)))%step; at < to; at += step {
			if s.long.long.class.has(norm[at]) {
				c.special[(at-from)>>6] |= 1 << ((at - from) & 63)
			}
		}
	}
	if s.rest != nil {
		wordMarker.mark(&c.words, norm[from:to])
	}
	var carry uint64
	if from > 0 && isDigit(norm[from-1]) {
		carry = 1
	}
	inSpecial := c.special[:words]
	for w, digits := range c.runs[:words] {
		if s.lexicon != nil {
			c.terms(from+64*w, min(from+64*w+64, to))
		}
		runs := digits &^ (digits<<1 | carry)
		carry = digits >> 63
		special, rest := inSpecial[w], uint64(0)
		if s.rest != nil {
			rest = c.restIn(from+64*w, min(from+64*w+64, to), c.words[w])
		}
		for m := runs | special | rest; m != 0; m &= m - 1 {
			bit := bits.TrailingZeros64(m)
			at := from + 64*w + bit
			if runs>>bit&1 != 0 {
				n := bits.TrailingZeros64(^(digits >> bit))
				if bit+n == 64 { // it may go on
					n = runLength(norm, at, n)
				}
				c.number(s.digits, at, at+n)
			}
			if special>>bit&1 != 0 {
				c.anchor(at)
			}
			if rest>>bit&1 != 0 {
				c.beginRest(at)
			}
			if c.stopped {
				return
			}
		}
	}
}

// restIn returns a bit for each place of norm[from:to], the bytes of words of which
// are marked, where something of Scanner.rest may begin, but for what asks for words
// of which none stand near.
func (c *Scan) restIn(from, to int, words uint64) uint64 {
	g := c.s.rest
	p := &g.free
	if g.asks != 0 && c.wordsNear(from)&g.asks != 0 {
		p = &g.pairs
	}
	return g.places(p, c.text.norm, from, to, words)
}

const (
	deadWalk = 3 // what a walk has cost at most that came to nothing by its fourth byte
	deadBits = 8 // the logarithm of how many of them are remembered
)

// beginRest is begin for Scanner.rest. The words of a text are mostly the same few,
// so it remembers with which four bytes a walk came to nothing, whatever follows.
func (c *Scan) beginRest(at int) {
	g, norm := c.s.rest, c.text.norm
	if !g.words || at+4 > len(norm) {
		c.begin(g, at)
		return
	}
	four := binary.LittleEndian.Uint32(norm[at:])
	dead := &c.dead[four*0x9e3779b1>>(32-deadBits)] // Fibonacci hashing: Knuth, TAOCP 3, 6.4
	if *dead == four {
		c.ends.cost += deadWalk
		return
	}
	if c.begin(g, at) && c.ends.cost <= deadWalk {
		*dead = four
	}
}

// runLength is how many digits stand from norm[at] on, the first n of which are
// known, as far as forms tells lengths apart.
func runLength(norm []byte, at, n int) int {
	for n < lengths-1 && at+n < len(norm) && isDigit(norm[at+n]) {
		n++
	}
	return n
}

// anchor looks for what is looked for from the byte norm[at].
func (c *Scan) anchor(at int) {
	for _, g := range c.s.at[c.text.norm[at]] {
		if g.lead != nil {
			c.leading(g, at)
		} else {
			c.both(g, at)
		}
	}
	if g := c.s.long; g != nil && (c.text.base+int64(at))%int64(g.long.step) == 0 {
		c.sample(g, at)
	}
}

// sample looks for matches of g that begin with a long run and at norm[at] or
// less than a step before.
func (c *Scan) sample(g *group, at int) {
	norm, l := c.text.norm, g.long
	from, to := at, at
	for from > 0 && at-from < l.step-1 && l.class.has(norm[from-1]) {
		from--
	}
	for to < len(norm) && to-from < 2*l.step && l.class.has(norm[to]) {
		to++
	}
	c.ends.cost += to - from
	for i := from; i <= at && i+l.step <= to; i++ {
		c.begin(g, i)
	}
}

// number looks for matches of g that have norm[at:end] as their first digits.
func (c *Scan) number(g *group, at, end int) {
	norm := c.text.norm
	if at < 2 || end+1 >= len(norm) {
		c.both(g, at)
		return
	}
	f := g.forms.at(norm, at, end)
	class := g.forms.second[norm[end+1]] & 63
	straight, back := f.straight>>class&1, f.back>>class&1
	if straight|back == 0 {
		return
	}
	if (f.straightNeeds&-straight|f.backNeeds&-back)&unasked == 0 {
		near := c.wordsNear(at)
		if f.straightNeeds&near == 0 {
			straight = 0
		}
		if f.backNeeds&near == 0 {
			back = 0
		}
	}
	if straight != 0 && g.straight {
		c.begin(g, at)
	}
	if back != 0 && g.precede.has(norm[at-1]) {
		c.backward(g, at)
	}
}

// both looks for matches of g the first anchor of which stands at norm[at].
func (c *Scan) both(g *group, at int) {
	if g.straight {
		c.begin(g, at)
	}
	if at > 0 && g.precede.has(c.text.norm[at-1]) {
		c.backward(g, at)
	}
}

// backward looks for matches of g that begin before norm[at], their first anchor.
func (c *Scan) backward(g *group, at int) {
	norm, l := c.text.norm, g.back
	t, state := l.cur.Load(), l.stride
	for i := at - 1; i >= 0; i-- {
		class := uint32(l.class[norm[i]])
		e := t.next[state+class].Load()
		if passing(e) {
			state = e
			continue
		}
		if e == 0 {
			var cost int
			t, e, _, cost = l.find(t, state, class)
			c.ends.cost += cost
		}
		if e&output != 0 {
			c.begin(g, i)
		}
		if state = e & toMask; state == 0 {
			return
		}
	}
}

// leading proves the pattern of g whose leading run ends at norm[at]. Of the
// places where such a match may begin only the first is tried: the others give
// a part of the same match.
func (c *Scan) leading(g *group, at int) {
	first, from, ok := c.leadStart(g, at)
	c.ends.cost += at - first
	if !ok {
		return
	}
	place := afterOther
	if from > 0 && isWord(c.text.norm[from-1]) {
		place = afterWord
	}
	c.tryAt(g, from, place)
}

// leadStart returns where the leading run of g that ends at norm[at] begins, and
// the first place in it where a match may begin; false where there is none.
func (c *Scan) leadStart(g *group, at int) (first, from int, ok bool) {
	norm, l := c.text.norm, g.lead
	first = at
	for first > 0 && at-first < l.max && l.class.has(norm[first-1]) {
		first--
	}
	b := c.s.rules[c.s.pats[g.patterns[0]].rule].Boundary
	for from = first; at-from >= l.min; from++ {
		if standsFree(b, norm, from) {
			return first, from, true
		}
	}
	return first, first, false
}

// countLines counts the lines up to offset n.
func (c *Scan) countLines(n int64) {
	if n >= c.counted && n <= c.lineEnd {
		c.counted = n
		return
	}
	from, to := c.counted-c.text.base, n-c.text.base
	if n > c.counted {
		c.lines += bytes.Count(c.text.norm[from:to], []byte{'\n'})
	} else {
		c.lines -= bytes.Count(c.text.norm[to:from], []byte{'\n'})
	}
	c.counted, c.lineEnd = n, n
	ahead := c.text.norm[to:min(to+lineLook, int64(len(c.text.norm)))]
	if k := bytes.IndexByte(ahead, '\n'); k >= 0 {
		ahead = ahead[:k]
	}
	c.lineEnd += int64(len(ahead))
}

// stop ends the search for good, with a gap for this part and for each later
// one that has text.
func (c *Scan) stop(cause dlp.Cause, detail string) {
	if c.stopped {
		return
	}
	c.stopped = true
	c.cause = dlp.Gap{Cause: cause, Detail: detail}
	c.stopGap()
}

func (c *Scan) stopGap() {
	for i := len(c.gaps) - 1; i >= 0; i-- { // one for each part
		if g := &c.gaps[i]; g.Path == c.part.Path && g.Cause == c.cause.Cause && g.Detail == c.cause.Detail {
			return
		}
	}
	g := c.cause
	g.Path, g.Name = c.part.Path, c.part.Name
	c.gaps = append(c.gaps, g)
}

// spend counts n bytes of proof at offset at of the part, and stops the scan
// when the document has cost more than its length allows.
func (c *Scan) spend(n int, at int64) bool {
	c.spent += int64(n)
	if c.spent > c.opt.VerifyFree+verifyPerByte*(c.done+at) {
		c.stop(dlp.Timeout, DetailBudget)
		return false
	}
	return true
}
