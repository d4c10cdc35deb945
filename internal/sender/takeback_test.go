package sender_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/gateway"
)

func TestTakesBack(t *testing.T) {
	back := url.Values{"do": {"take-back"}}
	for _, tt := range []struct {
		name   string
		form   url.Values
		err    error
		status int
		did    string
		says   string
	}{
		{"take back", back, nil, 303, "take back", ""},
		{"nothing", url.Values{}, nil, 400, "", "Nothing was done"},
		{"what there is not", url.Values{"do": {"cancel"}}, nil, 400, "", "Nothing was done"},
		{"taken back before", back, gateway.ErrChosen, 303, "take back", ""},
		{"over meanwhile", back, gateway.ErrNoChoice, 404, "take back", "not good, or not any more"},
		{"busy", back, gateway.ErrBusy, 409, "take back", "Confirm again"},
		{"it fails", back, errors.New("patient"), 503, "take back", "It is not certain that your message is taken back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, h := pages(t)
			d.err = tt.err
			w := ask(h, "POST", "/sent/good", "same-origin", tt.form)
			if got := strings.Join(d.did, ", "); w.Code != tt.status || got != tt.did || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%d, did %q; want %d, %q and %q in\n%s", w.Code, got, tt.status, tt.did, tt.says, w.Body)
			}
			if strings.Contains(w.Body.String(), "patient") {
				t.Errorf("not ours:\n%s", w.Body)
			}
			if to := w.Header().Get("Location"); tt.status == 303 && to != "/sent/good" {
				t.Errorf("goes on to %q", to)
			}
		})
	}
}

// TestHowItStands: the page says what became of a message, and offers to take
// it back while it waits alone.
func TestHowItStands(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent gateway.SentMail
		says []string
		form bool
	}{
		{"unopened", gateway.SentMail{Rcpts: 1, Waiting: 1}, []string{"waits to be opened", "Nobody has opened it.", "one address at partner.example"}, true},
		{"opened", gateway.SentMail{Rcpts: 1, Waiting: 1, Opened: 1}, []string{"It has been opened.", "may have kept a copy: tell 555-0142"}, true},
		{"opened by some", gateway.SentMail{Rcpts: 3, Waiting: 2, Revoked: 1, Opened: 2}, []string{"2 of 3 have opened it.", "3 addresses"}, true},
		{"taken back", gateway.SentMail{Rcpts: 2, Revoked: 1, Undelivered: 1}, []string{"It is taken back", "Nobody has opened it."}, false},
		{"taken back too late", gateway.SentMail{Rcpts: 1, Revoked: 1, Opened: 1}, []string{"It is taken back", "Before that: It has been opened."}, false},
		{"undelivered", gateway.SentMail{Rcpts: 1, Undelivered: 1}, []string{"It reached nobody"}, false},
		{"over", gateway.SentMail{Rcpts: 1}, []string{"Its time is over"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, h := pages(t)
			tt.sent.Sent, tt.sent.Until, tt.sent.Domains = d.sent.Sent, d.sent.Until, d.sent.Domains
			d.sent = tt.sent
			w := ask(h, "GET", "/sent/good", "none", nil)
			page := w.Body.String()
			for _, want := range append(tt.says, "1 March, 09:12 UTC") {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q:\n%s", want, page)
				}
			}
			if w.Code != http.StatusOK || strings.Contains(page, "<form") != tt.form {
				t.Errorf("%d, a form: want %v\n%s", w.Code, tt.form, page)
			}
		})
	}
}

// TestTakingBackIsBounded by address.
func TestTakingBackIsBounded(t *testing.T) {
	d, h := pages(t)
	for range 100 {
		if w := ask(h, "POST", "/sent/good", "same-origin", url.Values{"do": {"take-back"}}); w.Code == http.StatusTooManyRequests {
			return
		}
	}
	t.Errorf("%d at once", len(d.did))
}
