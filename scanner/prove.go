package scanner

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner/check"
)

// candidate is a proved match that another may still overlap.
type candidate struct {
	start, end       int64 // in normalised text
	rawStart, rawEnd int64
	rule             int
	line             int
	confidence       dlp.Confidence
	key              dlp.ValueKey
	group            uint32
	raw              []byte // with OnFinding
}

// maxChain is how many candidates may overlap in a chain before it is settled
// though it goes on.
const maxChain = 1024

// dateKey is the one way of writing a date.
func dateKey(value string) (string, bool) {
	y, m, d, ok := check.Date(value)
	return fmt.Sprintf("%04d%02d%02d", y, m, d), ok
}

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

// match runs the expression of p at norm[i:] and returns the whole match and
// the value in it.
func (p *pattern) match(norm []byte, i int) (whole, value [2]int, ok bool) {
	end := min(i+p.MaxBytes, len(norm))
	re, from, group := p.re, i, p.value
	if p.behind != nil {
		end = min(end+1, len(norm)) // \b looks at the byte after
		if i > 0 {
			re, from = p.behind, i-1
			if group > 0 {
				group++
			}
		}
	}
	if group == 0 && re == p.re {
		loc := re.FindIndex(norm[from:end])
		if loc == nil {
			return whole, value, false
		}
		whole = [2]int{from + loc[0], from + loc[1]}
		return whole, whole, true
	}
	loc := re.FindSubmatchIndex(norm[from:end])
	if loc == nil {
		return whole, value, false
	}
	whole = [2]int{i, from + loc[1]}
	if value = whole; group > 0 {
		if loc[2*group] < 0 || loc[2*group] == loc[2*group+1] {
			return whole, value, false // the value's own alternative did not take part
		}
		value = [2]int{from + loc[2*group], from + loc[2*group+1]}
	}
	return whole, value, true
}

// prove decides about pattern number n at norm[i].
func (c *Scan) prove(n, i int) {
	p := &c.s.pats[n]
	r := &c.s.rules[p.rule]
	norm, base := c.text.norm, c.text.base
	if c.stopped || p.support != nil && len(c.fields.spans) == 0 && !c.nearby(p, base+int64(i)) {
		return
	}
	if !c.spend(min(p.MaxBytes, len(norm)-i)*p.weight, base+int64(i)) {
		return
	}
	whole, at, ok := p.match(norm, i)
	if !ok || !bounded(r.Boundary, norm, whole[0], whole[1]) {
		return
	}
	value := string(norm[at[0]:at[1]])
	if !p.Valid(value) {
		return
	}
	x := candidate{start: base + int64(at[0]), end: base + int64(at[1]), rule: p.rule, confidence: p.Confidence}
	x.rawStart, x.rawEnd = c.text.rawStart(x.start), c.text.rawEnd(x.end)
	field, inField := c.fields.around(x.rawStart, x.rawEnd)
	x.group = field.Group
	if r.quiet && c.header && inField && quietField(field.Label) {
		return
	}
	same := inField && field.Type == r.Type
	if p.support != nil && !same && !c.supported(p.support, &x, field.Label) {
		return
	}
	value = canonical(r.Type, value)
	if until, listed := r.allow[value]; listed && (until.IsZero() || c.opt.testing || c.opt.Now.Before(until)) {
		return
	}
	if same && x.confidence < dlp.High {
		x.confidence++
	}
	if (c.demoted(r, &x, field.Label) || inField && field.Type != "" && !same) && x.confidence > dlp.Low {
		x.confidence--
	}
	c.add(x, value, base+int64(i))
}

// nearby reports whether evidence for p may stand beside whatever matches at
// offset i: it is asked first because it costs less than a proof.
func (c *Scan) nearby(p *pattern, i int64) bool {
	wide := *p.support
	wide.Before = false
	return c.hits.near(c.s.words, &c.text, &wide, i, i+int64(p.MaxBytes))
}

// supported reports whether evidence e stands beside x or names its field.
func (c *Scan) supported(e *evidence, x *candidate, label string) bool {
	if e.Header && c.fields.names(c.s.words, label, e.list) {
		return true
	}
	return c.hits.near(c.s.words, &c.text, e, x.start, x.end)
}

// demoted reports whether some word speaks against x, beside it or as the name
// of its field.
func (c *Scan) demoted(r *rule, x *candidate, label string) bool {
	for i := range r.demote {
		e := &r.demote[i]
		if c.fields.names(c.s.words, label, e.list) || c.hits.near(c.s.words, &c.text, e, x.start, x.end) {
			return true
		}
	}
	return false
}

// add enters a proved candidate, found at offset at, among those that may still
// be overlapped.
func (c *Scan) add(x candidate, value string, at int64) {
	if c.s.rules[x.rule].CountAll {
		var place [8]byte
		binary.BigEndian.PutUint64(place[:], uint64(x.rawStart))
		value += c.part.Path + string(place[:])
	}
	x.key = c.valueKey(c.s.rules[x.rule].Type, value)
	c.countLines(x.start)
	x.line = c.lines + 1
	if c.opt.OnFinding != nil {
		x.raw = slices.Clone(c.rawText[x.rawStart-c.rawBase : x.rawEnd-c.rawBase])
	}
	i := len(c.pending)
	for i > 0 && c.pending[i-1].start > x.start {
		i--
	}
	c.pending = slices.Insert(c.pending, i, x)
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
		c.pending = slices.Delete(c.pending, 0, done)
	}
}

// resolve reports those of a chain of overlapping candidates that stay
// (docs/contract.md, scan): the higher confidence, then the longer; of two
// types that tie both, with one key so that they count once.
func (c *Scan) resolve(chain []candidate) {
	if len(chain) > 1 {
		slices.SortStableFunc(chain, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.end-b.start, a.end-a.start),
				cmp.Compare(a.start, b.start), cmp.Compare(a.rule, b.rule))
		})
	}
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
			x.key = k.key
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

// report makes the finding.
func (c *Scan) report(x *candidate) {
	if len(c.findings) >= c.opt.MaxFindings {
		c.stop(dlp.TooMany, DetailFindings)
		return
	}
	r := &c.s.rules[x.rule]
	f := dlp.Finding{Rule: r.ID, Type: r.Type, Tags: r.Tags, Path: c.part.Path, Start: x.rawStart, End: x.rawEnd, Line: x.line,
		Confidence: x.confidence, Severity: r.Severity, ValueKey: x.key, Group: x.group}
	c.findings = append(c.findings, f)
	if c.opt.OnFinding != nil {
		c.opt.OnFinding(f, x.raw)
	}
}
