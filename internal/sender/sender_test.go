package sender_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/sender"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// desk notes what is done by its one link, "good".
type desk struct {
	mail gateway.HeldMail
	sent gateway.SentMail
	did  []string
	err  error
}

func (d *desk) SendersMail(_ context.Context, token string) (gateway.HeldMail, error) {
	if token != "good" {
		return gateway.HeldMail{}, gateway.ErrNoChoice
	}
	return d.mail, nil
}

func (d *desk) do(what string) error {
	d.did = append(d.did, what)
	return d.err
}

func (d *desk) SenderCancels(context.Context, string) error  { return d.do("cancel") }
func (d *desk) SenderEncrypts(context.Context, string) error { return d.do("encrypt") }
func (d *desk) SenderAsks(_ context.Context, _, words string) error {
	return d.do("ask " + words)
}

func (d *desk) SendersSent(_ context.Context, token string) (gateway.SentMail, error) {
	if token != "good" {
		return gateway.SentMail{}, gateway.ErrNoChoice
	}
	return d.sent, nil
}

func (d *desk) SenderTakesBack(context.Context, string) error { return d.do("take back") }

func pages(t *testing.T) (*desk, http.Handler) {
	t.Helper()
	d := &desk{sent: gateway.SentMail{Sent: time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC), Until: time.Date(2026, 3, 15, 9, 12, 0, 0, time.UTC), Rcpts: 2, Waiting: 2,
		Opened: 1, Domains: []string{"partner.example"}}, mail: gateway.HeldMail{Received: time.Date(2026, 3, 1, 9, 12, 0, 0, time.UTC), Rules: []dlp.RuleID{"us-ssn"}, Rcpts: 2, Domains: []string{"partner.example"},
		Until: time.Date(2026, 3, 4, 9, 12, 0, 0, time.UTC), Encrypt: true,
		Coaching: []dlp.Coaching{{Text: "Use <b>member</b> numbers.", URL: "https://intranet.clinic.example/ssn?a=1&b=2"}, {Text: "Ask first."}}}}
	c := gateway.DefaultSender()
	c.Site, c.Contact, c.URL = "Harbor Vale <Clinic>", "555-0142", "https://held.example"
	h, err := sender.New(c, d, func([]dlp.RuleID) []dlp.Type { return []dlp.Type{"SSN"} }, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d, h
}

func ask(h http.Handler, method, path, site string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", site)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestLookingChangesNothing: whatever a scanner of links asks, a choice is a form
// that the page itself sends.
func TestLookingChangesNothing(t *testing.T) {
	d, h := pages(t)
	form := url.Values{"do": {"cancel"}}
	looks := []string{"/held/good", "/held/good?do=cancel", "/sent/good", "/sent/good?do=take-back"}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"} {
		for _, path := range []string{"/held/good", "/held/good?do=cancel", "/held/good/", "/held/bad", "/sent/good", "/sent/good?do=take-back", "/sent/good/", "/sent/bad", "/"} {
			w := ask(h, method, path, "none", form)
			if want := slices.Contains(looks, path); (w.Code == http.StatusOK) != want && (method == "GET" || method == "HEAD") {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	if w := ask(h, "POST", "/held/good", "cross-site", form); w.Code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", w.Code)
	}
	if w := ask(h, "POST", "/sent/good", "cross-site", url.Values{"do": {"take-back"}}); w.Code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", w.Code)
	}
	for _, path := range []string{"/held/bad", "/sent/bad"} {
		if w := ask(h, "POST", path, "same-origin", form); w.Code != http.StatusNotFound {
			t.Errorf("POST %s, a link that is not good: %d", path, w.Code)
		}
	}
	if len(d.did) != 0 {
		t.Fatalf("did %q", d.did)
	}
	w := ask(h, "GET", "/held/good", "none", nil)
	page := w.Body.String()
	for _, want := range []string{"1 March, 09:12 UTC", "a Social Security number", "2 addresses at partner.example", "Harbor Vale &lt;Clinic&gt;", `value="encrypt"`, "Use &lt;b&gt;member&lt;/b&gt; numbers.", "Ask first.", `<a href="https://intranet.clinic.example/ssn?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">More at intranet.clinic.example</a>`, `name="robots" content="noindex"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
}

func TestChoices(t *testing.T) {
	for _, tt := range []struct {
		name   string
		form   url.Values
		err    error
		status int
		did    string
		says   string
	}{
		{"cancel", url.Values{"do": {"cancel"}}, nil, 303, "cancel", ""},
		{"encrypt", url.Values{"do": {"encrypt"}}, nil, 303, "encrypt", ""},
		{"ask", url.Values{"do": {"ask"}, "words": {" the plan\r\nasks "}}, nil, 303, "ask the plan\nasks", ""},
		{"ask without a word", url.Values{"do": {"ask"}, "words": {" \r\n"}}, nil, 400, "", "say why it needs to go"},
		{"ask with too many", url.Values{"do": {"ask"}, "words": {strings.Repeat("x", vault.MaxAsk+1)}}, nil, 400, "", "say why it needs to go"},
		{"words that are none of ours", url.Values{"do": {"ask"}, "words": {"</textarea><script>x</script>"}}, gateway.ErrBusy, 409, "ask </textarea><script>x</script>", "&lt;/textarea&gt;&lt;script&gt;"},
		{"nothing", url.Values{}, nil, 400, "", "choose one"},
		{"what there is not", url.Values{"do": {"release"}}, nil, 400, "", "choose one"},
		{"no way", url.Values{"do": {"encrypt"}}, gateway.ErrNoWay, 409, "encrypt", "no way to encrypt it"},
		{"chosen before", url.Values{"do": {"cancel"}}, gateway.ErrChosen, 303, "cancel", ""},
		{"over meanwhile", url.Values{"do": {"cancel"}}, gateway.ErrNoChoice, 404, "cancel", "not good, or not any more"},
		{"it fails", url.Values{"do": {"cancel"}}, errors.New("patient"), 503, "cancel", "Your message stays held"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, h := pages(t)
			d.err = tt.err
			w := ask(h, "POST", "/held/good", "same-origin", tt.form)
			if got := strings.Join(d.did, ", "); w.Code != tt.status || got != tt.did || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%d, did %q; want %d, %q and %q in\n%s", w.Code, got, tt.status, tt.did, tt.says, w.Body)
			}
			if strings.Contains(w.Body.String(), "<script>x") || strings.Contains(w.Body.String(), "patient,") {
				t.Errorf("not ours:\n%s", w.Body)
			}
			if to := w.Header().Get("Location"); tt.status == 303 && to != "/held/good" {
				t.Errorf("goes on to %q", to)
			}
		})
	}
}

// TestWhatBecame: a link that was used says by a page without a form what came of it.
func TestWhatBecame(t *testing.T) {
	for chosen, says := range map[gateway.Chosen]string{
		gateway.ChosenAsk: "You asked for its release", gateway.ChosenCancel: "It is cancelled", gateway.ChosenEncrypted: "It goes encrypted",
		gateway.ChosenReleased: "It was released", gateway.ChosenRejected: "It was not released", gateway.ChosenExpired: "Its time is over",
	} {
		d, h := pages(t)
		d.mail.Chosen, d.mail.At = chosen, d.mail.Received
		w := ask(h, "GET", "/held/good", "none", nil)
		if page := w.Body.String(); w.Code != 200 || !strings.Contains(page, says) || strings.Contains(page, "<form") {
			t.Errorf("%s: %d\n%s", chosen, w.Code, page)
		}
	}
}

// TestDrillIsTold once something was chosen, or its time is over.
func TestDrillIsTold(t *testing.T) {
	for chosen, says := range map[gateway.Chosen]string{
		gateway.ChosenAsk: "You asked for its release on", gateway.ChosenCancel: "You cancelled it on", gateway.ChosenEncrypted: "You chose to have it encrypted, on", gateway.ChosenExpired: "The drill is over",
	} {
		d, h := pages(t)
		d.mail.Chosen, d.mail.At, d.mail.Drill = chosen, d.mail.Received, true
		page := ask(h, "GET", "/held/good", "none", nil).Body.String()
		for _, want := range []string{"This was a drill", "nothing was sent or will be", says, "Use &lt;b&gt;member&lt;/b&gt; numbers."} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: lacks %q\n%s", chosen, want, page)
			}
		}
		if strings.Contains(page, "<form") || strings.Contains(page, "It goes encrypted") {
			t.Errorf("%s:\n%s", chosen, page)
		}
	}
}

// TestChoicesAreBounded by address.
func TestChoicesAreBounded(t *testing.T) {
	_, h := pages(t)
	for i := range 100 {
		if w := ask(h, "POST", "/held/good", "same-origin", url.Values{}); w.Code == http.StatusTooManyRequests {
			if i < 20 {
				t.Errorf("the %dth waits", i)
			}
			return
		}
	}
	t.Error("a hundred at once")
}
