package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Dossiers of a desk have the id of a held item.
func (d *desk) Dossiers(_ context.Context, actor string) ([]dossier.Version, error) {
	if d.broken != nil {
		return nil, d.broken
	}
	return []dossier.Version{{ID: d.held[0].ID, N: 2, Items: []dlp.ID{dlp.NewID()}, Assessment: dossier.Assessment{Title: hostile}}}, nil
}

func (d *desk) Dossier(_ context.Context, id dlp.ID, n int, actor string) (gateway.Dossier, error) {
	if _, err := d.find(id); err != nil || n > 2 {
		return gateway.Dossier{}, dossier.ErrNotFound
	}
	d.did("dossier " + actor)
	if n == 0 {
		n = 2
	}
	a := dossier.Assessment{Title: hostile, Happened: hostile, Because: hostile, Discovered: "2026-11-20"}
	a.Factors[1] = dossier.Factor{Words: hostile, Risk: "high"}
	rec := &gateway.DossierRecord{At: time.Now(), By: "user:dana", Items: []gateway.DossierItem{
		{ID: d.held[0].ID, Case: true, State: "held", Channel: "mail", Sender: "ward.person@clinic.example", Rcpts: []gateway.DossierRcpt{{Address: hostile + "@partner.example", Fate: "passed"}}, Found: []gateway.DossierKind{{Type: "SSN", Values: 41}}, Patients: 41, Unread: []string{"too_deep"}}, {ID: dlp.NewID()}},
		Evidence: audit.Evidence{Events: []audit.Proof{{Seq: 9, Line: `{"v":1,"seq":9,"time":"2026-11-26T08:00:00Z","kind":"look","doc":"` + string(id) + `","actor":"user:luis","reason":"reveal:to_decide"}`}}}}
	v := dossier.Version{ID: id, N: n, By: "user:dana", Items: []dlp.ID{d.held[0].ID}, Record: 1, Assessment: a}
	return gateway.Dossier{Version: v, Record: rec, Numbers: []int{2, 1}, Lacking: a.Lacking(), TellBy: a.TellBy()}, nil
}

func (d *desk) ExportDossier(ctx context.Context, id dlp.ID, actor string) (gateway.Dossier, error) {
	if d.broken != nil {
		return gateway.Dossier{}, d.broken
	}
	d.did("export dossier " + actor)
	return d.Dossier(ctx, id, 0, actor)
}

func (d *desk) BeginDossier(_ context.Context, title string, items []dlp.ID, _ map[dlp.ID]vault.Opened, actor string) (dlp.ID, error) {
	d.did("begin " + title + " " + strings.Join(ids(items), "+") + " " + actor)
	return d.held[0].ID, nil
}

func (d *desk) GatherDossier(_ context.Context, id dlp.ID, base int, items []dlp.ID, _ map[dlp.ID]vault.Opened, actor string) error {
	if base != 2 {
		return dossier.ErrChanged
	}
	d.did("gather " + strings.Join(ids(items), "+") + " " + actor)
	return nil
}

func (d *desk) AssessDossier(_ context.Context, id dlp.ID, base int, a dossier.Assessment, actor string) error {
	switch _, err := d.find(id); {
	case err != nil:
		return dossier.ErrNotFound
	case base != 2:
		return dossier.ErrChanged
	case a.Title == "" || a.People < 0:
		return dossier.ErrForm
	}
	d.did("assess " + a.Title + " " + a.Factors[2].Words + " " + a.Factors[2].Risk + " " + string(a.Conclusion) + " " + actor)
	return nil
}

func ids(in []dlp.ID) (out []string) {
	for _, id := range in {
		out = append(out, string(id))
	}
	return out
}

func TestDossierPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	v := s.signedIn(t, "dana")
	id, other := string(s.desk.held[0].ID), string(dlp.NewID())
	if _, body, _ := s.signedIn(t, "vera").do(http.MethodGet, "/items/"+id, nil); strings.Contains(body, `href="/dossiers`) {
		t.Error("a viewer is led to dossiers")
	}

	// Whose documents are looked for stands in no URL, and that somebody looked is on record.
	code, _, _ := v.do(http.MethodPost, "/dossiers/find", url.Values{"address": {"ward.person@clinic.example"}, "from": {"2026-11-01"}})
	if code != http.StatusOK || !slices.Contains(s.desk.log(), "search  "+pseudonym+" ") {
		t.Errorf("find: %d, the log was asked %q", code, s.desk.log())
	}
	if !slices.ContainsFunc(s.desk.events, func(e audit.Event) bool {
		return e.Kind == audit.Look && e.Reason == "dossier_find" && e.Actor == "user:dana"
	}) {
		t.Error("that somebody looked for documents is not on record")
	}
	if code, _, _ := v.do(http.MethodPost, "/dossiers/find", url.Values{"address": {"nobody"}}); code != http.StatusBadRequest {
		t.Errorf("no address: %d", code)
	}

	for name, c := range map[string]struct {
		path string
		form url.Values
		want int
		asks string
	}{
		"begun":                  {"/dossiers", url.Values{"title": {"lost list"}, "item": {id}, "items": {id + "\n" + other + ";"}}, 303, "begin lost list " + id + "+" + other + " user:dana"},
		"begun about nothing":    {"/dossiers", url.Values{"title": {"x"}}, 400, ""},
		"begun about what is no": {"/dossiers", url.Values{"title": {"x"}, "items": {"7"}}, 400, ""},
		"begun without a title":  {"/dossiers", url.Values{"items": {id}}, 400, ""},
		"gathered":               {"/dossiers/" + id + "/gather", url.Values{"base": {"2"}, "items": {other}}, 303, "gather " + other + " user:dana"},
		"gathered from an older": {"/dossiers/" + id + "/gather", url.Values{"base": {"1"}}, 409, ""},
		"saved": {"/dossiers/" + id, url.Values{"base": {"2"}, "title": {"t"}, "people": {"41"}, "acquired": {" one file, once "}, "acquired-risk": {"medium"}, "conclusion": {"low_risk"}}, 303,
			"assess t one file, once medium low_risk user:dana"},
		"saved over another's":  {"/dossiers/" + id, url.Values{"base": {"1"}, "title": {"t"}}, 409, ""},
		"saved with no number":  {"/dossiers/" + id, url.Values{"base": {"2"}, "title": {"t"}, "people": {"many"}}, 400, ""},
		"saved from no version": {"/dossiers/" + id, url.Values{"title": {"t"}}, 409, ""},
	} {
		code, _, _ := v.do(http.MethodPost, c.path, c.form)
		if code != c.want || c.asks != "" && !slices.Contains(s.desk.log(), c.asks) {
			t.Errorf("%s: %d, the desk was asked %q", name, code, s.desk.log())
		}
	}

	_, body, _ := v.do(http.MethodGet, "/dossiers/"+id, nil)
	for _, want := range []string{"ward.person@clinic.example", "<strong>passed</strong>", "SSN</span> 41", "not read: too deep", "2027-01-19", "luis: reveal:to decide", "event 9",
		"Whether it was actually acquired or viewed", `name="base" value="2"`, "The proof does not hold"} {
		if !strings.Contains(body, want) {
			t.Errorf("the dossier's page lacks %q", want)
		}
	}
	if _, old, _ := v.do(http.MethodGet, "/dossiers/"+id+"?version=1", nil); !strings.Contains(old, "not the newest") || strings.Contains(old, "Save version") {
		t.Error("an older version can be saved over")
	}
	for _, path := range []string{"/dossiers/" + id + "?version=9", "/dossiers/" + id + "?version=x", "/dossiers/" + string(dlp.NewID()), "/dossiers/x"} {
		if code, _, _ := v.do(http.MethodGet, path, nil); code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, code)
		}
	}
	if code, body, _ := v.do(http.MethodPost, "/dossiers/"+id+"/export", nil); code != http.StatusOK || !strings.Contains(body, `"evidence"`) || !strings.Contains(body, `"values": 41`) {
		t.Errorf("export: %d", code)
	}
	s.desk.broken = errors.New("full")
	for _, path := range []string{"/dossiers/find", "/dossiers/" + id + "/export"} {
		before := len(s.desk.log())
		if code, _, _ := v.do(http.MethodPost, path, url.Values{"address": {"a@b.example"}}); code != http.StatusInternalServerError || len(s.desk.log()) != before {
			t.Errorf("%s without a record: %d", path, code)
		}
	}
}
