package console

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/web"
)

func (c *Console) signinRoutes() []route {
	return []route{
		{"GET /{$}", see, func(w http.ResponseWriter, r *http.Request, _ User) {
			http.Redirect(w, r, "/queue", http.StatusSeeOther)
		}},
		{"GET /", signedIn, func(w http.ResponseWriter, r *http.Request, u User) {
			c.say(w, r, u, http.StatusNotFound, "There is no such page.", "The address may be mistyped, or of an earlier version.")
		}},
		{"GET /signin", anyone, func(w http.ResponseWriter, r *http.Request, _ User) { c.signinPage(w, r, http.StatusOK, "") }},
		{"POST /signin", anyone, c.signin},
		{"POST /signout", anyone, c.signout},
		{"GET /password", signedIn, c.ownPassword(func(w http.ResponseWriter, r *http.Request, u User) { c.passwordPage(w, r, u, http.StatusOK, "") })},
		{"POST /password", signedIn, c.ownPassword(c.password)},
	}
}

func (c *Console) signinPage(w http.ResponseWriter, r *http.Request, status int, amiss string) {
	c.render(w, r, status, "signin", struct {
		frame
		Amiss, Provider string
		Passkeys        bool
	}{frame{Title: "Sign in"}, amiss, c.provider(), c.Site != nil})
}

// place is where the visitor is, for the limits.
func (c *Console) place(r *http.Request) string { return web.ClientKey(web.Behind(r, c.Proxies)) }

// signin lets somebody in. What was wrong is never said; each attempt counts
// until it held, by account and place, by place alone and by account alone.
func (c *Console) signin(w http.ResponseWriter, r *http.Request, _ User) {
	name, place := r.PostFormValue("name"), c.place(r)
	for _, try := range []struct {
		by  *web.Limiter
		key string
	}{{c.byPlace, place}, {c.byName, name + "\x00" + place}, {c.byUser, name}} {
		if wait, ok := try.by.Allow(try.key); !ok {
			c.Log.LogAttrs(r.Context(), slog.LevelWarn, "too many sign-ins that did not hold: further ones wait")
			w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
			c.signinPage(w, r, http.StatusTooManyRequests, fmt.Sprintf("That did not match. Wait %d seconds, then try again.", int(wait/time.Second)+1))
			return
		}
	}
	u, err := c.Users.Check(name, r.PostFormValue("password"))
	e := audit.Event{Kind: audit.Login}
	if err != nil {
		if !errors.Is(err, ErrNoUser) {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "accounts could not be read; nobody can sign in", safelog.Err(err))
		}
		// The name may be a password typed into the wrong field: it is not noted.
		e.Result = audit.ResultFailed
		if err := c.note(r.Context(), e); err != nil {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded", safelog.Err(err))
		}
		c.signinPage(w, r, http.StatusUnauthorized, "That did not match.")
		return
	}
	e.Actor, e.Result = u.Actor(), audit.ResultPassed
	if u.twoFactors() {
		e.Result, e.Reason = "", reasonCodeAsked
	}
	if err := c.note(r.Context(), e); err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded, so nobody was let in", safelog.Err(err))
		c.signinPage(w, r, http.StatusServiceUnavailable, "Signing in could not be recorded, so you were not let in. An admin finds why in the log.")
		return
	}
	c.byPlace.Refund(place)
	c.byName.Refund(name + "\x00" + place)
	c.byUser.Refund(name)
	c.sessions.end(w, r)
	c.sessions.begin(w, r, u, u.twoFactors())
	if u.twoFactors() {
		http.Redirect(w, r, "/code", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) signout(w http.ResponseWriter, r *http.Request, _ User) {
	if u, in := c.user(r); in {
		if err := c.note(r.Context(), audit.Event{Kind: audit.Login, Actor: u.Actor(), Reason: "signed_out"}); err != nil {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-out could not be recorded", safelog.Err(err)) // they go all the same
		}
	}
	c.sessions.end(w, r)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

func (c *Console) passwordPage(w http.ResponseWriter, r *http.Request, u User, status int, amiss string) {
	f := c.frame(r, u, "Your password")
	c.render(w, r, status, "password", struct {
		frame
		Amiss string
	}{f, amiss})
}

// password sets one's own password. All other sessions of the account end.
func (c *Console) password(w http.ResponseWriter, r *http.Request, u User) {
	if status, amiss := c.knows(r, u, r.PostFormValue("old")); amiss != "" {
		c.passwordPage(w, r, u, status, amiss)
		return
	}
	fresh := r.PostFormValue("new")
	if fresh != r.PostFormValue("again") {
		c.passwordPage(w, r, u, http.StatusBadRequest, "The two new passwords differ.")
		return
	}
	if fresh == r.PostFormValue("old") {
		c.passwordPage(w, r, u, http.StatusBadRequest, "That is the password you have now.")
		return
	}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: "passwd:" + u.Name}); err != nil {
		c.fail(w, r, u, err)
		return
	}
	err := c.Users.changePassword(u, r.PostFormValue("old"), fresh, c.Keys)
	if errors.Is(err, ErrWeak) {
		c.passwordPage(w, r, u, http.StatusBadRequest, "That was not set: "+ErrWeak.Error()+".")
		return
	}
	c.goOn(w, r, u, err, "")
}
