package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/tally"
)

// ReportAsk says of which period there is to be a report.
type ReportAsk struct {
	From string `json:"from"` // a day such as 2026-01-31; "": 30 days
	To   string `json:"to"`   // "": today
	CSV  bool   `json:"csv"`  // it is printed as a table of values, which is on record
}

// Reporter counts a period.
type Reporter interface {
	Report(ctx context.Context, ask ReportAsk, actor string) (tally.Report, error)
}

// Reports names who counts periods. It is called before Serve.
func (s *Server) Reports(r Reporter) { s.reporter = r }

var errNoReport = errors.New("control: nothing is counted here")

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	var ask ReportAsk
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&ask) != nil {
		s.fail(w, r, errors.New("control: want a period"))
		return
	}
	if s.reporter == nil {
		s.fail(w, r, errNoReport)
		return
	}
	out, err := s.reporter.Report(r.Context(), ask, actor(r))
	s.answer(w, r, out, err)
}

// Report has serve count a period.
func (c *Client) Report(ctx context.Context, ask ReportAsk) (out tally.Report, err error) {
	err = c.ask(ctx, "/report", ask, &out)
	return out, err
}
