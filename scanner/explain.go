package scanner

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

const (
	// DefaultMaxCandidates is how many candidates an Explanation tells of where
	// ExplainOptions give no number.
	DefaultMaxCandidates = 200
	maxExplained         = 8 << 20 // bytes of a document's text that are explained
	maxMatches           = 200_000 // matches of a document that are remembered
	contextBytes         = 32      // of normalised text shown on each side
)

// ExplainOptions say what is to be explained, and how. The zero value explains
// every rule, masked.
type ExplainOptions struct {
	Rules  []dlp.RuleID // only these; none: all
	Max    int          // candidates told of; 0: DefaultMaxCandidates
	Reveal bool         // values and what stands around them as they are
	Near   bool         // also what an expression nearly matches
	Proved bool         // without the candidates that some step stopped
	Bytes  int64        // of text that is explained; 0, and at most: 8 MiB
	Now    time.Time    // as in Options

	testing bool
	bare    bool // without remedies
}

// Explanation is what became of every candidate in a document: of each place
// that some pattern's expression matches, whatever else it asks for.
type Explanation struct {
	Candidates []Candidate   // in the order of parts and then of text
	Near       []NearMiss    // with ExplainOptions.Near
	Findings   []dlp.Finding // what a Scan of the same document finds by the explained rules
	Gaps       []dlp.Gap     // and its gaps
	Cut        int           // candidates there were beyond Candidates
	Left       int           // candidates that some step stopped, left out by ExplainOptions.Proved
	NearCut    bool          // there were more near misses, or text in which they were not looked for
	CutBytes   int64         // bytes of text beyond those that were explained
	Loose      []dlp.Finding // findings of the explained rules that no candidate accounts for, but for what was cut
}

// What became of a candidate.
const (
	Found      = "found"
	Overlapped = "overlapped" // proved, but another finding has its place
	Stopped    = "stopped"    // some step was in its way
	Repeated   = "repeated"   // proved, but a term that was found before in the same part or row
	Unseen     = "unseen"     // proved, but the Scan had stopped at a bound before
)

// Candidate is a place that an expression matches.
type Candidate struct {
	Rule       *patterns.Rule
	Pattern    int // index into Rule.Patterns
	Part       string
	Name       string // the part's declared name
	Line       int    // from 1
	Start, End int64  // as a Finding has them
	Value      string // masked, unless revealed
	Before     string // what stands beside it in normalised text: words that are no evidence masked, unless revealed
	After      string
	Steps      []StepReport
	Outcome    string
	StoppedBy  Step           // the first step in its way
	Confidence dlp.Confidence // if proved
	Winner     dlp.RuleID     // with Overlapped: the rule of the finding in its place
	Remedies   []Remedy       // with Stopped: what would have made it a finding
	term       int32          // node of the lexicon, 0 for what is none
	Folded     int            // matches of the same pattern in the same place that came less far
	PartFound  bool           // with Stopped: a part of it is a finding of the same rule by another pattern
}

// StepReport is the outcome of one step.
type StepReport struct {
	Step    string // "boundary", "value", "header", "evidence", "validator", "allowlist", "table", "day", "field", "demotion"
	Outcome string // "ok", "stops", "raises", "lowers"
	Why     string
}

// Remedy is a change after which the rule finds the place, as a Scan of the
// changed text has shown.
type Remedy struct {
	Change     string
	Confidence dlp.Confidence
}

// Explainer explains one Document. It is a dlp.Sink, for one goroutine. The
// findings it explains are those of a Scan that it feeds; each candidate is
// proved again, one by one, by the Scan's own proof.
type Explainer struct {
	s     *Scanner
	opt   ExplainOptions
	scan  *Scan // of the document as it is
	own   *Scan // in which candidates are proved
	ends  ends
	lasts []last // scratch of search

	raw      []byte // of the part in hand
	left     int64  // bytes that are still explained
	matches  int
	last     []int // by pattern: where in found its last match stands, from 1
	found    []match
	listed   []listedPlace         // values that are never reported
	words    []wordHit             // keywords of the part, by start
	names    []map[int32]string    // by list: keywords by their node
	nearly   map[int]*approximator // by pattern
	spans    []maskSpan            // of the part: all that may be a value, unless values are revealed
	blind    int64                 // from this offset of the part on there are more; -1: there are none
	shown    shown                 // of the part: what masks may show
	out      Explanation
	expected []expectedFinding // what the proofs come to, for tests
}

// expectedFinding is a finding that the proofs come to.
type expectedFinding struct {
	rule       int
	part       string
	start, end int64
	confidence dlp.Confidence
}

// listedPlace is where a value stands that is never reported.
type listedPlace struct {
	rule       *rule
	part       string
	start, end int64 // as a Finding has them
}

// list notes the value of m where it is one that is never reported.
func (x *Explainer) list(m *match, step Step) {
	if step == StepAllowlist && len(x.listed) < maxMatches {
		x.listed = append(x.listed, listedPlace{&x.s.rules[x.s.pats[m.pattern].rule], x.own.part.Path,
			x.own.text.rawStart(int64(m.start)), x.own.text.rawEnd(int64(m.end))})
	}
}

// withinListed reports whether c is a part of a value that is never reported.
func (x *Explainer) withinListed(c *Candidate) bool {
	return slices.ContainsFunc(x.listed, func(l listedPlace) bool {
		return l.part == c.Part && l.start <= c.Start && c.End <= l.end && c.term == 0 &&
			(l.rule.ID == c.Rule.ID || l.rule.Type == c.Rule.Type && c.Rule.Type != "CUSTOM")
	})
}

// reasons is what the Explainers of one Scanner share: all expressions in one
// automaton, and a Scanner for each rule that was tried alone.
type reasons struct {
	once sync.Once
	all  *matcher
	pats []place // by expression of all

	mu    sync.Mutex
	ofOne map[dlp.RuleID]*Scanner // guarded by mu
}

// ready makes the automaton of all expressions of s.
func (w *reasons) ready(s *Scanner) {
	prog := newProgram()
	var anywhere []bool
	for _, g := range s.groups {
		for n, pat := range g.patterns {
			re, _, err := patterns.ParseRegex(s.pats[pat].Regex)
			if err == nil {
				_, err = prog.add(re, 0)
			}
			if err != nil {
				panic("scanner: a pattern that was made ready is refused")
			}
			w.pats, anywhere = append(w.pats, place{g, n}), append(anywhere, true)
		}
	}
	w.all = newMatcher(prog, anywhere)
}

// alone returns a Scanner for rule r of s.
func (w *reasons) alone(s *Scanner, r *rule) *Scanner {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ofOne == nil {
		w.ofOne = map[dlp.RuleID]*Scanner{}
	}
	if w.ofOne[r.ID] == nil {
		w.ofOne[r.ID] = New(s.set.Only(r.ID))
	}
	return w.ofOne[r.ID]
}

// place is where a pattern's own expression stands.
type place struct {
	g    *group
	expr int
}

// match is a place that an expression matches, in normalised text.
type match struct {
	pattern    int // of Scanner.pats
	from, to   int // the match, from the part's start
	start, end int // the value in it
	term       int32
	step       Step
	confidence dlp.Confidence
	folded     int
}

// Explain begins the explanation of one Document.
func (s *Scanner) Explain(opt ExplainOptions) *Explainer {
	if opt.Max <= 0 {
		opt.Max = DefaultMaxCandidates
	}
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	x := &Explainer{s: s, opt: opt, left: explainedBytes(opt), blind: -1, nearly: map[int]*approximator{},
		names: make([]map[int32]string, len(s.words.spans))}
	x.scan = s.Begin(Options{Now: opt.Now, testing: opt.testing})
	x.own = s.Begin(Options{Now: opt.Now, testing: opt.testing, VerifyFree: math.MaxInt64 / 2})
	x.own.near, x.own.asked = ^uint64(0), true // it proves without a search, so that no mask of words is made ready
	s.why.once.Do(func() { s.why.ready(s) })
	x.ends.proved, x.last = make([]uint32, len(s.why.pats)), make([]int, len(s.pats))
	return x
}

func explainedBytes(opt ExplainOptions) int64 {
	if opt.Bytes <= 0 {
		return maxExplained
	}
	return min(opt.Bytes, maxExplained)
}

func (x *Explainer) explains(id dlp.RuleID) bool {
	return len(x.opt.Rules) == 0 || slices.Contains(x.opt.Rules, id)
}

// Part opens the next part and ends the one before.
func (x *Explainer) Part(p dlp.PartInfo) error {
	x.endPart()
	if err := x.own.Part(p); err != nil {
		return err
	}
	return x.scan.Part(p)
}

// Text takes in the next window of the open part.
func (x *Explainer) Text(w dlp.Window) error {
	if err := x.scan.Text(w); err != nil {
		return err
	}
	if int64(len(w.Text)) > x.left { // no half windows: a character or a field may be cut
		x.left = 0
		x.out.CutBytes += int64(len(w.Text))
		return nil
	}
	x.left -= int64(len(w.Text))
	x.raw = append(x.raw, w.Text...)
	x.own.fields.add(w.Spans)
	x.own.text.add(w.Text)
	return nil
}

// Gap takes note of a piece that could not be read.
func (x *Explainer) Gap(g dlp.Gap) error { return x.scan.Gap(g) }

// Finish ends the last part and returns the explanation. The Explainer must not
// be used again.
func (x *Explainer) Finish() Explanation {
	x.endPart()
	x.out.Findings, x.out.Gaps = x.scan.Finish()
	proved, _ := x.own.Finish()
	for _, f := range proved {
		if x.explains(f.Rule) {
			i := slices.IndexFunc(x.s.rules, func(r rule) bool { return r.ID == f.Rule })
			x.expected = append(x.expected, expectedFinding{i, f.Path, f.Start, f.End, f.Confidence})
		}
	}
	x.settle()
	x.out.Findings = slices.DeleteFunc(x.out.Findings, func(f dlp.Finding) bool { return !x.explains(f.Rule) })
	return x.out
}

// endPart explains the part in hand.
func (x *Explainer) endPart() {
	x.own.text.flush()
	if x.own.open && len(x.own.text.norm) > 0 {
		x.search()
		x.words = x.words[:0]
		x.s.words.find(x.own.text.norm, 0, len(x.own.text.norm), func(s, e int, node int32) {
			if x.s.words.nodes[node]&nodeKeyword != 0 {
				x.words = append(x.words, wordHit{start: int64(s), end: int64(e), node: node})
			}
		})
		slices.SortStableFunc(x.found, func(a, b match) int {
			return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(x.s.pats[a.pattern].rule, x.s.pats[b.pattern].rule),
				cmp.Compare(a.pattern, b.pattern))
		})
		var near []NearMiss
		if x.opt.Near {
			near = x.lookNear()
		}
		x.maskParts()
		if x.opt.Proved {
			before := len(x.found)
			x.found = slices.DeleteFunc(x.found, func(m match) bool { return m.step != Proved })
			x.out.Left += before - len(x.found)
		}
		for i := range x.found {
			if len(x.out.Candidates) == x.opt.Max {
				x.out.Cut += len(x.found) - i
				break
			}
			x.out.Candidates = append(x.out.Candidates, x.describe(&x.found[i]))
		}
		x.describeNear(near)
	}
	x.own.pos = x.own.text.end() // nothing is left to look for
	x.raw, x.found = x.raw[:0], x.found[:0]
	clear(x.spans)
	x.spans, x.blind, x.shown = x.spans[:0], -1, nil
	clear(x.last)
}

// search tries every expression at every place.
func (x *Explainer) search() {
	norm, r := x.own.text.norm, &x.ends
	for at := range norm {
		before := afterOther
		if at > 0 && isWord(norm[at-1]) {
			before = afterWord
		}
		x.s.why.all.walk(norm, at, before, r)
		x.lasts = r.lasts(x.lasts[:0])
		for _, m := range x.lasts {
			g, n := x.s.why.pats[m.expr].g, m.expr
			explained := x.explains(x.s.rules[x.s.pats[g.patterns[x.s.why.pats[n].expr]].rule].ID)
			switch {
			case !x.sought(g, at):
			case !explained:
				m, p := x.place(n, at, m.at), x.s.why.pats[n]
				if of := &x.s.rules[x.s.pats[m.pattern].rule]; len(of.allow) > 0 || len(of.digests) > 0 { // what it lists holds for others
					x.list(&m, x.own.prove(p.g, p.expr, m.from, m.to))
				}
			case x.matches == maxMatches:
				x.out.Cut++
			default:
				x.matches++
				x.take(n, at, m.at)
			}
		}
		if x.s.lexicon != nil && wordStart(norm, at) {
			x.searchTerms(at)
		}
		if at%chunkBytes == 0 {
			x.own.settle(int64(at), false)
		}
	}
}

// searchTerms tries the terms that begin at norm[at].
func (x *Explainer) searchTerms(at int) {
	norm := x.own.text.norm
	var here []termAt
	x.s.lexicon.find(norm, at, at+1, func(s, e int, node int32) {
		if x.s.lexicon.nodes[node]&nodeTerm != 0 {
			here = append(here, termAt{int64(s), int64(e), node})
		}
	})
	x.own.termHits = x.s.lexicon.longestOf(x.own.termHits[:0], here, 0)
	for _, h := range x.own.termHits {
		p := &x.s.pats[h.pattern]
		x.maskPlace(nil, x.s.rules[p.rule].Rule, at, h.end, at, h.end)
		switch {
		case !x.explains(x.s.rules[p.rule].ID):
		case x.matches == maxMatches:
			x.out.Cut++
		default:
			x.matches++
			m := match{pattern: h.pattern, from: at, to: h.end, start: at, end: h.end, term: h.node}
			m.step = x.own.proveTerm(h, at, at)
			x.remember(m)
		}
	}
}

// sought reports whether a match at norm[at] is one that a Scan tries, or the
// first of a run none of which is: of a pattern that begins with a run only one
// place in the run counts.
func (x *Explainer) sought(g *group, at int) bool {
	if g.lead == nil {
		return true
	}
	norm, end := x.own.text.norm, at
	for end < len(norm) && g.lead.class.has(norm[end]) {
		end++
	}
	_, from, _ := x.own.leadStart(g, end)
	return from == at
}

// place is a match of expression n.
func (x *Explainer) place(n, from, to int) match {
	p := x.s.why.pats[n]
	m := match{pattern: p.g.patterns[p.expr], from: from, to: to, start: from, end: to}
	pat := &x.s.pats[m.pattern]
	if pat.valued {
		if s, e, ok := x.own.capture.value(p.g.prog, p.expr, x.own.text.norm, from, to); ok {
			m.start, m.end = s, e
		}
	}
	x.maskPlace(pat.Pattern, x.s.rules[pat.rule].Rule, from, to, m.start, m.end)
	return m
}

// take proves a match of expression n.
func (x *Explainer) take(n, from, to int) {
	m, p := x.place(n, from, to), x.s.why.pats[n]
	m.step = x.own.prove(p.g, p.expr, from, to)
	x.list(&m, m.step)
	x.remember(m)
}

// remember keeps m, which was proved as far as its step says, unless it lies in
// a place where the same pattern has a match that came further.
func (x *Explainer) remember(m match) {
	if m.step == Proved {
		pat := &x.s.pats[m.pattern]
		field, in := x.field(&m)
		m.confidence = x.own.weigh(pat, &x.s.rules[pat.rule], &field, in, int64(m.start), int64(m.end))
	}
	if k := x.last[m.pattern]; k > 0 {
		old := &x.found[k-1]
		switch overlap := m.start < old.end && old.start < m.end; {
		case !overlap && old.step != Proved && x.opt.Proved && !x.opt.Near: // nobody asks for it any more
			x.out.Left++
			*old = m
			return
		case !overlap || m.step == Proved && old.step == Proved:
		case old.step == Proved || m.step != Proved && !further(&m, old):
			old.folded++
			return
		default:
			m.folded = old.folded + 1
			*old = m
			return
		}
	}
	x.found = append(x.found, m)
	x.last[m.pattern] = len(x.found)
}

// further reports whether a, of the same pattern as b, came further in its proof,
// or as far and is longer.
func further(a, b *match) bool {
	if a.step == Proved || b.step == Proved {
		return a.step == Proved && b.step != Proved
	}
	return a.step > b.step || a.step == b.step && a.end-a.start > b.end-b.start
}

// field returns the field around the value of m, as prove sees it.
func (x *Explainer) field(m *match) (span dlp.Span, in bool) {
	if len(x.own.fields.spans) == 0 {
		return dlp.Span{}, false
	}
	return x.own.fields.around(x.own.text.rawStart(int64(m.start)), x.own.text.rawEnd(int64(m.end)))
}

// settle says of each proved candidate whether the Scan found it.
func (x *Explainer) settle() {
	stopped := slices.ContainsFunc(x.out.Gaps, func(g dlp.Gap) bool { return g.Detail == DetailBudget || g.Detail == DetailFindings })
	claimed := make([]bool, len(x.out.Findings))
	for i := range x.out.Candidates {
		c := &x.out.Candidates[i]
		if c.Outcome == Stopped {
			c.PartFound = slices.ContainsFunc(x.out.Findings, func(f dlp.Finding) bool {
				return f.Rule == c.Rule.ID && f.Path == c.Part && f.Start >= c.Start && f.End <= c.End && f.End-f.Start < c.End-c.Start
			})
			continue
		}
		if x.withinListed(c) {
			c.Outcome, c.StoppedBy = Stopped, StepAllowlist
			c.Steps = append(c.Steps, StepReport{"allowlist", stepStops, "it stands in a longer value that is listed"})
			continue
		}
		c.Outcome = Unseen
		for k := range x.out.Findings {
			f := &x.out.Findings[k]
			if f.Path != c.Part || f.Start >= c.End || c.Start >= f.End {
				continue
			}
			if f.Rule == c.Rule.ID && f.Start == c.Start && f.End == c.End && f.Confidence == c.Confidence && !claimed[k] {
				c.Outcome, claimed[k] = Found, true
				break
			}
			if c.Outcome == Unseen && (f.Confidence > c.Confidence || f.Type == c.Rule.Type) {
				c.Outcome, c.Winner = Overlapped, f.Rule
			}
		}
	}
	x.settleRepeated()
	for k := range x.out.Findings {
		if f := &x.out.Findings[k]; !claimed[k] && x.explains(f.Rule) && x.out.Cut == 0 && x.out.CutBytes == 0 && !stopped {
			x.out.Loose = append(x.out.Loose, *f)
		}
	}
}

// settleRepeated says of the terms that no finding accounts for which were found
// before, and of what these have the place of.
func (x *Explainer) settleRepeated() {
	type place struct {
		rule dlp.RuleID
		part string
		term int32
	}
	found := map[place]bool{}
	var repeated []*Candidate
	for i := range x.out.Candidates {
		c := &x.out.Candidates[i]
		at := place{c.Rule.ID, c.Part, c.term}
		switch {
		case c.term == 0 || c.Rule.CountAll:
		case c.Outcome == Found:
			found[at] = true
		case c.Outcome == Unseen && found[at]:
			c.Outcome = Repeated
			repeated = append(repeated, c)
		}
	}
	for i := range x.out.Candidates {
		c := &x.out.Candidates[i]
		if c.Outcome != Unseen {
			continue
		}
		for _, r := range repeated {
			if r.Part == c.Part && r.Start < c.End && c.Start < r.End && (r.Confidence > c.Confidence || r.Rule.Type == c.Rule.Type) {
				c.Outcome, c.Winner = Overlapped, r.Rule.ID
				break
			}
		}
	}
}

// line counts lines up to offset n of the part's normalised text.
func (x *Explainer) line(n int) int { return 1 + bytes.Count(x.own.text.norm[:n], []byte{'\n'}) }
