package vault

import (
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds on what one case shows.
const (
	MaxShown      = 200 // findings
	MaxShownParts = 500
)

// Shown is what a reviewer sees of a document without opening it, as it was when
// it was judged. Values are masked, and so is every word around them that no rule
// knows. The zero Shown says that this was not noted.
type Shown struct {
	Parts    []ShownPart    `json:"parts,omitempty"`
	Findings []ShownFinding `json:"findings,omitempty"`
	// Typed are the paths of the parts that a typed password opened, whatever is in them.
	Typed []string `json:"typed,omitempty"`
}

// ByPassword reports whether path is of a part that a typed password opened, or within
// one.
func ByPassword(typed []string, path string) bool {
	return slices.ContainsFunc(typed, func(t string) bool {
		rest, ok := strings.CutPrefix(path, t)
		return ok && (rest == "" || strings.ContainsAny(rest[:1], "/.~"))
	})
}

// ShownPart is one part of a document.
type ShownPart struct {
	Path      string `json:"path"`
	MediaType string `json:"media_type"`
	Ending    string `json:"ending,omitempty"` // of its declared name, such as ".docx"
}

// ShownFinding is one finding among what stands beside it.
type ShownFinding struct {
	Rule   dlp.RuleID  `json:"rule"`
	Part   string      `json:"part"`
	Start  int64       `json:"start"`
	End    int64       `json:"end"`
	Masked string      `json:"masked"`
	Before string      `json:"before,omitempty"`
	After  string      `json:"after,omitempty"`
	Steps  []ShownStep `json:"steps,omitempty"`
}

// ShownStep is the outcome of one check of a rule: what raised or lowered it.
type ShownStep struct {
	Step    string `json:"step"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
}
