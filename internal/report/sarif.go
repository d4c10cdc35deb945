package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// sarif is one log of one run. Results go out as documents come; what is said
// of the run as a whole stands behind them, since SARIF asks for no order.
//
// Source: OASIS SARIF 2.1.0; paragraphs below are of it.
type sarif struct {
	w     io.Writer
	o     Options
	rules []sarifRule
	index map[string]int // into rules, by id
	begun bool
	any   bool // a result was written

	docs, findings, gaps, failed int
	causes                       map[string]int
}

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID      string     `json:"id"`
	Short   sarifText  `json:"shortDescription"`
	Full    sarifText  `json:"fullDescription"`
	Help    sarifText  `json:"help"`
	Default sarifLevel `json:"defaultConfiguration"`
	Bag     sarifTags  `json:"properties"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifTags struct {
	Type string    `json:"type,omitempty"`
	Tags []dlp.Tag `json:"tags"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
	Rank         *float64          `json:"rank,omitempty"`
	Bag          sarifBag          `json:"properties"`
}

// sarifBag is what SARIF has no place for, named as in the JSON.
type sarifBag struct {
	Type       string    `json:"type,omitempty"`
	Tags       []dlp.Tag `json:"tags,omitempty"`
	Confidence string    `json:"confidence,omitempty"`
	Severity   string    `json:"severity,omitempty"`
	Part       string    `json:"part"`
	Start      *int64    `json:"start,omitempty"`
	End        *int64    `json:"end,omitempty"`
	Line       int       `json:"line,omitempty"`
	Value      *string   `json:"value,omitempty"`
	Cause      string    `json:"cause,omitempty"`
	SHA256     string    `json:"sha256,omitempty"`
	Status     string    `json:"status"`
	Verdict    string    `json:"verdict"`
	Policy     string    `json:"policy"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

// sarifRegion names one range twice, as text and as bytes (3.30.1).
type sarifRegion struct {
	StartLine   int   `json:"startLine"`
	StartColumn int   `json:"startColumn"`
	EndLine     int   `json:"endLine"`
	EndColumn   int   `json:"endColumn"`
	ByteOffset  int64 `json:"byteOffset"`
	ByteLength  int64 `json:"byteLength"`
}

type sarifLogical struct {
	Name string `json:"name,omitempty"`
	Full string `json:"fullyQualifiedName"`
}

type sarifNotice struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

// The rules that stand for what was not read. A rule of ours has no slash in
// its id.
const (
	gapRule    = "gap/"
	failedRule = "not-read/failed"
)

func newSarif(w io.Writer, o Options) *sarif {
	s := &sarif{w: w, o: o, index: map[string]int{}, causes: map[string]int{}}
	for _, r := range o.Rules {
		s.rules = append(s.rules, sarifRule{ID: string(r.ID), Short: message(r.Description), Full: message(r.Description),
			Help:    message(strings.TrimSuffix(r.Description, ".") + ". Type " + string(r.Type) + ". `stanch rules explain --rule " + string(r.ID) + " PATH` says why it was found there, and what nearly was."),
			Default: sarifLevel{level(r.Severity)}, Bag: sarifTags{string(r.Type), nonNil(r.Tags)}})
	}
	for _, c := range dlp.Causes() {
		s.unread(gapRule+c.String(), "Not read: "+causeWords(c.String()).Short, causeWords(c.String()).Means)
	}
	s.unread(failedRule, "Not read: the document as a whole", "Nothing of the document could be read, so nothing is known of what is in it.")
	for i, r := range s.rules {
		s.index[r.ID] = i
	}
	return s
}

// unread adds a rule for what was not read.
func (s *sarif) unread(id, short, full string) {
	s.rules = append(s.rules, sarifRule{ID: id, Short: message(short), Full: message(full), Help: message(full),
		Default: sarifLevel{"none"}, Bag: sarifTags{Tags: []dlp.Tag{"gap"}}})
}

func nonNil(tags []dlp.Tag) []dlp.Tag { return append([]dlp.Tag{}, tags...) }

// level is severity in SARIF's words (3.27.10).
func level(s dlp.Severity) string {
	switch s.String() {
	case "high":
		return "error"
	case "low":
		return "note"
	}
	return "warning"
}

// rank is confidence on SARIF's scale from 0 to 100 (3.27.25), the middle of
// its third.
func rank(c dlp.Confidence) *float64 {
	r := 16.7
	switch c.String() {
	case "high":
		r = 83.3
	case "medium":
		r = 50
	}
	return &r
}

// message makes s a plain text message: braces are placeholders (3.11.5),
// brackets links and the backslash their escape (3.11.6).
func message(s string) sarifText {
	return sarifText{markup.Replace(Plain(s))}
}

var markup = strings.NewReplacer("{", "{{", "}", "}}", `\`, `\\`, "[", `\[`, "]", `\]`)

// uri is path as a URI reference: every byte but letters, digits, - . _ ~ and
// the slash percent-encoded (RFC 3986 2.1), so that a name in no UTF-8 stays
// itself and a colon begins no scheme.
func uri(path string) string {
	var b strings.Builder
	if strings.HasPrefix(path, "/") {
		b.WriteString("file://")
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (s *sarif) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	driver := struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}{"stanch", s.o.Version, "https://github.com/stanch-dlp/stanch", s.rules}
	b, err := compact(driver)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.w, "{\"$schema\":%q,\"version\":\"2.1.0\",\"runs\":[{\"columnKind\":\"unicodeCodePoints\",\"tool\":{\"driver\":%s},\n\"results\":[", sarifSchema, b)
	return err
}

func compact(v any) (string, error) {
	var b strings.Builder
	err := encoder(&b).Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func (s *sarif) result(r *sarifResult) error {
	r.RuleIndex = -1 // 3.27.6: none
	if i, ok := s.index[r.RuleID]; ok {
		r.RuleIndex = i
	}
	b, err := compact(r)
	if err != nil {
		return err
	}
	open := ",\n"
	if !s.any {
		open = "\n"
	}
	s.any = true
	_, err = io.WriteString(s.w, open+b)
	return err
}

func (s *sarif) Document(d survey.Document) error {
	if err := s.begin(); err != nil {
		return err
	}
	s.docs++
	bag := sarifBag{SHA256: d.SHA256, Status: d.Status, Verdict: d.Verdict, Policy: d.Policy}
	if d.Error != "" {
		s.failed++
		r := sarifResult{RuleID: failedRule, Kind: "review", Level: "none", Message: message("Nothing was read: " + d.Error + "."),
			Locations: location(&d, "", ""), Bag: bag}
		if err := s.result(&r); err != nil {
			return err
		}
	}
	for i := range d.Findings {
		s.findings++
		r := findingResult(&d, &d.Findings[i], bag)
		if err := s.result(&r); err != nil {
			return err
		}
	}
	for _, g := range d.Gaps {
		s.gaps++
		s.causes[g.Cause]++
		text := "Not read: " + causeWords(g.Cause).Short
		if g.Detail != "" {
			text += " (" + g.Detail + ")"
		}
		text += "."
		b := bag
		b.Part, b.Cause = g.Part, g.Cause
		r := sarifResult{RuleID: gapRule + g.Cause, Kind: "review", Level: "none", Message: message(text), // 3.27.10: no other kind than fail has a level
			Locations: location(&d, g.Part, g.Name), Bag: b}
		if err := s.result(&r); err != nil {
			return err
		}
	}
	return nil
}

func findingResult(d *survey.Document, f *survey.Finding, bag sarifBag) sarifResult {
	bag.Type, bag.Tags, bag.Confidence, bag.Severity = string(f.Type), nonNil(f.Tags), f.Confidence.String(), f.Severity.String()
	bag.Part, bag.Start, bag.End, bag.Line, bag.Value = f.Part, &f.Start, &f.End, f.Line, f.Value
	r := sarifResult{RuleID: string(f.Rule), Kind: "fail", Level: level(f.Severity), Message: message("Found " + string(f.Type) + " " + f.Masked + "."),
		Locations: location(d, f.Part, f.Name), Rank: rank(f.Confidence), Bag: bag}
	if p := f.Place; p != nil { // else lines and offsets are those of the part's text, not of the file
		r.Locations[0].Physical.Region = &sarifRegion{p.StartLine, p.StartColumn, p.EndLine, p.EndColumn, f.Start, f.End - f.Start}
	}
	// Where, never what: no hash of a value, which could be guessed.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d\x00%s", f.Rule, f.Part, f.Start, f.End, d.SHA256))
	r.Fingerprints = map[string]string{"stanchPlace/v1": hex.EncodeToString(sum[:16])}
	return r
}

// location is the file, and in it the part (3.33.3: what is in it has no URI of
// its own).
func location(d *survey.Document, part, name string) []sarifLocation {
	var l sarifLocation
	l.Physical.Artifact.URI = uri(d.Path)
	if part != "" {
		l.Logical = []sarifLogical{{Name: name, Full: part}}
	}
	return []sarifLocation{l}
}

func (s *sarif) Close(whole bool) error {
	if err := s.begin(); err != nil {
		return err
	}
	notices := []sarifNotice{}
	if !whole {
		notices = append(notices, sarifNotice{"error", message("The run was cut short: there are documents that were not read.")})
	}
	if s.failed > 0 {
		notices = append(notices, sarifNotice{"error", message(Count(s.failed, "document") + " could not be read at all.")})
	}
	for _, c := range dlp.Causes() {
		if n := s.causes[c.String()]; n > 0 {
			notices = append(notices, sarifNotice{"warning", message(Count(n, "piece") + " not read: " + causeWords(c.String()).Short + ".")})
		}
	}
	invocation := struct {
		Successful bool          `json:"executionSuccessful"`
		Notices    []sarifNotice `json:"toolExecutionNotifications"`
	}{whole && s.failed == 0, notices}
	bag := struct {
		Documents     int    `json:"documents"`
		Findings      int    `json:"findings"`
		Gaps          int    `json:"gaps"`
		Failed        int    `json:"failed"`
		MinConfidence string `json:"minConfidence"`
		Revealed      bool   `json:"revealed"`
		RuleSet       string `json:"ruleset"`
	}{s.docs, s.findings, s.gaps, s.failed, s.o.MinConfidence.String(), s.o.Reveal, s.o.RuleSet}
	inv, err := json.Marshal(invocation)
	if err != nil {
		return err
	}
	props, err := json.Marshal(bag)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.w, "],\n\"invocations\":[%s],\n\"properties\":%s}]}\n", inv, props)
	return err
}
