package console_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
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
		_, body, _ := v.do(http.MethodGet, v.search("q="+url.QueryEscape(q)), nil)
		if got := strings.Count(body, `<td class="pick">`); got != want {
			t.Errorf("%q finds %d, want %d", q, got, want)
		}
		if strings.Contains(body, ">Urgent<") != (want == 8 || want == 1 && strings.Contains("urgent too deep too_deep", q)) {
			t.Errorf("%q: what is urgent is not marked", q)
		}
	}
}

// search asks for what query says, and returns where that is shown.
func (v *visitor) search(query string) string {
	v.t.Helper()
	form, err := url.ParseQuery(query)
	if err != nil {
		v.t.Fatal(err)
	}
	code, _, to := v.do(http.MethodPost, "/queue", form)
	if code != http.StatusSeeOther {
		v.t.Fatalf("searching for %s: %d", query, code)
	}
	return to
}

// TestWhatIsTypedStandsInNoURL: words and domains of a search, and who an event is by,
// are with the session, or refused; a URL shows nothing of them to another session.
func TestWhatIsTypedStandsInNoURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120)
	s.add(t, "ana", console.Admin, false)
	v := s.signedIn(t, "ana")
	at := v.search("q=Mira+Quillfeather&from=quillfeather.example&to=jane.quillfeather%40home.example&rule=quillfeather&type=quillfeather&channel=quillfeather&confidence=quillfeather&state=quillfeather&days=7")
	if at != "/queue?days=7&s=1" || v.search("from=clinic.example&type=SSN") != "/queue?s=2&type=SSN" || v.search("from=clinic.example") != "/queue?s=2" || v.search("") != "/queue" {
		t.Errorf("it stands in %s", at)
	}
	_, body, _ := v.do(http.MethodGet, at, nil)
	for _, field := range []string{`value="mira quillfeather"`, `value="quillfeather.example"`, `value="home.example"`} {
		if !strings.Contains(body, field) {
			t.Errorf("the page lacks %s", field)
		}
	}
	_, body, _ = v.do(http.MethodGet, "/queue?s=2", nil)
	if _, next, more := strings.Cut(body, `rel="next" href="`); !more || !strings.HasPrefix(next, "/queue?s=2&amp;after=") {
		t.Error("the next page is not of the same search")
	}
	if _, body, _ := v.do(http.MethodGet, "/queue?q=quillfeather&from=quillfeather.example", nil); strings.Contains(body, "quillfeather") || strings.Contains(body, "Narrowed") {
		t.Error("words are read from a URL")
	}
	for _, to := range []string{"/queue?s=2&type=SSN", "/queue?s=x&type=SSN"} {
		code, _, there := s.signedIn(t, "ana").do(http.MethodGet, to, nil)
		if code != http.StatusSeeOther || there != "/queue?type=SSN" {
			t.Errorf("in another session: %d to %q", code, there)
		}
	}
	for i := range 40 {
		v.search(fmt.Sprint("q=word", i))
	}
	if code, _, there := v.do(http.MethodGet, "/queue?s=2", nil); code != http.StatusSeeOther || there != "/queue" {
		t.Errorf("after many others: %d to %q", code, there)
	}
	if code, _, _ := v.do(http.MethodGet, "/queue?s=42", nil); code != http.StatusOK {
		t.Errorf("the last of many: %d", code)
	}
	for field, typed := range map[string]string{"actor": "Mira Quillfeather", "doc": "quillfeather", "kind": "quillfeather", "from": "quillfeather", "to": "quillfeather"} {
		if code, _, to := v.do(http.MethodPost, "/audit", url.Values{field: {typed}}); code != http.StatusBadRequest || to != "" {
			t.Errorf("%s of the audit page: %d to %q", field, code, to)
		}
	}
	for _, nobody := range []string{"quillfeather", "user:quillfeather", "uid:x"} {
		if code, _, _ := v.do(http.MethodGet, "/audit?actor="+url.QueryEscape(nobody), nil); code != http.StatusBadRequest {
			t.Errorf("events by %s: %d", nobody, code)
		}
	}
	for typed, want := range map[string]string{"ana": "ana", "uid:0": "uid%3A0", "sender": "sender", "user:ana": "user%3Aana"} {
		if code, _, to := v.do(http.MethodPost, "/audit", url.Values{"actor": {typed}}); code != http.StatusSeeOther || to != "/audit?actor="+want {
			t.Errorf("events by %s: %d to %q", typed, code, to)
		}
	}
}

// TestViewsAreSealed: what somebody searches for is on the disk under the index key,
// and what an earlier version kept in the clear is once it is changed.
func TestViewsAreSealed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	old := filepath.Join(s.dir, "views.json")
	if err := os.WriteFile(old, []byte(`{"dana":[{"name":"Mira Quillfeather","query":"q=quillfeather"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, to := v.do(http.MethodPost, "/queue", url.Values{"view": {"Mira Quillfeather"}}); code != http.StatusSeeOther || to != "/queue?s=1" {
		t.Errorf("an earlier version's view: %d to %q", code, to)
	}
	if code, _, _ := v.do(http.MethodPost, "/views", url.Values{"name": {"of quillfeather"}, "query": {"q=quillfeather"}}); code != http.StatusSeeOther {
		t.Fatalf("saved: %d", code)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was in the clear is there still: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "views.sealed"))
	if err != nil || bytes.Contains(bytes.ToLower(b), []byte("quillfeather")) {
		t.Errorf("what is kept: %q, %v", b, err)
	}
	if _, body, _ := v.do(http.MethodGet, "/queue", nil); strings.Count(body, `name="view" value="`) != 2 {
		t.Error("two views are not listed")
	}
	if err := os.WriteFile(filepath.Join(s.dir, "views.sealed"), b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := v.do(http.MethodPost, "/views", url.Values{"name": {"x"}, "query": {"q=x"}}); code != http.StatusInternalServerError {
		t.Errorf("saved over what does not open: %d", code)
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
	if want := "/queue?s=1&type=SSN"; code != http.StatusSeeOther || to != want {
		t.Errorf("saved: %d to %q, want %q", code, to, want)
	}
	_, body, _ := dana.do(http.MethodGet, "/queue", nil)
	if !strings.Contains(body, `name="view" value="`+html.EscapeString(name)+`"`) || strings.Contains(body, name) {
		t.Error("the view is not there, or not as text")
	}
	if code, _, to := dana.do(http.MethodPost, "/queue", url.Values{"view": {name}}); code != http.StatusSeeOther || to != "/queue?s=1&type=SSN" {
		t.Errorf("the view: %d to %q", code, to)
	}
	if code, _, _ := vera.do(http.MethodPost, "/queue", url.Values{"view": {name}}); code != http.StatusNotFound {
		t.Errorf("somebody else's view: %d", code)
	}
	if _, body, _ := vera.do(http.MethodGet, "/queue", nil); strings.Contains(body, `name="view"`) {
		t.Error("a view is shown to somebody else")
	}
	for why, form := range map[string]url.Values{"no name": {"query": {"type=SSN"}}, "no search": {"name": {"x"}, "query": {"evil=1"}}, "too much": {"name": {"x"}, "query": {"rule=" + strings.Repeat("x", 1000)}}, "too long": {"name": {strings.Repeat("x", 41)}, "query": {"type=SSN"}}} {
		if code, _, _ := dana.do(http.MethodPost, "/views", form); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", why, code)
		}
	}
	code, _, to = dana.do(http.MethodPost, "/views", url.Values{"name": {"whose"}, "query": {"from=Jane.Roe%40Clinic.example&to=%40x.example"}})
	if _, body, _ := dana.do(http.MethodGet, to, nil); code != http.StatusSeeOther || strings.Contains(strings.ToLower(body), "jane.roe") || !strings.Contains(body, `value="x.example"`) {
		t.Errorf("an address in a search: %d to %q", code, to)
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
	if _, body, _ := dana.do(http.MethodGet, "/queue", nil); strings.Contains(body, html.EscapeString(name)) || !strings.Contains(body, ">v18<") {
		t.Error("dropping one view did not drop that one")
	}
}

// TestStandingViews: what everybody has views of is counted and found: theirs, what
// ends soon, waits for a second yes, is asked for, was not read, is urgent.
func TestStandingViews(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	soon := s.desk.held[2].Received.Add(time.Hour)
	is := map[string]int{"mine": 0, "second": 1, "ending": 2, "asked": 3, "gaps": 4, "urgent": 5}
	s.desk.held[is["second"]].Proposed = &gateway.Proposed{By: "user:luis"}
	s.desk.held[is["ending"]].Ends = &soon
	s.desk.held[is["asked"]].Asked = true
	s.desk.held[is["gaps"]].Rules, s.desk.held[is["gaps"]].Causes = nil, []string{"encrypted"}
	s.desk.held[is["urgent"]].Urgent = true
	dana, vera := s.signedIn(t, "dana"), s.signedIn(t, "vera")
	if code, _, _ := dana.do(http.MethodPost, "/items/"+string(s.desk.held[is["mine"]].ID)+"/claim", nil); code != http.StatusSeeOther {
		t.Fatalf("claim: %d", code)
	}
	for of, i := range is {
		_, body, _ := dana.do(http.MethodGet, "/queue?of="+of, nil)
		if n := strings.Count(body, `<td class="pick">`); n != 1 || !strings.Contains(body, `href="/items/`+string(s.desk.held[i].ID)) {
			t.Errorf("%s: %d rows, want one", of, n)
		}
		if !strings.Contains(body, `<a href="/queue?of=`+of+`" aria-current="page">`) {
			t.Errorf("%s: the rail does not say where one is", of)
		}
	}
	_, body, _ := dana.do(http.MethodGet, "/queue", nil)
	for _, want := range []string{`Mine <span class="n">1</span>`, `Needs a second yes <span class="n">1</span>`, `Sender asks <span class="n">1</span>`, `Urgent <span class="n">1</span>`, `<a href="/queue" aria-current="page">All held <span class="n">8</span>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the rail lacks %s", want)
		}
	}
	if _, body, _ := vera.do(http.MethodGet, "/queue", nil); strings.Contains(body, "of=mine") || !strings.Contains(body, "of=asked") {
		t.Error("who may not decide has claims, or no views")
	}
	if _, body, _ := dana.do(http.MethodGet, "/queue?of=quillfeather", nil); strings.Count(body, `<td class="pick">`) != 8 || strings.Contains(body, "Narrowed") {
		t.Error("a view that there is not narrows the queue")
	}
	if code, _, to := dana.do(http.MethodPost, "/queue", url.Values{"of": {"asked"}, "type": {"SSN"}}); code != http.StatusSeeOther || to != "/queue?of=asked&type=SSN" {
		t.Errorf("narrowed within a view: %d to %q", code, to)
	}
}
