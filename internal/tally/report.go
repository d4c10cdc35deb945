package tally

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Report is a period in figures, as `stanch report --format json` prints it
// (docs/contract.md). It names senders, and no patient.
type Report struct {
	From        string          `json:"from"` // the first day, in UTC
	To          string          `json:"to"`   // and the last
	Together    Flow            `json:"together"`
	Watched     int64           `json:"watched"` // a policy in monitor mode would have held, encrypted or refused them
	Ways        []Share         `json:"ways"`    // on which mail went encrypted
	Days        []Flow          `json:"days"`
	Waits       Waits           `json:"time_to_decision"`
	Rules       []RuleFlow      `json:"rules"`
	Precision   []Precision     `json:"precision"`
	Senders     []Share         `json:"senders"`     // whose mail was held most
	Departments []DepartmentRow `json:"departments"` // null where none are configured
}

// Flow is what became of mail and files, on a day or together.
type Flow struct {
	Day       string `json:"day,omitempty"`
	Passed    int64  `json:"passed"`
	Held      int64  `json:"held"`
	Encrypted int64  `json:"encrypted"`
	Rejected  int64  `json:"rejected"` // refused at once
	Released  int64  `json:"released"`
	Refused   int64  `json:"refused"` // after they were held
}

// RuleFlow is what a rule kept from going on as it came.
type RuleFlow struct {
	Rule      string `json:"rule"`
	Held      int64  `json:"held"`
	Encrypted int64  `json:"encrypted"`
	Rejected  int64  `json:"rejected"`
	Watched   int64  `json:"watched"`
}

// Precision is how often reviewers said that what a rule found is PHI.
type Precision struct {
	Rule    string  `json:"rule"`
	Decided int64   `json:"decided"`
	PHI     int64   `json:"phi"`
	Low     float64 `json:"low"` // of the likely range of its share
	High    float64 `json:"high"`
}

// Share is a part of what is counted.
type Share struct {
	Of string `json:"of"`
	N  int64  `json:"n"`
}

// DepartmentRow is what is counted of a department.
type DepartmentRow struct {
	Name     string  `json:"name"`
	Messages int64   `json:"messages"`
	Held     int64   `json:"held"`
	Before   int64   `json:"held_before"` // in as many days before
	Repeats  int     `json:"senders_with_repeats"`
	Rules    []Share `json:"rules"`   // that held most
	Senders  []Share `json:"senders"` // who repeat most
}

// Waits sums up how long documents waited for reviewers' decisions.
type Waits struct {
	N             int64 `json:"n"`
	MedianSeconds int64 `json:"median_seconds"`        // about
	TenthSeconds  int64 `json:"slowest_tenth_seconds"` // they took longer
}

// Median is MedianSeconds.
func (w Waits) Median() time.Duration { return time.Duration(w.MedianSeconds) * time.Second }

// Tenth is TenthSeconds.
func (w Waits) Tenth() time.Duration { return time.Duration(w.TenthSeconds) * time.Second }

// WaitsOf sums up the buckets of Waited.
func WaitsOf(of map[string]int64) (w Waits) {
	for _, n := range of {
		w.N += n
	}
	var seen int64
	for _, b := range slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Compare(BucketWait(a), BucketWait(b)) }) {
		before := seen
		seen += of[b]
		if 2*before < w.N && 2*seen >= w.N {
			w.MedianSeconds = int64(BucketWait(b).Seconds())
		}
		if 10*before < 9*w.N && 10*seen >= 9*w.N {
			w.TenthSeconds = int64(BucketWait(b).Seconds())
		}
	}
	return w
}
