package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// The sealed plaintexts are JSON with a version of their own (docs/vault.md).
// They have their own types, so that a change of the nouns does not change
// what is on disk. Actions, causes and levels are words, not numbers.

// version is of all three plaintexts: envelope, note and case.
const version = 1

// errVersion says that a later stanch wrote it.
var errVersion = errors.New("written by a later version")

type fileJSON struct {
	UID    int       `json:"uid"`
	GID    int       `json:"gid"`
	Mode   uint32    `json:"mode"`
	MTime  time.Time `json:"mtime"`
	ATime  time.Time `json:"atime,omitzero"` // not known of what was held before it was kept
	ACL    []byte    `json:"acl,omitempty"`  // likewise
	SHA256 []byte    `json:"sha256"`
}

type paramsJSON struct {
	Body  string `json:"body,omitempty"`
	UTF8  bool   `json:"utf8,omitempty"`
	Ret   string `json:"ret,omitempty"`
	EnvID []byte `json:"envid,omitempty"`
}

type rcptParamsJSON struct {
	Notify string `json:"notify,omitempty"`
	ORcpt  []byte `json:"orcpt,omitempty"`
}

type envelopeJSON struct {
	V          int                `json:"v"`
	Sender     dlp.AddressBytes   `json:"sender"`
	Rcpts      []dlp.AddressBytes `json:"rcpts,omitempty"`
	AllRcpts   []dlp.AddressBytes `json:"all_rcpts,omitempty"`
	Params     *paramsJSON        `json:"params,omitempty"`
	RcptParams []rcptParamsJSON   `json:"rcpt_params,omitempty"` // parallel to rcpts
	Root       []byte             `json:"root,omitempty"`        // bytes: a path need not be UTF-8
	Path       []byte             `json:"path,omitempty"`
	File       *fileJSON          `json:"file,omitempty"`
	Trace      []byte             `json:"trace,omitempty"`
	Released   []dlp.AddressBytes `json:"released,omitempty"`
	Tell       bool               `json:"tell,omitempty"`
	Causes     []string           `json:"causes,omitempty"`     // of a hold; a case has them in its verdicts
	Confidence string             `json:"confidence,omitempty"` // of a hold: the highest of what was found
	SHA256     []byte             `json:"sha256"`
}

type noteJSON struct {
	V        int           `json:"v"`
	By       string        `json:"by"`
	Why      string        `json:"why,omitempty"`
	Proposal *proposalJSON `json:"proposal,omitempty"` // of what is held
}

type verdictJSON struct {
	Rcpt      dlp.AddressBytes `json:"rcpt"`
	Action    string           `json:"action"`
	Policy    string           `json:"policy"`
	Policies  []string         `json:"policies,omitempty"`
	Rules     []string         `json:"rules,omitempty"`
	Causes    []string         `json:"causes,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Notify    []string         `json:"notify,omitempty"`
	Monitored string           `json:"monitored,omitempty"`
	MonPolicy string           `json:"monitored_policy,omitempty"`
	MonRules  []string         `json:"monitored_rules,omitempty"`
}

type findingJSON struct {
	Rule       string   `json:"rule"`
	Type       string   `json:"type"`
	Tags       []string `json:"tags,omitempty"`
	Part       string   `json:"part"`
	Start      int64    `json:"start"`
	End        int64    `json:"end"`
	Line       int      `json:"line,omitempty"`
	Confidence string   `json:"confidence"`
	Severity   string   `json:"severity"`
	Value      []byte   `json:"value_key,omitempty"`
	Group      uint32   `json:"group,omitempty"`
}

type gapJSON struct {
	Part   string `json:"part"`
	Name   string `json:"name,omitempty"`
	Cause  string `json:"cause"`
	Detail string `json:"detail,omitempty"`
	Inline bool   `json:"inline,omitempty"`
	Size   int64  `json:"size,omitempty"`
}

type caseJSON struct {
	V             int           `json:"v"`
	Envelope      envelopeJSON  `json:"envelope"`
	Channel       string        `json:"channel"`
	Verdicts      []verdictJSON `json:"verdicts"`
	RuleSet       string        `json:"ruleset"`
	PolicyDigest  string        `json:"policy_digest"`
	Reader        string        `json:"reader"`
	Findings      []findingJSON `json:"findings"`
	Gaps          []gapJSON     `json:"gaps"`
	FindingsTotal int           `json:"findings_total"`
	GapsTotal     int           `json:"gaps_total"`
	Decided       time.Time     `json:"decided"`
	Size          int64         `json:"size"`
	Shown         Shown         `json:"shown,omitzero"`
}

// listed is what a sealed envelope says for lists beside whose it is.
type listed struct {
	causes     []dlp.Cause
	confidence string // the highest; "": nothing found, or not noted
}

func encodeEnvelope(e Envelope, sum [32]byte, l listed) ([]byte, error) {
	out := envelopeOut(e, sum)
	out.Causes = mapped(l.causes, dlp.Cause.String)
	out.Confidence = l.confidence
	return json.Marshal(out)
}

func envelopeOut(e Envelope, sum [32]byte) envelopeJSON {
	out := envelopeJSON{
		V: version, Sender: e.Sender.Bytes(), Rcpts: mapped(e.Rcpts, dlp.Address.Bytes), AllRcpts: mapped(e.AllRcpts, dlp.Address.Bytes),
		Root: []byte(e.Root), Path: []byte(e.Path), Trace: e.Trace, Released: mapped(e.Released, dlp.Address.Bytes), Tell: e.Tell, SHA256: sum[:],
	}
	if p := e.Params; p != (dlp.MailParams{}) {
		out.Params = &paramsJSON{Body: p.Body, UTF8: p.UTF8, Ret: p.Ret, EnvID: []byte(p.EnvID)}
	}
	out.RcptParams = mapped(e.RcptParams, func(p dlp.RcptParams) rcptParamsJSON {
		return rcptParamsJSON{Notify: p.Notify, ORcpt: []byte(p.ORcpt)}
	})
	if f := e.File; f != nil {
		out.File = &fileJSON{UID: f.UID, GID: f.GID, Mode: f.Mode, MTime: f.ModTime, ATime: f.AccessTime, ACL: f.ACL, SHA256: f.SHA256[:]}
	}
	return out
}

func decodeEnvelope(b []byte) (e Envelope, sum [32]byte, l listed, err error) {
	var in envelopeJSON
	if err := decode(b, &in, &in.V); err != nil {
		return e, sum, l, err
	}
	e, sum, err = envelopeIn(in)
	l.causes = mapped(in.Causes, causeIn)
	l.confidence = in.Confidence
	return e, sum, l, err
}

func envelopeIn(in envelopeJSON) (Envelope, [32]byte, error) {
	sum, err := digestIn(in.SHA256)
	if err != nil {
		return Envelope{}, sum, err
	}
	e := Envelope{
		Sender: in.Sender.Address(), Rcpts: mapped(in.Rcpts, dlp.AddressBytes.Address), AllRcpts: mapped(in.AllRcpts, dlp.AddressBytes.Address),
		Root: string(in.Root), Path: string(in.Path), Trace: in.Trace, Released: mapped(in.Released, dlp.AddressBytes.Address), Tell: in.Tell,
	}
	if p := in.Params; p != nil {
		e.Params = dlp.MailParams{Body: p.Body, UTF8: p.UTF8, Ret: p.Ret, EnvID: string(p.EnvID)}
	}
	if len(in.RcptParams) == len(in.Rcpts) {
		e.RcptParams = mapped(in.RcptParams, func(p rcptParamsJSON) dlp.RcptParams {
			return dlp.RcptParams{Notify: p.Notify, ORcpt: string(p.ORcpt)}
		})
	}
	if f := in.File; f != nil {
		fsum, err := digestIn(f.SHA256)
		if err != nil {
			return Envelope{}, sum, err
		}
		e.File = &dlp.FileMeta{UID: f.UID, GID: f.GID, Mode: f.Mode, ModTime: f.MTime, AccessTime: f.ATime, ACL: f.ACL, SHA256: fsum}
	}
	return e, sum, nil
}

func encodeNote(by, why string) ([]byte, error) {
	return json.Marshal(noteJSON{V: version, By: by, Why: why})
}

func decodeNote(b []byte) (in noteJSON, err error) {
	err = decode(b, &in, &in.V)
	return in, err
}

func encodeCase(c Case) ([]byte, error) {
	findings := keepFindings(c.Findings)
	gaps := c.Gaps[:min(len(c.Gaps), MaxGaps)]
	return json.Marshal(caseJSON{
		V: version, Envelope: envelopeOut(c.Envelope, c.SHA256), Channel: c.Channel.String(),
		Verdicts: mapped(c.Verdict.Rcpts, verdictOut),
		RuleSet:  c.Verdict.RuleSet, PolicyDigest: c.Verdict.Policy, Reader: c.Verdict.Reader,
		Findings: mapped(findings, findingOut), Gaps: mapped(gaps, gapOut),
		FindingsTotal: max(len(c.Findings), c.FindingsTotal), GapsTotal: max(len(c.Gaps), c.GapsTotal),
		Decided: c.Decided, Size: c.Size, Shown: keepShown(c.Shown),
	})
}

// keepShown bounds s.
func keepShown(s Shown) Shown {
	s.Parts, s.Findings = s.Parts[:min(len(s.Parts), MaxShownParts)], s.Findings[:min(len(s.Findings), MaxShown)]
	s.Typed = s.Typed[:min(len(s.Typed), MaxShownParts)]
	return s
}

// keepFindings bounds fs to MaxFindings and the first of every rule: a
// reviewer sees each reason, whatever one rule flooded the case with.
func keepFindings(fs []dlp.Finding) []dlp.Finding {
	if len(fs) <= MaxFindings {
		return fs
	}
	kept := slices.Clone(fs[:MaxFindings])
	seen := make(map[dlp.RuleID]bool)
	for _, f := range kept {
		seen[f.Rule] = true
	}
	for _, f := range fs[MaxFindings:] {
		if !seen[f.Rule] {
			seen[f.Rule] = true
			kept = append(kept, f)
		}
	}
	return kept
}

func decodeCase(b []byte) (Case, error) {
	var in caseJSON
	if err := decode(b, &in, &in.V); err != nil {
		return Case{}, err
	}
	env, sum, err := envelopeIn(in.Envelope)
	if err != nil {
		return Case{}, err
	}
	c := Case{
		Envelope: env, SHA256: sum, Size: in.Size, Decided: in.Decided,
		FindingsTotal: in.FindingsTotal, GapsTotal: in.GapsTotal,
		Verdict:  dlp.Verdict{RuleSet: in.RuleSet, Policy: in.PolicyDigest, Reader: in.Reader},
		Findings: make([]dlp.Finding, 0, len(in.Findings)), Gaps: mapped(in.Gaps, gapIn), Shown: in.Shown,
	}
	for _, ch := range []dlp.Channel{dlp.Mail, dlp.File} {
		if ch.String() == in.Channel {
			c.Channel = ch
		}
	}
	c.Verdict.Rcpts = mapped(in.Verdicts, verdictIn)
	for _, f := range in.Findings {
		got, err := findingIn(f)
		if err != nil {
			return Case{}, err
		}
		c.Findings = append(c.Findings, got)
	}
	return c, nil
}

// decode reads one JSON plaintext whose version *v must be ours.
func decode(b []byte, into any, v *int) error {
	if err := json.Unmarshal(b, into); err != nil {
		return ErrTampered // the decoder's text quotes its input
	}
	if *v != version {
		return fmt.Errorf("version %d: %w", *v, errVersion)
	}
	return nil
}

func digestIn(b []byte) ([32]byte, error) {
	if len(b) != 32 {
		return [32]byte{}, ErrTampered
	}
	return [32]byte(b), nil
}

func verdictOut(r dlp.RcptVerdict) verdictJSON {
	return verdictJSON{
		Rcpt: r.Rcpt.Bytes(), Action: r.Action.String(), Policy: r.Policy, Policies: r.Policies,
		Rules:  mapped(r.Rules, func(id dlp.RuleID) string { return string(id) }),
		Causes: mapped(r.Causes, dlp.Cause.String), Reason: r.Reason, Notify: r.Notify,
		Monitored: r.Monitored.String(), MonPolicy: r.MonitoredPolicy,
		MonRules: mapped(r.MonitoredRules, func(id dlp.RuleID) string { return string(id) }),
	}
}

func verdictIn(in verdictJSON) dlp.RcptVerdict {
	action, _ := dlp.ParseAction(in.Action) // an unknown word is Hold, the careful one
	monitored, _ := dlp.ParseAction(in.Monitored)
	return dlp.RcptVerdict{
		Rcpt: in.Rcpt.Address(), Action: action, Policy: in.Policy, Policies: in.Policies,
		Rules: mapped(in.Rules, func(s string) dlp.RuleID { return dlp.RuleID(s) }), Causes: mapped(in.Causes, causeIn),
		Reason: in.Reason, Notify: in.Notify, Monitored: monitored, MonitoredPolicy: in.MonPolicy,
		MonitoredRules: mapped(in.MonRules, func(s string) dlp.RuleID { return dlp.RuleID(s) }),
	}
}

func causeIn(s string) dlp.Cause {
	c, _ := dlp.ParseCause(s) // an unknown word is Corrupt, the careful one
	return c
}

func findingOut(f dlp.Finding) findingJSON {
	return findingJSON{
		Rule: string(f.Rule), Type: string(f.Type), Tags: mapped(f.Tags, func(t dlp.Tag) string { return string(t) }),
		Part: f.Path, Start: f.Start, End: f.End, Line: f.Line, Confidence: f.Confidence.String(),
		Severity: f.Severity.String(), Value: f.ValueKey[:], Group: f.Group,
	}
}

func findingIn(in findingJSON) (dlp.Finding, error) {
	f := dlp.Finding{
		Rule: dlp.RuleID(in.Rule), Type: dlp.Type(in.Type), Tags: mapped(in.Tags, func(s string) dlp.Tag { return dlp.Tag(s) }),
		Path: in.Part, Start: in.Start, End: in.End, Line: in.Line, Group: in.Group,
	}
	if f.Confidence.UnmarshalText([]byte(in.Confidence)) != nil || f.Severity.UnmarshalText([]byte(in.Severity)) != nil || len(in.Value) != len(f.ValueKey) {
		return dlp.Finding{}, ErrTampered
	}
	f.ValueKey = dlp.ValueKey(in.Value)
	return f, nil
}

func gapOut(g dlp.Gap) gapJSON {
	return gapJSON{Part: g.Path, Name: g.Name, Cause: g.Cause.String(), Detail: g.Detail, Inline: g.Inline, Size: g.Size}
}

func gapIn(in gapJSON) dlp.Gap {
	return dlp.Gap{Path: in.Part, Name: in.Name, Cause: causeIn(in.Cause), Detail: in.Detail, Inline: in.Inline, Size: in.Size}
}

// mapped returns f of each of in, nil for none.
func mapped[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}
