package console_test

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/console"
)

// needed is what each route needs, told apart from the routes themselves: one that comes
// to need less fails here, and not only where somebody reads it.
var needed = map[console.Permission][]string{
	"accounts":   {"GET /accounts", "GET /keys"},
	"anyone":     {"GET /code", "GET /signin", "GET /signin/oidc", "GET /signin/oidc/done", "POST /code", "POST /code/passkey", "POST /signin", "POST /signin/passkey", "POST /signin/passkey/ask", "POST /signout"},
	"decide":     {"GET /deputy", "GET /items/{id}/notphi", "GET /key", "POST /deputy/end", "POST /deputy/name", "POST /items/{id}/agree", "POST /items/{id}/claim", "POST /items/{id}/decide", "POST /items/{id}/notphi", "POST /items/{id}/open", "POST /items/{id}/unclaim", "POST /key/lock", "POST /key/make", "POST /key/passkey/ask", "POST /key/passkey/seal", "POST /key/passkey/unlock", "POST /key/remove", "POST /key/unlock", "POST /pickups/{id}/revoke", "POST /queue/ask", "POST /queue/decide", "POST /rules/proposals/{id}/withdraw"},
	"dossiers":   {"GET /dossiers", "GET /dossiers/{id}", "POST /dossiers", "POST /dossiers/find", "POST /dossiers/{id}", "POST /dossiers/{id}/export", "POST /dossiers/{id}/gather"},
	"download":   {"POST /items/{id}/download"},
	"drills":     {"GET /drills", "GET /drills/{id}", "POST /drills", "POST /drills/{id}/stop"},
	"edit rules": {"GET /rules/edit", "GET /rules/history", "GET /rules/history/{id}", "POST /rules/edit", "POST /rules/history/{id}/back", "POST /rules/proposals/{id}/accept", "POST /rules/proposals/{id}/decline", "POST /rules/proposals/{id}/replay"},
	"legal":      {"POST /legal"},
	"reveal":     {"POST /items/{id}/reveal"},
	"roll out":   {"POST /rollout"},
	"see":        {"GET /dashboard", "GET /departments.csv", "GET /items/{id}", "GET /items/{id}/next", "GET /items/{id}/previous", "GET /pickups", "GET /queue", "GET /report", "GET /report.csv", "GET /rollout", "GET /rules", "GET /rules/of/{id}", "GET /{$}", "POST /queue", "POST /views", "POST /views/drop"},
	"signed in":  {"GET /", "GET /passkeys", "GET /password", "GET /second", "POST /passkeys/offer", "POST /passkeys/remove", "POST /passkeys/set", "POST /password", "POST /second/offer", "POST /second/remove", "POST /second/set"},
	"trail":      {"GET /audit", "GET /audit/proof", "POST /audit", "POST /audit/proof", "POST /audit/verify"},
	"try rules":  {"GET /rules/proposals", "GET /rules/proposals/{id}", "GET /rules/try", "POST /rules/try"},
}

// TestRoutesNeedWhatTheyDid: every route stands in needed, with its permission.
func TestRoutesNeedWhatTheyDid(t *testing.T) {
	t.Parallel()
	got := map[console.Permission][]string{}
	for route, needs := range console.Routes() {
		got[needs] = append(got[needs], route)
	}
	for needs, routes := range got {
		slices.Sort(routes)
		if want := needed[needs]; !slices.Equal(routes, want) {
			t.Errorf("%q is needed by\n%q, want\n%q", needs, routes, want)
		}
	}
	if len(got) != len(needed) {
		t.Errorf("%d permissions are needed by routes, want %d", len(got), len(needed))
	}
}
