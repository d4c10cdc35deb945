package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Reasons of a Login or an Account about passkeys.
const (
	reasonPasskey        = "passkey"
	reasonPasskeyWrong   = "passkey_wrong"
	reasonPasskeySet     = "passkey_set:"
	reasonPasskeyRemoved = "passkey_removed:"
	reasonPasskeySeals   = "key_by_passkey:"    // it opens the reviewer's key from now on
	reasonPasskeyOpened  = "key_opened_passkey" // the reviewer's key, for the session
)

// maxAsked is how many answers are waited for at a time, of one account, or of one
// place where nobody is signed in.
const maxAsked = 50

func (c *Console) passkeyRoutes() []route {
	own := c.ownPassword
	return []route{
		{"POST /signin/passkey/ask", anyone, c.askPasskey},
		{"POST /signin/passkey", anyone, c.passkeySignin},
		{"POST /code/passkey", anyone, c.passkeyCode},
		{"GET /passkeys", signedIn, own(func(w http.ResponseWriter, r *http.Request, u User) { c.passkeysPage(w, r, u, http.StatusOK, "") })},
		{"POST /passkeys/offer", signedIn, own(c.offerPasskey)},
		{"POST /passkeys/set", signedIn, own(c.setPasskey)},
		{"POST /passkeys/remove", signedIn, own(c.removePasskey)},
		{"POST /key/passkey/ask", decide, own(c.askForKey)},
		{"POST /key/passkey/seal", decide, own(c.sealByPasskey)},
		{"POST /key/passkey/unlock", decide, own(c.unlockByPasskey)},
	}
}

// asking is what a page has the browser ask an authenticator for.
type asking struct {
	Token     string // of the ceremony
	Options   string // as the browser reads them; WebAuthn 5.1.8, 5.1.9
	To, Label string // where the answer goes, and the button that asks
	Item      dlp.ID // to which it leads back
	Make      bool   // a new one
}

// As is a with where its answer goes.
func (a asking) As(to, label string) asking {
	a.To, a.Label = to, label
	return a
}

// begin keeps the ceremony k for an answer about of; nil where there are too many.
func (c *Console) begin(r *http.Request, of string, options any, k passkey.Ceremony, err error) *asking {
	var text []byte
	if err == nil {
		text, err = json.Marshal(options)
	}
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a passkey could not be asked for", safelog.Err(err))
		return nil
	}
	k.Of = of
	k.Session = sessionOf(r)
	token := c.asked.Begin(k)
	if token == "" {
		return nil
	}
	return &asking{Token: token, Options: string(text)}
}

// sessionOf is the digest of the session's cookie, "" without one: the cookie
// itself opens a reviewer's key, and is kept nowhere.
func sessionOf(r *http.Request) string {
	k, ok := key(r)
	if !ok {
		return ""
	}
	return string(k[:])
}

// askOf asks for one of u's passkeys, or those of keys; nil where that cannot be.
func (c *Console) askOf(r *http.Request, u User, keys []ownPasskey, salt []byte) *asking {
	if c.Site == nil {
		return nil
	}
	var err error
	if keys == nil {
		keys, err = c.passkeysOf(u)
	}
	if err != nil || len(keys) == 0 {
		return nil
	}
	options, k, err := c.Site.BeginUse(handleOf(u), credentials(keys), salt)
	return c.begin(r, u.Name, options, k, err)
}

// ended returns the ceremony that the form answers, and the answer.
func (c *Console) ended(r *http.Request, of string) (k passkey.Ceremony, answer []byte, ok bool) {
	k, ok = c.asked.End(r.PostFormValue("ceremony"), of, sessionOf(r))
	return k, []byte(r.PostFormValue("credential")), ok && c.Site != nil
}

// noPasskey answers where a passkey cannot be asked for.
func (c *Console) noPasskey(w http.ResponseWriter, r *http.Request, u User) {
	c.say(w, r, u, http.StatusServiceUnavailable, "No passkey can be asked for just now.", "Try again in some minutes, or use your password.")
}

const wantsIn = "\x00" // of whom nobody knows yet who they are: no account's name

// askPasskey asks whoever it is for any passkey.
func (c *Console) askPasskey(w http.ResponseWriter, r *http.Request, _ User) {
	if c.Site == nil {
		c.signinPage(w, r, http.StatusNotFound, "There are no passkeys at this address.")
		return
	}
	options, k, err := c.Site.BeginFind()
	a := c.begin(r, wantsIn+c.place(r), options, k, err)
	if a == nil {
		c.signinPage(w, r, http.StatusServiceUnavailable, "No passkey can be asked for just now. Try again in some minutes, or use your password.")
		return
	}
	c.passkeyPage(w, r, "Sign in with a passkey", "Your telephone, computer or security key proves that it is you.", "/signin", a.As("/signin/passkey", "Use a passkey"))
}

func (c *Console) passkeyPage(w http.ResponseWriter, r *http.Request, heading, words, back string, a asking) {
	c.render(w, r, http.StatusOK, "passkey", struct {
		frame
		Heading, Words, Back string
		Passkey              asking
	}{frame{Title: heading}, heading, words, back, a})
}

// passkeySignin lets in whose passkey has answered. What was wrong is never said.
func (c *Console) passkeySignin(w http.ResponseWriter, r *http.Request, _ User) {
	place := c.place(r)
	if _, ok := c.byPlace.Allow(place); !ok {
		c.signinPage(w, r, http.StatusTooManyRequests, "That did not match. Wait some seconds, then try again.")
		return
	}
	k, answer, ok := c.ended(r, wantsIn+place)
	var u User
	err := passkey.ErrAnswer
	if ok {
		var got passkey.Credential
		got, err = c.Site.EndFind(k, func(handle []byte) []passkey.Credential {
			var keys []ownPasskey
			if u, err = c.Users.byHandle(handle); err == nil {
				keys, err = c.passkeysOf(u)
			}
			return credentials(keys)
		}, answer)
		if err == nil && (u.Disabled || u.Subject != "") {
			err = passkey.ErrAnswer
		}
		if err == nil {
			_, err = c.answered(u, got, nil)
		}
	}
	if c.letIn(w, r, u, err) {
		c.byPlace.Refund(place)
	} else if err != nil {
		c.signinPage(w, r, http.StatusUnauthorized, "That did not match.")
	}
}

// letIn puts a sign-in by passkey on record, and begins the session of one that
// held.
func (c *Console) letIn(w http.ResponseWriter, r *http.Request, u User, failed error) bool {
	e := audit.Event{Kind: audit.Login, Actor: u.Actor(), Result: audit.ResultPassed, Reason: reasonPasskey}
	if failed != nil { // whoever it was, they are nobody here
		e.Actor, e.Result, e.Reason = "", audit.ResultFailed, reasonPasskeyWrong
		if !errors.Is(failed, passkey.ErrAnswer) {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a passkey could not be looked at, so nobody was let in", safelog.Err(failed))
		}
	}
	if err := c.note(r.Context(), e); err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a sign-in could not be recorded, so nobody was let in", safelog.Err(err))
		if failed == nil {
			c.signinPage(w, r, http.StatusServiceUnavailable, "Signing in could not be recorded, so you were not let in. An admin finds why in the log.")
		}
		return false
	}
	if failed != nil {
		return false
	}
	u, err := c.Users.Find(u.Name) // as it is now: it has noted the use
	if err != nil || u.Disabled {
		c.signinPage(w, r, http.StatusUnauthorized, "That did not match.")
		return false
	}
	c.sessions.end(w, r)
	c.sessions.begin(w, r, u, false)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return true
}

// passkeyCode lets in who gave their password and whose passkey has answered.
func (c *Console) passkeyCode(w http.ResponseWriter, r *http.Request, _ User) {
	u, ok := c.half(r)
	if !ok {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	}
	refund, ok := c.tries(w, r, u)
	if !ok {
		c.codePage(w, r, http.StatusTooManyRequests, "Too many tries. Wait half a minute.")
		return
	}
	_, _, err := c.used(r, u, nil)
	switch {
	case c.letIn(w, r, u, err):
		refund()
	case err != nil:
		c.codePage(w, r, http.StatusUnauthorized, "That passkey did not match.")
	}
}

// used returns that of u's passkeys which has answered the form, and what its PRF
// made. The use is on stable storage.
func (c *Console) used(r *http.Request, u User, change func(k *ownPasskey, prf []byte) error) (ownPasskey, []byte, error) {
	k, answer, ok := c.ended(r, u.Name)
	if !ok {
		return ownPasskey{}, nil, passkey.ErrAnswer
	}
	keys, err := c.passkeysOf(u)
	if err != nil {
		return ownPasskey{}, nil, err
	}
	got, err := c.Site.EndUse(k, credentials(keys), answer)
	if err != nil {
		return ownPasskey{}, nil, err
	}
	prf, err := base64.StdEncoding.DecodeString(r.PostFormValue("prf"))
	if err != nil {
		return ownPasskey{}, nil, passkey.ErrAnswer
	}
	var failed error
	is, err := c.answered(u, got, func(k *ownPasskey) {
		if change != nil {
			failed = change(k, prf)
		}
	})
	return is, prf, errors.Join(err, failed)
}

type passkeysData struct {
	frame
	Amiss      string
	Able, Room bool
	Keys       []ownPasskey
}

func (c *Console) passkeysPage(w http.ResponseWriter, r *http.Request, u User, status int, amiss string) {
	keys, err := c.passkeysOf(u)
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "passkeys of an account do not open; an admin can take them away", safelog.Err(err))
		status, amiss = http.StatusConflict, "What is kept of your passkeys does not open: an admin can take them away."
	}
	c.render(w, r, status, "passkeys", passkeysData{c.frame(r, u, "Passkeys"), amiss, c.Site != nil, err == nil && len(keys) < maxPasskeys, keys})
}

// offerPasskey asks for a new passkey, of who knows the password.
func (c *Console) offerPasskey(w http.ResponseWriter, r *http.Request, u User) {
	if status, amiss := c.knows(r, u, r.PostFormValue("old")); amiss != "" {
		c.passkeysPage(w, r, u, status, amiss)
		return
	}
	keys, err := c.passkeysOf(u)
	if err != nil || c.Site == nil || len(keys) >= maxPasskeys {
		http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
		return
	}
	options, k, err := c.Site.BeginSet(handleOf(u), u.Name, credentials(keys), true)
	a := c.begin(r, "set\x00"+u.Name, options, k, err)
	if a == nil {
		c.noPasskey(w, r, u)
		return
	}
	a.Make = true
	c.passkeyPage(w, r, "Set a passkey", "Your browser asks which device keeps it, and that it is you.", "/passkeys", a.As("/passkeys/set", "Set a passkey"))
}

// setPasskey keeps what an authenticator made. All other sessions of u end.
func (c *Console) setPasskey(w http.ResponseWriter, r *http.Request, u User) {
	k, answer, ok := c.ended(r, "set\x00"+u.Name)
	if !ok {
		c.passkeysPage(w, r, u, http.StatusConflict, "No passkey was set: that took too long. Try again.")
		return
	}
	keys, err := c.passkeysOf(u)
	var made passkey.Credential
	if err == nil {
		made, err = c.Site.EndSet(k, answer)
	}
	twice := slices.ContainsFunc(keys, func(x ownPasskey) bool { return slices.Equal(x.Credential.Handle, made.Handle) })
	if errors.Is(err, passkey.ErrAnswer) || err == nil && (twice || len(keys) >= maxPasskeys) {
		c.passkeysPage(w, r, u, http.StatusBadRequest, "No passkey was set. Try again, or another device.")
		return
	}
	now := c.Now().UTC()
	keys = append(keys, ownPasskey{ID: dlp.NewID(), Created: now, Used: now, Credential: made})
	if err == nil {
		err = c.changePasskeys(r, u, reasonPasskeySet, base64.StdEncoding.EncodeToString(k.User), keys)
	}
	c.goOnAt(w, r, u, err, "Your passkey is set. It signs you in from now on.", "/passkeys")
}

// changePasskeys records a change of u's passkeys and makes it.
func (c *Console) changePasskeys(r *http.Request, u User, what, handle string, keys []ownPasskey) error {
	sealed, err := c.sealedPasskeys(u.Name, keys)
	if err == nil {
		err = c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: what + u.Name})
	}
	if err == nil {
		err = c.Users.SetPasskeys(u.Name, handle, sealed)
	}
	return err
}

func (c *Console) removePasskey(w http.ResponseWriter, r *http.Request, u User) {
	if status, amiss := c.knows(r, u, r.PostFormValue("old")); amiss != "" {
		c.passkeysPage(w, r, u, status, amiss)
		return
	}
	keys, err := c.passkeysOf(u)
	n := len(keys)
	keys = slices.DeleteFunc(keys, func(k ownPasskey) bool { return string(k.ID) == r.PostFormValue("id") })
	switch {
	case err == nil && len(keys) == n:
		http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
		return
	case err == nil && len(keys) == 0 && u.Second == "" && slices.Contains(c.SecondFor, u.Role):
		c.passkeysPage(w, r, u, http.StatusForbidden, "Your role must have a second factor: set another passkey, or a code, first.")
		return
	}
	if err == nil {
		err = c.changePasskeys(r, u, reasonPasskeyRemoved, u.Handle, keys)
	}
	c.goOnAt(w, r, u, err, "That passkey is removed here. Your device may still list it.", "/passkeys")
}

// opensByPasskey reports whether a passkey of u opens their reviewer's key.
func (c *Console) opensByPasskey(u User) bool {
	keys, err := c.passkeysOf(u)
	return err == nil && c.Site != nil && slices.ContainsFunc(keys, func(k ownPasskey) bool { return k.OpensKey(u.Key) })
}

// forgetSealed has no passkey of name open a reviewer's key.
func (c *Console) forgetSealed(name string) error {
	u, err := c.Users.Find(name)
	if err != nil {
		return err
	}
	keys, err := c.passkeysOf(u)
	if err != nil || len(keys) == 0 {
		return err
	}
	for i := range keys {
		keys[i].KeyOf, keys[i].Sealed = "", nil
	}
	sealed, err := c.sealedPasskeys(name, keys)
	if err != nil {
		return err
	}
	return c.Users.keepPasskeys(name, u.Passkeys, sealed)
}

// askForKey asks for a passkey: to open the reviewer's key, or where that is open to
// open it from now on.
func (c *Console) askForKey(w http.ResponseWriter, r *http.Request, u User) {
	keys, err := c.passkeysOf(u)
	unlocked := c.unlocked(r)
	if !unlocked {
		keys = slices.DeleteFunc(keys, func(k ownPasskey) bool { return !k.OpensKey(u.Key) })
	}
	if err != nil || u.Key == "" || len(keys) == 0 {
		http.Redirect(w, r, "/key", http.StatusSeeOther)
		return
	}
	a := c.askOf(r, u, keys, prfSalt(u))
	if a == nil {
		c.noPasskey(w, r, u)
		return
	}
	if a.Item, err = dlp.ParseID(r.PostFormValue("item")); err != nil {
		a.Item = ""
	}
	if unlocked {
		c.passkeyPage(w, r, "Have a passkey open your key", "The passkey that answers opens your reviewer's key from now on, in place of the password.", "/key", a.As("/key/passkey/seal", "Use this passkey"))
		return
	}
	c.passkeyPage(w, r, "Unlock your key", "Your passkey opens your reviewer's key for this session.", "/key", a.As("/key/passkey/unlock", "Unlock"))
}

// sealByPasskey has the passkey that answers open the reviewer's key that is open.
func (c *Console) sealByPasskey(w http.ResponseWriter, r *http.Request, u User) {
	secret := c.sessions.borrow(r)
	defer clear(secret)
	if secret == nil || u.Key == "" {
		http.Redirect(w, r, "/key", http.StatusSeeOther)
		return
	}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: reasonPasskeySeals + u.Name}); err != nil {
		c.fail(w, r, u, err)
		return
	}
	_, prf, err := c.used(r, u, func(k *ownPasskey, prf []byte) error { return k.sealFor(u, secret, prf) })
	clear(prf)
	switch {
	case errors.Is(err, errKeyForms):
		c.keyPage(w, r, u, http.StatusConflict, "That passkey's authenticator has not the means (PRF) to keep a key. Your password opens it as before.")
	case errors.Is(err, passkey.ErrAnswer):
		c.keyPage(w, r, u, http.StatusUnauthorized, "That passkey did not match.")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		c.sessions.say(r, "Your passkey opens your key from now on.")
		http.Redirect(w, r, "/key", http.StatusSeeOther)
	}
}

// unlockByPasskey opens u's reviewer's key for this session.
func (c *Console) unlockByPasskey(w http.ResponseWriter, r *http.Request, u User) {
	refund, ok := c.tries(w, r, u)
	if !ok {
		c.keyPage(w, r, u, http.StatusTooManyRequests, "Too many tries. Wait half a minute.")
		return
	}
	var secret []byte
	k, prf, err := c.used(r, u, nil)
	if err == nil {
		secret, err = k.secretOf(u, prf)
	}
	clear(prf)
	defer clear(secret)
	e := audit.Event{Kind: audit.Login, Actor: u.Actor(), Reason: reasonPasskeyOpened, Result: audit.ResultPassed}
	if err != nil {
		e.Result = audit.ResultFailed
	}
	if nerr := c.note(r.Context(), e); nerr != nil {
		c.fail(w, r, u, fmt.Errorf("console: unlock: %w", nerr))
		return
	}
	if err == nil {
		err = c.sessions.lend(r, secret)
	}
	if err != nil {
		c.keyPage(w, r, u, http.StatusUnauthorized, "That passkey did not open your key.")
		return
	}
	refund()
	back := "/key"
	if id, err := dlp.ParseID(r.PostFormValue("item")); err == nil {
		back = "/items/" + string(id)
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}
