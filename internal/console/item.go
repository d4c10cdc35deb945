package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	maxShown   = 40        // findings that one page shows
	maxReveal  = 256 << 10 // bytes of a part that one page shows
	revealFor  = 5 * time.Minute
	readWithin = 30 * time.Second // a page waits so long for the document to be read again
)

// revealReasons are why somebody may look; each stands in the audit log.
var revealReasons = []string{"to_decide", "possible_false_hit", "second_look", "incident"}

func (c *Console) itemRoutes() []route {
	return []route{
		{"GET /items/{id}", see, c.item},
		{"GET /items/{id}/next", see, c.next},
		{"GET /items/{id}/previous", see, c.previous},
		{"POST /items/{id}/reveal", reveal, c.reveal},
		{"POST /items/{id}/open", decide, c.openEncrypted},
	}
}

// findingView is one finding, masked.
type findingView struct {
	Name, Rule, Type, Confidence string
	Line                         int
	Start, End                   int64
	Masked                       string        // "" where it could not be read again
	Before, After                template.HTML // veiled
	Evidence                     []evidence
}

type evidence struct{ Class, Text string }

// partView is one part with what was found in it.
type partView struct {
	N                 int // its place in the document
	Path, Label, Kind string
	Findings          []findingView
	Count             int
	Typed             bool        // it takes the password that opened it to reveal it
	Within            []*partView // parts of it
}

type gapView struct{ Part, Ending, Cause, Detail string }

type itemPage struct {
	frame
	ID            dlp.ID
	It            gateway.Held
	Why           string
	From          string
	To            []recipient
	Parts         []*partView // those in which something was found first
	Tree          []*partView // those that are within none
	Others        others
	Gaps          []gapView
	Total, Hidden int
	Unread        string // why the masked surroundings are not there
	Unlocked      bool   // by the open key of the session
	Claimed       string
	Mine, Open    bool
	Two           bool // its release takes two people
	Patients      int
	Reasons       []string
	RevealReasons []string
	Ask           *gateway.SendersAsk
	DecidedBy     string
	Count         int
	Locked        bool // an encrypted part was not read

	Places  []string // of others, whose deputy the reader is
	InPlace string   // of whom they have this item
	OnHold  bool     // a legal hold stands on it
	Hold    gateway.LegalHold
	Void    bool        // who decided first may decide no more
	Own     bool        // it is their own mail, or of whose deputy they are
	Choices []recipient // those whose addresses differ in case alone once

	At string // query of the list that the item is looked at in

	History history
}

// recipient is one of an item's, or in whose place a viewer sees how many there are.
type recipient struct {
	Addr string
	Way  string // on which they would get it encrypted, in words; "": that is not known
}

// item shows why one item was held. Looking is on record.
func (c *Console) item(w http.ResponseWriter, r *http.Request, u User) {
	id, keys, err := c.itemOf(r, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	d, err := c.Desk.ShowHeld(r.Context(), id, keys, u.Actor())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p := itemPage{ID: id, It: d.Held, Total: len(d.Findings), Reasons: c.Reasons, RevealReasons: revealReasons, Claimed: c.claims.who(id), Ask: d.Ask,
		DecidedBy: person(d.DecidedBy), Open: d.State == string(vault.Held), Two: d.Two, Patients: d.Patients}
	_, p.At = c.listAt(r)
	p.Mine, p.Unlocked = p.Claimed == u.Name, keys.Case != nil
	if p.Hold, p.OnHold, err = c.Legal.LegalHoldOn(r.Context(), id); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if err := c.deputyOn(&p, u); err != nil {
		c.fail(w, r, u, err)
		return
	}
	var again survey.Document
	parts := partsOf(d.Parts)
	if p.Open && len(parts) == 0 { // it was held before this was noted, or there was no time
		ctx, cancel := context.WithTimeout(r.Context(), readWithin)
		err = c.Desk.ReadHeld(ctx, id, keys, u.Actor(), "masked", func(doc *dlp.Document) (err error) {
			again, parts, err = c.Reader.Masked(ctx, doc)
			return err
		})
		cancel()
		if err != nil {
			p.Unread = "It could not be read again just now, so masked values and their surroundings are not shown. What was found stands as it was when it was held."
		}
	}
	if err := c.people(r.Context(), &p, u); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if p.Others, err = c.others(r.Context(), &d.Held, u); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if u.may(past) {
		if p.History, err = c.historyOf(r.Context(), r, &p); err != nil {
			if !c.noPlace(w, r, u, err) {
				c.fail(w, r, u, err)
			}
			return
		}
	}
	p.Parts, p.Hidden = c.parts(withMasks(d.Findings, again.Findings), parts)
	for _, part := range p.Parts {
		part.Typed = vault.ByPassword(d.Typed, part.Path)
	}
	p.Tree, p.Parts = tree(p.Parts), foundFirst(p.Parts)
	rules := c.rulesByID()
	for _, f := range d.Findings {
		if _, ok := rules[f.Rule]; !ok { // of a rule that is not in force any more
			rules[f.Rule] = Rule{ID: f.Rule, Type: f.Type}
		}
	}
	p.Why = "Held because of: " + lowerFirst(because(kinds(d.Rules, rules), &d.Held)) + "."
	for _, g := range d.Gaps {
		p.Gaps = append(p.Gaps, gapView{partLabel(g.Part), Ending(g.Name), codeWords(g.Cause), g.Detail})
		p.Locked = p.Locked || g.Cause == dlp.Encrypted.String()
	}
	p.frame = c.frame(r, u, "Item "+string(id))
	c.render(w, r, http.StatusOK, "item", p)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// people fills in who it is from and for, and to an officer how each would get it
// encrypted.
func (c *Console) people(ctx context.Context, p *itemPage, u User) error {
	from, to := fromTo(&p.It, u)
	p.From = from
	if !u.may(names) {
		if to != "" {
			p.To = []recipient{{Addr: to}}
		}
		return nil
	}
	var ways map[string]dlp.Way
	if p.Open && p.It.Channel == dlp.Mail.String() {
		var err error
		if ways, err = c.Desk.WaysTo(ctx, p.ID); err != nil {
			return err
		}
	}
	for _, addr := range p.It.Recipients {
		r := recipient{Addr: addr}
		if way, known := ways[addr]; known {
			r.Way = wayWords(way)
		}
		p.To = append(p.To, r)
		if !slices.ContainsFunc(p.Choices, func(x recipient) bool { return strings.EqualFold(x.Addr, addr) }) {
			p.Choices = append(p.Choices, r)
		}
	}
	return nil
}

// stars finds a masked word.
var stars = regexp.MustCompile(`\*+`)

// veiled escapes s and draws each masked word as a veil of about its length.
func veiled(s string) template.HTML {
	var b strings.Builder
	last := 0
	for _, m := range stars.FindAllStringIndex(s, -1) {
		b.WriteString(template.HTMLEscapeString(s[last:m[0]]))
		fmt.Fprintf(&b, `<span class="veil veil-%d"></span>`, min(5, 1+(m[1]-m[0])/3))
		last = m[1]
	}
	b.WriteString(template.HTMLEscapeString(s[last:]))
	return template.HTML(b.String())
}

// shownEnding is a file name's ending that says what kind of file it is.
var shownEnding = regexp.MustCompile(`\.[A-Za-z][A-Za-z0-9]{1,4}$`)

// Ending is all that is shown of a file name before Reveal.
func Ending(name string) string { return strings.ToLower(shownEnding.FindString(name)) }

func partLabel(path string) string {
	switch {
	case path == "":
		return "The file"
	case path == "HEADER":
		return "Headers"
	case strings.HasSuffix(path, "HEADER"):
		return "Headers of " + strings.TrimSuffix(path, ".HEADER")
	case strings.HasSuffix(path, ".MIME"):
		return "Declared names of part " + strings.TrimSuffix(path, ".MIME")
	}
	return "Part " + path
}

type piece struct {
	Text string
	Hit  bool
}

// reveal shows the text of one part, after the reason is on record.
func (c *Console) reveal(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	reason, part, password := r.PostFormValue("reason"), r.PostFormValue("part"), r.PostFormValue("password")
	switch {
	case err != nil:
		c.fail(w, r, u, err)
		return
	case !slices.Contains(revealReasons, reason):
		c.say(w, r, u, http.StatusBadRequest, "Nothing was revealed: a reason is needed.", "Go back and choose one.")
		return
	case !passwordMay(password):
		c.fail(w, r, u, gateway.ErrNoPassword)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	var text string
	var whole bool
	keys, err := c.opened(r, u, id)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	err = c.Desk.ReadHeld(ctx, id, keys, u.Actor(), "reveal:"+reason, func(doc *dlp.Document) (err error) {
		doc.Passwords = typed(password)
		text, whole, err = c.Reader.Text(ctx, doc, part, maxReveal)
		return err
	})
	if errors.Is(err, ErrNoPart) && password != "" {
		err = gateway.ErrPassword
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	d, err := c.Desk.ShowHeld(r.Context(), id, keys, u.Actor())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	w.Header().Set("Refresh", fmt.Sprintf("%d; url=/items/%s", int(revealFor/time.Second), id))
	c.render(w, r, http.StatusOK, "revealed", struct {
		frame
		ID     dlp.ID
		Label  string
		Reason string
		At     time.Time
		Whole  bool
		Pieces []piece
	}{c.frame(r, u, "Revealed part of item "+string(id)), id, partLabel(part), reason, c.Now(), whole, marked(text, part, d.Findings)})
}

// passwordMay reports whether s is a password that is tried, or none.
func passwordMay(s string) bool { return len(s) <= gateway.MaxPassword && utf8.ValidString(s) }

// typed is what a document is read with where somebody typed a password, "" for none.
func typed(password string) []string {
	if password == "" {
		return nil
	}
	return []string{password}
}

// openEncrypted reads an item again with the password that was typed. It is in
// no page, log or URL.
func (c *Console) openEncrypted(w http.ResponseWriter, r *http.Request, u User) {
	id, keys, err := c.itemOf(r, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	mine := c.claims.who(id) == u.Name
	if by, ok := c.claims.take(id, u); !ok {
		c.say(w, r, u, http.StatusConflict, "This is in somebody's hand.", claimedBy(by))
		return
	}
	defer func() {
		if !mine {
			c.claims.drop(id, u.Name)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), readWithin)
	defer cancel()
	opened, err := c.Desk.OpenEncrypted(ctx, id, keys, u.Actor(), r.PostFormValue("password"))
	if errors.Is(err, context.DeadlineExceeded) {
		err = gateway.ErrOpenedSlow
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	said := fmt.Sprintf("Opened and read: %s, %s. It stays held until somebody decides.", several(opened.Parts, "part"), several(opened.Findings, "new finding"))
	c.sessions.say(r, said)
	c.backToItem(w, r, id)
}

// several says how many of something there are.
func several(n int, of string) string {
	switch n {
	case 0:
		return "no " + of
	case 1:
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// marked cuts text at what was found in it.
func marked(text, part string, found []gateway.Position) []piece {
	var out []piece
	last := int64(0)
	slices.SortFunc(found, func(a, b gateway.Position) int { return int(a.Start - b.Start) })
	for _, f := range found {
		if f.Part != part || f.Start < last || f.End > int64(len(text)) || f.Start >= f.End {
			continue
		}
		out = append(out, piece{text[last:f.Start], false}, piece{text[f.Start:f.End], true})
		last = f.End
	}
	return append(out, piece{text[last:], false})
}
