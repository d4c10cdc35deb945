package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestPickupPageRefuses: what was altered where it is kept shows nothing of itself; a
// code that was used once does not open it again; and a page that is open when its
// message is taken back, or whose link is over, says that there is none.
func TestPickupPageRefuses(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "")
	p.program = withoutVDSO(t)
	b := webtest.Chromium(t, 390, 844)
	clock := p.startClocked()
	large := strings.Replace(pickupMail, "--b\r\nContent-Type: application", "--b\r\nContent-Type: text/plain\r\n\r\n"+strings.Repeat("Mira Testcase, 536-22-8145\r\n", 20_000)+"--b\r\nContent-Type: application", 1)
	link := p.sends(large)
	id := pickupLink.FindStringSubmatch(link)[1]
	kept, err := filepath.Glob(filepath.Join(p.data(), "pickup", "*", id+"*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept as %v, %v", kept, err)
	}
	good := read(t, kept[0])
	tries := func(code string) {
		t.Helper()
		p.shows(b, "code-form")
		b.Do(chromedp.SetValue(chromedp.CSS("#code"), code), chromedp.Click(chromedp.CSS("#code-form button[type=submit]")))
	}
	sends := func(n int) string {
		t.Helper()
		b.Open("about:blank")
		b.Open(link)
		p.shows(b, "ask")
		b.Do(chromedp.Click(chromedp.CSS("#send-mail")))
		return p.code(n)
	}
	for i, at := range []int{10, len(good) / 2, len(good) - 1} {
		altered := []byte(good)
		altered[at] ^= 1
		write(t, kept[0], string(altered), 0o600)
		tries(sends(1 + i))
		p.shows(b, "broken")
		if text := webtest.Eval[string](b, "document.documentElement.outerHTML"); strings.Contains(text, "Mira") || strings.Contains(text, "536-22") {
			t.Errorf("byte %d of %d altered: it shows %.200q", at, len(good), text)
		}
	}
	write(t, kept[0], good, 0o600)
	used := sends(4)
	tries(used)
	p.shows(b, "opened")

	code := sends(5)
	tries(used)
	eventually(t, "the code that was used is none", func() bool {
		return strings.HasPrefix(webtest.Eval[string](b, `document.getElementById("code-amiss").textContent`), "That code did not match.")
	})
	p.must("portal", "revoke", id)
	tries(code)
	p.shows(b, "gone")
	gone := func() string { return webtest.Eval[string](b, "document.body.textContent") }
	b.Open("about:blank")
	b.Open(link)
	if text := gone(); !strings.Contains(text, "This message cannot be opened") || !strings.Contains(text, "555-0142") {
		t.Errorf("taken back, it says %q", text)
	}

	link = p.sends(strings.Replace(pickupMail, "p-1@", "p-2@", 1))
	b.Open("about:blank")
	b.Open(link)
	p.shows(b, "ask")
	clock.by.Store(int64(15 * 24 * time.Hour))
	b.Do(chromedp.Click(chromedp.CSS("#send-mail")))
	p.shows(b, "gone")
	b.Open("about:blank")
	b.Open(link)
	if text := gone(); !strings.Contains(text, "This message cannot be opened") {
		t.Errorf("over, it says %q", text)
	}
}
