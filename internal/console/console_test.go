package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const password = "correct horse battery"

// desk notes what it is asked for. Items other than known are not there.
type desk struct {
	logged
	mu            sync.Mutex
	asked         []string      // guarded by mu
	events        []audit.Event // guarded by mu
	held          []gateway.Held
	broken, fails error // of Note, of ReleaseFor
	cut, late     bool  // Export breaks off, and the log does not verify; or that takes too long
	ways          map[string]dlp.Way
	unnoted       bool // what reviewers see was not noted when it was held
}

func (d *desk) did(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, what)
}

func (d *desk) log() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

func (d *desk) find(id dlp.ID) (gateway.Held, error) {
	for _, h := range d.held {
		if h.ID == id {
			return h, nil
		}
	}
	return gateway.Held{}, vault.ErrNotFound
}

func (d *desk) version(id dlp.ID) string {
	h, err := d.find(id)
	if err != nil {
		return ""
	}
	return h.Version
}

// FindHeld serves held as a store without terms does, newest first: whatever is asked for.
func (d *desk) FindHeld(_ context.Context, q vault.Query) ([]gateway.Held, dlp.ID, error) {
	from := 0
	if q.After != "" {
		from = slices.IndexFunc(d.held, func(h gateway.Held) bool { return h.ID == q.After }) + 1
	}
	page := slices.Clone(d.held[from:min(len(d.held), from+q.Limit)])
	if len(page) < q.Limit {
		return page, "", nil
	}
	return page, page[len(page)-1].ID, nil
}

// CountHeld counts by what no term stands for.
func (d *desk) CountHeld(_ context.Context, q vault.Query) (n int, whole bool, err error) {
	for _, h := range d.held {
		if (!q.Asked || h.Asked) && (!q.Noted || h.Proposed != nil) && (!q.Calls || h.Urgent) && (q.IDs == nil || slices.Contains(q.IDs, h.ID)) && (q.Until.IsZero() || !h.Received.After(q.Until)) {
			n++
		}
	}
	return min(n, q.Limit), n <= q.Limit, nil
}

func (d *desk) EndingBy(then time.Time) (time.Time, bool) {
	return then.Add(-10 * 24 * time.Hour), true
}

func (d *desk) WaysTo(context.Context, dlp.ID) (map[string]dlp.Way, error) { return d.ways, nil }

func (d *desk) Listed(_ context.Context, id dlp.ID) (gateway.Held, error) { return d.find(id) }

func (d *desk) ShowHeld(_ context.Context, id dlp.ID, _ vault.Opened, actor string) (gateway.HeldDetail, error) {
	h, err := d.find(id)
	d.did("show " + actor)
	out := gateway.HeldDetail{Held: h, Typed: []string{"1/1/2"}, Findings: []gateway.Position{{Rule: "us-ssn", Type: "SSN", Confidence: "high", Part: "1", Start: 4, End: 15, Line: 1}},
		Gaps: []gateway.HeldGap{{Part: "2", Name: "Secretname<script>.zip", Cause: "encrypted"}}}
	if !d.unnoted {
		out.Parts = []vault.ShownPart{{Path: "HEADER", MediaType: "message/rfc822"}, {Path: "1", MediaType: hostile}, {Path: "1/1", MediaType: hostile, Ending: hostile}, {Path: "1/1/2.1", MediaType: "x"}}
		out.Findings[0].Masked, out.Findings[0].Before, out.Findings[0].After = hostile+"***-**-8145", "**** SSN "+hostile, hostile
		out.Findings[0].Steps = []vault.ShownStep{{Step: "evidence", Outcome: "raises", Why: hostile}}
	}
	return out, err
}

// hostile is what a mail may hold wherever a page shows something of it.
const hostile = `"'><script>x</script><img src=x onerror=alert(1)>{{.User}}`

func (d *desk) HeldFrom(_ context.Context, id dlp.ID, since time.Time, limit int) (gateway.From, error) {
	var out gateway.From
	for _, h := range d.held {
		if h.ID != id && h.Received.After(since) {
			if out.Count++; len(out.Held) < limit {
				out.Held = append(out.Held, h)
			}
		}
	}
	return out, nil
}

func (d *desk) ReadHeld(_ context.Context, id dlp.ID, _ vault.Opened, actor, reason string, do func(*dlp.Document) error) error {
	if _, err := d.find(id); err != nil {
		return err
	}
	d.did("read " + reason + " " + actor)
	return do(&dlp.Document{ID: id})
}

func (d *desk) Export(_ context.Context, id dlp.ID, _ vault.Opened, actor string, w io.Writer) error {
	if _, err := d.find(id); err != nil {
		return err
	}
	d.did("export " + actor)
	_, err := io.WriteString(w, "as it came \x00\r\n")
	if d.cut {
		err = errors.New("cut")
	}
	return err
}

func (d *desk) ReleaseFor(_ context.Context, id dlp.ID, _ vault.Opened, actor string, rv gateway.Review) (gateway.Released, error) {
	if _, err := d.find(id); err != nil {
		return gateway.Released{}, err
	}
	if d.fails != nil {
		return gateway.Released{}, d.fails
	}
	if rv.Version != d.version(id) {
		return gateway.Released{}, gateway.ErrChanged
	}
	how := rv.Code
	if rv.Encrypted {
		how += " encrypted"
	}
	if len(rv.Only) > 0 {
		how += " only " + strings.Join(rv.Only, ",")
	}
	d.did("release " + how + " " + actor)
	return gateway.Released{}, nil
}

func (d *desk) RejectFor(_ context.Context, id dlp.ID, _ vault.Opened, actor string, rv gateway.Review) error {
	if _, err := d.find(id); err != nil {
		return err
	}
	if rv.Version != "" && rv.Version != d.version(id) {
		return gateway.ErrChanged
	}
	d.did("reject " + rv.Code + " " + rv.Note + " " + actor)
	return nil
}

func (d *desk) Note(_ context.Context, e audit.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	d.events = append(d.events, e)
	return nil
}

type reader struct{}

func (reader) Masked(context.Context, *dlp.Document) (survey.Document, []console.Part, error) {
	return survey.Document{Findings: []survey.Finding{{Rule: "us-ssn", Part: "1", Start: 4, End: 15, Masked: "***-**-8145",
			Why: &survey.Why{Before: "**** SSN", After: "<b>**", Steps: []survey.Step{{Step: "evidence", Outcome: "raises", Why: `near "ssn"`}}}}}},
		[]console.Part{{Path: "1", MediaType: "text/plain<script>", Name: "Secretname.txt"}}, nil
}

func (reader) Text(_ context.Context, doc *dlp.Document, part string, _ int) (string, bool, error) {
	if part != "1" && (part != "1/1/2.1" || !slices.Contains(doc.Passwords, "Kolibri-77")) {
		return "", false, console.ErrNoPart
	}
	return "SSN 536-22-8145 </pre><script>x</script>", true, nil
}

// site is a console with an account for each role, and now under control.
type site struct {
	*httptest.Server
	dir   string
	desk  *desk
	users *console.Users
	mu    sync.Mutex
	at    time.Time // guarded by mu
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

func newSite(t testing.TB, items int, secondFor ...console.Role) *site {
	t.Helper()
	return newSiteWith(t, items, func(_ *site, d *console.Deps) { d.SecondFor = secondFor })
}

func newSiteWith(t testing.TB, items int, more func(*site, *console.Deps)) *site {
	t.Helper()
	dir := t.TempDir()
	ring, err := crypt.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{dir: dir, desk: &desk{}, users: console.OpenUsers(dir), at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}
	for i := range items {
		s.desk.held = append(s.desk.held, gateway.Held{ID: dlp.NewID(), Channel: "mail", State: "held", Received: s.at.Add(-time.Duration(i) * time.Minute), Policy: "phi-leaves",
			Rules: []dlp.RuleID{"us-ssn"}, Confidence: "high", Sender: "ward.person@clinic.example", Recipients: []string{fmt.Sprintf("r@partner%d.example", i%7)},
			Path: "Secretname.docx", Size: 2048, Version: "v1"})
	}
	deps := console.Deps{Desk: s.desk, Reader: reader{}, Users: s.users, Views: console.OpenViews(dir, ring), Deputy: console.OpenDeputies(dir, s.now), Keys: ring, Now: s.now, Log: slog.New(slog.DiscardHandler), Reasons: []string{"payment", "other"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Rules: func() []console.Rule {
			return []console.Rule{{ID: "us-ssn", Type: "SSN", Name: "U.S. Social Security number"}}
		},
		Book: book{}, Editor: s.rules(), Exempt: exempter{}, RuleFile: rulefile.Open(dir),
		Held:  func(context.Context) (int, error) { return items, nil },
		Vault: &locker{}, Trail: s.desk, Prover: s.desk, Legal: s.desk, Dossiers: s.desk, Rollout: &bringing{}, Drills: &practice{desk: s.desk}, Pickups: s.desk, Persons: persons,
		Figures: countsOf(s.desk, s.at), HeldBefore: func(_ context.Context, at []time.Time) ([]int, error) { return make([]int, len(at)), nil },
		Health: func(context.Context) []console.Condition {
			return []console.Condition{{Name: "Next hop", Value: "1 down"}}
		},
		Probed: func() []console.Probed {
			return []console.Probed{{Route: "Mail server to the internet", State: "caught"}}
		},
	}
	more(s, &deps)
	c, err := console.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(c.Handler())
	t.Cleanup(s.Close)
	return s
}

func (s *site) add(t testing.TB, name string, role console.Role, first bool) {
	t.Helper()
	if err := s.users.Add(name, role, password, first); err != nil {
		t.Fatal(err)
	}
}

// visitor is a browser without one: it keeps cookies and follows nothing.
type visitor struct {
	t    testing.TB
	site *site
	http *http.Client
}

func (s *site) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *site) signedIn(t testing.TB, name string) *visitor {
	t.Helper()
	v := s.visitor(t)
	if code, _, to := v.do(http.MethodPost, "/signin", url.Values{"name": {name}, "password": {password}}); code != http.StatusSeeOther || to != "/" {
		t.Fatalf("sign-in of %s: %d to %q", name, code, to)
	}
	return v
}

func (v *visitor) do(method, path string, form url.Values, header ...string) (code int, body, to string) {
	v.t.Helper()
	if at, _, _ := strings.Cut(path, "?"); strings.HasSuffix(at, "/decide") && !form.Has("version") { // as the page has it
		if form = maps.Clone(form); form == nil {
			form = url.Values{}
		}
		form.Set("version", "v1")
		for _, id := range form["item"] {
			form.Set("version-"+id, "v1")
		}
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.site.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header.Get("Location")
}

// TestRolesAndRoutes walks every role over every route, with an item and a
// foreign id, and sees what the desk was asked for.
func TestRolesAndRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	known, foreign := string(s.desk.held[0].ID), string(dlp.NewID())
	decision := url.Values{"do": {"release"}, "code": {"payment"}, "item": {known}, "count": {"1"}, "reason": {"to_decide"}, "part": {"1"}}
	all := []string{"viewer", "auditor", "officer", "admin"}
	who := map[console.Permission][]string{
		"anyone": append([]string{"nobody"}, all...), "signed in": all, "see": all, "reveal": {"officer", "admin"}, "download": {"admin"}, "decide": {"officer", "admin"}, "accounts": {"admin"},
		"trail": {"auditor", "admin"}, "dossiers": {"officer", "admin"}, "roll out": {"admin"}, "drills": {"admin"}, "legal": {"admin"}, "try rules": {"officer", "admin"}, "edit rules": {"admin"},
	}
	for _, role := range all {
		s.add(t, role, console.Role(role), false)
	}
	in := map[string]*visitor{}
	for pattern, needs := range console.Routes() {
		if who[needs] == nil {
			t.Errorf("%s needs %q, which this test does not know", pattern, needs)
		}
		s.pass(time.Minute) // pages that ask for the password once more were not given it
		for _, name := range append([]string{"nobody"}, all...) {
			v := s.visitor(t)
			if name != "nobody" { // signing in takes long: once each, as long as that lasts
				if in[name] == nil {
					in[name] = s.signedIn(t, name)
				} else if code, _, _ := in[name].do(http.MethodGet, "/queue", nil); code != http.StatusOK {
					in[name] = s.signedIn(t, name)
				}
				v = in[name]
			}
			for _, id := range []string{known, foreign} {
				method, path, _ := strings.Cut(pattern, " ")
				path = strings.TrimSuffix(strings.ReplaceAll(path, "{id}", id), "{$}")
				before := len(s.desk.log())
				code, body, to := v.do(method, path, decision)
				let := slices.Contains(who[needs], name)
				switch {
				case let && (code == http.StatusForbidden || needs != "anyone" && to == "/signin"):
					t.Errorf("%s, %s: %d to %q, want to be let in", name, pattern, code, to)
				case !let && name == "nobody" && to != "/signin":
					t.Errorf("nobody, %s: %d to %q, want to be asked who it is", pattern, code, to)
				case !let && name != "nobody" && code != http.StatusForbidden:
					t.Errorf("%s, %s: %d, want 403", name, pattern, code)
				case !let && len(s.desk.log()) != before:
					t.Errorf("%s, %s: refused, and yet the desk was asked", name, pattern)
				case code >= 500:
					t.Errorf("%s, %s: %d", name, pattern, code)
				case let && id == foreign && strings.Contains(path, id) && code != http.StatusNotFound:
					t.Errorf("%s, %s of a foreign id: %d, want 404", name, pattern, code)
				}
				if (name == "viewer" || name == "auditor" || name == "nobody") && strings.Contains(body, "ward.person") {
					t.Errorf("%s, %s: shows a whole address", name, pattern)
				}
				if strings.Contains(body, "Secretname") || strings.Contains(body, "<script>") || strings.Contains(body, "<img src=x") || strings.Contains(body, "536-22-8145") && !strings.HasSuffix(path, "/reveal") {
					t.Errorf("%s, %s: shows what it must not", name, pattern)
				}
				if path == "/signout" && name != "nobody" {
					v = s.signedIn(t, name)
					in[name] = v
				}
				if id == known && strings.HasSuffix(path, "/claim") && let {
					v.do(http.MethodPost, "/items/"+id+"/unclaim", nil)
				}
			}
		}
	}
}

func TestForeignSiteIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	form := url.Values{"do": {"release"}, "code": {"payment"}}
	for name, header := range map[string][]string{"by fetch metadata": {"Sec-Fetch-Site", "cross-site"}, "by origin": {"Origin", "https://evil.example"}} {
		if code, _, _ := v.do(http.MethodPost, "/items/"+string(s.desk.held[0].ID)+"/decide", form, header...); code != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, code)
		}
	}
	if got := s.desk.log(); len(got) != 0 {
		t.Errorf("the desk was asked %q", got)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "gone", console.Officer, false)
	if err := s.users.SetDisabled("gone", true); err != nil {
		t.Fatal(err)
	}
	v := s.visitor(t)
	var said []string
	for _, try := range [][2]string{{"dana", "wrong"}, {"nobody", password}, {"gone", password}, {"", ""}} {
		code, body, _ := v.do(http.MethodPost, "/signin", url.Values{"name": {try[0]}, "password": {try[1]}})
		if code != http.StatusUnauthorized {
			t.Errorf("%q: %d, want 401", try, code)
		}
		said = append(said, body)
	}
	if slices.ContainsFunc(said, func(b string) bool { return b != said[0] }) {
		t.Error("failures tell apart what was wrong")
	}
	// Brute force: after five tries the account waits, whoever is right.
	for range 4 {
		v.do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {"wrong"}})
	}
	if code, _, _ := v.do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {password}}); code != http.StatusTooManyRequests {
		t.Errorf("the sixth try: %d, want 429", code)
	}
	s.pass(30 * time.Second)
	v = s.signedIn(t, "dana")
	if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
		t.Errorf("signed in: %d", code)
	}
	s.pass(16 * time.Minute)
	if _, _, to := v.do(http.MethodGet, "/queue", nil); to != "/signin" {
		t.Error("a session outlasts its quiet minutes")
	}
	v = s.signedIn(t, "dana")
	if err := s.users.SetPassword("dana", "another good password"); err != nil {
		t.Fatal(err)
	}
	if _, _, to := v.do(http.MethodGet, "/queue", nil); to != "/signin" {
		t.Error("a session outlasts another password")
	}
	s.desk.broken = errors.New("full")
	if code, _, _ := v.do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {"another good password"}}); code != http.StatusServiceUnavailable {
		t.Errorf("a sign-in that could not be recorded: %d, want 503", code)
	}
}

func TestFirstAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	first, err := s.users.FirstAccount(true)
	if err != nil || len(first) < 20 {
		t.Fatalf("first account: %q, %v", first, err)
	}
	if again, err := s.users.FirstAccount(true); again != "" || err != nil {
		t.Errorf("a second first account: %q, %v", again, err)
	}
	kept, err := os.ReadFile(s.users.FirstPasswordPath())
	if info, serr := os.Stat(s.users.FirstPasswordPath()); err != nil || serr != nil || string(kept) != first+"\n" || info.Mode().Perm() != 0o600 {
		t.Errorf("the kept password: %v, %v, mode %v", err, serr, info.Mode())
	}
	v := s.visitor(t)
	v.do(http.MethodPost, "/signin", url.Values{"name": {"admin"}, "password": {first}})
	for _, path := range []string{"/", "/queue", "/items/" + string(s.desk.held[0].ID)} {
		if _, _, to := v.do(http.MethodGet, path, nil); to != "/password" {
			t.Errorf("%s before a password is set leads to %q", path, to)
		}
	}
	if code, _, _ := v.do(http.MethodPost, "/password", url.Values{"old": {first}, "new": {"short"}, "again": {"short"}}); code != http.StatusBadRequest {
		t.Errorf("a short password: %d, want 400", code)
	}
	if _, _, to := v.do(http.MethodPost, "/password", url.Values{"old": {first}, "new": {password}, "again": {password}}); to != "/queue" {
		t.Errorf("setting a password leads to %q", to)
	}
	if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
		t.Errorf("then: %d", code)
	}
	if _, err := os.Stat(s.users.FirstPasswordPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the password that holds no longer is still kept: %v", err)
	}
	if err := s.users.SetDisabled("admin", true); !errors.Is(err, console.ErrLast) {
		t.Errorf("disabling the last admin: %v", err)
	}
}

// TestSessionEnds: each change of an account ends its sessions, also where it is
// undone before they ask again.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	for name, change := range map[string]func() error{
		"password": func() error { return s.users.SetPassword("dana", password) },
		"role":     func() error { return s.users.SetRole("dana", console.Viewer) },
		"disabled and enabled": func() error {
			return errors.Join(s.users.SetDisabled("dana", true), s.users.SetDisabled("dana", false))
		},
	} {
		v := s.signedIn(t, "dana")
		if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
			t.Fatalf("%s: before: %d", name, code)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, _, to := v.do(http.MethodGet, "/queue", nil); to != "/signin" {
			t.Errorf("%s: the session goes on", name)
		}
	}
}

// TestTriesBehindAProxy: behind a trusted proxy each visitor has tries of their
// own, what a visitor claims to be does not count, and one account's tries end
// from however many places they come.
func TestTriesBehindAProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.visitor(t)
	try := func(name, pass, from string) int {
		code, _, _ := v.do(http.MethodPost, "/signin", url.Values{"name": {name}, "password": {pass}}, "X-Forwarded-For", from)
		return code
	}
	for i := range 5 {
		try("dana", "wrong", fmt.Sprintf("198.51.100.%d, 203.0.113.1", i))
	}
	if code := try("dana", password, "198.51.100.99, 203.0.113.1"); code != http.StatusTooManyRequests {
		t.Errorf("another claim of the same visitor: %d, want 429", code)
	}
	if code := try("dana", password, "203.0.113.2"); code != http.StatusSeeOther {
		t.Errorf("another visitor: %d, want to be let in", code)
	}
	for i := range 100 {
		try("dana", "wrong", fmt.Sprintf("192.0.2.%d", i))
	}
	if code := try("dana", password, "203.0.113.3"); code != http.StatusTooManyRequests {
		t.Errorf("after 100 wrong tries from 100 places: %d, want 429", code)
	}
	for _, path := range []string{"/password", "/second/offer"} { // who got hold of a session has no more tries
		if code, _, _ := v.do(http.MethodPost, path, url.Values{"old": {password}, "new": {"x"}}, "X-Forwarded-For", "203.0.113.4"); code != http.StatusTooManyRequests {
			t.Errorf("%s then: %d, want 429", path, code)
		}
	}
}

func TestQueuePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	for name, c := range map[string]struct {
		path string
		want int
	}{"all": {"", 120}, "by domain": {"to=partner3.example", 17}, "by another rule": {"q=us-mbi", 0}, "by sender": {"from=%40Clinic.example", 120},
		"by type and confidence": {"type=SSN&confidence=high", 120}, "only gaps": {"confidence=none", 0}, "by age": {"days=1", 120}} {
		seen := map[string]bool{}
		for path := v.search(c.path); path != ""; {
			_, body, _ := v.do(http.MethodGet, path, nil)
			for _, part := range strings.Split(body, `href="/items/`)[1:] {
				seen[part[:26]] = true
			}
			_, next, more := strings.Cut(body, `rel="next" href="`)
			if path = ""; more {
				path = strings.ReplaceAll(next[:strings.IndexByte(next, '"')], "&amp;", "&")
			}
		}
		if len(seen) != c.want {
			t.Errorf("%s: %d items, want %d", name, len(seen), c.want)
		}
	}
}
