package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	agekey "github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Reasons of an Account, a Login or a Propose about reviewers' keys.
const (
	reasonKeyMade    = "key_made:"
	reasonKeyRemoved = "key_removed:"
	reasonKeyOpened  = "key_opened"
	reasonOpen       = "open"
)

func (c *Console) keyRoutes() []route {
	own := c.ownPassword
	return []route{
		{"GET /key", decide, own(func(w http.ResponseWriter, r *http.Request, u User) { c.keyPage(w, r, u, http.StatusOK, "") })},
		{"POST /key/make", decide, own(c.makeKey)},
		{"POST /key/unlock", decide, own(c.unlock)},
		{"POST /key/lock", decide, own(c.lock)},
		{"POST /key/remove", decide, own(c.removeKey)},
		{"POST /items/{id}/agree", decide, own(c.agree)},
		{"GET /keys", accounts, c.keysPage},
	}
}

// standing is how a reviewer's key stands with the vault.
type standing struct {
	Reads   bool // what is held from now on is sealed to it
	Stale   int  // living keys of periods that are not
	Certs   bool // the reviewers have certificates, so that it can open nothing
	Needed  int
	Release bool // the server has a key of its own
}

func standingOf(st vault.Periods, public string) (s standing) {
	s = standing{Needed: st.Needed, Release: st.Server != "", Reads: slices.Contains(st.Readers, public), Certs: slices.ContainsFunc(st.Readers, strict.IsReader)}
	for _, p := range st.Periods {
		if p.Destroyed.IsZero() && !slices.Contains(p.Readers, public) {
			s.Stale++
		}
	}
	return s
}

type keyData struct {
	frame
	standing
	Amiss      string
	Unlocked   bool
	ByPasskey  bool // a passkey opens it
	MayPasskey bool // one could
}

// keyPage is about one's own reviewer's key.
func (c *Console) keyPage(w http.ResponseWriter, r *http.Request, u User, status int, amiss string) {
	st, err := c.Vault.VaultPeriods(r.Context())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.render(w, r, status, "key", keyData{c.frame(r, u, "Your key"), standingOf(st, u.Key), amiss, c.unlocked(r), c.opensByPasskey(u), c.Site != nil && u.Passkeys != ""})
}

// unlocked reports whether the session has a reviewer's key open.
func (c *Console) unlocked(r *http.Request) bool {
	secret := c.sessions.borrow(r)
	defer clear(secret)
	return secret != nil
}

// knows reports whether the form holds u's password; amiss says what to answer
// otherwise. Wrong ones count with those at the sign-in.
func (c *Console) knows(r *http.Request, u User, password string) (status int, amiss string) {
	place := u.Name + "\x00" + c.place(r)
	if _, ok := c.byName.Allow(place); !ok {
		return http.StatusTooManyRequests, "Too many tries. Wait half a minute."
	}
	if _, ok := c.byUser.Allow(u.Name); !ok {
		return http.StatusTooManyRequests, "Too many tries. Wait some minutes."
	}
	if _, err := c.Users.Check(u.Name, password); err != nil {
		return http.StatusUnauthorized, "The password you have now did not match."
	}
	c.byName.Refund(place)
	c.byUser.Refund(u.Name)
	return 0, ""
}

// makeKey makes u's reviewer's key. It opens nothing until an admin names it in
// the configuration.
func (c *Console) makeKey(w http.ResponseWriter, r *http.Request, u User) {
	password := r.PostFormValue("old")
	if u.Key != "" {
		c.keyPage(w, r, u, http.StatusConflict, "You have a key.")
		return
	}
	if status, amiss := c.knows(r, u, password); amiss != "" {
		c.keyPage(w, r, u, status, amiss)
		return
	}
	st, err := c.Vault.VaultPeriods(r.Context())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	others := slices.DeleteFunc(slices.Clone(st.Readers), func(x string) bool { return x == st.Server })
	secret, public, err := agekey.NewReviewer(others)
	if errors.Is(err, agekey.ErrCertificates) {
		c.keyPage(w, r, u, http.StatusConflict, "")
		return
	}
	var sealed string
	if err == nil {
		defer clear(secret)
		sealed, err = c.Users.sealedKey(u.Name, public, password, secret, c.Keys)
	}
	if err == nil {
		err = c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: reasonKeyMade + u.Name})
	}
	if err == nil {
		err = c.Users.setKey(u.Name, public, sealed)
	}
	if errors.Is(err, errKeysFull) {
		c.keyPage(w, r, u, http.StatusConflict, fmt.Sprintf("%d accounts have a key: there can be no more.", maxKeys))
		return
	}
	c.goOnAt(w, r, u, err, "Your key is made. It opens nothing until an admin names it.", "/key")
}

// removeKey takes u's reviewer's key away, for good.
func (c *Console) removeKey(w http.ResponseWriter, r *http.Request, u User) {
	if u.Key == "" {
		http.Redirect(w, r, "/key", http.StatusSeeOther)
		return
	}
	if status, amiss := c.knows(r, u, r.PostFormValue("old")); amiss != "" {
		c.keyPage(w, r, u, status, amiss)
		return
	}
	err := c.note(r.Context(), audit.Event{Kind: audit.Account, Actor: u.Actor(), Reason: reasonKeyRemoved + u.Name})
	if err == nil {
		err = c.Users.setKey(u.Name, "", "")
	}
	if err == nil {
		err = c.forgetSealed(u.Name)
	}
	c.goOnAt(w, r, u, err, "Your key is gone.", "/key")
}

// unlock opens u's key for this session, by the password.
func (c *Console) unlock(w http.ResponseWriter, r *http.Request, u User) {
	back := "/key"
	if id, err := dlp.ParseID(r.PostFormValue("item")); err == nil {
		back = "/items/" + string(id)
	}
	if u.Key == "" {
		http.Redirect(w, r, "/key", http.StatusSeeOther)
		return
	}
	e := audit.Event{Kind: audit.Login, Actor: u.Actor(), Reason: reasonKeyOpened, Result: audit.ResultPassed}
	password := r.PostFormValue("old")
	status, amiss := c.knows(r, u, password)
	if status == http.StatusTooManyRequests {
		c.keyPage(w, r, u, status, amiss)
		return
	}
	var secret []byte
	if amiss == "" {
		var err error
		if secret, err = c.Users.secretKey(u, password, c.Keys); err != nil {
			c.Log.LogAttrs(r.Context(), slog.LevelError, "a reviewer's key does not open by the password of its account", safelog.Err(err))
			status, amiss = http.StatusConflict, "Your key does not open: what is kept of it is damaged. Other reviewers' keys open what is held; take this one away and make another."
		}
	}
	defer clear(secret)
	if amiss != "" {
		e.Result = audit.ResultFailed
	}
	if err := c.note(r.Context(), e); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if amiss != "" {
		c.keyPage(w, r, u, status, amiss)
		return
	}
	if err := c.sessions.lend(r, secret); err != nil {
		c.fail(w, r, u, err)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// lock forgets the open key of this session.
func (c *Console) lock(w http.ResponseWriter, r *http.Request, _ User) {
	c.sessions.lock(r)
	c.sessions.say(r, "Your key is locked.")
	http.Redirect(w, r, "/key", http.StatusSeeOther)
}

// itemOf returns the item that r names, and what the open key of u's session opens of it.
func (c *Console) itemOf(r *http.Request, u User) (id dlp.ID, keys vault.Opened, err error) {
	if id, err = itemID(r); err == nil {
		keys, err = c.opened(r, u, id)
	}
	return id, keys, err
}

// opened returns what the open key of u's session opens of id, with somebody
// else's who agreed where it takes two. What it does not open is left to the
// server's own key.
func (c *Console) opened(r *http.Request, u User, id dlp.ID) (vault.Opened, error) {
	secret := c.sessions.borrow(r)
	if secret == nil {
		return vault.Opened{}, nil
	}
	defer clear(secret)
	ids, err := identitiesOf(secret)
	if err != nil {
		return vault.Opened{}, err
	}
	l, err := c.Vault.Locks(context.WithoutCancel(r.Context()), id)
	if err != nil {
		return vault.Opened{}, err
	}
	for _, a := range c.agreed.with(id, u.Name) {
		if one, err := c.Deputy.One(u.Actor(), userPrefix+a.by, a.at); err != nil || one {
			continue
		}
		if other, err := c.Users.Find(a.by); err != nil || other.Disabled || other.Key != a.public || !other.may(decide) {
			continue
		}
		more, err := a.open(ids)
		if err != nil {
			continue // it was not sealed to this one
		}
		ids = append(ids, more...)
	}
	return fileKeys(l, ids)
}

// agree says that u has this item opened, where that takes two.
func (c *Console) agree(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err == nil {
		_, err = c.Desk.Listed(r.Context(), id)
	}
	var st vault.Periods
	if err == nil {
		st, err = c.Vault.VaultPeriods(r.Context())
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	secret := c.sessions.borrow(r)
	defer clear(secret)
	if secret == nil || st.Needed < 2 {
		http.Redirect(w, r, "/items/"+string(id), http.StatusSeeOther)
		return
	}
	a, err := c.agreementOf(u, st, secret)
	if errors.Is(err, errNobody) {
		c.say(w, r, u, http.StatusConflict, "Nobody else could open it with you here.", "It takes two reviewers' keys, and no other account has one that the vault is sealed to. On a machine that has two keys, run `stanch quarantine` with --identity twice.")
		return
	}
	if err == nil {
		err = c.note(r.Context(), audit.Event{Kind: audit.Propose, Doc: id, Actor: u.Actor(), Reason: reasonOpen})
	}
	if err == nil {
		err = c.agreed.add(id, a)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	http.Redirect(w, r, "/items/"+string(id), http.StatusSeeOther)
}

// lockedData is what the page of an item says that the server cannot open.
type lockedData struct {
	frame
	standing
	ID        dlp.ID
	Provider  string // who keeps their password; "": this does
	Unlocked  bool
	ByPasskey bool     // a passkey opens their key
	Agreed    bool     // they did
	By        []string // who else did
}

// locked answers for an item that takes a reviewer's key.
func (c *Console) locked(w http.ResponseWriter, r *http.Request, u User) {
	id, _ := dlp.ParseID(r.PathValue("id")) // "" on a page of several
	st, err := c.Vault.VaultPeriods(r.Context())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	d := lockedData{frame: c.frame(r, u, "Sealed"), standing: standingOf(st, u.Key), ID: id, ByPasskey: c.opensByPasskey(u), Unlocked: c.unlocked(r)}
	if u.Subject != "" {
		d.Provider = c.provider()
	}
	for _, a := range c.agreed.of(id) {
		if a.by == u.Name {
			d.Agreed = true
		} else {
			d.By = append(d.By, a.by)
		}
	}
	c.render(w, r, http.StatusConflict, "locked", d)
}

// periodView is one key of the vault.
type periodView struct {
	ID    dlp.ID
	Of    string
	Begun time.Time
	State string
	Stale bool
	By    []string
}

// keyHolder is an account with a reviewer's key.
type keyHolder struct {
	User
	standing
}

// keysPage shows the keys of the vault, who can open them, and which accounts
// wait for that.
func (c *Console) keysPage(w http.ResponseWriter, r *http.Request, u User) {
	st, err := c.Vault.VaultPeriods(r.Context())
	var all []User
	if err == nil {
		all, err = c.Users.List()
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	d := struct {
		frame
		standing
		Periods []periodView
		Holders []keyHolder
		Readers []string
	}{frame: c.frame(r, u, "Keys"), standing: standingOf(st, ""), Readers: readerNames(st.Readers, st.Server, all)}
	for _, p := range slices.Backward(st.Periods) {
		v := periodView{p.ID, periodKinds[p.Kind], p.Begun, "runs", p.Stale, readerNames(p.Readers, st.Server, all)}
		switch {
		case !p.Destroyed.IsZero():
			v.State, v.By = "destroyed", []string{"nobody"}
		case !p.Ended.IsZero():
			v.State = "ended"
		}
		d.Periods = append(d.Periods, v)
	}
	for _, x := range all {
		if x.Key != "" {
			d.Holders = append(d.Holders, keyHolder{x, standingOf(st, x.Key)})
		}
	}
	c.render(w, r, http.StatusOK, "keys", d)
}

var periodKinds = map[string]string{vault.KindContent: "contents", vault.KindCase: "cases", vault.KindRelease: "before there were periods"}

// readerNames says in short who readers are.
func readerNames(readers []string, server string, all []User) (out []string) {
	for _, k := range readers {
		i := slices.IndexFunc(all, func(x User) bool { return x.Key == k })
		switch {
		case k == server:
			k = "this server"
		case i >= 0:
			k = "the login of " + all[i].Name
		default:
			k = strict.Short(k)
		}
		out = append(out, k)
	}
	return out
}
