package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// OnGapPolicy stands where a policy's id does when on_gap in monitor mode is
// what would have acted. No policy may have it as its id.
const OnGapPolicy = "on_gap"

const maxID = 64 // bytes of a policy's id: it goes into a header field and into audit events

// faults collects what is wrong with a Config.
type faults struct{ list []error }

// add notes that the value at key is not what was wanted.
func (f *faults) add(key, want string, args ...any) {
	f.list = append(f.list, &dlp.KeyError{Key: key, Want: fmt.Sprintf(want, args...)})
}

// oneOf notes a value that is none of allowed; "" is taken as left out.
func (f *faults) oneOf(key, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		f.add(key, "%s", quoted(allowed))
	}
}

// quoted joins words as `"a", "b" or "c"`.
func quoted(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(`"` + w + `"`)
	}
	return b.String()
}

// Validate reports every bad value, each as a *dlp.KeyError, joined.
func (c *Config) Validate() error {
	var f faults
	ids := map[string]bool{}
	for i := range c.Policies {
		p := &c.Policies[i]
		key := fmt.Sprintf("policies[%d]", i)
		p.validate(&f, key)
		if ids[p.ID] && p.ID != "" {
			f.add(key+".id", "an id that no policy before has")
		}
		ids[p.ID] = true
	}
	d := &c.Defaults
	f.oneOf("defaults.on_gap", d.OnGap, "allow", "encrypt", "quarantine", "reject")
	f.oneOf("defaults.on_image", d.OnImage, imageInline, imageAllow, imageGap)
	f.oneOf("defaults.mode", d.Mode, modeEnforce, modeMonitor, modeRollout)
	notifies(&f, "defaults.notify", d.Notify)
	return errors.Join(f.list...)
}

// CheckRules reports each condition that names a rule which known does not
// know, as *dlp.KeyErrors, joined. It is apart from Validate because the rules
// are loaded later, and anew while the policies stay.
func (c *Config) CheckRules(known func(dlp.RuleID) bool) error {
	var f faults
	for i, p := range c.Policies {
		for j, cond := range slices.Concat(p.All, p.Any) { // one of the two is empty
			name := "all"
			if len(p.All) == 0 {
				name = "any"
			}
			if cond.Rule != "" && !known(cond.Rule) {
				f.add(fmt.Sprintf("policies[%d].%s[%d].rule", i, name, j), "the id of a loaded rule (stanch rules list)")
			}
		}
	}
	return errors.Join(f.list...)
}

// NeverMet returns the conditions that ask for a tag or a type that found, which
// tells what the loaded rules can find, does not know: such a policy looks like
// protection and is none. It is no error, since a rule may come later.
func (c *Config) NeverMet(found func(dlp.Tag, dlp.Type) bool) (out []*dlp.KeyError) {
	for i, p := range c.Policies {
		for j, cond := range slices.Concat(p.All, p.Any) { // one of the two is empty
			key := fmt.Sprintf("policies[%d].all[%d]", i, j)
			if len(p.All) == 0 {
				key = fmt.Sprintf("policies[%d].any[%d]", i, j)
			}
			switch {
			case cond.Tag != "" && !found(cond.Tag, ""):
				out = append(out, &dlp.KeyError{Key: key + ".tag", Want: fmt.Sprintf("a tag that some rule has: none has %q (stanch rules list), so this condition never holds", cond.Tag)})
			case cond.Type != "" && !found("", cond.Type):
				out = append(out, &dlp.KeyError{Key: key + ".type", Want: fmt.Sprintf("a type that some rule finds: none finds %s (stanch rules list), so this condition never holds", cond.Type)})
			}
		}
	}
	return out
}

func (p *Policy) validate(f *faults, key string) {
	switch {
	case p.ID == OnGapPolicy:
		f.add(key+".id", "another id: %q stands for defaults.on_gap", OnGapPolicy)
	case !validID(p.ID):
		f.add(key+".id", "1 to %d letters, digits, '-', '_' or '.'", maxID)
	}
	f.oneOf(key+".mode", p.Mode, modeEnforce, modeMonitor, modeRollout)
	f.oneOf(key+".scope", p.Scope, scopeDocument, scopePart, scopeRow)
	p.Where.validate(f, key+".where")
	p.Except.validate(f, key+".except")
	p.validateAction(f, key+".action")
	notifies(f, key+".notify", p.Notify)
	if p.SenderMayEncrypt && p.Action != dlp.Hold.String() {
		f.add(key+".sender_may_encrypt", "action = %q beside it: only of what is held there is a choice", dlp.Hold)
	}
	if (len(p.All) == 0) == (len(p.Any) == 0) {
		f.add(key, "conditions, either in all or in any")
	}
	for i := range p.All {
		p.All[i].validate(f, fmt.Sprintf("%s.all[%d]", key, i))
	}
	for i := range p.Any {
		p.Any[i].validate(f, fmt.Sprintf("%s.any[%d]", key, i))
	}
}

func validID(id string) bool {
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	}) < 0
}

// validateAction notes an action that does not exist, or that a channel the
// policy names does not have (docs/policy.md: reject and tag are read as their
// nearest for files). A policy that names no channel may use the actions of
// either.
func (p *Policy) validateAction(f *faults, key string) {
	if _, ok := dlp.ParseAction(p.Action); !ok {
		f.add(key, `"allow", "tag", "encrypt", "quarantine" or "reject"; for files "report", "encrypt" or "quarantine"`)
		return
	}
	if p.Action == actionReport && slices.Contains(p.Where.Channels, dlp.Mail.String()) {
		f.add(key, `an action of mail: "allow", "tag", "encrypt", "quarantine" or "reject"`)
	}
	if p.Action == dlp.Allow.String() && slices.Contains(p.Where.Channels, dlp.File.String()) {
		f.add(key, `an action of files: "report", "encrypt" or "quarantine"`)
	}
}

func notifies(f *faults, key string, who []string) {
	for i, w := range who {
		if w != notifySender {
			f.add(fmt.Sprintf("%s[%d]", key, i), "%q", notifySender)
		}
	}
}

func (m *Match) validate(f *faults, key string) {
	for i, c := range m.Channels {
		if c != dlp.Mail.String() && c != dlp.File.String() {
			f.add(fmt.Sprintf("%s.channels[%d]", key, i), `"mail" or "file"`)
		}
	}
	for i, r := range m.Recipients {
		if _, err := parsePattern(r); r != wordExternal && r != wordInternal && r != wordAny && err != nil {
			where := key + ".recipients"
			if len(m.Recipients) > 1 {
				where = fmt.Sprintf("%s[%d]", where, i)
			}
			f.add(where, `"external", "internal", "any" or a pattern such as "*@partner.example": %v`, err)
		}
	}
	for i, s := range m.Senders {
		if _, err := parsePattern(s); s != nullSender && err != nil {
			f.add(fmt.Sprintf("%s.senders[%d]", key, i), `"<>" or a pattern such as "*@clinic.example": %v`, err)
		}
	}
	for i, s := range m.Folders {
		if !filepath.IsAbs(s) {
			f.add(fmt.Sprintf("%s.folders[%d]", key, i), "the absolute path of a folder")
		}
	}
}

func (c *Condition) validate(f *faults, key string) {
	named := 0
	for _, s := range []string{string(c.Rule), string(c.Type), string(c.Tag), c.Gap} {
		if s != "" {
			named++
		}
	}
	if named != 1 {
		f.add(key, "exactly one of rule, type, tag and gap")
	}
	if c.Type != "" && !dlp.KnownType(c.Type) {
		f.add(key+".type", `a type such as "SSN" or "MRN"%s`, nearType(c.Type))
	}
	if c.Gap != "" {
		c.validateGap(f, key)
	}
	var conf dlp.Confidence
	if c.Confidence != "" && conf.UnmarshalText([]byte(c.Confidence)) != nil {
		f.add(key+".confidence", `"low", "medium" or "high"`)
	}
	if c.MinCount < 0 {
		f.add(key+".min_count", "a number from 1")
	}
	if c.MinPatients < 0 {
		f.add(key+".min_patients", "a number from 1")
	}
}

// validateGap notes an unknown cause, and keys that say nothing about a gap.
func (c *Condition) validateGap(f *faults, key string) {
	if _, ok := dlp.ParseCause(c.Gap); !ok {
		var names []string
		for _, cause := range dlp.Causes() {
			names = append(names, cause.String())
		}
		f.add(key+".gap", "%s", quoted(names))
	}
	if c.Confidence != "" {
		f.add(key+".confidence", "none: a gap has no confidence")
	}
	if c.MinPatients != 0 {
		f.add(key+".min_patients", "none: a gap names no patient")
	}
}

// nearType suggests the type that only its case keeps from being known.
func nearType(t dlp.Type) string {
	if up := dlp.Type(strings.ToUpper(string(t))); dlp.KnownType(up) {
		return fmt.Sprintf("; did you mean %q?", up)
	}
	return ""
}
