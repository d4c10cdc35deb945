package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

var sentLink = regexp.MustCompile(`http://\S+/sent/\S+`)

// waits has a mail go to the pickup pages, and returns the link of its notice and
// that of its sender's.
func (s *senders) waits(name string) (opens, takesBack string) {
	s.t.Helper()
	went, told := len(s.to("bob@partner.example")), len(s.to("ada@clinic.example"))
	mail := "From: ada@clinic.example\r\nTo: bob@partner.example\r\nSubject: [secure] Labs of Mira Testcase\r\nMessage-ID: <" + name + "@clinic.example>\r\n\r\nThey are well.\r\n"
	if answer, err := s.send("ada@clinic.example", []string{"bob@partner.example"}, mail); err != nil {
		s.t.Fatalf("%q, %v", answer, err)
	}
	_, text := readable(s.t, s.next("bob@partner.example", went).text)
	notice := s.next("ada@clinic.example", told).text
	for _, never := range append([]string{"Labs of", "bob@", "partner", "They are"}, inClear...) {
		if strings.Contains(notice, never) {
			s.t.Errorf("the notice holds %q:\n%s", never, notice)
		}
	}
	_, said := readable(s.t, notice)
	opens, takesBack = pickupLink.FindString(text), sentLink.FindString(said)
	if opens == "" || takesBack == "" || !strings.Contains(said, "For one recipient") {
		s.t.Fatalf("no link in\n%s\nor\n%s", text, said)
	}
	return opens, takesBack
}

// status is what a link is answered with.
func (s *senders) status(method, link string) int {
	s.t.Helper()
	link, _, _ = strings.Cut(link, "#")
	r, err := http.NewRequestWithContext(s.t.Context(), method, link, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close() // not read
	return res.StatusCode
}

// TestSenderTakesBack: by the link of their notice a sender takes back, on a
// phone, what waits at the pickup pages, once; what scans links changes nothing;
// killed between the record and the act it waits and the link is good, killed
// after the act it is taken back.
func TestSenderTakesBack(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 390, 844)
	check := axe(t, b)
	s := newSenders(t)
	p := &pickupPages{gateway: s.gateway, hop: s.hop}
	s.start()
	opens, takesBack := s.waits("one")
	if status, _, _ := p.ask("POST", opens, "/code", "", "{}"); status != http.StatusOK {
		t.Fatalf("asked for a code: %d", status)
	}
	code := pickupCode.FindStringSubmatch(s.next("bob@partner.example", 1).text)
	if status, _, _ := p.ask("POST", opens, "/open", "", `{"code":"`+code[1]+`"}`); status != http.StatusOK {
		t.Fatalf("open: %d", status)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
		if got := s.status(method, takesBack); got != http.StatusOK {
			t.Errorf("%s: %d", method, got)
		}
	}
	if list := s.must("portal", "list"); !strings.Contains(list, "waiting") {
		t.Fatalf("taken back by being looked at:\n%s", list)
	}
	b.Open(takesBack)
	says(t, b, "Your message of")
	if text := webtest.Eval[string](b, "document.body.innerText"); !strings.Contains(text, "It has been opened.") || !strings.Contains(text, "one address at partner.example") {
		t.Errorf("the page says\n%s", text)
	}
	check("a message that waits")
	b.Do(chromedp.Click("button[type=submit]"))
	says(t, b, "It is taken back")
	check("taken back")
	if got := s.status(http.MethodGet, opens); got != http.StatusNotFound {
		t.Errorf("it opens still: %d", got)
	}
	b.Open(takesBack[:len(takesBack)-1] + "!")
	says(t, b, "This link is not good")

	form := url.Values{"do": {"take-back"}}
	for i, step := range []string{"end parcel", "committed"} {
		opens, takesBack := s.waits(step[:3])
		eventually(t, "the outbox is empty", func() bool { return strings.Contains(s.must("queue", "list"), "empty") })
		s.kill()
		s.start("STANCH_CRASH_AT=" + step)
		if res, err := http.PostForm(takesBack, form); err == nil {
			_ = res.Body.Close() // not read
			t.Fatalf("not killed at %s: %s", step, res.Status)
		}
		if !s.ended() {
			t.Fatal("serve lives on")
		}
		s.start()
		first, open := "Your message of", http.StatusOK
		if step == "committed" {
			first, open = "It is taken back", http.StatusNotFound
		}
		if page, got := s.page(takesBack, nil), s.status(http.MethodGet, opens); !strings.Contains(page, "<h1>"+first) || got != open {
			t.Errorf("killed at %s: it opens: %d, want %d; the page says\n%s", step, got, open, page)
		}
		for range 2 {
			if page := s.page(takesBack, form); !strings.Contains(page, "<h1>It is taken back") || !strings.Contains(page, "Nobody has opened it.") {
				t.Errorf("once more after %s: the page says\n%s", step, page)
			}
		}
		if n := strings.Count(s.must("portal", "list", "--all"), "revoked"); n != i+2 {
			t.Errorf("%d taken back, want %d", n, i+2)
		}
	}
	log := s.must("audit", "export")
	if n := strings.Count(log, `"actor":"sender","reason":"revoked"`); n != 4 { // one was killed after its record
		t.Errorf("%d records, want 4:\n%s", n, log)
	}
	s.must("audit", "verify")
	s.stop()
}
