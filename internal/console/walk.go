package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// listAt is the list that r's URL speaks of, the queue's or that in which an item is
// looked at, and the query that says so: "" for the first page of all that is held.
func (c *Console) listAt(r *http.Request) (s search, query string) {
	s, known := c.searchAt(r)
	if !known {
		return search{}, ""
	}
	_, query, _ = strings.Cut(c.urlOf(r, s), "?")
	if after, err := dlp.ParseID(r.URL.Query().Get("after")); err == nil {
		query = strings.TrimPrefix(query+"&after="+string(after), "&")
	}
	if query != "" {
		query = "?" + query
	}
	return s, query
}

// listed asks for the list of s as u sees it.
func (c *Console) listed(s search, u User) vault.Query {
	f := s.asks(c.Now(), c.Rules())
	c.narrow(&f, s.Of, u)
	return f
}

// lists reports whether h is in the list of s, which has what came at or after since.
func (c *Console) lists(s search, h *gateway.Held, since time.Time, rules map[dlp.RuleID]Rule, u User) bool {
	return !h.Received.Before(since) && s.matches(h, rules) && c.within(s.Of, h, u)
}

// backToItem leads to an item, in the list that it was looked at in, or where the act
// was one of the queue's, to its line there.
func (c *Console) backToItem(w http.ResponseWriter, r *http.Request, id dlp.ID) {
	if r.PostFormValue("in") == "queue" {
		c.backToList(w, r, id)
		return
	}
	_, at := c.listAt(r)
	http.Redirect(w, r, "/items/"+string(id)+at, http.StatusSeeOther)
}

// backToList leads to the list that an item was looked at in, and to the line of id there.
func (c *Console) backToList(w http.ResponseWriter, r *http.Request, id dlp.ID) {
	_, at := c.listAt(r)
	to := "/queue" + at
	if id != "" {
		to += "#i" + string(id)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// next leads from an item to the one behind it in the list that it is looked at in.
func (c *Console) next(w http.ResponseWriter, r *http.Request, u User) {
	c.walk(w, r, u, func(s search, id dlp.ID) (dlp.ID, string, error) {
		f := c.listed(s, u)
		f.After = id
		to, whole, err := c.firstOf(r, s, f, u, func(dlp.ID) bool { return true })
		if !whole {
			return "", "None of the next items that were looked through is in this list. Narrow it otherwise.", err
		}
		return to, "That was the last of this list.", err
	})
}

// previous leads to the one before it.
func (c *Console) previous(w http.ResponseWriter, r *http.Request, u User) {
	c.walk(w, r, u, func(s search, id dlp.ID) (last dlp.ID, said string, err error) {
		at, whole, err := c.firstOf(r, s, c.listed(s, u), u, func(x dlp.ID) bool {
			if x != id {
				last = x
			}
			return x == id
		})
		switch {
		case err != nil:
			return "", "", err
		case at == "" && whole:
			return "", "That item is in this list no longer.", nil
		case at == "":
			return "", "That item is too far down in this list to go up from it.", nil
		}
		return last, "That was the first of this list.", nil
	})
}

// walk leads to the item that find names, or back to the list, which says why there is none.
func (c *Console) walk(w http.ResponseWriter, r *http.Request, u User, find func(search, dlp.ID) (dlp.ID, string, error)) {
	id, err := itemID(r)
	if err == nil {
		_, err = c.Desk.Listed(r.Context(), id)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	s, at := c.listAt(r)
	to, said, err := find(s, id)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if to == "" {
		c.sessions.say(r, said)
		c.backToList(w, r, id)
		return
	}
	http.Redirect(w, r, "/items/"+string(to)+at, http.StatusSeeOther)
}

// firstOf is the first item of a list that is wanted, "" for none. whole is false where
// so much was looked through that there may be one further down.
func (c *Console) firstOf(r *http.Request, s search, f vault.Query, u User, wanted func(dlp.ID) bool) (id dlp.ID, whole bool, err error) {
	f.Limit = pageRows
	on, err := c.down(r, s, f, c.rulesByID(), u, func(h *gateway.Held) bool {
		if wanted(h.ID) {
			id = h.ID
		}
		return id != ""
	})
	return id, on == "" && err == nil, err
}
