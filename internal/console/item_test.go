package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestItemIsNotReadAgain: what reviewers see was noted when the item was held; one
// that was held before that was noted is read once more.
func TestItemIsNotReadAgain(t *testing.T) {
	t.Parallel()
	for _, unnoted := range []bool{false, true} {
		s := newSite(t, 3)
		s.desk.unnoted = unnoted
		s.add(t, "dana", console.Officer, false)
		v := s.signedIn(t, "dana")
		id := string(s.desk.held[0].ID)
		code, body, _ := v.do(http.MethodGet, "/items/"+id, nil)
		if code != http.StatusOK || !strings.Contains(body, "***-**-8145") || !strings.Contains(body, `<li class="up">evidence`) {
			t.Errorf("unnoted %v: %d, want the masked value", unnoted, code)
		}
		if read := slices.Contains(s.desk.log(), "read masked user:dana"); read != unnoted {
			t.Errorf("unnoted %v: read again: %v", unnoted, read)
		}
	}
}

func TestItemShowsTreeAndSender(t *testing.T) {
	t.Parallel()
	s := newSite(t, 13)
	s.desk.held[12].Received = s.now().Add(-31 * 24 * time.Hour)
	s.add(t, "dana", console.Officer, false)
	_, body, _ := s.signedIn(t, "dana").do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil)
	nav := body[strings.Index(body, `aria-label="Parts"`):]
	nav = regexp.MustCompile(`(?s)<a .*?</a>|\s+`).ReplaceAllString(nav[strings.Index(nav, "<ul>"):strings.Index(nav, "<p ")], "")
	if want := "<ul><li></li><li><ul><li><ul><li></li></ul></li></ul></li></ul>"; nav != want {
		t.Errorf("the parts stand as %s, want %s", nav, want)
	}
	if got := strings.Count(body, "min ago</span>"); got != 10 || !strings.Contains(body, `<span class="count">11</span>`) {
		t.Errorf("%d others of the sender are listed, want 10 of 11", got)
	}
}

// TestHostileMailIsInert: whatever a mail holds stands in pages as text.
func TestHostileMailIsInert(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	for i := range s.desk.held {
		h := &s.desk.held[i]
		h.Sender, h.Recipients, h.Path, h.Header = hostile+"@clinic.example", []string{"r@" + hostile}, hostile, hostile
		h.Policy, h.Causes = hostile, []string{hostile}
	}
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	for _, path := range []string{"/queue", "/queue?from=" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "+", `"`, "%22", "{", "%7B", "}", "%7D").Replace(hostile), "/items/" + string(s.desk.held[0].ID)} {
		code, body, _ := v.do(http.MethodGet, path, nil)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		if strings.Contains(body, "<script>x") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: something of the mail is in the page as it is", path)
		}
		if strings.HasPrefix(path, "/items") && strings.Count(html.UnescapeString(body), "<script>x</script>") < 6 {
			t.Errorf("%s: the hostile text is not there at all", path)
		}
	}
}

func (d *desk) OpenEncrypted(_ context.Context, id dlp.ID, _ vault.Opened, actor, password string) (gateway.Opened, error) {
	if _, err := d.find(id); err != nil {
		return gateway.Opened{}, err
	}
	switch password {
	case "":
		return gateway.Opened{}, gateway.ErrNoPassword
	case "Kolibri-77":
		d.did("open " + actor)
		return gateway.Opened{Parts: 1, Findings: 2}, nil
	}
	d.did("try " + actor)
	return gateway.Opened{}, fmt.Errorf("open: %w", gateway.ErrPassword)
}

// TestPasswordOfAPart: an officer types it; it is in no page and no address.
func TestPasswordOfAPart(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	dana, path := s.signedIn(t, "dana"), "/items/"+string(s.desk.held[0].ID)
	if _, body, _ := dana.do(http.MethodGet, path, nil); !strings.Contains(body, `action="`+path+`/open"`) || !strings.Contains(body, `type="password"`) {
		t.Error("the page of an item with an encrypted part does not ask for a password")
	}
	if _, body, _ := s.signedIn(t, "vera").do(http.MethodGet, path, nil); strings.Contains(body, path+"/open") {
		t.Error("a viewer is asked for a password")
	}
	for _, c := range []struct {
		password string
		want     int
	}{{"", http.StatusBadRequest}, {"wrong-5151", http.StatusConflict}, {"Kolibri-77", http.StatusSeeOther}} {
		code, body, to := dana.do(http.MethodPost, path+"/open", url.Values{"password": {c.password}})
		if code != c.want || c.password != "" && strings.Contains(body+to, c.password) {
			t.Errorf("%q: %d to %q, want %d", c.password, code, to, c.want)
		}
	}
	_, body, _ := dana.do(http.MethodGet, path, nil)
	if !strings.Contains(body, "1 part, 2 new findings") {
		t.Error("the page does not say what was opened")
	}
	if got := regexp.MustCompile(`name="part" value="([^"]*)"(?s:.{0,900}?)(name="password"|</form>)`).FindAllStringSubmatch(body, -1); len(got) != 4 {
		t.Errorf("%d parts may be revealed, want 4", len(got))
	} else {
		for _, m := range got {
			if asks := m[2] != "</form>"; asks != (m[1] == "1/1/2.1") {
				t.Errorf("revealing part %s asks for a password: %v", m[1], asks)
			}
		}
	}
	for password, want := range map[string]int{"Kolibri-77": http.StatusOK, "wrong-5151": http.StatusConflict, "": http.StatusNotFound, strings.Repeat("x", 257): http.StatusBadRequest, "\xff": http.StatusBadRequest} {
		code, body, _ := dana.do(http.MethodPost, path+"/reveal", url.Values{"part": {"1/1/2.1"}, "reason": {"to_decide"}, "password": {password}})
		if code != want || strings.Contains(body, "536-22-8145") != (want == http.StatusOK) || password != "" && strings.Contains(body, password) {
			t.Errorf("revealed with %q: %d, want %d", password, code, want)
		}
	}
}

// TestFoundComesFirst: the parts in which something was found stand before the others, by
// the numbers that the tree, in the order of the document, leads to.
func TestFoundComesFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	_, body, _ := s.signedIn(t, "dana").do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil)
	for _, c := range []struct {
		of, expr string
		want     []string
	}{
		{"the tree", `<li><a href="#(p\d)">`, []string{"p0", "p1", "p2", "p3"}},
		{"the parts", `<section class="panel" id="(p\d)" data-part`, []string{"p1", "p0", "p2", "p3"}},
		{"their labels", `<h2 id="h\d">([^<,]+)`, []string{"Part 1", "Headers", "Part 1/1", "Part 1/1/2.1"}},
	} {
		var got []string
		for _, m := range regexp.MustCompile(c.expr).FindAllStringSubmatch(body, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.of, got, c.want)
		}
	}
}

// TestWayBesideRecipient: an officer sees how each recipient of held mail would get it
// encrypted, a viewer nothing of it.
func TestWayBesideRecipient(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.desk.held[0].Recipients = []string{"kim@partner.example", "lee@partner.example"}
	s.desk.ways = map[string]dlp.Way{"kim@partner.example": dlp.SMIME, "lee@partner.example": ""}
	s.desk.held[1].Recipients, s.desk.held[1].State = s.desk.held[0].Recipients, "released"
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	_, body, _ := s.signedIn(t, "dana").do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil)
	for _, want := range []string{`<div>kim@partner.example <span class="hint">encrypted: S/MIME</span>`, `<div>lee@partner.example <span class="hint">no way to encrypt</span>`, `kim@partner.example <span class="hint">S/MIME</span></label>`} {
		if !strings.Contains(body, want) {
			t.Errorf("an officer's page lacks %q", want)
		}
	}
	if _, body, _ = s.signedIn(t, "vera").do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil); strings.Contains(body, "S/MIME") || strings.Contains(body, "kim@") {
		t.Error("a viewer sees whom it would go to, or how")
	}
	if _, body, _ = s.signedIn(t, "dana").do(http.MethodGet, "/items/"+string(s.desk.held[1].ID), nil); strings.Contains(body, "S/MIME") {
		t.Error("the page of what was released says how it would be encrypted")
	}
}

// TestReleasedSaysWhetherItLeft: who released something sees that it waits, or left.
func TestReleasedSaysWhetherItLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	dana := s.signedIn(t, "dana")
	s.desk.held[0].State = "released"
	for state, want := range map[string]string{"": "", "queued": "on its way", "poison": "set aside", "delivered": "taken by the next hop", "failed": "not delivered", "dropped": "dropped"} {
		s.desk.held[0].Delivery = state
		_, body, _ := dana.do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil)
		if says := strings.Contains(body, "<dt>Delivery</dt>"); says != (want != "") || !strings.Contains(body, "<dt>Delivery</dt><dd>"+want) && says {
			t.Errorf("%q: the page says of its delivery %v, want %q", state, says, want)
		}
	}
}

// TestWhatWeighsMostComesFirst: a queue's line and an item's sentence name kinds of data
// by the severity of their rules, and what spoke for a finding is marked as that.
func TestWhatWeighsMostComesFirst(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, 1, func(_ *site, d *console.Deps) {
		d.Rules = func() []console.Rule {
			return []console.Rule{{ID: "condition", Type: "CONDITION", Severity: dlp.SeverityLow}, {ID: "dob", Type: "DOB", Severity: dlp.SeverityMedium}, {ID: "us-ssn", Type: "SSN"}}
		}
	})
	s.desk.held[0].Rules = []dlp.RuleID{"condition", "dob", "us-ssn"}
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	const want = "a Social Security number, a date of birth and the name of a condition"
	for _, path := range []string{"/queue", "/items/" + string(s.desk.held[0].ID)} {
		if _, body, _ := v.do(http.MethodGet, path, nil); !strings.Contains(strings.ToLower(body), strings.ToLower(want)) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
}

// TestEmptyQueueSaysWhatInstead: where nothing is held it says when something was last;
// where nothing matches it leads to the same search among what is decided.
func TestEmptyQueueSaysWhatInstead(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	if _, body, _ := v.do(http.MethodGet, "/queue?confidence=low", nil); !strings.Contains(body, `href="/queue?confidence=low&amp;state=all"`) {
		t.Error("a search that finds nothing leads to no wider one")
	}
	s.desk.held = nil
	if _, body, _ := v.do(http.MethodGet, "/queue", nil); !strings.Contains(body, "Nothing is held.") || !strings.Contains(body, "passed today") {
		t.Error("an empty queue does not say what passed")
	}
	if code, body, _ := v.do(http.MethodGet, "/nosuch", nil); code != http.StatusNotFound || !strings.Contains(body, "There is no such page.") {
		t.Errorf("what is no page: %d", code)
	}
}

// TestRevealTakesAReason of the list: nothing is opened for another.
func TestRevealTakesAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	path := "/items/" + string(s.desk.held[0].ID) + "/reveal"
	for _, reason := range []string{"", "curiosity", "To_decide", "to_decide "} {
		if code, body, _ := v.do(http.MethodPost, path, url.Values{"part": {"1"}, "reason": {reason}}); code != http.StatusBadRequest || strings.Contains(body, "536-22-8145") {
			t.Errorf("reason %q: %d", reason, code)
		}
	}
	if got := s.desk.log(); len(got) != 0 {
		t.Errorf("the desk was asked %q", got)
	}
}
