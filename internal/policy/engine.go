package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ScanTimeout is the Detail of the Timeout gap of a Document that was not read
// within scan_timeout. It holds whatever on_gap, its mode or a policy say.
const ScanTimeout = "scan_timeout"

// maxInline is the largest picture that on_image = "allow-inline" lets pass
// (docs/policy.md, What could not be read).
const maxInline = 64 << 10

// Engine decides by one set of policies. It is safe for use by many
// goroutines and does not change.
type Engine struct {
	policies  []compiled
	onGap     dlp.Action
	onImage   string
	gapMode   string
	gapNotify []string
	own       domains
	digest    string
}

// compiled is one Policy made ready.
type compiled struct {
	id            string
	monitor       bool
	where, except matcher
	scope         string
	conditions    []condition
	any           bool
	action        dlp.Action
	notify        []string
	mayEncrypt    bool // the sender of what it holds
}

// New compiles cfg, or the starter policy's policies where cfg has none.
// internalDomains are the domains whose recipients are internal: exact names,
// or "*.clinic.example" for all below it, which does not mean clinic.example
// itself. Its errors are *dlp.KeyErrors, joined.
func New(cfg Config, internalDomains []string) (*Engine, error) {
	if len(cfg.Policies) == 0 {
		cfg.Policies = Starter().Policies
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		onImage:   first(cfg.Defaults.OnImage, imageInline),
		gapMode:   first(cfg.Defaults.Mode, modeEnforce),
		gapNotify: slices.Clone(cfg.Defaults.Notify),
	}
	e.onGap, _ = dlp.ParseAction(first(cfg.Defaults.OnGap, dlp.Hold.String())) // Validate has read it
	for i, d := range internalDomains {
		p, err := parsePattern(d)
		if err != nil || p.local != "*" || strings.Contains(d, "@") {
			return nil, &dlp.KeyError{Key: fmt.Sprintf("smtp.internal_domains[%d]", i),
				Want: `a domain such as "clinic.example" or "*.clinic.example"; one outside ASCII as its A-label (xn--…)`}
		}
		e.own = append(e.own, p.domain)
	}
	for i := range cfg.Policies {
		e.policies = append(e.policies, cfg.Policies[i].compile())
	}
	var err error
	e.digest, err = digest(cfg, e.own)
	return e, err
}

// first returns value, or otherwise where it is empty.
func first(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// digest is SHA-256 over everything that a verdict depends on.
func digest(cfg Config, own domains) (string, error) {
	b, err := json.Marshal(struct {
		Config   Config
		Internal []string
	}{cfg, own})
	if err != nil {
		return "", fmt.Errorf("policy: digest: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Digest names the policies and the internal domains: lower-case hex, equal
// for equal ones.
func (e *Engine) Digest() string { return e.digest }

func (p *Policy) compile() compiled {
	c := compiled{
		id:      p.ID,
		monitor: watched(p.Mode),
		where:   p.Where.compile(),
		except:  p.Except.compile(),
		scope:   first(p.Scope, scopeDocument),
		any:     len(p.Any) > 0,
		notify:  slices.Clone(p.Notify),

		mayEncrypt: p.SenderMayEncrypt,
	}
	c.action, _ = dlp.ParseAction(p.Action) // Validate has read it
	for _, cond := range slices.Concat(p.All, p.Any) {
		c.conditions = append(c.conditions, cond.compile())
	}
	return c
}

// on returns what a means for files: they can be neither tagged nor rejected
// (docs/policy.md, How it decides).
func on(channel dlp.Channel, a dlp.Action) dlp.Action {
	switch {
	case channel == dlp.File && a == dlp.AddTag:
		return dlp.Allow
	case channel == dlp.File && a == dlp.Reject:
		return dlp.Hold
	}
	return a
}

// Decide turns what is known about doc into a verdict for each recipient, or
// into the one verdict on a file. A mail without recipients, and a Document of
// no known channel, gets a Verdict without any, which is a Hold. The caller
// fills in the digests of rule set and extractor.
func (e *Engine) Decide(doc *dlp.Document, fs []dlp.Finding, gaps []dlp.Gap) dlp.Verdict {
	v := dlp.Verdict{Policy: e.digest}
	rcpts := judged(doc)
	if len(rcpts) == 0 {
		return v
	}
	k := e.know(fs, gaps)
	for _, rcpt := range rcpts {
		v.Rcpts = append(v.Rcpts, e.decide(doc, rcpt, k))
	}
	return v
}

// Unread is the verdict on a Document that is to pass without being read, for
// reason: Allow for each recipient, and Encrypt where its sender asks for that,
// which takes no reading. As with Decide, a mail without recipients is a Hold.
func (e *Engine) Unread(doc *dlp.Document, reason string) dlp.Verdict {
	var v dlp.Verdict // by no policy
	for _, rcpt := range judged(doc) {
		r := dlp.RcptVerdict{Rcpt: rcpt, Action: dlp.Allow, Reason: reason}
		if e.asked(doc, rcpt) {
			r.Action, r.Reason = dlp.Encrypt, dlp.ReasonAsked
		}
		v.Rcpts = append(v.Rcpts, r)
	}
	return v
}

// asked reports whether doc is to go to rcpt encrypted for its sender's asking:
// a mail, to somebody outside.
func (e *Engine) asked(doc *dlp.Document, rcpt dlp.Address) bool {
	return doc.Asked && doc.Channel == dlp.Mail && !e.own.internal(rcpt)
}

// judged are those for whom a verdict is made: none for an unknown channel.
func judged(doc *dlp.Document) []dlp.Address {
	switch doc.Channel {
	case dlp.Mail:
		return doc.Rcpts
	case dlp.File:
		return []dlp.Address{{}}
	}
	return nil
}

// know keeps what Decide needs of a Document for all its recipients: pictures
// that on_image lets pass are not among the gaps.
func (e *Engine) know(fs []dlp.Finding, gaps []dlp.Gap) *known {
	k := &known{findings: fs, results: make([]*result, len(e.policies))}
	for _, g := range gaps {
		if !e.passes(g) {
			k.gaps = append(k.gaps, g)
		}
		if g.Cause == dlp.Timeout && g.Detail == ScanTimeout {
			k.timedOut = true
		}
	}
	return k
}

// passes reports a picture that is no gap. One whose size is not known is.
func (e *Engine) passes(g dlp.Gap) bool {
	if g.Cause != dlp.Image {
		return false
	}
	return e.onImage == imageAllow || e.onImage == imageInline && g.Inline && g.Size > 0 && g.Size <= maxInline
}

// claim is what one policy, on_gap or a time-out would have done.
type claim struct {
	action dlp.Action
	policy string
	rules  []dlp.RuleID
	causes []dlp.Cause
	reason string
	notify []string

	mayEncrypt bool
}

// decide makes the verdict for one recipient.
func (e *Engine) decide(doc *dlp.Document, rcpt dlp.Address, k *known) dlp.RcptVerdict {
	v := dlp.RcptVerdict{Rcpt: rcpt}
	var enforced, monitored []claim
	spoken, heard := make([]bool, len(k.gaps)), make([]bool, len(k.gaps))
	for i := range e.policies {
		p := &e.policies[i]
		if !p.where.where(doc, rcpt, e.own) || p.except.except(doc, rcpt, e.own) {
			continue
		}
		r := k.result(i, p)
		if !r.matched {
			continue
		}
		c := claim{action: on(doc.Channel, p.action), policy: p.id, rules: r.rules, causes: r.causes, notify: p.notify, mayEncrypt: p.mayEncrypt}
		if len(r.rules) == 0 {
			c.reason = dlp.ReasonGap
		}
		for _, g := range r.gaps {
			heard[g] = true
			spoken[g] = spoken[g] || !p.monitor
		}
		if p.monitor {
			monitored = append(monitored, c)
			continue
		}
		v.Policies = append(v.Policies, p.id)
		enforced = append(enforced, c)
	}
	if doc.Channel == dlp.File || !e.own.internal(rcpt) {
		if watched(e.gapMode) {
			monitored = append(monitored, e.onGapClaim(doc, k, heard, OnGapPolicy)...)
		} else {
			enforced = append(enforced, e.onGapClaim(doc, k, spoken, "")...)
		}
	}
	if e.asked(doc, rcpt) {
		enforced = append(enforced, claim{action: dlp.Encrypt, reason: dlp.ReasonAsked})
	}
	if k.timedOut {
		enforced = append(enforced, claim{action: dlp.Hold, causes: []dlp.Cause{dlp.Timeout}, reason: dlp.ReasonTimeout, notify: e.gapNotify})
	}
	settle(&v, enforced)
	if c := strictest(monitored); c != nil {
		v.Monitored, v.MonitoredPolicy = c.action, c.policy
		for _, m := range monitored {
			if m.action == c.action {
				v.MonitoredRules = append(v.MonitoredRules, m.rules...)
			}
		}
		slices.Sort(v.MonitoredRules)
		v.MonitoredRules = slices.Compact(v.MonitoredRules)
	} else {
		v.Monitored = dlp.Allow
	}
	return v
}

// onGapClaim is what on_gap says about the gaps that no policy spoke of: one
// claim, or none where every gap was spoken of.
func (e *Engine) onGapClaim(doc *dlp.Document, k *known, spoken []bool, policy string) []claim {
	var causes []dlp.Cause
	for i, g := range k.gaps {
		if !spoken[i] {
			causes = append(causes, g.Cause)
		}
	}
	if causes == nil {
		return nil
	}
	return []claim{{action: on(doc.Channel, e.onGap), policy: policy, causes: causes, reason: dlp.ReasonGap, notify: e.gapNotify}}
}

// strictest returns the strictest claim, the first of equals, nil of none.
func strictest(claims []claim) *claim {
	var best *claim
	for i := range claims {
		if best == nil || claims[i].action.Strictness() > best.action.Strictness() {
			best = &claims[i]
		}
	}
	return best
}

// settle fills v from the claims. The first of the strictest decides; rules
// and causes are those of every claim as strict as that, so that whoever looks
// at a hold sees all that speaks for it.
func settle(v *dlp.RcptVerdict, claims []claim) {
	best := strictest(claims)
	if best == nil {
		v.Action = dlp.Allow
		return
	}
	v.Action, v.Policy, v.Reason, v.Notify = best.action, best.policy, best.reason, slices.Clone(best.notify)
	v.MayEncrypt = best.action == dlp.Hold
	for _, c := range claims {
		if c.action != best.action {
			continue
		}
		v.MayEncrypt = v.MayEncrypt && c.mayEncrypt
		v.Rules, v.Causes = append(v.Rules, c.rules...), append(v.Causes, c.causes...)
		if c.reason == dlp.ReasonTimeout {
			v.Reason = dlp.ReasonTimeout
		}
	}
	slices.Sort(v.Rules)
	v.Rules = slices.Compact(v.Rules)
	slices.Sort(v.Causes)
	v.Causes = slices.Compact(v.Causes)
}

// WithWays returns v with the way for each recipient that Encrypt is for, and
// with Encrypt turned into Hold, reason no_way, where there is none: way then
// returns false. A file has a way without a name. v itself stays as it is.
func WithWays(v dlp.Verdict, way func(dlp.Address) (dlp.Way, bool)) dlp.Verdict {
	v.Rcpts = slices.Clone(v.Rcpts)
	for i := range v.Rcpts {
		r := &v.Rcpts[i]
		if r.Action != dlp.Encrypt {
			continue
		}
		var ok bool
		if r.Way, ok = way(r.Rcpt); !ok {
			r.Action, r.Way, r.Reason = dlp.Hold, "", dlp.ReasonNoWay
		}
	}
	return v
}
