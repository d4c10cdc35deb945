package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// keptSearches bounds what one session keeps of what somebody searched for.
const keptSearches = 30

// personal is what of a search may name somebody: it is typed, so that it stands in no
// URL, where browsers, proxies and logs keep it, but with the session.
type personal struct{ From, To, Words string }

// kept is one of a session.
type kept struct {
	n int // what the URL has instead
	personal
}

// keep returns the number by which the session knows p again: 0 where there is nothing
// to keep. The oldest of too many goes.
func (s *sessions) keep(r *http.Request, p personal) int {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[k]
	if x == nil || p == (personal{}) {
		return 0
	}
	n := 1
	for _, had := range x.searches {
		if had.personal == p {
			return had.n
		}
		n = max(n, had.n+1)
	}
	x.searches = append(slices.Clone(x.searches[max(0, len(x.searches)+1-keptSearches):]), kept{n, p})
	return n
}

// recall returns what the session knows by the number n.
func (s *sessions) recall(r *http.Request, n int) (personal, bool) {
	x, _ := s.find(r)
	for _, had := range x.searches {
		if had.n == n {
			return had.personal, true
		}
	}
	return personal{}, false
}

// urlOf is where s is shown: what it has of the closed lists, and a number for the rest.
func (c *Console) urlOf(r *http.Request, s search) string {
	q := url.Values{}
	for k, v := range map[string]string{"of": s.Of, "rule": s.Rule, "type": s.Type, "channel": s.Channel, "confidence": s.Confidence, "state": s.State} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if s.Days > 0 {
		q.Set("days", strconv.Itoa(s.Days))
	}
	if n := c.sessions.keep(r, personal{s.From, s.To, s.Words}); n > 0 {
		q.Set("s", strconv.Itoa(n))
	}
	if len(q) == 0 {
		return "/queue"
	}
	return "/queue?" + q.Encode()
}

// searchAt is the search that a URL is of. known is false where the session that it was
// made in has ended.
func (c *Console) searchAt(r *http.Request) (s search, known bool) {
	q := r.URL.Query()
	s = searchOf(q)
	s.personal = personal{}
	if q.Get("s") == "" {
		return s, true
	}
	n, err := strconv.Atoi(q.Get("s"))
	if err != nil {
		return s, false
	}
	s.personal, known = c.sessions.recall(r, n)
	return s, known
}

// ask searches for what was typed or chosen, or what a view of the reader's says.
func (c *Console) ask(w http.ResponseWriter, r *http.Request, u User) {
	if err := r.ParseForm(); err != nil {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was searched for: a form of this page is needed.", "")
		return
	}
	s := searchOf(r.PostForm)
	if name := r.PostForm.Get("view"); name != "" {
		views, err := c.Views.Of(u.Name)
		if err != nil {
			c.fail(w, r, u, err)
			return
		}
		i := slices.IndexFunc(views, func(v View) bool { return v.Name == name })
		if i < 0 {
			c.say(w, r, u, http.StatusNotFound, "There is no such view.", "It was dropped, or saved under another name.")
			return
		}
		q, _ := url.ParseQuery(views[i].Query) // as it was saved
		s = searchOf(q)
	}
	http.Redirect(w, r, c.urlOf(r, s.listed(c.Rules())), http.StatusSeeOther)
}

// listed is s without what is chosen from no list of the page's.
func (s search) listed(rules []Rule) search {
	if !slices.ContainsFunc(rules, func(r Rule) bool { return string(r.ID) == s.Rule }) {
		s.Rule = ""
	}
	if !slices.ContainsFunc(rules, func(r Rule) bool { return string(r.Type) == s.Type }) {
		s.Type = ""
	}
	if !slices.Contains([]string{"mail", "file"}, s.Channel) {
		s.Channel = ""
	}
	if !slices.ContainsFunc(confidences, func(c choice) bool { return c.Value == s.Confidence }) {
		s.Confidence = ""
	}
	return s
}
