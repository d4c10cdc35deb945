package console

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Keys seals the secrets of second factors. It is satisfied by crypt.Ring.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// codeWithin is how long who gave a password has for the code.
const codeWithin = 5 * time.Minute

// Reasons of a Login or an Account, beside Result.
const (
	reasonCodeAsked = "code_asked" // the password held; a code is asked for
	reasonCodeWrong = "code_wrong"
	secondOn        = "second_on:"
	secondOff       = "second_off:"
)

func (c *Console) secondRoutes() []route {
	return []route{
		{"GET /code", anyone, func(w http.ResponseWriter, r *http.Request, _ User) { c.codePage(w, r, http.StatusOK, "") }},
		{"POST /code", anyone, c.code},
		{"GET /second", signedIn, c.ownPassword(func(w http.ResponseWriter, r *http.Request, u User) { c.secondPage(w, r, u, http.StatusOK, "") })},
		{"POST /second/offer", signedIn, c.ownPassword(c.offerSecond)},
		{"POST /second/set", signedIn, c.ownPassword(c.setSecond)},
		{"POST /second/remove", signedIn, c.ownPassword(c.removeSecond)},
	}
}

// lacks reports whether u must set up a second factor before anything else. Who
// signs in by a provider has its own.
func (c *Console) lacks(u User) bool {
	return u.Subject == "" && !u.twoFactors() && slices.Contains(c.SecondFor, u.Role)
}

func secondAD(name string) string { return "console second factor " + name }

// secretOf opens what u's codes are made from.
func (c *Console) secretOf(u User) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(u.Second)
	if err == nil {
		sealed, err = c.Keys.Open(secondAD(u.Name), sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("console: second factor: %w", err)
	}
	return sealed, nil
}

// half returns who gave their password and not yet their code.
func (c *Console) half(r *http.Request) (User, bool) {
	s, ok := c.sessions.find(r)
	if !ok || !s.half || c.Now().Sub(s.begun) > codeWithin {
		return User{}, false
	}
	u, err := c.Users.Find(s.was.Name)
	return u, err == nil && u.same(s.was) && !u.Disabled
}

type codeData struct {
	frame
	Amiss           string
	Codes, Passkeys bool
	Passkey         *asking // nil: it cannot be asked for
}

func (c *Console) codePage(w http.ResponseWriter, r *http.Request, status int, amiss string) {
	u, ok := c.half(r)
	if !ok {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	}
	d := codeData{frame: frame{Title: "Your code"}, Amiss: amiss, Codes: u.Second != "", Passkeys: u.Passkeys != ""}
	if d.Passkeys {
		d.Passkey = c.askOf(r, u, nil, nil)
	}
	c.render(w, r, status, "code", d)
}

// tries counts a try of u's code until it held. It answers where there were too
// many.
func (c *Console) tries(w http.ResponseWriter, r *http.Request, u User) (refund func(), ok bool) {
	byName, byUser := "code\x00"+u.Name+"\x00"+c.place(r), "code\x00"+u.Name
	wait, ok := c.byName.Allow(byName)
	if ok {
		wait, ok = c.byUser.Allow(byUser)
	}
	if !ok {
		c.Log.LogAttrs(r.Context(), slog.LevelWarn, "too many codes that did not match: further ones wait")
		w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
	}
	return func() { c.byName.Refund(byName); c.byUser.Refund(byUser) }, ok
}

// took reports whether code is u's now. It is used up by that, on stable storage.
func (c *Console) took(r *http.Request, u User, code string) bool {
	secret, err := c.secretOf(u)
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a second factor does not open; an admin can take it away", safelog.Err(err))
		return false
	}
	step := totpFits(secret, code, u.Step, c.Now())
	if step == 0 {
		return false
	}
	if err := c.Users.takeStep(u.Name, step); err != nil {
		if !errors.Is(err, errStep) {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a code could not be used up", safelog.Err(err))
		}
		return false
	}
	return true
}

// code lets in who gave their password and now gives their code.
func (c *Console) code(w http.ResponseWriter, r *http.Request, _ User) {
	u, ok := c.half(r)
	if !ok || u.Second == "" {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	}
	refund, ok := c.tries(w, r, u)
	if !ok {
		c.codePage(w, r, http.StatusTooManyRequests, "Too many tries. Wait half a minute, then give the next code.")
		return
	}
	e := audit.Event{Kind: audit.Login, Actor: u.Actor(), Result: audit.ResultPassed}
	if !c.took(r, u, r.PostFormValue("code")) {
		e.Result, e.Reason = audit.ResultFailed, reasonCodeWrong
		if err := c.note(r.Context(), e); err != nil {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded", safelog.Err(err))
		}
		c.codePage(w, r, http.StatusUnauthorized, "That did not match, or was used before. Wait for the next code.")
		return
	}
	if err := c.note(r.Context(), e); err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded, so nobody was let in", safelog.Err(err))
		c.codePage(w, r, http.StatusServiceUnavailable, "Signing in could not be recorded, so you were not let in. An admin finds why in the log.")
		return
	}
	refund()
	c.sessions.end(w, r)
	c.sessions.begin(w, r, u, false)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

type secondData struct {
	frame
	Amiss   string
	On      bool   // there is one
	Needed  bool   // the role must have one
	Secret  string // on offer
	Picture template.HTML
}

func (c *Console) secondPage(w http.ResponseWriter, r *http.Request, u User, status int, amiss string) {
	d := secondData{frame: c.frame(r, u, "Second factor"), Amiss: amiss, On: u.Second != "", Needed: slices.Contains(c.SecondFor, u.Role)}
	if secret := c.sessions.offer(r); secret != nil && !d.On {
		d.Secret = totpText(secret)
		var err error
		if d.Picture, err = totpPicture(secret, u.Name); err != nil {
			c.fail(w, r, u, err)
			return
		}
	}
	c.render(w, r, status, "second", d)
}

// confirmed reports whether the form holds u's password, and answers otherwise.
func (c *Console) confirmed(w http.ResponseWriter, r *http.Request, u User) bool {
	status, amiss := c.knows(r, u, r.PostFormValue("old"))
	if amiss != "" {
		c.secondPage(w, r, u, status, amiss)
	}
	return amiss == ""
}

// offerSecond makes a secret that holds once its first code is given.
func (c *Console) offerSecond(w http.ResponseWriter, r *http.Request, u User) {
	if u.Second == "" && c.confirmed(w, r, u) {
		c.sessions.makeOffer(r, newTOTPSecret())
	} else if u.Second == "" {
		return
	}
	http.Redirect(w, r, "/second", http.StatusSeeOther)
}

// setSecond takes the offered secret for u's own. All their other sessions end.
func (c *Console) setSecond(w http.ResponseWriter, r *http.Request, u User) {
	secret := c.sessions.offer(r)
	if secret == nil || u.Second != "" {
		http.Redirect(w, r, "/second", http.StatusSeeOther)
		return
	}
	refund, ok := c.tries(w, r, u)
	if !ok {
		c.secondPage(w, r, u, http.StatusTooManyRequests, "Too many tries. Wait half a minute.")
		return
	}
	step := totpFits(secret, r.PostFormValue("code"), 0, c.Now())
	if step == 0 {
		c.secondPage(w, r, u, http.StatusBadRequest, "That code did not match. If the next one does not either, compare the clocks of both devices.")
		return
	}
	refund()
	sealed, err := c.Keys.Seal(secondAD(u.Name), secret)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.changeSecond(w, r, u, secondOn, base64.StdEncoding.EncodeToString(sealed), step, "Signing in asks for a code from now on.")
}

// removeSecond takes u's second factor away, where their role may be without.
func (c *Console) removeSecond(w http.ResponseWriter, r *http.Request, u User) {
	switch {
	case u.Second == "":
		http.Redirect(w, r, "/second", http.StatusSeeOther)
		return
	case slices.Contains(c.SecondFor, u.Role):
		c.secondPage(w, r, u, http.StatusForbidden, "Your role must have one.")
		return
	case !c.confirmed(w, r, u):
		return
	}
	refund, ok := c.tries(w, r, u)
	if !ok {
		c.secondPage(w, r, u, http.StatusTooManyRequests, "Too many tries. Wait half a minute.")
		return
	}
	if !c.took(r, u, r.PostFormValue("code")) {
		c.secondPage(w, r, u, http.StatusUnauthorized, "That code did not match, or was used before.")
		return
	}
	refund()
	c.changeSecond(w, r, u, secondOff, "", 0, "Signing in asks for no code any more.")
}

// changeSecond records a change and makes it, and goes on in a session of its own.
func (c *Console) changeSecond(w http.ResponseWriter, r *http.Request, u User, what, sealed string, step int64, say string) {
	err := c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: what + u.Name})
	if err == nil {
		err = c.Users.SetSecond(u.Name, sealed, step)
	}
	c.goOn(w, r, u, err, say)
}

// goOn answers a change of u's own account, which has ended its sessions: with
// the failure err, or in a session of its own, whose first page says something.
func (c *Console) goOn(w http.ResponseWriter, r *http.Request, u User, err error, say string) {
	c.goOnAt(w, r, u, err, say, "/queue")
}

// goOnAt is goOn to another page than the queue.
func (c *Console) goOnAt(w http.ResponseWriter, r *http.Request, u User, err error, say, at string) {
	if err == nil {
		u, err = c.Users.Find(u.Name)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.sessions.end(w, r)
	c.sessions.beginSaying(w, r, u, say)
	http.Redirect(w, r, at, http.StatusSeeOther)
}
