package console

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/web"
)

//go:embed pages/*.html
var files embed.FS

// maxTries is how often a password may be wrong in a row, from however many
// places; NIST SP 800-63B 3.2.2 allows no more.
const maxTries = 100

// maxBody bounds what a form may send, in bytes.
const maxBody = 64 << 10

// Deps are the console's neighbours.
type Deps struct {
	Desk   Desk
	Reader Reader
	Users  *Users
	Views  *Views
	Deputy *Deputies
	Rules  func() []Rule // in force
	Book   Rulebook
	Editor RuleEditor
	Exempt Exempter
	// AcceptOwn says that an admin may accept what they proposed themselves.
	AcceptOwn bool
	// RuleFile is the file that Editor changes, with its versions.
	RuleFile *rulefile.Store
	Held     func(context.Context) (int, error)
	Figures  Figures
	Trail    Trail
	Prover   Prover
	Legal    Legal
	Dossiers Dossiers
	Rollout  Rollout
	Drills   Drills
	Pickups  Pickups // nil: nobody opens mail in a browser
	// Departments are those there are, and the fewest senders with which one is shown
	// alone to who may not see names. Nil: there are none.
	Departments func() Departments
	Persons     func(address string) (pseudonyms []string, err error) // that stand for it in the audit log
	// HeldBefore counts what is held and was received before each of times.
	HeldBefore func(ctx context.Context, times []time.Time) ([]int, error)
	Health     func(context.Context) []Condition
	Probed     func() []Probed
	Keys       Keys // under which second factors and reviewers' keys are sealed
	Vault      Vault
	Site       *passkey.Site // where passkeys are for; nil: there are none
	OIDC       *OIDC         // nil: nobody signs in by a provider
	// SecondFor are the roles that must have a second factor.
	SecondFor []Role
	Reasons   []string       // codes that a decision may have
	Proxies   []netip.Prefix // whose X-Forwarded-For is believed
	Now       func() time.Time
	Log       *slog.Logger
}

// Console answers reviewers.
type Console struct {
	Deps
	assets   *web.Assets
	pages    *web.Pages
	sessions *sessions
	claims   *claims
	agreed   *agreements
	asked    *passkey.Ceremonies
	byName   *web.Limiter  // sign-ins at one account from one place
	byPlace  *web.Limiter  // sign-ins from one place
	byUser   *web.Limiter  // sign-ins at one account from wherever
	bench    chan struct{} // a place for each text that is being tried

	verifying chan struct{} // a place for who has the audit log verified
	deciding  sync.Mutex    // a proposal is accepted or declined by one at a time
}

// New makes the console.
func New(d Deps) (*Console, error) {
	c := &Console{Deps: d, sessions: newSessions(d.Now), claims: newClaims(d.Now), agreed: newAgreements(d.Now), asked: passkey.NewCeremonies(d.Now, maxAsked),
		byName: web.NewLimiter(5, 30*time.Second, d.Now), byPlace: web.NewLimiter(50, 5*time.Second, d.Now),
		byUser: web.NewLimiter(maxTries, 5*time.Minute, d.Now), bench: make(chan struct{}, maxTrials), verifying: make(chan struct{}, 1)}
	var err error
	if c.assets, err = web.NewAssets(); err != nil {
		return nil, err
	}
	pages, err := fs.Sub(files, "pages")
	if err != nil {
		return nil, fmt.Errorf("console: pages: %w", err)
	}
	c.pages, err = web.NewPages(pages, c.assets, template.FuncMap{
		"age": func(t time.Time) string { return age(d.Now().Sub(t)) }, "left": func(t *time.Time) string { return age(t.Sub(d.Now())) }, "size": size, "initials": initials, "words": codeWords, "person": person, "bars": bars, "grouped": grouped,
		"filters": filters, "short": shortID, "clock": clock, "delivery": deliveryWords,
	})
	return c, err
}

// clock is how pages say a time.
func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// Handler is the whole face, as web.Serve takes it.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range c.routes() {
		mux.HandleFunc(rt.pattern, c.handler(rt))
	}
	mux.Handle("GET "+web.AssetsPath, c.assets)
	small, large := web.Secure(mux, maxBody, c.Log), web.Secure(mux, maxTrialBody, c.Log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/rules/") {
			large.ServeHTTP(w, r)
			return
		}
		small.ServeHTTP(w, r)
	})
}

// user returns whose the request is, if they are signed in and may still be.
func (c *Console) user(r *http.Request) (User, bool) {
	s, ok := c.sessions.find(r)
	if !ok || s.half {
		return User{}, false
	}
	u, err := c.Users.Find(s.was.Name)
	if err != nil || !u.same(s.was) || u.Disabled {
		return User{}, false
	}
	return u, true
}

// frame is what every page has. A page's data embeds it.
type frame struct {
	Title string
	User  User
	Held  int
	Say   string // once, after an act
	Left  bool   // that something was left undone, of what it says
	// Waiting is, on pages of rules, how many of the newest proposals wait.
	Waiting int
}

// Decides, Reveals and SeesNames are what templates ask.
func (f frame) Decides() bool    { return f.User.may(decide) }
func (f frame) Reveals() bool    { return f.User.may(reveal) }
func (f frame) Trails() bool     { return f.User.may(trail) }
func (f frame) SeesPast() bool   { return f.User.may(past) }
func (f frame) RollsOut() bool   { return f.User.may(rollOut) }
func (f frame) RunsDrills() bool { return f.User.may(drills) }
func (f frame) Dossiers() bool   { return f.User.may(dossiers) }
func (f frame) Legal() bool      { return f.User.may(legal) }
func (f frame) Downloads() bool  { return f.User.may(download) }
func (f frame) Accounts() bool   { return f.User.may(accounts) }
func (f frame) SeesNames() bool  { return f.User.may(names) }
func (f frame) Tries() bool      { return f.User.may(tryRules) }
func (f frame) EditsRules() bool { return f.User.may(editRules) }

// OfDossiers reports that it is one of the pages of dossiers.
func (f frame) OfDossiers() bool { return strings.HasPrefix(f.Title, "Dossier") }

// OfRules reports that it is one of the pages of rules.
func (f frame) OfRules() bool { return strings.HasPrefix(f.Title, "Rules") }

func (c *Console) frame(r *http.Request, u User, title string) frame {
	n, err := c.Held(r.Context())
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelError, "what is held could not be counted", safelog.Err(err))
	}
	f := frame{Title: title, User: u, Held: n}
	f.Say, f.Left = c.sessions.said(r)
	if f.OfRules() && f.Tries() {
		f.Waiting = c.waiting(r.Context())
	}
	return f
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	if err := c.pages.Render(w, status, page, data); err != nil { // a template's error may quote what it shows
		c.Log.LogAttrs(r.Context(), slog.LevelError, "a page could not be made")
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
	}
}

// say answers with a page that says one thing.
func (c *Console) say(w http.ResponseWriter, r *http.Request, u User, status int, what, more string) {
	p := struct {
		frame
		What, More string
		Item       dlp.ID // that it is about, "" for none
	}{frame: c.frame(r, u, what), What: what, More: more}
	if id, err := itemID(r); err == nil && status == http.StatusConflict && strings.HasPrefix(r.URL.Path, "/items/") {
		p.Item = id
	}
	c.render(w, r, status, "say", p)
}

// fail answers an act that was not done, in words for who asked.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, u User, err error) {
	switch {
	case errors.Is(err, vault.ErrLocked):
		c.locked(w, r, u)
		return
	case errors.Is(err, gateway.ErrNotHeld), errors.Is(err, gateway.ErrChanged):
		c.say(w, r, u, http.StatusConflict, "This changed while you were reading.", c.since(r, err))
		return
	}
	for _, known := range []struct {
		is         error
		status     int
		what, more string
	}{
		{vault.ErrNotFound, http.StatusNotFound, "There is no such item.", ""},
		{pickup.ErrEnded, http.StatusNotFound, "No such message waits.", "It is over, or somebody took it back before."},
		{audit.ErrFull, http.StatusServiceUnavailable, "It could not be recorded, so it was not done.", "The audit log has no room, and what is not on record is not done. An admin makes room on the disk of the data folder."},
		{vault.ErrNoContent, http.StatusGone, "Its content is gone.", "The time for which it was kept is over."},
		{gateway.ErrBusy, http.StatusConflict, "Somebody is deciding about it right now.", "Look again in a moment."},
		{gateway.ErrSame, http.StatusConflict, "Somebody else must say yes.", "You decided this already, or somebody did who is your deputy or whose you are. It is above the threshold for one person."},
		{gateway.ErrOwn, http.StatusConflict, "Somebody else must release it.", "It is your own mail, or of somebody whose deputy you are."},
		{ErrNoDeputy, http.StatusForbidden, "You are not their deputy.", "Their time may be over. Nothing was done; what you do in your own name you still may."},
		{gateway.ErrNoWay, http.StatusConflict, "It stays held.", "It cannot be encrypted for everybody it was to go to. Choose some of them, or run `stanch keys test ADDRESS`, which says why."},
		{gateway.ErrPassword, http.StatusConflict, "The password opens nothing of it.", "The item stays as it was. Letters, spaces and their case count: see that it is typed as the sender gave it."},
		{gateway.ErrNoPassword, http.StatusBadRequest, "Nothing was tried.", "A password has 1 to 256 bytes."},
		{gateway.ErrOpenedSlow, http.StatusConflict, "It was not read in time.", "The item stays as it was. Try again when less is going on."},
		{gateway.ErrNote, http.StatusConflict, "Nothing was decided: the note says what points at a patient.", "It goes out by mail, in the clear. Go back, and say it without numbers, dates of birth or the like. The item stays as it was."},
		{gateway.ErrNoteUnread, http.StatusConflict, "Nothing was decided: the note could not be read.", "It is read by the rules before it goes out, and none are loaded just now. The item stays as it was."},
		{gateway.ErrNotFor, http.StatusConflict, "This changed while you were reading.", "It is not held any more for one of those you chose. Nothing was done."},
		{ErrNoFinding, http.StatusNotFound, "Nothing is found there.", "The rules in force find nothing at that place any more, or never did."},
		{errNoKey, http.StatusConflict, "It cannot be named by a digest.", "The index key of the data folder cannot be read. The log of the server says more."},
		{ErrNoPart, http.StatusNotFound, "There is no such part.", "Or it has no text."},
	} {
		if errors.Is(err, known.is) {
			c.say(w, r, u, known.status, known.what, known.more)
			return
		}
	}
	c.Log.LogAttrs(r.Context(), slog.LevelError, "a reviewer's request was not carried out", safelog.Err(err))
	c.say(w, r, u, http.StatusInternalServerError, "That was not done.", "The item stays as it was. The log of the server says more.")
}

// since says what became of an item that somebody decided about as it was before.
func (c *Console) since(r *http.Request, err error) string {
	if errors.Is(err, gateway.ErrChanged) {
		return "More is known of it, a first decision was made, or some have it already. Nothing was done: look at it again, and decide then."
	}
	const kept = " Nothing of yours was done, and nothing was done twice."
	id, err := itemID(r)
	if err != nil {
		return "Somebody decided about it before." + kept
	}
	h, err := c.Desk.Listed(r.Context(), id)
	if err != nil || h.Decided == nil {
		return "Somebody decided about it before." + kept
	}
	by := cmp.Or(person(h.DecidedBy), "its time")
	return fmt.Sprintf("It was %s on %s, by %s.", h.State, clock(*h.Decided), by) + kept
}

// note records what somebody did here; without a record nothing is done.
func (c *Console) note(ctx context.Context, e audit.Event) error {
	return c.Desk.Note(context.WithoutCancel(ctx), e)
}

// onRecord has do make a change that it records before anything is written; where it
// fails after that, that is on record too.
func (c *Console) onRecord(ctx context.Context, do func(record func(audit.Event) error) error) error {
	var noted *audit.Event
	err := do(func(e audit.Event) error {
		err := c.note(ctx, e)
		if err == nil {
			noted = &e
		}
		return err
	})
	if err != nil && noted != nil {
		noted.Result = audit.ResultFailed
		err = errors.Join(err, c.note(ctx, *noted))
	}
	return err
}

// itemID reads which item a request is about.
func itemID(r *http.Request) (dlp.ID, error) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		return "", vault.ErrNotFound
	}
	return id, nil
}
