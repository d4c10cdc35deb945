package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestPickupHostileHTML: fields of a form that are named like what a script asks
// of a page, and a text of very many pieces, keep nobody from reading.
func TestPickupHostileHTML(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "")
	b := webtest.Chromium(t, 390, 844)
	p.start()
	head, _, _ := strings.Cut(pickupMail, "MIME-Version")
	names := ""
	for _, n := range []string{"tagName", "nodeName", "nodeType", "childNodes", "lastChild", "previousSibling", "textContent", "getAttribute"} {
		names += `<input name="` + n + `">`
	}
	p.opens(b, p.sends(head+"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<form>"+names+"<p>Her number is 536-22-8145.</p></form>\r\n"+
		strings.Repeat("<b>x</b> \r\n", 100_000)+`<a href="https://other.example/">here</a>`+"\r\n"), 1)
	text := webtest.Eval[string](b, `document.getElementById("body").textContent`)
	if !strings.HasPrefix(text, "Her number is 536-22-8145.") || strings.Count(text, "x ") < 100_000 || !strings.HasSuffix(text, "here <https://other.example/>") {
		t.Errorf("shown, %d bytes: %.60q ... %q", len(text), text, text[max(0, len(text)-60):])
	}
}

// TestPickupPagesAreAccessible runs axe-core on each thing that the page shows.
func TestPickupPagesAreAccessible(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "sms_command = [\"/bin/true\"]\n")
	b := webtest.Chromium(t, 390, 844)
	p.start()
	link := p.sends(pickupMail)
	looks := axe(t, b)
	check := func(what string) {
		t.Helper()
		looks(what)
		if wide := webtest.Eval[bool](b, "document.documentElement.scrollWidth > innerWidth"); wide {
			t.Errorf("%s is wider than a telephone", what)
		}
	}
	b.Open(link)
	p.shows(b, "ask")
	check("ask")
	b.Do(chromedp.Click(chromedp.CSS("#send-mail")))
	code := p.code(1)
	p.shows(b, "code-form")
	b.Do(chromedp.SendKeys(chromedp.CSS("#code"), wrong(code)), chromedp.Click(chromedp.CSS("#code-form button[type=submit]")))
	eventually(t, "it says so", func() bool {
		return webtest.Eval[string](b, `document.getElementById("code-amiss").textContent`) == "That code did not match. 4 tries are left."
	})
	check("a wrong code")
	b.Do(chromedp.SetValue(chromedp.CSS("#code"), code), chromedp.Click(chromedp.CSS("#code-form button[type=submit]")))
	p.shows(b, "opened")
	check("the message")
	b.Open(strings.Split(link, "#")[0])
	p.shows(b, "broken")
	check("a link without its key")
}
