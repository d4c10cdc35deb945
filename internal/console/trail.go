package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// Trail is the audit log. It is satisfied by audit.Log.
type Trail interface {
	Search(ctx context.Context, q audit.Query, before int64, limit int) (found []audit.Line, more int64, err error)
}

// How many events one page shows, and how many of the newest legal holds.
const (
	trailRows  = 100
	holdRows   = 100
	liftedRows = 20
)

func (c *Console) trailRoutes() []route {
	return []route{
		{"GET /audit", trail, c.audit},
		{"POST /audit", trail, c.askAudit},
		{"POST /legal", legal, c.legally},
	}
}

// asked is what a page of the audit log is narrowed to, as a URL has it: a
// person stands in it by keyed pseudonyms.
type asked struct {
	Doc, Persons, Actor, Kind, From, To string
}

func askedOf(get func(string) string) asked {
	return asked{strings.TrimSpace(get("doc")), get("person"), strings.TrimSpace(get("actor")), get("kind"), get("from"), get("to")}
}

func (a asked) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"doc": a.Doc, "person": a.Persons, "actor": a.Actor, "kind": a.Kind, "from": a.From, "to": a.To} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return q
}

// search is what the log is asked. amiss says what is wrong with a.
func (a asked) search() (q audit.Query, amiss string) {
	if a.Doc != "" {
		id, err := dlp.ParseID(a.Doc)
		if err != nil {
			return q, "An item's id has 26 letters and digits."
		}
		q.Doc = id
	}
	if a.Persons != "" {
		q.Persons = strings.Split(a.Persons, " ")
		if len(q.Persons) > 2 || slices.ContainsFunc(q.Persons, func(p string) bool { return len(p) != 32 || strings.Trim(p, "0123456789abcdef") != "" }) {
			return q, "That names no person: type the address."
		}
	}
	if a.Kind != "" {
		if !slices.Contains(audit.Kinds(), audit.Kind(a.Kind)) {
			return q, "There is no such kind of event."
		}
		q.Kinds = []audit.Kind{audit.Kind(a.Kind)}
	}
	if a.Actor != "" {
		if q.Actor = a.Actor; IsName(a.Actor) && !slices.Contains(otherActors, a.Actor) {
			q.Actor = userPrefix + a.Actor
		}
	}
	var err1, err2 error
	if a.From != "" {
		q.Since, err1 = time.Parse(dayForm, a.From)
	}
	if a.To != "" {
		q.Until, err2 = time.Parse(dayForm, a.To)
		q.Until = q.Until.Add(24 * time.Hour)
	}
	if err1 != nil || err2 != nil {
		return q, "A day is such as 2026-01-31."
	}
	return q, ""
}

// otherActors are who does things without an account, beside users of the machine. No
// account has such a name: what it did would read as theirs.
var otherActors = []string{"sender", "oidc"}

var machineUser = regexp.MustCompile(`^uid:[0-9]{1,10}$`)

// asks is a's search, if all of it is such that it may stand in a URL: who did
// something is an account of this console, a user of the machine, or a word of ours.
// What else somebody types may name a patient.
func (c *Console) asks(a asked) (q audit.Query, amiss string) {
	q, amiss = a.search()
	if amiss != "" || q.Actor == "" || slices.Contains(otherActors, q.Actor) || machineUser.MatchString(q.Actor) {
		return q, amiss
	}
	name, ok := strings.CutPrefix(q.Actor, userPrefix)
	if ok {
		_, err := c.Users.Find(name)
		ok = err == nil
	}
	if !ok {
		return q, "There is no such account. By whom: the name of an account, sender, oidc, or a user of the server such as uid:0."
	}
	return q, ""
}

// told is one event as a page tells it.
type told struct {
	audit.Line
	What   string
	Detail string
}

type auditPage struct {
	frame
	Asked  asked
	Kinds  []audit.Kind
	Events []told
	Next   string
	Holds  []gateway.LegalHold
	Lifted []gateway.LegalHold
	OnHold bool // the item asked for
	Amiss  string
}

// audit shows what the log has. That somebody looks is on record first.
func (c *Console) audit(w http.ResponseWriter, r *http.Request, u User) {
	p := auditPage{Asked: askedOf(r.URL.Query().Get), Kinds: audit.Kinds()}
	status := http.StatusOK
	q, amiss := c.asks(p.Asked)
	var before int64
	if s := r.URL.Query().Get("before"); s != "" && amiss == "" {
		var err error
		if before, err = strconv.ParseInt(s, 10, 64); err != nil || before <= 0 {
			amiss = "The next page is reached by its link."
		}
	}
	if p.Amiss = amiss; amiss != "" {
		status = http.StatusBadRequest
	} else if err := c.lookUp(r.Context(), &p, q, before, u); errors.Is(err, audit.ErrPlace) {
		p.Amiss, status = "The next page is reached by its link.", http.StatusBadRequest
	} else if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.frame = c.frame(r, u, "Audit")
	c.render(w, r, status, "audit", p)
}

func (c *Console) lookUp(ctx context.Context, p *auditPage, q audit.Query, before int64, u User) error {
	if err := c.note(ctx, audit.Event{Kind: audit.Look, Doc: q.Doc, Actor: u.Actor(), Reason: "audit"}); err != nil {
		return err
	}
	lines, more, err := c.Trail.Search(ctx, q, before, trailRows)
	if err != nil {
		return err
	}
	for _, l := range lines {
		p.Events = append(p.Events, told{l, codeWords(string(l.Kind)), detail(&l)})
	}
	if more > 0 {
		next := p.Asked.query()
		next.Set("before", strconv.FormatInt(more, 10))
		p.Next = "/audit?" + next.Encode()
	}
	if p.Holds, err = c.Legal.LegalHolds(ctx, holdRows); err != nil {
		return err
	}
	if p.Lifted, err = c.Legal.LiftedHolds(ctx, liftedRows); err != nil {
		return err
	}
	if q.Doc != "" {
		_, p.OnHold, err = c.Legal.LegalHoldOn(ctx, q.Doc)
	}
	return err
}

// detail is what an event says beside who and when, in one line.
func detail(l *audit.Line) string {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+value)
		}
	}
	add("", l.Action)
	add("would have been: ", l.Monitored)
	add("", codeWords(l.Reason))
	add("", l.Result)
	add("policy ", l.Policy)
	for _, r := range l.Rules {
		add("", string(r))
	}
	for _, x := range l.Causes {
		add("not read: ", codeWords(x))
	}
	if !l.Until.IsZero() {
		add("until ", l.Until.UTC().Format("2006-01-02 15:04"))
	}
	if l.Kind == audit.Outcome || l.Kind == audit.Deliver {
		add("of event ", strconv.FormatUint(l.Ref, 10))
	}
	return strings.Join(out, ", ")
}

// askAudit turns an address into its keyed pseudonyms, so that it stands in no
// URL, and leads to what was asked for.
func (c *Console) askAudit(w http.ResponseWriter, r *http.Request, u User) {
	a := askedOf(r.PostFormValue)
	if addr := strings.TrimSpace(r.PostFormValue("address")); addr != "" {
		names, err := c.Persons(addr)
		if err != nil {
			c.say(w, r, u, http.StatusBadRequest, "That is no address.", "Such as name@clinic.example.")
			return
		}
		a.Persons = strings.Join(names, " ")
	}
	if _, amiss := c.asks(a); amiss != "" { // it stands in no URL
		p := auditPage{Asked: a, Kinds: audit.Kinds(), Amiss: amiss}
		p.frame = c.frame(r, u, "Audit")
		c.render(w, r, http.StatusBadRequest, "audit", p)
		return
	}
	http.Redirect(w, r, "/audit?"+a.query().Encode(), http.StatusSeeOther)
}

// Legal places and lifts legal holds. It is satisfied by gateway.Gateway.
type Legal interface {
	LegalHolds(ctx context.Context, limit int) ([]gateway.LegalHold, error)
	LiftedHolds(ctx context.Context, limit int) ([]gateway.LegalHold, error)
	LegalHoldOn(ctx context.Context, id dlp.ID) (gateway.LegalHold, bool, error)
	PlaceLegalHold(ctx context.Context, id dlp.ID, why, actor string) error
	LiftLegalHold(ctx context.Context, id dlp.ID, why, actor string) error
}

// legally places a legal hold on an item, or lifts it.
func (c *Console) legally(w http.ResponseWriter, r *http.Request, u User) {
	id, err := dlp.ParseID(r.PostFormValue("doc"))
	if err != nil {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was changed: an item's id has 26 letters and digits.", "")
		return
	}
	ctx := context.WithoutCancel(r.Context())
	said := "A legal hold is placed on item " + string(id) + "."
	switch r.PostFormValue("do") {
	case "place":
		err = c.Legal.PlaceLegalHold(ctx, id, r.PostFormValue("why"), u.Actor())
	case "lift":
		err, said = c.Legal.LiftLegalHold(ctx, id, r.PostFormValue("why"), u.Actor()), "The legal hold on item "+string(id)+" is lifted."
	default:
		c.say(w, r, u, http.StatusBadRequest, "Nothing was changed: choose what happens.", "")
		return
	}
	switch {
	case errors.Is(err, gateway.ErrNoWhy):
		c.say(w, r, u, http.StatusBadRequest, "Nothing was changed: a reason is needed.", "At most 2000 bytes of it.")
	case errors.Is(err, gateway.ErrLegalHold), errors.Is(err, gateway.ErrNoLegalHold):
		c.say(w, r, u, http.StatusConflict, "Nothing was changed.", "Nothing of that item is kept, or its legal hold is as you want it already.")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		c.sessions.say(r, said)
		to := "/audit?doc="
		if r.PostFormValue("at") == "item" {
			to = "/items/"
		}
		http.Redirect(w, r, to+string(id), http.StatusSeeOther)
	}
}
