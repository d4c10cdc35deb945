package console

import (
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
	http.Redirect(w, r, "/items/"+string(id), http.StatusSeeOther)
}

func (c *Console) unclaim(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err == nil {
		err = c.note(r.Context(), audit.Event{Kind: audit.Claim, Doc: id, Actor: u.Actor(), Reason: "let_go"})
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.claims.drop(id, u.Name)
	http.Redirect(w, r, "/items/"+string(id), http.StatusSeeOther)
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
	rv.Encrypted = r.PostFormValue("do") == "encrypt"
	rv.Note = strings.ReplaceAll(rv.Note, "\r\n", "\n")
	return rv, ""
}

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
	if by, ok := c.claims.take(id, u); !ok {
		c.say(w, r, u, http.StatusConflict, "This is in somebody's hand.", claimedBy(by))
		return
	}
	said, err := c.do(r, id, u, what, rv)
	if err == nil && len(rv.Only) > 0 {
		said, err = c.rest(r, id, u, said, rv)
	}
	if err == nil && c.Drills.IsDrill(id) {
		said += " This was a drill: nothing leaves, and nobody is written to."
	}
	c.claims.drop(id, u.Name)
	if errors.Is(err, gateway.ErrSecond) {
		said, err = "Noted as the first of two decisions. Somebody else must decide the same before it goes.", nil
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.sessions.say(r, said)
	http.Redirect(w, r, "/queue", http.StatusSeeOther)
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

// chosen reads the items of a bulk act, each once.
func chosen(r *http.Request) ([]dlp.ID, error) {
	if err := r.ParseForm(); err != nil {
		return nil, vault.ErrNotFound
	}
	var ids []dlp.ID
	for _, s := range r.PostForm["item"] {
		id, err := dlp.ParseID(s)
		if err != nil {
			return nil, vault.ErrNotFound
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > pageRows {
		return nil, vault.ErrNotFound
	}
	return ids, nil
}

// askBulk asks once more before several items are decided about.
func (c *Console) askBulk(w http.ResponseWriter, r *http.Request, u User) {
	ids, err := chosen(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	what := r.PostFormValue("do")
	if len(ids) == 0 || !slices.Contains(decisions, what) {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was chosen.", "Go back and select items.")
		return
	}
	c.render(w, r, http.StatusOK, "bulk", struct {
		frame
		Items   []dlp.ID
		Count   int
		Do      string
		Reasons []string
	}{c.frame(r, u, "Decide about several"), ids, len(ids), what, c.Reasons})
}

// bulk decides about several items, if their number was typed.
func (c *Console) bulk(w http.ResponseWriter, r *http.Request, u User) {
	ids, err := chosen(r)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	rv, amiss := c.reviewOf(r)
	if n, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("count"))); amiss == "" && (err != nil || n != len(ids)) {
		amiss = "Nothing was decided: the number typed is not the number of items."
	}
	if amiss != "" {
		c.say(w, r, u, http.StatusBadRequest, amiss, "Go back; all items stay as they were.")
		return
	}
	what := r.PostFormValue("do")
	done, noted := 0, 0
	for _, id := range ids {
		u, err := c.standing(r, id, u)
		if err != nil {
			c.fail(w, r, u, err)
			return
		}
		if _, ok := c.claims.take(id, u); !ok {
			continue
		}
		_, err = c.do(r, id, u, what, rv)
		c.claims.drop(id, u.Name)
		switch {
		case err == nil:
			done++
		case errors.Is(err, gateway.ErrSecond):
			noted++
		}
	}
	said := fmt.Sprintf("%d of %d done.", done, len(ids))
	if noted > 0 {
		said += fmt.Sprintf(" %d noted as the first of two decisions: somebody else must decide the same.", noted)
	}
	if done+noted < len(ids) {
		said += " The others cannot go so, are claimed or decided already, or the server cannot open them: they stay as they were."
	}
	c.sessions.say(r, said)
	http.Redirect(w, r, "/queue", http.StatusSeeOther)
}
