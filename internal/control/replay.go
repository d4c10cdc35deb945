package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// ReplayAsk says what is replayed, and by what.
type ReplayAsk struct {
	Since time.Time               `json:"since"`
	Limit int                     `json:"limit"`
	Draft *string                 `json:"draft,omitempty"` // in place of the file that the console writes
	Rules []RuleText              `json:"rules,omitempty"` // added to those in force
	Keys  map[dlp.ID]vault.Opened `json:"keys,omitempty"`
	// Progress is called with how far it has come; nil: nobody asks.
	Progress func(done, of int) `json:"-"`
}

// RuleText is one rule file.
type RuleText struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Replayer runs edited rules beside those in force over what is held.
type Replayer interface {
	Replay(ctx context.Context, ask ReplayAsk, actor string) (gateway.Replayed, error)
}

// maxReplayAsk bounds the body of a replay, in bytes: rule files and keys.
const maxReplayAsk = 64 << 20

// Replays names who replays. It is called before Serve.
func (s *Server) Replays(r Replayer) { s.replayer = r }

var errNoReplay = errors.New("control: nothing is replayed here")

// replayed is one line of the answer to a replay: how far it is, or its end.
type replayed struct {
	Done   int               `json:"done,omitempty"`
	Of     int               `json:"of,omitempty"`
	Result *gateway.Replayed `json:"result,omitempty"`
	Error  *Error            `json:"error,omitempty"`
}

// replay answers with a line for each document and one at the end. A caller who
// goes away ends it.
func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	var ask ReplayAsk
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReplayAsk)).Decode(&ask) != nil {
		s.fail(w, r, errors.New("control: want what is to be replayed, in 64 MiB")) // the decoder's text may quote a key
		return
	}
	if s.replayer == nil {
		s.fail(w, r, errNoReplay)
		return
	}
	e := json.NewEncoder(w)
	begun := false
	ask.Progress = func(done, of int) {
		begun = true
		_ = e.Encode(replayed{Done: done, Of: of}) // a caller that has gone ends the context
		_ = http.NewResponseController(w).Flush()
	}
	out, err := s.replayer.Replay(r.Context(), ask, actor(r))
	switch {
	case err != nil && !begun:
		s.fail(w, r, err)
		return
	case err != nil:
		we := wireError(err)
		err = e.Encode(replayed{Error: &we})
	default:
		err = e.Encode(replayed{Result: &out})
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Replay has serve run edited rules beside those in force.
func (c *Client) Replay(ctx context.Context, ask ReplayAsk, _ string) (gateway.Replayed, error) {
	res, err := c.postJSON(ctx, "/replay", ask)
	if err != nil {
		return gateway.Replayed{}, err
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var line replayed
		if err := d.Decode(&line); err != nil {
			return gateway.Replayed{}, fmt.Errorf("control: the replay broke off: %w", err)
		}
		switch {
		case line.Error != nil:
			return gateway.Replayed{}, line.Error
		case line.Result != nil:
			return *line.Result, nil
		case ask.Progress != nil:
			ask.Progress(line.Done, line.Of)
		}
	}
}
