package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// chooseBy sends the form of a sender's page.
func chooseBy(t *testing.T, link, do string) {
	t.Helper()
	form := url.Values{"do": {do}, "words": {"the plan asks for it"}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK { // of the page to which it leads
		t.Fatalf("%s: %s", do, answer.Status)
	}
}

// drillByPages begins an officers' drill on the console's pages and decides about its
// item there.
func drillByPages(t *testing.T, s *senders, to string) {
	t.Helper()
	if out, err := s.withLine(reviewersPassword, "user", "add", "eve", "--role", "officer"); err != nil {
		t.Fatalf("user add: %v: %s", err, out)
	}
	b := webtest.Chromium(t, 1280, 900)
	signIn(t, s.gateway, b, s.console)
	b.Open(s.console + "/drills")
	b.Do(chromedp.SetValue("#name", "on the pages"), chromedp.SetValue("#senders", "ward5@clinic.example"), chromedp.SetValue("#to", to))
	b.Submit(chromedp.Click(`form[action="/drills"] button`))
	b.Do(chromedp.WaitVisible("#who"))
	page := webtest.Eval[string](b, "location.href")
	eventually(t, "an item of the drill", func() bool { return len(s.held()) == 1 })
	item := s.console + "/items/" + s.held()[0].ID
	b.Open(item)
	tells := func() bool {
		return strings.Contains(strings.ToLower(webtest.Eval[string](b, `document.documentElement.outerHTML`)), "drill")
	}
	if tells() {
		t.Error("the item's page tells of a drill before a decision")
	}
	b.Do(chromedp.Click(`//section[.//span[@class="masked"]]//summary`), chromedp.SetValue(`details[open] select`, "to_decide"))
	b.Submit(chromedp.Click(`details[open] button`))
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "Medicare beneficiary identifier") || strings.Contains(text, "invented") {
		t.Errorf("revealed:\n%s", text)
	}
	b.Open(item)
	b.Submit(chromedp.Click(`form[action$="/claim"] button`))
	b.Do(chromedp.Click(`#do-release`), chromedp.SetValue(`select[name="code"]`, "payment"))
	b.Submit(chromedp.Click(`form[action$="/decide"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	if !tells() {
		t.Error("who decided is not told that it was a drill")
	}
	b.Open(item)
	if !tells() {
		t.Error("the item's page does not tell afterwards")
	}
	b.Open(page)
	text := strings.Join(strings.Fields(webtest.Eval[string](b, `document.querySelector("main").innerText`)), " ")
	for _, want := range []string{"ward5@clinic.example decided admin opened", "admin claimed", "admin revealed", "admin would release payment", "any eve nothing"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// TestDrill: an officers' drill is held in the queue over a kill -9, and its release
// sends nothing; people of a senders' drill are told as of a mail of theirs, and
// choose; both reports say who did what, and no figure or decision of the log does.
func TestDrill(t *testing.T) {
	t.Parallel()
	s := newSenders(t)
	s.start()
	report := func(id string, want ...string) {
		t.Helper()
		var out string
		eventually(t, strings.Join(want, ", "), func() bool {
			out = s.must("drill", "show", id, "--format", "csv")
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(out, w) })
		})
	}
	const to = "records@partner.example"
	officers := strings.TrimSpace(s.must("drill", "start", "privacy office", "--for-whom", "officers", "--from", "ward3@clinic.example", "--to", to))
	eventually(t, "an item of the drill", func() bool { return len(s.held()) == 1 })
	s.kill()
	s.start()
	held := s.held()
	if len(held) != 1 || held[0].Sender != "ward3@clinic.example" || !slices.Contains(held[0].Rules, "us-ssn") {
		t.Fatalf("held %+v", held)
	}
	s.must("quarantine", "show", held[0].ID)
	s.must("quarantine", "release", held[0].ID)
	report(officers, ",decided,uid:", ",opened,", ",would_release,")
	var shown struct{ Silent []string }
	if err := json.Unmarshal([]byte(s.must("drill", "show", officers, "--format", "json")), &shown); err != nil || !slices.Equal(shown.Silent, []string{"user:admin"}) {
		t.Errorf("who did nothing about it: %q, %v", shown.Silent, err)
	}
	if left := s.held(); len(left) != 0 {
		t.Errorf("held %+v", left)
	}

	drillByPages(t, s, to)
	senders := strings.TrimSpace(s.must("drill", "start", "ward 3", "--for-whom", "senders", "--from", "sue@clinic.example,max@clinic.example", "--to", to, "--for", "8h"))
	for who, do := range map[string]string{"sue@clinic.example": "cancel", "max@clinic.example": "ask"} {
		_, text := readable(t, s.next(who, 0).text)
		link := senderLink.FindString(text)
		if link == "" || strings.Contains(strings.ToLower(text), "drill") || !strings.Contains(strings.Join(strings.Fields(text), " "), "a Social Security number") {
			t.Fatalf("a notice that is not as others are:\n%s", text)
		}
		chooseBy(t, link, do)
	}
	report(senders, "sue@clinic.example,decided,sue@clinic.example,chose_cancel,", "max@clinic.example,decided,max@clinic.example,chose_ask,")
	if len(s.held()) != 0 {
		t.Error("a drill of senders is in the officers' queue")
	}
	eventually(t, "all have ended", func() bool { return strings.Count(s.must("drill", "list"), "ended ") == 3 })
	if _, code := s.cli("drill", "stop", senders); code == 0 {
		t.Error("a drill that has ended is ended again")
	}
	s.stop()
	for _, m := range s.hop.messages() {
		if slices.Contains(m.rcpts, to) {
			t.Errorf("went to the recipient of a drill:\n%s", m.text)
		}
	}
	log := s.must("audit", "export")
	for _, want := range []string{`"kind":"drill","of":"` + officers + `","actor":"uid:`, `"reason":"start:officers"`, `"reason":"offer"`, `"reason":"would_release"`, `"reason":"tell"`, `"reason":"chose_ask"`, `"reason":"end"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	for _, never := range []string{`"kind":"release"`, `"kind":"ask"`, "ward3@", "ward5@", "privacy office", "records@"} {
		if strings.Contains(log, never) {
			t.Errorf("the audit log has %s", never)
		}
	}
}
