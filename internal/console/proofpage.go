package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Prover proves what the audit log has. It is satisfied by audit.Log.
type Prover interface {
	EvidenceOf(seq int64) (audit.Evidence, error)
	Checkpoint() ([]byte, error)
	VerifyNow(ctx context.Context) (audit.Report, error)
}

// verifyWithin is how long a page waits for the whole log to be read.
const verifyWithin = 30 * time.Second

func (c *Console) proofRoutes() []route {
	return []route{
		{"GET /audit/proof", trail, c.proof},
		{"POST /audit/proof", trail, c.takeProof},
		{"POST /audit/verify", trail, c.verifyLog},
	}
}

type proofPage struct {
	frame
	Event    string // that was asked for
	Amiss    string
	Broken   string
	Evidence audit.Evidence // of the event, where it is proved; else the checkpoint alone
	Report   *audit.Report  // of the whole log, where it was asked for and holds
}

// proof shows what is signed of the log, and that an event stands in it.
func (c *Console) proof(w http.ResponseWriter, r *http.Request, u User) {
	if err := c.note(r.Context(), audit.Event{Kind: audit.Look, Actor: u.Actor(), Reason: audit.ReasonProof}); err != nil {
		c.fail(w, r, u, err)
		return
	}
	p, status := proofPage{Event: r.URL.Query().Get("event")}, http.StatusOK
	if p.Event != "" {
		seq, err := strconv.ParseInt(p.Event, 10, 64)
		if err != nil {
			p.Event, err = "", audit.ErrNotYet
		} else {
			p.Evidence, err = c.Prover.EvidenceOf(seq)
		}
		switch {
		case errors.Is(err, audit.ErrNotYet):
			p.Amiss, status = noSuchEvent, http.StatusNotFound
		case errors.Is(err, audit.ErrBroken):
			c.Log.LogAttrs(r.Context(), slog.LevelError, "an event of the audit log cannot be proved", safelog.Err(err))
			p.Broken, status = err.Error(), http.StatusConflict
		case err != nil:
			c.fail(w, r, u, err)
			return
		}
	}
	c.proofPage(w, r, u, status, p)
}

// takeProof hands out what the page shows as a file that stanch audit verify --proof
// checks without the log.
func (c *Console) takeProof(w http.ResponseWriter, r *http.Request, u User) {
	seq, err := strconv.ParseInt(r.PostFormValue("event"), 10, 64)
	if err != nil {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was handed out: an event's number is needed.", "")
		return
	}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Look, Actor: u.Actor(), Reason: audit.ReasonProof}); err != nil {
		c.fail(w, r, u, err)
		return
	}
	e, err := c.Prover.EvidenceOf(seq)
	switch {
	case errors.Is(err, audit.ErrNotYet):
		c.say(w, r, u, http.StatusNotFound, noSuchEvent, "")
	case errors.Is(err, audit.ErrBroken):
		c.say(w, r, u, http.StatusConflict, "Nothing was handed out: the log is not as it was signed.", "See the proof page.")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		handOut(w, fmt.Sprintf("audit-event-%d.json", seq), e)
	}
}

// handOut answers with what as a JSON file.
func handOut(w http.ResponseWriter, name string, what any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"`, name))
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(what) // whoever asked has gone
}

const noSuchEvent = "There is no such event, or it is not signed for yet: that takes a second."

func (c *Console) proofPage(w http.ResponseWriter, r *http.Request, u User, status int, p proofPage) {
	if p.Evidence.Checkpoint == "" {
		b, err := c.Prover.Checkpoint()
		if err != nil {
			c.fail(w, r, u, err)
			return
		}
		p.Evidence.Checkpoint = string(b)
	}
	p.frame = c.frame(r, u, "Audit proof")
	c.render(w, r, status, "proof", p)
}

// verifyLog reads the whole log, once at a time, and says whether it is as it was
// signed.
func (c *Console) verifyLog(w http.ResponseWriter, r *http.Request, u User) {
	select {
	case c.verifying <- struct{}{}:
		defer func() { <-c.verifying }()
	default:
		c.say(w, r, u, http.StatusServiceUnavailable, "The log is being verified already.", "Try again in a moment.")
		return
	}
	e := audit.Event{Kind: audit.Verified, Actor: u.Actor()}
	if err := c.note(r.Context(), e); err != nil {
		c.fail(w, r, u, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), verifyWithin)
	defer cancel()
	p, status := proofPage{}, http.StatusOK
	report, err := c.Prover.VerifyNow(ctx)
	switch {
	case err == nil:
		e.Result = audit.ResultVerified
	case errors.Is(err, audit.ErrBroken):
		e.Result = audit.ResultBroken
	default:
		e.Result = audit.ResultFailed
	}
	if nerr := c.note(context.WithoutCancel(r.Context()), e); nerr != nil {
		c.fail(w, r, u, nerr)
		return
	}
	switch {
	case errors.Is(err, audit.ErrBroken):
		c.Log.LogAttrs(r.Context(), slog.LevelError, "the audit log does not verify", safelog.Err(err))
		p.Broken, status = err.Error(), http.StatusConflict
	case errors.Is(err, context.DeadlineExceeded):
		p.Amiss, status = "It is too long to be read within half a minute. On the server, stanch audit verify takes its time.", http.StatusServiceUnavailable
	case err != nil:
		c.fail(w, r, u, err)
		return
	default:
		p.Report = &report
	}
	c.proofPage(w, r, u, status, p)
}
