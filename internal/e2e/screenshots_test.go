package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// pictures writes what pages look like into a folder.
type pictures struct {
	t     *testing.T
	b     *webtest.Browser
	dir   string
	share string // the watched folder's path
}

// of takes the page that is open, on a desk and, where phone says so, on a telephone.
func (p *pictures) of(name string, phone bool) {
	p.t.Helper()
	sizes := map[string][2]int64{"": {1280, 900}}
	if phone {
		sizes["-phone"] = [2]int64{390, 844}
	}
	if p.share != "" { // it is of this run
		webtest.Eval[bool](p.b, fmt.Sprintf(`(() => { const w = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); while (w.nextNode()) w.currentNode.data = w.currentNode.data.replace(%q, "/srv/share"); return true })()`, p.share))
	}
	for kind, size := range sizes {
		p.b.Do(chromedp.EmulateViewport(size[0], size[1]))
		picture := webtest.Get(p.b, chromedp.Action[[]byte](func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
			r, err := cdp.Call(ctx, t, cdpage.CaptureScreenshot, cdpage.CaptureScreenshotParams{Format: cdpage.CaptureScreenshotFormatWebp, Quality: ptr[int64](80)})
			if err != nil {
				return nil, err
			}
			return r.Data, nil
		}))
		if err := os.WriteFile(filepath.Join(p.dir, name+kind+".webp"), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	p.b.Do(chromedp.EmulateViewport(1280, 900))
}

func ptr[T any](v T) *T { return &v }

// TestScreenshots writes a picture of each page of the console, of the sender's pages
// and of the recipient's into the folder that STANCH_SCREENSHOTS names. All people on
// them are invented.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("STANCH_SCREENSHOTS")
	if dir == "" {
		t.Skip("make screenshots writes the pictures")
	}
	p := &pictures{t: t, b: webtest.Chromium(t, 1280, 900), dir: dir}
	p.console()
	p.sender()
	p.recipient()
}

// console takes the pages of the reviewer's desk.
func (p *pictures) console() {
	t, b := p.t, p.b
	port := strings.TrimPrefix(freeAddr(t), "127.0.0.1:")
	url := "http://localhost:" + port
	hop, pages := newNextHop(t), freeAddr(t)
	g := newGateway(t, options{nextHop: hop.addr, extra: fmt.Sprintf("\n[portal]\nlisten = %q\nurl = \"http://%s/\"\nsite = \"Harbor Vale Clinic\"\ncontact = \"555-0142\"\n", pages, pages) + fmt.Sprintf("\n[console]\nlisten = \"127.0.0.1:%s\"\nurl = %q\naccept_own = true\n"+
		"\n[[policies]]\nid = \"ssn-out\"\nwhere = { recipients = \"external\" }\nany = [{ type = \"SSN\" }]\naction = \"quarantine\"\n"+
		"\n[[policies]]\nid = \"cards-out\"\nmode = \"rollout\"\nwhere = { recipients = \"external\" }\nany = [{ type = \"CREDIT_CARD\" }]\naction = \"quarantine\"\n", port, url)})
	p.share = g.share
	g.start()
	b.Open(url + "/signin")
	p.of("console-signin", true)
	signIn(t, g, b, url)
	for i, m := range []struct{ from, to, text string }{
		{"ada", "sam@partner.example", "Subject: Referral\r\n\r\nPlease see Jonas Example on Monday. His social security number is 536-22-8145, date of birth 03/04/1961, diagnosis E11.9."},
		{"ben", "claims@payer.example", "Subject: Claim\r\n\r\nMember Mira Testcase, SSN 536-22-8146, MRN 00482913. The claim is attached.\r\n"},
		{"cleo", "lab@partner.example", "Subject: Labs\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThe list of today.\r\n--b\r\n" +
			"Content-Type: text/csv; name=today.csv\r\nContent-Disposition: attachment; filename=today.csv\r\n\r\nMRN,Name,SSN,Diagnosis\r\n00482913,Mira Testcase,536-22-8147,E11.9\r\n00482914,Otto Sample,536-22-8148,I10\r\n00482915,Ida Pattern,536-22-8149,J45.909\r\n--b--\r\n"},
		{"ada", "sam@partner.example", "Subject: Once more\r\n\r\nJonas Example again, social security number 536-22-8145.\r\n"},
		{"dov", "travel@agency.example", "Subject: Card\r\n\r\nThe card for the trip is 4111 1111 1111 1111, Visa, expires 12/28.\r\n"},
	} {
		mail := fmt.Sprintf("From: %s@clinic.example\r\nTo: %s\r\nMessage-ID: <shot-%d@clinic.example>\r\n%s", m.from, m.to, i, m.text)
		if _, err := g.send(m.from+"@clinic.example", []string{m.to}, mail); err != nil {
			t.Fatal(err)
		}
	}
	asked := "From: ada@clinic.example\r\nTo: pat@home.example\r\nMessage-ID: <shot-p@clinic.example>\r\nSubject: [secure] Your appointment\r\n\r\nSee you on Monday.\r\n"
	if _, err := g.send("ada@clinic.example", []string{"pat@home.example"}, asked); err != nil {
		t.Fatal(err)
	}
	items := g.held()
	if len(items) < 4 {
		t.Fatalf("%d are held, want 4", len(items))
	}
	see := func(path, name string, phone bool) {
		t.Helper()
		b.Open(url + path)
		p.of("console-"+name, phone)
	}
	see("/queue", "queue", true)
	see("/pickups", "pickups", false)
	list := "/items/" + items[1].ID
	see(list, "items-one", true)
	b.Do(chromedp.Click(`.finding a`), chromedp.WaitVisible("#why"))
	typeIn(b, "#why", "the number of an order")
	b.Do(chromedp.Click(`button[value="look"]`), chromedp.WaitVisible(`button[value="propose"]`))
	p.of("console-items-one-notphi", false)
	b.Submit(chromedp.Click(`button[value="propose"]`))
	see("/rules/proposals", "rules-proposals", false)
	see("/rules/proposals/1", "rules-proposals-one", false)
	b.Submit(chromedp.Click(`form[action$="/accept"] button`))
	see("/rules/history", "rules-history", false)
	see("/rules/history/1", "rules-history-one", false)
	see("/rules", "rules", false)
	see("/rules/of/us-ssn", "rules-of-one", false)
	see("/rules/edit", "rules-edit", false)
	b.Open(url + "/rules/try")
	b.Do(chromedp.WaitVisible("#text"), chromedp.SetValue("#text", "Jonas Example, social security number 536-22-8145, call 937-555-0142."), chromedp.SendKeys("#text", " "))
	b.Submit(chromedp.Click(`form[action="/rules/try"] button[type="submit"]`))
	p.of("console-rules-try", false)
	g.must("quarantine", "release", items[2].ID, "--reason", "payment")
	g.must("quarantine", "reject", items[0].ID, "--reason", "not_phi")
	b.Open(url + "/rollout")
	b.Submit(chromedp.WaitVisible(`select[name="days"]`), chromedp.Click(`button[value="watch"]`))
	p.of("console-rollout", false)
	g.must("drill", "start", "Privacy office, spring", "--for-whom", "officers", "--from", "ward3@clinic.example,billing@clinic.example", "--to", "records@partner.example")
	eventually(t, "the drill is held", func() bool { return len(g.held()) == len(items) })
	g.must("quarantine", "reject", g.held()[0].ID, "--reason", "other")
	see("/drills", "drills", false)
	b.Do(chromedp.Click(`main table a`), chromedp.WaitVisible("#who"))
	p.of("console-drills-one", false)
	b.Open(url + "/dossiers?item=" + items[2].ID)
	p.of("console-dossiers", false)
	typeIn(b, "#title", "A list that went to the wrong laboratory"+kb.Enter)
	b.Do(chromedp.WaitVisible("#conclusion"))
	p.of("console-dossiers-one", false)
	see("/dashboard", "dashboard", true)
	see("/report", "report", false)
	see("/audit", "audit", false)
	see("/audit/proof?event=3", "audit-proof", false)
	see("/accounts", "accounts", false)
	see("/deputy", "deputy", false)
	see("/password", "password", false)
	see("/passkeys", "passkeys", false)
	see("/key", "key", false)
	see("/keys", "keys", false)
	see("/second", "second", false)
	typeIn(b, "#old", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible("#secret"))
	used := codeOf(t, webtest.Eval[string](b, `document.querySelector("#secret").textContent`), "now")
	b.Submit(chromedp.SetValue("#code", used), chromedp.SendKeys("#code", kb.Enter))
	b.Do(chromedp.Click(`form[action="/signout"] button`), chromedp.WaitVisible("#name"))
	typeIn(b, "#name", "admin")
	typeIn(b, "#password", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible("#code"))
	p.of("console-code", false)
}

// sender takes what the sender of a held message is led to.
func (p *pictures) sender() {
	s := newSenders(p.t)
	s.start()
	link := s.holds(1)
	p.b.Open(link)
	p.of("sender", true)
	p.b.Do(chromedp.Click("#do-ask"), chromedp.SendKeys("#words", "The plan asks for it by noon."))
	p.b.Submit(chromedp.Click("button[type=submit]"))
	p.of("sender-done", true)
}

// recipient takes what a recipient sees who opens a message in a browser.
func (p *pictures) recipient() {
	w := newPickupPages(p.t, "")
	w.start()
	link := w.sends(pickupMail)
	p.b.Open(link)
	w.shows(p.b, "ask")
	p.of("recipient-ask", true)
	p.b.Do(chromedp.Click(chromedp.CSS("#send-mail")))
	code := w.code(1)
	w.shows(p.b, "code-form")
	p.of("recipient-code", true)
	p.b.Do(chromedp.SetValue(chromedp.CSS("#code"), code), chromedp.Click(chromedp.CSS("#code-form button[type=submit]")))
	w.shows(p.b, "opened")
	p.of("recipient-message", true)
}
