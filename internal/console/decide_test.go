package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestDecisions says what each form of a decision asks of the gateway.
func TestDecisions(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.desk.held[0].Recipients = []string{"a@partner.example", "b@partner.example"}
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	id := string(s.desk.held[0].ID)
	for _, c := range []struct {
		name string
		form url.Values
		fail error
		code int
		want []string
		say  string
	}{
		{"release", url.Values{"do": {"release"}}, nil, 303, []string{"release payment user:dana"}, "Released."},
		{"encrypted", url.Values{"do": {"encrypt"}}, nil, 303, []string{"release payment encrypted user:dana"}, "encrypted to everybody"},
		{"to one", url.Values{"do": {"release"}, "some": {"1"}, "to": {"b@partner.example"}}, nil, 303, []string{"release payment only b@partner.example user:dana"}, "Released."},
		{"to one, the rest rejected", url.Values{"do": {"encrypt"}, "some": {"1"}, "to": {"b@partner.example"}, "rest": {"reject"}}, nil, 303,
			[]string{"release payment encrypted only b@partner.example user:dana", "reject payment  user:dana"}, "Rejected for all others"},
		{"marked, but not for them only", url.Values{"do": {"release"}, "to": {"b@partner.example"}}, nil, 400, nil, "recipients are marked"},
		{"only the others are chosen for", url.Values{"do": {"release"}, "rest": {"reject"}}, nil, 400, nil, "for the others"},
		{"rejected for some", url.Values{"do": {"reject"}, "some": {"1"}, "to": {"b@partner.example"}}, nil, 400, nil, "for everybody"},
		{"to nobody", url.Values{"do": {"release"}, "some": {"1"}}, nil, 400, nil, "to nobody"},
		{"no such act", url.Values{"do": {"leak"}}, nil, 400, nil, "choose"},
		{"no way", url.Values{"do": {"encrypt"}}, gateway.ErrNoWay, 409, nil, "stays held"},
		{"the first of two", url.Values{"do": {"release"}, "some": {"1"}, "to": {"b@partner.example"}, "rest": {"reject"}}, gateway.ErrSecond, 303, nil, "first of two"},
		{"twice the same person", url.Values{"do": {"release"}}, gateway.ErrSame, 409, nil, "Somebody else"},
	} {
		before := len(s.desk.log())
		s.desk.fails = c.fail
		c.form.Set("code", "payment")
		code, body, to := v.do(http.MethodPost, "/items/"+id+"/decide", c.form)
		if code == 303 {
			_, body, _ = v.do(http.MethodGet, to, nil)
		}
		if got := s.desk.log()[before:]; code != c.code || !slices.Equal(got, c.want) || !strings.Contains(body, c.say) {
			t.Errorf("%s: %d, asked for %q, want %d and %q, and %q said", c.name, code, got, c.code, c.want, c.say)
		}
	}
	s.desk.fails = gateway.ErrSecond
	_, _, to := v.do(http.MethodPost, "/queue/decide", url.Values{"do": {"encrypt"}, "code": {"payment"}, "item": {id}, "count": {"1"}})
	if _, body, _ := v.do(http.MethodGet, to, nil); !strings.Contains(body, "1 noted as the first of two") {
		t.Error("several at once: what waits for a second decision is not told")
	}
}

func TestProposedAndLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	soon := s.now().Add(4 * time.Hour)
	h := &s.desk.held[0]
	h.Ends, h.Proposed = &soon, &gateway.Proposed{By: "user:ann", Code: "payment", Words: hostile, At: s.now(), Encrypted: true}
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	_, queue, _ := s.signedIn(t, "dana").do(http.MethodGet, "/queue", nil)
	if strings.Count(queue, "ends in 4 h 00") != 1 || strings.Count(queue, "age-late") != 1 || strings.Count(queue, "Second yes") != 1 {
		t.Error("the queue does not say what ends soon, or waits for a second decision")
	}
	for name, words := range map[string]bool{"dana": true, "vera": false} {
		_, item, _ := s.signedIn(t, name).do(http.MethodGet, "/items/"+string(h.ID), nil)
		if !strings.Contains(item, "ann decided: release encrypted") || strings.Contains(item, "onerror=alert(1)&gt;{{.User}}”") != words || strings.Contains(item, "<img src=x") {
			t.Errorf("%s: the first decision is shown wrongly", name)
		}
	}
}

// TestChangedMeanwhile: who decides about an item that is not any more what they were
// shown, or does not say what they were shown, decides nothing; and the page says who
// decided before them.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	first, second, third := &s.desk.held[0], &s.desk.held[1], &s.desk.held[2]
	_, page, _ := v.do(http.MethodGet, "/items/"+string(first.ID), nil)
	if !strings.Contains(page, `name="version" value="v1"`) {
		t.Fatal("the form does not say what its reader was shown")
	}
	first.Version = "v2"
	for name, form := range map[string]url.Values{"of before": {"version": {"v1"}}, "none": {"version": {""}}} {
		for _, what := range []string{"release", "encrypt", "reject"} {
			form.Set("do", what)
			form.Set("code", "payment")
			code, body, _ := v.do(http.MethodPost, "/items/"+string(first.ID)+"/decide", form)
			if code != http.StatusConflict || !strings.Contains(body, "This changed") || !strings.Contains(body, `href="/items/`+string(first.ID)) {
				t.Errorf("%s, %s: %d", name, what, code)
			}
		}
	}
	// Several at once: those that changed stay, and it is told why.
	second.Version, third.State = "v2", "released"
	form := url.Values{"do": {"release"}, "code": {"payment"}, "count": {"2"}, "item": {string(first.ID), string(second.ID)},
		"version": {"x"}, "version-" + string(first.ID): {"v2"}, "version-" + string(second.ID): {"v1"}}
	if _, _, to := v.do(http.MethodPost, "/queue/decide", form); to != "/queue" {
		t.Errorf("several: to %q", to)
	}
	if _, body, _ := v.do(http.MethodGet, "/queue", nil); !strings.Contains(body, "1 of 2 done. Left as they were: 1 changed since you looked.") || !strings.Contains(body, `class="note is-held" role="status"`) {
		t.Error("several: it is not told what was left and why")
	}
	if got := s.desk.log(); !slices.Contains(got, "release payment user:dana") || slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "reject") }) {
		t.Errorf("the desk was asked %q", got)
	}
	at := s.now()
	third.Decided, third.DecidedBy, s.desk.fails = &at, "user:luis", gateway.ErrNotHeld
	_, body, _ := v.do(http.MethodPost, "/items/"+string(third.ID)+"/decide", url.Values{"do": {"release"}, "code": {"payment"}})
	if !strings.Contains(body, "It was released on 26 Nov 2026, 09:00 UTC, by luis.") {
		t.Error("the page does not say who decided before")
	}
}

// TestBulkAsks: before several are decided about, the page shows them as they are then,
// and leaves out what cannot be decided so.
func TestBulkAsks(t *testing.T) {
	t.Parallel()
	s := newSite(t, 6)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "luis", console.Officer, false)
	v := s.signedIn(t, "dana")
	h := s.desk.held
	h[1].Causes, h[2].State, h[4].Channel, h[5].Proposed = []string{"encrypted"}, "rejected", "file", &gateway.Proposed{By: "user:ann", At: s.now()}
	s.signedIn(t, "luis").do(http.MethodPost, "/items/"+string(h[3].ID)+"/claim", nil)
	form := url.Values{"do": {"encrypt"}}
	for i := range h {
		form.Add("item", string(h[i].ID))
	}
	code, body, _ := v.do(http.MethodPost, "/queue/ask", form)
	for _, want := range []string{"Release 3 items encrypted", "Type how many: 3", "1 decided about meanwhile", "1 claimed by somebody else", "1 of a watched folder", "1 of them was not read in full", "1 of them waits for a second yes",
		`name="version-` + string(h[0].ID) + `" value="v1"`} {
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d: the page lacks %q", code, want)
		}
	}
	if n := strings.Count(body, `name="item"`); n != 3 {
		t.Errorf("it asks about %d items, want 3", n)
	}
	form["item"] = []string{string(h[2].ID)}
	if code, body, _ := v.do(http.MethodPost, "/queue/ask", form); code != http.StatusConflict || !strings.Contains(body, "Nothing is left to decide about") {
		t.Errorf("of one that is decided: %d", code)
	}
}

// TestClaimStays: a claim is its owner's until they let go or it is decided, a decision
// that is not carried out does not end it, and who has none lets go of none.
func TestClaimStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "luis", console.Officer, false)
	dana, luis := s.signedIn(t, "dana"), s.signedIn(t, "luis")
	item := "/items/" + string(s.desk.held[0].ID)
	dana.do(http.MethodPost, item+"/claim", nil)
	s.desk.fails = gateway.ErrNoWay
	release := url.Values{"do": {"encrypt"}, "code": {"payment"}}
	if code, _, _ := dana.do(http.MethodPost, item+"/decide", release); code != http.StatusConflict {
		t.Fatalf("no way: %d", code)
	}
	luis.do(http.MethodPost, item+"/unclaim", nil)
	if code, body, _ := luis.do(http.MethodPost, item+"/decide", release); code != http.StatusConflict || !strings.Contains(body, "dana claimed it") {
		t.Errorf("after a decision that was not carried out, another: %d", code)
	}
	if code, _, _ := luis.do(http.MethodPost, "/items/"+string(dlp.NewID())+"/unclaim", nil); code != http.StatusNotFound {
		t.Errorf("letting go of what is not there: %d, want 404", code)
	}
	for _, e := range s.desk.events {
		if e.Reason == "let_go" {
			t.Errorf("on record: %s let go of %s", e.Actor, e.Doc)
		}
	}
	s.desk.fails = gateway.ErrSecond
	dana.do(http.MethodPost, item+"/decide", release)
	s.desk.fails = nil
	if code, _, _ := luis.do(http.MethodPost, item+"/decide", release); code != http.StatusSeeOther {
		t.Errorf("the second yes, after the first: %d", code)
	}
}

func TestTwoReviewers(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "luis", console.Officer, false)
	dana, luis := s.signedIn(t, "dana"), s.signedIn(t, "luis")
	id := string(s.desk.held[0].ID)
	dana.do(http.MethodPost, "/items/"+id+"/claim", nil)
	reject := url.Values{"do": {"reject"}, "code": {"other"}, "note": {"please use the portal"}}
	if code, body, _ := luis.do(http.MethodPost, "/items/"+id+"/decide", reject); code != http.StatusConflict || !strings.Contains(body, "dana claimed it") {
		t.Errorf("deciding about what another claimed: %d", code)
	}
	s.pass(16 * time.Minute)
	luis = s.signedIn(t, "luis")
	if code, _, to := luis.do(http.MethodPost, "/items/"+id+"/decide", reject); to != "/queue" {
		t.Errorf("after the claim's time: %d to %q", code, to)
	}
	if got := s.desk.log(); !slices.Equal(got, []string{"reject other please use the portal user:luis"}) {
		t.Errorf("the desk was asked %q", got)
	}
	for name, form := range map[string]url.Values{
		"no reason": {"do": {"release"}}, "a reason that is none": {"do": {"release"}, "code": {"made_up"}}, "no act": {"code": {"payment"}},
	} {
		if code, _, _ := luis.do(http.MethodPost, "/items/"+id+"/decide", form); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, code)
		}
	}
}

func TestBulkWantsItsCount(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	form := url.Values{"do": {"release"}, "code": {"payment"}, "item": {string(s.desk.held[0].ID), string(s.desk.held[2].ID)}, "count": {"3"}}
	if code, _, _ := v.do(http.MethodPost, "/queue/decide", form); code != http.StatusBadRequest || len(s.desk.log()) != 0 {
		t.Errorf("a wrong count: %d, desk %q", code, s.desk.log())
	}
	form.Set("count", "2")
	v.do(http.MethodPost, "/queue/decide", form)
	if got := s.desk.log(); len(got) != 2 {
		t.Errorf("the desk was asked %q, want two releases", got)
	}
	if _, body, _ := v.do(http.MethodGet, "/queue", nil); !strings.Contains(body, "2 of 2 done.") {
		t.Error("the queue does not say what came of it")
	}
}
