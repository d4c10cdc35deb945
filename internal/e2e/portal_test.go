package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/webtest"
)

// pickupPages is a gateway with pickup pages, at url, and nothing else by which
// mail could go encrypted.
type pickupPages struct {
	*gateway
	url string
	hop *nextHop
}

func newPickupPages(t testing.TB, more string) *pickupPages {
	t.Helper()
	return newPickupPagesAt(t, "127.0.0.1", more)
}

// newPickupPagesAt is newPickupPages with links to a name of this machine.
func newPickupPagesAt(t testing.TB, host, more string) *pickupPages {
	t.Helper()
	addr, hop := freeAddr(t), newNextHop(t)
	_, port, _ := strings.Cut(addr, ":")
	url := "http://" + host + ":" + port
	g := newGateway(t, options{nextHop: hop.addr, extra: encryptMailPolicy + fmt.Sprintf(`
[portal]
listen = %q
url = "%s/"
site = "Harbor Vale Clinic"
contact = "555-0142"
%s`, addr, url, more)})
	return &pickupPages{g, url, hop}
}

const pickupFile = "not text: \x00\x01\xff, and the number 536-22-8145\n"

var pickupMail = "From: Dr =?utf-8?q?R=C3=A9i?= Nakata <ada@clinic.example>\r\nTo: bob@partner.example\r\nSubject: Labs of Mira Testcase\r\nMessage-ID: <p-1@clinic.example>\r\n" +
	"Date: Tue, 24 Nov 2026 08:20:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
	`<p>Her social security number is <b>536-22-8145</b>.</p><script>document.title="ran"</script><img src="http://127.0.0.1:9/beacon" onerror="document.title='ran'">` +
	"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"lipid panel.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	base64.StdEncoding.EncodeToString([]byte(pickupFile)) + "\r\n--b--\r\n"

// readable is the text of a message of one part.
func readable(t testing.TB, msg string) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	in := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		in = quotedprintable.NewReader(in)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, string(b)
}

var (
	pickupLink = regexp.MustCompile(`http://\S+/p/([a-z2-7]{26})#(\S{43})`)
	pickupCode = regexp.MustCompile(`Your code: ([0-9]{6})`)
)

// sends has one mail held for no other way, and returns the link of the notice.
func (p *pickupPages) sends(msg string) string {
	p.t.Helper()
	before := p.hop.count()
	if answer, err := p.send("ada@clinic.example", []string{"bob@partner.example"}, msg); err != nil {
		p.t.Fatalf("%q, %v", answer, err)
	}
	eventually(p.t, "the notice", func() bool { return p.hop.count() > before })
	return p.link(before)
}

func (p *pickupPages) link(n int) string {
	p.t.Helper()
	m := p.hop.messages()[n]
	if len(m.rcpts) != 1 || m.rcpts[0] != "bob@partner.example" {
		p.t.Fatalf("the notice went to %v", m.rcpts)
	}
	for _, never := range append([]string{"Labs of", "Nakata", "ada@", "lipid panel"}, inClear...) {
		if strings.Contains(m.text, never) {
			p.t.Errorf("the notice holds %q:\n%s", never, m.text)
		}
	}
	h, text := readable(p.t, m.text)
	if h.Get("Subject") != "A message for you from Harbor Vale Clinic" || !strings.Contains(text, "555-0142") {
		p.t.Errorf("the notice reads\n%s", m.text)
	}
	link := pickupLink.FindString(text)
	if link == "" {
		p.t.Fatalf("no link in\n%s", text)
	}
	return link
}

// code waits for the nth mail, and returns the code that it brings.
func (p *pickupPages) code(n int) string {
	p.t.Helper()
	eventually(p.t, "the code", func() bool { return p.hop.count() > n })
	_, text := readable(p.t, p.hop.messages()[n].text)
	m := pickupCode.FindStringSubmatch(text)
	if m == nil {
		p.t.Fatalf("no code in\n%s", text)
	}
	return m[1]
}

// wrong is a code that is not that one.
func wrong(code string) string {
	return string('0'+(code[0]-'0'+1)%10) + code[1:]
}

// ask is what the page's script asks of the server.
func (p *pickupPages) ask(method, link, what, token, body string) (status int, said map[string]any, raw []byte) {
	p.t.Helper()
	link, _, _ = strings.Cut(link, "#") // no browser sends more
	req, err := http.NewRequestWithContext(p.t.Context(), method, link+what, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if raw, err = io.ReadAll(res.Body); err != nil {
		p.t.Fatal(err)
	}
	_ = json.Unmarshal(raw, &said) // pages and contents are none
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		p.t.Errorf("policy of %s %s: %q", method, what, csp)
	}
	if res.Header.Get("Set-Cookie") != "" {
		p.t.Error("a cookie is set")
	}
	return res.StatusCode, said, raw
}

const visible = `[...document.querySelectorAll("main > section, main > form, main > article")].filter((x) => !x.hidden).map((x) => x.id).join()`

func (p *pickupPages) shows(b *webtest.Browser, want string) {
	p.t.Helper()
	eventually(p.t, "the page shows "+want, func() bool { return webtest.Eval[string](b, visible) == want })
}

// opens goes the recipient's whole way in a browser, with the code of the nth
// mail.
func (p *pickupPages) opens(b *webtest.Browser, link string, n int) {
	p.t.Helper()
	b.Open(link)
	p.shows(b, "ask")
	b.Do(chromedp.Click(chromedp.CSS("#send-mail")))
	code := p.code(n)
	p.shows(b, "code-form")
	b.Do(chromedp.SendKeys(chromedp.CSS("#code"), code), chromedp.Click(chromedp.CSS("#code-form button[type=submit]")))
	p.shows(b, "opened")
}

// byKeys presses Tab until what the selector names has the focus, and shows it; nothing
// is clicked.
func (p *pickupPages) byKeys(b *webtest.Browser, selector string) {
	p.t.Helper()
	for range 30 {
		if webtest.Eval[bool](b, `document.activeElement.matches("`+selector+`")`) {
			if !webtest.Eval[bool](b, `document.activeElement.matches(":focus-visible") && (s => s.outlineStyle != "none" || s.boxShadow != "none")(getComputedStyle(document.activeElement))`) {
				p.t.Errorf("nobody sees that %s has the focus", selector)
			}
			return
		}
		b.Do(chromedp.KeyEvent(kb.Tab))
	}
	p.t.Fatalf("no key leads to %s", selector)
}

// opensByKeys is opens by the keyboard alone.
func (p *pickupPages) opensByKeys(b *webtest.Browser, link string, n int) {
	p.t.Helper()
	b.Open(link)
	p.shows(b, "ask")
	p.byKeys(b, "#send-mail")
	b.Do(chromedp.KeyEvent(kb.Enter))
	code := p.code(n)
	p.shows(b, "code-form")
	p.byKeys(b, "#code")
	b.Do(chromedp.KeyEvent(code + kb.Enter))
	p.shows(b, "opened")
}

// TestPickup: who has no other way gets a notice, and by the keyboard alone opens text and
// attachment in a browser with the code of a second mail, and answers; nothing of the mail runs or loads
// there, and the answer goes to the sender.
func TestPickup(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "")
	b := webtest.Chromium(t, 390, 844)
	p.start()
	link := p.sends(pickupMail)
	p.opensByKeys(b, link, 1)
	for what, want := range map[string]string{"subject": "Labs of Mira Testcase", "from": "Dr Réi Nakata", "address": "ada@clinic.example",
		"body": "Her social security number is 536-22-8145.", "sent-to": "b•••••@p•••••.example"} {
		if got := webtest.Eval[string](b, `document.getElementById("`+what+`").textContent`); got != want {
			t.Errorf("%s = %q, want %q", what, got, want)
		}
	}
	if title := webtest.Eval[string](b, "document.title"); title != "A message for you · Harbor Vale Clinic" {
		t.Errorf("title %q: something of the mail ran", title)
	}
	if n := webtest.Eval[int](b, `performance.getEntriesByType("resource").filter((r) => !r.name.startsWith(location.origin) && !r.name.startsWith("blob:")).length`); n != 0 {
		t.Errorf("%d loads from elsewhere", n)
	}
	name := webtest.Eval[string](b, `document.querySelector("#file-list a").download`)
	dir := t.TempDir()
	b.SavesTo(dir)
	p.byKeys(b, "#file-list a")
	b.Do(chromedp.KeyEvent(kb.Enter))
	var saved []byte
	eventually(t, "it is saved", func() bool {
		saved, _ = os.ReadFile(filepath.Join(dir, "lipid panel.bin"))
		return len(saved) > 0
	})
	if name != "lipid panel.bin" || string(saved) != pickupFile {
		t.Errorf("saved %q: %q", name, saved)
	}
	if wide := webtest.Eval[bool](b, "document.documentElement.scrollWidth > innerWidth"); wide {
		t.Error("the page is wider than a telephone")
	}
	p.byKeys(b, "#text")
	b.Do(chromedp.KeyEvent("Thank you, the cramps are gone."))
	p.byKeys(b, "#reply button")
	b.Do(chromedp.KeyEvent(kb.Enter))
	eventually(t, "the reply", func() bool { return p.hop.count() == 3 })
	eventually(t, "it is said", func() bool {
		return strings.HasPrefix(webtest.Eval[string](b, `document.getElementById("reply-sent").textContent`), "Your reply is on its way")
	})
	re := p.hop.messages()[2]
	m, err := mail.ReadMessage(strings.NewReader(re.text))
	if err != nil {
		t.Fatal(err)
	}
	if re.rcpts[0] != "ada@clinic.example" || m.Header.Get("Reply-To") != "<bob@partner.example>" || m.Header.Get("In-Reply-To") != "<p-1@clinic.example>" ||
		m.Header.Get("Subject") != "Re: Labs of Mira Testcase" || !strings.Contains(inBase64(t, m), "the cramps are gone") {
		t.Errorf("the reply:\n%s", re.text)
	}
	list := p.must("portal", "list")
	if !strings.Contains(list, "waiting") || !strings.Contains(list, "opened 2") || !strings.Contains(list, "1 replies") {
		t.Errorf("portal list: %s", list)
	}
	export := p.must("audit", "export")
	for _, reason := range []string{"code_sent", "opened", "replied"} {
		if !strings.Contains(export, `"kind":"pickup"`) || !strings.Contains(export, `"reason":"`+reason+`"`) {
			t.Errorf("the audit log has no %s", reason)
		}
	}
	p.must("audit", "verify")
}

// inBase64 is the text of a message whose first part is in base64.
func inBase64(t testing.TB, m *mail.Message) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(b), "\r\n\r\n")
	part, _, _ = strings.Cut(part, "\r\n--"+params["boundary"])
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(part, "\r\n", ""))
	if err != nil {
		t.Fatalf("%v: %q", err, part)
	}
	return string(text)
}

// TestPickupRefuses: a program that looks at links uses up and sends nothing; a
// code is good once, in five tries; and what is unknown, taken back or over is
// answered with the same page.
func TestPickupRefuses(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "")
	p.start()
	link := p.sends(pickupMail)
	open := func(code string) (int, map[string]any) {
		status, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+code+`"}`)
		return status, said
	}
	for range 3 { // a scanner
		for _, what := range []string{"", "/code", "/open", "/content", "/reply"} {
			status, _, body := p.ask("GET", link, what, "", "")
			if (status == 200) != (what == "") || bytes.Contains(body, []byte("536-22-8145")) {
				t.Errorf("GET %q: %d", what, status)
			}
		}
	}
	if status, said := open("000000"); status != 403 || said["error"] != "none" {
		t.Errorf("a code before any was asked for: %d %v", status, said)
	}
	if status, said, _ := p.ask("POST", link, "/code", "", "{}"); status != 200 || said["to"] != "b•••••@p•••••.example" {
		t.Fatalf("asked for a code: %d %v", status, said)
	}
	code := p.code(1)
	for left := 4; left > 0; left-- {
		if status, said := open(wrong(code)); status != 403 || said["left"] != float64(left) {
			t.Errorf("a wrong code: %d %v, want %d left", status, said, left)
		}
	}
	if status, said := open(wrong(code)); status != 403 || said["error"] != "none" {
		t.Errorf("the fifth wrong code: %d %v", status, said)
	}
	if status, said := open(code); status != 403 || said["error"] != "none" {
		t.Errorf("the right code after five wrong ones: %d %v", status, said)
	}
	p.ask("POST", link, "/code", "", "{}")
	code = p.code(2)
	status, said := open(code)
	token, _ := said["token"].(string)
	if status != 200 || token == "" {
		t.Fatalf("the right code: %d %v", status, said)
	}
	if status, said := open(code); status != 403 || said["error"] != "none" {
		t.Errorf("a code once more: %d %v", status, said)
	}
	if status, _, _ := p.ask("GET", link, "/content", "", ""); status != 401 {
		t.Errorf("the content without a session: %d", status)
	}
	status, _, sealed := p.ask("GET", link, "/content", token, "")
	if status != 200 || bytes.Contains(sealed, []byte("Mira")) || bytes.Contains(sealed, []byte("536-22-8145")) {
		t.Errorf("the content: %d, %d bytes", status, len(sealed))
	}
	other := p.sends(strings.Replace(pickupMail, "p-1@", "p-2@", 1))
	if status, _, _ := p.ask("GET", other, "/content", token, ""); status != 401 {
		t.Errorf("the content of another message: %d", status)
	}
	for range 3 { // five in an hour, two were asked for
		if status, _, _ := p.ask("POST", link, "/code", "", "{}"); status != 200 {
			t.Errorf("asked for a code: %d", status)
		}
	}
	if status, said, _ := p.ask("POST", link, "/code", "", "{}"); status != 429 || said["error"] != "many" {
		t.Errorf("a sixth code in an hour: %d %v", status, said)
	}
	_, _, unknown := p.ask("GET", p.url+"/p/aaaaaaaaaaaaaaaaaaaaaaaaaa", "", "", "")
	id := pickupLink.FindStringSubmatch(link)[1]
	p.must("portal", "revoke", id)
	status, _, revoked := p.ask("GET", link, "", "", "")
	if status != 404 || !bytes.Equal(revoked, unknown) || !bytes.Contains(revoked, []byte("555-0142")) || bytes.Contains(revoked, []byte("partner")) {
		t.Errorf("a link that was taken back: %d\n%s", status, revoked)
	}
	if status, _, _ := p.ask("GET", link, "/content", token, ""); status != 404 {
		t.Errorf("the content of what was taken back: %d", status)
	}
	for _, what := range []string{"/code", "/open"} {
		if status, said, _ := p.ask("POST", link, what, "", "{}"); status != 404 || len(said) != 0 {
			t.Errorf("POST %s of what was taken back: %d %v", what, status, said)
		}
	}
	if out, code := p.cli("portal", "revoke", id); code != 2 {
		t.Errorf("taken back twice: %d %s", code, out)
	}
	export := p.must("audit", "export")
	for _, reason := range []string{"code_wrong", "revoked"} {
		if !strings.Contains(export, `"reason":"`+reason+`"`) {
			t.Errorf("the audit log has no %s", reason)
		}
	}
}

// pickedUp opens a message without a browser and returns what its browser would
// have: the content as it is sealed.
func (p *pickupPages) pickedUp(link string, n int) []byte {
	p.t.Helper()
	if status, said, _ := p.ask("POST", link, "/code", "", "{}"); status != 200 {
		p.t.Fatalf("asked for a code: %d %v", status, said)
	}
	status, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+p.code(n)+`"}`)
	if status != 200 {
		p.t.Fatalf("open: %d %v", status, said)
	}
	status, _, sealed := p.ask("GET", link, "/content", said["token"].(string), "")
	if status != 200 {
		p.t.Fatalf("content: %d", status)
	}
	return sealed
}

// unsealed opens what a browser was given, by the key of its link.
func unsealed(t testing.TB, link string, sealed []byte) (pickup.Content, string) {
	t.Helper()
	m := pickupLink.FindStringSubmatch(link)
	b, err := base64.RawURLEncoding.DecodeString(m[2])
	if err != nil || len(b) != len(pickup.Key{}) {
		t.Fatalf("key of %s: %v", link, err)
	}
	plain, err := pickup.Decrypt(sealed, pickup.Key(b), dlp.ID(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	c, files, err := pickup.Unpack(plain)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(files)
}

// TestPickupSurvivesKillAtEachStep: whatever moment the gateway dies at between
// judgement and delivery, there is one parcel, and the link of the notice opens
// it.
func TestPickupSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	large := pickupMail[:len(pickupMail)-len("--b--\r\n")] + "--b\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000) + "--b--\r\n"
	for i, tt := range []struct {
		step, msg string
		taken     bool // answered 250 before it died
		twice     bool // the next hop had the notice: the one duplicate that SMTP cannot avoid
	}{
		{step: "encrypt", msg: pickupMail},
		{step: "encrypted", msg: pickupMail},
		{step: "decision", msg: pickupMail},
		{step: "seal encrypted", msg: pickupMail},
		{step: "stage parcel", msg: pickupMail},
		{step: "put: create", msg: large},
		{step: "put: write", msg: large},
		{step: "put: name", msg: large},
		{step: "put: named", msg: large},
		{step: "commit", msg: pickupMail},
		{step: "commit: begin", msg: pickupMail},
		{step: "commit: sync", msg: pickupMail},
		{step: "commit: answer", msg: pickupMail},
		{step: "committed", msg: large},
		{step: "deliver", msg: pickupMail, taken: true},
		{step: "delivered", msg: pickupMail, taken: true, twice: true},
	} {
		t.Run(tt.step, func(t *testing.T) {
			eachSecond(t, i)
			p := newPickupPages(t, "")
			p.start("STANCH_CRASH_AT=" + tt.step)
			answer, stage, err := p.offer("ada@clinic.example", []string{"bob@partner.example"}, tt.msg)
			if stage == "quit" { // it has its answer: no mail server sends again
				err = nil
			}
			if !p.ended() {
				t.Fatalf("the step was never reached: answered %q, %v", answer, err)
			}
			if err == nil && !tt.taken {
				t.Fatalf("answered %q by a process that died before it", answer)
			}
			p.start()
			if err != nil { // as every mail server does
				if answer, err = p.send("ada@clinic.example", []string{"bob@partner.example"}, tt.msg); err != nil {
					t.Fatalf("second try: %q, %v", answer, err)
				}
			}
			eventually(t, "the outbox is empty", func() bool { return strings.Contains(p.must("queue", "list"), "empty") })
			n := p.hop.count()
			if n == 0 || n > 1 && !tt.twice || n > 2 {
				t.Fatalf("%d notices", n)
			}
			for i := range n {
				if got := p.link(i); got != p.link(0) {
					t.Errorf("notice %d has another link", i)
				}
			}
			if list := p.must("portal", "list", "--all"); strings.Count(list, "\n") != 1 {
				t.Errorf("parcels:\n%s", list)
			}
			c, files := unsealed(t, p.link(0), p.pickedUp(p.link(0), n))
			if c.Subject != "Labs of Mira Testcase" || !strings.HasPrefix(files, pickupFile) || !strings.Contains(c.Bodies[0].Text, "536-22-8145") {
				t.Errorf("opened: %+v, %.100q", c, files)
			}
			if n := len(p.held()); n != 0 {
				t.Errorf("%d held, want 0", n)
			}
			noneLeft(t, filepath.Join(p.data(), "tmp"))
			for _, f := range filesWith(t, p.data(), inClear...) {
				t.Error(f)
			}
			p.must("audit", "verify")
		})
	}
}

// TestPickupCanary: of what waits to be opened, and of an answer, nothing is on
// disk or on record in the clear, and once the notice has left nothing in the
// data folder holds the key.
func TestPickupCanary(t *testing.T) {
	t.Parallel()
	p := newPickupPages(t, "[buffer]\nmemory_each = \"64KiB\"\n[defaults]\non_gap = \"allow\"\n")
	temp := t.TempDir()
	p.start("TMPDIR=" + temp)
	msg := strings.Replace(canaryMail("labs"), "<zq-correspondent@partner.example>", "bob@partner.example", 1)
	msg = strings.Replace(msg, "--b\r\nContent-Type: application", strings.Repeat(canaryText, 20_000)+"--b\r\nContent-Type: application", 1)
	msg = strings.Replace(msg, "From: Zephyrine Quillfeather <quillfeather.zephyrine@clinic.example>", "From: ada@clinic.example", 1)
	link := p.sends(msg)
	look := func() {
		t.Helper()
		noCanaryOnDisk(t, p.gateway, temp)
		for what, text := range map[string]string{"the log": p.logged(), "standard output": p.printed(), "audit export": p.must("audit", "export")} {
			noCanary(t, what, text)
		}
	}
	look()
	if c, _ := unsealed(t, link, p.pickedUp(link, 1)); !strings.Contains(c.Subject, canary[0]) {
		t.Errorf("opened: %q", c.Subject)
	}
	p.ask("POST", link, "/code", "", "{}")
	_, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+p.code(2)+`"}`)
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, f := range [][2]string{{"subject", "Re: " + canary[0]}, {"text", strings.Repeat(canaryText, 2000)}} {
		if err := form.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.Split(link, "#")[0]+"/reply", &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+said["token"].(string))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the reply: %d", res.StatusCode)
	}
	eventually(t, "the reply", func() bool { return p.hop.count() == 4 })
	look()
	p.stop()
	key := pickupLink.FindStringSubmatch(link)[2]
	for _, f := range filesWith(t, p.data(), key) {
		t.Errorf("the key of the link: %s", f)
	}
}
