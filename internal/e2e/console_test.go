package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

const reviewersPassword = "a long enough password"

// consoleMail is from an invented patient's clinic; what a page must not show
// before Reveal is listed in consoleSecrets.
const consoleMail = "From: \"Zinnia <script>document.title='name'</script>\" <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\n" +
	"Subject: Quillfeather <img src=x onerror=document.title='subject'>\r\nMessage-ID: <console-1@clinic.example>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
	"Her name is Wilhelmina Quillfeather; her social security number is 536-22-8145. </pre><script>document.title='text'</script>\r\n" +
	"--b\r\nContent-Type: text/x-\"><img src=x onerror=document.title='mime'>; name=\"Quillfeather<b>.txt\"\r\nContent-Disposition: attachment; filename=\"Quillfeather<script>.txt\"\r\n\r\n" +
	"SSN 536-22-8146\r\n--b--\r\n"

var consoleSecrets = []string{"Quillfeather", "Wilhelmina", "536-22", "Zinnia"}

var firstPassword = regexp.MustCompile(`sign in as admin; the password is in (\S+)`)

// withConsole starts a gateway with a console and returns its URL.
func withConsole(t *testing.T) (g *gateway, url string) {
	t.Helper()
	addr := freeAddr(t)
	g = newGateway(t, options{extra: fmt.Sprintf("\n[console]\nlisten = %q\n", addr)})
	g.start()
	return g, "http://" + addr
}

// signIn signs in as the account of the first start and sets its password.
func signIn(t *testing.T, g *gateway, b *webtest.Browser, url string) {
	t.Helper()
	signInFirst(t, g, b, url)
	b.Do(chromedp.WaitVisible(".masthead"))
}

// signInFirst is signIn to whatever page comes then.
func signInFirst(t *testing.T, g *gateway, b *webtest.Browser, url string) {
	t.Helper()
	m := firstPassword.FindStringSubmatch(g.printed())
	if m == nil {
		t.Fatalf("serve did not say where the first password is:\n%s", g.printed())
	}
	kept, err := os.ReadFile(m[1])
	if err != nil {
		t.Fatal(err)
	}
	first := strings.TrimSpace(string(kept))
	if strings.Contains(g.printed(), first) {
		t.Error("serve printed the first password, though to no terminal")
	}
	b.Open(url)
	typeIn(b, "#name", "admin")
	typeIn(b, "#password", first+kb.Enter)
	b.Do(chromedp.WaitVisible("#old"))
	typeIn(b, "#old", first)
	typeIn(b, "#new", reviewersPassword)
	typeIn(b, "#again", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitNotPresent("#again"))
	if _, err := os.Stat(m[1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first password is still kept: %v", err)
	}
}

func typeIn(b *webtest.Browser, where, text string) {
	b.Do(chromedp.WaitVisible(where), chromedp.SendKeys(where, text))
}

// discreet fails where the page holds what is behind Reveal, or where something of
// a mail ran.
func discreet(t *testing.T, b *webtest.Browser) {
	t.Helper()
	page := webtest.Eval[string](b, `document.documentElement.outerHTML + location.href + document.title`)
	for _, s := range consoleSecrets { // nor has anything of a mail run
		if strings.Contains(page, s) {
			t.Errorf("%s holds %q before Reveal", webtest.Eval[string](b, `location.pathname`), s)
		}
	}
}

// narrow fails where the page is wider than a phone of 390 pixels.
func narrow(t *testing.T, b *webtest.Browser) {
	t.Helper()
	b.Do(chromedp.EmulateViewport(390, 844))
	if w := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); w > 390 {
		t.Errorf("%s is %v pixels wide on a phone of 390", webtest.Eval[string](b, `location.pathname`), w)
	}
	b.Do(chromedp.EmulateViewport(1280, 900))
}

func TestConsole(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	g, url := withConsole(t)
	signIn(t, g, b, url)
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	b.Open(url + "/queue?type=SSN&confidence=high")
	b.Do(chromedp.Click(".rail .more > summary"))
	b.Submit(chromedp.SendKeys("#to", "partner.example"+kb.Enter))
	if at := webtest.Eval[string](b, `location.href`); strings.Contains(at, "partner") || !strings.Contains(at, "type=SSN") {
		t.Errorf("a search stands in %s", at)
	}
	discreet(t, b)
	narrow(t, b)
	b.Do(chromedp.Click(".holds .what a"), chromedp.WaitVisible(".finding"))
	discreet(t, b)
	narrow(t, b)
	if title := webtest.Eval[string](b, `document.title`); !strings.HasPrefix(title, "Item ") {
		t.Errorf("something of the mail ran: title %q", title)
	}
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "***-**-8145") || !strings.Contains(text, "social security") {
		t.Errorf("the item shows no masked finding beside its words:\n%s", text)
	}
	// The part with the text, revealed with a reason.
	b.Do(chromedp.Click(`//section[.//span[@class="masked"]]//summary`))
	b.Do(chromedp.SetValue(`details[open] select`, "to_decide"), chromedp.Click(`details[open] button`), chromedp.WaitVisible(".revealed"))
	if text := webtest.Eval[string](b, `document.querySelector(".revealed").innerText`); !strings.Contains(text, "536-22-8145") {
		t.Errorf("the revealed part lacks its text: %q", text)
	}
	if title := webtest.Eval[string](b, `document.title`); !strings.HasPrefix(title, "Revealed part") {
		t.Errorf("something of the mail ran: title %q", title)
	}
	if got := webtest.Eval[string](b, `document.querySelector("mark").innerText`); got != "536-22-8145" {
		t.Errorf("marked %q, want the number", got)
	}
	b.Do(chromedp.Click(`[data-key="Escape"]`), chromedp.WaitVisible("#do-release"))
	b.Submit(chromedp.Click("#do-release"), chromedp.SetValue("#code", "payment"), chromedp.SendKeys("#words", "agreed by telephone"), chromedp.Click(".decide .btn-main"))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	eventually(t, "the released mail is in the maildir", func() bool {
		for _, m := range g.delivered() {
			if strings.HasSuffix(m, consoleMail) {
				return true
			}
		}
		return false
	})
	byKeys(t, g, b, url)
	log := g.must("audit", "export")
	if strings.Contains(log, `"masked"`) {
		t.Error("the item's page read the content again")
	}
	for _, want := range []string{`"reveal:to_decide"`, `"user:admin"`, `"kind":"review"`, `"payment"`, `"kind":"login"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	for _, s := range append(consoleSecrets, "agreed by telephone", reviewersPassword) {
		if strings.Contains(log+g.logged(), s) {
			t.Errorf("a log holds %q", s)
		}
	}
	g.must("audit", "verify")
	g.stop()
}

// byKeys holds another mail and rejects it by the keyboard alone.
func byKeys(t *testing.T, g *gateway, b *webtest.Browser, url string) {
	t.Helper()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	b.Open(url + "/queue")
	b.Do(chromedp.WaitVisible(".holds"))
	if said := webtest.Eval[string](b, `document.querySelector("[data-key-row]").innerText.replace(/\s+/g, " ")`); !strings.HasPrefix(said, "j k move Enter open x select c claim") {
		t.Errorf("under the queue stand the keys %q", said)
	}
	if off := webtest.Eval[float64](b, `(() => { const mid = (el) => { const r = el.getBoundingClientRect(); return r.top + r.height / 2 }; return Math.abs(mid(document.querySelector("[data-claim]")) - mid(document.querySelector(".holds .what a"))) })()`); off > 3 {
		t.Errorf("Claim stands %v pixels off the line it is about", off)
	}
	b.Submit(chromedp.KeyEvent("j"), chromedp.KeyEvent("c"))
	b.Do(chromedp.WaitVisible(`tr[aria-current="true"] [formaction*="/unclaim"]`))
	b.Do(chromedp.KeyEvent(kb.Enter))
	b.Do(chromedp.WaitVisible("#do-reject"))
	eventually(t, "the item's page has come, and its script", func() bool {
		return webtest.Eval[bool](b, `document.readyState === "complete" && document.querySelector("#do-reject") !== null`)
	})
	b.Do(chromedp.KeyEvent("]"), chromedp.KeyEvent("]"), chromedp.KeyEvent("["))
	if first := webtest.Eval[bool](b, `document.activeElement === document.querySelector("[data-part]") && document.activeElement.querySelector(".finding") !== null`); !first {
		t.Errorf("] twice and [ left the page at %q, want the first part in which something was found", webtest.Eval[string](b, `document.activeElement.id`))
	}
	if said := webtest.Eval[string](b, `document.querySelector(".trail").innerText.replace(/\s+/g, " ")`); !strings.Contains(said, "held by the policy") || !strings.Contains(said, "admin claimed it") || !strings.Contains(said, "admin opened it") {
		t.Errorf("the history says %q", said)
	}
	b.Do(chromedp.KeyEvent("v"), chromedp.WaitVisible("details.reveal[open] select"), chromedp.KeyEvent(kb.Escape))
	if at := webtest.Eval[string](b, `document.querySelectorAll("details.reveal[open]").length + " " + document.activeElement.tagName`); at != "0 SUMMARY" {
		t.Errorf("Escape left Reveal at %q, want it closed and its button under the hand", at)
	}
	// Who speaks to the browser can do without keys, and have them again.
	b.Do(chromedp.KeyEvent("?"), chromedp.WaitVisible("#keys-off"), chromedp.Click("#keys-off"), chromedp.Click("#keys button"), chromedp.WaitNotVisible("#keys"), chromedp.KeyEvent("d"))
	if webtest.Eval[bool](b, `document.querySelector("#do-reject").checked`) {
		t.Error("d chose Reject though keys were switched off")
	}
	b.Do(chromedp.Click("[data-keys]"), chromedp.WaitVisible("#keys-off"), chromedp.Click("#keys-off"), chromedp.Click("#keys button"), chromedp.WaitNotVisible("#keys"))
	b.Do(chromedp.KeyEvent("d"))
	if at := webtest.Eval[string](b, `document.querySelector("#do-reject").checked + " " + document.activeElement.id`); at != "true code" {
		t.Fatalf("d left the page at %q, want Reject chosen and its reason under the hand", at)
	}
	b.Do(chromedp.KeyEvent(strings.Repeat(kb.ArrowDown, 4)), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	if at := webtest.Eval[string](b, `document.querySelector("#code").value + " " + document.activeElement.innerText`); at != "not_phi Decide" {
		t.Fatalf("the reason typed and two steps on: %q, want not_phi and the button", at)
	}
	b.Submit(chromedp.KeyEvent(kb.Enter))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	if left := g.held(); len(left) != 0 {
		t.Errorf("still held after Reject by keys: %+v", left)
	}
}

// TestPasswordPrinted: what `make run` starts with prints the password at the first
// start alone, and keeps it in no file.
func TestPasswordPrinted(t *testing.T) {
	t.Parallel()
	g, _ := withConsole(t)
	g.kill()
	if err := os.RemoveAll(filepath.Join(g.data(), "state", "console")); err != nil { // as before the first start
		t.Fatal(err)
	}
	g.program = filepath.Join(t.TempDir(), "serve")
	write(t, g.program, "#!/bin/sh\nexec "+stanch+" \"$@\" --print-password\n", 0o755)
	printed := regexp.MustCompile(`sign in as admin, password \S+`)
	g.start()
	first := printed.FindAllString(g.printed(), -1)
	if len(first) != 1 {
		t.Fatalf("printed %d times:\n%s", len(first), g.printed())
	}
	if _, err := os.Stat(filepath.Join(g.data(), "state", "console", "first-password")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is in a file too: %v", err)
	}
	g.kill()
	g.start()
	if again := printed.FindAllString(g.printed(), -1); len(again) != 1 {
		t.Errorf("printed again at the next start:\n%s", g.printed())
	}
}

// TestConsoleTwoPeople: above the threshold two reviewers let a mail go, to some of
// its recipients, and nobody else gets it.
func TestConsoleTwoPeople(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	addr := freeAddr(t)
	g := newGateway(t, options{extra: fmt.Sprintf("\n[console]\nlisten = %q\n\n[review]\nsecond_severity = \"high\"\nexpires = \"5d\"\n", addr)})
	g.start()
	url := "http://" + addr
	signIn(t, g, b, url)
	if _, err := g.send("ada@clinic.example", []string{"sam@partner.example", "pat@partner.example"}, consoleMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	b.Open(url + "/items/" + id)
	b.Do(chromedp.WaitVisible("#do-release"))
	discreet(t, b)
	narrow(t, b)
	b.Submit(chromedp.KeyEvent("p"), chromedp.WaitVisible("#some"), chromedp.Click("#some"), chromedp.Click("#to-1"), chromedp.Click("#do-release"),
		chromedp.SetValue("#code", "payment"), chromedp.Click(".decide .btn-main"))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	if said := webtest.Eval[string](b, `document.querySelector('[role="status"]').innerText`); !strings.Contains(said, "first of two") {
		t.Errorf("after the first decision the page says %q", said)
	}
	released := func() (n int) {
		for _, m := range g.delivered() {
			if strings.HasSuffix(m, consoleMail) {
				n++
			}
		}
		return n
	}
	if released() != 0 || len(g.held()) != 1 {
		t.Fatal("one decision was enough")
	}
	// The second person works at the server.
	var to string
	for _, h := range g.held() {
		to = h.Recipients[1]
	}
	g.must("quarantine", "release", "--to", to, "--reason", "payment", "--reject-rest", id)
	eventually(t, "the released mail is in the maildir", func() bool { return released() == 1 })
	if left := g.held(); len(left) != 0 {
		t.Errorf("still held: %+v", left)
	}
	log := g.must("audit", "export")
	for _, want := range []string{`"kind":"propose"`, `"kind":"reject"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	g.must("audit", "verify")
	g.stop()
}
