package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// RuleEditor changes the site's own rules.
type RuleEditor interface {
	// Check says what is wrong with a text as the site's own file, its rules' tests
	// included, and what its author may not mean. An error is of the check itself.
	Check(ctx context.Context, text string) ([]RuleProblem, error)
	// Save makes v a version and puts it in force, as a reload does. What is wrong
	// comes back as problems, and then nothing has changed. between is called with
	// the version's number before anything is written.
	Save(ctx context.Context, base string, v rulefile.Version, between func(n int) error) (n int, wrong []RuleProblem, err error)
	// Replay says what text as the site's own file would do otherwise with the newest
	// ReplayLimit documents that were held in the last ReplayDays. A DraftError
	// where it does not load. keys open what the server cannot.
	Replay(ctx context.Context, text string, keys KeysOf, actor string) (gateway.Replayed, error)
}

// KeysOf returns what opens a document, as far as anybody here does.
type KeysOf func(ctx context.Context, id dlp.ID) (vault.Opened, error)

// RuleProblem is one thing that is wrong with rules.
type RuleProblem struct {
	Line    int    // of the site's own file, from 1; 0: it stands elsewhere
	Text    string // "KEY: what was expected", in front of it the place where Line is 0
	Warning bool   // it loads all the same
}

func (c *Console) editRoutes() []route {
	return []route{
		{"GET /rules/edit", editRules, c.editor},
		{"POST /rules/edit", editRules, c.changeRules},
		{"GET /rules/history", editRules, c.ruleHistory},
		{"GET /rules/history/{id}", editRules, c.ruleVersion},
		{"POST /rules/history/{id}/back", editRules, c.ruleBack},
	}
}

// firstDraft is what the editor has where a site has no rules of its own yet.
const firstDraft = "schema = 1\n"

type editPage struct {
	frame
	Rail     rail
	Draft    string
	Rows     int
	Gutter   template.HTML
	Under    template.HTML
	Base     string // digest of what the draft was made from
	Note     string
	Current  int // version in force, 0 for none or one that was written by hand
	ByHand   bool
	Versions []rulefile.Version
	Problems []RuleProblem
	Checked  bool // and nothing is wrong
	Amiss    string
	Form     tryForm
	Replayed *replayView // nil: nothing was replayed
}

// editor shows the site's own file.
func (c *Console) editor(w http.ResponseWriter, r *http.Request, u User) {
	text, _, err := c.RuleFile.Current()
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.showEdit(w, r, u, http.StatusOK, editPage{Draft: text, Base: rulefile.Digest(text)})
}

// railVersions is how many versions stand beside the editor.
const railVersions = 6

func (c *Console) showEdit(w http.ResponseWriter, r *http.Request, u User, status int, p editPage) {
	text, n, err := c.RuleFile.Current()
	if err == nil {
		p.Versions, err = c.RuleFile.List(0, railVersions)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if p.Draft == "" {
		p.Draft = firstDraft
	}
	p.Current, p.ByHand = n, text != "" && n == 0
	lines := strings.Count(p.Draft, "\n") + 1
	p.Rows = lines + 4
	p.Gutter, p.Under = gutter(p.Rows, p.Problems)
	p.Form.Rules = c.inForce()
	p.Rail = railOf(p.Form.Rules, "")
	p.Rail.Edit = true
	p.frame = c.frame(r, u, "Rules: edit")
	c.render(w, r, status, "ruleedit", p)
}

// gutter numbers lines, and marks those with something wrong.
func gutter(rows int, wrong []RuleProblem) (numbers, under template.HTML) {
	bad := map[int]bool{}
	for _, p := range wrong {
		bad[p.Line] = true
	}
	var n, u strings.Builder
	for i := 1; i <= rows; i++ {
		if bad[i] {
			fmt.Fprintf(&n, `<b class="amiss">%d</b>`, i)
			fmt.Fprintf(&u, "<b id=\"line-%d\">.</b>\n", i)
			continue
		}
		fmt.Fprintf(&n, "%d\n", i)
		u.WriteString("\n")
	}
	return template.HTML(n.String()), template.HTML(u.String())
}

// changeRules checks, tries or saves a draft. A draft is kept nowhere else than
// in the page.
func (c *Console) changeRules(w http.ResponseWriter, r *http.Request, u User) {
	fields, file, err := readForm(r)
	if err != nil {
		c.say(w, r, u, http.StatusRequestEntityTooLarge, "Nothing was changed: a form of this page is needed.", "A rule file has 1 MiB at most, and a text or file that is tried 8 MiB.")
		return
	}
	p := editPage{Draft: strings.ReplaceAll(fields.Get("draft"), "\r\n", "\n"), Base: fields.Get("base"), Note: strings.TrimSpace(fields.Get("note"))}
	status := http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), tryWithin)
	defer cancel()
	switch fields.Get("do") {
	case "save":
		if c.saveRules(w, r, u, &p) {
			return
		}
		status = http.StatusConflict
	case "try":
		c.tryDraft(ctx, u, &p, fields, file)
	case "replay":
		c.replayDraft(r, u, &p)
	case "check":
		if p.Problems, err = c.Editor.Check(ctx, p.Draft); err != nil {
			p.Amiss = "It could not be checked in the time that a page has. Nothing was changed."
		}
		p.Checked = err == nil && len(p.Problems) == 0
	default:
		p.Amiss = "Nothing was changed: choose what happens to the draft."
	}
	if status == http.StatusOK && (p.Amiss != "" || wrong(p.Problems)) {
		status = http.StatusBadRequest
	}
	c.showEdit(w, r, u, status, p)
}

func wrong(ps []RuleProblem) bool {
	for _, p := range ps {
		if !p.Warning {
			return true
		}
	}
	return false
}

// tryDraft tries the draft on what came with it.
func (c *Console) tryDraft(ctx context.Context, u User, p *editPage, fields url.Values, file []byte) {
	f, t, amiss := c.trialOf(fields, file)
	p.Form = f
	if amiss == "" {
		t.Draft = &p.Draft
		var problems *DraftError
		var err error
		if amiss, err = c.carryOut(ctx, u, &p.Form, t); errors.As(err, &problems) {
			p.Problems, amiss = problems.Problems, "The draft does not load, so it was not tried."
		}
	}
	p.Amiss = amiss
}

// DraftError says that a draft does not load.
type DraftError struct{ Problems []RuleProblem }

// Error returns no text of the draft.
func (e *DraftError) Error() string { return "the draft does not load" }

// saveRules makes the draft a version, and reports whether it has answered.
func (c *Console) saveRules(w http.ResponseWriter, r *http.Request, u User, p *editPage) (answered bool) {
	switch {
	case p.Note == "":
		p.Amiss = "Nothing was saved: say in a few words what changes, and why."
		return false
	case len(p.Note) > rulefile.MaxNote:
		p.Amiss = fmt.Sprintf("Nothing was saved: at most %d bytes of words.", rulefile.MaxNote)
		return false
	case len(p.Draft) > rulefile.MaxBytes:
		p.Amiss = "Nothing was saved: a rule file has 1 MiB at most."
		return false
	}
	n, problems, err := c.putRules(r.Context(), u, p.Base, rulefile.Version{Note: p.Note, Text: p.Draft})
	if p.Problems = problems; err == nil && len(problems) == 0 {
		c.sessions.say(r, fmt.Sprintf("Version %d is in force.", n))
		http.Redirect(w, r, "/rules/edit", http.StatusSeeOther)
		return true
	}
	if len(problems) == 0 {
		p.Amiss = c.notSaved(r.Context(), err)
	}
	return false
}

// putRules saves a version and puts it in force; it is on record before anything
// is written.
func (c *Console) putRules(ctx context.Context, u User, base string, v rulefile.Version) (int, []RuleProblem, error) {
	ctx = context.WithoutCancel(ctx) // an admin who goes away has saved
	v.By, v.At = u.Actor(), c.Now().UTC()
	var n int
	var problems []RuleProblem
	err := c.onRecord(ctx, func(record func(audit.Event) error) (err error) {
		n, problems, err = c.Editor.Save(ctx, base, v, func(n int) error {
			e := audit.Event{Kind: audit.RuleFile, Actor: u.Actor(), Digest: rulefile.Digest(v.Text), Reason: fmt.Sprintf("save:%d", n)}
			if v.Back > 0 {
				e.Reason = fmt.Sprintf("back:%d:%d", n, v.Back)
			}
			return record(e)
		})
		return err
	})
	return n, problems, err
}

// notSaved says why not.
func (c *Console) notSaved(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, rulefile.ErrChanged):
		return "Nothing was saved: somebody else saved a version meanwhile. See what it changed, and take that into your draft; then it can be saved."
	case errors.Is(err, rulefile.ErrFull):
		return "Nothing was saved: there are as many versions as are kept."
	}
	c.Log.LogAttrs(ctx, slog.LevelError, "a version of the site's own rules was not saved", safelog.Err(err))
	return "That was not done, or not wholly: see the versions, and the log of the server."
}
