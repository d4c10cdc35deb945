package console

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

func (c *Console) oidcRoutes() []route {
	return []route{
		{"GET /signin/oidc", anyone, c.oidcLeave},
		{"GET " + donePath, anyone, c.oidcBack},
	}
}

// ownPassword is do for those whose password is kept here.
func (c *Console) ownPassword(do func(w http.ResponseWriter, r *http.Request, u User)) func(w http.ResponseWriter, r *http.Request, u User) {
	return func(w http.ResponseWriter, r *http.Request, u User) {
		if u.Subject != "" {
			c.say(w, r, u, http.StatusForbidden, "Your password is not kept here.", "You signed in by "+c.provider()+": it keeps your password and your second factor.")
			return
		}
		do(w, r, u)
	}
}

// provider is what the sign-in page calls it; "" without one.
func (c *Console) provider() string {
	if c.OIDC == nil {
		return ""
	}
	return c.OIDC.cfg.Provider
}

func oidcCookie(r *http.Request, value string, maxAge int) *http.Cookie {
	k := cookie(r, value, maxAge)
	k.Name, k.Path = flowCookie, donePath
	k.SameSite = http.SameSiteLaxMode // the way back begins at the provider
	return k
}

// oidcLeave sends the browser to the provider.
func (c *Console) oidcLeave(w http.ResponseWriter, r *http.Request, _ User) {
	if c.OIDC == nil {
		c.signinPage(w, r, http.StatusNotFound, "There is no provider to sign in by.")
		return
	}
	if _, ok := c.byPlace.Allow(c.place(r)); !ok {
		c.signinPage(w, r, http.StatusTooManyRequests, "Too many tries. Wait half a minute.")
		return
	}
	to, browser, err := c.OIDC.leave(r.Context())
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "the provider for signing in could not be asked", safelog.Err(err))
		c.signinPage(w, r, http.StatusBadGateway, "The provider cannot be reached just now. Who has an account here can sign in by it.")
		return
	}
	http.SetCookie(w, oidcCookie(r, browser, int(flowWithin.Seconds())))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// oidcBack lets in whom the provider vouches for. The page goes on by itself:
// a redirect would still be the other site's navigation, and take no cookie of
// the session along.
func (c *Console) oidcBack(w http.ResponseWriter, r *http.Request, _ User) {
	if c.OIDC == nil {
		c.signinPage(w, r, http.StatusNotFound, "There is no provider to sign in by.")
		return
	}
	http.SetCookie(w, oidcCookie(r, "", -1))
	who, why := c.OIDC.back(r)
	var u User
	if why == "" {
		var err error
		u, err = c.Users.vouched(who, func(what string) error {
			return c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: "oidc", Reason: what})
		})
		switch {
		case errors.Is(err, errTaken):
			why = oidcTaken
		case err != nil:
			c.Log.LogAttrs(r.Context(), slog.LevelError, "an account of the provider could not be kept, so nobody was let in", safelog.Err(err))
			c.signinPage(w, r, http.StatusServiceUnavailable, "Signing in could not be recorded, so you were not let in. An admin finds why in the log.")
			return
		case u.Disabled:
			why = oidcDisabled
		}
	}
	e := audit.Event{Kind: audit.Login, Actor: u.Actor(), Result: audit.ResultPassed, Reason: oidcPassed}
	if why != "" {
		e.Actor, e.Result, e.Reason = "", audit.ResultFailed, why // whoever it was, they are nobody here
	}
	if err := c.note(r.Context(), e); err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded, so nobody was let in", safelog.Err(err))
		c.signinPage(w, r, http.StatusServiceUnavailable, "Signing in could not be recorded, so you were not let in. An admin finds why in the log.")
		return
	}
	if why != "" {
		c.signinPage(w, r, http.StatusForbidden, "The provider's answer did not let you in. Try once more; if it stays so, an admin finds why in the audit log.")
		return
	}
	c.byPlace.Refund(c.place(r))
	c.sessions.end(w, r)
	c.sessions.begin(w, r, u, false)
	w.Header().Set("Refresh", "0; url=/")
	c.render(w, r, http.StatusOK, "signedin", frame{Title: "Signed in"})
}
