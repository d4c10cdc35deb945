package doctor

import (
	"context"
	"time"

	"github.com/stanch-dlp/stanch/internal/probe"
)

// Routes tells where each way out stands that is tried with probes.
func Routes(look func() ([]probe.Status, error), serving bool) Check {
	return Check{Name: "routes", Run: func(context.Context) []Finding {
		all, err := look()
		if err != nil {
			return []Finding{poor("routes", "what is remembered of probes cannot be read", "Run this as the user that serves; a damaged file is begun anew.")}
		}
		if len(all) == 0 {
			return []Finding{poor("doctor.routes", "no way out is tried: nobody would see that mail goes round stanch", "Add [[doctor.routes]]: see docs/doctor.md.")}
		}
		var out []Finding
		for _, s := range all {
			object := "path " + s.Route
			late := serving && !s.Next.IsZero() && time.Since(s.Next) > time.Hour
			switch {
			case s.Alarm && s.Result == probe.Passed:
				out = append(out, bad(object, "a probe with invented patient data passed: no policy in force holds such a mail", "Look at [[policies]] and `stanch bypass status`, then run `stanch doctor routes --send --wait "+s.Route+"`."))
			case s.Alarm && s.Result == probe.NotSent:
				out = append(out, bad(object, "a probe could not be handed in: whether the way is guarded is not known", "Look at doctor.routes.via, and at the log of the mail server there."))
			case s.Alarm:
				out = append(out, bad(object, "a probe with invented patient data was not seen: mail on this way goes round stanch, or waits in a queue", "Look at the mail server's log for the Message-ID that begins with stanch-probe-, then run `stanch doctor routes --send --wait "+s.Route+"`."))
			case s.Result == probe.NeverSent:
				out = append(out, poor(object, "was not tried yet", "Run `stanch doctor routes --send --wait "+s.Route+"` while serve runs."))
			case late:
				out = append(out, poor(object, "was not tried since "+s.LastSent.Local().Format(time.DateTime), "Look at the log for \"probe not sent\"."))
			case s.LastCaught.IsZero():
				out = append(out, poor(object, "a probe is on its way, the first", "Look again with `stanch doctor routes`."))
			default:
				out = append(out, good(object, "last caught %s", s.LastCaught.Local().Format(time.DateTime)))
			}
		}
		return out
	}}
}
