package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxWords bounds what a reviewer writes, in bytes.
const maxWords = 2000

func (c *Console) decideRoutes() []route {
	return []route{
		{"POST /items/{id}/claim", decide, c.claim},
		{"POST /items/{id}/unclaim", decide, c.unclaim},
		{"POST /items/{id}/decide", decide, c.decide},
		{"POST /queue/ask", decide, c.askBulk},
		{"POST /queue/decide", decide, c.bulk},
	}
}

func (c *Console) claim(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if _, err := c.Desk.Listed(r.Context(), id); err != nil { // what is not there is nobody's
		c.fail(w, r, u, err)
		return
	}
	if by, ok := c.claims.take(id, u); !ok {
		c.say(w, r, u, http.StatusConflict, "This is in somebody's hand.", claimedBy(by))
		return
	}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Claim, Doc: id, Actor: u.Actor(), Reason: "taken"}); err != nil {
		c.claims.drop(id, u.Name)
		c.fail(w, r, u, err)
		return
	}
	c.backToItem(w, r, id)
}

func (c *Console) unclaim(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err == nil {
		_, err = c.Desk.Listed(r.Context(), id)
	}
	if err == nil && c.claims.who(id) == u.Name { // what is not theirs, or not any more, they do not let go
		err = c.note(r.Context(), audit.Event{Kind: audit.Claim, Doc: id, Actor: u.Actor(), Reason: "let_go"})
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.claims.drop(id, u.Name)
	c.backToItem(w, r, id)
}

func claimedBy(by string) string {
	if by == "" {
		return "Too many items are claimed. Try again in a moment."
	}
	return by + " claimed it. A claim ends after 15 quiet minutes, or when " + by + " lets go."
}

// reviewOf reads a reviewer's reason. amiss says what is wrong with it.
func (c *Console) reviewOf(r *http.Request) (rv gateway.Review, amiss string) {
	rv = gateway.Review{Code: r.PostFormValue("code"), Words: strings.TrimSpace(r.PostFormValue("words")), Note: strings.TrimSpace(r.PostFormValue("note"))}
	switch {
	case !slices.Contains(c.Reasons, rv.Code):
		return rv, "Nothing was decided: a reason is needed."
	case len(rv.Words) > maxWords || len(rv.Note) > maxWords:
		return rv, fmt.Sprintf("Nothing was decided: at most %d bytes of words.", maxWords)
	}
	rv.Encrypted, rv.Version = r.PostFormValue("do") == "encrypt", cmp.Or(r.PostFormValue("version"), noVersion)
	rv.Unencrypted = r.PostFormValue("do") == "release" // the page calls that "as it came", in the clear
	rv.Note = strings.ReplaceAll(rv.Note, "\r\n", "\n")
	return rv, ""
}

// noVersion is none that an item has: who does not say what they were shown decides nothing.
const noVersion = "-"

// do carries one decision out, and says it in words.
func (c *Console) do(r *http.Request, id dlp.ID, u User, what string, rv gateway.Review) (said string, err error) {
	ctx := context.WithoutCancel(r.Context()) // a reviewer who goes away has decided
	keys, err := c.opened(r, u, id)
	if err != nil {
		return "", err
	}
	switch what {
	case "release", "encrypt":
		rv.Note = ""
		how, err := c.Desk.ReleaseFor(ctx, id, keys, u.Actor(), rv)
		switch {
		case err != nil:
			return "", err
		case how.Unencrypted > 0:
			return "Released. It goes in the clear to " + strconv.Itoa(how.Unencrypted) + " who were to have it encrypted: no way to do that came.", nil
		case rv.Encrypted:
			return "Released, encrypted to everybody it goes to.", nil
		case how.Encrypted > 0:
			return "Released, encrypted to those who were to have it so.", nil
		}
		return "Released.", nil
	case "reject":
		return "Rejected.", c.Desk.RejectFor(ctx, id, keys, u.Actor(), rv)
	}
	return "", vault.ErrNotFound
}

func (c *Console) decide(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	rv, amiss := c.reviewOf(r)
	what := r.PostFormValue("do")
	if amiss == "" && !slices.Contains(decisions, what) {
		amiss = "Nothing was decided: choose what happens to it."
	}
	if amiss == "" {
		rv.Only, amiss = someOf(r, what)
	}
	if amiss != "" {
		c.say(w, r, u, http.StatusBadRequest, amiss, "Go back; the item stays as it was.")
		return
	}
	said, err := c.decideAbout(r, id, u, what, rv)
	if err == nil && c.Drills.IsDrill(id) {
		said += " This was a drill: nothing leaves, and nobody is written to."
	}
	if errors.Is(err, gateway.ErrSecond) {
		said, err = "Noted as the first of two decisions. Somebody else must decide the same before it goes.", nil
	}
	if by, ok := errors.AsType[claimedError](err); ok {
		c.say(w, r, u, http.StatusConflict, "This is in somebody's hand.", claimedBy(string(by)))
		return
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.sessions.say(r, said)
	c.backToList(w, r, "")
}

// claimedError says in whose hand an item is; "": too many are claimed.
type claimedError string

func (claimedError) Error() string { return "console: claimed by somebody else" }

// decideAbout carries a decision of u's about one item out, in their hand meanwhile, and
// says it in words. claimedError.
func (c *Console) decideAbout(r *http.Request, id dlp.ID, u User, what string, rv gateway.Review) (said string, err error) {
	mine := c.claims.who(id) == u.Name
	if by, ok := c.claims.take(id, u); !ok {
		return "", claimedError(by)
	}
	if said, err = c.do(r, id, u, what, rv); err == nil && len(rv.Only) > 0 {
		said, err = c.rest(r, id, u, said, rv)
	}
	c.settle(id, u, mine, err)
	return said, err
}

// settle lets go of an item after a decision that ended with err; of one that u had
// claimed before, and that is still theirs to decide, it does not.
func (c *Console) settle(id dlp.ID, u User, mine bool, err error) {
	if mine && err != nil && !errors.Is(err, gateway.ErrSecond) && !errors.Is(err, gateway.ErrNotHeld) {
		return
	}
	c.claims.drop(id, u.Name)
}

// someOf reads for whom alone a decision is; none: for all. A form that does not
// say so plainly decides nothing: what went to everybody does not come back.
func someOf(r *http.Request, what string) (only []string, amiss string) {
	some, to := r.PostFormValue("some") != "", r.PostForm["to"]
	switch {
	case !some && len(to) > 0:
		return nil, "Nothing was decided: recipients are marked, and “to those marked here only” is not."
	case !some && r.PostFormValue("rest") != "":
		return nil, "Nothing was decided: something is chosen for the others, and nobody is named who gets it."
	case some && what == "reject":
		return nil, "Nothing was decided: it is rejected for everybody it is held for. Release it to some first, and reject it for the others."
	case some && len(to) == 0:
		return nil, "Nothing was decided: it would go to nobody."
	}
	return to, ""
}

// decisions are what may happen to an item.
var decisions = []string{"release", "encrypt", "reject"}

// rest does what was chosen for those who did not get it.
func (c *Console) rest(r *http.Request, id dlp.ID, u User, said string, rv gateway.Review) (string, error) {
	if r.PostFormValue("rest") != "reject" {
		return said, nil
	}
	ctx := context.WithoutCancel(r.Context())
	keys, err := c.opened(r, u, id)
	if err != nil {
		return "", err
	}
	err = c.Desk.RejectFor(ctx, id, keys, u.Actor(), gateway.Review{Code: rv.Code, Words: rv.Words})
	if errors.Is(err, gateway.ErrNotHeld) {
		return said, nil // it went to everybody
	}
	if err != nil {
		return "", err
	}
	return said + " Rejected for all others.", nil
}
