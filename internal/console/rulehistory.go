package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/rulefile"
)

// historyRows is how many versions one page lists.
const historyRows = 50

type historyPage struct {
	frame
	Rail     rail
	Versions []rulefile.Version
	Current  int
	Next     int // the version before which the next page begins, 0 for none
}

// ruleHistory lists versions, the newest first.
func (c *Console) ruleHistory(w http.ResponseWriter, r *http.Request, u User) {
	before, _ := strconv.Atoi(r.URL.Query().Get("before")) // anything else: from the newest on
	_, current, err := c.RuleFile.Current()
	p := historyPage{Current: current, Rail: railOf(c.inForce(), "")}
	if err == nil {
		p.Versions, err = c.RuleFile.List(before, historyRows)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if n := len(p.Versions); n == historyRows && p.Versions[n-1].N > 1 {
		p.Next = p.Versions[n-1].N
	}
	p.Rail.Edit = true
	p.frame = c.frame(r, u, "Rules: versions")
	c.render(w, r, http.StatusOK, "rulehistory", p)
}

type versionPage struct {
	frame
	Rail    rail
	Version rulefile.Version
	Before  int // the version that it is compared with, 0 for none
	Diff    []diffLine
	Current bool
	Base    string
}

// versionOf returns the version that a request names.
func (c *Console) versionOf(r *http.Request) (rulefile.Version, error) {
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return rulefile.Version{}, rulefile.ErrNoVersion
	}
	return c.RuleFile.Version(n)
}

// ruleVersion shows what one version changed.
func (c *Console) ruleVersion(w http.ResponseWriter, r *http.Request, u User) {
	v, err := c.versionOf(r)
	if errors.Is(err, rulefile.ErrNoVersion) {
		c.say(w, r, u, http.StatusNotFound, "There is no such version.", "")
		return
	}
	text, current, err2 := c.RuleFile.Current()
	var before []rulefile.Version
	if err = errors.Join(err, err2); err == nil {
		before, err = c.RuleFile.List(v.N, 1)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p := versionPage{Version: v, Current: current == v.N, Base: rulefile.Digest(text), Rail: railOf(c.inForce(), "")}
	old := ""
	if len(before) > 0 {
		p.Before, old = before[0].N, before[0].Text
	}
	p.Diff = differences(old, v.Text)
	p.Rail.Edit = true
	p.frame = c.frame(r, u, fmt.Sprintf("Rules: version %d", v.N))
	c.render(w, r, http.StatusOK, "ruleversion", p)
}

// ruleBack makes a version's text the newest version.
func (c *Console) ruleBack(w http.ResponseWriter, r *http.Request, u User) {
	v, err := c.versionOf(r)
	if errors.Is(err, rulefile.ErrNoVersion) {
		c.say(w, r, u, http.StatusNotFound, "There is no such version.", "Nothing was changed.")
		return
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	n, problems, err := c.putRules(r.Context(), u, r.PostFormValue("base"), rulefile.Version{Note: fmt.Sprintf("back to version %d", v.N), Text: v.Text, Back: v.N})
	switch {
	case len(problems) > 0: // packs or the configuration have changed since
		c.showEdit(w, r, u, http.StatusConflict, editPage{Draft: v.Text, Base: r.PostFormValue("base"), Problems: problems})
	case err != nil:
		c.say(w, r, u, http.StatusConflict, c.notSaved(r.Context(), err), "")
	default:
		c.sessions.say(r, fmt.Sprintf("Version %d is in force: what version %d said.", n, v.N))
		http.Redirect(w, r, "/rules/edit", http.StatusSeeOther)
	}
}

// diffLine is a line of two texts: in both, only in the old one, only in the new
// one, or a word on how many are left out.
type diffLine struct {
	Kind string // "same", "del", "ins", "skip"
	Text string
}

const (
	diffAround = 3         // lines shown around a difference
	maxDiff    = 4_000_000 // pairs of lines that are compared
)

// differences compares two texts line by line. Of texts too different to compare
// so, all old lines go and all new ones come.
func differences(old, new string) []diffLine {
	a, b := lines(old), lines(new)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	all := make([]diffLine, 0, len(a)+len(b))
	for _, l := range a[:head] {
		all = append(all, diffLine{"same", l})
	}
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		all = append(all, diffLine{"same", l})
	}
	return around(all)
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// middle compares by the longest common subsequence.
func middle(a, b []string) (out []diffLine) {
	i, j := 0, 0
	if len(a)*len(b) <= maxDiff {
		width := len(b) + 1
		longest := make([]int32, (len(a)+1)*width) // of a[i:] and b[j:]
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if a[i] == b[j] {
					longest[i*width+j] = longest[(i+1)*width+j+1] + 1
				} else {
					longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
				}
			}
		}
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, diffLine{"same", a[i]})
				i, j = i+1, j+1
			case longest[(i+1)*width+j] >= longest[i*width+j+1]:
				out = append(out, diffLine{"del", a[i]})
				i++
			default:
				out = append(out, diffLine{"ins", b[j]})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		out = append(out, diffLine{"del", a[i]})
	}
	for ; j < len(b); j++ {
		out = append(out, diffLine{"ins", b[j]})
	}
	return out
}

// around leaves out lines that are the same and far from a difference.
func around(all []diffLine) (out []diffLine) {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Kind != "same" {
			for k := max(0, i-diffAround); k <= min(len(all)-1, i+diffAround); k++ {
				near[k] = true
			}
		}
	}
	for i := 0; i < len(all); i++ {
		if near[i] {
			out = append(out, all[i])
			continue
		}
		from := i
		for i+1 < len(all) && !near[i+1] {
			i++
		}
		out = append(out, diffLine{"skip", grouped(int64(i-from+1)) + " lines alike"})
	}
	return out
}
