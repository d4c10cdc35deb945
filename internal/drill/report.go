package drill

import (
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Row is one line of a drill's report: what somebody did, an item about which nobody
// did anything, or somebody who was asked and did nothing about any.
type Row struct {
	Item  dlp.ID    `json:"item,omitempty"` // "" for who did nothing
	From  string    `json:"from,omitempty"` // whose message it is said to be
	State State     `json:"state,omitempty"`
	Who   string    `json:"who,omitempty"`
	Did   string    `json:"did,omitempty"` // "": nothing
	Code  string    `json:"code,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// After is how long the item was there by then, in whole seconds.
	After int64 `json:"after_seconds,omitempty"`
}

// Report is who did what, item by item, each in the order in which it was done, and
// who did nothing.
func (d *Drill) Report() []Row {
	rows := []Row{}
	for i := range d.Items {
		it := &d.Items[i]
		row := Row{Item: it.ID, From: it.From, State: it.State}
		if len(it.Reactions) == 0 {
			rows = append(rows, row)
		}
		for _, r := range it.Reactions {
			row.Who, row.Did, row.Code, row.At = r.By, r.Did, r.Code, r.At
			if d.Kind == Senders {
				row.Who = it.From
			}
			row.After = int64(max(0, r.At.Sub(it.At)) / time.Second)
			rows = append(rows, row)
		}
	}
	for _, actor := range d.Silent() {
		rows = append(rows, Row{Who: actor})
	}
	return rows
}

// Silent are those of Asked who did nothing about any item. What a deputy did, whose
// actor goes on after a space with in whose place, is the deputy's.
func (d *Drill) Silent() (out []string) {
	did := map[string]bool{}
	for i := range d.Items {
		for _, r := range d.Items[i].Reactions {
			by, _, _ := strings.Cut(r.By, " ")
			did[by] = true
		}
	}
	for _, actor := range d.Asked {
		if !did[actor] {
			out = append(out, actor)
		}
	}
	return out
}

// Counts are how many items of a drill came to what: by what ended them, or by
// their state.
func (d *Drill) Counts() map[string]int {
	n := map[string]int{}
	for i := range d.Items {
		what := string(d.Items[i].State)
		if r, ok := d.Items[i].Ended(); ok {
			what = r.Did
		}
		n[what]++
	}
	return n
}

// Heads are the columns of Cells.
func Heads() []string {
	return []string{"drill", "kind", "item", "from", "state", "who", "did", "code", "at", "after_seconds"}
}

// Cells are the rows of the report as text, for a table of values.
func (d *Drill) Cells() [][]string {
	var out [][]string
	for _, r := range d.Report() {
		at, after := "", ""
		if r.Did != "" {
			at, after = r.At.UTC().Format(time.RFC3339), strconv.FormatInt(r.After, 10)
		}
		out = append(out, []string{d.Name, string(d.Kind), string(r.Item), r.From, string(r.State), r.Who, r.Did, r.Code, at, after})
	}
	return out
}
