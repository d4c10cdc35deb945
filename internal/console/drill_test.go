package console_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/rulefile"
)

// practice has one drill, under the id of the desk's first item.
type practice struct {
	*desk
	drill  drill.Drill
	begun  []drill.Plan
	fails  error
	drills bool // every item is of a drill
}

func (p *practice) Drills(_ context.Context, actor string) ([]drill.Drill, error) {
	p.did("drills " + actor)
	return []drill.Drill{p.drill}, nil
}

func (p *practice) Drill(_ context.Context, id dlp.ID, actor string) (drill.Drill, error) {
	p.did("drill " + actor)
	if len(p.held) == 0 || id != p.held[0].ID {
		return drill.Drill{}, drill.ErrNotFound
	}
	return p.drill, nil
}

func (p *practice) StartDrill(_ context.Context, plan drill.Plan, actor string) (drill.Drill, error) {
	p.did("start drill " + actor)
	if p.fails != nil {
		return drill.Drill{}, p.fails
	}
	p.begun = append(p.begun, plan)
	return drill.Drill{ID: p.held[0].ID}, nil
}

func (p *practice) StopDrill(_ context.Context, id dlp.ID, actor string) error {
	p.did("stop drill " + actor)
	if id != p.held[0].ID {
		return drill.ErrNotFound
	}
	return p.fails
}

func (p *practice) IsDrill(dlp.ID) bool { return p.drills }

func TestDrillPages(t *testing.T) {
	t.Parallel()
	p := &practice{}
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) {
		p.desk, d.Drills = s.desk, p
		at := s.at.Add(-time.Hour)
		p.drill = drill.Drill{ID: s.desk.held[0].ID, Name: "spring <b>", Kind: drill.Officers, By: "user:ann", Begun: at, Ends: s.at.Add(24 * time.Hour), To: "sam@partner.example",
			Asked: []string{"user:dana", "user:max"}, Items: []drill.Item{{ID: dlp.NewID(), From: "ada@clinic.example", State: drill.Decided, At: at, Reactions: []drill.Reaction{
				{At: at.Add(4 * time.Minute), By: "user:dana", Did: drill.Opened}, {At: at.Add(7 * time.Minute), By: "user:dana", Did: drill.WouldRelease, Code: "not_phi"}}},
				{ID: dlp.NewID(), From: "sue@clinic.example", State: drill.Held, At: at}}}
	})
	s.add(t, "ann", console.Admin, false)
	ann := s.signedIn(t, "ann")
	shows := func(path string, want ...string) {
		t.Helper()
		_, body, _ := ann.do(http.MethodGet, path, nil)
		text := strings.Join(strings.Fields(body), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", path, w, text)
			}
		}
	}
	shows("/drills", "spring &lt;b&gt;</a>", "1 held, 1 would release", "<td>officers</td>")
	one := "/drills/" + string(p.drill.ID)
	shows(one, "<td>dana</td><td>opened</td><td></td>", "<td>would release</td><td>not PHI</td>", "<td>4 min</td>", "<td>7 min</td>", "nothing yet", "sue@clinic.example", `any</th><td></td><td></td><td>max</td><td colspan="4" class="hint">nothing yet`)

	form := url.Values{"name": {"ward 3"}, "kind": {"senders"}, "senders": {"ada@clinic.example,\r\nsue@clinic.example"}, "to": {"sam@partner.example"}, "days": {"2"}}
	if code, _, to := ann.do(http.MethodPost, "/drills", form); code != http.StatusSeeOther || to != one || len(p.begun) != 1 || p.begun[0].For != 48*time.Hour || len(p.begun[0].Senders) != 2 || p.begun[0].Kind != drill.Senders {
		t.Errorf("%d to %q, begun %+v", code, to, p.begun)
	}
	for _, wrong := range []url.Values{{"to": {"nobody"}}, {"senders": {"Ada <ada@clinic.example>"}}} {
		f := url.Values{}
		for k, v := range form {
			f[k] = v
		}
		for k, v := range wrong {
			f[k] = v
		}
		if code, body, _ := ann.do(http.MethodPost, "/drills", f); code != http.StatusBadRequest || !strings.Contains(body, "Nothing was begun") || !strings.Contains(body, `value="ward 3"`) || len(p.begun) != 1 {
			t.Errorf("%v: %d, begun %d", wrong, code, len(p.begun))
		}
	}
	for _, p.fails = range []error{drill.ErrForm, drill.ErrMany, gateway.ErrDrillNoLink, gateway.ErrNoDrills} {
		if code, body, _ := ann.do(http.MethodPost, "/drills", form); code != http.StatusBadRequest || !strings.Contains(body, "Nothing was begun") {
			t.Errorf("%v: %d", p.fails, code)
		}
	}
	p.fails = nil
	if code, _, to := ann.do(http.MethodPost, one+"/stop", nil); code != http.StatusSeeOther || to != one || !slices.Contains(s.desk.log(), "stop drill user:ann") {
		t.Errorf("stop: %d to %q", code, to)
	}
	p.fails = drill.ErrEnded
	if code, _, _ := ann.do(http.MethodPost, one+"/stop", nil); code != http.StatusConflict {
		t.Errorf("stopped again: %d", code)
	}
}

// TestOfficersAreToldOfADrillAfterwards, and not before.
func TestOfficersAreToldOfADrillAfterwards(t *testing.T) {
	t.Parallel()
	p := &practice{drills: true}
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) { p.desk, d.Drills = s.desk, p })
	s.add(t, "dana", console.Officer, false)
	dana := s.signedIn(t, "dana")
	item := "/items/" + string(s.desk.held[0].ID)
	for _, path := range []string{item, "/queue"} {
		if _, body, _ := dana.do(http.MethodGet, path, nil); strings.Contains(strings.ToLower(body), "drill") {
			t.Errorf("%s tells of a drill before a decision:\n%s", path, body)
		}
	}
	dana.do(http.MethodPost, item+"/decide", url.Values{"do": {"release"}, "code": {"payment"}})
	if _, body, _ := dana.do(http.MethodGet, "/queue", nil); !strings.Contains(body, "This was a drill: nothing leaves") {
		t.Error("who decided is not told")
	}
	s.desk.held[0].State, s.desk.held[0].Drill = "released", true
	if _, body, _ := dana.do(http.MethodGet, item, nil); !strings.Contains(body, "<strong>This was a drill.</strong>") {
		t.Error("the item's page does not tell")
	}
}

// TestProposalOfADrill: what was proposed about an invented patient changes no rule.
func TestProposalOfADrill(t *testing.T) {
	t.Parallel()
	p := &practice{drills: true}
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) { p.desk, d.Drills, d.AcceptOwn = s.desk, p, true })
	s.add(t, "ana", console.Admin, false)
	ana := s.signedIn(t, "ana")
	form, path := proposing("value"), "/items/"+string(s.desk.held[0].ID)+"/notphi"
	_, page, _ := ana.do(http.MethodPost, path, form)
	form.Set("do", "propose")
	form.Set("seen", seenOf.FindStringSubmatch(page)[1])
	_, _, to := ana.do(http.MethodPost, path, form)
	if code, body, _ := ana.do(http.MethodPost, to+"/accept", url.Values{"base": {rulefile.Digest("")}}); code != http.StatusConflict || !strings.Contains(body, "It was proposed in a drill.") {
		t.Errorf("accepted: %d", code)
	}
	p.drills = false
	if code, _, _ := ana.do(http.MethodPost, to+"/accept", url.Values{"base": {rulefile.Digest("")}}); code != http.StatusSeeOther {
		t.Errorf("one of a real item: %d", code)
	}
}

// finding finds one decision about the desk's first item.
type finding struct{ *desk }

func (f finding) Search(context.Context, audit.Query, int64, int) ([]audit.Line, int64, error) {
	return []audit.Line{{Seq: 7, Kind: audit.Decision, Doc: f.held[0].ID, Action: "quarantine"}}, 0, nil
}

// TestDrillsAreNoDisclosure: what is looked for a dossier has no document of a drill
// that is over, and one that is held like others.
func TestDrillsAreNoDisclosure(t *testing.T) {
	t.Parallel()
	p := &practice{drills: true}
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) { p.desk, d.Drills, d.Trail = s.desk, p, finding{s.desk} })
	s.add(t, "dana", console.Officer, false)
	dana := s.signedIn(t, "dana")
	for _, over := range []bool{false, true} {
		s.desk.held[0].Drill = over
		code, body, _ := dana.do(http.MethodPost, "/dossiers/find", url.Values{"address": {"ward.person@clinic.example"}})
		if found := strings.Contains(body, `name="item" value="`+string(s.desk.held[0].ID)); code != http.StatusOK || found == over {
			t.Errorf("over %v: %d, found %v", over, code, found)
		}
	}
}
