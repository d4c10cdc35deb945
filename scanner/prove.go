package scanner

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
	"unsafe"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// candidate is a proved match that another may still overlap.
type candidate struct {
	start, end int64  // in normalised text
	raw        int32  // with OnFinding: number of the matched bytes in Scan.raws
	term       int32  // node of the lexicon; 0 for what is no term
	proves     uint16 // of a patient's: pattern.proves
	listed     bool   // never reported, nor is what it holds
	settled
}

// settled is a finding without what its rule and its part say.
type settled struct {
	rawStart, rawEnd int64
	line             int
	key              dlp.ValueKey // of a candidate: still to be sealed
	rule, path       int32
	group            uint32
	confidence       dlp.Confidence
}

// maxChain is how many candidates may overlap in a chain before it is settled
// though it goes on.
const maxChain = 1024

// standsFree reports whether a match of a leading run may begin at from.
func standsFree(b patterns.Boundary, norm []byte, from int) bool {
	switch b {
	case patterns.BoundaryNone:
		return true
	case patterns.BoundaryNumber:
		return !wordBefore(norm, from) && !numberBefore(norm, from)
	}
	return !wordBefore(norm, from)
}

// begin looks for matches of g that begin at norm[at], and reports that it looked
// and nothing matches.
func (c *Scan) begin(g *group, at int) (nothing bool) {
	place := afterOther
	if at > 0 {
		place = int(wordTable[c.text.norm[at-1]])
	}
	return (place == afterOther || g.within) && c.tryAt(g, at, place)
}

// tryAt proves what matches at norm[at], and reports that it looked and nothing
// does.
func (c *Scan) tryAt(g *group, at, place int) (nothing bool) {
	r := &c.ends
	if c.stopped || !c.spend(r.cost, c.text.base+int64(at)) {
		return false
	}
	r.cost = 0
	g.match.walk(c.text.norm, at, place, r)
	if len(r.found) == 0 {
		return true
	}
	c.decide(g, at)
	return false
}

// decide proves what c.ends found for g at norm[at]. What asks for words of which
// none stand near is passed over.
func (c *Scan) decide(g *group, at int) {
	r, near := &c.ends, uint64(unasked)
	if len(r.found) > 1 {
		r.next()
	}
	c.asked = false
	for k := len(r.found) - 1; k >= 0; k-- {
		x := &r.found[k]
		if x.needs != unasked {
			near = c.nearby(at)
		}
		if x.needs&near == 0 {
			continue
		}
		for _, n := range x.list {
			if g.needs[n]&near != 0 && r.first(int(n)) {
				step := c.prove(g, int(n), at, x.at)
				if c.opt.OnProof != nil {
					c.opt.OnProof(g.patterns[n], step)
				}
			}
		}
	}
	r.found = r.found[:0]
}

// nearby is wordsNear for the matches that are decided about.
func (c *Scan) nearby(at int) uint64 {
	if !c.asked {
		c.near, c.asked = c.wordsNear(at), true
	}
	return c.near
}

// wordsNear returns maskOf each list that may speak for a match from norm[at] on.
func (c *Scan) wordsNear(at int) uint64 {
	if len(c.fields.spans) > 0 || c.opt.OnProof != nil {
		return ^uint64(0)
	}
	return c.hits.around(c.s.words, &c.text, c.text.base+int64(at), c.s.asking)
}

// Step is a step in the proof of a match, in the order in which they are taken.
type Step uint8

// The steps. Proved says that none was in the way.
const (
	Proved        Step = iota
	StepBoundary       // what stands beside it
	StepValue          // the group named value had no part in the match
	StepQuiet          // an address or trace field of a mail's header
	StepEvidence       // none of the words asked for
	StepValidator      // validator, dictionary or the site's form
	StepAllowlist      // listed as never reported
	StepIndex          // no patient's, or no second field of the same row near by
)

// prove decides about a match of expression n of g, and says what was in the
// way.
func (c *Scan) prove(g *group, n, from, to int) Step {
	p := g.exprs[n]
	r := p.of
	norm := c.text.norm
	if !(r.plain && plainly(norm, from, to)) && !bounded(r.Boundary, norm, from, to) {
		return StepBoundary
	}
	start, end := from, to
	if p.valued {
		c.ends.cost += to - from
		var ok bool
		if start, end, ok = c.capture.value(g.prog, n, norm, from, to); !ok {
			return StepValue // the value's own alternative did not take part
		}
	}
	return c.proveValue(p, start, end, from, 0)
}

// proveValue decides about the value norm[start:end] of p, the search
// having come to norm[from]: by its field, the words around it, its checks and
// what is never reported. Node is that of a term, 0 for what is none.
func (c *Scan) proveValue(p *pattern, start, end, from int, node int32) Step {
	r := p.of
	norm, base := c.text.norm, c.text.base
	s, e := base+int64(start), base+int64(end)
	field, inField := &noField, false
	if len(c.fields.spans) > 0 {
		c.field, inField = c.fields.around(c.text.rawStart(s), c.text.rawEnd(e))
		field = &c.field
	}
	if r.quiet && c.header && inField && quietField(field.Label) {
		return StepQuiet
	}
	checks, same := p.checks, inField && p.isOf(r, field)
	if same {
		checks = p.inField
	} else if p.support != nil {
		if _, ok := c.supported(p.support, s, e, field); !ok {
			return StepEvidence
		}
	}
	bytes := norm[start:end]
	value := *(*string)(unsafe.Pointer(&bytes)) // what is called from here on keeps no part of it
	for _, valid := range checks {
		if !valid(value) {
			return StepValidator
		}
	}
	counted := c.canonical(r, value)
	if (len(r.allow) > 0 || len(r.digests) > 0) && c.allowed(r, counted) {
		if node == 0 {
			c.add(r, 0, s, e, dlp.Low, field.Group, 0, base+int64(from), true)
		}
		return StepAllowlist
	}
	if node != 0 { // a term is one value however it is written
		if counted = c.canonical(r, c.s.lexicon.terms[node].value); c.allowed(r, counted) {
			return StepAllowlist
		}
	}
	if p.Index != nil && !c.isPatient(p, start, end, field, inField) {
		return StepIndex
	}
	confidence := p.Confidence
	if inField || p.doubted != nil || len(r.demote) > 0 && (node != 0 || c.nearby(from)&r.against != 0) {
		confidence = c.weigh(p, r, field, inField, s, e)
	}
	c.add(r, p.proves, s, e, confidence, field.Group, node, base+int64(from), false)
	return Proved
}

// isOf reports whether the format itself says that field is of r's type. A
// Medicare number is a health plan's number for its member, and stands in the
// fields for one.
func (r *rule) isOf(field *dlp.Span) bool {
	return field.Type == r.Type || field.Type == "HEALTH_PLAN_ID" && r.Type == "MBI"
}

var noField dlp.Span // never written to

// allowed reports whether the value of r that counts as counted is never to be
// reported.
func (c *Scan) allowed(r *rule, counted []byte) bool {
	if until, listed := r.allow[string(counted)]; listed && c.holds(until) {
		return true
	}
	if len(r.digests) == 0 {
		return false
	}
	until, listed := r.digests[c.s.set.ValueDigest(counted)]
	return listed && c.holds(until)
}

// holds reports whether an allowlist's entry that ends at until holds.
func (c *Scan) holds(until time.Time) bool {
	return until.IsZero() || c.opt.testing || c.opt.Now.Before(until)
}

// weigh is how sure a proved match of p at [s, e) is: what its field means raises
// or lowers p's confidence; a word against it, or a doubt of the value itself
// (patterns.Doubt), lowers it.
func (c *Scan) weigh(p *pattern, r *rule, field *dlp.Span, inField bool, s, e int64) dlp.Confidence {
	confidence, same := p.Confidence, inField && p.isOf(r, field)
	if same && confidence < dlp.High {
		confidence++
	}
	if confidence > dlp.Low && (c.doubted(p, s, e) != nil || inField && field.Type != "" && !same || c.demoted(p, r, s, e, field, same)) {
		confidence--
	}
	return confidence
}

// doubted returns why what stands in [s, e) counts a level less by what it is; nil
// where it does not.
func (c *Scan) doubted(p *pattern, s, e int64) *patterns.Doubt {
	if p.doubted == nil {
		return nil
	}
	return p.doubted(unsafe.String(&c.text.norm[s-c.text.base], e-s), c.opt.Now) // it keeps no part of it
}

// plainly reports that text[s:e] stands alone in the sense of BoundaryWord and
// BoundaryNumber, seen from one byte on each side: bounded has the last word where
// it does not.
func plainly(text []byte, s, e int) bool {
	return s >= 2 && e < len(text) && plainBefore[text[s-1]] && plainAfter[text[e]] && (text[s-1] != ' ' || text[s-2] != '$')
}

// plainBefore and plainAfter are the bytes beside a match that make nothing
// longer of it.
var plainBefore, plainAfter = func() (before, after [256]bool) {
	for _, c := range "\t\n\r !\"#&'()*,:;<=>?[]^`{|}~" {
		before[c], after[c] = true, true
	}
	return before, after
}()

// supported reports whether evidence w stands beside [s, e) or names its field,
// and how many bytes off: none in a field's name.
func (c *Scan) supported(w *evidence, s, e int64, field *dlp.Span) (reach int64, ok bool) {
	if w.Header && c.fields.names(c.s.words, field.Label, w.list) {
		return 0, true
	}
	return c.hits.nearest(c.s.words, &c.text, w, c.fields.cell(field), s, e)
}

// demoted reports whether some word speaks against the match of p at [s, e), as
// the name of its field or beside it. What the format itself says of the field, same,
// is more than its name: an SSN among a segment's patient identifiers is one.
func (c *Scan) demoted(p *pattern, r *rule, s, e int64, field *dlp.Span, same bool) bool {
	for i := range r.demote {
		w := &r.demote[i]
		if !same && c.fields.names(c.s.words, field.Label, w.list) {
			return true
		}
		if off, ok := c.hits.nearest(c.s.words, &c.text, w, c.fields.cell(field), s, e); ok && !c.yields(p, w, off, s, e, field, same) {
			return true
		}
	}
	return false
}

// yields reports whether w, off bytes from [s, e), does not count against a match
// of p there: it looks for labels, which stand before, and of labels the nearest
// counts. A field's meaning and its name are nearer than any.
func (c *Scan) yields(p *pattern, w *evidence, off, s, e int64, field *dlp.Span, same bool) bool {
	if !w.Before || same {
		return w.Before
	}
	if p.support == nil {
		return false
	}
	own, ok := c.supported(p.support, s, e, field)
	return ok && own < off
}

// add enters a match [s, e) of r that is proved, found at offset at, among those
// that may still be overlapped; listed: as what is not reported. Its value is c.value.
func (c *Scan) add(r *rule, proves uint16, s, e int64, confidence dlp.Confidence, group uint32, node int32, at int64, listed bool) {
	rawStart, rawEnd := c.text.rawStart(s), c.text.rawEnd(e)
	if r.CountAll {
		c.value = append(c.value, c.part.Path...)
		c.value = binary.BigEndian.AppendUint64(c.value, uint64(rawStart))
	}
	if s < c.counted || s > c.lineEnd {
		c.countLines(s)
	}
	if !c.named {
		c.paths, c.named = append(c.paths, c.part.Path), true
	}
	i := len(c.pending)
	if i == cap(c.pending) {
		c.pending = slices.Grow(c.pending, 1)
	}
	c.pending = c.pending[:i+1]
	for i > 0 && c.pending[i-1].start > s {
		c.pending[i] = c.pending[i-1]
		i--
	}
	x := &c.pending[i]
	x.start, x.end, x.raw, x.term, x.proves, x.listed = s, e, 0, node, proves, listed
	x.rawStart, x.rawEnd, x.line, x.group, x.rule, x.path, x.confidence = rawStart, rawEnd, c.lines+1, group, r.number, int32(len(c.paths)-1), confidence
	c.openKey(&x.key)
	if c.opt.OnFinding != nil {
		x.raw = int32(len(c.raws))
		c.raws = append(c.raws, slices.Clone(c.rawText[rawStart-c.rawBase:rawEnd-c.rawBase]))
	}
	if len(c.pending) >= maxChain {
		c.settle(at, false)
		if len(c.pending) >= maxChain {
			c.settle(at, true)
		}
	}
}

// settle decides overlaps among the pending candidates that no later one can
// touch, given that the search has come to offset at; with all, among all.
func (c *Scan) settle(at int64, all bool) {
	done := 0
	for done < len(c.pending) {
		end, k := c.pending[done].end, done+1
		for k < len(c.pending) && c.pending[k].start < end {
			end = max(end, c.pending[k].end)
			k++
		}
		if !all && end+maxLead > at {
			break
		}
		c.resolve(c.pending[done:k])
		done = k
	}
	if done > 0 {
		c.pending = c.pending[:copy(c.pending, c.pending[done:])]
		c.forgetRaws()
	}
}

// forgetRaws drops the matched bytes of what is pending no more.
func (c *Scan) forgetRaws() {
	if len(c.raws) == 0 || len(c.pending) > 0 && len(c.raws) < maxChain {
		return
	}
	kept := make([][]byte, 0, len(c.pending))
	for i := range c.pending {
		kept = append(kept, c.raws[c.pending[i].raw])
		c.pending[i].raw = int32(i)
	}
	clear(c.raws)
	c.raws = append(c.raws[:0], kept...)
}

// resolve reports those of a chain of overlapping candidates that stay
// (docs/contract.md, scan): the higher confidence, then the longer; of two
// types that tie both, with one key so that they count once.
func (c *Scan) resolve(chain []candidate) {
	if len(chain) == 1 {
		if !chain[0].listed {
			c.report(&chain[0])
		}
		return
	}
	chain = c.unlisted(chain)
	c.confirm(chain)
	slices.SortStableFunc(chain, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.end-b.start, a.end-a.start),
			cmp.Compare(a.start, b.start), cmp.Compare(a.rule, b.rule),
			cmp.Compare(min(a.term, 1), min(b.term, 1))) // a term may have been told of before, what an expression matches is told each time
	})
	kept := chain[:0]
	for _, x := range chain {
		stays := true
		for i := range kept {
			k := &kept[i]
			if k.start >= x.end || x.start >= k.end {
				continue
			}
			if k.confidence > x.confidence || c.s.rules[k.rule].Type == c.s.rules[x.rule].Type {
				stays = false
				break
			}
			switch {
			case k.proves != 0 || x.proves != 0: // a patient's key is of the patient, not of this value
			case k.term != 0 && x.term == 0: // a term gives nothing else its name
				k.key = x.key
			default:
				x.key = k.key
			}
		}
		if stays {
			kept = append(kept, x)
		}
	}
	slices.SortStableFunc(kept, func(a, b candidate) int { return cmp.Compare(a.start, b.start) })
	for i := range kept {
		c.report(&kept[i])
	}
}

// unlisted returns chain without the values that are never reported, and what rules
// alike see in a part of one.
func (c *Scan) unlisted(chain []candidate) []candidate {
	var listed []candidate // nil but where a site has listed something
	for i := range chain {
		if chain[i].listed {
			listed = append(listed, chain[i])
		}
	}
	if listed == nil {
		return chain
	}
	return slices.DeleteFunc(chain, func(x candidate) bool {
		return x.listed || slices.ContainsFunc(listed, func(l candidate) bool {
			return l.start <= x.start && x.end <= l.end && alike(&c.s.rules[l.rule], &c.s.rules[x.rule])
		})
	})
}

// report keeps a finding.
func (c *Scan) report(x *candidate) {
	if x.term != 0 && c.known(x) {
		return
	}
	n := len(c.settled)
	if n+len(c.found)-c.before >= c.opt.MaxFindings {
		c.stop(dlp.TooMany, DetailFindings)
		return
	}
	c.mac.seal(&x.key)
	if k := len(c.found); n == 0 && k < cap(c.found) {
		c.found = c.found[:k+1]
		c.finding(&x.settled, &c.found[k])
	} else {
		if n == cap(c.settled) {
			c.settled = slices.Grow(c.settled, 1)
		}
		c.settled = c.settled[:n+1]
		c.settled[n] = x.settled
	}
	if c.opt.OnFinding != nil {
		var f dlp.Finding
		c.finding(&x.settled, &f)
		c.opt.OnFinding(f, c.raws[x.raw])
	}
}

// finding fills f.
func (c *Scan) finding(x *settled, f *dlp.Finding) {
	*f = c.s.rules[x.rule].made
	f.Path = c.paths[x.path]
	f.Start, f.End, f.Line = x.rawStart, x.rawEnd, x.line
	f.Confidence, f.ValueKey, f.Group = x.confidence, x.key, x.group
}
