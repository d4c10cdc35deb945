package console

import (
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
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	pageRows = 50   // of a page
	mostSeen = 4000 // items that one page looks through for those that match; then it offers to look on
	oneList  = 500  // items that are asked for at once
)

func (c *Console) queueRoutes() []route {
	return []route{{"GET /queue", see, c.queue}}
}

// search is what a list is narrowed to. Its fields hold no PHI.
type search struct {
	Rule, Type, From, To, Channel, Confidence, State string
	Days                                             int    // at most so old; 0: any
	Words                                            string // all of which an item's fields have
}

// filterStates are the states one may ask for; "" is held.
var filterStates = []string{"", string(vault.Released), string(vault.Rejected), string(vault.Expired), "all"}

func searchOf(q url.Values) search {
	s := search{Rule: q.Get("rule"), Type: q.Get("type"), Channel: q.Get("channel"), Confidence: q.Get("confidence"), State: q.Get("state"),
		From: asDomain(q.Get("from")), To: asDomain(q.Get("to"))}
	if !slices.Contains(filterStates, s.State) {
		s.State = ""
	}
	if s.Words = strings.ToLower(strings.Join(strings.Fields(q.Get("q")), " ")); len(s.Words) > maxQuery {
		s.Words = strings.ToValidUTF8(s.Words[:maxQuery], "")
	}
	if n, err := strconv.Atoi(q.Get("days")); err == nil && n > 0 {
		s.Days = n
	}
	return s
}

// asDomain is the domain of what was typed: whose address it is stays in no URL and
// in no view.
func asDomain(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	return s[strings.LastIndexByte(s, '@')+1:]
}

// query is the search as a URL has it.
func (s search) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"rule": s.Rule, "type": s.Type, "from": s.From, "to": s.To, "channel": s.Channel, "confidence": s.Confidence, "state": s.State, "q": s.Words} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if s.Days > 0 {
		q.Set("days", strconv.Itoa(s.Days))
	}
	return q
}

func (s search) filter() vault.Filter {
	f := vault.Filter{Newest: true, Limit: oneList}
	switch s.State {
	case "all":
		f.All = true
	default:
		f.State = vault.State(s.State)
	}
	return f
}

// matches reports whether h is asked for.
func (s search) matches(h *gateway.Held, types map[dlp.RuleID]dlp.Type) bool {
	switch {
	case s.Rule != "" && !slices.Contains(h.Rules, dlp.RuleID(s.Rule)),
		s.Type != "" && !slices.ContainsFunc(h.Rules, func(r dlp.RuleID) bool { return string(types[r]) == s.Type }),
		s.Channel != "" && h.Channel != s.Channel,
		s.Confidence == "none" && len(h.Rules) > 0,
		s.Confidence != "" && s.Confidence != "none" && h.Confidence != s.Confidence,
		s.From != "" && domainOf(h.Sender) != s.From,
		s.To != "" && !slices.ContainsFunc(h.Recipients, func(r string) bool { return domainOf(r) == s.To }):
		return false
	}
	return s.Words == "" || hasWords(h, types, s.Words)
}

// hasWords reports whether the fields of h that hold no PHI have all words: ids,
// state, channel, policy, rules, kinds of data, causes, confidence, and domains.
func hasWords(h *gateway.Held, types map[dlp.RuleID]dlp.Type, words string) bool {
	var b strings.Builder
	put := func(s string) { b.WriteString(s); b.WriteByte('\n') }
	put(string(h.ID))
	for _, s := range []string{h.State, h.Channel, h.Policy, h.Confidence, domainOf(h.Sender)} {
		put(s)
	}
	for _, r := range h.Rules {
		put(string(r))
		if t := types[r]; t != "" {
			put(string(t))
			put(notify.TypeWords(t))
		}
	}
	for _, c := range h.Causes {
		put(c)
		put(codeWords(c))
	}
	for _, r := range h.Recipients {
		put(domainOf(r))
	}
	if h.Urgent {
		put("urgent")
	}
	fields := strings.ToLower(b.String())
	for w := range strings.FieldsSeq(words) {
		if !strings.Contains(fields, w) {
			return false
		}
	}
	return true
}

// maxQuery bounds the words of one search, in bytes.
const maxQuery = 200

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
	Proposed   bool       // it waits for a second decision
	Ends       *time.Time // when it ends if nobody decides
	Late       bool       // that is within a day
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
	Views    []View
	Query    string // the search, as a URL has it
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

func filters(id string, p queuePage) filterData {
	return filterData{id, p, []choice{{"high", "High"}, {"medium", "Medium"}, {"low", "Low"}, {"none", "Only gaps"}}, []int{1, 3, 7, 30}, filterStates[1:]}
}

func (c *Console) queue(w http.ResponseWriter, r *http.Request, u User) {
	s := searchOf(r.URL.Query())
	f := s.filter()
	if after := r.URL.Query().Get("after"); after != "" {
		id, err := dlp.ParseID(after)
		if err != nil {
			c.fail(w, r, u, vault.ErrNotFound)
			return
		}
		f.After = id
	}
	later := f.After != ""
	rules := c.Rules()
	types := map[dlp.RuleID]dlp.Type{}
	p := queuePage{Search: s, Rules: rules, Reasons: c.Reasons, Narrowed: len(s.query()) > 0, Later: later, Seen: mostSeen}
	for _, rule := range rules {
		types[rule.ID] = rule.Type
		if !slices.Contains(p.Types, rule.Type) {
			p.Types = append(p.Types, rule.Type)
		}
	}
	slices.Sort(p.Types)
	if !p.Narrowed {
		f.Limit = pageRows + 1
	}
	more, err := c.fill(r, &p, f, types, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if more != "" {
		q := s.query()
		q.Set("after", string(more))
		p.Next = "/queue?" + q.Encode()
	}
	if p.Views, err = c.Views.Of(u.Name); err != nil { // the queue is there without them
		c.Log.LogAttrs(r.Context(), slog.LevelWarn, "saved views could not be read", safelog.Err(err))
	}
	p.Query = s.query().Encode()
	p.frame = c.frame(r, u, "Queue")
	c.render(w, r, http.StatusOK, "queue", p)
}

// fill adds the rows of one page and returns the item after which the next one
// begins, "" for none.
func (c *Console) fill(r *http.Request, p *queuePage, f vault.Filter, types map[dlp.RuleID]dlp.Type, u User) (dlp.ID, error) {
	now := c.Now()
	for seen := 0; ; {
		hs, err := c.Desk.PageHeld(r.Context(), f)
		if err != nil {
			return "", err
		}
		for i := range hs {
			h := &hs[i]
			if p.Search.Days > 0 && now.Sub(h.Received) > time.Duration(p.Search.Days)*24*time.Hour || !p.Search.matches(h, types) {
				f.After = h.ID
				continue
			}
			if len(p.Rows) == pageRows {
				return f.After, nil
			}
			f.After = h.ID
			p.Rows = append(p.Rows, c.row(h, types, u))
		}
		if len(hs) < f.Limit {
			return "", nil
		}
		if seen += len(hs); seen >= mostSeen {
			p.Cut = true
			return f.After, nil
		}
	}
}

func (c *Console) row(h *gateway.Held, types map[dlp.RuleID]dlp.Type, u User) row {
	x := row{ID: h.ID, State: h.State, Received: h.Received, Channel: h.Channel, Size: h.Size, Gap: len(h.Causes) > 0, Confidence: h.Confidence, Asked: h.Asked}
	for _, id := range h.Rules {
		if t, ok := types[id]; ok && !slices.Contains(x.Types, t) {
			x.Types = append(x.Types, t)
		}
	}
	x.Why = because(x.Types, h)
	x.From, x.To = c.fromTo(h, u)
	x.Urgent = h.Urgent
	x.Proposed, x.Ends = h.Proposed != nil, h.Ends
	x.Late = h.Ends != nil && h.Ends.Sub(c.Now()) < 24*time.Hour
	x.Claimed = c.claims.who(h.ID)
	x.Mine = x.Claimed == u.Name
	x.Selectable = h.State == string(vault.Held) && (x.Claimed == "" || x.Mine) && u.may(decide)
	return x
}

// fromTo says who sent it and to whom, in a viewer's list by domain.
func (c *Console) fromTo(h *gateway.Held, u User) (from, to string) {
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
