package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// proposalRows is how many proposals one page lists.
const proposalRows = 50

func (c *Console) proposalRoutes() []route {
	return []route{
		{"GET /rules/proposals", tryRules, c.proposals},
		{"GET /rules/proposals/{id}", tryRules, c.proposal},
		{"POST /rules/proposals/{id}/replay", editRules, c.replayProposal},
		{"POST /rules/proposals/{id}/accept", editRules, c.decidingOn(c.acceptProposal)},
		{"POST /rules/proposals/{id}/decline", editRules, c.decidingOn(c.declineProposal)},
		{"POST /rules/proposals/{id}/withdraw", decide, c.decidingOn(c.withdrawProposal)},
	}
}

type proposalsPage struct {
	frame
	Rail rail
	Rows []rulefile.Proposal
	Next int // the proposal before which the next page begins, 0 for none
}

// proposals lists them, the newest first.
func (c *Console) proposals(w http.ResponseWriter, r *http.Request, u User) {
	before, _ := strconv.Atoi(r.URL.Query().Get("before")) // anything else: from the newest on
	p := proposalsPage{Rail: railOf(c.inForce(), "")}
	var err error
	if p.Rows, err = c.RuleFile.Proposals(before, proposalRows); err != nil {
		c.fail(w, r, u, err)
		return
	}
	if n := len(p.Rows); n == proposalRows && p.Rows[n-1].N > 1 {
		p.Next = p.Rows[n-1].N
	}
	p.Rail.Proposals = true
	p.frame = c.frame(r, u, "Rules: proposals")
	c.render(w, r, http.StatusOK, "proposals", p)
}

// waiting counts those of the newest proposals that wait. A page goes without where
// they cannot be read.
func (c *Console) waiting(ctx context.Context) (n int) {
	newest, err := c.RuleFile.Proposals(0, proposalRows)
	if err != nil {
		c.Log.LogAttrs(ctx, slog.LevelError, "proposals could not be counted", safelog.Err(err))
	}
	for i := range newest {
		if newest[i].State == rulefile.Waiting {
			n++
		}
	}
	return n
}

type proposalPage struct {
	frame
	Rail     rail
	Proposal rulefile.Proposal
	Kind     string
	Base     string
	Own      bool // whoever looks proposed it, and somebody else accepts
	Made     bool // whoever looks proposed it, and may withdraw it
	Amiss    string
	Problems []RuleProblem
	Replayed *replayView
}

// proposalOf returns the proposal that a request names.
func (c *Console) proposalOf(r *http.Request) (rulefile.Proposal, error) {
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return rulefile.Proposal{}, rulefile.ErrNoProposal
	}
	return c.RuleFile.Proposal(n)
}

// own reports whether u proposed p, or counts as one with who did, and may therefore
// not accept it. Where that cannot be told they may not.
func (c *Console) own(u User, p *rulefile.Proposal) bool {
	if c.AcceptOwn {
		return false
	}
	one, err := c.Deputy.One(p.By, u.Actor(), p.At)
	return err != nil || one || p.By == u.Actor()
}

func (c *Console) proposal(w http.ResponseWriter, r *http.Request, u User) {
	p, err := c.proposalOf(r)
	if err != nil {
		c.noProposal(w, r, u, err)
		return
	}
	c.showProposal(w, r, u, http.StatusOK, proposalPage{Proposal: p})
}

func (c *Console) noProposal(w http.ResponseWriter, r *http.Request, u User, err error) {
	if errors.Is(err, rulefile.ErrNoProposal) {
		c.say(w, r, u, http.StatusNotFound, "There is no such proposal.", "Nothing was changed.")
		return
	}
	c.fail(w, r, u, err)
}

func (c *Console) showProposal(w http.ResponseWriter, r *http.Request, u User, status int, p proposalPage) {
	text, _, err := c.RuleFile.Current()
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.Base, p.Own, p.Kind = rulefile.Digest(text), c.own(u, &p.Proposal), kindWords[p.Proposal.Kind]
	p.Made = p.Proposal.By == u.Actor()
	p.Rail = railOf(c.inForce(), "")
	p.Rail.Proposals = true
	p.frame = c.frame(r, u, fmt.Sprintf("Rules: proposal %d", p.Proposal.N))
	c.render(w, r, status, "proposal", p)
}

// waits reports whether p waits, and answers where it does not.
func (c *Console) waits(w http.ResponseWriter, r *http.Request, u User, p *rulefile.Proposal) bool {
	if p.State == rulefile.Waiting {
		return true
	}
	c.say(w, r, u, http.StatusConflict, "Somebody decided about it before.", fmt.Sprintf("Proposal %d was %s.", p.N, p.State))
	return false
}

// decidingOn is how whoever ends a proposal begins: one decides at a time, about one
// that waits.
func (c *Console) decidingOn(do func(http.ResponseWriter, *http.Request, User, rulefile.Proposal)) func(http.ResponseWriter, *http.Request, User) {
	return func(w http.ResponseWriter, r *http.Request, u User) {
		c.deciding.Lock()
		defer c.deciding.Unlock()
		if p, ok := c.undecided(w, r, u); ok {
			do(w, r, u, p)
		}
	}
}

// undecided returns the proposal that a request names if somebody may decide about it
// now, and answers otherwise. Its caller holds deciding.
func (c *Console) undecided(w http.ResponseWriter, r *http.Request, u User) (p rulefile.Proposal, ok bool) {
	n := 0
	p, err := c.proposalOf(r)
	if err == nil && p.State == rulefile.Waiting {
		n, err = c.RuleFile.VersionOf(&p)
	}
	switch {
	case err != nil:
		c.noProposal(w, r, u, err)
		return p, false
	case n == 0:
		return p, c.waits(w, r, u, &p)
	}
	c.accepted(r.Context(), p, n) // a process that died has saved it, and not said so
	c.sessions.say(r, fmt.Sprintf("Proposal %d was accepted before, as version %d.", p.N, n))
	http.Redirect(w, r, fmt.Sprintf("/rules/proposals/%d", p.N), http.StatusSeeOther)
	return p, false
}

// accepted marks p as the version that it became: who saved that accepted it. Where
// this fails undecided finds it again.
func (c *Console) accepted(ctx context.Context, p rulefile.Proposal, n int) {
	v, err := c.RuleFile.Version(n)
	if err == nil {
		p.State, p.Version, p.Decider, p.Decided = rulefile.Accepted, n, v.By, v.At
		err = c.RuleFile.Decide(p, func() error { return nil })
	}
	if err != nil {
		c.Log.LogAttrs(ctx, slog.LevelError, "a proposal is a version and could not be marked as accepted", safelog.Err(err))
	}
}

// replayProposal shows what a proposal would do otherwise now.
func (c *Console) replayProposal(w http.ResponseWriter, r *http.Request, u User) {
	p, err := c.proposalOf(r)
	if err != nil {
		c.noProposal(w, r, u, err)
		return
	}
	text, _, err := c.RuleFile.Current()
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if !c.waits(w, r, u, &p) {
		return
	}
	page, status := proposalPage{Proposal: p}, http.StatusOK
	if page.Replayed, page.Problems, page.Amiss = c.replay(r, u, p.Joined(text)); page.Amiss != "" {
		status = http.StatusConflict
	}
	c.showProposal(w, r, u, status, page)
}

// acceptProposal makes a version of the rules with what was proposed.
func (c *Console) acceptProposal(w http.ResponseWriter, r *http.Request, u User, p rulefile.Proposal) {
	if c.own(u, &p) {
		c.say(w, r, u, http.StatusConflict, "Somebody else must accept it.", "You proposed it, or stand in for who did. [console] accept_own says whether that is enough.")
		return
	}
	if c.Drills.IsDrill(p.Item) {
		c.say(w, r, u, http.StatusConflict, "It was proposed in a drill.", "The patient is invented, and the rules were right: decline it.")
		return
	}
	text, _, err := c.RuleFile.Current()
	ctx := context.WithoutCancel(r.Context())
	e := audit.Event{Kind: audit.RuleFile, Doc: p.Item, Actor: u.Actor(), Reason: fmt.Sprintf("accept:%d", p.N), Digest: rulefile.Digest(p.Text)}
	if err == nil {
		err = c.note(ctx, e)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	v := rulefile.Version{Note: fmt.Sprintf("proposal %d by %s: %s", p.N, strings.TrimPrefix(p.By, "user:"), p.Why), Text: p.Joined(text), Proposal: p.N}
	n, wrong, err := c.putRules(ctx, u, r.PostFormValue("base"), v)
	if err != nil || len(wrong) > 0 {
		page := proposalPage{Proposal: p, Problems: wrong, Amiss: "The rules with it do not load. Nothing was changed."}
		if err != nil {
			page.Amiss = c.notSaved(ctx, err)
		}
		e.Result = audit.ResultFailed
		if err := c.note(ctx, e); err != nil {
			c.fail(w, r, u, err)
			return
		}
		c.showProposal(w, r, u, http.StatusConflict, page)
		return
	}
	c.accepted(ctx, p, n)
	c.sessions.say(r, fmt.Sprintf("Proposal %d is in force, as version %d.", p.N, n))
	http.Redirect(w, r, fmt.Sprintf("/rules/proposals/%d", p.N), http.StatusSeeOther)
}

// declineProposal ends a proposal with a reason; the rules stay as they are.
func (c *Console) declineProposal(w http.ResponseWriter, r *http.Request, u User, p rulefile.Proposal) {
	answer := strings.TrimSpace(r.PostFormValue("answer"))
	if answer == "" || len(answer) > rulefile.MaxNote || c.Exempt.Finds(answer) {
		c.showProposal(w, r, u, http.StatusBadRequest, proposalPage{Proposal: p, Amiss: fmt.Sprintf("Nothing was decided: say why, in at most %d bytes and without patients' data.", rulefile.MaxNote)})
		return
	}
	p.State, p.Answer = rulefile.Declined, answer
	c.endProposal(w, r, u, p, "decline")
}

// withdrawProposal ends a proposal for who made it.
func (c *Console) withdrawProposal(w http.ResponseWriter, r *http.Request, u User, p rulefile.Proposal) {
	if p.By != u.Actor() {
		c.say(w, r, u, http.StatusConflict, "Nothing was changed: who proposed it withdraws it.", "An admin declines it.")
		return
	}
	p.State = rulefile.Withdrawn
	c.endProposal(w, r, u, p, "withdraw")
}

// endProposal has p end in its state, which leaves the rules as they are.
func (c *Console) endProposal(w http.ResponseWriter, r *http.Request, u User, p rulefile.Proposal, reason string) {
	p.Decider, p.Decided = u.Actor(), c.Now().UTC()
	err := c.onRecord(r.Context(), func(record func(audit.Event) error) error {
		return c.RuleFile.Decide(p, func() error {
			return record(audit.Event{Kind: audit.RuleFile, Doc: p.Item, Actor: u.Actor(), Reason: fmt.Sprintf("%s:%d", reason, p.N), Digest: rulefile.Digest(p.Text)})
		})
	})
	switch {
	case errors.Is(err, rulefile.ErrDecided):
		c.say(w, r, u, http.StatusConflict, "Somebody decided about it before.", "")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		c.sessions.say(r, fmt.Sprintf("Proposal %d is %s. The rules stay as they are.", p.N, p.State))
		http.Redirect(w, r, fmt.Sprintf("/rules/proposals/%d", p.N), http.StatusSeeOther)
	}
}
