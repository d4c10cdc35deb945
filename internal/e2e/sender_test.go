package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// axeProgram is where .ci/deps puts axe-core.
const axeProgram = "/var/cache/stanch-tests/axe/node_modules/axe-core/axe.min.js"

// axe returns a check of the page that a browser shows, by axe-core: it finds
// no serious fault. The test is skipped where axe-core is not installed.
func axe(t *testing.T, b *webtest.Browser) func(what string) {
	t.Helper()
	program, err := os.ReadFile(axeProgram)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("axe-core is not installed: .ci/deps installs it")
		}
		t.Skip("axe-core is not installed: .ci/deps installs it")
	}
	return func(what string) {
		t.Helper()
		webtest.Eval[bool](b, string(program)+"; true")
		webtest.Eval[bool](b, `window.found = null, axe.run().then((r) => { window.found = r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => v.id + " " + v.nodes.map((n) => n.html).join()).join("; ") || "none" }), true`)
		eventually(t, "axe has looked", func() bool { return webtest.Eval[bool](b, "window.found !== null") })
		if found := webtest.Eval[string](b, "window.found"); found != "none" {
			t.Errorf("%s: %s", what, found)
		}
	}
}

const senderMayEncrypt = `
[[policies]]
id = "ssn"
where = { channels = ["mail"], recipients = "external" }
all = [{ type = "SSN" }]
action = "quarantine"
notify = ["sender"]
sender_may_encrypt = true
`

// senders is a gateway whose senders have links.
type senders struct {
	*gateway
	hop     *nextHop
	console string // URL
}

func newSenders(t *testing.T) *senders {
	t.Helper()
	pickup, held, console, hop := freeAddr(t), freeAddr(t), freeAddr(t), newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr, extra: senderMayEncrypt + fmt.Sprintf(`
[portal]
listen = %q
url = "http://%s/"
site = "Harbor Vale Clinic"
contact = "555-0142"
[sender]
listen = %q
url = "http://%s/"
site = "Harbor Vale Clinic"
contact = "555-0142"
[console]
listen = %q
[rules]
paths = ["coaching.toml"]
`, pickup, pickup, held, held, console)})
	write(t, filepath.Join(g.dir, "coaching.toml"), "schema = 1\n[[rules]]\nextends = \"us-ssn\"\ncoaching = \"Payers ask for the member number.\"\ncoaching_url = \"https://intranet.clinic.example/sending\"\n", 0o644)
	return &senders{g, hop, "http://" + console}
}

var senderLink = regexp.MustCompile(`http://\S+/held/\S+`)

// to are the mails at the hop for rcpt alone, in their order.
func (s *senders) to(rcpt string) (out []hopMail) {
	for _, m := range s.hop.messages() {
		if len(m.rcpts) == 1 && m.rcpts[0] == rcpt {
			out = append(out, m)
		}
	}
	return out
}

// next waits for the mail to rcpt that comes after so many others.
func (s *senders) next(rcpt string, before int) hopMail {
	s.t.Helper()
	eventually(s.t, "a mail to "+rcpt, func() bool { return len(s.to(rcpt)) > before })
	return s.to(rcpt)[before]
}

// holds has the console's hostile mail held, as the nth, and returns the link of
// its notice.
func (s *senders) holds(n int) string {
	s.t.Helper()
	before := len(s.to("ada@clinic.example"))
	if answer, err := s.send("ada@clinic.example", outside, strings.Replace(consoleMail, "<console-1@", fmt.Sprintf("<console-%d@", n), 1)); err != nil {
		s.t.Fatalf("%q, %v", answer, err)
	}
	m := s.next("ada@clinic.example", before)
	_, text := readable(s.t, m.text)
	for _, never := range append([]string{"sam@", "partner"}, consoleSecrets...) {
		if strings.Contains(m.text, never) {
			s.t.Errorf("the notice holds %q:\n%s", never, m.text)
		}
	}
	for _, want := range []string{"a Social Security number", "part 2", "sent encrypted instead", "Payers ask for the member number. https://intranet.clinic.example/sending"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			s.t.Errorf("the notice lacks %q:\n%s", want, text)
		}
	}
	link := senderLink.FindString(text)
	if link == "" {
		s.t.Fatalf("no link in\n%s", text)
	}
	return link
}

// says waits until the page's heading is want.
func says(t *testing.T, b *webtest.Browser, want string) {
	t.Helper()
	eventually(t, want, func() bool {
		return webtest.Eval[bool](b, fmt.Sprintf("document.readyState === 'complete' && document.querySelector('h1')?.textContent.startsWith(%q) === true", want))
	})
	if w := webtest.Eval[float64](b, `document.documentElement.scrollWidth`); w > 390 {
		t.Errorf("%q is %v pixels wide on a phone of 390", want, w)
	}
	discreet(t, b)
}

// TestSenderChooses: by the link of their notice a sender asks, cancels and has
// it go encrypted, each once, on a phone; what scans links changes nothing.
func TestSenderChooses(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 390, 844)
	check := axe(t, b)
	s := newSenders(t)
	s.start()
	asks, cancels, encrypts := s.holds(1), s.holds(2), s.holds(3)
	for _, link := range []string{asks, cancels, encrypts} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
			r, err := http.NewRequest(method, link, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", method, res, err)
			}
			_ = res.Body.Close() // not read
		}
	}
	if n := len(s.held()); n != 3 {
		t.Fatalf("%d held after links were looked at, want 3", n)
	}

	b.Open(asks)
	says(t, b, "Your message of")
	if !webtest.Eval[bool](b, `document.body.textContent.includes("Payers ask for the member number.") && document.querySelector('a[href="https://intranet.clinic.example/sending"]') !== null`) {
		t.Error("the page does not coach")
	}
	check("the choice")
	b.Do(chromedp.Click("#do-ask"), chromedp.Click("button[type=submit]"))
	eventually(t, "it says what is amiss", func() bool { return webtest.Eval[bool](b, `document.querySelector('[role="alert"]') !== null`) })
	says(t, b, "Your message of")
	check("something amiss")
	b.Do(chromedp.SendKeys("#words", "the plan asks <b>for</b> it"), chromedp.Click("button[type=submit]"))
	says(t, b, "You asked for its release")
	check("asked")

	b.Open(cancels) // by keys alone
	says(t, b, "Your message of")
	b.Do(chromedp.Focus("#do-ask"), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	says(t, b, "It is cancelled")

	told := len(s.to("ada@clinic.example"))
	b.Open(encrypts)
	says(t, b, "Your message of")
	b.Do(chromedp.Click("#do-encrypt"), chromedp.Click("button[type=submit]"))
	says(t, b, "It goes encrypted")
	m := s.next(outside[0], 0)
	if _, text := readable(t, m.text); !pickupLink.MatchString(text) {
		t.Errorf("to %v went\n%s", m.rcpts, m.text)
	}
	if sentLink.FindString(s.next("ada@clinic.example", told).text) == "" {
		t.Error("the sender is not told how to take it back")
	}
	for _, link := range []string{asks, cancels, encrypts} { // used up
		b.Open(link)
		if webtest.Eval[bool](b, `document.querySelector("form") !== null`) {
			t.Error("a link works twice")
		}
	}
	b.Open(cancels[:len(cancels)-1] + "!")
	says(t, b, "This link is not good")
	check("a link that is not good")

	b.Do(chromedp.EmulateViewport(1280, 900))
	signIn(t, s.gateway, b, s.console)
	b.Open(s.console + "/queue")
	if text := webtest.Eval[string](b, `document.querySelector(".holds").innerText`); !strings.Contains(text, "Asked for") {
		t.Errorf("the queue says\n%s", text)
	}
	b.Do(chromedp.Click(".holds .what a"), chromedp.WaitVisible("#ask"))
	if text := webtest.Eval[string](b, `document.querySelector("#ask").innerText`); !strings.Contains(text, "the plan asks <b>for</b> it") {
		t.Errorf("the item says\n%s", text)
	}
	check("an item that was asked for")
	s.choicesOnRecord()
	s.stop()
}

func (s *senders) choicesOnRecord() {
	s.t.Helper()
	log := s.must("audit", "export")
	for _, want := range []string{`"kind":"ask"`, `"actor":"sender","reason":"cancelled"`, `"kind":"release"`, `"actor":"sender","reason":"encrypted"`} {
		if !strings.Contains(log, want) {
			s.t.Errorf("the audit log lacks %s", want)
		}
	}
	for _, never := range append([]string{"the plan asks"}, consoleSecrets...) {
		if strings.Contains(log+s.logged(), never) {
			s.t.Errorf("a log holds %q", never)
		}
	}
	s.must("audit", "verify")
}

// TestSenderChoosesThroughKills: killed between the record and the act the
// message is held and the link is good; killed after the act it is used up.
func TestSenderChoosesThroughKills(t *testing.T) {
	t.Parallel()
	s := newSenders(t)
	s.start()
	n, encrypted := 0, 0
	for _, tt := range []struct{ what, says string }{{"ask", "You asked for its release"}, {"cancel", "It is cancelled"}, {"encrypt", "It goes encrypted"}} {
		for _, step := range []string{"choice", "committed"} {
			n++
			link := s.holds(n)
			s.must("audit", "verify")
			eventually(t, "that the notice went is on record", func() bool { return len(s.queue()) == 0 })
			s.kill()
			s.start("STANCH_CRASH_AT=" + step)
			form := url.Values{"do": {tt.what}, "words": {"the plan asks for it"}}
			if res, err := http.PostForm(link, form); err == nil {
				_ = res.Body.Close() // not read
				t.Fatalf("%s: not killed at %s: %s", tt.what, step, res.Status)
			}
			if !s.ended() {
				t.Fatal("serve lives on")
			}
			s.start()
			first := map[string]string{"choice": "Your message of", "committed": tt.says}[step]
			if page := s.page(link, nil); !strings.Contains(page, "<h1>"+first) {
				t.Errorf("%s, killed at %s: the page says\n%s", tt.what, step, page)
			}
			for range 2 {
				if page := s.page(link, form); !strings.Contains(page, "<h1>"+tt.says) {
					t.Errorf("%s once more after %s: the page says\n%s", tt.what, step, page)
				}
			}
			if tt.what == "encrypt" {
				encrypted++ // it goes, and its sender is told, before the next notice does, which is looked for by its place
				eventually(t, "it goes encrypted, once", func() bool { return s.hop.count() == n+2*encrypted })
			}
		}
	}
	if held := s.held(); len(held) != 2 {
		t.Errorf("%d held, want the two that were asked for", len(held))
	}
	s.choicesOnRecord()
	s.stop()
	if got := s.hop.count(); got != n+2*encrypted || len(s.to(outside[0])) != encrypted {
		t.Errorf("%d mails went, want %d notices, and %d with as many that say so", got, n, encrypted)
	}
}

// page returns what a link shows, after form was sent where there is one.
func (s *senders) page(link string, form url.Values) string {
	s.t.Helper()
	res, err := http.Get(link)
	if form != nil {
		_ = res.Body.Close() // not read
		res, err = http.PostForm(link, form)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
