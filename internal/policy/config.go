package policy

import (
	"errors"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is what [[policies]] and [defaults] of stanch.toml say.
type Config struct {
	// Policies say what is to be done with what was found. Every policy that
	// matches applies, for each recipient; the strictest action wins, and on a
	// tie the first in file order is named. A configuration without any uses
	// the built-in starter policy.
	Policies []Policy `toml:"policies"`
	// Defaults say what is done with what no policy speaks of.
	Defaults Defaults `toml:"defaults"`
}

// Policy is one [[policies]] table.
type Policy struct {
	// ID names the policy in verdicts, notices, the audit log and X-Stanch-Tag:
	// up to 64 letters, digits, `-`, `_` and `.`. Each is used once.
	ID string `toml:"id"`
	// Description tells a reader what the policy is for. It decides nothing.
	Description string `toml:"description,omitempty"`
	// Mode is `enforce`, or `monitor`: then mail and files flow as if the policy
	// were absent, and output and audit log say what it would have done; or
	// `rollout`: `monitor` until an admin enforces the policy on the console's page
	// of the roll-out, and `enforce` from then on.
	Mode string `toml:"mode,omitempty" default:"enforce"`
	// Where limits the policy to some channels, recipients, senders or folders.
	// All keys that are given must hold.
	Where Match `toml:"where,omitempty"`
	// Except takes out of the policy what all of its keys describe.
	Except Match `toml:"except,omitempty"`
	// Scope is within what the conditions must hold together: the whole
	// `document`, one `part` (a body, an attachment, an archive's member), or one
	// `row` (a table's row, a segment group, a resource). What stands in no row
	// counts as one row for each part.
	Scope string `toml:"scope,omitempty" default:"document"`
	// All are conditions that must hold together. Give either `all` or `any`.
	All []Condition `toml:"all,omitempty"`
	// Any are conditions of which one must hold.
	Any []Condition `toml:"any,omitempty"`
	// Action is, from mild to strict, `allow`, `tag`, `encrypt`, `quarantine` or
	// `reject` for mail, and `report`, `encrypt` or `quarantine` for files, where
	// `reject` means quarantine and `tag` means report. `allow` exempts nothing:
	// that is what `except` is for.
	Action string `toml:"action"`
	// Notify says who is told: `sender`.
	Notify []string `toml:"notify,omitempty"`
	// SenderMayEncrypt lets the sender of mail that this policy holds choose to have it go encrypted instead, by the link of their
	// notice (`[sender]`). Every policy that holds the message must say so. It goes with `action = "quarantine"` alone.
	SenderMayEncrypt bool `toml:"sender_may_encrypt,omitempty" json:",omitempty"`
}

// Match is a `where` or an `except`. A key left out says nothing. In `where`, a
// key that has nothing to look at is ignored: `recipients` and `senders` of a
// file, `folders` of a mail. In `except`, such a key excepts nothing.
type Match struct {
	// Channels lists `mail` and `file`.
	Channels []string `toml:"channels,omitempty" default:"both"`
	// Recipients is `external`, `internal` or `any`, or a list of these and of
	// patterns: `dr.lee@partner.example`, `*@partner.example`,
	// `*@*.partner.example`, or `partner.example` for everybody there. Case does
	// not matter.
	Recipients Recipients `toml:"recipients,omitempty" default:"any"`
	// Senders lists patterns for the envelope sender, as in `recipients`; `<>` is
	// the null sender of bounces.
	Senders []string `toml:"senders,omitempty"`
	// Folders lists folders; a watched file in or below one of them matches.
	Folders []string `toml:"folders,omitempty"`
}

// Recipients is a list of words and patterns; one alone needs no brackets.
type Recipients []string

// The words that Recipients knows beside patterns.
const (
	wordExternal = "external"
	wordInternal = "internal"
	wordAny      = "any"
)

// UnmarshalTOML reads a string or a list of strings.
func (r *Recipients) UnmarshalTOML(v any) error {
	want := errors.New(`"external", "internal", "any" or a list of patterns such as "*@partner.example"`)
	switch v := v.(type) {
	case string:
		*r = Recipients{v}
		return nil
	case []any:
		list := make(Recipients, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return want
			}
			list = append(list, s)
		}
		*r = list
		return nil
	}
	return want
}

// Condition is one condition of a policy. Exactly one of rule, type, tag and
// gap is given.
type Condition struct {
	// Rule is the id of a detection rule, such as `us-ssn`.
	Rule dlp.RuleID `toml:"rule,omitempty"`
	// Type is the kind of what was found, such as `SSN` or `ICD10`.
	Type dlp.Type `toml:"type,omitempty"`
	// Tag is a tag of the rule that found it, such as `identifier`, `contact`,
	// `health`, `financial`, `secret` or one of the site's own.
	Tag dlp.Tag `toml:"tag,omitempty"`
	// Gap is a cause for which something could not be read: `encrypted`,
	// `corrupt`, `too_deep`, `too_large`, `too_many`, `timeout`, `unsupported`,
	// `image`, `crashed` or `ambiguous`. For such gaps this policy then decides
	// instead of `defaults.on_gap`, also when it says `allow`.
	Gap string `toml:"gap,omitempty"`
	// Confidence is the least a finding must have to count: `low`, `medium` or
	// `high`.
	Confidence string `toml:"confidence,omitempty" default:"medium"`
	// MinCount is how many distinct values it takes; gaps count one each.
	MinCount int `toml:"min_count,omitzero" default:"1"`
	// MinPatients is how many distinct patients it takes. A row counts as one
	// patient, and so does each identifier in running text; a patient who stands
	// in several rows with the same identifiers counts once. What the patient
	// index knows counts by the patient, whichever of her values was found.
	MinPatients int `toml:"min_patients,omitzero"`
}

// Defaults is the [defaults] table.
type Defaults struct {
	// OnGap is what is done for external recipients, and with watched files,
	// when something could not be read: `allow`, `encrypt`, `quarantine` or
	// `reject` (for files `reject` means quarantine).
	OnGap string `toml:"on_gap"`
	// OnImage says which pictures are not taken for gaps: `allow-inline` lets
	// pictures up to 64 KiB pass that the HTML body shows by cid:, `allow` lets
	// every picture pass, `gap` none.
	OnImage string `toml:"on_image"`
	// Mode of `on_gap`: `enforce`, `monitor` or `rollout`, as of a policy.
	Mode string `toml:"mode"`
	// Notify says who is told when `on_gap` or a time-out holds mail: `sender`.
	Notify []string `toml:"notify"`
}

// Default returns a Config without policies and with careful defaults.
func Default() Config {
	return Config{Defaults: Defaults{OnGap: "quarantine", OnImage: imageInline, Mode: modeEnforce, Notify: []string{notifySender}}}
}

// Starter returns the built-in starter policy: an MBI alone, or an SSN, or a
// patient of the site's index, or another identifier together with health
// information, to an external recipient or in a watched folder, is quarantined,
// and the sender is told.
func Starter() Config {
	c := Default()
	leaving := Match{Channels: []string{"mail", "file"}, Recipients: Recipients{wordExternal}}
	c.Policies = []Policy{
		{
			ID:          "phi-leaves",
			Description: "An identifier together with health information",
			Mode:        modeEnforce,
			Where:       leaving,
			Scope:       scopeDocument,
			All:         []Condition{{Tag: dlp.TagIdentifier}, {Tag: dlp.TagHealth}},
			Action:      dlp.Hold.String(),
			Notify:      []string{notifySender},
		},
		{
			ID:          "phi-number",
			Description: "A Medicare or Social Security number, which identifies a person by itself, or one of the site's own patients",
			Mode:        modeEnforce,
			Where:       leaving,
			Scope:       scopeDocument,
			Any:         []Condition{{Type: "MBI"}, {Type: "SSN"}, {Type: typePatient}},
			Action:      dlp.Hold.String(),
			Notify:      []string{notifySender},
		},
	}
	return c
}

// The values of enumerated keys.
const (
	modeEnforce   = "enforce"
	modeMonitor   = "monitor"
	modeRollout   = "rollout"
	scopeDocument = "document"
	scopePart     = "part"
	scopeRow      = "row"
	imageInline   = "allow-inline"
	imageAllow    = "allow"
	imageGap      = "gap"
	notifySender  = "sender"
	actionReport  = "report"
)
