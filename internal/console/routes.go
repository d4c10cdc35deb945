package console

import (
	"net/http"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// permission is what a route asks for.
type permission string

// The permissions.
const (
	anyone    permission = "anyone"     // nobody need be signed in
	signedIn  permission = "signed in"  // anybody who is, also before they have set a password or a second factor
	see       permission = "see"        // lists and items, masked, people by domain
	names     permission = "names"      // whole addresses
	reveal    permission = "reveal"     // the text of a part
	download  permission = "download"   // the content as it came
	decide    permission = "decide"     // release, reject, claim
	accounts  permission = "accounts"   // who may sign in
	trail     permission = "trail"      // the audit log
	past      permission = "past"       // of an item, who did what with it
	legal     permission = "legal"      // legal holds
	editRules permission = "edit rules" // the rules that the console has
	dossiers  permission = "dossiers"   // what may have been disclosed
	rollOut   permission = "roll out"   // have a policy enforced, or only watched
	drills    permission = "drills"     // who reacts how to messages about invented patients
	tryRules  permission = "try rules"  // what rules find in one's own text, and how the site's own rules are written
)

// granted is what each role may do. It is the one place that says so.
var granted = map[Role][]permission{
	Viewer:  {see},
	Auditor: {see, trail, past},
	Officer: {see, names, reveal, decide, past, dossiers, tryRules},
	Admin:   {see, names, reveal, download, decide, accounts, trail, past, legal, dossiers, rollOut, drills, tryRules, editRules},
}

// may reports whether u has p.
func (u User) may(p permission) bool {
	return p == anyone || p == signedIn || slices.Contains(granted[u.Role], p)
}

// route is one method and path, what it asks for and what it does.
type route struct {
	pattern string // of net/http
	needs   permission
	do      func(w http.ResponseWriter, r *http.Request, u User)
}

// routes lists every route. A page adds its own list here.
func (c *Console) routes() []route {
	return slices.Concat(c.signinRoutes(), c.secondRoutes(), c.oidcRoutes(), c.queueRoutes(), c.viewRoutes(), c.downloadRoutes(), c.itemRoutes(), c.decideRoutes(), c.dashboardRoutes(), c.trailRoutes(), c.dossierRoutes(), c.rolloutRoutes(), c.drillRoutes(), c.accountRoutes(), c.ruleRoutes(), c.editRoutes(), c.notPHIRoutes(), c.proposalRoutes(), c.keyRoutes(), c.deputyRoutes(), c.passkeyRoutes(), c.proofRoutes(), c.pickupRoutes())
}

// handler checks what the route needs before it does anything.
func (c *Console) handler(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, in := c.user(r)
		switch {
		case rt.needs == anyone:
		case !in:
			http.Redirect(w, r, "/signin", http.StatusSeeOther)
			return
		case u.First && rt.needs != signedIn:
			http.Redirect(w, r, "/password", http.StatusSeeOther)
			return
		case c.lacks(u) && rt.needs != signedIn:
			http.Redirect(w, r, "/second", http.StatusSeeOther)
			return
		case !u.may(rt.needs):
			c.say(w, r, u, http.StatusForbidden, "This needs another role.", "You are "+article(u.Role)+". Ask an admin.")
			return
		}
		if id, err := dlp.ParseID(r.PathValue("id")); err == nil && rt.needs != anyone {
			if u, err = c.standing(r, id, u); err != nil {
				c.fail(w, r, u, err)
				return
			}
		}
		rt.do(w, r, u)
	}
}

func article(r Role) string {
	if r == Viewer {
		return "a viewer"
	}
	return "an " + string(r)
}
