package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestSearchByWords: words find items by what is no PHI, and by nothing else.
func TestSearchByWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	s.desk.held[2].Urgent, s.desk.held[2].Rules, s.desk.held[2].Causes = true, []dlp.RuleID{}, []string{"too_deep"}
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	for q, want := range map[string]int{
		"us-ssn": 7, "SSN PHI-leaves": 7, "partner1.example": 1, "partner1.example mail": 1, "urgent": 1, "too deep": 1, "too_deep": 1,
		string(s.desk.held[4].ID): 1, "clinic.example": 8, "ward.person": 0, "Secretname": 0, "us-ssn nonsense": 0, strings.Repeat("x", 300): 0,
	} {
		_, body, _ := v.do(http.MethodGet, "/queue?q="+url.QueryEscape(q), nil)
		if got := strings.Count(body, `<td class="pick">`); got != want {
			t.Errorf("%q finds %d, want %d", q, got, want)
		}
		if strings.Contains(body, ">Urgent<") != (want == 8 || want == 1 && strings.Contains("urgent too deep too_deep", q)) {
			t.Errorf("%q: what is urgent is not marked", q)
		}
	}
}

// TestViews: a search is kept for one account, under a name, and is a search only.
func TestViews(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	dana, vera := s.signedIn(t, "dana"), s.signedIn(t, "vera")
	name := `Mine <b>"1"`
	code, _, to := dana.do(http.MethodPost, "/views", url.Values{"name": {" " + name + " "}, "query": {"to=partner1.example&evil=1&type=SSN&q=a+b"}})
	if want := "/queue?q=a+b&to=partner1.example&type=SSN"; code != http.StatusSeeOther || to != want {
		t.Errorf("saved: %d to %q, want %q", code, to, want)
	}
	_, body, _ := dana.do(http.MethodGet, "/queue", nil)
	if !strings.Contains(body, `href="/queue?q=a&#43;b&amp;to=partner1.example&amp;type=SSN"`) && !strings.Contains(body, `href="/queue?q=a+b&amp;to=partner1.example&amp;type=SSN"`) || strings.Contains(body, name) {
		t.Error("the view is not there, or not as text")
	}
	if _, body, _ := vera.do(http.MethodGet, "/queue", nil); strings.Contains(body, "partner1.example&amp;type") {
		t.Error("a view is shown to somebody else")
	}
	for why, form := range map[string]url.Values{"no name": {"query": {"type=SSN"}}, "no search": {"name": {"x"}, "query": {"evil=1"}}, "too much": {"name": {"x"}, "query": {"rule=" + strings.Repeat("x", 1000)}}, "too long": {"name": {strings.Repeat("x", 41)}, "query": {"type=SSN"}}} {
		if code, _, _ := dana.do(http.MethodPost, "/views", form); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", why, code)
		}
	}
	code, _, to = dana.do(http.MethodPost, "/views", url.Values{"name": {"whose"}, "query": {"from=Jane.Roe%40Clinic.example&to=%40x.example"}})
	if want := "/queue?from=clinic.example&to=x.example"; code != http.StatusSeeOther || to != want {
		t.Errorf("an address in a search: %d to %q, want %q", code, to, want)
	}
	dana.do(http.MethodPost, "/views/drop", url.Values{"name": {"whose"}})
	for i := range 20 {
		want := http.StatusSeeOther
		if i == 19 {
			want = http.StatusConflict
		}
		if code, _, _ := dana.do(http.MethodPost, "/views", url.Values{"name": {fmt.Sprint("v", i)}, "query": {"type=SSN"}}); code != want {
			t.Errorf("view %d: %d, want %d", i+2, code, want)
		}
	}
	dana.do(http.MethodPost, "/views/drop", url.Values{"name": {name}})
	if _, body, _ := dana.do(http.MethodGet, "/queue", nil); strings.Contains(body, "partner1.example&amp;type") || !strings.Contains(body, ">v18<") {
		t.Error("dropping one view did not drop that one")
	}
}
