package console

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/tally"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	pageRows = 50   // of a page
	mostSeen = 1000 // items that one page opens to look whether they match; then it offers to look on
	oneList  = 500  // items that are asked for at once
)

func (c *Console) queueRoutes() []route {
	return []route{{"GET /queue", see, c.queue}, {"POST /queue", see, c.ask}}
}

// search is what a list is narrowed to.
type search struct {
	Of                                     string // a standing view; "": any
	Rule, Type, Channel, Confidence, State string
	Days                                   int // at most so old; 0: any
	personal                                   // domains, and words all of which an item's fields have
}

// filterStates are the states one may ask for; "" is held.
var filterStates = []string{"", string(vault.Released), string(vault.Rejected), string(vault.Expired), "all"}

func searchOf(q url.Values) search {
	s := search{Of: q.Get("of"), Rule: q.Get("rule"), Type: q.Get("type"), Channel: q.Get("channel"), Confidence: q.Get("confidence"), State: q.Get("state"),
		personal: personal{From: asDomain(q.Get("from")), To: asDomain(q.Get("to"))}}
	if !slices.Contains(filterStates, s.State) {
		s.State = ""
	}
	if !slices.ContainsFunc(standingViews, func(v choice) bool { return v.Value == s.Of }) {
		s.Of = ""
	}
	if s.Words = strings.ToLower(strings.Join(strings.Fields(q.Get("q")), " ")); len(s.Words) > maxQuery {
		s.Words = strings.ToValidUTF8(s.Words[:maxQuery], "")
	}
	if n, err := strconv.Atoi(q.Get("days")); err == nil && n > 0 {
		s.Days = min(n, maxAge)
	}
	return s
}

// asDomain is the domain of what was typed: whose address it is is not asked for, and
// stays in no view.
func asDomain(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if s = s[strings.LastIndexByte(s, '@')+1:]; len(s) > maxDomain {
		s = strings.ToValidUTF8(s[:maxDomain], "")
	}
	return s
}

// query is all of the search, as a view keeps it.
func (s search) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"of": s.Of, "rule": s.Rule, "type": s.Type, "from": s.From, "to": s.To, "channel": s.Channel, "confidence": s.Confidence, "state": s.State, "q": s.Words} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if s.Days > 0 {
		q.Set("days", strconv.Itoa(s.Days))
	}
	return q
}

// urgent is the word that finds what officers are called about.
const urgent = "urgent"

// asks is what the vault is asked for: what has all of it matches, but for what the
// vault cannot find things by.
func (s search) asks(now time.Time, rules []Rule) vault.Query {
	var q vault.Query
	switch s.State {
	case "":
		q.State = vault.Held
	case "all":
	default:
		q.State = vault.State(s.State)
	}
	if s.Days > 0 {
		q.Since = now.Add(-time.Duration(s.Days) * 24 * time.Hour)
	}
	one := func(k vault.FieldKind, v string) {
		if v != "" {
			q.All = append(q.All, []vault.Field{{Kind: k, Value: v}})
		}
	}
	one(vault.ByRule, s.Rule)
	one(vault.ByFrom, s.From)
	one(vault.ByTo, s.To)
	one(vault.ByChannel, s.Channel)
	one(vault.ByConfidence, s.Confidence)
	if s.Type != "" {
		any := []vault.Field{}
		for _, r := range rules {
			if string(r.Type) == s.Type {
				any = append(any, vault.Field{Kind: vault.ByRule, Value: string(r.ID)})
			}
		}
		q.All = append(q.All, any)
	}
	for w := range strings.FieldsSeq(s.Words) {
		switch id, err := dlp.ParseID(w); {
		case err == nil:
			q.IDs = []dlp.ID{id}
		case w == urgent:
			q.Calls = true
		default:
			q.All = append(q.All, fieldsOf(w, rules))
		}
	}
	return q
}

// fieldsOf are the fields that the word w stands for.
func fieldsOf(w string, rules []Rule) []vault.Field {
	out := []vault.Field{{Kind: vault.ByWord, Value: w}}
	for _, r := range rules {
		if ruleHas(r.ID, r.Type, w) {
			out = append(out, vault.Field{Kind: vault.ByRule, Value: string(r.ID)})
		}
	}
	for _, c := range dlp.Causes() {
		if causeHas(c.String(), w) {
			out = append(out, vault.Field{Kind: vault.ByCause, Value: c.String()})
		}
	}
	return out
}

// ruleHas reports whether w is in a rule's id, or in what it finds.
func ruleHas(id dlp.RuleID, t dlp.Type, w string) bool {
	return strings.Contains(strings.ToLower(string(id)), w) || t != "" && (strings.Contains(strings.ToLower(string(t)), w) || strings.Contains(strings.ToLower(notify.TypeWords(t)), w))
}

func causeHas(cause, w string) bool {
	return strings.Contains(cause, w) || strings.Contains(codeWords(cause), w)
}

// matches reports whether h is asked for.
func (s search) matches(h *gateway.Held, rules map[dlp.RuleID]Rule) bool {
	switch {
	case s.Rule != "" && !slices.Contains(h.Rules, dlp.RuleID(s.Rule)),
		s.Type != "" && !slices.ContainsFunc(h.Rules, func(r dlp.RuleID) bool { return string(rules[r].Type) == s.Type }),
		s.Channel != "" && h.Channel != s.Channel,
		s.Confidence == "none" && len(h.Rules) > 0,
		s.Confidence != "" && s.Confidence != "none" && h.Confidence != s.Confidence,
		s.From != "" && domainOf(h.Sender) != s.From,
		s.To != "" && !slices.ContainsFunc(h.Recipients, func(r string) bool { return domainOf(r) == s.To }):
		return false
	}
	for w := range strings.FieldsSeq(s.Words) {
		if !hasWord(h, rules, w) {
			return false
		}
	}
	return true
}

// hasWord reports whether a field of h that holds no PHI has the word w: a rule, a
// kind of data or a cause anywhere in it, a domain, the policy, the channel and
// the confidence as vault.Words cuts them, and the id as a whole.
func hasWord(h *gateway.Held, rules map[dlp.RuleID]Rule, w string) bool {
	if w == string(h.ID) || w == urgent && h.Urgent ||
		slices.ContainsFunc(h.Rules, func(r dlp.RuleID) bool { return ruleHas(r, rules[r].Type, w) }) ||
		slices.ContainsFunc(h.Causes, func(c string) bool { return causeHas(c, w) }) {
		return true
	}
	whole := []string{h.Policy, h.Channel, h.Confidence}
	if h.Channel == dlp.Mail.String() {
		whole = append(whole, domainOf(h.Sender))
		for _, r := range h.Recipients {
			whole = append(whole, domainOf(r))
		}
	}
	return slices.ContainsFunc(whole, func(s string) bool { return slices.Contains(vault.Words(s), w) })
}

// maxDomain bounds a domain, in bytes.
const maxDomain = 255 // RFC 1035 2.3.4

// maxAge bounds the age that is asked for, in days: more is longer than anything is kept.
const maxAge = 36_500

// maxQuery bounds the words of one search, in bytes.
const maxQuery = 200

// rulesByID are the rules in force.
func (c *Console) rulesByID() map[dlp.RuleID]Rule {
	rules := map[dlp.RuleID]Rule{}
	for _, r := range c.Rules() {
		rules[r.ID] = r
	}
	return rules
}

// kinds are what the rules of ids find, what weighs most first.
func kinds(ids []dlp.RuleID, rules map[dlp.RuleID]Rule) (types []dlp.Type) {
	var known []Rule
	for _, id := range ids {
		if r, ok := rules[id]; ok {
			known = append(known, r)
		}
	}
	slices.SortStableFunc(known, func(a, b Rule) int { return cmp.Compare(a.Severity, b.Severity) })
	for _, r := range known {
		if !slices.Contains(types, r.Type) {
			types = append(types, r.Type)
		}
	}
	return types
}

// row is one line of the queue: no subject, no file name, no matched text.
type row struct {
	ID         dlp.ID
	State      string
	Received   time.Time
	Channel    string
	Why        string
	From, To   string
	Size       int64
	Types      []dlp.Type
	Gap        bool
	Asked      bool // for its release, by its sender
	Confidence string
	Claimed    string
	Mine       bool
	Selectable bool
	Urgent     bool       // officers are called until somebody decides
	Drill      bool       // it was of a drill
	Proposed   bool       // it waits for a second decision
	Ends       *time.Time // when it ends if nobody decides
	Late       bool       // that is within a day
	Version    string     // of what is shown
}

type queuePage struct {
	frame
	Search   search
	Rows     []row
	Rules    []Rule
	Types    []dlp.Type
	Reasons  []string
	Next     string // URL of the next page, "" for none
	Cut      bool   // the next page looks on; this one looked through mostSeen
	Narrowed bool
	Later    bool // this is not the first page
	Seen     int  // items looked through at most
	Standing []railView
	Views    []View
	Query    string // the search, as a view keeps it
	At       string // query of this page
	Portal   bool   // recipients open mail in a browser
	Wider    string // where nothing matches: URL of the same search of whatever state
	Passed   string // where nothing is held: what passed today, in words
	LastHeld *time.Time

	places []string // in whose place the reader decides
}

// choice is one value of a filter.
type choice struct{ Value, Name string }

// filterData is what the form of filters shows; it stands on the page twice,
// for the rail and for a phone, and id keeps the two apart.
type filterData struct {
	ID          string
	P           queuePage
	Confidences []choice
	Ages        []int
	States      []string
}

// confidences are those that may be chosen.
var confidences = []choice{{"high", "High"}, {"medium", "Medium"}, {"low", "Low"}, {"none", "Only gaps"}}

func filters(id string, p queuePage) filterData {
	return filterData{id, p, confidences, []int{1, 3, 7, 30}, filterStates[1:]}
}

func (c *Console) queue(w http.ResponseWriter, r *http.Request, u User) {
	s, known := c.searchAt(r)
	if !known {
		c.sessions.say(r, "What was typed into that search has ended with its session, or is too long ago: search once more.")
		http.Redirect(w, r, c.urlOf(r, s), http.StatusSeeOther)
		return
	}
	rules := c.Rules()
	f := c.listed(s, u)
	if after := r.URL.Query().Get("after"); after != "" {
		id, err := dlp.ParseID(after)
		if err != nil {
			c.fail(w, r, u, vault.ErrNotFound)
			return
		}
		f.After = id
	}
	later := f.After != ""
	p := queuePage{Search: s, Rules: rules, Reasons: c.Reasons, Narrowed: len(s.query()) > 0, Later: later, Seen: mostSeen}
	for _, rule := range rules {
		if !slices.Contains(p.Types, rule.Type) {
			p.Types = append(p.Types, rule.Type)
		}
	}
	slices.Sort(p.Types)
	if u.may(decide) {
		var err error
		if p.places, err = c.Deputy.InPlaceOf(u.Name); err != nil { // what others claimed is theirs
			c.Log.LogAttrs(r.Context(), slog.LevelWarn, "deputies could not be read", safelog.Err(err))
		}
	}
	more, err := c.fill(r, &p, f, c.rulesByID(), u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if more != "" {
		at := c.urlOf(r, s)
		sep := "?"
		if strings.Contains(at, "?") {
			sep = "&"
		}
		p.Next = at + sep + "after=" + string(more)
	}
	if p.Views, err = c.Views.Of(u.Name); err != nil { // the queue is there without them
		c.Log.LogAttrs(r.Context(), slog.LevelWarn, "saved views could not be read", safelog.Err(err))
	}
	if len(p.Rows) == 0 {
		c.whatInstead(r, &p, s)
	}
	p.Query, p.Portal = s.query().Encode(), c.Pickups != nil
	_, p.At = c.listAt(r)
	p.frame = c.frame(r, u, "Queue")
	p.Standing = c.rail(r, u, s, p.Held)
	c.render(w, r, http.StatusOK, "queue", p)
}

// whatInstead says what there is where a queue is empty: a wider search, or what passed
// today and when something was held last. What cannot be told is left out.
func (c *Console) whatInstead(r *http.Request, p *queuePage, s search) {
	if p.Narrowed {
		if s.State != "all" {
			s.State = "all"
			p.Wider = c.urlOf(r, s)
		}
		return
	}
	today := tally.Day(c.Now())
	counts, err := c.Figures.By(r.Context(), tally.Passed, today, today)
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelWarn, "what passed today could not be counted", safelog.Err(err))
	}
	var passed []string
	for _, x := range counts {
		switch x.Of {
		case dlp.Mail.String():
			passed = append(passed, several(int(x.N), "message"))
		case dlp.File.String():
			passed = append(passed, several(int(x.N), "file"))
		}
	}
	p.Passed = upper(listed(passed))
	if hs, _, err := c.Desk.FindHeld(r.Context(), vault.Query{Limit: 1}); err == nil && len(hs) > 0 {
		p.LastHeld = &hs[0].Received
	}
}

// fill adds the rows of one page and returns the item after which the next one
// begins, "" for none.
func (c *Console) fill(r *http.Request, p *queuePage, f vault.Query, rules map[dlp.RuleID]Rule, u User) (dlp.ID, error) {
	f.Limit = pageRows + 1
	var more dlp.ID
	on, err := c.down(r, p.Search, f, rules, u, func(h *gateway.Held) bool {
		if len(p.Rows) == pageRows {
			more = p.Rows[pageRows-1].ID
			return true
		}
		x := c.row(h, rules, u)
		x.Selectable = x.Selectable || x.State == string(vault.Held) && slices.Contains(p.places, x.Claimed)
		p.Rows = append(p.Rows, x)
		return false
	})
	p.Cut = on != ""
	return cmp.Or(more, on), err
}

// down hands do what is in the list of s, from where f begins, until do says that it is
// enough. on is where to look on after so much was looked through that it ended there,
// else "". The first read is of f.Limit items.
func (c *Console) down(r *http.Request, s search, f vault.Query, rules map[dlp.RuleID]Rule, u User, do func(*gateway.Held) (enough bool)) (on dlp.ID, err error) {
	for seen := 0; ; f.Limit = oneList {
		hs, next, err := c.Desk.FindHeld(r.Context(), f)
		if err != nil {
			return "", err
		}
		for i := range hs {
			if h := &hs[i]; c.lists(s, h, f.Since, rules, u) && do(h) {
				return "", nil
			}
		}
		if f.After = next; next == "" {
			return "", nil
		}
		if seen += len(hs); seen >= mostSeen || len(hs) == 0 {
			return next, nil
		}
	}
}

func (c *Console) row(h *gateway.Held, rules map[dlp.RuleID]Rule, u User) row {
	x := row{ID: h.ID, State: h.State, Received: h.Received, Channel: h.Channel, Size: h.Size, Gap: len(h.Causes) > 0, Confidence: h.Confidence, Asked: h.Asked, Drill: h.Drill, Version: h.Version}
	x.Types = kinds(h.Rules, rules)
	x.Why = because(x.Types, h)
	x.From, x.To = fromTo(h, u)
	x.Urgent = h.Urgent
	x.Proposed, x.Ends = h.Proposed != nil, h.Ends
	x.Late = c.within(ofEnding, h, u)
	x.Claimed = c.claims.who(h.ID)
	x.Mine = x.Claimed == u.Name
	x.Selectable = h.State == string(vault.Held) && (x.Claimed == "" || x.Mine) && u.may(decide)
	return x
}

// fromTo says who sent it and to whom, in a viewer's list by domain.
func fromTo(h *gateway.Held, u User) (from, to string) {
	if h.Damaged {
		return "not known: what is kept does not open", ""
	}
	from, to = h.Sender, domains(h.Recipients)
	if h.Channel == dlp.File.String() {
		return "a watched folder", ""
	}
	if !u.may(names) && from != "" {
		from = "someone at " + domainOf(from)
	}
	return from, to
}

// because is why something was held, in one clause without names or values.
func because(types []dlp.Type, h *gateway.Held) string {
	var what []string
	for _, t := range types {
		what = append(what, notify.TypeWords(t))
	}
	found := listed(what)
	switch {
	case h.Damaged:
		return "What is kept of it does not open"
	case found == "" && len(h.Causes) > 0:
		return "A part could not be read: " + listed(mapWords(h.Causes)) + ". Nothing found in the rest"
	case found == "":
		return "Held by policy " + h.Policy
	case len(h.Causes) > 0:
		return upper(found) + "; a part could not be read: " + listed(mapWords(h.Causes))
	}
	return upper(found)
}

func mapWords(codes []string) []string {
	var out []string
	for _, c := range codes {
		if w := codeWords(c); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// listed joins words: "a", "a and b", "a, b and c", "a, b, c and 2 other kinds".
func listed(what []string) string {
	if n := len(what); n > 4 {
		what = append(slices.Clone(what[:3]), strconv.Itoa(n-3)+" other kinds")
	}
	switch n := len(what); n {
	case 0:
		return ""
	case 1:
		return what[0]
	default:
		return strings.Join(what[:n-1], ", ") + " and " + what[n-1]
	}
}

// ErrNoPart says that the document has no such part, or that it has no text.
var ErrNoPart = errors.New("console: no such part")
