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
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/rulefile"
)

// exempter names what the desk's items hold.
type exempter struct{}

const (
	valueDigest  = "0123456789abcdef0123456789abcdef"
	senderDigest = "fedcba9876543210fedcba9876543210"
)

func (exempter) ValueDigest(_ context.Context, doc *dlp.Document, at console.Found) (string, error) {
	if at != (console.Found{Rule: "us-ssn", Part: "1", Start: 4, End: 15}) || slices.Contains(doc.Passwords, "wrong-5151") {
		return "", console.ErrNoFinding
	}
	return valueDigest, nil
}

func (exempter) SenderDigest(address string) string {
	if address != "ward.person@clinic.example" {
		return ""
	}
	return senderDigest
}

func (exempter) Finds(text string) bool { return strings.Contains(text, "536-22") }

var seenOf = regexp.MustCompile(`name="seen" value="([0-9a-f]{64})"`)

// proposing is a form of the page, as it comes.
func proposing(kind string) url.Values {
	return url.Values{"do": {"look"}, "rule": {"us-ssn"}, "part": {"1"}, "start": {"4"}, "end": {"15"}, "kind": {kind}, "why": {`an "order" number`}, "expires": {"2027-01-31"},
		"words": {"order no, part no"}, "near": {"30"}}
}

// TestNotPHI: what is proposed is shown with what it would change, is on record, and
// waits; nothing of an item's content is in it.
func TestNotPHI(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.add(t, "olga", console.Officer, false)
	olga := s.signedIn(t, "olga")
	path := "/items/" + string(s.desk.held[0].ID) + "/notphi"
	if code, page, _ := olga.do(http.MethodGet, "/items/"+string(s.desk.held[0].ID), nil); code != http.StatusOK || !strings.Contains(html.UnescapeString(page), path+"?rule=us-ssn&part=1&start=4&end=15") {
		t.Errorf("%d, an item has no way to say that it is not PHI", code)
	}
	for _, query := range []string{"", "?rule=us-ssn&part=1&start=4&end=16", "?rule=us-ssn&part=1&start=x&end=15"} {
		if code, _, _ := olga.do(http.MethodGet, path+query, nil); code != http.StatusNotFound {
			t.Errorf("of nothing that was found (%s): %d", query, code)
		}
	}
	if code, _, _ := olga.do(http.MethodGet, path+"?rule=us-ssn&part=1&start=4&end=15", nil); code != http.StatusOK {
		t.Errorf("the form: %d", code)
	}
	store := rulefile.Open(s.dir)
	for i, c := range []struct{ kind, want string }{
		{"value", "  [[rules.allowlists]]\n  description = \"an \\\"order\\\" number\"\n  digests     = [\"" + valueDigest + "\"]\n  expires     = \"2027-01-31\"\n"},
		{"sender", "  senders     = [\"" + senderDigest + "\"]\n"},
		{"words", "  [[rules.demote]] # an \"order\" number\n  any         = [\"order no\", \"part no\"]\n  proximity   = 30\n"},
	} {
		form := proposing(c.kind)
		code, page, _ := olga.do(http.MethodPost, path, form)
		if code != http.StatusOK || !strings.Contains(html.UnescapeString(page), c.want) || !strings.Contains(page, "1 no longer held") {
			t.Errorf("%s: %d, the page lacks %q", c.kind, code, c.want)
		}
		if ps, err := store.Proposals(0, 10); err != nil || len(ps) != i {
			t.Errorf("%s: proposed before somebody said so: %+v, %v", c.kind, ps, err)
		}
		form.Set("do", "propose")
		if code, page, _ := olga.do(http.MethodPost, path, form); code != http.StatusConflict || !strings.Contains(page, "see it once more") {
			t.Errorf("%s: proposed unseen: %d", c.kind, code)
		}
		form.Set("seen", seenOf.FindStringSubmatch(page)[1])
		if code, _, to := olga.do(http.MethodPost, path, form); code != http.StatusSeeOther || to != fmt.Sprintf("/rules/proposals/%d", i+1) {
			t.Errorf("%s: %d to %q", c.kind, code, to)
		}
		p, err := store.Proposal(i + 1)
		if err != nil || p.State != rulefile.Waiting || p.By != "user:olga" || p.Item != s.desk.held[0].ID || !strings.Contains(p.Text, c.want) {
			t.Errorf("%s: kept %+v, %v", c.kind, p, err)
		}
		events := s.ruleEvents()
		if e := events[len(events)-1]; e.Reason != fmt.Sprintf("propose:%d", i+1) || e.Doc != p.Item || e.Actor != "user:olga" || e.Digest != rulefile.Digest(p.Text) {
			t.Errorf("%s: on record %+v", c.kind, e)
		}
	}
	for password, want := range map[string]int{"wrong-5151": http.StatusConflict, "Kolibri-77": http.StatusOK, "\xff": http.StatusBadRequest} {
		form := proposing("value")
		form.Set("password", password)
		if code, page, _ := olga.do(http.MethodPost, path, form); code != want || strings.Contains(page, password) {
			t.Errorf("read again with the password %q: %d, want %d", password, code, want)
		}
	}
	if text, _, err := store.Current(); err != nil || text != "" {
		t.Errorf("a proposal has changed the rules: %q, %v", text, err)
	}
	reads := 0
	for _, what := range s.desk.log() {
		if what == "read not_phi user:olga" {
			reads++
		}
	}
	if reads != 5 { // of the value alone: seen, refused unseen, proposed, and with two passwords
		t.Errorf("read %d times", reads)
	}
	for name, change := range map[string]func(url.Values){
		"no kind": func(v url.Values) { v.Set("kind", "all") }, "no reason": func(v url.Values) { v.Set("why", " ") }, "a reason of two lines": func(v url.Values) { v.Set("why", "a\n[[rules]]") },
		"a reason with a patient": func(v url.Values) { v.Set("why", "it is 536-22-8145") }, "for good": func(v url.Values) { v.Set("expires", "") },
		"for ever": func(v url.Values) { v.Set("expires", "2999-01-01") }, "until yesterday": func(v url.Values) { v.Set("expires", "2026-11-25") },
		"no words": func(v url.Values) { v.Set("kind", "words"); v.Set("words", ", ,") }, "words with a patient": func(v url.Values) { v.Set("kind", "words"); v.Set("words", "536-22-8145") },
		"no distance": func(v url.Values) { v.Set("kind", "words"); v.Set("near", "x\n[[rules]]") },
	} {
		form := proposing("value")
		change(form)
		if code, page, _ := olga.do(http.MethodPost, path, form); code != http.StatusBadRequest || !strings.Contains(page, "Nothing was proposed") {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// TestProposals: an admin other than who proposed accepts, once, what makes a
// version; or declines with a reason. Both are on record before they are done.
func TestProposals(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		s := newSiteWith(t, 1, func(_ *site, d *console.Deps) { d.AcceptOwn = own })
		s.add(t, "ana", console.Admin, false)
		s.add(t, "ben", console.Admin, false)
		s.add(t, "olga", console.Officer, false)
		ana, ben, olga := s.signedIn(t, "ana"), s.signedIn(t, "ben"), s.signedIn(t, "olga")
		store := rulefile.Open(s.dir)
		propose := func(v *visitor, kind string) string {
			t.Helper()
			form, path := proposing(kind), "/items/"+string(s.desk.held[0].ID)+"/notphi"
			_, page, _ := v.do(http.MethodPost, path, form)
			form.Set("do", "propose")
			form.Set("seen", seenOf.FindStringSubmatch(page)[1])
			_, _, to := v.do(http.MethodPost, path, form)
			return to
		}
		baseAt := func(v *visitor, at string) url.Values {
			t.Helper()
			_, page, _ := v.do(http.MethodGet, at, nil)
			m := baseOf.FindStringSubmatch(page)
			if m == nil {
				return url.Values{}
			}
			return url.Values{"base": {m[1]}}
		}
		first := propose(ana, "value")
		if code, _, _ := ana.do(http.MethodPost, first+"/accept", url.Values{"base": {rulefile.Digest("")}}); (code == http.StatusSeeOther) != own {
			t.Errorf("accepting one's own (%v): %d", own, code)
		}
		if own {
			continue
		}
		if code, page, _ := olga.do(http.MethodGet, first, nil); code != http.StatusOK || strings.Contains(page, "/accept") || strings.Contains(page, "/decline") {
			t.Errorf("what an officer sees of it: %d", code)
		}
		if code, page, _ := ben.do(http.MethodPost, first+"/replay", nil); code != http.StatusOK || !strings.Contains(page, "1 no longer held") {
			t.Errorf("replayed: %d", code)
		}
		form := baseAt(ben, first)
		if code, _, _ := ben.do(http.MethodPost, first+"/accept", url.Values{"base": {rulefile.Digest("another")}}); code != http.StatusConflict {
			t.Errorf("accepted over another's version: %d", code)
		}
		if code, _, to := ben.do(http.MethodPost, first+"/accept", form); code != http.StatusSeeOther || to != first {
			t.Errorf("accepted: %d to %q", code, to)
		}
		text, n, err := store.Current()
		v, verr := store.Version(n)
		if err != nil || verr != nil || !strings.HasPrefix(text, "schema = 1\n\n[[rules]]\nextends = \"us-ssn\"\n") || v.By != "user:ben" || v.Proposal != 1 || v.Note != `proposal 1 by ana: an "order" number` {
			t.Errorf("the version: %+v, %v, %v", v, err, verr)
		}
		if p, err := store.Proposal(1); err != nil || p.State != rulefile.Accepted || p.Version != n || p.Decider != "user:ben" {
			t.Errorf("then: %+v, %v", p, err)
		}
		if code, _, _ := ben.do(http.MethodPost, first+"/accept", baseAt(ben, first)); code != http.StatusConflict {
			t.Errorf("accepted twice: %d", code)
		}
		second := propose(olga, "words")
		if _, page, _ := ben.do(http.MethodGet, "/rules/proposals", nil); !strings.Contains(page, "1 waiting") || !strings.Contains(page, "accepted") {
			t.Error("the list does not say what waits")
		}
		for _, answer := range []string{"", "it is 536-22-8145"} {
			if code, _, _ := ben.do(http.MethodPost, second+"/decline", url.Values{"answer": {answer}}); code != http.StatusBadRequest {
				t.Errorf("declined for %q: %d", answer, code)
			}
		}
		if code, _, _ := ben.do(http.MethodPost, second+"/decline", url.Values{"answer": {"too wide <b>"}}); code != http.StatusSeeOther {
			t.Errorf("declined: %d", code)
		}
		if _, page, _ := olga.do(http.MethodGet, second, nil); !strings.Contains(page, "too wide &lt;b&gt;") {
			t.Error("who proposed it does not see why not")
		}
		taken := propose(olga, "words")
		if code, _, _ := ben.do(http.MethodPost, taken+"/withdraw", nil); code != http.StatusConflict {
			t.Errorf("withdrawn by another: %d", code)
		}
		if _, page, _ := ben.do(http.MethodGet, taken, nil); strings.Contains(page, "/withdraw") {
			t.Error("another is offered to withdraw it")
		}
		if _, page, _ := olga.do(http.MethodGet, taken, nil); !strings.Contains(page, "/withdraw") {
			t.Error("who made it is not offered to withdraw it")
		}
		if code, _, to := olga.do(http.MethodPost, taken+"/withdraw", nil); code != http.StatusSeeOther || to != taken {
			t.Errorf("withdrawn: %d to %q", code, to)
		}
		for _, do := range []string{"/withdraw", "/decline"} {
			if code, _, _ := ben.do(http.MethodPost, taken+do, url.Values{"answer": {"no"}}); code != http.StatusConflict {
				t.Errorf("then %s: %d", do, code)
			}
		}
		if p, err := store.Proposal(3); err != nil || p.State != rulefile.Withdrawn || p.Decider != "user:olga" {
			t.Errorf("then: %+v, %v", p, err)
		}
		var reasons []string
		for _, e := range s.ruleEvents() {
			reasons = append(reasons, e.Actor+" "+e.Reason+string(e.Result))
		}
		if got, want := strings.Join(reasons, ", "), "user:ana propose:1, user:ben accept:1, user:ben accept:1failed, user:ben accept:1, user:ben save:1, user:olga propose:2, user:ben decline:2, user:olga propose:3, user:olga withdraw:3"; got != want {
			t.Errorf("on record: %s\nwant %s", got, want)
		}
		third := propose(olga, "sender")
		s.desk.mu.Lock()
		s.desk.broken = fmt.Errorf("full")
		s.desk.mu.Unlock()
		for _, do := range []string{"/accept", "/decline"} {
			form := baseAt(ben, third)
			form.Set("answer", "no")
			ben.do(http.MethodPost, third+do, form)
			if p, err := store.Proposal(4); err != nil || p.State != rulefile.Waiting {
				t.Errorf("%s without a record: %+v, %v", do, p, err)
			}
		}
		if now, _, err := store.Current(); err != nil || now != text {
			t.Errorf("saved without a record: %q, %v", now, err)
		}
	}
}

// TestProposalAfterADeath: what was saved and not marked is not saved again, nor
// declined while it is in force.
func TestProposalAfterADeath(t *testing.T) {
	t.Parallel()
	for _, do := range []string{"accept", "decline"} {
		t.Run(do, func(t *testing.T) { proposalAfterADeath(t, do) })
	}
}

func proposalAfterADeath(t *testing.T, do string) {
	t.Helper()
	s := newSite(t, 1)
	s.add(t, "ana", console.Admin, false)
	store := rulefile.Open(s.dir)
	p := rulefile.Proposal{By: "user:olga", Why: "w", Kind: "value", Rule: "us-ssn", Item: s.desk.held[0].ID, Text: "# nothing\n"}
	n, err := store.Propose(p, func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	text := p.Joined("")
	if _, err := store.Save(rulefile.Digest(""), rulefile.Version{By: "user:ben", Text: text, Proposal: n}, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := s.signedIn(t, "ana").do(http.MethodPost, "/rules/proposals/1/"+do, url.Values{"base": {rulefile.Digest(text)}, "answer": {"too wide"}}); code != http.StatusSeeOther {
		t.Errorf("once more: %d", code)
	}
	if now, _, err := store.Current(); err != nil || now != text {
		t.Errorf("saved twice: %q, %v", now, err)
	}
	if p, err := store.Proposal(n); err != nil || p.State != rulefile.Accepted || p.Version != 1 || p.Decider != "user:ben" || p.Answer != "" {
		t.Errorf("then: %+v, %v", p, err)
	}
	for _, e := range s.ruleEvents() {
		if e.Kind == audit.RuleFile && strings.HasPrefix(e.Reason, "save") {
			t.Errorf("saved: %+v", e)
		}
	}
}

// TestProposalDecidedAtOnce: of three who decide about one proposal at the same time one
// decides, the others are told that somebody did, and the log has one decision.
func TestProposalDecidedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "ana", console.Admin, false)
	s.add(t, "ben", console.Admin, false)
	s.add(t, "olga", console.Officer, false)
	ends := []struct {
		v    *visitor
		do   string
		left string
	}{{s.signedIn(t, "ana"), "accept", rulefile.Accepted}, {s.signedIn(t, "ben"), "decline", rulefile.Declined}, {s.signedIn(t, "olga"), "withdraw", rulefile.Withdrawn}}
	store := rulefile.Open(s.dir)
	for n := 1; n <= 12; n++ {
		text, before, err := store.Current()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Propose(rulefile.Proposal{By: "user:olga", At: s.now(), Why: "w", Kind: "value", Rule: "us-ssn", Item: s.desk.held[0].ID, Text: fmt.Sprintf("# number %d\n", n)}, func(int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		codes, pages := make([]int, len(ends)), make([]string, len(ends))
		var wg sync.WaitGroup
		for i, e := range ends {
			wg.Go(func() {
				codes[i], pages[i], _ = e.v.do(http.MethodPost, fmt.Sprintf("/rules/proposals/%d/%s", n, e.do), url.Values{"base": {rulefile.Digest(text)}, "answer": {"too wide"}})
			})
		}
		wg.Wait()
		p, err := store.Proposal(n)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range ends {
			won := e.left == p.State
			if won != (codes[i] == http.StatusSeeOther) || !won && (codes[i] != http.StatusConflict || !strings.Contains(pages[i], "Somebody decided about it before")) {
				t.Errorf("proposal %d was %s; %s: %d", n, p.State, e.do, codes[i])
			}
		}
		if _, after, err := store.Current(); err != nil || (after != before) != (p.State == rulefile.Accepted) {
			t.Errorf("proposal %d was %s; version %d, then %d, %v", n, p.State, before, after, err)
		}
		recorded := 0
		for _, e := range s.ruleEvents() {
			if _, of, _ := strings.Cut(e.Reason, ":"); of == fmt.Sprint(n) && !strings.HasPrefix(e.Reason, "save") {
				recorded++
			}
		}
		if recorded != 1 {
			t.Errorf("proposal %d: %d decisions on record", n, recorded)
		}
	}
}

// TestProposalOfADeputy: who stands in for who proposed it counts as one with them.
func TestProposalOfADeputy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	for _, name := range []string{"ana", "ben", "cem"} {
		s.add(t, name, console.Admin, false)
	}
	ana := s.signedIn(t, "ana")
	if code, page, _ := ana.do(http.MethodPost, "/deputy/name", url.Values{"name": {"ben"}, "last": {"2026-11-28"}}); code != http.StatusSeeOther {
		t.Fatalf("naming a deputy: %d\n%s", code, page)
	}
	store := rulefile.Open(s.dir)
	if _, err := store.Propose(rulefile.Proposal{By: "user:ana", At: s.now(), Why: "w", Kind: "value", Rule: "us-ssn", Item: s.desk.held[0].ID, Text: "# nothing\n"}, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"base": {rulefile.Digest("")}}
	if code, _, _ := s.signedIn(t, "ben").do(http.MethodPost, "/rules/proposals/1/accept", form); code != http.StatusConflict {
		t.Errorf("accepted by the deputy: %d", code)
	}
	if code, _, _ := s.signedIn(t, "cem").do(http.MethodPost, "/rules/proposals/1/accept", form); code != http.StatusSeeOther {
		t.Errorf("accepted by another: %d", code)
	}
}
