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
	"github.com/stanch-dlp/stanch/internal/gateway"
)

const pseudonym = "00112233445566778899aabbccddeeff"

// logged is what the log says of an item, and where that goes on.
type logged struct {
	lines   []audit.Line
	further int64
	onHold  dlp.ID // under a legal hold
}

// Search notes what it is asked for and finds one event.
func (d *desk) Search(_ context.Context, q audit.Query, before int64, _ int) ([]audit.Line, int64, error) {
	if before == 7 {
		return nil, 0, audit.ErrPlace
	}
	if q.MaxBytes > 0 && q.Since.Before(d.held[0].Received) { // of an item's page
		return slices.Clone(d.lines), d.further, nil
	}
	d.did("search " + string(q.Doc) + " " + strings.Join(q.Persons, "+") + " " + q.Actor)
	return []audit.Line{{Seq: 41, Time: time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC), Kind: audit.Look, Doc: q.Doc, Actor: "user:dana", Reason: "reveal:to_decide"}}, 4096, nil
}

func (d *desk) LegalHolds(context.Context, int) ([]gateway.LegalHold, error) {
	return []gateway.LegalHold{{ID: dlp.NewID(), By: "user:ann", Why: "Case of Secret <script>"}}, nil
}

func (d *desk) LiftedHolds(context.Context, int) ([]gateway.LegalHold, error) {
	return []gateway.LegalHold{{ID: dlp.NewID(), By: "user:ann", Why: "Case of Secret <b>", LiftedBy: "user:cem", LiftWhy: "settled <i>"}}, nil
}

func (d *desk) LegalHoldOn(_ context.Context, id dlp.ID) (gateway.LegalHold, bool, error) {
	return gateway.LegalHold{ID: id, By: "user:ann", Why: "Case of Secret <script>"}, id == d.onHold, nil
}

func (d *desk) PlaceLegalHold(_ context.Context, id dlp.ID, why, actor string) error {
	if _, err := d.find(id); err != nil {
		return gateway.ErrLegalHold
	}
	if why == "" {
		return gateway.ErrNoWhy
	}
	d.did("place " + why + " " + actor)
	return nil
}

func (d *desk) LiftLegalHold(_ context.Context, _ dlp.ID, why, actor string) error {
	if why == "" {
		return gateway.ErrNoWhy
	}
	d.did("lift " + why + " " + actor)
	return nil
}

func persons(address string) ([]string, error) {
	if !strings.Contains(address, "@") {
		return nil, errors.New("none")
	}
	return []string{pseudonym}, nil
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "otto", console.Auditor, false)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "otto")
	id := string(s.desk.held[0].ID)
	// An address goes into no URL: its pseudonym does.
	_, _, to := v.do(http.MethodPost, "/audit", url.Values{"address": {"ward.person@clinic.example"}, "doc": {id}, "actor": {"dana"}})
	if strings.Contains(to, "ward") || !strings.Contains(to, "person="+pseudonym) {
		t.Fatalf("leads to %q", to)
	}
	code, body, _ := v.do(http.MethodGet, to, nil)
	for _, want := range []string{"reveal:to decide", "user:dana", ">41<", "before=4096", id} {
		if !strings.Contains(body, want) {
			t.Errorf("%d: the page lacks %q", code, want)
		}
	}
	if got := s.desk.log(); !slices.Contains(got, "search "+id+" "+pseudonym+" user:dana") {
		t.Errorf("the log was asked %q", got)
	}
	if strings.Contains(body, "Case of Secret") || strings.Contains(body, "settled") || strings.Contains(body, `value="lift"`) {
		t.Error("an auditor sees why there is a legal hold, or may lift it")
	}
	if !slices.ContainsFunc(s.desk.events, func(e audit.Event) bool {
		return e.Kind == audit.Look && e.Reason == "audit" && e.Actor == "user:otto" && e.Doc == dlp.ID(id)
	}) {
		t.Error("that somebody looked is not on record")
	}
	for _, path := range []string{"/audit?doc=x", "/audit?person=zz", "/audit?kind=nonsense", "/audit?from=yesterday", "/audit?before=-1", "/audit?before=7"} {
		if code, _, _ := v.do(http.MethodGet, path, nil); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, code)
		}
	}
	if code, _, _ := v.do(http.MethodPost, "/audit", url.Values{"address": {"nobody"}}); code != http.StatusBadRequest {
		t.Errorf("no address: %d, want 400", code)
	}
	s.desk.broken = errors.New("full")
	before := len(s.desk.log())
	if code, _, _ := v.do(http.MethodGet, "/audit", nil); code != http.StatusInternalServerError || len(s.desk.log()) != before {
		t.Errorf("a look that could not be recorded: %d", code)
	}
}

func TestLegalHoldPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "ann", console.Admin, false)
	v := s.signedIn(t, "ann")
	id := string(s.desk.held[0].ID)
	for on, do := range map[bool]string{false: "place", true: "lift"} {
		s.desk.onHold = ""
		if on {
			s.desk.onHold = s.desk.held[0].ID
		}
		_, body, _ := v.do(http.MethodGet, "/audit?doc="+id, nil)
		if !strings.Contains(body, "Case of Secret &lt;script&gt;") || strings.Count(body, `name="do" value="`) != 1 || !strings.Contains(body, `value="`+do+`"`) {
			t.Errorf("on hold %v: an admin does not see why there are legal holds, or cannot %s it", on, do)
		}
		if !strings.Contains(body, "settled &lt;i&gt;") || !strings.Contains(body, "user:cem") {
			t.Error("it does not say who lifted one and why")
		}
	}
	for _, c := range []struct {
		name string
		form url.Values
		want int
	}{
		{"placed", url.Values{"doc": {id}, "do": {"place"}, "why": {"subpoena"}}, http.StatusSeeOther},
		{"lifted", url.Values{"doc": {id}, "do": {"lift"}, "why": {"settled"}}, http.StatusSeeOther},
		{"lifted without a reason", url.Values{"doc": {id}, "do": {"lift"}}, http.StatusBadRequest},
		{"without a reason", url.Values{"doc": {id}, "do": {"place"}}, http.StatusBadRequest},
		{"of what is not there", url.Values{"doc": {string(dlp.NewID())}, "do": {"place"}, "why": {"x"}}, http.StatusConflict},
		{"of no item", url.Values{"doc": {"x"}, "do": {"place"}, "why": {"x"}}, http.StatusBadRequest},
		{"with no act", url.Values{"doc": {id}}, http.StatusBadRequest},
	} {
		if code, _, _ := v.do(http.MethodPost, "/legal", c.form); code != c.want {
			t.Errorf("%s: %d, want %d", c.name, code, c.want)
		}
	}
	if got := s.desk.log(); !slices.Contains(got, "place subpoena user:ann") || !slices.Contains(got, "lift settled user:ann") {
		t.Errorf("the desk was asked %q", got)
	}
}
