package console

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Standing views, which everybody has beside those they saved.
const (
	ofMine   = "mine"   // claimed by the reader
	ofEnding = "ending" // ends within a day if nobody decides
	ofSecond = "second" // its release waits for another officer's yes
	ofAsked  = "asked"  // its sender asks for its release
	ofGaps   = "gaps"   // a part was not read, and nothing was found in the rest
	ofUrgent = "urgent" // officers are called about it
)

// soon is within what time an item ends that is shown as one that ends soon.
const soon = 24 * time.Hour

// mostCounted is up to where items of a view are counted.
const mostCounted = 1000

// railView is one of the standing views, as the rail shows it.
type railView struct {
	Name, URL string
	N         string // how many there are, "" where counting takes long
	Current   bool
}

// standingViews are all of them, in the order of the rail.
var standingViews = []choice{{ofUrgent, "Urgent"}, {ofMine, "Mine"}, {ofEnding, "Ends within a day"}, {ofSecond, "Needs a second yes"}, {ofAsked, "Sender asks"}, {ofGaps, "Not read, nothing found"}}

// standings are those that u has.
func (c *Console) standings(u User) []choice {
	_, ends := c.Desk.EndingBy(c.Now())
	return slices.DeleteFunc(slices.Clone(standingViews), func(v choice) bool {
		return v.Value == ofMine && !u.may(decide) || v.Value == ofEnding && !ends
	})
}

// narrow has q ask for what is in the standing view of.
func (c *Console) narrow(q *vault.Query, of string, u User) {
	switch of {
	case ofMine:
		q.IDs = c.claims.mine(u.Name)
	case ofEnding:
		var ends bool
		if q.Until, ends = c.Desk.EndingBy(c.Now().Add(soon)); !ends {
			q.IDs = []dlp.ID{}
		}
	case ofSecond:
		q.Noted = true
	case ofAsked:
		q.Asked = true
	case ofGaps:
		q.All = append(q.All, []vault.Field{{Kind: vault.ByConfidence, Value: "none"}})
	case ofUrgent:
		q.Calls = true
	}
}

// within reports whether h is in the standing view of.
func (c *Console) within(of string, h *gateway.Held, u User) bool {
	switch of {
	case ofMine:
		return c.claims.who(h.ID) == u.Name
	case ofEnding:
		return h.Ends != nil && h.Ends.Sub(c.Now()) <= soon
	case ofSecond:
		return h.Proposed != nil
	case ofAsked:
		return h.Asked
	case ofGaps:
		return len(h.Rules) == 0
	case ofUrgent:
		return h.Urgent
	}
	return true
}

// rail says how many held items each standing view has. An urgent one is there where
// something is.
func (c *Console) rail(r *http.Request, u User, s search, held int) []railView {
	out := []railView{{Name: "All held", URL: "/queue", N: strconv.Itoa(held), Current: len(s.query()) == 0}}
	for _, v := range c.standings(u) {
		q := vault.Query{State: vault.Held, Limit: mostCounted}
		c.narrow(&q, v.Value, u)
		n, whole, err := c.Desk.CountHeld(r.Context(), q)
		if err != nil {
			c.Log.LogAttrs(r.Context(), slog.LevelWarn, "what is in a view could not be counted", safelog.Err(err))
		}
		x := railView{Name: v.Name, URL: c.urlOf(r, search{Of: v.Value}), Current: s.Of == v.Value}
		switch {
		case whole && err == nil:
			x.N = strconv.Itoa(n)
		case n > 0:
			x.N = strconv.Itoa(n) + "+"
		}
		if v.Value != ofUrgent || n > 0 || x.Current {
			out = append(out, x)
		}
	}
	return out
}
