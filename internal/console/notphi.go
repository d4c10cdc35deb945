package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Exempter makes what a rule file says of a finding that is not PHI.
type Exempter interface {
	// ValueDigest returns the keyed digest by which an allowlist names what the rules
	// in force find at at in doc. ErrNoFinding.
	ValueDigest(ctx context.Context, doc *dlp.Document, at Found) (string, error)
	// SenderDigest is the same of a reverse-path; "" where there is no key.
	SenderDigest(address string) string
	// Finds reports whether the rules in force find anything in text at medium or
	// above, or cannot tell: such words do not go into a rule file.
	Finds(text string) bool
}

// Found is where a rule found something.
type Found struct {
	Rule       dlp.RuleID
	Part       string
	Start, End int64
}

// ErrNoFinding says that the rules in force find nothing at that place.
var ErrNoFinding = errors.New("console: nothing is found there by the rules in force")

// What is proposed of a finding that is not PHI, the narrowest first.
const (
	exemptValue  = "value"
	exemptSender = "sender"
	exemptWords  = "words"
)

// kindWords say what sort of change a proposal is.
var kindWords = map[string]string{exemptValue: "this value is not reported", exemptSender: "counts as low from this sender", exemptWords: "words that speak against it"}

const (
	maxWhy        = 300 // bytes of a reason
	maxExemptDays = 366
	exemptDays    = 90 // unless another day is chosen
	maxWordsOf    = 5  // that speak against a finding
	readReason    = "not_phi"
)

func (c *Console) notPHIRoutes() []route {
	return []route{
		{"GET /items/{id}/notphi", decide, c.askNotPHI},
		{"POST /items/{id}/notphi", decide, c.notPHI},
	}
}

// notPHIPage is the form of a proposal, and what it would change.
type notPHIPage struct {
	frame
	ID         dlp.ID
	At         Found
	Finding    findingView
	From       string // "": there is none, as of files
	Typed      bool   // it is in a part that a typed password opened, and takes one to be read again
	Kind       string
	Why, Words string
	Near       string // bytes
	Expires    string
	First      string // days that may be chosen
	Last       string
	Amiss      string
	Problems   []RuleProblem
	Text       string // what would be added; "" before it was asked for
	Seen       string // digest of Text
	Replayed   *replayView
}

// foundIn reads which finding a form or an address is about.
func foundIn(v url.Values) Found {
	start, err := strconv.ParseInt(v.Get("start"), 10, 64)
	end, err2 := strconv.ParseInt(v.Get("end"), 10, 64)
	if err != nil || err2 != nil {
		return Found{}
	}
	return Found{dlp.RuleID(v.Get("rule")), v.Get("part"), start, end}
}

// notPHIOf begins the page of the finding that v names, in an item that u may see.
// That its case was opened is on record.
func (c *Console) notPHIOf(r *http.Request, u User, v url.Values) (p notPHIPage, d gateway.HeldDetail, err error) {
	id, keys, err := c.itemOf(r, u)
	if err != nil {
		return p, d, err
	}
	if d, err = c.Desk.ShowHeld(r.Context(), id, keys, u.Actor()); err != nil {
		return p, d, err
	}
	p.ID, p.At = id, foundIn(v)
	i := slices.IndexFunc(d.Findings, func(f gateway.Position) bool { return Found{f.Rule, f.Part, f.Start, f.End} == p.At })
	if i < 0 {
		return p, d, ErrNoFinding
	}
	parts, _ := c.parts(d.Findings[i:i+1], nil)
	p.Finding = parts[0].Findings[0]
	p.Typed = vault.ByPassword(d.Typed, p.At.Part)
	if d.Channel == dlp.Mail.String() {
		p.From = d.Sender
	}
	now := c.Now().UTC()
	p.First, p.Last, p.Expires = now.Format(time.DateOnly), now.AddDate(0, 0, maxExemptDays).Format(time.DateOnly), now.AddDate(0, 0, exemptDays).Format(time.DateOnly)
	p.Kind, p.Near = exemptValue, "40"
	return p, d, nil
}

func (c *Console) askNotPHI(w http.ResponseWriter, r *http.Request, u User) {
	p, _, err := c.notPHIOf(r, u, r.URL.Query())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.showNotPHI(w, r, u, http.StatusOK, p)
}

func (c *Console) showNotPHI(w http.ResponseWriter, r *http.Request, u User, status int, p notPHIPage) {
	p.frame = c.frame(r, u, "Not PHI")
	c.render(w, r, status, "notphi", p)
}

// notPHI shows what a change would do otherwise, and then proposes it. It changes
// nothing: an admin accepts.
func (c *Console) notPHI(w http.ResponseWriter, r *http.Request, u User) {
	if err := r.ParseForm(); err != nil {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was proposed: a form of this page is needed.", "")
		return
	}
	form := r.PostForm
	p, _, err := c.notPHIOf(r, u, form)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.Kind, p.Why, p.Words, p.Near, p.Expires = form.Get("kind"), strings.TrimSpace(form.Get("why")), strings.TrimSpace(form.Get("words")), strings.TrimSpace(form.Get("near")), form.Get("expires")
	if p.Amiss = c.amissOf(&p); p.Amiss != "" {
		c.showNotPHI(w, r, u, http.StatusBadRequest, p)
		return
	}
	if p.Text, err = c.exemption(r, u, &p); err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.Seen = rulefile.Digest(p.Text)
	if form.Get("do") == "propose" && form.Get("seen") == p.Seen {
		c.propose(w, r, u, &p)
		return
	}
	status := http.StatusOK
	text, _, err := c.RuleFile.Current()
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	proposal := rulefile.Proposal{Text: p.Text}
	if p.Replayed, p.Problems, p.Amiss = c.replay(r, u, proposal.Joined(text)); p.Amiss != "" {
		status = http.StatusConflict
	} else if form.Get("do") == "propose" {
		p.Amiss, status = "It was changed since you saw what it does: see it once more, then propose it.", http.StatusConflict
	}
	c.showNotPHI(w, r, u, status, p)
}

// amissOf says what is wrong with a form.
func (c *Console) amissOf(p *notPHIPage) string {
	day, err := time.Parse(time.DateOnly, p.Expires)
	switch {
	case kindWords[p.Kind] == "":
		return "Nothing was proposed: choose what changes."
	case p.Kind == exemptSender && p.From == "":
		return "Nothing was proposed: this has no sender."
	case p.Why == "" || len(p.Why) > maxWhy || strings.ContainsFunc(p.Why, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Sprintf("Nothing was proposed: say why in a line of at most %d bytes.", maxWhy)
	case c.Exempt.Finds(p.Why) || p.Kind == exemptWords && c.Exempt.Finds(p.Words):
		return "Nothing was proposed: the rules find something in your words. A rule file is no place for patients' data: say it without."
	case p.Kind != exemptWords && (err != nil || p.Expires < p.First || p.Expires > p.Last || day.IsZero()):
		return fmt.Sprintf("Nothing was proposed: choose a day from %s to %s on which it ends.", p.First, p.Last)
	case p.Kind != exemptWords:
		return ""
	}
	if near, err := strconv.Atoi(p.Near); err != nil || near < 0 || near > 200 {
		return "Nothing was proposed: words count within 0 to 200 bytes."
	}
	if n := len(commaWords(p.Words)); n == 0 || n > maxWordsOf || strings.ContainsFunc(p.Words, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Sprintf("Nothing was proposed: give one to %d words, with commas between.", maxWordsOf)
	}
	return ""
}

// commaWords takes apart words with commas between.
func commaWords(s string) (out []string) {
	for _, w := range strings.Split(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, strconv.Quote(w))
		}
	}
	return out
}

// exemption is what p adds to the rules. To name a value its document is read again,
// which is on record.
func (c *Console) exemption(r *http.Request, u User, p *notPHIPage) (string, error) {
	head := fmt.Sprintf("[[rules]]\nextends = %q\n\n", p.At.Rule)
	listed := func(key, digest string) string {
		return fmt.Sprintf("%s  [[rules.allowlists]]\n  description = %q\n  %s = [%q]\n  expires     = %q\n", head, p.Why, key, digest, p.Expires)
	}
	switch p.Kind {
	case exemptWords:
		return fmt.Sprintf("%s  [[rules.demote]] # %s\n  any         = [%s]\n  proximity   = %s\n", head, p.Why, strings.Join(commaWords(p.Words), ", "), p.Near), nil
	case exemptSender:
		digest := c.Exempt.SenderDigest(p.From)
		if digest == "" {
			return "", errNoKey
		}
		return listed("senders    ", digest), nil
	}
	id, keys, err := c.itemOf(r, u)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	var digest string
	password := r.PostFormValue("password")
	if !passwordMay(password) {
		return "", gateway.ErrNoPassword
	}
	err = c.Desk.ReadHeld(ctx, id, keys, u.Actor(), readReason, func(doc *dlp.Document) (err error) {
		doc.Passwords = typed(password)
		digest, err = c.Exempt.ValueDigest(ctx, doc, p.At)
		return err
	})
	switch {
	case err == nil && digest == "":
		err = errNoKey
	case errors.Is(err, ErrNoFinding) && password != "":
		err = gateway.ErrPassword
	}
	return listed("digests    ", digest), err
}

// errNoKey says that there is no key for digests of values.
var errNoKey = errors.New("console: no key for digests of values")

// propose keeps p's change for an admin, once that is on record.
func (c *Console) propose(w http.ResponseWriter, r *http.Request, u User, p *notPHIPage) {
	var n int
	err := c.onRecord(r.Context(), func(record func(audit.Event) error) (err error) {
		n, err = c.RuleFile.Propose(rulefile.Proposal{By: u.Actor(), At: c.Now().UTC(), Why: p.Why, Kind: p.Kind, Rule: p.At.Rule, Item: p.ID, Text: p.Text},
			func(n int) error {
				return record(audit.Event{Kind: audit.RuleFile, Doc: p.ID, Actor: u.Actor(), Digest: p.Seen, Reason: fmt.Sprintf("propose:%d", n)})
			})
		return err
	})
	switch {
	case errors.Is(err, rulefile.ErrWaiting), errors.Is(err, rulefile.ErrFull):
		c.say(w, r, u, http.StatusConflict, "Nothing was proposed: as many proposals wait as may.", "An admin accepts or declines some first.")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		c.sessions.say(r, fmt.Sprintf("Proposal %d waits for an admin. Nothing has changed yet.", n))
		http.Redirect(w, r, fmt.Sprintf("/rules/proposals/%d", n), http.StatusSeeOther)
	}
}
