package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// Drills are messages about invented patients that show who reacts how. It is
// satisfied by gateway.Gateway.
type Drills interface {
	Drills(ctx context.Context, actor string) ([]drill.Drill, error)
	Drill(ctx context.Context, id dlp.ID, actor string) (drill.Drill, error)
	StartDrill(ctx context.Context, p drill.Plan, actor string) (drill.Drill, error)
	StopDrill(ctx context.Context, id dlp.ID, actor string) error
	// IsDrill reports whether id is that of a document of a drill.
	IsDrill(id dlp.ID) bool
}

// wasDrill reports a document of a drill that is not held any more: until then
// nothing tells it from others.
func (c *Console) wasDrill(ctx context.Context, id dlp.ID) bool {
	if !c.Drills.IsDrill(id) {
		return false
	}
	h, err := c.Desk.Listed(ctx, id)
	return err != nil || h.Drill
}

const drillDays = 3 // that a drill takes at most, if nobody says

func (c *Console) drillRoutes() []route {
	return []route{
		{"GET /drills", drills, c.drillList},
		{"POST /drills", drills, c.startDrill},
		{"GET /drills/{id}", drills, c.drill},
		{"POST /drills/{id}/stop", drills, c.stopDrill},
	}
}

// drillSum is how many items of a drill came to what.
type drillSum struct {
	What string
	N    int
}

// drillRow is one drill of the list.
type drillRow struct {
	drill.Drill
	Sums []drillSum
}

type drillsPage struct {
	frame
	Amiss string
	All   []drillRow
	Days  int
	// Name, Kind, Senders and To are what was typed, where something is amiss.
	Name, Kind, Senders, To string
}

func (c *Console) drillList(w http.ResponseWriter, r *http.Request, u User) {
	c.showDrills(w, r, u, http.StatusOK, drillsPage{Days: drillDays, Kind: string(drill.Officers)})
}

func (c *Console) showDrills(w http.ResponseWriter, r *http.Request, u User, status int, p drillsPage) {
	all, err := c.Drills.Drills(r.Context(), u.Actor())
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	for i := range all {
		p.All = append(p.All, drillRow{all[i], sumsOf(&all[i])})
	}
	p.frame = c.frame(r, u, "Drills")
	c.render(w, r, status, "drills", p)
}

// sumsOf are the counts of d that are not 0, in the order in which things happen.
func sumsOf(d *drill.Drill) (out []drillSum) {
	counts := d.Counts()
	for _, what := range []string{string(drill.Waiting), string(drill.Held), string(drill.Told), drill.WouldReject, drill.WouldEncrypt, drill.WouldRelease,
		drill.ChoseCancel, drill.ChoseEncrypt, drill.ChoseAsk, string(drill.NotHeld), string(drill.NotTold), string(drill.TimeOver)} {
		if n := counts[what]; n > 0 {
			out = append(out, drillSum{codeWords(what), n})
		}
	}
	return out
}

func (c *Console) startDrill(w http.ResponseWriter, r *http.Request, u User) {
	p := drillsPage{Name: r.PostFormValue("name"), Kind: r.PostFormValue("kind"), Senders: r.PostFormValue("senders"), To: strings.TrimSpace(r.PostFormValue("to"))}
	var err error
	if p.Days, err = strconv.Atoi(r.PostFormValue("days")); err != nil || p.Days < 1 || p.Days > 14 {
		p.Days = 0 // no drill lasts so long
	}
	split := func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' || r == '\r' || r == '\n' }
	plan, err := gateway.DrillPlan(p.Name, drill.Kind(p.Kind), strings.FieldsFunc(p.Senders, split), p.To, time.Duration(p.Days)*24*time.Hour)
	var d drill.Drill
	if err == nil {
		d, err = c.Drills.StartDrill(context.WithoutCancel(r.Context()), plan, u.Actor())
	}
	switch {
	case err == nil:
		c.sessions.say(r, "The drill has begun.")
		http.Redirect(w, r, "/drills/"+string(d.ID), http.StatusSeeOther)
		return
	case errors.Is(err, drill.ErrForm):
		p.Amiss = "Nothing was begun: it takes a name, addresses of your own domains (1 to 10 for officers, 1 to 100 for senders, each once), one address outside and 1 to 14 days."
	case errors.Is(err, drill.ErrMany):
		p.Amiss = "Nothing was begun: four drills run already. Stop one first."
	case errors.Is(err, gateway.ErrDrillNoLink):
		p.Amiss = "Nothing was begun: people choose on the pages of senders, and there are none ([sender] listen)."
	case errors.Is(err, gateway.ErrNoDrills):
		p.Amiss = "Nothing was begun: no rules are in force yet."
	default:
		c.fail(w, r, u, err)
		return
	}
	c.showDrills(w, r, u, http.StatusBadRequest, p)
}

// reactionRow is one line of a report.
type reactionRow struct {
	drill.Row
	Person string // who it was, "" for nobody
	Took   string // how long the item was there by then
}

func (c *Console) drill(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	var d drill.Drill
	if err == nil {
		d, err = c.Drills.Drill(r.Context(), id, u.Actor())
	}
	if err != nil {
		c.failDrill(w, r, u, err)
		return
	}
	p := struct {
		frame
		D    *drill.Drill
		Sums []drillSum
		Rows []reactionRow
	}{D: &d, Sums: sumsOf(&d)}
	for _, row := range d.Report() {
		x := reactionRow{Row: row, Person: person(row.Who)}
		if row.Did != "" {
			x.Took = age(time.Duration(row.After) * time.Second)
		}
		p.Rows = append(p.Rows, x)
	}
	p.frame = c.frame(r, u, "Drill "+d.Name)
	c.render(w, r, http.StatusOK, "drill", p)
}

func (c *Console) failDrill(w http.ResponseWriter, r *http.Request, u User, err error) {
	switch {
	case errors.Is(err, drill.ErrNotFound):
		c.say(w, r, u, http.StatusNotFound, "There is no such drill.", "The newest 200 are kept.")
	case errors.Is(err, drill.ErrEnded):
		c.say(w, r, u, http.StatusConflict, "It has ended already.", "Nothing was done.")
	default:
		c.fail(w, r, u, err)
	}
}

func (c *Console) stopDrill(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err == nil {
		err = c.Drills.StopDrill(context.WithoutCancel(r.Context()), id, u.Actor())
	}
	if err != nil {
		c.failDrill(w, r, u, err)
		return
	}
	c.sessions.say(r, "The drill has ended: what was left of it is out of the queue.")
	http.Redirect(w, r, "/drills/"+string(id), http.StatusSeeOther)
}
