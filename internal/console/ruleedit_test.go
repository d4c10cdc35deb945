package console_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/patterns"
)

// ruler loads drafts by the real rule language, without their tests.
type ruler struct {
	store *rulefile.Store
}

func (s *site) rules() console.RuleEditor { return ruler{rulefile.Open(s.dir)} }

func (r ruler) Check(ctx context.Context, text string) (out []console.RuleProblem, err error) {
	_, err = patterns.Load(ctx, patterns.Source{BuiltIn: true, Paths: []string{"site.toml"}, Instead: map[string]string{"site.toml": text}}, nil)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if e, ok := errors.AsType[*patterns.Error](e); ok {
				out = append(out, console.RuleProblem{Line: e.Line, Text: e.Key + ": " + e.Want})
			}
		}
	}
	return out, nil
}

func (r ruler) Save(ctx context.Context, base string, v rulefile.Version, between func(int) error) (int, []console.RuleProblem, error) {
	if wrong, err := r.Check(ctx, v.Text); err != nil || len(wrong) > 0 {
		return 0, wrong, err
	}
	n, err := r.store.Save(base, v, between)
	return n, nil, err
}

func (r ruler) Replay(ctx context.Context, text string, keys console.KeysOf, actor string) (gateway.Replayed, error) {
	if wrong, err := r.Check(ctx, text); err != nil || len(wrong) > 0 {
		return gateway.Replayed{}, errors.Join(err, &console.DraftError{Problems: wrong})
	}
	if strings.Contains(text, "# busy") {
		return gateway.Replayed{}, gateway.ErrReplaying
	}
	if strings.Contains(text, "# breaks") {
		return gateway.Replayed{}, errors.New("it read 536-22-8145")
	}
	return gateway.Replayed{Read: 7, Decided: 2, Same: 4, Locked: 1, Cut: true, Unread: 2,
		Parts: []gateway.ReplayUnread{{ID: "bbbbbbbbbbbbbbbbbbbbbbbbbb", State: "held", After: "allow", Parts: 3, Causes: []string{"encrypted"}, Typed: 1}, {State: gateway.StatePassed, After: "allow", Parts: 1, Causes: []string{"corrupt"}}}, Rules: []gateway.ReplayRule{{Rule: "us-ssn", Before: 5, After: 3}},
		Changes: []gateway.ReplayChange{{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", What: []string{gateway.NoMoreHeld, gateway.ContraRejected}, Before: "hold", After: "allow", Reason: actor,
			Findings: []gateway.ReplayFinding{{Rule: "us-ssn", Part: "1", Line: 3, Before: "high", Masked: "***-**-8145"}}}}}, nil
}

// TestRuleReplay: what a draft does otherwise is shown, and the draft stays in the page.
func TestRuleReplay(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "ana", console.Admin, false)
	s.add(t, "olga", console.Officer, false)
	ana := s.signedIn(t, "ana")
	replay := func(v *visitor, draft string) (int, string) {
		t.Helper()
		code, page, _ := v.do(http.MethodPost, "/rules/edit", url.Values{"do": {"replay"}, "draft": {draft}})
		return code, html.UnescapeString(page)
	}
	code, page := replay(ana, siteRules)
	for _, want := range []string{"0 newly held, 1 no longer held; 1 of reviewers' decisions contradicted", "/items/aaaaaaaaaaaaaaaaaaaaaaaaaa", "***-**-8145",
		"a reviewer rejected it, and it would pass", "high → not found", "1 cannot be opened by this server", "Older ones were not read", "BX000001", "Of <strong>2</strong> a part was not read", `<a href="/items/bbbbbbbbbbbbbbbbbbbbbbbbbb">`, "encrypted <span class=\"hint\">1 had been opened by a password"} {
		if code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%d, the page lacks %q", code, want)
		}
	}
	for _, c := range []struct{ draft, want string }{
		{siteRules + "colour = 1\n", "was not replayed"}, {siteRules + "# busy\n", "Another replay is under way"}, {siteRules + "# breaks\n", "could not be replayed"},
	} {
		if code, page := replay(ana, c.draft); code != http.StatusBadRequest || !strings.Contains(page, c.want) || strings.Contains(page, "536-22-8145") {
			t.Errorf("%d, want %q", code, c.want)
		}
	}
	if code, _ := replay(s.signedIn(t, "olga"), siteRules); code != http.StatusForbidden {
		t.Errorf("an officer: %d", code)
	}
}

var baseOf = regexp.MustCompile(`name="base" value="([0-9a-f]{64})"`)

// editor opens the editor and returns what a save from it says it was made from.
func (v *visitor) editor() string {
	v.t.Helper()
	_, page, _ := v.do(http.MethodGet, "/rules/edit", nil)
	m := baseOf.FindStringSubmatch(page)
	if m == nil {
		v.t.Fatalf("the editor has no base:\n%s", page)
	}
	return m[1]
}

// TestRuleEdit: a draft is in force once it is right, recorded and saved, and one
// admin overwrites no other's.
func TestRuleEdit(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "ana", console.Admin, false)
	s.add(t, "ben", console.Admin, false)
	ana, ben := s.signedIn(t, "ana"), s.signedIn(t, "ben")
	store := rulefile.Open(s.dir)
	now := func() string {
		t.Helper()
		text, _, err := store.Current()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first, bens := ana.editor(), ben.editor()
	wrong := siteRules + "colour = 1\n[[rules]]\nid = \"X Y\"\n</textarea><script>x</script>\n"
	save := func(v *visitor, base, draft, note string) (code int, page, to string) {
		t.Helper()
		return v.do(http.MethodPost, "/rules/edit", url.Values{"do": {"save"}, "base": {base}, "draft": {strings.ReplaceAll(draft, "\n", "\r\n")}, "note": {note}})
	}
	code, page, _ := save(ana, first, strings.Replace(siteRules, "proximity = 40", "nearness = 40", 1)+"colour = 1\n", "merger")
	if lines := strings.Count(page, `href="#line-`); code != http.StatusConflict || lines < 2 || !strings.Contains(page, "nearness") || now() != "" {
		t.Errorf("a draft with two mistakes: %d, %d lines told, in force %q", code, lines, now())
	}
	if code, page, _ := save(ana, first, wrong, "merger"); code != http.StatusConflict || strings.Contains(page, "<script>x") || !strings.Contains(page, "&lt;/textarea&gt;") {
		t.Errorf("a hostile draft: %d", code)
	}
	if code, page, _ := save(ana, first, siteRules, " "); code != http.StatusConflict || !strings.Contains(page, "say in a few words") || now() != "" {
		t.Errorf("a save without a note: %d, in force %q", code, now())
	}
	if len(s.ruleEvents()) != 0 {
		t.Errorf("on record though nothing was saved: %+v", s.ruleEvents())
	}
	if code, _, to := save(ana, first, siteRules, "merger <b>"); code != http.StatusSeeOther || to != "/rules/edit" || now() != siteRules {
		t.Fatalf("a right draft: %d, in force %q", code, now())
	}
	if _, page, _ := ana.do(http.MethodGet, "/rules/edit", nil); !strings.Contains(page, "Version 1 is in force") || !strings.Contains(page, "BX000001") {
		t.Error("the editor does not show what is in force")
	}
	second := siteRules + "# more\n"
	if code, page, _ := save(ben, bens, second, "mine"); code != http.StatusConflict || !strings.Contains(page, "somebody else saved") || !strings.Contains(html.UnescapeString(page), "# more") || now() != siteRules {
		t.Errorf("a save over another's: %d, in force %q", code, now())
	}
	save(ben, ben.editor(), second, "mine")
	if now() != second {
		t.Errorf("after reading the other's: %q", now())
	}
	_, page, _ = ana.do(http.MethodGet, "/rules/history", nil)
	if !strings.Contains(page, "merger &lt;b&gt;") || !strings.Contains(page, "ben") {
		t.Errorf("the history:\n%s", page)
	}
	_, page, _ = ana.do(http.MethodGet, "/rules/history/2", nil)
	if !strings.Contains(page, "<ins><span class=\"said\">new: </span># more</ins>") || !strings.Contains(page, "lines alike") {
		t.Errorf("the difference:\n%s", page)
	}
	if code, _, _ := ana.do(http.MethodPost, "/rules/history/1/back", url.Values{"base": {first}}); code != http.StatusConflict || now() != second {
		t.Errorf("going back from an older page: %d", code)
	}
	if code, _, _ := ana.do(http.MethodPost, "/rules/history/1/back", url.Values{"base": {ana.editor()}}); code != http.StatusSeeOther || now() != siteRules {
		t.Errorf("going back: %d, in force %q", code, now())
	}
	s.checkRuleEvents(t, second)
	s.desk.mu.Lock()
	s.desk.broken = os.ErrInvalid
	s.desk.mu.Unlock()
	if code, _, _ := save(ana, ana.editor(), second, "unrecorded"); code != http.StatusConflict || now() != siteRules {
		t.Errorf("a save without a record: %d, in force %q", code, now())
	}
}

func (s *site) ruleEvents() (out []audit.Event) {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	for _, e := range s.desk.events {
		if e.Kind == audit.RuleFile {
			out = append(out, e)
		}
	}
	return out
}

func (s *site) checkRuleEvents(t *testing.T, second string) {
	t.Helper()
	want := []audit.Event{
		{Kind: audit.RuleFile, Actor: "user:ana", Reason: "save:1", Digest: rulefile.Digest(siteRules)},
		{Kind: audit.RuleFile, Actor: "user:ben", Reason: "save:2", Digest: rulefile.Digest(second)},
		{Kind: audit.RuleFile, Actor: "user:ana", Reason: "back:3:1", Digest: rulefile.Digest(siteRules)},
	}
	got := s.ruleEvents()
	if len(got) != len(want) {
		t.Fatalf("events: %+v", got)
	}
	for i := range want {
		if g := got[i]; g.Actor != want[i].Actor || g.Reason != want[i].Reason || g.Digest != want[i].Digest || g.Result != "" {
			t.Errorf("event %d: %+v, want %+v", i, g, want[i])
		}
	}
}
