package console

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

const (
	maxTrials    = 2                // texts tried at once
	maxTrialBody = 10 << 20         // bytes of a form with a file
	maxTrial     = 8 << 20          // of a text or file that is tried
	maxField     = 1 << 20          // of any other field
	maxTold      = 1 << 20          // bytes of its text that are explained
	maxMarked    = 256 << 10        // and that a page shows
	tryWithin    = 30 * time.Second // a page waits so long for its answer
)

// Trial is what somebody tries rules on.
type Trial struct {
	Content []byte
	Explain scanner.ExplainOptions
	// Draft, if not nil, is tried in place of the site's own file.
	Draft *string
}

// Tried is what rules make of it, unmasked: it is for who brought it.
type Tried struct {
	scanner.Explanation
	Parts []TriedPart
	Cut   bool // there is more text than Parts has
}

// TriedPart is the text of one part.
type TriedPart struct{ Path, Text string }

// tryForm is what is asked for, and what came of it.
type tryForm struct {
	Text      string // as it was pasted
	Rule      string // "" for all
	All, Near bool
	Amiss     string
	Rules     []*patterns.Rule
	Tried     *triedView
}

type tryPage struct {
	frame
	Rail rail
	Form tryForm
}

func (c *Console) askTry(w http.ResponseWriter, r *http.Request, u User) {
	c.showTry(w, r, u, http.StatusOK, tryForm{Rule: r.URL.Query().Get("rule")})
}

func (c *Console) showTry(w http.ResponseWriter, r *http.Request, u User, status int, f tryForm) {
	f.Rules = c.inForce()
	p := tryPage{Rail: railOf(f.Rules, ""), Form: f}
	p.Rail.Try = true
	p.frame = c.frame(r, u, "Rules: try")
	w.Header().Set("Content-Security-Policy", web.Policy+"; connect-src 'self'") // for a text that is tried as it is typed
	c.render(w, r, status, "ruletry", p)
}

// errForm says that a form is not what a page of ours sends.
var errForm = errors.New("console: a form that is none, or too large")

// readForm reads a form with or without a file. All of it stays in memory: what
// net/http does with a large file would leave it on the disk.
func readForm(r *http.Request) (fields url.Values, file []byte, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		if err := r.ParseForm(); err != nil {
			return nil, nil, errForm
		}
		return r.PostForm, nil, nil
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, errForm
	}
	fields = url.Values{}
	for range 32 {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, file, nil
		}
		if err != nil {
			return nil, nil, errForm
		}
		limit := int64(maxField)
		if p.FormName() == "file" || p.FormName() == "text" {
			limit = maxTrial
		}
		b, err := io.ReadAll(io.LimitReader(p, limit+1))
		if err != nil || int64(len(b)) > limit {
			return nil, nil, errForm
		}
		if p.FormName() == "file" {
			file = b
		} else {
			fields.Add(p.FormName(), string(b))
		}
	}
	return nil, nil, errForm
}

// trialOf reads what is to be tried. amiss says what is wrong with it.
func (c *Console) trialOf(fields url.Values, file []byte) (f tryForm, t Trial, amiss string) {
	f = tryForm{Text: fields.Get("text"), Rule: fields.Get("rule"), All: fields.Get("all") != "", Near: fields.Get("near") != ""}
	t.Content = file
	if len(file) == 0 {
		t.Content = []byte(f.Text)
	}
	switch {
	case len(t.Content) == 0:
		return f, t, "Paste a text, or choose a file."
	case f.Near && f.Rule == "":
		return f, t, "What is nearly found is told of one rule: choose it. Of all there is too much in any text."
	}
	t.Explain = scanner.ExplainOptions{Reveal: true, Bytes: maxTold, Near: f.Near, Proved: f.Rule == "" && !f.All, Now: c.Now()}
	if f.Rule != "" {
		t.Explain.Rules = []dlp.RuleID{dlp.RuleID(f.Rule)}
	}
	return f, t, ""
}

// try explains a text that somebody brought. It is kept nowhere; that rules were
// asked is on record, since they know listed values and the site's patients.
func (c *Console) try(w http.ResponseWriter, r *http.Request, u User) {
	fields, file, err := readForm(r)
	if err != nil {
		c.showTry(w, r, u, http.StatusRequestEntityTooLarge, tryForm{Amiss: "Nothing was read: a text or file of at most 8 MiB can be tried."})
		return
	}
	f, t, amiss := c.trialOf(fields, file)
	status := http.StatusOK
	if f.Amiss = amiss; amiss == "" {
		f.Amiss, _ = c.carryOut(r.Context(), u, &f, t) // there is no draft that could be wrong
	}
	if f.Amiss != "" {
		status = http.StatusBadRequest
	}
	c.showTry(w, r, u, status, f)
}

// ErrNoRule says that a rule is not in force.
var ErrNoRule = errors.New("no such rule")

// carryOut tries t and fills in f. amiss says why it was not done; err is a
// DraftError where the draft does not load.
func (c *Console) carryOut(ctx context.Context, u User, f *tryForm, t Trial) (amiss string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	select {
	case c.bench <- struct{}{}:
		defer func() { <-c.bench }()
	case <-ctx.Done():
		return "Others are trying rules just now. Try again in a moment.", nil
	}
	if err := c.note(ctx, audit.Event{Kind: audit.Look, Actor: u.Actor(), Reason: "rules_try"}); err != nil {
		return "That was not done: it could not be recorded.", nil
	}
	tried, err := c.Book.Try(ctx, t)
	switch {
	case errors.Is(err, ErrNoRule):
		return "There is no such rule.", nil
	case err != nil: // its text may quote what was read
		return "It could not be read just now. Nothing of it was kept.", err
	}
	f.Tried = viewOf(&tried)
	return "", nil
}

// triedView is an explanation as a page shows it.
type triedView struct {
	Parts  []markedPart
	Places []placeView
	Found  int // findings at medium or above
	Low    int
	Cut    []string // what is not told of
	Gaps   []gapView
}

type markedPart struct {
	Label  string
	Pieces []markedPiece
}

// markedPiece is text of a part: plain, a hit, or what was not found.
type markedPiece struct {
	Text      string
	N         int // number of its place, 0 for plain text
	Hit, Miss bool
}

// placeView is one place in the text, and what every rule makes of it.
type placeView struct {
	N          int
	What       string // "Hit", "Miss", "Near miss"
	Hit        bool
	Confidence string
	Value      string
	Line       int
	Part       string
	By         []byView
	part       string
	start, end int64
}

// byView is one pattern's word on a place.
type byView struct {
	Rule, Type, Became string
	Pattern            string
	Steps              []evidence
	Remedies           []string
}

// viewOf joins an explanation with the text it is of.
func viewOf(t *Tried) *triedView {
	v := &triedView{}
	place := func(part string, start, end int64, line int, value, what string) *placeView {
		if n := len(v.Places); n > 0 {
			if l := &v.Places[n-1]; l.part == part && l.start == start && l.end == end && l.What != "Near miss" && what != "Near miss" {
				return l
			}
		}
		v.Places = append(v.Places, placeView{What: what, Value: value, Line: line, Part: partLabel(part), part: part, start: start, end: end})
		return &v.Places[len(v.Places)-1]
	}
	for i := range t.Candidates {
		x := &t.Candidates[i]
		l := place(x.Part, x.Start, x.End, x.Line, x.Value, "Miss")
		if x.Outcome == scanner.Found {
			l.What, l.Hit = "Hit", true
			if l.Confidence == "" || x.Confidence > confidenceOf(l.Confidence) {
				l.Confidence = x.Confidence.String()
			}
		}
		b := byView{Rule: string(x.Rule.ID), Type: string(x.Rule.Type), Became: x.Became(), Pattern: patternWords(&x.Rule.Patterns[x.Pattern])}
		for _, s := range x.Steps {
			class := map[string]string{"raises": "up", "lowers": "down", "stops": "down"}[s.Outcome]
			b.Steps = append(b.Steps, evidence{orSame(class), codeWords(s.Step) + ": " + s.Why})
		}
		for _, m := range x.Remedies {
			b.Remedies = append(b.Remedies, "It would be "+m.Confidence.String()+" "+m.Change+".")
		}
		l.By = append(l.By, b)
	}
	for i := range t.Near {
		x := &t.Near[i]
		l := place(x.Part, x.Start, x.End, x.Line, x.Value, "Near miss")
		l.By = append(l.By, byView{Rule: string(x.Rule.ID), Type: string(x.Rule.Type), Became: "the expression does not match: " + strings.Join(x.Differs, "; "),
			Pattern: patternWords(&x.Rule.Patterns[x.Pattern])})
	}
	for i := range v.Places {
		v.Places[i].N = i + 1
	}
	for _, f := range t.Findings {
		if f.Confidence < dlp.Medium {
			v.Low++
		} else {
			v.Found++
		}
	}
	for _, g := range t.Gaps {
		v.Gaps = append(v.Gaps, gapView{partLabel(g.Path), Ending(g.Name), codeWords(g.Cause.String()), g.Detail})
	}
	for _, p := range t.Parts {
		v.Parts = append(v.Parts, markedPart{partLabel(p.Path), markPart(p, v.Places)})
	}
	v.Cut = cuts(t)
	return v
}

func confidenceOf(name string) dlp.Confidence {
	for _, c := range []dlp.Confidence{dlp.Low, dlp.Medium, dlp.High} {
		if c.String() == name {
			return c
		}
	}
	return 0
}

func orSame(class string) string {
	if class == "" {
		return "same"
	}
	return class
}

func patternWords(p *patterns.Pattern) string {
	if p.Regex != "" {
		return p.Regex
	}
	return grouped(int64(len(p.Terms))) + " words"
}

// cuts says what is not told of.
func cuts(t *Tried) (out []string) {
	for _, x := range []struct {
		n    int64
		what string
	}{
		{int64(t.Left), " more places that some step stopped: choose one rule, or all that was looked at"},
		{int64(t.Explanation.Cut), " more places: choose one rule, or a shorter text"},
		{t.CutBytes, " bytes of text at its end"},
		{int64(len(t.Loose)), " findings that no pattern by itself accounts for"},
	} {
		if x.n > 0 {
			out = append(out, grouped(x.n)+x.what)
		}
	}
	if t.NearCut {
		out = append(out, "more that is nearly found")
	}
	if t.Cut {
		out = append(out, "the rest of the text, which is not shown")
	}
	return out
}

// markPart cuts the text of p at the places in it. Where places overlap, hits go
// before misses and earlier ones before later ones.
func markPart(p TriedPart, places []placeView) (out []markedPiece) {
	var here []placeView
	for _, hits := range []bool{true, false} {
		for _, l := range places {
			if l.Hit != hits || l.part != p.Path || l.start < 0 || l.start >= l.end || l.end > int64(len(p.Text)) ||
				slices.ContainsFunc(here, func(o placeView) bool { return l.start < o.end && o.start < l.end }) {
				continue
			}
			here = append(here, l)
		}
	}
	slices.SortFunc(here, func(a, b placeView) int { return int(a.start - b.start) })
	last := int64(0)
	for _, l := range here {
		out = append(out, markedPiece{Text: p.Text[last:l.start]}, markedPiece{Text: p.Text[l.start:l.end], N: l.N, Hit: l.Hit, Miss: !l.Hit})
		last = l.end
	}
	return append(out, markedPiece{Text: p.Text[last:]})
}

// Texts is a sink that keeps the text of parts beside what another sink makes of
// it, as much as a page shows.
type Texts struct {
	dlp.Sink
	Parts []TriedPart
	Cut   bool
	size  int
}

// Part opens the next part.
func (t *Texts) Part(p dlp.PartInfo) error {
	t.Parts = append(t.Parts, TriedPart{Path: p.Path})
	if len(t.Parts) > maxTriedParts {
		t.Parts, t.Cut = t.Parts[:maxTriedParts], true
	}
	return t.Sink.Part(p)
}

// maxTriedParts bounds the parts of a tried document that a page shows.
const maxTriedParts = 200

// Text keeps what fits.
func (t *Texts) Text(w dlp.Window) error {
	if n := len(t.Parts); n > 0 && n <= maxTriedParts && !t.Cut {
		s := w.Text
		if room := maxMarked - t.size; len(s) > room {
			s, t.Cut = s[:room], true
			for len(s) > 0 && !utf8.RuneStart(w.Text[len(s)]) {
				s = s[:len(s)-1]
			}
		}
		t.size += len(s)
		t.Parts[n-1].Text += string(s)
	}
	return t.Sink.Text(w)
}
