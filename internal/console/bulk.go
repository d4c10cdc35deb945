package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// chosen reads the items of a bulk act, each once.
func chosen(r *http.Request) ([]dlp.ID, error) {
	if err := r.ParseForm(); err != nil {
		return nil, vault.ErrNotFound
	}
	var ids []dlp.ID
	for _, s := range r.PostForm["item"] {
		id, err := dlp.ParseID(s)
		if err != nil {
			return nil, vault.ErrNotFound
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > pageRows {
		return nil, vault.ErrNotFound
	}
	return ids, nil
}

// bulkPage asks once more before several items are decided about.
type bulkPage struct {
	frame
	At      string // query of the list they were chosen in
	Rows    []row
	Left    string // what was chosen and cannot be decided so, in words
	Count   int
	Unread  int // of Rows, that were not read in full
	Waiting int // of Rows, that wait for a second yes
	Do      string
	Reasons []string
}

// askBulk asks once more, and shows what it is about as it is now.
func (c *Console) askBulk(w http.ResponseWriter, r *http.Request, u User) {
	ids, err := chosen(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	what := r.PostFormValue("do")
	if len(ids) == 0 || !slices.Contains(decisions, what) {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was chosen.", "Go back and select items.")
		return
	}
	p := bulkPage{Do: what, Reasons: c.Reasons}
	if err := c.fillBulk(r, &p, ids, u); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if p.Count = len(p.Rows); p.Count == 0 {
		c.say(w, r, u, http.StatusConflict, "Nothing is left to decide about.", p.Left)
		return
	}
	_, p.At = c.listAt(r)
	p.frame = c.frame(r, u, "Decide about several")
	c.render(w, r, http.StatusOK, "bulk", p)
}

// fillBulk adds the rows of those of ids that u may decide about as p.Do says.
func (c *Console) fillBulk(r *http.Request, p *bulkPage, ids []dlp.ID, u User) error {
	places, err := c.Deputy.InPlaceOf(u.Name)
	if err != nil {
		return err
	}
	rules := c.rulesByID()
	var left tallied
	for _, id := range ids {
		h, err := c.Desk.Listed(r.Context(), id)
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			return err
		}
		x := c.row(&h, rules, u)
		switch {
		case err != nil || x.State != string(vault.Held):
			left.add("decided about meanwhile")
		case !x.Selectable && !slices.Contains(places, x.Claimed):
			left.add("claimed by somebody else")
		case p.Do == "encrypt" && x.Channel != dlp.Mail.String():
			left.add("of a watched folder, and cannot be released encrypted")
		default:
			p.Rows = append(p.Rows, x)
			if x.Gap {
				p.Unread++
			}
			if x.Proposed {
				p.Waiting++
			}
		}
	}
	if p.Left = left.String(); p.Left != "" {
		p.Left = "Left out: " + p.Left + "."
	}
	return nil
}

// bulk decides about several items, if their number was typed.
func (c *Console) bulk(w http.ResponseWriter, r *http.Request, u User) {
	ids, err := chosen(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	rv, amiss := c.reviewOf(r)
	what := r.PostFormValue("do")
	if n, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("count"))); amiss == "" && (err != nil || n != len(ids)) {
		amiss = "Nothing was decided: the number typed is not the number of items."
	}
	if amiss == "" && !slices.Contains(decisions, what) {
		amiss = "Nothing was decided: choose what happens to them."
	}
	if amiss != "" {
		c.say(w, r, u, http.StatusBadRequest, amiss, "Go back; all items stay as they were.")
		return
	}
	done, noted := 0, 0
	var left tallied
	for _, id := range ids {
		rv.Version = cmp.Or(r.PostFormValue("version-"+string(id)), noVersion)
		switch err := c.oneOf(r, id, u, what, rv); {
		case err == nil:
			done++
		case errors.Is(err, gateway.ErrSecond):
			noted++
		default:
			left.add(whyLeft(err))
		}
	}
	said := fmt.Sprintf("%d of %d done.", done, len(ids))
	if noted > 0 {
		said += fmt.Sprintf(" %d noted as the first of two decisions: somebody else must decide the same.", noted)
	}
	if rest := left.String(); rest != "" {
		said += " Left as they were: " + rest + "."
	}
	c.sessions.sayOf(r, said, len(left.said) > 0)
	c.backToList(w, r, "")
}

// oneOf decides about one of several items.
func (c *Console) oneOf(r *http.Request, id dlp.ID, u User, what string, rv gateway.Review) error {
	u, err := c.standing(r, id, u)
	if err == nil {
		_, err = c.decideAbout(r, id, u, what, rv)
	}
	return err
}

// whyLeft says of one of several items why it was not decided about.
func whyLeft(err error) string {
	if _, ok := errors.AsType[claimedError](err); ok {
		return "claimed by somebody else"
	}
	for _, known := range []struct {
		is   error
		text string
	}{
		{gateway.ErrChanged, "changed since you looked"},
		{gateway.ErrNotHeld, "decided about meanwhile"},
		{vault.ErrNotFound, "not there"},
		{gateway.ErrBusy, "being decided about right now"},
		{gateway.ErrNoWay, "without a way to encrypt to everybody"},
		{gateway.ErrSame, "to be decided by somebody else, since you decided first"},
		{gateway.ErrOwn, "your own mail, or of somebody whose deputy you are"},
		{vault.ErrLocked, "sealed to reviewers' keys"},
	} {
		if errors.Is(err, known.is) {
			return known.text
		}
	}
	return "not carried out; the log of the server says why"
}

// tallied counts what is said of several things, in the order in which it was first said.
type tallied struct {
	said []string
	n    map[string]int
}

func (t *tallied) add(what string) {
	if t.n == nil {
		t.n = map[string]int{}
	}
	if t.n[what]++; t.n[what] == 1 {
		t.said = append(t.said, what)
	}
}

func (t *tallied) String() string {
	var out []string
	for _, what := range t.said {
		out = append(out, strconv.Itoa(t.n[what])+" "+what)
	}
	return strings.Join(out, "; ")
}
