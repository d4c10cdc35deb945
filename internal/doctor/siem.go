package doctor

import (
	"context"
	"time"

	"github.com/stanch-dlp/stanch/internal/notify/siem"
)

// SIEM tells whether each receiver of events has what it is to have. Without
// receivers it says nothing: they are not needed.
func SIEM(look func(context.Context) ([]siem.Status, error), now func() time.Time) Check {
	return Check{Name: "siem", Run: func(ctx context.Context) []Finding {
		all, err := look(ctx)
		if err != nil {
			return []Finding{poor("siem", "what waits for the receivers of events cannot be looked at", "Run this as the user that serves, and look at `stanch audit verify`.")}
		}
		var out []Finding
		for _, s := range all {
			object := "receiver " + s.Name
			waits := now().Sub(s.Waiting)
			remedy := "Look at the log for \"a receiver of events does not take them\", and at the receiver; nothing is lost meanwhile."
			switch {
			case s.New:
				out = append(out, poor(object, "was told nothing yet", "Run `systemctl restart stanch`: a new receiver takes a restart."))
			case s.Unread:
				out = append(out, poor(object, "what it was told of is not of this audit log", "Run `systemctl restart stanch`: serve finds the place anew."))
			case s.Waiting.IsZero() && s.Last.IsZero():
				out = append(out, good(object, "nothing waits; nothing was sent yet"))
			case s.Waiting.IsZero():
				out = append(out, good(object, "nothing waits; the last event it has is of %s", s.Last.Local().Format(time.DateTime)))
			case waits > siem.LateAfter:
				out = append(out, bad(object, "has not taken an event of "+s.Waiting.Local().Format(time.DateTime)+", nor what came after", remedy))
			case waits > time.Minute:
				out = append(out, poor(object, "has not yet taken an event of "+s.Waiting.Local().Format(time.DateTime), remedy))
			default:
				out = append(out, good(object, "an event is on its way"))
			}
		}
		return out
	}}
}
