package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
)

// TestWalk: Next and Previous follow the list that an item was opened from, to its ends,
// and the way back leads to it; what was typed into that list's search is in no URL.
func TestWalk(t *testing.T) {
	t.Parallel()
	s := newSite(t, 15) // r@partner3.example gets 3 and 10
	s.desk.held[5].Asked = true
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	path := func(i int) string { return "/items/" + string(s.desk.held[i].ID) }
	list := v.search("to=partner3.example&confidence=high")
	at := strings.TrimPrefix(list, "/queue")
	if at == list || strings.Contains(at, "partner3") {
		t.Fatalf("the list is at %q", list)
	}
	_, body, _ := v.do(http.MethodGet, list, nil)
	if want := strings.ReplaceAll(`href="`+path(3)+at+`"`, "&", "&amp;"); !strings.Contains(body, want) {
		t.Errorf("the list lacks %s", want)
	}
	for _, c := range []struct{ name, from, want string }{
		{"to the next of the list", path(3) + "/next" + at, path(10) + at},
		{"back to the one before", path(10) + "/previous" + at, path(3) + at},
		{"behind the last", path(10) + "/next" + at, list + "#i" + string(s.desk.held[10].ID)},
		{"before the first", path(3) + "/previous" + at, list + "#i" + string(s.desk.held[3].ID)},
		{"from one that is not in it, down", path(4) + "/next" + at, path(10) + at},
		{"from one that is not in it, up", path(4) + "/previous" + at, list + "#i" + string(s.desk.held[4].ID)},
		{"in all that is held", path(3) + "/next", path(4)},
		{"up in all that is held", path(3) + "/previous", path(2)},
		{"in a standing view", path(0) + "/next?of=asked", path(5) + "?of=asked"},
		{"in the list of a session that is over", path(3) + "/next?s=9", path(4)},
		{"with the page it was on", path(3) + "/next" + at + "&after=" + string(s.desk.held[1].ID), path(10) + at + "&after=" + string(s.desk.held[1].ID)},
		{"with a page that is none", path(3) + "/next" + at + "&after=//evil.example", path(10) + at},
	} {
		if code, _, to := v.do(http.MethodGet, c.from, nil); code != http.StatusSeeOther || to != c.want {
			t.Errorf("%s: %d to %q, want %q", c.name, code, to, c.want)
		}
	}
	_, body, _ = v.do(http.MethodGet, path(3)+at, nil)
	for _, want := range []string{`href="` + list + "#i" + string(s.desk.held[3].ID) + `"`, `action="` + path(3) + "/decide" + at + `"`, `action="` + path(3) + "/claim" + at + `"`, `href="` + path(3) + "/next" + at + `"`} {
		if !strings.Contains(body, strings.ReplaceAll(want, "&", "&amp;")) {
			t.Errorf("the item's page lacks %s", want)
		}
	}
	decision := url.Values{"do": {"reject"}, "code": {"payment"}}
	if code, _, to := v.do(http.MethodPost, path(3)+"/decide"+at, decision); code != http.StatusSeeOther || to != list {
		t.Errorf("after a decision: %d to %q, want %q", code, to, list)
	}
}

// TestClaimInTheQueue: each line that may be claimed has a button for it, which leads back
// to that line; what others have has none, and a viewer's page neither.
func TestClaimInTheQueue(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	for name, role := range map[string]console.Role{"dana": console.Officer, "kim": console.Officer, "vera": console.Viewer} {
		s.add(t, name, role, false)
	}
	dana, kim := s.signedIn(t, "dana"), s.signedIn(t, "kim")
	id := string(s.desk.held[1].ID)
	claim, back := "/items/"+id+"/claim?confidence=high", "/queue?confidence=high#i"+id
	buttons := func(v *visitor) (n int, body string) {
		_, body, _ = v.do(http.MethodGet, "/queue?confidence=high", nil)
		return strings.Count(body, "data-claim"), body
	}
	if n, body := buttons(dana); n != 3 || !strings.Contains(body, `formaction="`+claim+`"`) {
		t.Errorf("%d buttons, want 3", n)
	}
	if code, _, to := dana.do(http.MethodPost, claim, url.Values{"in": {"queue"}}); code != http.StatusSeeOther || to != back {
		t.Errorf("claimed: %d to %q, want %q", code, to, back)
	}
	if n, body := buttons(dana); n != 3 || !strings.Contains(body, `formaction="/items/`+id+`/unclaim?confidence=high"`) {
		t.Errorf("whoever claimed it sees %d buttons, want 3 and one to let go", n)
	}
	if n, body := buttons(kim); n != 2 || strings.Contains(body, id+"/claim") || strings.Contains(body, id+"/unclaim") {
		t.Errorf("another sees %d buttons, want 2", n)
	}
	if n, _ := buttons(s.signedIn(t, "vera")); n != 0 {
		t.Errorf("a viewer sees %d buttons", n)
	}
	if code, _, to := dana.do(http.MethodPost, "/items/"+id+"/unclaim?confidence=high", url.Values{"in": {"queue"}}); code != http.StatusSeeOther || to != back {
		t.Errorf("let go: %d to %q, want %q", code, to, back)
	}
}

// TestClaimsEnd after 15 quiet minutes, so that what somebody left open is not theirs for good.
func TestClaimsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "kim", console.Officer, false)
	path := "/items/" + string(s.desk.held[0].ID) + "/claim"
	if code, _, _ := s.signedIn(t, "dana").do(http.MethodPost, path, nil); code != http.StatusSeeOther {
		t.Fatalf("claimed: %d", code)
	}
	s.pass(14 * time.Minute)
	if code, body, _ := s.signedIn(t, "kim").do(http.MethodPost, path, nil); code != http.StatusConflict || !strings.Contains(body, "dana claimed it") {
		t.Errorf("after 14 minutes another claims it: %d", code)
	}
	s.pass(2 * time.Minute)
	if code, _, _ := s.signedIn(t, "kim").do(http.MethodPost, path, nil); code != http.StatusSeeOther {
		t.Errorf("after 16 minutes another claims it: %d, want it theirs", code)
	}
}

// TestBulkLeadsBack to the list in which the items were chosen.
func TestBulkLeadsBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	list := v.search("to=partner1.example&confidence=high")
	at := strings.ReplaceAll(strings.TrimPrefix(list, "/queue"), "&", "&amp;")
	if _, body, _ := v.do(http.MethodGet, list, nil); !strings.Contains(body, `action="/queue/ask`+at+`"`) {
		t.Error("the list asks without saying which it is")
	}
	form := url.Values{"do": {"reject"}, "code": {"payment"}, "item": {string(s.desk.held[1].ID)}, "count": {"1"}}
	_, body, _ := v.do(http.MethodPost, strings.Replace(list, "/queue", "/queue/ask", 1), form)
	for _, want := range []string{`action="/queue/decide` + at + `"`, `href="/queue` + at + `">Keep`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if code, _, to := v.do(http.MethodPost, strings.Replace(list, "/queue", "/queue/decide", 1), form); code != http.StatusSeeOther || to != list {
		t.Errorf("decided: %d to %q, want %q", code, to, list)
	}
}
